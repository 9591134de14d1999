"""Check what clients say about the truth, and write it as lines for the spool."""

import json
import re
from array import array
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np

from contract.lines import MAX_ROW_INDEX, MAX_WHO, ROW_ID
from contract.segments import BLOCK_BYTES
from serving.codecs.errors import InvalidError, listed, problem, shown

REQUIRED: Final = ("prediction_id", "class")
OPTIONAL: Final = ("row_index", "at", "who")
FIELDS: Final = (*REQUIRED, *OPTIONAL)

EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)

FUTURE: Final = timedelta(days=1)
"""How far a client's clock may be ahead."""

LINES_IN_BLOCK: Final = BLOCK_BYTES // 256

_ID: Final = re.compile(ROW_ID)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class Truths:
    """The true classes in one request. All of them are sound, or none is accepted."""

    def __init__(self, model: str, classes: Sequence[str], received_at: datetime) -> None:
        """Take the registered model, whose classes these are."""
        self._classes = classes
        self._known = {name: (label, json.dumps(name)) for label, name in enumerate(classes)}
        self._received_at = received_at
        self._end = f'"received_at":"{received_at.isoformat()}","model":{json.dumps(model)}}}\n'
        self._times: dict[Any, tuple[str, int]] = {None: self._as_time(received_at)}
        self._lines: list[str] = []
        self._ids, self._new_ids = bytearray(), list[str]()
        self._rows, self._at, self._labels = array("q"), array("q"), array("q")

    def __len__(self) -> int:
        return len(self._labels)

    def add(self, values: Mapping[str, Any], *place: int) -> None:
        """Add the truth about a row.

        Args:
            values: by the names of `FIELDS`; None for what isn't given.
            place: position in a list or table.

        Raises:
            InvalidError: it isn't sound.
        """
        prediction_id, row = self._id(values, place)
        label, name = self._class(values["class"], place)
        when, microseconds = self._time(values["at"], place)
        who = self._who(values["who"], place) if values["who"] else '""'
        self._new_ids.append(prediction_id)
        self._rows.append(row)
        self._at.append(microseconds)
        self._labels.append(label)
        self._lines.append(
            f'{{"prediction_id":"{prediction_id}","row_index":{row},"class":{name},"at":"{when}","who":{who},{self._end}'
        )

    def take(self) -> list[bytes]:
        """Return the lines that were added since the last call, as payloads."""
        self._pack_ids()
        lines, self._lines = self._lines, []
        return ["".join(lines[at : at + LINES_IN_BLOCK]).encode() for at in range(0, len(lines), LINES_IN_BLOCK)]

    def check(self) -> None:
        """Check that no two of the truths contradict each other.

        Raises:
            InvalidError: two rows name different classes of one prediction at one time.
        """
        self._pack_ids()
        high, low = np.frombuffer(bytes(self._ids), ">u8").reshape(-1, 2).T
        keys = [np.array(self._labels), np.array(self._at), np.array(self._rows), low, high]
        order = np.lexsort(keys)
        labels, *same = (key[order] for key in keys)
        differ = (labels[1:] != labels[:-1]) & np.all([key[1:] == key[:-1] for key in same], axis=0)
        if not differ.any():
            return
        pairs = np.sort(np.stack([order[:-1][differ], order[1:][differ]]), axis=0)
        first, second = pairs[:, np.argmin(pairs[1])].tolist()
        names = [shown(self._classes[self._labels[index]]) for index in (second, first)]
        text = f"is {names[0]}, and row {first} says {names[1]} of the same prediction: give the right one a later `at`"
        raise _wrong("class", text, (second,), "contradiction")

    def _pack_ids(self) -> None:
        self._ids += bytes.fromhex("".join(self._new_ids).replace("-", ""))
        self._new_ids.clear()

    def _who(self, who: Any, place: tuple[int, ...]) -> str:
        if not isinstance(who, str) or len(who) > MAX_WHO or _CONTROL.search(who):
            raise _wrong("who", f"is {shown(who)}: a text of at most {MAX_WHO} characters in one line is needed", place)
        return json.dumps(who)

    def _id(self, values: Mapping[str, Any], place: tuple[int, ...]) -> tuple[str, int]:
        text, index = values["prediction_id"], values["row_index"]
        found = _ID.fullmatch(text) if isinstance(text, str) else None
        if not found:
            raise _wrong("prediction_id", f"is {shown(text)}: the id of an answer is needed, or `id/index`", place)
        if index is not None and (not isinstance(index, int) or isinstance(index, bool)):
            raise _wrong("row_index", f"is {shown(index)}: a whole number is needed", place)
        row = int(found[2] or 0) if index is None else index
        if found[2] and row != int(found[2]):
            raise _wrong("row_index", f"is {row}, and the prediction_id ends with {found[2]}: leave one out", place)
        if not 0 <= row <= MAX_ROW_INDEX:
            raise _wrong("row_index", f"is {row}: it counts the rows of a request, from 0", place)
        return found[1].lower(), row

    def _class(self, value: Any, place: tuple[int, ...]) -> tuple[int, str]:
        if isinstance(value, str | int):
            name = str(value).lower() if isinstance(value, bool) else str(value)
            if known := self._known.get(name):
                return known
        raise _wrong("class", f"is {shown(value)}, which isn't a class of the model: {listed(self._classes)}", place)

    def _time(self, value: Any, place: tuple[int, ...]) -> tuple[str, int]:
        if isinstance(value, str | None) and (known := self._times.get(value or None)):
            return known
        try:
            found = datetime.fromisoformat(value).astimezone(UTC) if datetime.fromisoformat(value).tzinfo else None
        except (TypeError, ValueError, OverflowError):
            found = None
        if found is None or not EARLIEST <= found < LATEST:
            example = self._received_at.isoformat(timespec="seconds")
            raise _wrong("at", f"is {shown(value)}: a time with its zone is needed, such as {example}", place)
        if found > self._received_at + FUTURE:
            raise _wrong("at", f"is {shown(value)}, which is in the future: no later truth could correct it", place)
        if len(self._times) > 1000:
            self._times = {None: self._times[None]}
        known = self._times[value] = self._as_time(found)
        return known

    @staticmethod
    def _as_time(time: datetime) -> tuple[str, int]:
        delta = time - EARLIEST
        return time.isoformat(), (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def check_fields(values: Mapping[str, Any], *place: int) -> Mapping[str, Any]:
    """Return the values of all fields.

    Raises:
        InvalidError: a required one is missing, or there is an unknown one.
    """
    if unknown := [name for name in values if name not in FIELDS]:
        raise _wrong(unknown[0][:60], f"isn't a known field: allowed are {listed(FIELDS)}", place, "extra_forbidden")
    for name in REQUIRED:
        if values.get(name) is None:
            raise _wrong(name, "is missing", place, "missing")
    return dict.fromkeys(OPTIONAL) | dict(values)


def _wrong(field: str, text: str, place: tuple[int, ...], kind: str = "") -> InvalidError:
    row = f"[{place[0]}]: " if place else ""
    return InvalidError(problem(kind or field, f"{row}{field} {text}", *place, field))
