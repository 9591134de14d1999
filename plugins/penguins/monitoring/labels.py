"""Send the true classes in a file to the service: they reach the log as those of `POST /feedback` do.

Rows that are wrong are left out, and reported; the others are sent, some at a time. The same file may be sent again: a
row without a time holds from the file's last change on, so it is the same truth.
"""

import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from psycopg import Connection

from contract.lines import ROW_ID
from contract.schema import Column, DataContract
from contract.training import Training
from penguins.data.sources import open_source
from penguins.errors import UserError
from penguins.monitoring import missing
from penguins.monitoring.missing import Missing
from penguins.service_client import CSV, Refusal, ServiceClient, refusal_of, send_rows

CHUNK_ROWS: Final = 100_000
"""Rows of a request."""

MAX_WRONG: Final = 10_000
"""Rows that may be wrong at first sight, before the file is given up."""

MAX_KNOWN: Final = 20  # classes in a message

MAX_ASKED: Final = 100
"""Classes that the service may refuse, each of which costs a request; others count as unknown, too."""

_CONTRADICTS: Final = (
    "another row names another class of this prediction at the same time: give the right one a later `at`"
)
_CONTROL: Final = "[\x00-\x1f\x7f]"
_ROW: Final = "row"
_OPTIONAL: Final = ("row_index", "at", "who")
_TABLE: Final = DataContract(
    name="labels",
    columns=(
        Column(name="prediction_id", type="string"),
        Column(name="class", type="string", role="target"),
        *(Column(name=name, type="string", role="ignored", required=False) for name in _OPTIONAL),
    ),
    training=Training(registered_model="none", experiment="none", min_accuracy=0),
)
_COLUMNS: Final = tuple(column.name for column in _TABLE.columns)

Progress = Callable[["Labelled"], object]


@dataclass(frozen=True)
class Refused:
    """A row that wasn't accepted; `row` counts from 1, without the header."""

    row: int
    reason: str


@dataclass
class Labelled:
    """The result so far.

    Attributes:
        accepted: rows that the service has accepted.
        missing: of these the ones whose prediction isn't in the log.
    """

    accepted: int = 0
    refused: list[Refused] = field(default_factory=list)
    missing: Missing = field(default_factory=Missing)


def send(source: str, model: str, connection: Connection[Any] | None, progress: Progress) -> Labelled:
    """Send the truths in a file about predictions of a registered model.

    Args:
        connection: to the pipeline's database, to look for the predictions; None for no look.
        progress: called after each request.

    Raises:
        UserError: the file can't be read, or the service can't take truths, or refuses too many rows.
        ServiceError: the service doesn't answer.
    """
    client, result = ServiceClient(model), Labelled()
    classes = _Classes(client)
    holds_from = _changed_at(source).isoformat()
    with open_source(source, _TABLE, connection) as opened:
        rows = (_as_text(batch, numbers, holds_from) for batch, numbers in opened.numbered())
        for chunk in _chunks(rows):
            sound = _leave_out(chunk, classes, result.refused)
            if len(result.refused) > MAX_WRONG:
                first = f"row {result.refused[0].row}: {result.refused[0].reason}"
                raise UserError(
                    f"{source}: more than {MAX_WRONG:,} rows are wrong, such as {first}. Is it another file?"
                )
            sent = _send(client, sound, result.refused)
            result.accepted += len(sent)
            result.missing += missing.look(connection, model, sent)
            progress(result)
        result.refused += [Refused(number, why) for number, why in opened.malformed.items()]
    result.refused.sort(key=lambda refused: refused.row)
    return result


def _changed_at(source: str) -> datetime:
    """Return the time of the last change of a local file; now for other sources."""
    now = datetime.now(UTC)
    if not os.path.isfile(source):  # noqa: PTH113 - Path.is_file() raises for a name that is too long
        return now
    return min(now, datetime.fromtimestamp(Path(source).stat().st_mtime, UTC))


def _as_text(batch: pa.RecordBatch, numbers: Any, holds_from: str) -> pa.Table:
    """Return the columns of a request as texts, without blanks around them, and the numbers of the rows."""
    columns = {}
    for name in _COLUMNS:
        given = batch.column(name) if name in batch.schema.names else pa.nulls(len(batch))
        columns[name] = pc.utf8_trim_whitespace(given.cast(pa.string())).fill_null("")
    columns["at"] = pc.if_else(pc.equal(columns["at"], ""), holds_from, columns["at"])
    return pa.table({_ROW: pa.array(numbers), **columns})


def _chunks(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(map(len, waiting)) >= CHUNK_ROWS:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


class _Classes:
    """The classes that the service takes: those of the version that serves, and of versions that it has served."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client
        self._taken, self._refused = [*client.served().classes], set[str]()

    def taken_of(self, rows: pa.Table) -> list[str]:
        """Return the classes that are taken; ask about new ones, each with a row, those of many rows first."""
        counts = pc.value_counts(rows.column("class").combine_chunks()).to_pylist()
        for count in sorted(counts, key=lambda count: -count["counts"]):
            name = count["values"]
            if name in self._refused or name in self._taken or len(self._refused) == MAX_ASKED:
                continue
            row = rows.filter(pc.equal(rows.column("class"), name)).slice(0, 1)
            answer = self._client.post("feedback", _as_csv(row), CSV)  # it may come again: it is the same truth
            if not answer.ok and refusal_of(answer).kind in ("class", "missing"):
                self._refused.add(name)
            else:
                self._taken.append(name)
        return self._taken

    def __str__(self) -> str:
        more = len(self._taken) - MAX_KNOWN
        return ", ".join(self._taken[:MAX_KNOWN]) + (f" and {more} more" if more > 0 else "")


def _leave_out(rows: pa.Table, classes: _Classes, refused: list[Refused]) -> pa.Table:
    """Return the rows but for those that are wrong at first sight, which can be many and are added to `refused`."""
    rows = _sound(rows, "prediction_id", _is_id, "the id of an answer, or `id/index`", refused)
    for name in (*_OPTIONAL, "class"):
        rows = _sound(rows, name, _is_one_line, "one line", refused)
    taken = pa.array(classes.taken_of(rows), pa.string())
    return _sound(rows, "class", lambda texts: pc.is_in(texts, taken), f"a class of the model: {classes}", refused)


def _sound(rows: pa.Table, name: str, is_sound: Callable[[Any], Any], remedy: str, refused: list[Refused]) -> pa.Table:
    sound = is_sound(rows.column(name))
    wrong = rows.filter(pc.invert(sound)).select([_ROW, name])
    for number, text in zip(*(column.to_pylist() for column in wrong.columns), strict=True):
        refused.append(Refused(number, f"{name} is {text[:60]!r}, which isn't {remedy}"))
    return rows.filter(sound)


def _is_id(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.match_substring_regex(texts, ROW_ID)


def _is_one_line(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.invert(pc.match_substring_regex(texts, _CONTROL))


def _send(client: ServiceClient, rows: pa.Table, refused: list[Refused]) -> pa.Table:
    """Send the rows, without those that the service refuses, and return the accepted ones."""

    def refuse(row: pa.Table, refusal: Refusal) -> None:
        # The sentence about a contradiction has the index of another row of the request.
        refused.append(
            Refused(row[_ROW][0].as_py(), _CONTRADICTS if refusal.kind == "contradiction" else refusal.message)
        )

    accepted, _ = send_rows(client, "feedback", rows, _as_csv, CSV, refuse)
    return accepted


def _as_csv(rows: pa.Table) -> bytes:
    sink = io.BytesIO()
    pa.csv.write_csv(rows.select(_COLUMNS), sink)
    return sink.getvalue()
