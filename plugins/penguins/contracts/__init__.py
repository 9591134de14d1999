"""The contracts of the folder `contracts`: each is a file `<name>.yaml`.

Settings of the environment override parts of the contract named `penguins`, and of no other.
"""

import stat
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from contract import odcs
from contract.monitoring import Monitoring
from contract.schema import DataContract
from contract.training import Training
from penguins.errors import UserError
from penguins.settings import ROOT, Settings, settings

__all__ = [
    "DEFAULT",
    "OVERRIDES",
    "ROOT",
    "SUFFIX",
    "Contracts",
    "find",
    "find_distinct",
    "path_of",
    "read",
    "read_all",
]

DEFAULT: Final = "penguins"
SUFFIX: Final = ".yaml"

OVERRIDES: Final[Mapping[str, Mapping[str, str]]] = {
    "training": {
        "schedule": "schedule",
        "data_source": "source",
        "max_rejected_share": "max_rejected_share",
        "experiment": "experiment",
        "model_name": "registered_model",
        "min_accuracy": "min_accuracy",
        "max_p_value": "max_p_value",
        "max_recall_drop": "max_recall_drop",
        "shadow_predictions": "shadow_predictions",
        "shadow_days": "shadow_days",
    },
    "monitoring": {
        "monitoring_window": "window",
        "accuracy_floor": "accuracy_floor",
        "new_truth": "new_truth",
        "cooldown": "cooldown",
        "retrain": "retrain",
        "use_production_rows": "use_production_rows",
    },
}
"""Fields of the settings, and the fields of the parts of the penguins' contract that they override."""


@dataclass(frozen=True)
class Contracts:
    """All contracts of the folder.

    Attributes:
        good: contract by name.
        broken: message by name of the file, without `.yaml`.
    """

    good: Mapping[str, DataContract]
    broken: Mapping[str, str]


def path_of(name: str) -> Path:
    """Return the path of the file of a contract."""
    return settings().contracts_dir / f"{name}{SUFFIX}"


def find(name: str = DEFAULT, *checks: odcs.Check) -> DataContract:
    """Read one contract, and no other.

    Raises:
        UserError: there is none of this name, or it has mistakes; the message has a line for each.
    """
    path = path_of(name)
    if path not in _files():
        known = ", ".join(path.stem for path in _files())
        raise UserError(
            f"there is no contract {name[:50]!r}. Known are {known or 'none'}; they are files in {path_of('').parent}. "
            "`make contract FROM=file.csv TARGET=column` drafts one."
        )
    contract = read(path, *checks)
    return _overridden(contract) if contract.name == DEFAULT else contract


def read(path: Path, *checks: odcs.Check) -> DataContract:
    """Read a contract file, without the settings that override the penguins'.

    Raises:
        UserError: it has mistakes; the message has a line for each.
    """
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):
            raise UserError(f"{path}: isn't a file")
        return _read(path, (state.st_mtime_ns, state.st_size), checks)
    except OSError as error:
        raise UserError(f"{path}: can't be read: {error.strerror}") from error
    except odcs.ContractError as error:
        raise UserError(str(error)) from error


@lru_cache(maxsize=128)
def _read(path: Path, _state: tuple[int, int], checks: tuple[odcs.Check, ...]) -> DataContract:
    """Read a file again only if its time or size has changed: a page asks for all of them at each request."""
    return odcs.read(path, *checks)


def read_all(*checks: odcs.Check) -> Contracts:
    """Read all contracts; those with mistakes harm no other.

    Of contracts with the same model all but one are broken, or each would replace the versions of the other: the
    penguins' stays, or the first in the order of the names. So it is with the same experiment: scheduled runs of two
    contracts have the same id, by which each would discard the candidates of the other.
    """
    good: dict[str, DataContract] = {}
    broken: dict[str, str] = {}
    for path in _files():
        try:
            good[path.stem] = find(path.stem, *checks)
        except UserError as error:
            broken[path.stem] = str(error)
    owners: dict[tuple[str, str], str] = {}
    for name in sorted(good, key=lambda name: (name != DEFAULT, name)):
        training = good[name].training
        own = {"registeredModel": training.registered_model, "experiment": training.experiment}
        wrong = [
            f"{path_of(name)}: its {key} {value!r} is that of the contract {owners[key, value]!r}, too "
            f"({path_of(owners[key, value])}). Write another name."
            for key, value in own.items()
            if (key, value) in owners
        ]
        if wrong:
            del good[name]
            broken[name] = "\n".join(wrong)
        else:
            owners |= dict.fromkeys(own.items(), name)
    return Contracts(good, broken)


def find_distinct(name: str, *checks: odcs.Check) -> DataContract:
    """Read one contract, and check that no other has the same names.

    Raises:
        UserError: as for `find`, or it shares a name.
    """
    contract = find(name, *checks)
    if clash := read_all().broken.get(name):
        raise UserError(clash)
    return contract


def _files() -> list[Path]:
    return sorted(path for path in settings().contracts_dir.glob(f"*{SUFFIX}") if not path.name.startswith("."))


def _overridden(contract: DataContract) -> DataContract:
    given = settings()
    parts: dict[str, Training | Monitoring] = {}
    for part, fields in OVERRIDES.items():
        changes = {field: getattr(given, name) for name, field in fields.items() if name in given.model_fields_set}
        if not changes:
            continue
        before: Training | Monitoring = getattr(contract, part)
        try:
            parts[part] = type(before).model_validate(before.model_dump() | changes)
        except ValidationError as error:
            (first, *_) = error.errors()
            name = next(name for name, field in fields.items() if field == first["loc"][0])
            variable = f"{Settings.model_config.get('env_prefix', '')}{name}".upper()
            raise UserError(f"{variable}: {first['msg']}") from error
    return contract.model_copy(update=parts)
