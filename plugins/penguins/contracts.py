"""The data contracts that the pipeline works by."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from contract.schema import DataContract
from penguins.data.contract import PENGUINS
from penguins.errors import UserError
from penguins.settings import settings

DEFAULT: Final = PENGUINS.name
"""Name of the contract where none is chosen."""

_OVERRIDES: Final = {
    "schedule": "schedule",
    "data_source": "source",
    "model_name": "registered_model",
    "experiment": "experiment",
    "max_rejected_share": "max_rejected_share",
    "min_accuracy": "min_accuracy",
    "max_p_value": "max_p_value",
    "max_recall_drop": "max_recall_drop",
}
"""Fields of the settings, and those of the penguins' training that they replace."""


@dataclass(frozen=True)
class Contracts:
    """All contracts.

    Attributes:
        good: contract by name.
        broken: message by name.
    """

    good: Mapping[str, DataContract]
    broken: Mapping[str, str]


def find(name: str = DEFAULT) -> DataContract:
    """Return a contract by its name.

    Raises:
        UserError: there is no such contract.
    """
    if name != PENGUINS.name:
        raise UserError(f"there is no contract {name!r}; there are: {PENGUINS.name}")
    given = settings().model_fields_set
    values = {field: getattr(settings(), key) for key, field in _OVERRIDES.items() if key in given}
    return PENGUINS.model_copy(update={"training": PENGUINS.training.model_copy(update=values)})


def read_all() -> Contracts:
    """Return all contracts."""
    return Contracts({DEFAULT: find(DEFAULT)}, {})
