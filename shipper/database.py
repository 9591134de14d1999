"""PostgreSQL's side of the shipper: each segment is brought in by one transaction that takes its name first."""

import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from math import inf
from typing import IO, Any, Final
from uuid import UUID

import psycopg
from psycopg import Connection, sql
from psycopg.errors import InvalidParameterValue, LockNotAvailable, ProgramLimitExceeded, ProtocolViolation
from psycopg.types.json import Jsonb

from contract.lines import Event, Truth, decode_lines
from contract.rows import COPY_HEADER, COPY_TRAILER, RowFormat
from contract.segments import DamageError, PredictionsHeader, SegmentName, SegmentReader
from shipper.traffic import Traffic

Progress = Callable[[], None]
"""Is called between blocks; may raise to give up."""

_TAKE: Final = "INSERT INTO log.segments (name, kind, rows) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"
_CONTRACT: Final = "INSERT INTO log.contracts (digest, name, document) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"
_TRAFFIC: Final = """SELECT log.add_traffic(%s, %s, %s, %s::timestamptz[], %s::text[], %s::bigint[], %s::bigint[],
    %s::bigint[], %s::double precision[], %s::real[])"""
_COPY: Final = sql.SQL("COPY log.predictions ({}) FROM STDIN (FORMAT binary)")

_RETRY_SECONDS: Final = 60.0
"""Pause after a try to make a partition that others were using."""

_TIME: Final = "timestamp with time zone"
_TYPES: Final[Mapping[str, Mapping[str, str]]] = {
    "predictions": {
        "prediction_id": "uuid",
        "row_index": "integer",
        "at": _TIME,
        "contract": "bytea",
        "model": "text",
        "version": "text",
        "class": "smallint",
        "latency_ms": "real",
        "outside": "smallint",
        "fraction": "real",
        "features": "real[]",
        "probabilities": "real[]",
        "shadow": "smallint",
        "shadow_version": "text",
    },
    "feedback": {
        "prediction_id": "uuid",
        "row_index": "integer",
        "class": "text",
        "at": _TIME,
        "who": "text",
        "received_at": _TIME,
        "model": "text",
    },
    "events": {
        "at": _TIME,
        **dict.fromkeys(("host", "model", "version", "event", "reason", "detail", "origin"), "text"),
        "asked_at": _TIME,
    },
}
"""Columns of the tables, as init-db/06-log.sql makes them."""

_READ_TYPES: Final = """SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
    WHERE attrelid = to_regclass('log.' || %s) AND attnum > 0 AND NOT attisdropped"""


class AlteredError(Exception):
    """A table isn't as it was made, so its segments have to wait."""


def connect(address: str) -> Connection[Any]:
    """Open a connection in autocommit mode."""
    return psycopg.connect(
        address,
        autocommit=True,
        connect_timeout=5,
        keepalives_idle=10,
        keepalives_interval=5,
        keepalives_count=3,
        application_name="shipper",
        options="-c search_path=pg_catalog -c timezone=UTC",  # what other roles have made is never found
    )


