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
PREDICTIONS = Counter("penguins_predictions", "Rows predicted by the first model.", ["species", "version"])
MODEL_PREDICTIONS = Counter("penguins_model_predictions", "Rows predicted.", ["model", "class", "version"])
SHADOW_PREDICTIONS = Counter(
    "penguins_shadow_predictions",
    "Rows for a version in the shadow: same or other class than Production's, or none: failed, or skipped in a hurry.",
    ["model", "version", "outcome"],
)
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
def _counters(name: str, version: str, label: str, is_first: bool) -> tuple[Counter, ...]:
    """Return the counters of a version's predictions of one class."""
    each = MODEL_PREDICTIONS.labels(name, label, version)
    return (each, PREDICTIONS.labels(label, version)) if is_first else (each,)


def count_prediction(name: str, version: str, label: str, is_first: bool, number: int = 1) -> None:
    """Count predictions of one class.

    Args:
        name, version: the model.
        is_first: whether it is the one that `/predict` asks.
    """
    for counter in _counters(name, version, label, is_first):
        counter.inc(number)


def count_predictions(
    name: str, version: str, classes: Sequence[str], labels: NDArray[np.int64], is_first: bool
) -> None:
    """Count labels int64 [n] of one version, as indices into `classes`."""
    add_predictions(name, version, classes, np.bincount(labels).tolist(), is_first)


def add_predictions(name: str, version: str, classes: Sequence[str], numbers: Sequence[int], is_first: bool) -> None:
    """Add the number of predictions of each label of one version."""
    for label, number in zip(classes, numbers, strict=False):
        if number:
            count_prediction(name, version, label, is_first, number)
