"""The rules of one column of a contract file, and its translation."""

import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final, Literal

from contract.odcs.document import Limits, Property
from contract.odcs.shape import Finding, shown
from contract.part import Scalar
from contract.schema import MAX_NAME_BYTES, SOURCE_ROW, Bounds, Column, Role

MAX_CATEGORIES: Final = 1000
MAX_CATEGORY_LENGTH: Final = 200
_MAX_INTEGER: Final = 2**63 - 1
# PostgreSQL has these in every table.
_SYSTEM_COLUMNS: Final = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def translate(given: Property) -> Column:
    """Return the column that an entry without mistakes describes.

    Nothing but the type is checked in a column that the model doesn't use, so that another role is all that leaves a
    column out.
    """
    role = role_of(given)
    used = role in ("feature", "target")
    return Column(
        name=given.name,
        type=given.logical_type,
        role=role,
        required=given.required,
        categories=tuple(each.value for each in given.enum) if used and given.enum else None,  # type: ignore[misc]
        bounds=Bounds(**given.logical_type_options.model_dump()) if used else Bounds(),
        plausible=_plausible(given) if used else Bounds(),
        unit=custom(given, "unit") or "",
        title=given.business_name,
        description=given.description,
        decimals=custom(given, "decimals"),
        examples=given.examples,
        logged=custom(given, "logged") is not False,
    )


def custom(given: Property, name: str) -> Any:
    """Return the value of a custom property, or None."""
    return next((each.value for each in given.custom_properties if each.property == name), None)


def role_of(given: Property) -> Role:
    """Return the role of a column."""
    role: Role = custom(given, "role") or "feature"
    return role


def findings(given: Property) -> Iterator[Finding]:
    """Yield the mistakes in a column whose keys and types are right."""
    if wrong := wrong_name(given.name):
        yield ("name",), wrong
    yield from _check_role(given)
    yield from _check_enum(given)
    yield from _check_limits(given)
    yield from _check_examples(given)
    if custom(given, "logged") is not None and role_of(given) != "feature":
        yield ("customProperties",), "the log has features only: delete logged"
    for name, count in Counter(each.property for each in given.custom_properties).items():
        if count > 1:
            yield ("customProperties",), f"{name} is there {count} times: keep one of them"


def wrong_name(name: str) -> str:
    """Return a sentence if a column can't have this name, or the empty string."""
    if not name.strip() or _CONTROL.search(name):
        return f"{shown(name)} can't be the name of a column: it needs a name without line breaks"
    if (size := len(name.encode())) > MAX_NAME_BYTES:
        return f"{shown(name)} has {size} bytes, and PostgreSQL takes {MAX_NAME_BYTES}: rename it"
    if name == SOURCE_ROW or name in _SYSTEM_COLUMNS:
        return f"{name!r} is a column that each table has of its own: rename yours"
    return ""


def _check_role(given: Property) -> Iterator[Finding]:
    role, kind, place = role_of(given), given.logical_type, ("logicalType",)
    if role == "target":
        if kind == "number":
            yield place, "the target is a number. Regression isn't there yet: a target is text, integer or boolean"
        elif kind in ("date", "timestamp"):
            yield place, f"a {kind} can't be the target: a target is text, integer or boolean"
        elif kind != "boolean" and not given.enum:
            yield place, "the target needs an enum of its classes: add it"
        if not given.required:
            yield (), "the target needs `required: true`: nothing can be learned from a row without a class"
    elif role == "feature":
        if kind in ("date", "timestamp"):
            yield place, f"a {kind} can't be a feature yet: give the column the role time or ignored"
        elif kind == "string" and not given.enum:
            yield place, "a text that the model sees needs an enum of its categories: add it, or give the role ignored"


def _check_enum(given: Property) -> Iterator[Finding]:
    if given.enum is None:
        return
    values, is_target = [each.value for each in given.enum], role_of(given) == "target"
    if given.logical_type not in ("string", "integer"):
        yield ("enum",), f"a {given.logical_type} has no enum: delete it, or make the type string or integer"
        return
    noun = "class" if is_target else "category"
    if len(values) < (fewest := 2 if is_target else 1):
        yield ("enum",), f"{len(values)} values, and at least {fewest} are needed"
    if len(values) > MAX_CATEGORIES:
        yield ("enum",), f"{len(values):,} values, and at most {MAX_CATEGORIES:,} are possible"
    seen = set()
    for at, value in enumerate(values):
        place = ("enum", at, "value")
        if wrong := wrong_value(given.logical_type, value):
            yield place, wrong
        elif value in seen:
            yield place, f"the {noun} {shown(value)} is there twice: delete one of them"
        elif wrong := wrong_category(value):
            yield place, f"the {noun} {shown(value)} {wrong}"
        seen.add(value)


