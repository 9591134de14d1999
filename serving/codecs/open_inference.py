"""Requests and answers of the Open Inference Protocol, version 2: JSON, and binary tensors behind it."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from contract.manifest import Contract
from serving.codecs.base import Row, Values
from serving.codecs.columns import checked
from serving.codecs.errors import InvalidError, TooManyRowsError, listed, problem, shown
from serving.codecs.fields import Field, Fields
from serving.codecs.json_rows import UNREADABLE
from serving.codecs.nan import without_nan
from serving.codecs.outputs import ANY_NUMBER, Outputs, Wanted
from serving.codecs.tensors import BOOL, BYTES, NONE, Input, column, is_there, matrix, refuse


class _OutputParameters(msgspec.Struct):
    binary_data: bool = False
    classification: int = 0
    shared_memory_region: msgspec.Raw = NONE


class _Output(msgspec.Struct):
    name: str
    parameters: _OutputParameters = msgspec.field(default_factory=_OutputParameters)


class _RequestParameters(msgspec.Struct):
    binary_data_output: bool = False


class _Request(msgspec.Struct):
    inputs: list[Input]
    id: str | None = None
    outputs: list[_Output] | None = None
    parameters: _RequestParameters | None = None


_decode = msgspec.json.Decoder(_Request).decode
_encode = msgspec.json.Encoder().encode


class OpenInferenceCodec:
    """The protocol, for one model version."""

    def __init__(self, fields: Fields, contract: Contract, name: str, version: str) -> None:
        """Take the fields of a contract, and the name and the version of the registered model."""
        self._fields = fields
        self.outputs = Outputs(contract, name, version)

    @property
    def inputs(self) -> list[dict[str, Any]]:
        """Return the description of the inputs: a column for each field."""
        return [{"name": field.name, "datatype": _datatype(field), "shape": [ANY_NUMBER]} for field in self._fields.all]

    def read(self, body: bytes, head_bytes: int | None, max_rows: int) -> tuple[Row | Values, Wanted]:
        """Read the one row, or the rows, and the form of the answer.

        Args:
            head_bytes: length of the JSON before binary tensors; None if all of the body is JSON.

        Raises:
            InvalidError: the body isn't one of the protocol's, or the model doesn't accept a row.
            TooManyRowsError: there are more than `max_rows`.
        """
        if head_bytes is not None and head_bytes > len(body):
            text = f"Inference-Header-Content-Length is {head_bytes}, and the body has {len(body)} bytes"
            raise InvalidError(problem("length", text))
        found = _decoded(body if head_bytes is None else body[:head_bytes])
        binaries = _binaries(found.inputs, memoryview(body)[len(body) if head_bytes is None else head_bytes :])
        rows = self._rows(found.inputs)
        if rows > max_rows:
            raise TooManyRowsError
        values = self._values(found.inputs, binaries, rows)
        wanted = Wanted(found.id, self._wanted(found))
        if rows == 1:
            row = tuple(values[0].tolist())
            if self._fields.accept(row):
                return row, wanted
        return checked(self._fields, values), wanted

    def _rows(self, inputs: Sequence[Input]) -> int:
        """Return the number of rows that the shapes tell."""
        if not inputs:
            raise InvalidError(problem("missing", f"there are no inputs: needed are {listed(self._fields.names)}"))
        shape = inputs[0].shape
        rows = shape[0] if shape else 0
        if rows < 1:
            refuse(inputs[0].name, f"its shape is {shown(shape)}: the first number is that of the rows, 1 or more")
        return rows

    def _values(self, inputs: Sequence[Input], binaries: Sequence[memoryview | None], rows: int) -> Values:
        by_name = {tensor.name: (tensor, binary) for tensor, binary in zip(inputs, binaries, strict=True)}
        if len(by_name) < len(inputs):
            raise InvalidError(problem("tensor", "two inputs have the same name"))
        unknown = [name for name in by_name if name not in self._fields.by_name]
        if len(inputs) == 1 and unknown and all(field.is_numeric for field in self._fields.all):
            return matrix(inputs[0], binaries[0], rows, len(self._fields.all))
        if unknown:
            known = f"the inputs of the model are {listed(self._fields.names)}"
            refuse(unknown[0], f"{known}, or all of them in one matrix if they are numbers")
        found = []
        for field in self._fields.all:
            if given := by_name.get(field.name):
                found.append(column(field, *given, rows))
            elif field.is_optional:
                found.append(np.full(rows, field.missing))
            else:
                refuse(field.name, f"the input is missing: {field.allowed}")
        return np.stack(found, axis=1)

    def _wanted(self, found: _Request) -> dict[str, bool]:
        if not found.outputs:
            return dict.fromkeys(self.outputs.names, bool(found.parameters and found.parameters.binary_data_output))
        for output in found.outputs:
            if output.name not in self.outputs.names:
                refuse(output.name, f"the outputs of the model are {listed(self.outputs.names)}")
            if output.parameters.classification or is_there(output.parameters.shared_memory_region):
                refuse(output.name, "neither classification nor shared memory is supported")
        return {output.name: output.parameters.binary_data for output in found.outputs}


def _decoded(head: bytes) -> _Request:
    try:
        return _decode(head)
    except UNREADABLE:
        try:
            return _decode(without_nan(head))
        except RecursionError:
            text = "too many brackets within brackets"
        except UNREADABLE as error:
            text = str(error)
    raise InvalidError(problem("json_invalid", f"the request isn't one of the protocol: {text}"))


def _binaries(inputs: Sequence[Input], rest: memoryview) -> list[memoryview | None]:
    """Return the binary part of each input, of those that have one."""
    total = sum(tensor.binary_size or 0 for tensor in inputs)
    if total != len(rest):
        text = f"the inputs have {total} bytes of binary data, and {len(rest)} follow the JSON"
        raise InvalidError(problem("length", f"{text}: Inference-Header-Content-Length is the JSON's length"))
    found: list[memoryview | None] = []
    place = 0
    for tensor in inputs:
        size = tensor.binary_size
        found.append(None if size is None else rest[place : place + size])
        place += size or 0
    return found


def _datatype(field: Field) -> str:
    """Return the datatype in which a field is described; others that can mean its values are read, too."""
    if field.is_numeric and not field.is_whole:
        return "FP64"
    if field.feature.type == "boolean":
        return BOOL
    if any(isinstance(value, str) for value in field.codes):
        return BYTES
    return "FP64" if field.is_optional else "INT64"  # a missing one is NaN
