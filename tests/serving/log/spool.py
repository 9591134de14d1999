"""Read what a service has put into its spool, as the shipper does."""

from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from contract.lines import Event, Truth, decode_lines
from contract.rows import EPOCH_US, RowFormat
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


def segments(spool: Path, folder: str = "ready") -> list[Path]:
    """Return the segments in a folder of the spool."""
    return sorted((spool / folder).glob("*.seg"))


def rows(spool: Path, folder: str = "ready") -> list[Row]:
    """Return the predictions in a folder of the spool."""
    found: list[Row] = []
    for path in segments(spool, folder):
        with path.open("rb") as file:
            reader = SegmentReader(file)
            if isinstance(reader.header, PredictionsHeader):
                for payload in reader.blocks():
                    found += map(_row, RowFormat(reader.header).decode(payload))
                assert reader.is_complete or folder == "open"
    return found


def lines(spool: Path, kind: type[Any]) -> list[Any]:
    """Return the lines of a kind, `Truth` or `Event`, that are ready."""
    name = {Truth: "feedback", Event: "events"}[kind]
    found: list[Any] = []
    for path in segments(spool):
        with path.open("rb") as file:
            reader = SegmentReader(file)
            if isinstance(reader.header, LinesHeader) and reader.header.kind == name:
                for payload in reader.blocks():
                    found += decode_lines(kind, payload)
    return found


def wait_for(spool: Path, number: int) -> list[Row]:
    """Wait until as many predictions are ready, and return them."""

    def ready() -> list[Row] | None:
        found = rows(spool)
        return found if len(found) >= number else None

    return until(ready, f"{number} predictions in {spool}")


def _row(row: Any) -> Row:
    return Row(
        id=str(UUID(bytes=row["prediction_id"].tobytes())),
        index=int(row["row_index"]),
        at=(int(row["at"]) + EPOCH_US) / 1e6,
        model=row["model"].tobytes().decode(),
        version=row["version"].tobytes().decode(),
        label=int(row["class"]),
        latency_ms=float(row["latency_ms"]),
        outside=int(row["outside"]),
        fraction=float(row["fraction"]),
        features=row["features"]["values"]["value"].tolist(),
        probabilities=row["probabilities"]["values"]["value"].tolist(),
    )
