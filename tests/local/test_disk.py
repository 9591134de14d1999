"""Use of the disk by the stack, and the warning before it is full."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import ValidationError
from rich.console import Console

from local import disk
from local.config import Config
from local.settings import Settings


def shown(config: Config) -> str:
    out = Console(width=200, color_system="standard", force_terminal=True, highlight=False)
    with out.capture() as text:
        out.print(disk.use(config))
    return text.get()


def test_parts_and_room_are_shown_and_little_room_is_red(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config.of(Settings(state_dir=tmp_path / "state", backup_dir=tmp_path / "backups", disk_free_percent=20))
    (config.layout.postgres / "base").mkdir(parents=True)
    (config.layout.postgres / "base" / "1").write_bytes(b"x" * 3_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=25 * 10**9, used=75 * 10**9))
    text = shown(config)
    assert "databases" in text
    assert "3.0 MB" in text
    assert f"25.0 GB of 100.0 GB are free where {tmp_path / 'state'} is" in text
    assert text.count("are free") == 1  # the backups are on the same file system
    assert "\x1b[31m" not in text
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=19 * 10**9, used=81 * 10**9))
    assert "\x1b[31m19.0 GB of 100.0 GB are free" in shown(config)
    assert "less than 20%" in shown(config)


@pytest.mark.parametrize(("value", "percent"), [("", 0.0), ("0", 0.0), ("2.5", 2.5)])
def test_a_percentage_of_the_disk(monkeypatch: pytest.MonkeyPatch, value: str, percent: float) -> None:
    monkeypatch.setenv("PENGUINS_DISK_FREE_PERCENT", value)
    assert Settings().disk_free_percent == percent


@pytest.mark.parametrize("value", ["-1", "100", "soon"])
def test_a_percentage_that_cant_be_used_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("PENGUINS_DISK_FREE_PERCENT", value)
    with pytest.raises(ValidationError, match="PENGUINS_DISK_FREE_PERCENT"):
        Settings()
