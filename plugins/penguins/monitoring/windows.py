"""Read the rows of a window from the prediction log, a million of them in seconds."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, LiteralString, NamedTuple

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection
from psycopg import errors as database_errors

from contract.encoding import Matrix
from contract.manifest import Contract

MAX_ROWS: Final = 1_000_000
"""Rows of a window at most; of a larger one as many are drawn at random."""

_VALUE: Final = np.dtype([("size", ">i4"), ("value", ">f4")])
_HEADER_BYTES: Final = 19
_TRAILER_BYTES: Final = 2

_CONDITIONS: Final = "model = %s AND version = %s AND contract = %s AND at >= %s AND at < %s"


class Window(NamedTuple):
    """Rows that a version answered in some time.

    Attributes:
        total: number of rows, of which the others were drawn.
    """

    features: Matrix
    probabilities: Matrix
    total: int


def read_window(
    connection: Connection[Any], contract: Contract, model: str, version: str, since: datetime, until: datetime
) -> Window:
    """Read the rows that a version with this contract answered."""
    values = [model, version, contract.digest, since, until]
    counted = connection.execute(f"SELECT count(*) FROM log.predictions WHERE {_CONDITIONS}", values).fetchone()  # noqa: S608 (constants)
    total = counted[0] if counted else 0
    share = min(1.0, MAX_ROWS / max(total, 1))
    statement: LiteralString = f"""SELECT features, probabilities FROM log.predictions
        WHERE {_CONDITIONS} AND (%s >= 1 OR random() < %s)"""  # noqa: S608 (constants)
    row = np.dtype(
        [
            ("columns", ">i2"),
            ("features", array_of(len(contract.features))),
            ("shares", array_of(len(contract.classes))),
        ]
    )
    rows = read_fixed(connection, statement, [*values, share, share], row)
    features, shares = (rows[name]["values"]["value"].astype(np.float32) for name in ("features", "shares"))
    return Window(features, shares, total)


def read_fixed(
    connection: Connection[Any],
    query: LiteralString,
    values: Sequence[Any] | Mapping[str, Any],
    row: np.dtype[np.void],
) -> NDArray[np.void]:
    """Return the rows of a query on the prediction log, which all have one width: a million in a second."""
    statement: LiteralString = f"COPY ({query}) TO STDOUT (FORMAT BINARY)"
    with connection.cursor() as cursor, cursor.copy(statement, values) as copy:
        content = b"".join(bytes(part) for part in copy)
    number, rest = divmod(len(content) - _HEADER_BYTES - _TRAILER_BYTES, row.itemsize)
    if rest:
        raise database_errors.DataError("rows in log.predictions have another width than their contract")
    return np.frombuffer(content, row, number, _HEADER_BYTES)


def array_of(length: int) -> np.dtype[np.void]:
    """Return the type of a float4[] in PostgreSQL's binary format."""
    heads = [(name, ">i4") for name in ("size", "dimensions", "has_null", "oid", "length", "first")]
    return np.dtype([*heads, ("values", _VALUE, (length,))])
