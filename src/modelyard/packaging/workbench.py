"""Where a package is built without a yard: files where they lie, what is made of them in memory."""

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from modelyard.errors import NotFound
from modelyard.packaging.files import LocalFile
from modelyard.packaging.package_file import PackedFile, tree_digest


class Workbench:
    """Implements `package.Artifacts` and `package_file.Contents` for files of this machine; nothing is copied."""

    def __init__(self) -> None:
        self._files: dict[str, Path] = {}
        self._made: dict[str, bytes] = {}
        self._trees: dict[str, tuple[PackedFile, ...]] = {}

    def take(self, files: Sequence[LocalFile]) -> str:
        """The digest of the tree of these files. Raises NotFound where one went away."""
        packed: list[PackedFile] = []
        for file in files:
            sha256 = file.sha256()
            self._files[sha256] = file.source
            packed.append(PackedFile(file.path, sha256, file.size_bytes, file.executable))
        return self.put_tree(packed)

    def put_bytes(self, content: bytes) -> str:
        sha256 = hashlib.sha256(content).hexdigest()
        self._made[sha256] = content
        return sha256

    def read(self, sha256: str) -> bytes:
        if sha256 in self._made:
            return self._made[sha256]
        return self._source(sha256).read_bytes()

    def tree(self, digest: str) -> list[PackedFile]:
        if digest not in self._trees:
            raise NotFound(f"cannot find tree {digest}")
        return list(self._trees[digest])

    def put_tree(self, files: Sequence[PackedFile]) -> str:
        digest = tree_digest(files)
        self._trees[digest] = tuple(sorted(files, key=lambda one: one.path))
        return digest

    def put_folder(self, folder: Path) -> str:
        """Keeps the folder's files in memory: it may be gone before they are used."""
        packed: list[PackedFile] = []
        for path in sorted(one for one in folder.rglob("*") if one.is_file()):
            content = path.read_bytes()
            packed.append(PackedFile(str(path.relative_to(folder)), self.put_bytes(content), len(content), False))
        return self.put_tree(packed)

    def open(self, file: PackedFile) -> IO[bytes]:
        if file.sha256 in self._made:
            return io.BytesIO(self._made[file.sha256])
        return self._source(file.sha256).open("rb")

    def lay_out(self, digest: str, folder: Path) -> None:
        """Writes a tree's files below `folder`."""
        for file in self.tree(digest):
            target = folder / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            with self.open(file) as source, target.open("xb") as written:
                while chunk := source.read(2**20):
                    written.write(chunk)

    def _source(self, sha256: str) -> Path:
        if sha256 not in self._files:
            raise NotFound(f"cannot find a file with sha256 {sha256}")
        return self._files[sha256]
