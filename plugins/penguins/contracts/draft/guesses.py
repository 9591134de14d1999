"""Guess the role, the categories and the limits of each column, each with the reason."""

import math
import re
from dataclasses import dataclass
from typing import Final

from contract.odcs.columns import MAX_CATEGORIES, wrong_category
from contract.part import Scalar
from contract.schema import Category, LogicalType, Role
from penguins.contracts.draft.profile import Profile
from penguins.contracts.draft.table import Table
from penguins.data.header import quoted
from penguins.data.rules import LARGEST
from penguins.errors import UserError

FEWEST_ROWS: Final = 3
"""Rows that a class needs: one to judge by, and two to learn from."""

_MAX_TEXTS: Final = 50
_MIN_ROWS: Final = 20  # a table with fewer has constants, counts and copies of the target by chance
_MAX_DECIMALS: Final = 6
_ID: Final = re.compile(r"(.*[^a-z])?(id|uuid|guid|key|nr|no|number|index)|.*[a-z](Id|ID)")
_UNIT: Final = re.compile(r".*[_ (](mm|cm|m|km|mg|g|kg|ml|l|ms|s|min|h|usd|eur|percent|years)\)?", re.IGNORECASE)


@dataclass(frozen=True)
class Guess:
    """A column of the draft.

    Attributes:
        reason: why its role and its type were guessed.
        categories: with the number of their rows.
        limits: plausible minimum and maximum.
        example: the most frequent value, or the median of numbers; None for none.
    """

    name: str
    type: LogicalType
    role: Role
    reason: str
    required: bool = False
    categories: dict[Category, int] | None = None
    limits: tuple[float, float] | None = None
    unit: str = ""
    decimals: int | None = None
    example: Scalar | None = None


def guess_target(table: Table) -> Guess:
    """Guess the classes of the target.

    Raises:
        UserError: it can't be a target.
    """
    profile = table.target
    name, rows = f"TARGET {profile.name!r}", profile.rows - profile.missing
    kind: LogicalType = "boolean" if profile.type == "boolean" else "integer" if profile.is_whole else "string"
    if profile.unusable:
        raise UserError(f"{name}: {profile.unusable}")
    if rows == 0:
        raise UserError(f"{name}: no row has a value.")
    if (profile.type == "number" and kind != "integer") or (
        kind == "integer" and len(profile.texts) > max(_MAX_TEXTS, rows / 5)
    ):
        raise UserError(
            f"{name} has {_many(profile)} different numbers: to predict a number is regression, which isn't there "
            "yet. Choose a column of classes, or write classes such as low and high into a column of their own."
        )
    if not profile.has_all_texts:
        raise UserError(f"{name} has more than {MAX_CATEGORIES:,} classes. Choose a column with fewer, or join some.")
    classes = _categories(profile, kind)
    if len(classes) < 2:
        raise UserError(f"{name} has one class only, {next(iter(classes))!r}: there is nothing to tell apart.")
    rare = [str(each) for each, count in classes.items() if count < FEWEST_ROWS]
    if rare:
        fewest = min(classes.values())
        raise UserError(
            f"{name}: the class {quoted(rare)} has {fewest} row{'s' * (fewest > 1)}, and {FEWEST_ROWS} are needed: "
            "one to judge by, and two to learn from. Add rows of it, join it with another class, or delete its rows."
        )
    for each in classes:
        if wrong := wrong_category(each):
            raise UserError(f"{name}: the class {str(each)[:50]!r} {wrong}.")
    return Guess(profile.name, kind, "target", f"{len(classes)} classes", required=True, categories=classes)


def guess_column(table: Table, profile: Profile) -> Guess:
    """Guess a column that isn't the target."""
    kind = profile.type
    if why := _reason_to_leave_out(table, profile):
        return Guess(profile.name, kind if kind != "number" else "string", "ignored", why)
    if why := _reason_for_id(profile):
        return Guess(profile.name, "integer" if kind == "integer" else "string", "id", why)
    if kind in ("date", "timestamp"):
        return Guess(profile.name, kind, "time", f"every value is a {kind}; the model can't see one yet")
    required = profile.missing == 0
    missing = "" if required else f"; {profile.missing:,} of {profile.rows:,} rows lack it"
    if kind == "string":
        found = _categories(profile, kind)
        return Guess(
            profile.name,
            kind,
            "feature",
            f"{len(found)} texts{missing}",
            required,
            found,
            example=_most_frequent(found),
        )
    if kind == "boolean":
        is_true = _most_frequent(_categories(profile, kind)) == "true"
        return Guess(profile.name, kind, "feature", f"true and false{missing}", required, example=is_true)
    limits = _room(profile.low, profile.high, kind == "integer")
    reason = f"from {profile.low:g} to {profile.high:g}{missing}"
    unit = found_unit[1] if (found_unit := _UNIT.fullmatch(profile.name)) else ""
    decimals = _decimals(profile, table.reading.decimal_mark) if kind == "number" else None
    example = int(profile.middle) if kind == "integer" else profile.middle
    return Guess(profile.name, kind, "feature", reason, required, None, limits, unit, decimals, example)


