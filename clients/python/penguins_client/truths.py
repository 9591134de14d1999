"""The truth about predictions."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Truth:
    """The true class of a prediction.

    Attributes:
        prediction_id: of the answer; of a row of a list or table `id/index`.
        class_name: the true class.
        at: time with its zone from which this is known; None for now. Of several, the latest holds.
        who: who says so.
    """

    prediction_id: str
    class_name: str | int | bool
    at: datetime | None = None
    who: str | None = None

    def content(self) -> dict[str, Any]:
        """Return it as the service takes it.

        Raises:
            ValueError: its time has no zone.
        """
        if self.at is not None and self.at.tzinfo is None:
            raise ValueError(f"{self.at} has no zone: use datetime.now(UTC) or the like")
        content = {"prediction_id": self.prediction_id, "class": self.class_name, "who": self.who}
        content["at"] = self.at.isoformat() if self.at else None
        return {name: value for name, value in content.items() if value is not None}


def contents(truths: Truth | Iterable[Truth]) -> list[dict[str, Any]]:
    """Return truths as the service takes them."""
    return [truth.content() for truth in ([truths] if isinstance(truths, Truth) else truths)]
