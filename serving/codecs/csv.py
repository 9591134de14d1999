"""Tables in CSV: UTF-8, commas, a header with the names of the features in any order."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from io import TextIOWrapper
from itertools import compress, islice
from typing import IO

import numpy as np

from contract.manifest import Contract
from serving.codecs.base import Predictions, Values, outside_names, table_columns
from serving.codecs.errors import Invalid, InvalidError, listed, problem, shown
from serving.codecs.explain import CATEGORY, wrong_value
from serving.codecs.fields import Field, Fields, UnknownError

CHUNK_ROWS = 8192
MAX_LINE = 64 * 1024
"""Characters; without a limit one endless line would fill the memory."""


class CsvCodec:
    """CSV, for one model version."""

    def __init__(self, contract: Contract, version: str, refuse_unknown: bool = True) -> None:
        """Take the version.

        Args:
            refuse_unknown: whether columns that the model hasn't are an error; else they are ignored.
        """
        self.fields = Fields(contract)
        self._header = table_columns(contract.answer_key, contract.classes)
        self._classes = [_cell(name) for name in contract.classes]
        self._version = version
        self._refuse_unknown = refuse_unknown
        self._is_penguins = contract.name == "penguins"  # a sentence about their numbers stays as it was

    def decode(self, body: IO[bytes]) -> Iterator[Values]:
        """Read the rows, some thousands at a time; see `TableCodec.decode`."""
        reader = csv.reader(lines(TextIOWrapper(body, "utf-8-sig", newline="")), strict=True)
        try:
            header = next(reader, [])
            rows, first = self._rows(reader, len(header)), 0
            names = self._names(header)
            if len(names) < len(header):
                rows = _without_unknown(rows, [self._known(name) in self.fields.by_name for name in header])
            while chunk := list(islice(rows, CHUNK_ROWS)):
                yield self._values(chunk, names, first)
                first += len(chunk)
        except (csv.Error, UnicodeDecodeError) as error:
            raise InvalidError(problem("csv_invalid", f"the body isn't CSV: {error}")) from error

    def encode(self, answers: Iterable[Predictions]) -> Iterator[bytes]:
        """Write a row for each row of the request; see `TableCodec.encode`."""
        yield (",".join(map(_cell, self._header)) + "\n").encode()
        for answer in answers:
            outside = map(_cell, outside_names(self.fields.names, answer.outside))
            columns = (answer.labels.tolist(), answer.probabilities.tolist(), outside)
            written = [
                f"{label},{self._classes[label]},{','.join(map(repr, probabilities))},{names},{self._version}\n"
                for label, probabilities, names in zip(*columns, strict=True)
            ]
            yield "".join(written).encode()

    def _names(self, header: list[str]) -> list[str]:
        """Return the names of the columns, without blanks around them that the fields don't have."""
        names = [self._known(name) for name in header]
        if not self._refuse_unknown:
            names = [name for name in names if name in self.fields.by_name]
        if self.fields.lacking(names):
            found = shown(",".join(header))
            text = f"the header is {found}: the columns must be {listed(self.fields.names)}, in any order"
            raise InvalidError(problem("header", text, "header"))
        return names

    def _known(self, name: str) -> str:
        return name if name in self.fields.by_name else name.strip()

    def _values(self, rows: list[list[str]], names: list[str], first: int) -> Values:
        if self.fields.are_numbers:
            given = None if self._is_penguins else [self.fields.by_name[name] for name in names]
            return _numbers(rows, given, first)[:, [names.index(name) for name in self.fields.names]]
        columns = dict(zip(names, zip(*rows, strict=True), strict=True))
        found = [
            _column(field, columns[field.name], first) if field.name in columns else np.full(len(rows), field.missing)
            for field in self.fields.all
        ]
        return np.stack(found, axis=1)

    def _rows(self, reader: Iterable[list[str]], number: int) -> Iterator[list[str]]:
        """Return the rows that aren't empty, after a check of their length."""
        for index, row in enumerate(filter(None, reader)):
            if len(row) != number:
                text = f"[{index}]: it has {len(row)} values, the header {number}"
                raise InvalidError(problem("row", text, index))
            yield row


def _without_unknown(rows: Iterable[list[str]], is_known: Sequence[bool]) -> Iterator[list[str]]:
    return (list(compress(row, is_known)) for row in rows)


def lines(text: TextIOWrapper) -> Iterator[str]:
    """Yield the lines of a table.

    Raises:
        csv.Error: one is too long, or a quoted value goes on in the next.
    """
    while line := text.readline(MAX_LINE):
        if len(line) == MAX_LINE:
            raise csv.Error(f"a line has more than {MAX_LINE} characters")
        if line.count('"') % 2:
            raise csv.Error("a quoted value goes on in the next line")
        yield line


def _numbers(rows: list[list[str]], fields: Sequence[Field] | None, first: int) -> Values:
    """Read rows of numbers; an error names the field of a wrong one, if they are given."""
    try:
        if "_" in "".join(map("".join, rows)):  # Python reads 1_000 as a number
            raise ValueError
        return np.array(rows, dtype=np.float64)
    except ValueError:
        raise InvalidError(_first_wrong_number(rows, fields, first)) from None


def _first_wrong_number(rows: list[list[str]], fields: Sequence[Field] | None, first: int) -> Invalid:
    for index, row in enumerate(rows, first):
        for place, value in enumerate(row):
            try:
                np.float64(value.replace("_", "?"))
            except ValueError:
                if fields is None:
                    return problem("float_parsing", f"[{index}]: {shown(value)} isn't a number", index)
                text = f"[{index}]: {wrong_value(fields[place], value, 'float_type')}"
                return problem("float_parsing", text, index, fields[place].name)
    raise AssertionError("numpy reads each of the values, but not all of them together")


def _column(field: Field, texts: Sequence[str], first: int) -> Values:
    """Return the numbers [n] of a column; the texts of each category are looked up once."""
    if field.is_numeric:
        texts = ["nan" if field.is_optional and not text.strip() else text for text in texts]
        return _numbers([[text] for text in texts], [field], first)[:, 0]
    known: dict[str, float] = {}
    for text in dict.fromkeys(texts):
        try:
            known[text] = field.code(field.parse(text))
        except UnknownError:
            index = first + texts.index(text)
            message = f"[{index}]: {wrong_value(field, text, CATEGORY)}"
            raise InvalidError(problem(CATEGORY, message, index, field.name)) from None
    return np.array([known[text] for text in texts], dtype=np.float64)


def _cell(text: str) -> str:
    """Return a text as CSV."""
    return '"' + text.replace('"', '""') + '"' if any(special in text for special in ',"\r\n') else text
