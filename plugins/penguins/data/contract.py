"""The penguins' contract without the settings that override it, read from its file when a name is asked for."""

from functools import cache
from typing import Any

from contract.schema import DataContract
from penguins import contracts


@cache
def _penguins() -> DataContract:
    return contracts.read(contracts.ROOT / "contracts" / "penguins.yaml")


def __getattr__(name: str) -> Any:
    contract = _penguins()
    values = {"PENGUINS": contract, "FEATURE_NAMES": contract.feature_names, "SPECIES": contract.classes}
    if name not in values:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return values[name]
