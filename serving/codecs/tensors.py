"""Tensors of the Open Inference Protocol, in JSON or in the binary extension, as the columns that a model sees.

Whoever sends them chooses shapes and lengths: they are compared with what is there before anything is read.
"""

import struct
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, NoReturn

import msgspec
import numpy as np
from numpy.typing import NDArray

from serving.codecs.base import Values
from serving.codecs.columns import encode_value
from serving.codecs.errors import InvalidError, listed, problem, shown
from serving.codecs.fields import Field
from serving.codecs.json_list import MalformedError, lists
from serving.codecs.json_rows import UNREADABLE

NONE: Final = msgspec.Raw()
BYTES: Final = "BYTES"
BOOL: Final = "BOOL"
_KINDS: Final[dict[str, tuple[Any, str]]] = {
    BOOL: (bool, "?"),
    **{f"UINT{bits}": (int, f"<u{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"INT{bits}": (int, f"<i{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": (float, f"<f{bits // 8}") for bits in (16, 32, 64)},
    BYTES: (str, "O"),
}
"""Datatype → the type of its values in JSON, and of its elements in the binary extension."""


def _decoder(kind: Any) -> Callable[[bytes], list[Any]]:
    decode: Callable[[bytes], list[Any]] = msgspec.json.Decoder(list[kind]).decode
    return decode


_JSON_TYPES: Final = (bool, int, float, str)
_FLAT: Final = {kind: _decoder(kind | None) for kind in _JSON_TYPES}
_NESTED: Final = {kind: _decoder(list[kind | None]) for kind in _JSON_TYPES}  # type: ignore[valid-type]

_LENGTH: Final = struct.Struct("<I")


class InputParameters(msgspec.Struct, gc=False):
    """Parameters of an input; others are ignored."""

    binary_data_size: Annotated[int, msgspec.Meta(ge=0)] | None = None
    shared_memory_region: msgspec.Raw = NONE


class Input(msgspec.Struct, gc=False):
    """A tensor as it stands in a request."""

    name: str
    datatype: str
    shape: list[Annotated[int, msgspec.Meta(ge=0)]]
    parameters: InputParameters | None = None
    data: msgspec.Raw = NONE

    @property
    def binary_size(self) -> int | None:
        """Return the number of its bytes behind the JSON, if it is there."""
        return self.parameters.binary_data_size if self.parameters else None


def is_there(content: msgspec.Raw) -> bool:
    """Return whether a part of a request is there."""
    return len(memoryview(content)) > 0


def refuse(name: str, reason: str) -> NoReturn:
    """Refuse an input.

    Raises:
        InvalidError: always.
    """
    raise InvalidError(problem("tensor", f"{shown(name)}: {reason}", name))


def column(field: Field, tensor: Input, binary: memoryview | None, rows: int) -> Values:
    """Return the numbers [rows] of a field's column.

    Raises:
        InvalidError: it isn't such a column, or a value is none of the field's.
    """
    if tensor.shape not in ([rows], [rows, 1]):
        refuse(tensor.name, f"its shape is {shown(tensor.shape)}: [{rows}] or [{rows}, 1] is needed")
    found = _elements(tensor, binary, rows, 1)
    if field.is_numeric:
        return _numbers(tensor, found)
    known: dict[Any, float] = {}
    return np.array([_code(field, value, index, known) for index, value in enumerate(_listed(found))])


def matrix(tensor: Input, binary: memoryview | None, rows: int, columns: int) -> Values:
    """Return the numbers [rows, columns] of one tensor with all features.

    Raises:
        InvalidError: it isn't such a matrix.
    """
    if tensor.shape != [rows, columns]:
        refuse(tensor.name, f"its shape is {shown(tensor.shape)}: [{rows}, {columns}] is needed")
    return _numbers(tensor, _elements(tensor, binary, rows, columns)).reshape(rows, columns)


def _elements(tensor: Input, binary: memoryview | None, rows: int, columns: int) -> NDArray[Any] | list[Any]:
    """Return the elements of a tensor, as many as its shape has."""
    if tensor.datatype not in _KINDS:
        refuse(tensor.name, f"its datatype is {shown(tensor.datatype)}: {listed(_KINDS)} are known")
    if tensor.parameters and is_there(tensor.parameters.shared_memory_region):
        refuse(tensor.name, "shared memory isn't supported: send the data")
    number, has_json = rows * columns, is_there(tensor.data)
    if (binary is None) != has_json:
        refuse(tensor.name, "it needs either data or the parameter binary_data_size")
    if binary is None:
        return _from_json(tensor, rows, columns)
    if tensor.datatype == BYTES:
        return _texts(tensor, binary, number)
    dtype = np.dtype(_KINDS[tensor.datatype][1])
    if len(binary) != number * dtype.itemsize:
        refuse(tensor.name, f"it has {len(binary)} bytes: {number} of {tensor.datatype} have {number * dtype.itemsize}")
    return np.frombuffer(binary, np.uint8 if tensor.datatype == BOOL else dtype).astype(dtype)


def _from_json(tensor: Input, rows: int, columns: int) -> list[Any]:
    kind, number = _KINDS[tensor.datatype][0], rows * columns
    content = bytes(tensor.data)
    is_nested = content[1:].lstrip()[:1] == b"["
    # Numbers have no commas: so many elements are none that shape and data disagree about.
    if kind is not str and content.count(b",") != number - 1:
        refuse(tensor.name, f"its data haven't {number} elements, as its shape says")
    try:
        found = lists(content, _NESTED[kind], _FLAT[kind], rows, len(content)) if is_nested else _FLAT[kind](content)
    except MalformedError:
        refuse(tensor.name, "its data aren't a list")
    except UNREADABLE as error:
        refuse(tensor.name, f"its data can't be read as {tensor.datatype}: {error}")
    if is_nested:
        if any(len(row) != columns for row in found):
            refuse(tensor.name, f"a row of its data hasn't {columns} elements, as its shape says")
        found = [value for row in found for value in row]
    if len(found) != number:
        refuse(tensor.name, f"its data have {len(found)} elements, and its shape {number}")
    return found


def _texts(tensor: Input, binary: memoryview, number: int) -> list[str]:
    """Return texts, each of which has its length before it."""
    found: list[str] = []
    place, end = 0, len(binary)
    while place < end and len(found) < number:
        if end - place < _LENGTH.size or _LENGTH.unpack_from(binary, place)[0] > end - place - _LENGTH.size:
            refuse(tensor.name, f"element {len(found)} is longer than the rest of its data")
        start = place + _LENGTH.size
        place = start + _LENGTH.unpack_from(binary, place)[0]
        try:
            found.append(str(binary[start:place], "utf-8"))
        except UnicodeDecodeError:
            refuse(tensor.name, f"element {len(found)} isn't UTF-8")
    if place < end or len(found) < number:
        refuse(tensor.name, f"its data haven't {number} elements, as its shape says")
    return found


def _numbers(tensor: Input, found: NDArray[Any] | Sequence[Any]) -> Values:
    if tensor.datatype in (BYTES, BOOL):
        refuse(tensor.name, f"it has {tensor.datatype}: numbers are needed, such as FP64")
    if isinstance(found, np.ndarray):
        return found.astype(np.float64)
    try:
        values = np.array([np.nan if value is None else value for value in found], dtype=np.float64)
    except OverflowError:
        refuse(tensor.name, "one of its numbers is too large")
    _check_range(tensor, values)
    return values


def _check_range(tensor: Input, values: Values) -> None:
    dtype = np.dtype(_KINDS[tensor.datatype][1])
    if dtype.kind in "iu" and ((values < np.iinfo(dtype).min) | (values > np.iinfo(dtype).max)).any():
        refuse(tensor.name, f"one of its numbers isn't {tensor.datatype}")


def _listed(found: NDArray[Any] | list[Any]) -> list[Any]:
    return found.tolist() if isinstance(found, np.ndarray) else found


def _code(field: Field, value: Any, index: int, known: dict[Any, float]) -> float:
    """Return the number of a category or a boolean; each is looked up once."""
    key = type(value), value
    if (code := known.get(key)) is None:
        code = known[key] = encode_value(field, _meant(field, value), index)
    return code


def _meant(field: Field, value: Any) -> Any:
    """Return the value of a category or a boolean that an element of a tensor means."""
    if value is None or value != value:
        return None
    if isinstance(value, str):
        return field.parse(value)
    if field.feature.type == "boolean" and value in (0, 1):
        return bool(value)
    return value
