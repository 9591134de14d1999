"""MLflow's scoring protocol in JSON: the bodies that `mlflow models serve` takes, and its answer.

A body has one of the keys in `FORMS`. As in MLflow, other keys are ignored, such as `params` for a model
that takes none, and so are columns that the model hasn't. Values are those of the contract, checked as everywhere.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final, NoReturn, TypeVar

import msgspec
import numpy as np

from serving.codecs.base import Prediction, Predictions, Row, Values
from serving.codecs.codec import TableCodec
from serving.codecs.columns import checked, encode, encode_row
from serving.codecs.errors import InvalidError, listed, problem, shown
from serving.codecs.fields import Fields, UnknownError
from serving.codecs.json_list import MalformedError, elements, lists
from serving.codecs.json_rows import FIELD_BYTES, MAX_ROW_BYTES, UNREADABLE, JsonRows
from serving.codecs.nan import without_nan

FORMS: Final = ("dataframe_split", "dataframe_records", "instances", "inputs")

Scalar = int | float | str | bool | None
Read = TypeVar("Read")

_NONE: Final = msgspec.Raw()
_BEGIN = re.compile(rb"[ \t\r\n]*(.)[ \t\r\n]*(.?)", re.DOTALL)


class _Body(msgspec.Struct):
    dataframe_split: msgspec.Raw = _NONE
    dataframe_records: msgspec.Raw = _NONE
    instances: msgspec.Raw = _NONE
    inputs: msgspec.Raw = _NONE


class _Split(msgspec.Struct, forbid_unknown_fields=True):
    data: msgspec.Raw
    columns: list[Scalar] | None = None
    index: msgspec.Raw = _NONE
    """Ignored, as it has nothing to do with the answer."""


_body = msgspec.json.Decoder(_Body).decode
_split = msgspec.json.Decoder(_Split).decode
_columns = msgspec.json.Decoder(dict[str, list[Scalar] | Scalar]).decode
_lists = msgspec.json.Decoder(list[list[Scalar]]).decode
_scalars = msgspec.json.Decoder(list[Scalar]).decode
_object = msgspec.json.Decoder(dict[str, Any]).decode


class ScoringCodec:
    """The protocol, for one model version."""

    def __init__(self, fields: Fields) -> None:
        self._fields = fields
        self._rows = JsonRows(fields, refuse_unknown=False)
        self._longest = max(MAX_ROW_BYTES, FIELD_BYTES * len(fields.all))

    def read(self, body: bytes, max_rows: int) -> Row | Values:
        """Read the one row, or the rows; of a list with more than `max_rows` perhaps not all.

        Raises:
            InvalidError: the body isn't one of the protocol's, or the model doesn't accept a row.
        """
        try:
            found = _body(body)
        except UNREADABLE:
            found = _read(_body, without_nan(body), "the body")
        form, content = _form(found)
        if form == "dataframe_records":
            return self._records(form, content, max_rows)
        if form == "dataframe_split":
            return self._split(form, content, max_rows)
        first, second = _begin(content)
        if first == b"{":
            return self._columns(form, content)
        if second == b"{":
            return self._records(form, content, max_rows)
        if first == b"[" and second != b"[" and len(self._fields.all) == 1:
            values = _read(_scalars, content, form)
            return encode(self._fields, {self._fields.names[0]: values}, len(values))
        return self._by_position(form, self._lists(form, content, max_rows))

    @staticmethod
    def write(answer: Prediction | Predictions) -> bytes:
        """Write the labels as MLflow does, to the byte."""
        if isinstance(answer, Prediction):
            return b'{"predictions": [%d]}' % answer.label
        return b'{"predictions": [%b]}' % _listed_labels(answer)

    def _records(self, form: str, content: msgspec.Raw, max_rows: int) -> Row | Values:
        try:
            found = self._rows.decode(content)
            if found == []:
                return encode(self._fields, dict.fromkeys(self._fields.names, ()), 0)
            if isinstance(found, list) and len(found) == 1:
                row = self._rows.row(found[0])
                if self._fields.accept(row):
                    return row
            elif isinstance(found, list):
                values = self._rows.table(found)
                if self._fields.usable(values).all():
                    return values
        except (*UNREADABLE, UnknownError):
            pass  # reading one by one finds the row, and tells what is wrong with it
        return self._one_by_one(form, bytes(content), max_rows)

    def _one_by_one(self, form: str, content: bytes, max_rows: int) -> Values:
        """Read rows up to the first that is wrong."""
        try:
            rows = enumerate(islice(elements(content, self._longest), max_rows + 1))
            values = [encode_row(self._fields, self._object(row, index), index) for index, row in rows]
        except MalformedError:
            _refuse(form, "it isn't a list of objects, one for each row")
        return checked(self._fields, np.array(values, dtype=np.float64))

    def _object(self, row: bytes, index: int) -> dict[str, Any]:
        if len(row) > self._longest:
            text = f"[{index}]: more than {self._longest} bytes are too many for one {self._fields.noun}"
            raise InvalidError(problem("too_long", text, index))
        return _read(_object, row, f"[{index}]")

    def _lists(self, form: str, content: msgspec.Raw, max_rows: int) -> list[list[Scalar]]:
        try:
            return lists(bytes(content), _lists, _scalars, max_rows, self._longest)
        except MalformedError:
            _refuse(form, "its data aren't a list of lists")
        except UNREADABLE as error:
            _refuse(form, str(error))

    def _split(self, form: str, content: msgspec.Raw, max_rows: int) -> Row | Values:
        found = _read(_split, content, form)
        data = self._lists(form, found.data, max_rows)
        if found.columns is None:
            return self._by_position(form, data)
        if twice := [name for name, number in Counter(found.columns).items() if number > 1]:
            _refuse(form, f"a column is there twice: {shown(twice[0])}")
        return self._from_rows(form, [str(name) for name in found.columns], data)

    def _by_position(self, form: str, rows: list[list[Scalar]]) -> Row | Values:
        """Read rows without names: they are safe to tell apart only where all values are numbers."""
        if not all(field.is_numeric for field in self._fields.all):
            _refuse(form, f"its values have no names: name the columns, {listed(self._fields.names)}")
        return self._from_rows(form, self._fields.names, rows)

    def _from_rows(self, form: str, names: Sequence[str], rows: list[list[Scalar]]) -> Row | Values:
        for index, row in enumerate(rows):
            if len(row) != len(names):
                _refuse(form, f"[{index}] has {len(row)} values, and there are {len(names)} columns", index)
        known = {name: place for place, name in enumerate(names) if name in self._fields.by_name}
        columns = {name: [row[place] for row in rows] for name, place in known.items()}
        return encode(self._fields, columns or dict.fromkeys(names, ()), len(rows))

    def _columns(self, form: str, content: msgspec.Raw) -> Row | Values:
        found = _read(_columns, content, form)
        known = {name: values for name, values in found.items() if name in self._fields.by_name}
        lengths = {len(values) for values in known.values() if isinstance(values, list)} or {1}
        if len(lengths) > 1:
            _refuse(form, "its columns haven't all the same number of values")
        number = lengths.pop()
        # As in pandas a single value is that of all rows.
        columns = {name: values if isinstance(values, list) else [values] * number for name, values in known.items()}
        return encode(self._fields, columns or dict.fromkeys(found, ()), number)


class ScoredTable:
    """A table in, MLflow's answer out."""

    def __init__(self, codec: TableCodec) -> None:
        """Take the codec that reads the table."""
        self.fields, self.decode = codec.fields, codec.decode

    def encode(self, answers: Iterable[Predictions]) -> Iterator[bytes]:
        """Write the labels, some thousands at a time; see `TableCodec.encode`."""
        separator = b'{"predictions": ['
        for answer in answers:
            yield separator + _listed_labels(answer)
            separator = b", "
        yield b"]}"