class Database:
    """A connection to PostgreSQL."""

    def __init__(self, connection: Connection[Any]) -> None:
        self._connection = connection
        self._prepared: dict[date, float] = {}
        """When to prepare a day again, on the clock of `time.monotonic`."""

    @property
    def is_broken(self) -> bool:
        """Return whether the connection can't be used any more."""
        return self._connection.closed

    def drop_days(self) -> int:
        """Drop what is older than the retention says; return the number of dropped partitions."""
        self._prepared.clear()  # in case that somebody has dropped one
        row = self._connection.execute("SELECT log.drop_days()").fetchone()
        return int(row[0]) if row else 0

    def note_watermark(self, spool: UUID, complete_until: datetime) -> None:
        """Note before which time all answers of a folder have arrived."""
        self._connection.execute("SELECT log.note_watermark(%s, %s)", [spool, complete_until])

    def ship(self, name: SegmentName, file: IO[bytes], progress: Progress) -> int | None:
        """Bring in the whole blocks of a segment.

        Returns:
            The number of its rows; None if it had arrived before.

        Raises:
            DamageError: it isn't what the service wrote, and nothing of it has arrived.
            AlteredError: its table was altered, and nothing of it has arrived.
            psycopg.Error: PostgreSQL doesn't take it now. If the connection broke, it may have arrived.
        """
        rows = _count(name, file, progress)
        file.seek(0)
        reader = SegmentReader(file)
        if isinstance(reader.header, PredictionsHeader):
            self._prepare(reader.header.created_at.astimezone(UTC).date())
        try:
            with self._connection.transaction():
                if not self._connection.execute(_TAKE, [str(name), name.kind, rows]).rowcount:
                    return None
                if self._add(reader, progress) != rows:
                    raise DamageError("it changed while it was read")
        except (psycopg.DataError, psycopg.IntegrityError, ProtocolViolation, ProgramLimitExceeded) as error:
            self._check_table(name.kind, error)
            raise DamageError(f"PostgreSQL refuses it: {one_line(error)}") from error
        return rows

    def _add(self, reader: SegmentReader, progress: Progress) -> int:
        if isinstance(header := reader.header, PredictionsHeader):
            return self._add_predictions(header, reader, progress)
        rows = 0
        for payload in reader.blocks():
            progress()
            checked = decode_lines(Truth, payload) if header.kind == "feedback" else decode_lines(Event, payload)
            rows += sum(1 for _ in checked)
            self._add_lines(header.kind, payload)
        return rows

    def _add_predictions(self, header: PredictionsHeader, reader: SegmentReader, progress: Progress) -> int:
        document = header.document
        contract = [bytes.fromhex(header.contract), document.name, Jsonb(document.model_dump(mode="json"))]
        self._connection.execute(_CONTRACT, contract)
        form, traffic, number = RowFormat(header), Traffic(document), 0
        statement = _COPY.format(sql.SQL(", ").join(map(sql.Identifier, form.columns)))
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write(COPY_HEADER)
            for payload in reader.blocks():
                progress()
                rows = form.decode(payload)
                copy.write(payload)
                traffic.add(rows)
                number += len(rows)
            copy.write(COPY_TRAILER)
        if number:
            self._connection.execute(_TRAFFIC, [document.name, header.model, header.version, *traffic.columns()])
        return number

    def _add_lines(self, table: str, payload: bytes) -> None:
        columns = _TYPES[table]
        if b"\\u0000" in payload:
            payload = b"\n".join(map(_without_null, payload.splitlines()))
        statement = sql.SQL(
            "INSERT INTO {table} ({names}) SELECT {names} FROM json_to_recordset(%s::json) AS line ({fields}) "
            "ON CONFLICT DO NOTHING"
        ).format(
            table=sql.Identifier("log", table),
            names=sql.SQL(", ").join(map(sql.Identifier, columns)),
            fields=sql.SQL(", ").join(
                sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind)) for name, kind in columns.items()
            ),
        )
        self._connection.execute(statement, [f"[{b','.join(payload.splitlines()).decode()}]"])

    def _prepare(self, day: date) -> None:
        """Make the partitions of a segment that was begun on a day, unless the day is far from today."""
        if time.monotonic() < self._prepared.get(day, 0):
            return
        self._prepared[day] = inf
        try:
            self._connection.execute("SELECT log.prepare_days(%s, %s)", [day, day + timedelta(days=1)])
        except InvalidParameterValue:
            pass  # a wrong clock's rows go to the default partition
        except LockNotAvailable:
            self._prepared[day] = time.monotonic() + _RETRY_SECONDS  # until then they go there, too

    def _check_table(self, table: str, error: psycopg.Error) -> None:
        """Raise AlteredError if an error comes from the table and not from the rows."""
        found = dict(self._connection.execute(_READ_TYPES, [table]).fetchall())
        wanted = _TYPES[table]
        differ = [f"{name} is {found.get(name, 'gone')}" for name in wanted if found.get(name) != wanted[name]]
        if differ or isinstance(error, psycopg.IntegrityError):
            raise AlteredError(f"log.{table} was altered: {'; '.join(differ) or one_line(error)}") from error


def one_line(error: Exception) -> str:
    """Return the message of an error on one line."""
    return " ".join(str(error).split())


def _without_null(line: bytes) -> bytes:
    """Replace the one character that PostgreSQL can't store, and that anybody can send."""
    values = json.loads(line)
    texts = {
        name: each.replace("\0", "\N{REPLACEMENT CHARACTER}") for name, each in values.items() if isinstance(each, str)
    }
    return json.dumps(values | texts).encode()


def _count(name: SegmentName, file: IO[bytes], progress: Progress) -> int:
    """Return the number of rows in the whole blocks of a segment."""
    reader = SegmentReader(file)
    if reader.header.kind != name.kind:
        raise DamageError(f"its name says {name.kind}, and its header {reader.header.kind}")
    width = RowFormat(reader.header).dtype.itemsize if isinstance(reader.header, PredictionsHeader) else None
    rows = 0
    for payload in reader.blocks():
        progress()
        rows += len(payload) // width if width else len(payload.splitlines())
    return rows
