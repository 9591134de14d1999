"""JSON: one object with a row's values, or a list of such objects.

msgspec reads a list into columns, without an object for each row that the garbage collector would visit. pydantic
reads a body that msgspec refuses once more, row by row up to the first wrong one, and explains that one: explaining
everything in a large body could take all the memory.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

import msgspec
import numpy as np
from pydantic import Field as Limits
from pydantic import TypeAdapter, ValidationError

from contract.manifest import Contract
from serving.codecs.base import Prediction, Predictions, Row, Values
from serving.codecs.errors import InvalidError, problem
from serving.codecs.explain import explain
from serving.codecs.fields import Fields, UnknownError
from serving.codecs.json_list import MalformedError, elements
from serving.codecs.json_rows import FIELD_BYTES, MAX_ROW_BYTES, UNREADABLE, JsonRows
from serving.codecs.row_model import row_model

MAX_WARNINGS = 100
Validated = TypeVar("Validated")

_encode = msgspec.json.Encoder().encode


class JsonCodec:
    """JSON, for one model version."""

    def __init__(self, contract: Contract, version: str) -> None:
        self.fields = fields = Fields(contract)
        self._version = version
        self._key = contract.answer_key
        self._classes = contract.classes
        self._longest = max(MAX_ROW_BYTES, FIELD_BYTES * len(fields.all))
        self._rows = JsonRows(fields)
        self._decode, self._row = self._rows.decode, self._rows.row
        model = row_model(fields)
        self._one: TypeAdapter[Any] = TypeAdapter(model)
        rows: Any = Annotated[list[model], Limits(min_length=1, fail_fast=True)]  # type: ignore[valid-type]
        self._many: TypeAdapter[Any] = TypeAdapter(rows)
        self._probabilities = _probabilities(contract.classes)

    def read(self, body: bytes) -> Row | Values:
        """Read the one row, or all rows of the list.

        Raises:
            InvalidError: the body is no row and no list of rows.
        """
        try:
            found = self._decode(body)
            if not isinstance(found, list):
                row = self._row(found)
                return row if self.fields.accept(row) else self._read_or_explain(body)
            values = self._rows.table(found)
        except (*UNREADABLE, UnknownError):
            return self._read_or_explain(body)
        return values if len(values) and self.fields.usable(values).all() else self._read_or_explain(body)

    def write(self, answer: Prediction | Predictions) -> bytes:
        """Write one object with a list for each field."""
        return _encode(self._object(answer) if isinstance(answer, Prediction) else self._lists(answer))

    def _read_or_explain(self, body: bytes) -> Row | Values:
        if body.lstrip()[:1] != b"[":
            return self._read_row(body)
        try:
            rows = enumerate(elements(body, self._longest))
            return np.array([self._read_row(row, index) for index, row in rows], dtype=np.float64)
        except MalformedError:
            return np.array([*map(self._rows.validated, self._validate(self._many, body))], dtype=np.float64)

    def _read_row(self, body: bytes, *place: int) -> Row:
        if len(body) > self._longest:
            most = f"more than {self._longest} bytes" if place else f"{len(body)} bytes"
            kind = "numbers" if self.fields.are_numbers else "values"
            text = f"{most} are too many for one {self.fields.noun}, which has {len(self.fields.all)} {kind}"
            raise InvalidError(problem("too_long", f"[{place[0]}]: {text}" if place else text, *place))
        return self._rows.validated(self._validate(self._one, body, *place))

    def _validate(self, adapter: TypeAdapter[Validated], body: bytes, *place: int) -> Validated:
        try:
            return adapter.validate_json(body)
        except ValidationError as error:
            raise InvalidError(explain(error, self.fields, *place)) from error

    def _object(self, answer: Prediction) -> dict[str, Any]:
        return {
            "prediction": (answer.label,),
            self._key: (self._classes[answer.label],),
            "probabilities": (self._probabilities(*answer.probabilities),),
            "model_version": self._version,
            "warnings": [self._warning(column, answer.row[column]) for column in answer.outside],
        }

    def _lists(self, answer: Predictions) -> dict[str, Any]:
        labels, places = answer.labels.tolist(), np.argwhere(answer.outside)
        warnings = [
            f"[{row}]: {self._warning(column, float(answer.rows[row, column]))}"
            for row, column in places[:MAX_WARNINGS].tolist()
        ]
        if len(places) > MAX_WARNINGS:
            warnings.append(f"{len(places) - MAX_WARNINGS} more values are outside the ranges seen in training")
        return {
            "prediction": labels,
            self._key: [self._classes[label] for label in labels],
            "probabilities": [*map(self._probabilities, *answer.probabilities.T.tolist())],
            "model_version": self._version,
            "warnings": warnings,
        }

    def _warning(self, column: int, value: float) -> str:
        feature = self.fields.all[column].feature
        low, high = feature.seen
        unit = f" {feature.unit}" if feature.unit else ""
        return f"{feature.name}={value:.10g}{unit} is outside the range seen in training ({low:g} to {high:g}{unit})"


def _probabilities(classes: Sequence[str]) -> Callable[..., Any]:
    """Return what makes an object of the classes' probabilities, the fastest that can have their names."""
    names = {f"c{index}": name for index, name in enumerate(classes)}
    try:
        return msgspec.defstruct("Probabilities", [(name, float) for name in names], rename=names, gc=False)
    except ValueError:  # a name with a quote or a backslash
        return lambda *values: dict(zip(classes, values, strict=True))
