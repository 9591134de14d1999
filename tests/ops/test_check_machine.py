"""Room on Docker's disk."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from ops import check_machine, doctor


@pytest.mark.parametrize(
    ("free", "percent", "found"),
    [
        (50, 10, "✔ 50 GB free in /docker"),
        (9, 10, "only 9 GB free in /docker, 9.0% of the disk"),
        (9, 0, "✔ 9 GB free in /docker"),
        (7, 0, "only 7 GB free in /docker, the images and their build need 8"),
    ],
)
def test_a_disk_that_is_nearly_full_is_named(
    monkeypatch: pytest.MonkeyPatch, free: int, percent: float, found: str
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free * 10**9, used=(100 - free) * 10**9))
    finding = check_machine._disk("/docker", percent)
    assert found.removeprefix("✔ ") in str(finding)
    assert bool(finding.fix) != found.startswith("✔")
    assert not (finding.fix and finding.fatal)


@pytest.mark.parametrize(
    ("text", "percent"), [("", 10), ("PENGUINS_DISK_FREE_PERCENT=25\n", 25), ("PENGUINS_DISK_FREE_PERCENT=soon\n", 10)]
)
def test_the_percentage_is_that_of_the_stack(tmp_path: Path, text: str, percent: float) -> None:
    (tmp_path / ".env").write_text(text)
    assert doctor._free_percent(tmp_path / ".env") == percent
