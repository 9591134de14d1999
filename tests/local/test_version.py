"""Versions of state directories: older ones are upgraded once, newer ones are refused."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from local import version
from local.config import Config
from local.errors import StackError
from local.layout import Layout
from local.settings import REPO, Settings
from local.version import VERSION


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Config.of(Settings(state_dir=tmp_path / "state")).layout
    layout.postgres.mkdir()
    return layout


def contents(folder: Path) -> dict[Path, tuple[float, bytes]]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "lock"]
    return {path: (path.stat().st_mtime, path.read_bytes()) for path in files}


@pytest.mark.parametrize("command", ["up", "run"])
def test_a_newer_state_is_refused_and_left_alone(layout: Layout, command: str) -> None:
    layout.version.write_text("99.0\n")
    layout.credentials.write_text(layout.credentials.read_text()[:-2] + ', "of_tomorrow": "x"}')
    before = contents(layout.state)
    done = subprocess.run(
        [sys.executable, "-m", "local", command],
        env=os.environ | {"PENGUINS_STATE_DIR": str(layout.state)},
        cwd=REPO,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout.strip()) == (1, "")
    assert done.stderr.splitlines() == [
        f"{layout.state} was last started by version 99.0 of the project, and this is {VERSION}, which may not "
        "understand it: use version 99.0 or a newer one, or another directory (PENGUINS_STATE_DIR)"
    ]
    assert contents(layout.state) == before


def test_a_state_from_before_versions_were_recorded_is_upgraded_once(layout: Layout) -> None:
    (layout.postgres / "PG_VERSION").write_text("18\n")
    version.begin(layout)
    version.begin(layout)  # the first start failed
    assert version.upgrading(layout) == ("0.1.0", VERSION)
    version.finish(layout)
    version.begin(layout)
    assert version.upgrading(layout) is None


def test_an_interrupted_upgrade_is_told_by_the_version_that_completes_it(layout: Layout) -> None:
    layout.version.write_text("0.1.1\n0.1.0\n")
    version.begin(layout)
    assert version.upgrading(layout) == ("0.1.0", VERSION)


def test_a_new_state_is_not_upgraded(layout: Layout) -> None:
    version.begin(layout)
    assert layout.version.read_text() == f"{VERSION}\n"
    assert version.upgrading(layout) is None


def test_programs_of_an_older_version_are_stopped_first(layout: Layout) -> None:
    version.check_running(layout)  # as of a part that was started alone
    layout.version.write_text("0.1.0\n")
    with pytest.raises(StackError, match=r"the running stack is of version 0.1.0, .* stop it first \(make down\)"):
        version.check_running(layout)


def test_the_lock_has_the_version_of_the_project() -> None:
    packages = tomllib.loads((REPO / "uv.lock").read_text())["package"]
    assert [package["version"] for package in packages if package["name"] == "penguins"] == [VERSION]
