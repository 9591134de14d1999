"""Bring the segments of dead processes to the shipper, and count what they have lost."""

import logging
import os
from pathlib import Path

from contract.segments import END, OPEN, PART, DamageError, SegmentName, SegmentReader
from serving.log import counts
from serving.log.spool import Spool

logger = logging.getLogger(__name__)


def adopt(spool: Spool) -> None:
    """Adopt what processes that have ended left behind.

    A process makes its file of counters before its first segment, so that one without a file is dead.

    Raises:
        OSError: the spool can't be read or written.
    """
    left = sorted((spool.folder / OPEN).iterdir())
    with counts.dead_processes(spool) as dead:
        for path in left:
            name = SegmentName.parse(path.name.removesuffix(PART))
            has_counters = name and counts.path_of(spool, name.process).exists()
            if name and (name.process in dead or not has_counters):
                try:
                    _recover(spool, path)
                except FileNotFoundError:
                    continue  # another process that starts has adopted it
                except OSError as error:  # the next start tries it again, and the others can be had
                    logger.error("log.not_adopted segment=%s reason=%r", path.name, str(error))
        for process in dead:
            if lost := counts.fold(spool, process):
                logger.warning(
                    "log.lost rows=%d process=%s: %d predictions were lost, for the process was killed before it had"
                    " written them",
                    lost, process, lost,
                )  # fmt: skip


def _recover(spool: Spool, path: Path) -> None:
    """Keep the whole blocks of a segment; delete one without any, and one of a request that wasn't answered."""
    if path.name.endswith(PART) or not path.stat().st_size:
        path.unlink()
        return
    try:
        with path.open("r+b") as file:
            reader = SegmentReader(file)
            blocks = sum(1 for _ in reader.blocks())
            if not reader.is_complete:
                file.truncate(reader.whole_bytes)
                file.seek(reader.whole_bytes)
                file.write(END)
                file.flush()
            os.fsync(file.fileno())
    except DamageError as error:  # the shipper sets it aside, with the reason
        logger.warning("log.damaged segment=%s reason=%r", path.name, str(error))
        blocks = 1
    if blocks:
        spool.release(path)
        logger.info("log.adopted segment=%s", path.name)
    else:
        path.unlink()
