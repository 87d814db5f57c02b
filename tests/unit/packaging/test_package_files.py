"""Packages as files: the same bytes from the same inputs, and nothing taken on trust."""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelyard.errors import InvalidValue, NotFound
from modelyard.packaging.builds import build_archive
from modelyard.packaging.files import list_files
from modelyard.packaging.package_file import (
    MANIFEST,
    extract_archive,
    packed_files,
    read_manifest,
    tree_digest,
    verify_archive,
)
from modelyard.store.artifacts import FileArtifacts

Build = Callable[..., Path]


@pytest.fixture
def build(tmp_path: Path) -> Build:
    def write(name: str = "price.myp", **more: bytes) -> Path:
        folder = tmp_path / "project"
        (folder / "src").mkdir(parents=True, exist_ok=True)
        (folder / "predictor.py").write_bytes(b"class Predictor: ...\n")
        (folder / "src" / "\u00fc.py").write_bytes(b"")
        for path, content in more.items():
            (folder / path).write_bytes(content)
        target = tmp_path / name
        build_archive(
            target,
            name="price",
            settings={"replicas": 2},
            predictor={"path": "predictor.py", "config": {"a": 1}},
            code=list_files(folder),
            model=None,
            framework=None,
        )
        return target

    return write


def test_the_same_inputs_give_the_same_bytes_whenever_and_whoever_builds(build: Build, tmp_path: Path) -> None:
    first = build("first.myp").read_bytes()
    os.utime(tmp_path / "project" / "predictor.py", (1, 1))
    (tmp_path / "project" / "predictor.py").chmod(0o600)
    assert build("second.myp").read_bytes() == first
    assert build("third.myp", extra=b"x").read_bytes() != first


def test_the_digest_is_the_one_that_a_yard_gives_it(build: Build, tmp_path: Path) -> None:
    manifest = extract_archive(build(), tmp_path / "out")
    artifacts = FileArtifacts(tmp_path / "artifacts")
    digest = artifacts.put_folder(tmp_path / "out")
    assert digest == manifest.digest == tree_digest(packed_files(artifacts.tree(digest)))
    assert (manifest.name, manifest.settings) == ("price", {"replicas": 2})


def test_a_whole_file_has_no_difference(build: Build) -> None:
    assert verify_archive(build()) == []


def rewritten(place: Path, change: Callable[[str, bytes], tuple[str, bytes] | None]) -> Path:
    """The archive with entries changed or left out."""
    target = place.with_name("changed.myp")
    with tarfile.open(place) as source, tarfile.open(target, "w") as archive:
        for entry in source:
            found = source.extractfile(entry)
            assert found is not None
            changed = change(entry.name, found.read())
            if changed is not None:
                entry.name, content = changed
                entry.pax_headers = {}
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return target


def test_what_differs_is_named(build: Build, tmp_path: Path) -> None:
    def change(name: str, content: bytes) -> tuple[str, bytes] | None:
        if name == "files/package.json":
            return None
        return name, content.replace(b"...", b",,,") if name.endswith("predictor.py") else content

    changed = rewritten(build(), change)
    assert verify_archive(changed) == ["code/predictor.py has other content", "package.json is missing"]
    with pytest.raises(InvalidValue, match=r"damaged: code/predictor\.py has other content"):
        extract_archive(changed, tmp_path / "out")


def test_a_manifest_that_was_changed_with_its_file_does_not_fit_its_digest(build: Build) -> None:
    def change(name: str, content: bytes) -> tuple[str, bytes]:
        other = content.replace(b"...", b",,,")
        if name == MANIFEST:
            old = hashlib.sha256(b"class Predictor: ...\n").hexdigest().encode()
            return name, content.replace(old, hashlib.sha256(b"class Predictor: ,,,\n").hexdigest().encode())
        return name, other if name.endswith("predictor.py") else content

    (difference,) = verify_archive(rewritten(build(), change))
    assert difference.startswith("the digest of the whole is ")


@pytest.mark.parametrize("name", ["files/../../evil.py", "files//etc/evil", "/etc/evil", "../evil", "files/a\\b"])
def test_a_path_that_could_leave_the_folder_is_refused(build: Build, name: str, tmp_path: Path) -> None:
    def change(found: str, content: bytes) -> tuple[str, bytes]:
        return (name if found.endswith("predictor.py") else found), content

    with pytest.raises(InvalidValue, match="cannot use"):
        extract_archive(rewritten(build(), change), tmp_path / "out")
    assert not (tmp_path / "evil.py").exists()


def test_a_manifest_with_such_a_path_is_refused(build: Build, tmp_path: Path) -> None:
    def change(name: str, content: bytes) -> tuple[str, bytes]:
        return name, content.replace(b'"code/predictor.py"', b'"../predictor.py"') if name == MANIFEST else content

    with pytest.raises(InvalidValue, match="not a plain relative path"):
        read_manifest(rewritten(build(), change))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE])
def test_what_is_no_regular_file_is_refused(build: Build, kind: bytes, tmp_path: Path) -> None:
    place = build()
    with tarfile.open(place, "a") as archive:
        entry = tarfile.TarInfo("files/code/link")
        entry.type, entry.linkname = kind, "/etc/passwd"
        archive.addfile(entry)
    with pytest.raises(InvalidValue, match="is not one of its files"):
        extract_archive(place, tmp_path / "out")


@pytest.mark.parametrize("content", [b"", b"not a tar", b"\x1f\x8b" + b"\0" * 100])
def test_another_file_is_said_to_be_none(tmp_path: Path, content: bytes) -> None:
    place = tmp_path / "x.myp"
    place.write_bytes(content)
    with pytest.raises(InvalidValue, match="as a package"):
        read_manifest(place)
    with pytest.raises(NotFound):
        read_manifest(tmp_path / "missing.myp")


def test_the_requirements_of_a_package_are_locked_in_it(build: Build, tmp_path: Path) -> None:
    target = build(**{"requirements.txt": b"iniconfig==2.0.0\n"})
    extract_archive(target, tmp_path / "out")
    document: dict[str, Any] = json.loads((tmp_path / "out" / "package.json").read_bytes())
    assert document["environment"]["lock"] == "requirements.lock"
    assert document["environment"]["python"]
    lock = (tmp_path / "out" / "requirements.lock").read_text()
    assert lock.startswith("iniconfig==2.0.0")
    assert "--hash=sha256:" in lock
    assert build("again.myp", **{"requirements.txt": b"iniconfig==2.0.0\n"}).read_bytes() == target.read_bytes()
