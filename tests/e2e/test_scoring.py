"""`make score` and `make compose-score` on the whole stack: rows of a source, whose predictions stand in the log."""

from pathlib import Path

import pytest

from local.stack import Stack
from local.waiting import until
from ops import score
from ops.run import sign_in
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


@pytest.mark.usefixtures("first_run")
def test_the_command_for_containers_shows_the_tasks_and_the_result(
    whole: Stack, deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    password = whole.config.credentials.airflow_password
    airflow = sign_in({"AIRFLOW_PORT": str(whole.config.settings.airflow_port), "AIRFLOW_PASSWORD": password})
    score.score(airflow, "penguins_scoring", "palmerpenguins", "scored_elsewhere")
    shown, version = capsys.readouterr().out, deployment.service.version()
    assert "score                    success\n" in shown
    assert f"palmerpenguins: 342 by version {version} in the table scored_elsewhere of the database" in shown
    assert deployment.query("SELECT count(*) FROM scored_elsewhere") == [(342,)]


def test_the_command_for_containers_says_what_it_lacks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert score.main(tmp_path / ".env", "", "", "") == 1
    assert "make compose-score FROM=/data/new.csv" in capsys.readouterr().err
    assert score.main(tmp_path / ".env", "/data/new.csv", "", "") == 1
    assert "No such file or directory" in capsys.readouterr().err
