"""Distribution of tests to processes: tests with a shared fixture stay together, the longest group comes first."""

import re

import pytest
from xdist.scheduler import LoadScopeScheduling

# One process runs the tests of a group in sequence, so that they share its fixtures.
GROUPS = {
    # the fixture `whole`
    "whole": r"tests/e2e/|tests/local/test_(cli|hosts|lab|pipeline|stack|unsigned)\.py|tests/ops/test_run\.py",
    "ui": r"tests/penguins/ui/",  # an API server of Airflow
    "shipper": r"tests/shipper/",  # a PostgreSQL of their own
}
# The longest groups, which start first, so that no process is left with one at the end.
FIRST = (
    "whole",
    "tests/penguins/training/test_training.py",
    "tests/notebooks/",
    "tests/penguins/promotion/test_registration.py",
    "ui",
    "tests/penguins/training/test_estimators.py",
    "tests/penguins/promotion/test_decisions.py",
    "shipper",
)


class Scheduling(LoadScopeScheduling):
    """Scheduler that distributes whole groups."""

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)


def group(nodeid: str) -> str:
    """Return the name of a test's group, which is its file unless `GROUPS` has one."""
    found = (name for name, paths in GROUPS.items() if re.match(paths, nodeid))
    return next(found, nodeid.partition("::")[0])


def ends(name: str, item: pytest.Item, following: pytest.Item | None) -> bool:
    """Return whether `item` is the last test of a group before those of another one."""
    return following is not None and group(item.nodeid) == name != group(following.nodeid)


def rank(item: pytest.Item) -> int:
    """Return the place of a test's group in the order of groups."""
    places = (place for place, name in enumerate(FIRST) if group(item.nodeid).startswith(name))
    return next(places, len(FIRST))
