"""Sums over the rows of a segment by hour and class, so that no page has to scan rows."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np

from contract.rows import EPOCH_US, Rows
from contract.segments import LoggedContract

_HOUR_US: Final = 3_600_000_000
_START: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class Traffic:
    """Sums by hour and class, in the order of the columns of `log.traffic`: rows, outside, missing, latency."""

    contract: LoggedContract
    _sums: dict[tuple[int, int], list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        counts = [
            2 if each.type == "boolean" and each.categories is None else len(each.categories or ())
            for each in self.contract.features
        ]
        # A missing category has the code after the last one; no number has this value.
        self._missing = np.array([count or np.nan for count in counts], np.float32)

    def add(self, rows: Rows) -> None:
        """Add rows that were checked."""
        hours = (rows["at"].astype(np.int64) + EPOCH_US) // _HOUR_US
        width = len(self.contract.classes)
        keys, places = np.unique(hours * width + rows["class"], return_inverse=True)
        features = rows["features"]["values"]["value"]
        missing = (np.isnan(features) | (features == self._missing)).sum(axis=1)
        latency = rows["latency_ms"].astype(np.float64)
        longest = np.zeros(len(keys))
        np.maximum.at(longest, places, latency)
        sums = [np.bincount(places, weights) for weights in (None, rows["outside"] > 0, missing, latency)]
        for key, *values, most in zip(keys.tolist(), *(each.tolist() for each in sums), longest.tolist(), strict=True):
            known = self._sums.setdefault(divmod(key, width), [0, 0, 0, 0.0, 0.0])
            self._sums[divmod(key, width)] = [*map(sum, zip(known, values, strict=False)), max(known[-1], most)]

    def columns(self) -> list[list[Any]]:
        """Return the arguments of `log.add_traffic` after the model: a list for each column."""
        found = sorted(self._sums.items())
        hours = [_START + timedelta(hours=hour) for (hour, _), _ in found]
        classes = [self.contract.classes[label] for (_, label), _ in found]
        counts = [[int(sums[place]) for _, sums in found] for place in range(3)]
        return [hours, classes, *counts, *([sums[place] for _, sums in found] for place in (3, 4))]
