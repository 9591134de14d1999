"""Backups at times, and how many are kept."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from backup.schedule import archives, name_at, prune, seconds_until_due
from local.settings import REPO
from local.waiting import until

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def test_the_next_one_is_due_so_many_hours_after_the_last(tmp_path):
    assert seconds_until_due(tmp_path / "none", 24, NOW) == 0
    for hours in (30, 5):
        (tmp_path / name_at(NOW - timedelta(hours=hours))).touch()
    assert seconds_until_due(tmp_path, 24, NOW) == 19 * 3600
    (tmp_path / name_at(NOW + timedelta(days=900))).touch()  # of a wrong clock
    assert seconds_until_due(tmp_path, 4, NOW) == -3600


def test_only_the_oldest_archives_are_deleted(tmp_path):
    names = [name_at(NOW + timedelta(days=day)) for day in range(5)]
    others = ["penguins.tar.gz", "penguins-20269999T000000Z.tar.gz", f"{names[0]}.partial", f"my-{names[0]}", "notes"]
    for name in [*names, *others]:
        (tmp_path / name).touch()
    assert [path.name for path in prune(tmp_path, 2)] == names[:3]
    assert {path.name for path in tmp_path.iterdir()} == {*names[3:], *others}
    assert [path.name for path in archives(tmp_path).values()] == names[3:]
    assert prune(tmp_path, 2) == []


@pytest.mark.parametrize(
    ("hours", "keep", "problem"),
    [
        ("0", "7", "PENGUINS_BACKUP_HOURS=0: a number of hours above 0 is needed"),
        ("day", "7", "PENGUINS_BACKUP_HOURS=day: a number of hours above 0 is needed"),
        ("24", "0", "PENGUINS_BACKUP_KEEP=0: a number of archives above 0 is needed"),
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path, hours, keep, problem):
    command = [sys.executable, "-m", "backup.schedule", str(tmp_path), hours, keep, "--", "false"]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, f"{problem}\n")


def test_a_command_is_run_when_it_is_due(tmp_path):
    old = name_at(NOW)
    (tmp_path / old).touch()
    script = tmp_path / "make.py"
    script.write_text(
        "from datetime import UTC, datetime\nfrom pathlib import Path\nfrom backup.schedule import name_at\n"
        "Path(__file__).with_name(name_at(datetime.now(UTC))).touch()\n"
    )
    command = [sys.executable, "-m", "backup.schedule", str(tmp_path), "0.01", "1", "--", sys.executable, str(script)]
    with subprocess.Popen(command, cwd=REPO, env=os.environ | {"PYTHONPATH": str(REPO)}) as process:
        try:
            until(lambda: not (tmp_path / old).exists(), "the next archive", 60)
            assert len(archives(tmp_path)) == 1
        finally:
            process.terminate()
