"""Segments that were set aside, and how long they are kept."""

import os
import time
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from contract.segments import DAMAGED, READY
from shipper.settings import Settings
from shipper.spool import REASON, Spool


def set_aside(folder: Path, name: str, days: float) -> None:
    spool = Spool(folder)
    spool.set_aside(name, "it is damaged")
    at = time.time() - days * 86400
    os.utime(folder / DAMAGED / f"{name}{REASON}", (at, at))


def test_what_was_set_aside_goes_with_its_reason_after_the_days_of_the_setting(tmp_path: Path) -> None:
    Spool(tmp_path)
    for name, days in (("old", 8.0), ("young", 6.0)):
        path = tmp_path / READY / name
        path.write_text("no segment")
        os.utime(path, (0, 0))  # what counts is when it was set aside
        set_aside(tmp_path, name, days)
    (tmp_path / READY / "folder").mkdir()
    (tmp_path / READY / "folder" / "file").touch()
    set_aside(tmp_path, "folder", 9)
    damaged = tmp_path / DAMAGED
    before = {path.name for path in damaged.iterdir()}
    Spool(tmp_path).forget_damaged(0)
    assert {path.name for path in damaged.iterdir()} == before
    Spool(tmp_path).forget_damaged(7)
    assert {path.name for path in damaged.iterdir()} == {"young", f"young{REASON}"}


@pytest.mark.parametrize("days", [-1, "soon", 36501])
def test_days_that_cant_be_used_are_refused(tmp_path: Path, days: object) -> None:
    with pytest.raises(ValidationError, match="damaged_retention_days"):
        Settings(log_dir=tmp_path, database_url=SecretStr(""), damaged_retention_days=days)  # type: ignore[arg-type]
