"""Limits of a table, and of the process that answers it."""

import os
import resource
from contextlib import suppress
from pathlib import Path

from serving.settings import Settings
from serving.tables.messages import Limits

SMALL_TABLE_BYTES = 64 * 1024 * 1024
"""Values in float32 that a table of any size may have."""

EXPANSION = 16
"""Bytes of values for each byte of a larger body. Compression that gains more is an attack, not a table."""

FLOAT32_BYTES = 4
WAITING = 4
"""Seconds for each second of processor time: other processes go first."""

NICENESS = 10
FIRST_TO_KILL = 1000
OPEN_FILES = 64


def limits_of(settings: Settings, body_bytes: int, features: int) -> Limits:
    """Return the limits of a table; those of rows and seconds grow with its body."""
    values = min(settings.max_table_bytes, max(SMALL_TABLE_BYTES, EXPANSION * body_bytes))
    seconds = settings.table_processor_seconds * max(1.0, values / SMALL_TABLE_BYTES)
    return Limits(
        rows=values // (FLOAT32_BYTES * features),
        answer_bytes=settings.max_answer_bytes,
        memory_bytes=settings.table_memory_bytes,
        processor_seconds=seconds,
        seconds=WAITING * seconds,
    )


def step_back() -> None:
    """Let other processes go first, and let the kernel kill this one first where memory is short."""
    os.nice(NICENESS)
    Path("/proc/self/oom_score_adj").write_text(str(FIRST_TO_KILL))
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, OPEN_FILES)


def restrict(limits: Limits) -> None:
    """Limit the processor time and the size of the files of this process.

    The launcher watches memory and wall time: RLIMIT_AS would count what pyarrow reserves without using it.
    """
    _limit(resource.RLIMIT_CPU, int(limits.processor_seconds) + 1, until_killed=1)
    _limit(resource.RLIMIT_FSIZE, limits.answer_bytes)


def private_bytes(process: int) -> int:
    """Return the resident memory of a process without its files; 0 if it has ended."""
    with suppress(OSError, ValueError):
        _, resident, shared, *_ = map(int, Path("/proc", str(process), "statm").read_text().split())
        return (resident - shared) * resource.getpagesize()
    return 0


def _limit(kind: int, most: int, until_killed: int = 0) -> None:
    """Set a limit; with RLIMIT_CPU the process gets SIGXCPU at `most` seconds, and SIGKILL later."""
    hard = resource.getrlimit(kind)[1]
    last = most + until_killed if hard == resource.RLIM_INFINITY else min(most + until_killed, hard)
    resource.setrlimit(kind, (min(most, last), last))
