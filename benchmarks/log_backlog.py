"""Segments of random predictions and truths, written directly into the spool."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from contract.rows import RowFormat
from contract.segments import (
    END,
    READY,
    Kind,
    LinesHeader,
    LoggedContract,
    LoggedFeature,
    PredictionsHeader,
    SegmentName,
    encode_block,
    encode_header,
)

MODEL: Final = "bench"
CLASSES: Final = ("a", "b", "c")
ROWS_IN_SEGMENT: Final = 50_000
HOURS: Final = 20

_DOCUMENT: Final = LoggedContract(
    name=MODEL,
    target="kind",
    classes=CLASSES,
    features=tuple(LoggedFeature(name=f"feature_{number}", type="number", min=-2, max=2) for number in range(4)),
)
_PROCESS: Final = os.urandom(8).hex()

Ids = NDArray[np.uint8]
"""UUIDs [n, 16]."""


def write_backlog(spool: Path, rows: int) -> Ids:
    """Write predictions of the last hours; return their ids, uint8 [rows, 16]."""
    began = datetime.now(UTC) - timedelta(hours=HOURS)
    header = PredictionsHeader(created_at=began, model=MODEL, version="1", contract="be" * 16, document=_DOCUMENT)
    layout, random, found = RowFormat(header), np.random.default_rng(0), []
    for number, first in enumerate(range(0, rows, ROWS_IN_SEGMENT)):
        count = min(ROWS_IN_SEGMENT, rows - first)
        at = int(began.timestamp() * 1e6) + (first + np.arange(count)) * int(HOURS * 3.6e9) // rows
        found.append(_ids(at // 1000, random))
        shares = random.dirichlet(np.ones(len(CLASSES)), count)
        blocks = []
        for part in np.array_split(np.arange(count), -(-count // layout.rows_in_block)):
            payload = layout.encode(
                ids=found[-1][part].tobytes(),
                index=np.zeros(len(part), dtype=np.int64),
                at=at[part],
                labels=shares[part].argmax(axis=1),
                latency_ms=0.5,
                outside=np.zeros(len(part), dtype=np.int64),
                features=random.normal(size=(len(part), len(_DOCUMENT.features))),
                probabilities=shares[part],
            )
            blocks.append(encode_block(payload))
        _put(spool, "predictions", number, encode_header(header) + b"".join(blocks) + END)
    return np.concatenate(found)


def write_truths(spool: Path, ids: Ids) -> None:
    """Write a truth about each of the ids."""
    now = datetime.now(UTC)
    head = encode_header(LinesHeader(kind="feedback", created_at=now))
    time, labels = now.isoformat(), np.random.default_rng(1).integers(0, len(CLASSES), len(ids)).tolist()
    for number, first in enumerate(range(0, len(ids), ROWS_IN_SEGMENT)):
        part = ids[first : first + ROWS_IN_SEGMENT]
        lines = [
            f'{{"prediction_id":"{each.tobytes().hex()}","row_index":0,"class":"{CLASSES[label]}","at":"{time}",'
            f'"who":"bench","received_at":"{time}","model":"{MODEL}"}}\n'
            for each, label in zip(part, labels[first:], strict=False)
        ]
        payloads = ["".join(lines[at : at + 4000]).encode() for at in range(0, len(lines), 4000)]
        _put(spool, "feedback", number, head + b"".join(map(encode_block, payloads)) + END)


def _ids(milliseconds: NDArray[np.int64], random: np.random.Generator) -> Ids:
    """Return UUIDs of version 7."""
    ids = random.integers(0, 256, (len(milliseconds), 16), dtype=np.uint8)
    ids[:, :6] = milliseconds.astype(">u8").view(np.uint8).reshape(-1, 8)[:, 2:]
    ids[:, 6] = ids[:, 6] & 0x0F | 0x70
    ids[:, 8] = ids[:, 8] & 0x3F | 0x80
    return ids


def _put(spool: Path, kind: Kind, number: int, content: bytes) -> None:
    name = str(SegmentName(kind, int(datetime.now(UTC).timestamp() * 1000), _PROCESS, number))
    (spool / READY).mkdir(parents=True, exist_ok=True)
    (part := spool / READY / f".{name}").write_bytes(content)
    part.rename(spool / READY / name)
