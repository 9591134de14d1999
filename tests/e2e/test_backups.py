"""A backup of the whole stack, made while it works, and restored beside it."""

import json
import re
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest

from benchmarks.drill_disaster import Drill, Kept
from local.clients.http import JsonApi
from local.clients.mlflow import Mlflow
from local.clients.service import Service
from local.settings import Settings
from local.stack import Stack
from local.waiting import until
from tests.commands import command
from tests.e2e.deployment import MODEL, PENGUIN, Deployment, Made, in_production

AUDIT = "SELECT * FROM audit.promotions ORDER BY id"
LOGGED = "SELECT prediction_id, row_index, version, class, probabilities FROM log.predictions ORDER BY 1, 2"
TASKS = """SELECT run_id, task_id, map_index, task_instance.state, task_instance.end_date, value::text
    FROM dag_run JOIN task_instance USING (dag_id, run_id) LEFT JOIN xcom USING (dag_id, run_id, task_id, map_index)
    WHERE dag_run.end_date IS NOT NULL"""
SEGMENTS = "SELECT count(*), count(DISTINCT (prediction_id, row_index)) FROM log.predictions"


class Before(NamedTuple):
    archive: Path
    ids: list[str]
    audit: list[tuple[object, ...]]
    tasks: set[tuple[object, ...]]
    versions: object
    objects: set[str]


@pytest.fixture(scope="module")
def before(deployment: Deployment, made: Made, whole: Stack, tmp_path_factory: pytest.TempPathFactory) -> Before:
    """An archive with keys, made while predictions are asked for and wait in the spool."""
    del made
    deployment.served()
    whole.stop("shipper")
    ids = [deployment.service.predict(PENGUIN)["prediction_id"] for _ in range(20)]
    spool = whole.config.layout.prediction_log
    until(lambda: any((spool / "ready").iterdir()), "a segment to be complete")
    folder = tmp_path_factory.mktemp("backups")
    tasks = airflow(whole, TASKS)
    done = command(whole.config.settings, "backup", "--to", str(folder), "--keys")
    whole.start("shipper")
    assert done.returncode == 0, done.stdout + done.stderr
    (archive,) = folder.iterdir()
    assert str(archive) in done.stdout
    return Before(archive, ids, deployment.query(AUDIT), tasks, versions(whole), deployment.objects(""))


def airflow(stack: Stack, statement: str) -> set[tuple[object, ...]]:
    """Return what Airflow's database says."""
    with psycopg.connect(stack.config.database_url("airflow")) as connection:
        return set(connection.execute(statement).fetchall())  # type: ignore[call-overload]


def versions(stack: Stack) -> object:
    """Return all that the registry says of the versions."""
    return JsonApi(stack.urls["mlflow"]).get("/api/2.0/mlflow/model-versions/search", filter=f"name='{MODEL}'")


@pytest.fixture(scope="module")
def restored(before: Before, tmp_path_factory: pytest.TempPathFactory):
    """The stack that the archive was restored into, without Airflow's servers, which take most of a start."""
    settings = Settings.on_free_ports(tmp_path_factory.mktemp("restored") / "state")
    done = command(settings, "restore", "--from", str(before.archive))
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"Restored as of \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", done.stdout)
    assert [path.name for path in settings.state_dir.parent.iterdir()] == ["state"]
    with Stack(settings).running("mlflow", "api", "shipper", "airflow-migrate") as stack:
        yield stack


def test_the_archive_is_private_and_has_all_parts(before):
    assert before.archive.stat().st_mode & 0o777 == 0o600
    with tarfile.open(before.archive) as archive:
        members = archive.getmembers()
        names = [member.name for member in members]
        manifest = json.load(archive.extractfile("manifest.json"))
    assert (names[0], names[-1]) == ("backup.json", "manifest.json")
    assert {"databases/airflow.dump", "databases/mlflow.dump", "databases/penguins.dump"} < set(names)
    assert {"tables/audit.promotions", "tables/log.predictions", "contracts/penguins.yaml", "keys.json"} < set(names)
    assert {member["name"]: member["size"] for member in manifest["members"]} == {
        member.name: member.size for member in members[:-1]
    }
    assert {member.mode for member in members} == {0o600}
    assert any(member["of"].endswith("inference/model.onnx") for member in manifest["members"])
    assert any(member["of"].startswith("ready/predictions-") for member in manifest["members"])
    assert {member["of"] for member in manifest["members"] if member["name"].startswith("objects/")} == before.objects


def test_everything_predicts_and_nothing_is_lost(before, restored, made):
    assert versions(restored) == before.versions
    assert made.run in {row[0] for row in before.tasks}
    assert before.tasks <= airflow(restored, TASKS)
    service, mlflow = Service(restored.urls["api"]), Mlflow(restored.urls["mlflow"])
    version = in_production(mlflow)
    until(lambda: service.version() == version.number, "the service to load the version from the restored stack")
    answer = service.predict(PENGUIN)
    assert answer["probabilities"] == made.answer["probabilities"] or version.number != made.version.number
    with psycopg.connect(restored.environment["AIRFLOW_CONN_PENGUINS_DB"], autocommit=True) as connection:
        assert connection.execute(AUDIT).fetchall()[: len(before.audit)] == before.audit
        wanted = {*before.ids, answer["prediction_id"]}

        def arrived() -> bool:
            return wanted <= {str(row[0]) for row in connection.execute(LOGGED)}

        until(arrived, "the predictions that waited in the spool", 60)
        rows, different = connection.execute(SEGMENTS).fetchall()[0]
        assert rows == different
    models = command(restored.config.settings, "penguins", "models", "--contract=", "--model=")
    assert models.returncode == 0
    assert "unsigned" not in models.stdout
    assert MODEL in models.stdout


def test_the_drill_tells_what_a_restore_lost_and_ends_with_an_error(whole, made, tmp_path):
    del made
    drill, now = Drill(whole, tmp_path), Kept.of(whole)
    key = next(iter(now.digests))
    rows = now.audit["promotions"]
    before = replace(
        now,
        versions={"model_versions": [*now.versions["model_versions"], {"version": "99"}]},
        audit=now.audit | {"promotions": [*rows[:-1], rows[-1].replace("promote", "refuse")]},
        digests=now.digests | {key: "0" * 64},
    )
    found = drill.compare(before, whole)
    assert found == ["versions differ", "audit differ", "digests differ"]
    for differences, status in ((found, 1), (drill.compare(now, whole), 0)):
        with pytest.raises(SystemExit) as ended:
            drill.end(differences)
        assert ended.value.code == status
