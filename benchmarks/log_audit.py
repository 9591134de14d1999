"""Compare what clients were answered with what stands in the database."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
from psycopg import Connection

from contract.segments import OPEN, READY
from local.stack import Stack
from local.waiting import until

SETTLE_SECONDS = 300
COUNTED = ("penguins_log_dropped_total", "penguins_log_lost_total")


@dataclass(frozen=True)
class Audit:
    """Answers that clients got, and what became of them.

    Attributes:
        lost: answers that aren't in the database.
        duplicate: rows beyond the first of an answer.
        counted: answers that the service's counters say were dropped or lost.
    """

    answers: int
    lost: int
    duplicate: int
    counted: int

    def __str__(self) -> str:
        return f"lost={self.lost} counted={self.counted} duplicate={self.duplicate}"


def audit(stack: Stack, connection: Connection[Any], ids: Sequence[str]) -> Audit:
    """Wait until the shipper has brought in everything, and look for the answers with these ids."""
    spool = stack.config.layout.prediction_log
    until(lambda: is_empty(spool), "the shipper to bring in everything", SETTLE_SECONDS)
    found, rows = connection.execute(
        "SELECT count(DISTINCT prediction_id), count(*) FROM log.predictions WHERE prediction_id = ANY(%s::uuid[])",
        [list(ids)],
    ).fetchone() or (0, 0)
    return Audit(len(ids), len(ids) - found, rows - found, counted(stack.urls["api"]))


def is_empty(spool: Path) -> bool:
    """Return whether no segment waits to be shipped, nor has one rows that wait for its end."""
    return not any((spool / READY).glob("*.seg")) and not any((spool / OPEN).glob("*"))


def kill_shipper(stack: Stack) -> None:
    """Kill the shipper at once; the supervisor starts it again."""
    if pid := stack.states()["shipper"].pid:
        psutil.Process(pid).kill()


def counted(url: str) -> int:
    """Return the predictions that a service says were dropped or lost."""
    lines = httpx.get(f"{url}/metrics").text.splitlines()
    return sum(int(float(line.rpartition(" ")[2])) for line in lines if line.startswith(COUNTED))
