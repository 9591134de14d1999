"""JSON: one object with a row's values, or a list of such objects.

msgspec reads a list into columns, without an object for each row that the garbage collector would visit. pydantic
reads a body that msgspec refuses once more, row by row up to the first wrong one, and explains that one: explaining
everything in a large body could take all the memory.
"""

from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import IO, Annotated, Any, TypeVar

import msgspec
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model

from contract.manifest import Contract
from serving.codecs.base import FLOAT32_OVERFLOW, Prediction, Predictions, Row, Values, usable
from serving.codecs.errors import InvalidError, Units, explain, problem
from serving.codecs.json_list import MalformedError, elements

MAX_WARNINGS = 100
MAX_ROW_BYTES = 16 * 1024
"""A longer object isn't explained any further."""

Validated = TypeVar("Validated")

_encode = msgspec.json.Encoder().encode


def row_model(units: Units, examples: Sequence[Any] = ()) -> type[BaseModel]:
    """Return a pydantic model of one row: numbers only, greater than 0 and finite in float32."""
    fields: dict[str, Any] = {
        name: (float, Field(description=f"{name.removesuffix(f'_{unit}').replace('_', ' ').capitalize()}, in {unit}.",
                            gt=0, lt=FLOAT32_OVERFLOW, allow_inf_nan=False))
        for name, unit in units.items()
    }  # fmt: skip
    settings = ConfigDict(strict=True, extra="forbid", json_schema_extra={"examples": [*examples]})
    return create_model("Measurements", __config__=settings, __doc__="Measurements of one penguin.", **fields)


class JsonCodec:
    """JSON, for one model version."""

    def __init__(self, contract: Contract, version: str) -> None:
        names = [feature.name for feature in contract.features]
        self._version = version
        self._features = contract.features
        self._species = contract.species
        self._units = {feature.name: feature.unit for feature in contract.features}
        row = msgspec.defstruct("Row", [(name, float) for name in names], forbid_unknown_fields=True, gc=False)
        self._decode = msgspec.json.Decoder(row | list[row]).decode  # type: ignore[valid-type]
        self._row: Any = attrgetter(*names)
        self._columns = [attrgetter(name) for name in names]
        model = row_model(self._units)
        self._one: TypeAdapter[Any] = TypeAdapter(model)
        rows: Any = Annotated[list[model], Field(min_length=1, fail_fast=True)]  # type: ignore[valid-type]
        self._many: TypeAdapter[Any] = TypeAdapter(rows)
        self._probabilities = msgspec.defstruct("Probabilities", [(name, float) for name in contract.species], gc=False)

    def decode(self, body: IO[bytes]) -> Iterator[Row | Values]:
        """Read the one row, or all rows of the list; see `Codec.decode`."""
        yield self._read(body.read())

    def encode(self, answers: Iterable[Prediction | Predictions]) -> Iterator[bytes]:
        """Write one object with lists for each field; see `Codec.encode`."""
        for answer in answers:
            yield _encode(self._object(answer) if isinstance(answer, Prediction) else self._lists(answer))

    def _read(self, body: bytes) -> Row | Values:
        try:
            found = self._decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return self._read_or_explain(body)
        if not isinstance(found, list):
            row: Row = self._row(found)
            is_usable = min(row) > 0 and max(row) < FLOAT32_OVERFLOW  # JSON has no NaN
            return row if is_usable else self._read_or_explain(body)
        # Column by column: a tuple for each row would be work for the garbage collector.
        values = np.stack([np.fromiter(map(get, found), np.float64, len(found)) for get in self._columns], axis=1)
        return values if len(values) and usable(values).all() else self._read_or_explain(body)

    def _read_or_explain(self, body: bytes) -> Row | Values:
        if body.lstrip()[:1] != b"[":
            return self._read_row(body)
        try:
            rows = enumerate(elements(body, MAX_ROW_BYTES))
            return np.array([self._read_row(row, index) for index, row in rows], dtype=np.float64)
        except MalformedError:
            return np.array([*map(self._row, self._validate(self._many, body))], dtype=np.float64)

    def _read_row(self, body: bytes, *place: int) -> Row:
        if len(body) > MAX_ROW_BYTES:
            most = f"more than {MAX_ROW_BYTES} bytes" if place else f"{len(body)} bytes"
            text = f"{most} are too many for one penguin, which has {len(self._columns)} numbers"
            raise InvalidError(problem("too_long", f"[{place[0]}]: {text}" if place else text, *place))
        row: Row = self._row(self._validate(self._one, body, *place))
        return row

    def _validate(self, adapter: TypeAdapter[Validated], body: bytes, *place: int) -> Validated:
        try:
            return adapter.validate_json(body)
        except ValidationError as error:
            raise InvalidError(explain(error, self._units, *place)) from error

    def _object(self, answer: Prediction) -> dict[str, Any]:
        return {
            "prediction": (answer.label,),
            "species": (self._species[answer.label],),
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
            "species": [self._species[label] for label in labels],
            "probabilities": [*map(self._probabilities, *answer.probabilities.T.tolist())],
            "model_version": self._version,
            "warnings": warnings,
        }

    def _warning(self, column: int, value: float) -> str:
        feature = self._features[column]
        return (
            f"{feature.name}={value:.10g} {feature.unit} is outside the range seen in training"
            f" ({feature.min:g} to {feature.max:g} {feature.unit})"
        )
