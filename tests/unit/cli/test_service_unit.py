import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from modelyard.cli.service_unit import install_unit, unit_name, unit_text
from modelyard.errors import InvalidValue
from modelyard.settings import Home, YardSettings


def environment(tmp_path: Path, **more: str) -> dict[str, str]:
    return {"HOME": str(tmp_path), **more}


def test_the_unit_starts_the_yard_of_its_home_and_tells_only_the_supervisor_to_end(tmp_path: Path) -> None:
    path = install_unit(Home(tmp_path / ".modelyard"), YardSettings(), environment(tmp_path))
    assert path == tmp_path / ".config" / "systemd" / "user" / "modelyard.service"
    text = path.read_text()
    assert f'ExecStart="{sys.executable}" "-m" "modelyard.cli.main" "up" "--host" "127.0.0.1" "--port" "8400"' in text
    assert f'Environment="MODELYARD_HOME={tmp_path}/.modelyard"' in text
    assert "KillMode=process" in text.splitlines()


def test_settings_are_kept_and_a_client_s_key_is_not(tmp_path: Path) -> None:
    more = {"MODELYARD_LOG_BYTES_MAX": "1000", "MODELYARD_API_KEY": "secret", "MODELYARD_URL": "http://x", "PATH": "/"}
    text = unit_text(Home(tmp_path), YardSettings(), environment(tmp_path, **more))
    assert 'Environment="MODELYARD_LOG_BYTES_MAX=1000"' in text
    assert "secret" not in text
    assert "PATH" not in text


def test_each_home_has_a_unit_of_its_own(tmp_path: Path) -> None:
    given = environment(tmp_path)
    names = {unit_name(Home(tmp_path / name), given) for name in (".modelyard", "one", "two")}
    assert len(names) == 3
    assert "modelyard.service" in names


def test_installing_again_replaces_the_unit(tmp_path: Path) -> None:
    home = Home(tmp_path / ".modelyard")
    install_unit(home, YardSettings(), environment(tmp_path))
    path = install_unit(home, YardSettings(port=8500), environment(tmp_path))
    assert '"8500"' in path.read_text()
    assert [one.name for one in path.parent.iterdir()] == ["modelyard.service"]


def test_a_path_that_no_unit_can_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="control character"):
        unit_text(Home(tmp_path / "a\nb"), YardSettings(), {})


def test_systemd_finds_nothing_wrong_with_it_whatever_the_home_is_called(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not here")
    home = Home(tmp_path / '100% of "$HOME" \\ here')
    path = install_unit(home, YardSettings(), environment(tmp_path, MODELYARD_HOME=str(home.root)))
    assert verify(analyze, path, tmp_path) == []


def verify(analyze: str, path: Path, tmp_path: Path) -> list[str]:
    """What systemd says about a unit. Skips where it cannot even see a fault."""
    broken = path.with_name("broken.service")
    broken.write_text("[Service]\nExecStart=relative\nNoSuchField=1\n")

    def said(unit: Path) -> list[str]:
        done = subprocess.run(
            [analyze, "verify", "--user", "--man=no", str(unit)],
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return [line for line in (done.stdout + done.stderr).splitlines() if unit.name in line]

    if not said(broken):
        pytest.skip("systemd-analyze does not verify user units here")
    return said(path)
