"""Tables in CSV: UTF-8, commas, a header with the names of the features in any order."""

import csv
from collections.abc import Iterable, Iterator
from io import TextIOWrapper
from itertools import islice
from typing import IO

import numpy as np

from contract.manifest import Contract
from serving.codecs.base import Predictions, Values, outside_names, table_columns
from serving.codecs.errors import Invalid, InvalidError, listed, problem, shown

CHUNK_ROWS = 8192
MAX_LINE = 64 * 1024
"""Characters; without a limit one endless line would fill the memory."""


class CsvCodec:
    """CSV, for one model version."""

    def __init__(self, contract: Contract, version: str) -> None:
        self._names = [feature.name for feature in contract.features]
        self._species = contract.species
        self._version = version

    def decode(self, body: IO[bytes]) -> Iterator[Values]:
        """Read the rows, some thousands at a time; see `Codec.decode`."""
        reader = csv.reader(_lines(TextIOWrapper(body, "utf-8-sig", newline="")), strict=True)
        try:
            order = self._order(next(reader, []))
            first = 0
            rows = self._rows(reader)
            while chunk := list(islice(rows, CHUNK_ROWS)):
                yield _numbers(chunk, first)[:, order]
                first += len(chunk)
        except (csv.Error, UnicodeDecodeError) as error:
            raise InvalidError(problem("csv_invalid", f"the body isn't CSV: {error}")) from error

    def encode(self, answers: Iterable[Predictions]) -> Iterator[bytes]:
        """Write a row for each row of the request; see `Codec.encode`."""
        yield (",".join(table_columns(self._species)) + "\n").encode()
        for answer in answers:
            outside = outside_names(self._names, answer.outside)
            columns = (answer.labels.tolist(), answer.probabilities.tolist(), outside)
            lines = [
                f"{label},{self._species[label]},{','.join(map(repr, probabilities))},{names},{self._version}\n"
                for label, probabilities, names in zip(*columns, strict=True)
            ]
            yield "".join(lines).encode()

    def _order(self, header: list[str]) -> list[int]:
        names = [name.strip() for name in header]
        if sorted(names) != sorted(self._names):
            text = f"the header is {shown(','.join(header))}: the columns must be {listed(self._names)}, in any order"
            raise InvalidError(problem("header", text, "header"))
        return [names.index(name) for name in self._names]

    def _rows(self, reader: Iterable[list[str]]) -> Iterator[list[str]]:
        """Return the rows that aren't empty, after a check of their length."""
        for index, row in enumerate(filter(None, reader)):
            if len(row) != len(self._names):
                text = f"[{index}]: it has {len(row)} values, the header {len(self._names)}"
                raise InvalidError(problem("row", text, index))
            yield row


def _lines(text: TextIOWrapper) -> Iterator[str]:
    while line := text.readline(MAX_LINE):
        if len(line) == MAX_LINE:
            raise csv.Error(f"a line has more than {MAX_LINE} characters")
        if line.count('"') % 2:
            raise csv.Error("a quoted value goes on in the next line")
        yield line


def _numbers(rows: list[list[str]], first: int) -> Values:
    try:
        if "_" in "".join(map("".join, rows)):  # Python reads 1_000 as a number
            raise ValueError
        return np.array(rows, dtype=np.float64)
    except ValueError:
        raise InvalidError(_first_wrong_number(rows, first)) from None


def _first_wrong_number(rows: list[list[str]], first: int) -> Invalid:
    for index, row in enumerate(rows, first):
        for value in row:
            try:
                np.float64(value.replace("_", "?"))
            except ValueError:
                return problem("float_parsing", f"[{index}]: {shown(value)} isn't a number", index)
    raise AssertionError("numpy reads each of the values, but not all of them together")
