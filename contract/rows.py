"""Rows of predictions in PostgreSQL's binary COPY format, without the header and trailer of a file.

All rows of a segment have one width, for its header fixes the number of features and classes: a payload is an array of
one numpy type. https://www.postgresql.org/docs/current/sql-copy.html describes the format.
"""

import struct
from typing import Final

import numpy as np
from numpy.typing import NDArray

from contract.manifest import PROBABILITY_TOLERANCE
from contract.segments import BLOCK_BYTES, DamageError, PredictionsHeader

COLUMNS: Final = (
    "prediction_id",
    "row_index",
    "at",
    "contract",
    "model",
    "version",
    "class",
    "latency_ms",
    "outside",
    "fraction",
    "features",
    "probabilities",
    "shadow",
)
"""Columns of the table, in the order of a row."""

SHADOW_VERSION: Final = "shadow_version"
"""A column more, of the rows that were also answered in the shadow."""

COPY_HEADER: Final = b"PGCOPY\n\xff\r\n\x00" + struct.pack(">II", 0, 0)
COPY_TRAILER: Final = struct.pack(">h", -1)

EPOCH_US: Final = 946_684_800_000_000
"""Microseconds from 1970 to 2000, where PostgreSQL's time begins."""

EARLIEST_US: Final = -EPOCH_US
LATEST_US: Final = 7_258_118_400_000_000 - EPOCH_US
"""1970 and 2200: a wrong clock's time is kept, and no damage can become `infinity`."""

_FLOAT4_OID: Final = 700
_ARRAY_HEADER_BYTES: Final = 20
_SIZE: Final = "_size"

Rows = NDArray[np.void]
"""Rows [n] with the fields of `COLUMNS`; features and probabilities are [n, …] of (size, value)."""


