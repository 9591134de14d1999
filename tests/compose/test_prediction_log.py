"""The prediction log in the containers, on PostgreSQL 17."""

import pytest

from tests.e2e.deployment import Deployment
from tests.e2e.test_prediction_log import *  # noqa: F403


@pytest.mark.usefixtures("first_run")
def test_its_tables_are_on_another_version_of_postgresql(deployment: Deployment) -> None:
    """The embedded stack has 18."""
    assert deployment.query("SELECT current_setting('server_version_num')::int / 10000") == [(17,)]
