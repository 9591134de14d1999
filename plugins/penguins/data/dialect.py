"""The separator and the decimal mark of text files."""

import codecs
import csv
import gzip
import re
import zlib
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Final

from contract.schema import DataContract
from penguins.data.header import required_columns

_SEPARATORS: Final = (",", ";", "\t", "|")
_SHOWN: Final = {"\t": "\\t"}
_BYTES: Final = 65_536  # that are looked at
_ROWS: Final = 20
DECIMAL_COMMA: Final = re.compile(r"\s*[-+]?\d*,\d+\s*")


def separator_of(path: Path) -> str:
    """Return the separator that the name of a file stands for."""
    return "\t" if ".tsv" in [suffix.lower() for suffix in path.suffixes[-2:]] else ","


def describe_other(path: Path, contract: DataContract, separator: str) -> str:
    """Say by which separator and decimal mark a file would have the contract's columns; empty if by this one, or none.

    The sentence begins with a blank, for a message.
    """
    with suppress(OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error):
        lines = first_lines(path)
        for other in _SEPARATORS:
            rows = list(islice(csv.reader(lines, delimiter=other), _ROWS + 1))
            if other != separator and rows and set(required_columns(contract)) <= set(rows[0]):
                return _describe(other, _has_decimal_commas(rows, contract))
    return ""


def first_lines(path: Path) -> list[str]:
    """Return the lines at the begin of a file of text that aren't empty; the last may be cut off.

    Raises:
        OSError, EOFError, zlib.error, UnicodeDecodeError: the file is damaged, or no text in UTF-8.
    """
    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
        content = file.read(_BYTES)
    text = codecs.getincrementaldecoder("utf-8-sig")().decode(content)  # the last character may be cut off, too
    return list(filter(None, text.splitlines()))


def _has_decimal_commas(rows: Sequence[Sequence[str]], contract: DataContract) -> bool:
    numbers = {column.name for column in contract.columns if column.type == "number"}
    places = [place for place, name in enumerate(rows[0]) if name in numbers]
    texts = [row[place] for row in rows[1:] for place in places if place < len(row)]
    return any(map(DECIMAL_COMMA.fullmatch, texts))


def _describe(separator: str, decimal_commas: bool) -> str:
    shown = _SHOWN.get(separator, separator)
    commas, mark = (" with decimal commas", ' and decimalMark: ","') if decimal_commas else ("", "")
    return f' The file looks like `{shown}`{commas}: set separator: "{shown}"{mark} in the contract.'
