"""What the watcher remembers: how its looks at the registry ended, what has served, and what was refused."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from serving.inference.model import Origin, Release
from serving.registry.refusals import RefusedError
from serving.registry.responses import ModelVersion


class Outcome(StrEnum):
    """How a look at the registry ended."""

    UP_TO_DATE = "up_to_date"
    SWAPPED = "swapped"
    REFUSED = "refused"
    NO_PRODUCTION = "no_production"
    UNAVAILABLE = "unavailable"
    FAILED = "failed"


TROUBLE = (Outcome.UNAVAILABLE, Outcome.FAILED)


@dataclass(frozen=True, slots=True)
class Poll:
    """The last look at the registry."""

    outcome: Outcome
    detail: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Stint:
    """A version that served, and for how long."""

    version: str
    engine: str
    origin: Origin
    since: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A version that is in Production and must not be served."""

    version: ModelVersion
    release: Release | None
    error: RefusedError
    at: datetime
    retry_at: float
    """On the clock of `time.monotonic`."""
