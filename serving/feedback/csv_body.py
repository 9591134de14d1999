"""Truth in CSV: UTF-8, commas, a header with the names of the fields in any order."""

import csv
from collections.abc import Iterator
from io import TextIOWrapper
from typing import IO, Any, Final

from serving.codecs.csv import lines
from serving.codecs.errors import InvalidError, listed, problem, shown
from serving.feedback.truths import FIELDS, LINES_IN_BLOCK, OPTIONAL, REQUIRED, Truths

MAX_ROWS: Final = 5_000_000

_ABSENT: Final[dict[str, None]] = dict.fromkeys(OPTIONAL)


class TooManyError(Exception):
    """The table has more rows than it may have."""


def read_csv(body: IO[bytes], truths: Truths) -> Iterator[bytes]:
    """Add the truths in a table, and yield their lines, some at a time; the last ones after all were checked.

    Raises:
        InvalidError: the table isn't CSV, or one of them isn't sound.
        TooManyError: it has too many rows.
    """
    reader = csv.reader(lines(TextIOWrapper(body, "utf-8-sig", newline="")), strict=True)
    try:
        names = _names(next(reader, []))
        for index, row in enumerate(filter(None, reader)):
            if index == MAX_ROWS:
                raise TooManyError(f"the table has more than {MAX_ROWS:,} rows: send several")
            truths.add(_values(names, row, index), index)
            if not len(truths) % LINES_IN_BLOCK:
                yield from truths.take()
    except (csv.Error, UnicodeDecodeError) as error:
        raise InvalidError(problem("csv_invalid", f"the body isn't CSV: {error}")) from error
    if not len(truths):
        raise InvalidError(problem("too_short", "the table has no rows"))
    truths.check()
    yield from truths.take()


def _names(header: list[str]) -> list[str]:
    names = [name.strip() for name in header]
    if not set(REQUIRED) <= set(names) <= set(FIELDS) or len(set(names)) < len(names):
        text = f"the header is {shown(','.join(header))}: the columns must be {listed(REQUIRED)}"
        raise InvalidError(problem("header", f"{text}, and may be {listed(OPTIONAL)}", "header"))
    return names


def _values(names: list[str], row: list[str], index: int) -> dict[str, Any]:
    if len(row) != len(names):
        text = f"[{index}]: it has {len(row)} values, the header {len(names)}"
        raise InvalidError(problem("row", text, index))
    values: dict[str, Any] = _ABSENT | dict(zip(names, row, strict=True))
    if (text := values["row_index"]) is not None:
        values["row_index"] = int(text) if text.isdecimal() and len(text) <= 10 else text or None
    return values
