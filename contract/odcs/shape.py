"""Say in words where the shape of a contract file is wrong."""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from contract.odcs.document import CUSTOM, PARTS, Document, keys
from contract.odcs.text import Path

Finding = tuple[Path, str]
"""A mistake: the place of the value, and a sentence."""

MAX_LENGTH: Final = 60  # characters of a user's value or key in a message

_ELSEWHERE: Final = {
    "physicalType": "delete it: logicalType decides",
    "primaryKey": "delete it, and give the column the customProperty `role` with the value `id`",
    "physicalName": "delete it: tables are named after the contract",
    "quality": "delete it: rules are required, logicalTypeOptions and enum",
}
_KINDS: Final = {
    "string_type": "a text, in quotes if it looks like a number or a truth value",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "tuple_type": "a list, of lines that begin with `- `",
    "model_type": "keys and values, indented below it",
    "model_attributes_type": "keys and values, indented below it",
    "mapping_type": "keys and values, indented below it",
    "dict_type": "keys and values, indented below it",
}


def findings(data: Any) -> Iterator[Finding]:
    """Yield the mistakes in the keys and types of a file's data, each place once."""
    try:
        Document.model_validate(data, by_alias=True, by_name=False)
    except ValidationError as error:
        seen = set()
        # Of the reasons why none of several types fits, this is the one that helps.
        for detail in sorted(error.errors(include_url=False), key=lambda each: each["type"] != "finite_number"):
            path = _path(data, detail["loc"])
            if path not in seen or detail["type"] == "missing":
                seen.add(path)
                yield path, _sentence(detail)


def shown(value: Any) -> str:
    """Return a user's value as a message shows it."""
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    return repr(value) if len(repr(value)) <= MAX_LENGTH else f"{repr(value)[:MAX_LENGTH]}…"


def printable(text: str) -> str:
    """Return a text with escapes for the characters that a terminal would obey or a database refuse."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def alike(name: str, known: list[str]) -> str:
    """Return a question about the known name that is most like one, or the empty string."""
    folded = {each.lower(): each for each in known}
    found = get_close_matches(name[:50].lower().replace("_", ""), folded, n=1)
    return f": did you mean {folded[found[0]]}?" if found else ""


def _path(data: Any, loc: tuple[str | int, ...]) -> Path:
    """Return the path of an error's place, without the parts that pydantic adds for a choice of types."""
    path: list[str | int] = []
    for part in loc:
        inside = part in data if isinstance(data, dict) else isinstance(data, tuple) and part in range(len(data))
        if inside:
            data = data[part]
            path.append(part)
    return tuple(path)


def _sentence(detail: ErrorDetails) -> str:
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    names = tuple(part for part in detail["loc"] if isinstance(part, str))
    if kind == "extra_forbidden":
        return _unknown_key(names)
    if kind == "missing":
        return f"{names[-1]} is missing: add it"
    if kind == "union_tag_invalid":
        known = list(CUSTOM.get(names, ()))
        name = context["tag"]
        return f"unknown property {shown(name)}{alike(name, known) or '.'} Known are {', '.join(known)}"
    if kind == "union_tag_not_found":
        return "a custom property has two keys, property and value: add the first"
    if value is None:
        return "is empty: give it a value, or delete the line"
    if kind == "literal_error":
        known = context["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        guess = alike(value, known) if isinstance(value, str) else ""
        return f"is {shown(value)}{guess or '.'} Write one of {', '.join(known)}"
    if kind == "string_pattern_mismatch":
        return f"is {shown(value)}: {_PATTERNS[names[-1]]}"
    if kind in _KINDS:
        return f"is {shown(value)}: write {_KINDS[kind]}"
    message = (
        detail["msg"]
        .removeprefix("Value error, ")
        .removeprefix("Input ")
        .removeprefix("Tuple ")
        .removeprefix("String ")
    )
    return f"is {shown(value)}: it {message}"


_PATTERNS: Final = {
    "name": "a contract's name has up to 41 small letters, digits and _, and begins with a letter",
    "registeredModel": "a model's name in MLflow and in addresses has up to 255 of A-Z a-z 0-9 _ . - and blanks within",
    "experiment": "an experiment's name in MLflow has up to 200 of A-Z a-z 0-9 _ . - / and blanks",
    "window": "a time is a number with s, min, h or d behind it, such as 20s, 15min, 1h or 1d",
    "cooldown": "a time is a number with s, min, h or d behind it, such as 30min, 12h or 1d",
}


def _unknown_key(names: tuple[str, ...]) -> str:
    *place, name = names
    part = PARTS.get(tuple(place))
    known = list(keys(part)) if part else ["property", "value"]
    if name in _ELSEWHERE:
        return f"{name} isn't read: {_ELSEWHERE[name]}"
    for other, properties in CUSTOM.items():
        if name in properties:
            return f"{name} doesn't belong here: write it under {'.'.join(other)}, as property and value"
    for other, there in [(other, keys(found)) for other, found in PARTS.items()] if part else ():
        if name in there and other:
            return f"{name} doesn't belong here: write it under {'.'.join(other)}"
    return f"unknown key {shown(name)}{alike(name, known) or '. Known are ' + ', '.join(known)}"
