"""What is counted. With several workers the counts are summed up over all of them."""

from functools import cache

import numpy as np
from prometheus_client import Counter, Histogram

from serving.inference.contract import SPECIES
from serving.inference.engines import Labels

# From a quarter of a millisecond, which a single penguin takes, to a large table.
BUCKETS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

REQUESTS = Counter("penguins_requests", "Requests answered.", ["method", "route", "status"])
SECONDS = Histogram("penguins_request_seconds", "Seconds from request to end of answer.", ["route"], buckets=BUCKETS)
PREDICTIONS = Counter("penguins_predictions", "Penguins predicted.", ["species", "version"])
POLLS = Counter("penguins_polls", "Looks at the registry.", ["outcome"])
RELOADS = Counter("penguins_reloads", "Versions loaded, or refused with this reason.", ["outcome"])


@cache
def answered(method: str, route: str, status: int) -> Counter:
    """Return the counter of such requests; finding it takes longer than counting."""
    return REQUESTS.labels(method, route, str(status))


@cache
def seconds(route: str) -> Histogram:
    """Return the histogram of a route."""
    return SECONDS.labels(route)


@cache
def predicted(version: str, species: str) -> Counter:
    """Return the counter of such predictions."""
    return PREDICTIONS.labels(species, version)


def count_predictions(version: str, labels: Labels) -> None:
    """Count labels int64 [n] of one version."""
    for label, number in enumerate(np.bincount(labels, minlength=len(SPECIES)).tolist()):
        if number:
            predicted(version, SPECIES[label]).inc(number)