def _reason_to_leave_out(table: Table, profile: Profile) -> str:
    kind = profile.type
    if profile.missing == profile.rows:
        return "no row has a value"
    if profile.name in table.twins and profile.rows >= _MIN_ROWS:
        return "each class has one value, and each value one class: a copy of the target, which nobody knows before"
    if len(profile.texts) == 1 and profile.missing == 0:
        return f"every row has {next(iter(profile.texts))[:50]!r}"
    if kind in ("integer", "number") and not (abs(profile.low) <= LARGEST and abs(profile.high) <= LARGEST):
        return "a number is infinite, or larger than a model can see"
    return ""


def _reason_for_id(profile: Profile) -> str:
    kind, many = profile.type, profile.rows >= _MIN_ROWS
    if kind == "integer" and profile.is_count and many:
        return "the number of the row"
    if kind == "integer" and profile.is_unique and profile.missing == 0 and many and _ID.fullmatch(profile.name):
        return "no value occurs twice, and the name is that of an identifier"
    if kind != "string":
        return ""
    given = profile.rows - profile.missing
    if profile.is_unique and given >= _MIN_ROWS:
        return "no text occurs twice: names of the rows"
    if not profile.has_all_texts or len(profile.texts) > max(_MAX_TEXTS, given / 10):
        return f"{_many(profile)} different texts: names or sentences, and no categories"
    if wrong := next(filter(None, map(wrong_category, profile.texts)), ""):
        return f"a text {wrong}"
    return ""


def _categories(profile: Profile, kind: str) -> dict[Category, int]:
    """Return the values in order, with the number of their rows."""
    if kind != "integer":
        texts = [(text.lower() if kind == "boolean" else text, count) for text, count in profile.texts.items()]
        found: dict[Category, int] = {}
        for text, count in sorted(texts):
            found[text] = found.get(text, 0) + count
        return found
    numbers: dict[int, int] = {}
    for text, count in profile.texts.items():
        value = int(text) if re.fullmatch(r"-?\d+", text) else int(float(text))
        numbers[value] = numbers.get(value, 0) + count
    return dict(sorted(numbers.items()))


def _most_frequent(values: dict[Category, int]) -> Category:
    return max(values, key=lambda each: values[each])


def _many(profile: Profile) -> str:
    return f"{len(profile.texts):,}" if profile.has_all_texts else f"more than {MAX_CATEGORIES:,}"


def _room(low: float, high: float, whole: bool) -> tuple[float, float]:
    """Return limits with as much room on both sides as the values span, rounded outwards; not below 0 without need."""
    span = high - low or abs(high) or 1.0
    bottom, top = _outwards(low - span, math.floor), _outwards(high + span, math.ceil)
    if low >= 0:
        bottom = max(bottom, 0.0)
    if high <= 0:
        top = min(top, 0.0)
    if whole:
        bottom, top = math.floor(bottom), math.ceil(top)
    return max(min(bottom, low), -LARGEST), min(max(top, high), LARGEST)


def _outwards(value: float, rounding: object) -> float:
    """Round to two digits."""
    if value == 0 or not math.isfinite(value):
        return value
    digits = math.floor(math.log10(abs(value))) - 1
    step = 10.0**digits
    rounded = rounding(value / step) * step  # type: ignore[operator]
    return float(f"{rounded:.2g}") if math.isfinite(rounded) else value


def _decimals(profile: Profile, mark: str) -> int | None:
    """Return the most digits after the point; None for as many as a measurement hardly has."""
    if any("e" in text.lower() for text in profile.texts):
        return None
    most = max(len(text.partition(mark)[2]) for text in profile.texts)
    return most if most <= _MAX_DECIMALS else None
