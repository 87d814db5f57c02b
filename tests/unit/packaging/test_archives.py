"""SageMaker's model.tar.gz: what is in it, and what never gets out of its folder."""

import io
import tarfile
from pathlib import Path

import pytest

from modelyard.errors import InvalidValue, TooLarge
from modelyard.packaging import archives
from modelyard.packaging.archives import is_archive, unpack_model


def archive(folder: Path, *members: tarfile.TarInfo, **files: str) -> Path:
    """`files` by paths whose slashes are written as two underscores."""
    path = folder / "model.tar.gz"
    with tarfile.open(path, "w:gz") as opened:
        for member in members:
            opened.addfile(member)
        for name, text in files.items():
            member = tarfile.TarInfo(name.replace("__", "/").replace("_dot_", "."))
            member.size = len(text)
            opened.addfile(member, io.BytesIO(text.encode()))
    return path


def link(name: str, target: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, target
    return member


def test_code_and_model_are_told_apart(tmp_path: Path) -> None:
    path = archive(tmp_path, model_dot_ubj="m", code__inference_dot_py="c", code__requirements_dot_txt="r")
    assert is_archive(path)
    code = unpack_model(path, tmp_path / "out")
    assert code == tmp_path / "out" / "code"
    assert sorted(one.name for one in code.iterdir()) == ["inference.py", "requirements.txt"]
    assert [one.name for one in (tmp_path / "out" / "model").iterdir()] == ["model.ubj"]


def test_a_model_without_code_has_none(tmp_path: Path) -> None:
    assert unpack_model(archive(tmp_path, a_dot_ubj="m", code__notes="n"), tmp_path / "out") is None


@pytest.mark.parametrize(
    "member", [tarfile.TarInfo("../escaped"), link("inside", "../../outside"), link("absolute", "/etc/passwd")]
)
def test_nothing_leaves_the_folder(tmp_path: Path, member: tarfile.TarInfo) -> None:
    with pytest.raises(InvalidValue, match=r"cannot unpack .*model\.tar\.gz"):
        unpack_model(archive(tmp_path, member), tmp_path / "out")
    assert not (tmp_path / "escaped").exists()


def test_what_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "UNPACKED_BYTES_MAX", 10)
    with pytest.raises(TooLarge):
        unpack_model(archive(tmp_path, a="x" * 11), tmp_path / "out")


def test_what_is_no_archive_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "model.tar.gz"
    path.write_bytes(b"no archive")
    with pytest.raises(InvalidValue, match="cannot unpack"):
        unpack_model(path, tmp_path / "out")
