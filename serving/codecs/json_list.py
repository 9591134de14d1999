"""Split a JSON list into its elements, one after the other.

Parsing a large list at once would stop all other threads until its end, although its first element may be wrong.
"""

import json
import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

Read = Callable[[bytes], list[Any]]

# Numbers stay text: a conversion would refuse those with thousands of digits.
_decode = json.JSONDecoder(parse_int=str, parse_float=str).raw_decode
_space = re.compile(r"[ \t\n\r]*")


class MalformedError(ValueError):
    """A body isn't a JSON list, or it has too many brackets within brackets."""


def elements(body: bytes, longest: int) -> Iterator[bytes]:
    """Yield each element of a list; of one that has more than `longest` characters, the beginning only.

    Raises:
        MalformedError: the body isn't a JSON list. Elements before that place have been yielded.
    """
    text = body.decode("utf-8", "surrogateescape")
    position = _skip(text, 0)
    if text[position : position + 1] != "[":
        raise MalformedError
    while True:
        position = _skip(text, position + 1)
        part = text[position : position + longest + 1]
        try:
            _, end = _decode(part)
        except RecursionError:
            raise MalformedError from None
        except ValueError:
            if len(part) <= longest:  # it is the rest of the text
                raise MalformedError from None
            end = len(part)
        yield part[:end].encode("utf-8", "surrogateescape")
        position = _skip(text, position + end)
        if text[position : position + 1] != ",":
            break
    if text[position:].rstrip(" \t\n\r") != "]":
        raise MalformedError


def lists(content: bytes, read: Read, read_one: Read, most: int, longest: int) -> list[Any]:
    """Read a list of lists; of more than `most` only one more, for so many objects would stop all other threads.

    Args:
        read, read_one: read all of it, and one of the inner lists.
        longest: most characters of an inner list.

    Raises:
        MalformedError: it isn't a list; also what `read` and `read_one` raise.
    """
    if content.count(b"[") <= most + 1:
        return read(content)
    return [read_one(part) for part in islice(elements(content, longest), most + 1)]


def _skip(text: str, position: int) -> int:
    found = _space.match(text, position)
    return found.end() if found else position
