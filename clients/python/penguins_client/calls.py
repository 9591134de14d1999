"""Calls of the service: the request of each, and how its response becomes a result."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote

import httpx

from penguins_client import tables
from penguins_client.answers import Answer, TableAnswer
from penguins_client.truths import Truth, contents

Result = TypeVar("Result")

JSON: Final = "application/json"
MEDIA_TYPES: Final = {
    ".csv": "text/csv",
    ".arrow": tables.ARROW,
    ".arrows": tables.ARROW,
    ".parquet": "application/vnd.apache.parquet",
    ".pq": "application/vnd.apache.parquet",
}
"""Media type by the suffix of a file."""


@dataclass(frozen=True)
class Call(Generic[Result]):
    """One call.

    Attributes:
        read: returns the result of a response without an error.
        body: or a file with it.
        target: file that gets the body of the response.
    """

    method: str
    path: str
    read: Callable[[httpx.Response], Result]
    body: bytes | Path | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    target: Path | None = None


class Calls:
    """The calls about one model."""

    def __init__(self, model: str | None) -> None:
        """Take the name of a registered model; None for the first that the service serves."""
        own = "" if model is None else f"/models/{quote(model, safe='')}"
        self._predict, self._feedback, self._state = f"{own}/predict", f"{own}/feedback", own or "/model"

    def predict(self, rows: Mapping[str, Any] | Iterable[Mapping[str, Any]]) -> Call[Answer]:
        """Return the call that predicts a row, or each row of a list."""
        content = dict(rows) if isinstance(rows, Mapping) else [dict(row) for row in rows]
        return Call("POST", self._predict, Answer.read, _json(content), {"Content-Type": JSON})

    def predict_table(self, table: Any) -> Call[TableAnswer[Any]]:
        """Return the call that predicts each row of a table."""

        def read(response: httpx.Response) -> TableAnswer[Any]:
            return TableAnswer.of(response, tables.decode(response.content, table))

        return Call("POST", self._predict, read, tables.encode(table), {"Content-Type": tables.ARROW})

    def predict_file(self, source: Path, target: Path) -> Call[TableAnswer[Path]]:
        """Return the call that predicts each row of a file, and writes the answers to another."""

        def read(response: httpx.Response) -> TableAnswer[Path]:
            return TableAnswer.of(response, target)

        return Call("POST", self._predict, read, source, {"Content-Type": media_type(source)}, target)

    def feedback(self, truths: Truth | Iterable[Truth]) -> Call[int]:
        """Return the call that gives the truth."""
        return Call("POST", self._feedback, _accepted, _json(contents(truths)), {"Content-Type": JSON})

    def feedback_file(self, source: Path) -> Call[int]:
        """Return the call that gives the truth in a file of CSV."""
        return Call("POST", self._feedback, _accepted, source, {"Content-Type": "text/csv"})

    def state(self) -> Call[dict[str, Any]]:
        """Return the call that asks for the state of the model."""
        return Call("GET", self._state, lambda response: dict(response.json()))


def media_type(path: Path) -> str:
    """Return the media type of a file.

    Raises:
        ValueError: its suffix is unknown.
    """
    try:
        return MEDIA_TYPES[path.suffix.lower()]
    except KeyError:
        raise ValueError(f"{path} isn't a table: its suffix must be one of {', '.join(MEDIA_TYPES)}") from None


def _json(content: Any) -> bytes:
    """Return JSON.

    Raises:
        TypeError: a value is none of JSON.
        ValueError: a number isn't finite.
    """
    return json.dumps(content, allow_nan=False, default=_plain).encode()


def _plain(value: Any) -> Any:
    """Return a scalar of NumPy, as rows of a data frame have, as one of Python."""
    if callable(getattr(value, "item", None)):
        return value.item()
    raise TypeError(f"{value!r} isn't a number, a text, a boolean or None")


def _accepted(response: httpx.Response) -> int:
    return int(response.json()["accepted"])
