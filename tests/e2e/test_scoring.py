"""`make score` on the whole stack: rows of a source, with predictions that stand in the log."""

import pytest

from local.stack import Stack
from local.waiting import until
from tests.commands import command
from tests.e2e.deployment import Deployment

JOINED = """
    SELECT count(*), count(DISTINCT logged.prediction_id) FROM penguins_scored AS scored JOIN log.predictions AS logged
    ON scored.prediction_id = logged.prediction_id || '/' || logged.row_index
"""


@pytest.mark.usefixtures("first_run")
def test_the_rows_of_a_source_are_scored_and_logged(whole: Stack, deployment: Deployment) -> None:
    version = deployment.served().number
    done = command(whole.config.settings, "score", "--from=palmerpenguins")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"palmerpenguins: 342 by version {version} in the table penguins_scored of the database" in done.stdout
    assert "2 rows in penguins_scored_rejected" in done.stdout
    found = deployment.query("SELECT model_version, count(*), count(DISTINCT species) FROM penguins_scored GROUP BY 1")
    assert found == [(version, 342, 3)]
    rejected = deployment.query("SELECT DISTINCT split_part(reason, ';', 1) FROM penguins_scored_rejected")
    assert rejected == [("bill_length_mm is missing",)]
    until(lambda: deployment.query(JOINED) == [(342, 1)], "the predictions to arrive", 30)


@pytest.mark.usefixtures("first_run")
def test_a_source_that_cant_be_scored_is_named(whole: Stack) -> None:
    done = command(whole.config.settings, "score", "--from=/nowhere.csv", "--table=elsewhere")
    assert done.returncode == 1
    assert "score failed. The end of its log:" in done.stderr
    assert "/nowhere.csv: no such file on the machine that runs the task" in done.stderr
    assert "Traceback" not in done.stderr
