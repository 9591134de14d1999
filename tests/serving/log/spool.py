"""Read what a service has put into its spool, as the shipper does."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from contract.lines import Event, Truth, decode_lines
from contract.rows import EPOCH_US, RowFormat, Rows
from contract.segments import LinesHeader, PredictionsHeader, SegmentReader
from local.waiting import until


class Row(NamedTuple):
    """A logged prediction."""

    id: str
    index: int
    at: float
    model: str
    version: str
    label: int
    latency_ms: float
    outside: int
    fraction: float
    features: list[float]
    probabilities: list[float]
    shadow: int | None
    shadow_version: str | None


def segments(spool: Path, folder: str = "ready") -> list[Path]:
    """Return the segments in a folder of the spool."""
    return sorted((spool / folder).glob("*.seg"))


def rows(spool: Path, folder: str = "ready") -> list[Row]:
    """Return the predictions in a folder of the spool."""
    return [row for block in _predictions(spool, folder) for row in _rows(block)]


def lines(spool: Path, kind: type[Any]) -> list[Any]:
    """Return the lines of a kind, `Truth` or `Event`, that are ready."""
    return [line for payload in _payloads(spool, kind) for line in decode_lines(kind, payload)]


def count_lines(spool: Path, kind: type[Any]) -> int:
    """Return the number of lines of a kind that are ready, without a look at each."""
    return sum(len(payload.splitlines()) for payload in _payloads(spool, kind))


def wait_for(spool: Path, number: int) -> list[Row]:
    """Wait until as many predictions are ready, and return them."""
    until(lambda: sum(map(len, _predictions(spool, "ready"))) >= number, f"{number} predictions in {spool}")
    return rows(spool)


def _predictions(spool: Path, folder: str) -> Iterator[Rows]:
    for path in segments(spool, folder):
        with path.open("rb") as file:
            reader = SegmentReader(file)
            if isinstance(reader.header, PredictionsHeader):
                yield from map(RowFormat(reader.header).decode, reader.blocks())
                assert reader.is_complete or folder == "open"


def _payloads(spool: Path, kind: type[Any]) -> Iterator[bytes]:
    name = {Truth: "feedback", Event: "events"}[kind]
    for path in segments(spool):
        with path.open("rb") as file:
            reader = SegmentReader(file)
            if isinstance(reader.header, LinesHeader) and reader.header.kind == name:
                yield from reader.blocks()


def _rows(block: Rows) -> Iterator[Row]:
    is_shadowed, nothing = "shadow" in (block.dtype.names or ()), [None] * len(block)
    return map(
        Row,
        (str(UUID(bytes=each.tobytes())) for each in block["prediction_id"]),
        block["row_index"].tolist(),
        ((block["at"] + EPOCH_US) / 1e6).tolist(),
        (each.tobytes().decode() for each in block["model"]),
        (each.tobytes().decode() for each in block["version"]),
        block["class"].tolist(),
        block["latency_ms"].tolist(),
        block["outside"].tolist(),
        block["fraction"].tolist(),
        block["features"]["values"]["value"].tolist(),
        block["probabilities"]["values"]["value"].tolist(),
        block["shadow"].tolist() if is_shadowed else nothing,
        (each.tobytes().decode() for each in block["shadow_version"]) if is_shadowed else nothing,
    )
