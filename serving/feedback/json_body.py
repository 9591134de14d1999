"""Truth in JSON: one object, or a list of them."""

from typing import Any

import msgspec

from serving.codecs.errors import InvalidError, problem, shown
from serving.feedback.truths import FIELDS, Truths, check_fields

_decode = msgspec.json.Decoder().decode


def read_json(body: bytes, truths: Truths) -> None:
    """Add the truths in a body.

    Raises:
        InvalidError: the body isn't JSON, or one of them isn't sound.
    """
    try:
        found: Any = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidError(problem("json_invalid", f"the body isn't JSON: {error}")) from error
    if isinstance(found, list):
        for index, row in enumerate(found):
            _add(row, truths, index)
        if not found:
            raise InvalidError(problem("too_short", "the list is empty"))
    else:
        _add(found, truths)
    truths.check()


def _add(row: Any, truths: Truths, *place: int) -> None:
    if not isinstance(row, dict):
        name = f"[{place[0]}]" if place else "the body"
        text = f"{name} is {shown(row)}: an object with {', '.join(FIELDS)} is needed"
        raise InvalidError(problem("model_type", text, *place))
    truths.add(check_fields(row, *place), *place)
