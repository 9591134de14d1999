"""Records of the watcher: outcomes of polls, serving periods, and refusals."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from serving.inference.model import Origin, Release
from serving.registry.refusals import RefusedError
from serving.registry.responses import ModelVersion

Note = Callable[..., None]
"""Takes note of a swap or a refusal, by the fields of `contract.lines.Event`."""


def ignore(**_fields: object) -> None:
    """Take no note."""


class Outcome(StrEnum):
    """Outcome of a poll."""

    UP_TO_DATE = "up_to_date"
    SWAPPED = "swapped"
    REFUSED = "refused"
    NO_PRODUCTION = "no_production"
    UNAVAILABLE = "unavailable"
    FAILED = "failed"


FAILURES = (Outcome.UNAVAILABLE, Outcome.FAILED)


@dataclass(frozen=True, slots=True)
class Poll:
    """A poll of the registry."""

    outcome: Outcome
    detail: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ServingPeriod:
    """A version, and the time for which it served."""

    version: str
    engine: str
    origin: Origin
    since: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A version that is in Production, or in its shadow, and must not be loaded."""

    version: ModelVersion
    release: Release | None
    error: RefusedError
    at: datetime
    retry_at: float
    """On the clock of `time.monotonic`."""
