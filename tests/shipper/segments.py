"""Segments as the service writes them."""

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import numpy as np

from contract.lines import Event, Truth, encode_line
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

NOW = datetime.now(UTC)
WINE = LoggedContract(
    name="wine",
    target="cultivar",
    classes=("a", "b", "ü"),
    features=(
        LoggedFeature(name="alcohol", type="number", min=1, max=2.5),
        LoggedFeature(name="colour", type="string", categories=("red", "white")),
        LoggedFeature(name="cork", type="boolean"),
        LoggedFeature(name="year", type="integer", min=1990, max=2020),
    ),
)
_numbers = itertools.count()


def header(document: LoggedContract = WINE, digest: str = "0f" * 16, **changes: Any) -> PredictionsHeader:
    """Return the header of a segment of predictions."""
    values: dict[str, Any] = {"created_at": NOW, "model": "wine", "version": "1"} | changes
    return PredictionsHeader(document=document, contract=digest, **values)


def ids_at(time: datetime, number: int) -> list[UUID]:
    """Return ids of requests at a time, in their order: UUIDs of version 7, as the service makes them."""
    first = max(0, int(time.timestamp() * 1000)) << 80 | 7 << 76 | 2 << 62
    return [UUID(int=first | next(_numbers) << 32 | uuid4().int >> 96) for _ in range(number)]


def rows(
    head: PredictionsHeader,
    ids: Sequence[UUID],
    seed: int = 0,
    spread: float = 0.0,
    shadow: Sequence[int] | None = None,
) -> bytes:
    """Return random rows, `spread` hours around the time of the header, with the answers of a version in the shadow."""
    random, number = np.random.default_rng(seed), len(ids)
    document = head.document
    codes = [len(each.categories or ()) or 2 for each in document.features]
    values = np.stack(
        [
            np.where(random.random(number) < 0.1, np.nan, random.normal(size=number))
            if each.categories is None and each.type != "boolean"
            else random.integers(0, count + 1, number)
            for each, count in zip(document.features, codes, strict=True)
        ],
        axis=1,
    )
    shares = random.dirichlet(np.ones(len(document.classes)), number)
    at = np.full(number, int(head.created_at.timestamp() * 1e6)) + (random.random(number) * spread * 3.6e9).astype(int)
    return RowFormat(head).encode(
        ids=b"".join(each.bytes for each in ids),
        index=np.arange(number),
        at=at,
        labels=shares.argmax(axis=1),
        latency_ms=random.random(number).astype(np.float32),
        outside=random.integers(0, 2, number),
        features=values,
        probabilities=shares,
        shadow=None if shadow is None else np.array(shadow),
    )


def put(folder: Path, kind: Kind, content: bytes, at: datetime = NOW) -> SegmentName:
    """Put a segment into the folder of those that are ready."""
    name = SegmentName(kind, int(at.timestamp() * 1000), "0123456789abcdef", next(_numbers))
    (folder / READY).mkdir(parents=True, exist_ok=True)
    place = folder / READY / str(name)
    place.with_name(f".{name}").write_bytes(content)
    place.with_name(f".{name}").rename(place)
    return name


def predictions(
    folder: Path, number: int = 10, head: PredictionsHeader | None = None, blocks: int = 1, **options: Any
) -> tuple[SegmentName, list[UUID]]:
    """Put a segment of predictions; return its name and the ids of all rows."""
    head = head or header()
    ids = [ids_at(head.created_at, number) for _ in range(blocks)]
    payloads = [rows(head, each, seed, **options) for seed, each in enumerate(ids)]
    content = encode_header(head) + b"".join(map(encode_block, payloads)) + END
    return put(folder, "predictions", content, head.created_at), [each for block in ids for each in block]


def lines(folder: Path, kind: Kind, found: Sequence[Truth | Event]) -> SegmentName:
    """Put a segment of lines, in one block."""
    head = encode_header(LinesHeader(kind=kind, created_at=NOW))
    return put(folder, kind, head + encode_block(b"".join(map(encode_line, found))) + END)


def truth(**changes: Any) -> Truth:
    """Return the truth about a row."""
    values = {"prediction_id": uuid4(), "row_index": 0, "class": "a", "at": NOW, "who": "ada", "received_at": NOW}
    return Truth.model_validate(values | {"model": "wine"} | changes)


def event(**changes: Any) -> Event:
    """Return an event of the service."""
    return Event.model_validate({"at": NOW, "host": "here", "event": "started"} | changes)
