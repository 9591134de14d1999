"""How the model of a contract is watched at work."""

import re
from datetime import timedelta
from typing import Annotated, Final

from pydantic import Field, field_validator

from contract.part import Part

_UNITS: Final = {"s": "seconds", "min": "minutes", "h": "hours", "d": "days"}
_SHORTEST_WINDOW: Final = timedelta(seconds=10)

Duration = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,4} ?(s|min|h|d)$")]
"""A time such as `20s`, `15min`, `1h` or `7d`."""


class Monitoring(Part):
    """How the model is watched at work, and for which reasons it is trained again."""

    window: Duration = Field(
        default="1h",
        description="Time whose predictions are judged together, such as `20s`, `15min`, `1h` or `1d` "
        "(`PENGUINS_MONITORING_WINDOW`).",
    )
    accuracy_floor: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Accuracy, by the truth, below which there is an alarm (above 0, below 1); without it none "
        "(`PENGUINS_ACCURACY_FLOOR`).",
    )
    new_truth: int | None = Field(
        default=None,
        ge=1,
        description="Number of true classes since the last training from which on there is an alarm; without it none "
        "(`PENGUINS_NEW_TRUTH`).",
    )
    cooldown: Duration = Field(
        default="1d",
        description="Time after an alarm in which no other one of its kind is raised, and after a training for an "
        "alarm in which no alarm starts another one (`PENGUINS_COOLDOWN`).",
    )
    retrain: bool = Field(
        default=True,
        description="Whether an alarm starts a training, whose version the gate judges as any other "
        "(`PENGUINS_RETRAIN`).",
    )
    use_production_rows: bool = Field(
        default=False,
        description="Whether predictions whose true class is known join the training rows "
        "(`PENGUINS_USE_PRODUCTION_ROWS`).",
    )

    @property
    def window_length(self) -> timedelta:
        """Return the length of a window."""
        return length_of(self.window)

    @property
    def cooldown_length(self) -> timedelta:
        """Return the length of the cooldown."""
        return length_of(self.cooldown)

    @field_validator("window")
    @classmethod
    def _check_window(cls, window: str) -> str:
        if length_of(window) < _SHORTEST_WINDOW:
            raise ValueError(f"is shorter than {_SHORTEST_WINDOW.seconds} s, the shortest window")
        return window


def length_of(duration: Duration) -> timedelta:
    """Return a duration as a number of seconds."""
    number, unit = re.fullmatch(r"([0-9]+) ?([a-z]+)", duration).groups()  # type: ignore[union-attr]
    return timedelta(**{_UNITS[unit]: int(number)})
