"""The shipper's loop: look for segments, bring them in, and wait while PostgreSQL doesn't take them."""

import logging
import threading
import time
from typing import Final

import psycopg

from contract.segments import DamageError, SegmentName
from shipper.database import AlteredError, Database, connect, one_line
from shipper.settings import Settings
from shipper.spool import Spool
from shipper.waiting import Patience

_CHORES_SECONDS: Final = 3600.0
_WATERMARK_SECONDS: Final = 2.0

logger = logging.getLogger(__name__)


class StoppedError(Exception):
    """The shipper was asked to end."""


def run(settings: Settings, stop: threading.Event) -> None:
    """Work until `stop` is set. PostgreSQL and the disk may go and come back."""
    patience = Patience(stop, settings.poll_seconds, settings.max_backoff_seconds)
    spool: Spool | None = None
    while not stop.is_set():
        try:
            spool = spool or Spool(settings.log_dir)
            spool.beat()
            with connect(settings.database_url.get_secret_value()) as connection:
                Shipper(spool, Database(connection), patience, stop, settings.damaged_retention_days).work(
                    settings.poll_seconds
                )
        except StoppedError:
            return
        except psycopg.Error as error:
            patience.wait(f"PostgreSQL can't be used: {one_line(error)}")
        except OSError as error:
            patience.wait(f"the folder can't be used: {error}")


class Shipper:
    """Brings segments into PostgreSQL, by one connection."""

    def __init__(
        self, spool: Spool, database: Database, patience: Patience, stop: threading.Event, damaged_days: int = 0
    ) -> None:
        self._spool, self._database, self._patience, self._stop = spool, database, patience, stop
        self._damaged_days = damaged_days
        self._chores_at = self._watermark_at = 0.0

    def work(self, poll_seconds: float) -> None:
        """Ship what is ready, again and again.

        Raises:
            StoppedError: the shipper was asked to end.
            psycopg.Error: the connection doesn't work any more.
            OSError: the folder can't be used.
        """
        while True:
            self._progress()
            self._do_chores()
            trouble = self._ship_all()
            self._note_watermark()
            if trouble:
                self._patience.wait(trouble)
            else:
                self._patience.end()
                self._stop.wait(poll_seconds)

    def _ship_all(self) -> str:
        """Ship what is ready; return the trouble of the kinds of segments that have to wait, or an empty text."""
        trouble: dict[str, str] = {}
        for name in self._spool.names():
            if isinstance(name, str):
                self._spool.set_aside(name, "it hasn't the name of a segment")
            elif name.kind not in trouble:
                try:
                    self._ship(name)
                except AlteredError as error:
                    trouble[name.kind] = str(error)
                except psycopg.Error as error:
                    if self._database.is_broken:
                        raise
                    trouble[name.kind] = f"PostgreSQL doesn't take {name.kind}: {one_line(error)}"
        return "; ".join(trouble.values())

    def _ship(self, name: SegmentName) -> None:
        try:
            with self._spool.open(name) as file:
                rows = self._database.ship(name, file, self._progress)
        except DamageError as error:
            self._spool.set_aside(name, str(error))
            return
        except FileNotFoundError:
            return  # another shipper has deleted it
        except OSError as error:
            self._spool.leave(name, f"it can't be read: {error}")
            return
        if rows is not None:
            self._spool.counters.add("segments")
            self._spool.counters.add("shipped", rows if name.kind == "predictions" else 0)
        self._spool.delete(name)

    def _do_chores(self) -> None:
        if time.monotonic() < self._chores_at:
            return
        self._spool.retry()
        self._spool.forget_damaged(self._damaged_days)
        try:
            if dropped := self._database.drop_days():
                logger.info("retention.dropped days=%d", dropped)
        except psycopg.Error as error:  # whatever it is, segments can be shipped
            if self._database.is_broken:
                raise
            logger.warning("retention.failed reason=%r", one_line(error))
        self._chores_at = time.monotonic() + _CHORES_SECONDS

    def _note_watermark(self) -> None:
        if time.monotonic() < self._watermark_at:
            return
        self._watermark_at = time.monotonic() + _WATERMARK_SECONDS
        try:
            self._database.note_watermark(self._spool.id, self._spool.complete_until())
        except psycopg.Error as error:  # whatever it is, segments can be shipped
            if self._database.is_broken:
                raise
            logger.warning("watermark.failed reason=%r: windows aren't judged meanwhile", one_line(error))

    def _progress(self) -> None:
        self._spool.beat()
        if self._stop.is_set():
            raise StoppedError