def _listed_labels(answer: Predictions) -> bytes:
    return ", ".join(map(str, answer.labels.tolist())).encode()


def _form(body: _Body) -> tuple[str, msgspec.Raw]:
    """Return the form of a body, and the data in it."""
    parts = [(form, content) for form in FORMS if len(memoryview(content := getattr(body, form)))]
    if len(parts) != 1:
        found = f"it has {listed([form for form, _ in parts])}" if parts else "it has none of them"
        text = f"the body must be a JSON object with exactly one of {listed(FORMS)}: {found}"
        raise InvalidError(problem("form", text))
    return parts[0]


def _begin(content: msgspec.Raw) -> tuple[bytes, bytes]:
    """Return the first two characters that aren't blank."""
    found = _BEGIN.match(memoryview(content))
    return (found[1], found[2]) if found else (b"", b"")


def _read(read: Callable[[msgspec.Raw | bytes], Read], content: msgspec.Raw | bytes, place: str) -> Read:
    try:
        return read(content)
    except RecursionError:
        _refuse(place, "too many brackets within brackets")
    except UNREADABLE as error:
        _refuse(place, str(error))


def _refuse(place: str, reason: str, *where: int) -> NoReturn:
    raise InvalidError(problem("form", f"{place}: {reason}", *where))
