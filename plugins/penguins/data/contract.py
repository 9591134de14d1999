"""The penguins' contract without the settings that override it, read from its file when a name is asked for."""

from functools import cache
from typing import Any, Final

from contract.schema import DataContract
from penguins import contracts

_NAMES: Final = ("PENGUINS", "FEATURE_NAMES", "SPECIES")


def or_penguins(contract: DataContract | None) -> DataContract:
    """Return a contract, or that of the penguins where none is given."""
    return _penguins() if contract is None else contract


@cache
def _penguins() -> DataContract:
    return contracts.read(contracts.ROOT / "contracts" / "penguins.yaml")


def __getattr__(name: str) -> Any:
    if name not in _NAMES:  # the import system asks for names of its own
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    contract = _penguins()
    return {"PENGUINS": contract, "FEATURE_NAMES": contract.feature_names, "SPECIES": contract.classes}[name]