class RowFormat:
    """The format of the rows of a segment.

    Attributes:
        columns: columns of the table, in the order of a row.
        dtype: big-endian numpy type of a row.
    """

    def __init__(self, header: PredictionsHeader) -> None:
        """Derive the format from the header, and fill in what all rows share."""
        self.header = header
        self._features, self._classes = len(header.document.features), len(header.document.classes)
        self.columns = COLUMNS if header.shadow is None else (*COLUMNS, SHADOW_VERSION)
        values = {
            "prediction_id": "V16",
            "row_index": ">i4",
            "at": ">i8",
            "contract": "V16",
            "model": f"V{len(header.model.encode())}",
            "version": f"V{len(header.version.encode())}",
            "class": ">i2",
            "latency_ms": ">f4",
            "outside": ">i2",
            "fraction": ">f4",
            "features": _array(self._features),
            "probabilities": _array(self._classes),
        }
        if header.shadow is not None:
            values |= {"shadow": ">i2", SHADOW_VERSION: f"V{len(header.shadow.encode())}"}
        fields: list[tuple[str, object]] = [("columns", ">i2")]
        for name, kind in values.items():
            fields += [(name + _SIZE, ">i4"), (name, kind)]
        self.dtype = np.dtype(fields if header.shadow is not None else [*fields, ("shadow" + _SIZE, ">i4")])
        self._row = self._shared()
        self._varies = self._mask()

    @property
    def rows_in_block(self) -> int:
        """Return the number of rows that a block should have at most."""
        return max(1, BLOCK_BYTES // self.dtype.itemsize)

    def encode(
        self,
        ids: NDArray[np.void] | bytes,
        index: NDArray[np.integer],
        at: NDArray[np.int64] | int,
        labels: NDArray[np.integer],
        latency_ms: NDArray[np.floating] | float,
        outside: NDArray[np.integer],
        features: NDArray[np.floating],
        probabilities: NDArray[np.floating],
        shadow: NDArray[np.integer] | None = None,
    ) -> bytes:
        """Return rows as a payload.

        Args:
            ids: prediction ids, 16 bytes each [n], or the one of all rows.
            index: position of each row in its request [n].
            at: microseconds since 1970.
            outside: number of features outside the range of the training data [n].
            features: [n, features], NaN for what is missing or left out.
            probabilities: [n, classes].
            shadow: labels of the version in the shadow [n], if the header names one.
        """
        rows = np.repeat(self._row, len(labels))
        rows["prediction_id"] = np.frombuffer(ids, "V16") if isinstance(ids, bytes) else ids
        rows["row_index"], rows["at"], rows["class"] = index, np.asarray(at) - EPOCH_US, labels
        rows["latency_ms"], rows["outside"] = latency_ms, outside
        rows["features"]["values"]["value"] = features
        rows["probabilities"]["values"]["value"] = probabilities
        if shadow is not None:
            rows["shadow"] = shadow
        return rows.tobytes()

    def decode(self, payload: bytes) -> Rows:
        """Return the rows of a payload, of which only the header is trusted.

        Raises:
            DamageError: a row isn't one of this segment, or has a value that can't be.
        """
        width = self.dtype.itemsize
        if not payload or len(payload) % width:
            raise DamageError(f"a block of {len(payload)} bytes has no rows of {width}")
        found = np.frombuffer(payload, np.uint8).reshape(-1, width)
        shared = np.frombuffer(self._row.tobytes(), np.uint8)
        if ((found != shared) & ~self._varies).any():
            raise DamageError("a row has another shape, model, version or contract than the header says")
        rows: Rows = np.frombuffer(payload, self.dtype)
        self._check(rows)
        return rows

    def _check(self, rows: Rows) -> None:
        shares = rows["probabilities"]["values"]["value"]
        labels = ["class"] if self.header.shadow is None else ["class", "shadow"]
        limits = (
            ("row_index", rows["row_index"] >= 0),
            ("at", (rows["at"] >= EARLIEST_US) & (rows["at"] < LATEST_US)),
            *((name, (rows[name] >= 0) & (rows[name] < self._classes)) for name in labels),
            ("latency_ms", (rows["latency_ms"] >= 0) & np.isfinite(rows["latency_ms"])),
            ("outside", (rows["outside"] >= 0) & (rows["outside"] <= self._features)),
            ("features", ~np.isinf(rows["features"]["values"]["value"])),
            ("probabilities", (shares >= -PROBABILITY_TOLERANCE) & (shares <= 1 + PROBABILITY_TOLERANCE)),
        )
        for name, fits in limits:
            if not fits.all():
                raise DamageError(f"a row has a value of {name} that can't be")

    def _shared(self) -> Rows:
        """Return a row with the values that all rows have."""
        header, row = self.header, np.zeros(1, self.dtype)
        row["columns"] = len(self.columns)
        for name in self.columns:
            is_null = name == "shadow" and header.shadow is None
            row[name + _SIZE] = -1 if is_null else self.dtype[name].itemsize
        if header.shadow is not None:
            row[SHADOW_VERSION] = np.frombuffer(header.shadow.encode(), self.dtype[SHADOW_VERSION])
        row["contract"] = np.frombuffer(bytes.fromhex(header.contract), "V16")
        row["model"] = np.frombuffer(header.model.encode(), self.dtype["model"])
        row["version"] = np.frombuffer(header.version.encode(), self.dtype["version"])
        row["fraction"] = header.fraction
        if header.prediction_id:
            row["prediction_id"] = np.frombuffer(header.prediction_id.bytes, "V16")
        if header.at_us is not None:
            row["at"] = header.at_us - EPOCH_US
        for name, width in (("features", self._features), ("probabilities", self._classes)):
            array = row[name]
            array["dimensions"], array["oid"], array["length"], array["first"] = 1, _FLOAT4_OID, width, 1
            array["values"]["size"] = 4
        return row

    def _mask(self) -> NDArray[np.uint8]:
        """Return 255 for each byte that differs between rows, else 0."""
        row = np.zeros(1, self.dtype)
        names = ["row_index", "class", "latency_ms", "outside"]
        names += ["at"] if self.header.at_us is None else []
        names += ["shadow"] if self.header.shadow is not None else []
        for name in names:
            row[name] = np.frombuffer(b"\xff" * 8, self.dtype[name], 1)
        if not self.header.prediction_id:
            row["prediction_id"] = np.frombuffer(b"\xff" * 16, "V16")
        for name in ("features", "probabilities"):
            row[name]["values"]["value"] = np.frombuffer(b"\xff" * 4, ">f4")
        return np.frombuffer(row.tobytes(), np.uint8)


def _array(length: int) -> list[tuple[str, object]] | np.dtype[np.void]:
    """Return the type of a float4[] of one dimension."""
    value = np.dtype([("size", ">i4"), ("value", ">f4")])
    heads = [(name, ">i4") for name in ("dimensions", "has_null", "oid", "length", "first")]
    return np.dtype([*heads, ("values", value, (length,))])
