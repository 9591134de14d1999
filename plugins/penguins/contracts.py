"""The data contracts that the pipeline works by."""

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


def find(name: str) -> DataContract:
    """Return a contract by its name.

    Raises:
        UserError: there is no such contract.
    """
    if name != PENGUINS.name:
        raise UserError(f"there is no contract {name!r}; there are: {PENGUINS.name}")
    values = {
        field: getattr(settings(), key) for key, field in _OVERRIDES.items() if key in settings().model_fields_set
    }
    return PENGUINS.model_copy(update={"training": PENGUINS.training.model_copy(update=values)})
