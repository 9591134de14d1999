"""The Makefile: the packages that a target installs, and the systems that it runs on."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from local.settings import REPO

# Instead of uv: writes down the groups of each call.
UV = """#!/bin/sh
mkdir -p "$(dirname {log})" && echo "$*" >> {log}
"""

Make = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    return tmp_path / "venv"


@pytest.fixture
def make(tmp_path: Path, venv: Path) -> Make:
    """`make …` with an environment of its own, into which nothing is installed."""
    uv = tmp_path / "uv"
    uv.write_text(UV.format(log=venv / "log"))
    uv.chmod(0o755)
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["make", "--no-print-directory", f"VENV={venv}", f"UV={uv}", "RUN=true", *arguments]
        return subprocess.run(command, cwd=REPO, env=variables, capture_output=True, text=True)

    return run


def installed(venv: Path) -> list[set[str]]:
    """Return the groups of each call of uv, beside the default ones."""
    log = venv / "log"
    calls = log.read_text().splitlines() if log.exists() else []
    assert all(call.startswith("sync --locked") for call in calls)
    return [set(call.split()[2:]) - {"--group"} for call in calls]


@pytest.mark.parametrize(
    ("target", "groups"),
    [
        ("run", set()),
        ("bench-train", set()),
        ("lint", {"lint"}),
        ("test", {"test"}),
        ("test-fast", {"test"}),
        ("lab", {"lab"}),
        ("setup", {"lint", "test", "lab"}),
    ],
)
def test_a_target_installs_what_it_needs_once(make: Make, venv: Path, target: str, groups: set[str]) -> None:
    for _ in range(2):
        done = make(target, "SYSTEM=Linux")
        assert done.returncode == 0, done.stderr
    assert installed(venv) == [groups]


def test_what_another_target_has_installed_stays(make: Make, venv: Path) -> None:
    for target in ("run", "lint", "test", "run", "lint"):
        make(target, "SYSTEM=Linux")
    assert installed(venv) == [set(), {"lint"}, {"lint", "test"}]


def test_after_a_change_of_the_lock_file_everything_is_brought_up_to_date_at_once(make: Make, venv: Path) -> None:
    make("lint", "test", "SYSTEM=Linux")
    for stamp in venv.glob(".installed-*"):
        os.utime(stamp, (0, 0))
    make("run", "test", "lint", "SYSTEM=Linux")
    assert installed(venv) == [{"lint"}, {"lint", "test"}, {"lint", "test"}]


def test_after_setup_nothing_is_installed_any_more(make: Make, venv: Path) -> None:
    make("setup", "run", "lint", "test", "lab", "SYSTEM=Linux")
    assert len(installed(venv)) == 1


@pytest.mark.parametrize("target", ["run", "up", "lab", "test", "bench-serve"])
@pytest.mark.parametrize("system", ["Darwin", "FreeBSD"])
def test_the_stack_without_docker_is_refused_where_it_does_not_run(
    make: Make, venv: Path, target: str, system: str
) -> None:
    done = make(target, f"SYSTEM={system}")
    assert done.returncode != 0
    assert done.stdout == ""
    assert done.stderr.splitlines()[0] == (
        f"The stack needs Linux to run without Docker, and this system is {system}: "
        "run it in containers instead, with: make compose-up"
    )
    assert not venv.exists()


@pytest.mark.parametrize("target", ["lint", "test-fast"])
def test_lint_and_the_fast_tests_are_not_refused_elsewhere(make: Make, target: str) -> None:
    assert make(target, "SYSTEM=Darwin").returncode == 0


def test_a_start_of_the_containers_tells_of_an_upgrade_and_names_unsigned_versions(make: Make) -> None:
    *_, up, told, last = make("--dry-run", "compose-up").stdout.splitlines()
    assert (told, last) == ("python3 -m ops upgraded", "python3 -m ops unsigned")
    assert "-m ops doctor; exit 1" in up


@pytest.mark.parametrize(
    ("arguments", "passed"),
    [
        (
            ["predictions", "CLASS=a 'b", "SINCE=2026-03-01", "VERSION=2", "CONTRACT=wine"],
            ["predictions", "--contract=wine", "--model=", "--id=", "--version=2", "--class=a 'b", "--since=2026-03-01",
             "--until=", "--limit="],
        ),
        (["predictions", "ID=x/0", "LIMIT=5", "UNTIL=2027"], ["predictions", "--contract=", "--model=", "--id=x/0",
         "--version=", "--class=", "--since=", "--until=2027", "--limit=5"]),
        (["labels", "FROM=$(touch x) *.csv"], ["labels", "--contract=", "--model=", "--", "$(touch x) *.csv"]),
        (["labels", "MISSING=1", "MODEL=wine"], ["labels", "--contract=", "--model=wine", "--missing", "--", ""]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("prefix", ["", "compose-"])
def test_the_log_s_commands_get_what_is_given(make: Make, prefix: str, arguments: list[str], passed: list[str]) -> None:
    shown = "printf [%s]"
    tools = [f"{name}={shown}" for name in ("RUN", "IN_AIRFLOW", "IN_API_SERVER")]
    done = make(f"{prefix}{arguments[0]}", *arguments[1:], "SYSTEM=Linux", *tools)
    assert done.returncode == 0, done.stderr
    before = [] if prefix else ["local", "penguins"]
    assert done.stdout == "".join(f"[{each}]" for each in [*before, *passed])


@pytest.mark.parametrize(
    ("arguments", "passed"),
    [
        (["backup"], ["local", "backup", "--to="]),
        (["backup", "TO=/a b", "KEYS=1"], ["local", "backup", "--to=/a b", "--keys"]),
        (["restore", "FROM=$(touch x) '.gz"], ["local", "restore", "--from=$(touch x) '.gz", "--keys="]),
        (["restore", "FROM=a", "KEYS=new"], ["local", "restore", "--from=a", "--keys=new"]),
    ],
)
def test_backup_and_restore_get_what_is_given(make: Make, arguments: list[str], passed: list[str]) -> None:
    done = make(*arguments, "SYSTEM=Linux", "RUN=printf [%s]")
    assert done.stdout == "".join(f"[{each}]" for each in passed), done.stderr
