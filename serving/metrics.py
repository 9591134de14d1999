"""Counters and histograms for Prometheus. With several workers the counts are summed over all of them."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from prometheus_client import Counter, Histogram

# From a quarter of a millisecond, which a single penguin takes, to a large table.
BUCKETS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

REQUESTS = Counter("penguins_requests", "Requests answered.", ["method", "route", "status"])
SECONDS = Histogram("penguins_request_seconds", "Seconds from request to end of answer.", ["route"], buckets=BUCKETS)
PREDICTIONS = Counter("penguins_predictions", "Penguins predicted.", ["species", "version"])
POLLS = Counter("penguins_polls", "Polls of the registry.", ["outcome"])
TABLES_ENDED = Counter("penguins_tables_ended", "Tables whose worker ended without an answer.", ["reason"])
RELOADS = Counter("penguins_reloads", "Versions loaded, or refused with this reason.", ["outcome"])


@cache  # finding a counter takes longer than counting
def requests(method: str, route: str, status: int) -> Counter:
    """Return the counter of the requests with these labels."""
    return REQUESTS.labels(method, route, str(status))


@cache
def request_seconds(route: str) -> Histogram:
    """Return the histogram of a route's durations, in seconds."""
    return SECONDS.labels(route)


@cache
def predictions(version: str, species: str) -> Counter:
    """Return the counter of a version's predictions of one species."""
    return PREDICTIONS.labels(species, version)


def count_predictions(version: str, species: Sequence[str], labels: NDArray[np.int64]) -> None:
    """Count labels int64 [n] of one version, as indices into `species`."""
    add_predictions(version, species, np.bincount(labels).tolist())


def add_predictions(version: str, species: Sequence[str], numbers: Sequence[int]) -> None:
    """Add the number of predictions of each label of one version."""
    for name, number in zip(species, numbers, strict=False):
        if number:
            predictions(version, name).inc(number)
