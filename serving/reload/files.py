"""Read files of a folder that others may have tampered with."""

import os
import stat
from pathlib import Path


def read_inside(folder: Path, name: str, limit: int) -> bytes:
    """Return the content of the regular file `name` in `folder`.

    Raises:
        OSError: it can't be read, isn't a regular file, is reached through a symbolic link, lies outside of the folder
            or has more than `limit` bytes.
    """
    inside = Path(f"{folder.resolve()}/{name}")  # joined as text: an absolute name would replace the folder
    if inside.resolve() != inside:
        raise OSError(f"{name} is a symbolic link or leads out of the folder")
    # Without O_NONBLOCK, opening a FIFO would wait for its writer.
    descriptor = os.open(inside, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(f"{name} isn't a regular file")
        if found.st_size > limit:
            raise OSError(f"{name} has {found.st_size} bytes, and at most {limit} are read")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(limit)
    finally:
        os.close(descriptor)


def folders_inside(folder: Path) -> list[str]:
    """Return the names of the visible folders in `folder`, the one whose content changed last first."""
    try:
        with os.scandir(folder) as found:
            changed = [
                (entry.stat(follow_symlinks=False).st_mtime_ns, entry.name)
                for entry in found
                if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".")
            ]
    except OSError:
        return []
    return [name for _, name in sorted(changed, reverse=True)]
