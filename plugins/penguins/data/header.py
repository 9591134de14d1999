"""Check the columns of a source against a contract, and choose those that are read."""

import difflib
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from contract.schema import DataContract
from penguins.errors import UserError

log = logging.getLogger(__name__)

MAX_NAMES: Final = 10  # names of columns in a message, and the characters of each
MAX_NAME_LENGTH: Final = 50


def required_columns(contract: DataContract) -> tuple[str, ...]:
    """Return the names of the columns that a source must have: target, features, and others that are required."""
    targets = (column.name for column in contract.columns if column.role == "target")  # rows to score have none
    others = (column.name for column in contract.others if column.required)
    return (*targets, *contract.feature_names, *others)


def choose_columns(
    source: str, names: Sequence[str], contract: DataContract, hint: Callable[[], str] = str
) -> list[str]:
    """Return the names of the columns to read, in the order of the source.

    Args:
        source: name of the source, for messages.
        names: of all its columns.
        hint: says how the file could be read otherwise, if columns are missing.

    Raises:
        UserError: a column is missing, or there twice, or unknown to a contract that refuses those.
    """
    required = required_columns(contract)
    optional = tuple(column.name for column in contract.others if not column.required)
    twice = [name for name, count in Counter(names).items() if count > 1 and name in (*required, *optional)]
    if twice:
        raise UserError(f"{source}: the header has {quoted(twice)} more than once. Keep one of them.")
    missing = [name for name in required if name not in names]
    unknown = [name for name in dict.fromkeys(names) if name not in (*required, *optional)]
    refused = unknown if missing or contract.reading.extra_columns == "refuse" else []
    near = _near_names([*missing, *(name for name in optional if name not in names)], unknown)
    if missing or refused:
        wrong = [f"lacks {quoted(missing)}"] * bool(missing) + [f"has unknown {quoted(refused)}"] * bool(refused)
        beside = f"; allowed beside them {quoted(optional)}" if optional else ""
        other = hint() if missing else ""
        raise UserError(
            f"{source}: the header {' and '.join(wrong)}{near}.{other} Required are {quoted(required)}{beside}."
        )
    if unknown:
        log.warning("%s: ignored the columns %s, which aren't in the contract%s", source, quoted(unknown), near)
    return [name for name in names if name not in unknown]


def _near_names(missing: Sequence[str], unknown: Sequence[str]) -> str:
    """Propose names of missing columns for those that are much like them."""
    folded = {name.strip().casefold(): name for name in reversed(unknown)}
    pairs = [
        f"{quoted([folded[close[0]]])} should be {quoted([name])}"
        for name in missing[:MAX_NAMES]
        if (close := difflib.get_close_matches(name.strip().casefold(), list(folded)[:1000], 1, 0.75))
    ]
    return f" (perhaps {', '.join(pairs)})" if pairs else ""


def quoted(names: Sequence[str]) -> str:
    """Return some of the names for a message."""
    shown = [repr(name[:MAX_NAME_LENGTH]) for name in names[:MAX_NAMES]]
    return ", ".join([*shown, f"and {len(names) - MAX_NAMES:,} more"] if names[MAX_NAMES:] else shown)
