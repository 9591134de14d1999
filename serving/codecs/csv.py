"""Tables in CSV: UTF-8, commas, a header with the names of the features in any order."""

import csv
from collections.abc import Iterable, Iterator
from io import TextIOWrapper
from itertools import islice
from typing import IO

import numpy as np

from serving.codecs.errors import Invalid, InvalidError, listed, problem, shown
from serving.codecs.measurements import Values
from serving.inference.contract import FEATURES, SPECIES
from serving.inference.prediction import Answer

CHUNK_ROWS = 8192
MAX_LINE = 512

COLUMNS = ["prediction", "species", *(f"probability_{name}" for name in SPECIES)]
COLUMNS += ["outside_training_range", "model_version"]


def read(file: IO[bytes]) -> Iterator[Values]:
    """Read the rows [n, 4], some thousands at a time.

    Raises:
        InvalidError: it isn't such a table.
    """
    reader = csv.reader(_lines(TextIOWrapper(file, "utf-8-sig", newline="")), strict=True)
    try:
        order = _order(next(reader, []))
        first = 0
        complete = _complete(reader)
        while rows := list(islice(complete, CHUNK_ROWS)):
            yield _numbers(rows, first)[:, order]
            first += len(rows)
    except (csv.Error, UnicodeDecodeError) as error:
        raise InvalidError(problem("csv_invalid", f"the body isn't CSV: {error}")) from error


def write(answers: Iterable[Answer], version: str) -> Iterator[bytes]:
    """Write a row for each penguin."""
    yield (",".join(COLUMNS) + "\n").encode()
    for answer in answers:
        columns = (answer.labels.tolist(), answer.probabilities.tolist(), outside_names(answer))
        lines = [
            f"{label},{SPECIES[label]},{','.join(map(repr, probabilities))},{outside},{version}\n"
            for label, probabilities, outside in zip(*columns, strict=True)
        ]
        yield "".join(lines).encode()


def outside_names(answer: Answer) -> list[str]:
    """Return for each penguin the features outside the range seen in training, separated by spaces."""
    names = list(FEATURES)
    texts = [
        " ".join(name for bit, name in enumerate(names) if code >> bit & 1) for code in range(2 ** len(names))
    ]  # fmt: skip
    codes = answer.outside @ (1 << np.arange(len(names)))
    return [texts[code] for code in codes.tolist()]


def _lines(text: TextIOWrapper) -> Iterator[str]:
    """Return the lines; one that goes on for ever must not fill the memory."""
    while line := text.readline(MAX_LINE):
        if len(line) == MAX_LINE:
            raise csv.Error(f"a line has more than {MAX_LINE} characters")
        if line.count('"') % 2:
            raise csv.Error("a quoted value goes on in the next line")
        yield line


def _complete(reader: Iterable[list[str]]) -> Iterator[list[str]]:
    """Return the rows; a line without anything isn't one."""
    for index, row in enumerate(filter(None, reader)):
        if len(row) != len(FEATURES):
            text = f"[{index}]: it has {len(row)} values, the header {len(FEATURES)}"
            raise InvalidError(problem("row", text, index))
        yield row


def _order(header: list[str]) -> list[int]:
    names = [name.strip() for name in header]
    if sorted(names) != sorted(FEATURES):
        text = f"the header is {shown(','.join(header))}: wanted are {listed(FEATURES)}, in any order"
        raise InvalidError(problem("header", text, "header"))
    return [names.index(name) for name in FEATURES]


def _numbers(rows: list[list[str]], first: int) -> Values:
    try:
        if "_" in "".join(map("".join, rows)):  # Python takes 1_000 for a number.
            raise ValueError
        return np.array(rows, dtype=np.float64)
    except ValueError:
        raise InvalidError(_wrong_number(rows, first)) from None


def _wrong_number(rows: list[list[str]], first: int) -> Invalid:
    """Say which value is the first that isn't a number."""
    for index, row in enumerate(rows, first):
        for value in row:
            try:
                np.float64(value.replace("_", "?"))
            except ValueError:
                return problem("float_parsing", f"[{index}]: {shown(value)} isn't a number", index)
    raise AssertionError("numpy reads each of the values, but not all of them together")