def wrong_category(value: Scalar) -> str:
    """Return the end of a sentence if a value of the right type can't be a category, or the empty string."""
    if isinstance(value, int):
        return "" if abs(value) <= _MAX_INTEGER else "is larger than PostgreSQL's bigint: make the column a string"
    text = str(value)
    if not text or text != text.strip():
        return "is empty, or has blanks at its ends, which reading takes off: write it without them"
    if _CONTROL.search(text):
        return "has a line break or another control character: change it in the table"
    return f"has more than {MAX_CATEGORY_LENGTH} characters" if len(text) > MAX_CATEGORY_LENGTH else ""


def wrong_value(kind: str, value: Scalar) -> str:
    """Return a sentence if a value isn't of a logical type, or the empty string."""
    if kind in ("string", "date", "timestamp") and not isinstance(value, str):
        return f"{shown(value)} isn't a text: put it in quotes"
    if kind == "boolean" and not isinstance(value, bool):
        return f"{shown(value)} isn't a truth value: write true or false"
    if kind == "integer" and (isinstance(value, bool) or not isinstance(value, int)):
        return f"{shown(value)} isn't a whole number: write one, without quotes"
    if kind == "number" and (isinstance(value, bool) or not isinstance(value, int | float)):
        return f"{shown(value)} isn't a number: write one, without quotes"
    return ""


def _check_limits(given: Property) -> Iterator[Finding]:
    options, plausible = given.logical_type_options, _plausible_limits(given)
    is_number = given.logical_type in ("integer", "number") and given.enum is None
    for place, limits in (("logicalTypeOptions", options), ("customProperties", plausible)):
        if limits != Limits() and not is_number:
            yield (place,), "limits are for numbers without an enum: delete them"
        elif wrong := _wrong_order(limits) or (_no_whole(limits) if given.logical_type == "integer" else ""):
            yield (place,), wrong
    if custom(given, "decimals") is not None and given.logical_type != "number":
        yield ("customProperties",), "decimals are for the type number: delete them"


def _plausible_limits(given: Property) -> Limits:
    return Limits(minimum=custom(given, "plausibleMinimum"), maximum=custom(given, "plausibleMaximum"))


def _plausible(given: Property) -> Bounds:
    return Bounds(**_plausible_limits(given).model_dump())


def _wrong_order(limits: Limits) -> str:
    low = [each for each in (limits.minimum, limits.exclusive_minimum) if each is not None]
    high = [each for each in (limits.maximum, limits.exclusive_maximum) if each is not None]
    if not low or not high:
        return ""
    if max(low) > min(high):
        return f"the minimum {max(low):g} is above the maximum {min(high):g}: swap them"
    # One of them is exclusive, and they are equal.
    if max(low) == min(high) and not max(low) == limits.minimum == limits.maximum:
        return f"no number is both above and below {max(low):g}: correct a limit"
    return ""


def _no_whole(limits: Limits) -> str:
    """Return a sentence if no whole number is within limits, or the empty string."""
    low, high = Bounds(**limits.model_dump()).range
    is_possible = not (math.isfinite(low) and math.isfinite(high)) or math.ceil(low) <= math.floor(high)
    return "" if is_possible else "no whole number is within these limits: correct one"


def _check_examples(given: Property) -> Iterator[Finding]:
    if _wrong_order(given.logical_type_options):
        return
    for at, value in enumerate(given.examples):
        if wrong := wrong_value(given.logical_type, value) or _outside(given, value):
            yield ("examples", at), wrong


def _outside(given: Property, value: Any) -> str:
    """Return a sentence if a value of the right type isn't one of the column, or the empty string."""
    if given.enum:
        return "" if value in [each.value for each in given.enum] else f"{shown(value)} isn't in the enum: delete it"
    limits = given.logical_type_options
    inside: dict[Literal["minimum", "maximum", "exclusive_minimum", "exclusive_maximum"], Any] = {
        "minimum": lambda limit: value >= limit,
        "maximum": lambda limit: value <= limit,
        "exclusive_minimum": lambda limit: value > limit,
        "exclusive_maximum": lambda limit: value < limit,
    }
    given_limits = {name: limit for name in inside if (limit := getattr(limits, name)) is not None}
    broken = [name for name, limit in given_limits.items() if not inside[name](limit)]
    return f"{shown(value)} breaks its own {broken[0].replace('_', ' ')}: change one of them" if broken else ""
