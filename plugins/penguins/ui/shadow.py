"""The version in the shadow against the champion, as the latest look saw them."""

from datetime import datetime
from typing import Any

from psycopg import Connection
from pydantic import BaseModel

from contract.schema import DataContract
from penguins.monitoring import shadow_looks
from penguins.promotion import audit


class Shadow(BaseModel):
    """A version that answers, or answered, in the shadow.

    Attributes:
        now: whether it is there still.
        required: predictions that the contract requires.
        numbers: answers of both to the same rows, as `penguins.monitoring.real_traffic` counts them; empty before the
            first look.
    """

    version: str
    champion: str
    since: datetime
    now: bool
    required: int
    looked_at: datetime | None = None
    outcome: str = ""
    reason: str
    numbers: dict[str, Any] = {}


def read_shadow(connection: Connection[Any], contract: DataContract) -> Shadow | None:
    """Read the latest look at a version in the shadow; None if there never was one."""
    required = contract.training.shadow_predictions
    entry = audit.in_shadow(audit.trail(connection, contract.training.registered_model))
    look = shadow_looks.latest(connection, contract.name)
    if entry and (look is None or look.version != entry.to_version or look.since < entry.at):
        return Shadow(
            version=entry.to_version,
            champion=entry.from_version or "",
            since=entry.at,
            now=True,
            required=required,
            reason=entry.reason,
        )
    return None if look is None else Shadow(**vars(look), now=entry is not None, required=required)
