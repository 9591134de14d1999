"""Truth in JSON: one object, or a list of them."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from serving.codecs.errors import InvalidError, problem, shown
from serving.codecs.json_list import MalformedError, elements
from serving.feedback.truths import FIELDS, Truths, check_fields

MAX_TRUTH_BYTES: Final = 16 * 1024
"""Longest object: a whole body of brackets within brackets would take all the time and memory to read."""

_decode = msgspec.json.Decoder().decode


def read_json(body: bytes, truths: Truths) -> None:
    """Add the truths in a body.

    Raises:
        InvalidError: the body isn't JSON, or one of them isn't sound.
    """
    body = body.strip(b" \t\r\n")
    if body[:1] != b"[":
        _add(body, truths)
        truths.check()
        return
    for index, part in enumerate(_elements(body)):
        _add(part, truths, index)
    truths.check()


def _elements(body: bytes) -> Iterator[bytes]:
    if not body[1:-1].strip(b" \t\r\n") and body[-1:] == b"]":
        raise InvalidError(problem("too_short", "the list is empty"))
    try:
        yield from elements(body, MAX_TRUTH_BYTES)
    except MalformedError as error:
        raise InvalidError(problem("json_invalid", "the body isn't JSON, or isn't whole")) from error


def _add(part: bytes, truths: Truths, *place: int) -> None:
    name = f"[{place[0]}]" if place else "the body"
    if len(part) > MAX_TRUTH_BYTES:
        text = f"{name} has more than {MAX_TRUTH_BYTES} bytes, which no truth needs: send several in a list"
        raise InvalidError(problem("too_long", text, *place))
    try:
        row: Any = _decode(part)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidError(problem("json_invalid", f"{name} isn't JSON: {error}", *place)) from error
    if not isinstance(row, dict):
        text = f"{name} is {shown(row)}: an object with {', '.join(FIELDS)} is needed"
        raise InvalidError(problem("model_type", text, *place))
    truths.add(check_fields(row, *place), *place)
