"""Progress on the terminal: a live table, or plain lines if the output is piped."""

import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

_STYLES = {
    "ready": "green",
    "success": "green",
    "starting": "yellow",
    "running": "yellow",
    "failed": "red",
    "upstream_failed": "red",
}
_FINAL = {"ready", "success", "failed", "upstream_failed", "skipped"}


@dataclass
class _Line:
    state: str
    since: float = field(default_factory=time.monotonic)
    seconds: float | None = None

    def elapsed(self) -> float:
        return time.monotonic() - self.since if self.seconds is None else self.seconds


class Progress:
    """One line for each item: its state, and the seconds since its start. Safe for several threads."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lines: dict[str, _Line] = {}
        self._lock = threading.Lock()
        self._live = Live(get_renderable=self._table, console=console, refresh_per_second=4)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def __call__(self, name: str, state: str, seconds: float | None = None) -> None:
        """Set the state of an item; an unchanged state has no effect.

        `seconds` is the duration, if the caller knows it; the time since the first report otherwise.
        """
        with self._lock:
            line = self._lines.get(name)
            if line is not None and line.state == state:
                return
            if line is None or line.state == "waiting":
                line = _Line(state)
            line.state = state
            if state in _FINAL:
                line.seconds = line.elapsed() if seconds is None else seconds
            self._lines[name] = line
        if not self._console.is_terminal and state != "waiting":
            shown = f"{line.elapsed():6.1f} s" if state in _FINAL else ""
            self._console.print(f"{name:<24} {state:<16} {shown}".rstrip(), highlight=False)

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        with self._lock:
            for name, line in self._lines.items():
                seconds = "" if line.state == "waiting" else f"{line.elapsed():5.1f} s"
                table.add_row(name, f"[{_STYLES.get(line.state, 'dim')}]{line.state}[/]", seconds)
        return table
