"""Use of the disk by the stack, and the rest of it."""

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from local.config import Config


def use(config: Config) -> RenderableType:
    """Return a table of the bytes of each part of the stack, and of what is free on its file systems."""
    layout, backups = config.layout, config.settings.backup_dir
    task_logs = layout.airflow / "logs"
    parts: dict[str, tuple[Path, ...]] = {
        "databases": (layout.postgres,),
        "models and files in S3": (layout.s3,),
        "logs": (layout.logs, task_logs),
        "prediction log, waiting": (layout.prediction_log,),
        "the service's copies": (layout.serving_cache,),
        "backups": (backups,),
    }
    table = Table("disk", "", box=None, pad_edge=False)
    table.columns[1].justify = "right"
    for name, folders in parts.items():
        table.add_row(name, _text(sum(map(size, folders))))
    return Group(table, *_rooms((layout.state, backups), config.settings.disk_free_percent))


def _rooms(folders: Iterable[Path], percent: float) -> Iterable[Text]:
    """Yield a line on each file system of the folders, in red if less of it is free than wanted."""
    seen = set()
    for folder in folders:
        while not folder.exists():
            folder = folder.parent
        if (device := folder.stat().st_dev) in seen:
            continue
        seen.add(device)
        found = shutil.disk_usage(folder)
        all_of_it = found.free + found.used  # without what only root may use
        text = f"{_text(found.free)} of {_text(all_of_it)} are free where {folder} is"
        if found.free < all_of_it * percent / 100:
            yield Text(f"{text}: less than {percent:g}% (docs/how-to/keep-house.md)", style="red")
        else:
            yield Text(text)


def size(folder: Path) -> int:
    """Return the bytes that the files in a folder and its folders take; files may go meanwhile."""
    total = 0
    for at, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(at, name)).st_blocks * 512  # noqa: PTH118 - many files
    return total


def _text(bytes_: int) -> str:
    return f"{bytes_ / 1e9:,.1f} GB" if bytes_ >= 1e9 else f"{bytes_ / 1e6:,.1f} MB"
