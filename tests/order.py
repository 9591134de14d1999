"""How tests are dealt to processes: what shares an expensive fixture stays together, the longest comes first."""

import re

import pytest
from xdist.scheduler import LoadScopeScheduling

# Tests of one group are done by one process, one after the other, and share what it has started.
GROUPS = {
    "whole": r"tests/e2e/|tests/local/test_(cli|lab|pipeline|stack)\.py",  # the fixture `whole`
    "ui": r"tests/penguins/ui/",  # an API server of Airflow
}
# What takes longest, so that no process has it left when the others have finished.
FIRST = (
    "whole",
    "tests/penguins/training/test_training.py",
    "tests/notebooks/",
    "tests/penguins/promotion/test_registration.py",
    "ui",
)


class Scheduling(LoadScopeScheduling):
    """Hands out whole groups."""

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)


def group(nodeid: str) -> str:
    """Return the name of a test's group: its file, unless it shares more."""
    found = (name for name, paths in GROUPS.items() if re.match(paths, nodeid))
    return next(found, nodeid.partition("::")[0])


def rank(item: pytest.Item) -> int:
    """Return the place of a test's group in the order of groups."""
    places = (place for place, name in enumerate(FIRST) if group(item.nodeid).startswith(name))
    return next(places, len(FIRST))
