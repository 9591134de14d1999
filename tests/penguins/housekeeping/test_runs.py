"""Old runs in MLflow, on the real server, bucket and database: what goes, and each reason for which one stays."""

import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import httpx
import psycopg
import pytest
from mlflow.entities import ViewType
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from psycopg import Connection

from contract.digests import MANIFEST_FILE, MODEL_FILE, ONNX_FILE, digest_files
from local.environment import BUCKET
from local.settings import REPO
from local.stack import Stack
from penguins.errors import UserError
from penguins.housekeeping import named, runs, tracking_server
from penguins.housekeeping.runs import ACTIVE, LATEST, PARENT_OF, TRAIL, VERSION, YOUNG, Plan
from penguins.promotion import audit, decisions
from penguins.promotion.production import lock_name
from penguins.registry import model_versions
from penguins.settings import settings
from penguins.training.candidate_runs import REFIT_OF
from penguins.training.tracking import CANDIDATE, DAG_RUN, PARENT, ROLE, client, experiment_id
from tests.penguins import ours
from tests.penguins.conftest import MadeUp, version_of

pytestmark = pytest.mark.usefixtures("mlflow")

OLD = datetime(2020, 1, 1, tzinfo=UTC)
FUTURE = datetime(2100, 1, 1, tzinfo=UTC)
"""A time from which on everything stays: all runs of these tests are older."""


@dataclass
class Family:
    """The runs of a DAG run in MLflow: a parent, and candidates with a model each."""

    dag_run_id: str
    parent: str
    candidates: list[MadeUp] = field(default_factory=list)

    @property
    def owners(self) -> set[str]:
        """Ids of what has files in the bucket."""
        return {self.parent, *(each.model_id for each in self.candidates)}

    @property
    def ids(self) -> set[str]:
        return {self.parent, *(each.run_id for each in self.candidates)}


Train = Callable[..., Family]


@pytest.fixture
def connection(stack: Stack) -> Iterator[Connection[Any]]:
    with psycopg.connect(stack.environment["AIRFLOW_CONN_PENGUINS_DB"], autocommit=True) as opened:
        yield opened


@pytest.fixture
def train(mlflow: None, request: pytest.FixtureRequest, tmp_path: Path) -> Train:
    """Log the runs of a DAG run that ended long ago, without training anything."""
    del mlflow

    def log(name: str, candidates: int = 2, at: datetime = OLD, **tags: str) -> Family:
        dag_run_id = f"{name} of {request.node.name}"
        experiment, ms = experiment_id(ours.contract()), int(at.timestamp() * 1000)

        def run(role: str) -> str:
            made = client().create_run(experiment, ms, {DAG_RUN: dag_run_id, ROLE: role, **tags})
            client().set_terminated(made.info.run_id, end_time=ms)
            return str(made.info.run_id)

        family = Family(dag_run_id, run(PARENT))
        client().log_text(family.parent, "a picture", "plots/confusion_matrix.png")
        (tmp_path / MODEL_FILE).write_bytes(b"a model")
        (tmp_path / ONNX_FILE).parent.mkdir(exist_ok=True)
        (tmp_path / ONNX_FILE).write_bytes(b"an export")
        shutil.copy(REPO / "tests/contract/version_1" / MANIFEST_FILE, tmp_path / MANIFEST_FILE)
        for _ in range(candidates):
            run_id = run(CANDIDATE)
            model = client().create_logged_model(experiment, name="made_up", source_run_id=run_id)
            client().log_model_artifacts(model.model_id, str(tmp_path))
            client().finalize_logged_model(model.model_id, "READY")
            family.candidates.append(MadeUp(model.model_id, run_id, digest_files(tmp_path)))
        return family

    return log


@pytest.fixture
def latest(train: Train) -> Family:
    """The latest DAG run, which always stays."""
    return train("the latest", at=OLD + timedelta(days=1))


def planned(connection: Connection[Any], active: set[str] | None = None, before: datetime = FUTURE) -> Plan:
    training = ours.contract().training
    return runs.plan(training.experiment, (training.registered_model,), before, named.read(connection), active or set())


def existing() -> set[str]:
    found = client().search_runs([experiment_id(ours.contract())], run_view_type=ViewType.ALL, max_results=1000)
    return {run.info.run_id for run in found}


def s3(stack: Stack) -> Any:
    keys = stack.config.credentials
    return boto3.client(
        "s3",
        endpoint_url=stack.urls["s3"],
        aws_access_key_id=keys.s3_access_key,
        aws_secret_access_key=keys.s3_secret_key,
        region_name="us-east-1",
    )


def objects(stack: Stack) -> dict[str, int]:
    """Return the sizes of the objects of this test's experiment in the bucket, by their keys."""
    prefix = f"{experiment_id(ours.contract())}/"
    found = s3(stack).list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
    return {item["Key"]: item["Size"] for item in found}


def owners(stack: Stack) -> set[str]:
    """Return the ids of the runs and models of this test that have files in the bucket."""
    return {id for key in objects(stack) for id in key.split("/")[1:3] if id not in ("models", "artifacts")}


def register(family: Family, candidate: int = 0) -> ModelVersion:
    return version_of(family.candidates[candidate])


def decided(connection: Connection[Any], model: str, version: ModelVersion, dag_run_id: str) -> None:
    connection.execute(
        """INSERT INTO audit.promotions (model, who, action, to_version, reason, numbers, dag_run_id,
           version_created_at) VALUES (%s, 'a test', 'promote', %s, 'a test', '{}', %s, %s)""",
        [model, version.version, dag_run_id, audit.created_at(version)],
    )


def test_old_runs_that_nothing_names_go_with_their_models_and_files(
    connection: Connection[Any], train: Train, latest: Family, stack: Stack
) -> None:
    old = [train("first"), train("second")]
    found = planned(connection)
    assert set(found.going) == {each.dag_run_id for each in old}
    assert set(found.run_ids) == old[0].ids | old[1].ids
    assert found.staying == {LATEST: 3}
    assert owners(stack) == old[0].owners | old[1].owners | latest.owners  # finding them deletes nothing
    sizes = objects(stack)
    size = tracking_server.survey(found.run_ids, 0)
    assert size.run_bytes == sum(sizes.values()) * 2 // 3
    assert size.bytes >= sum(sizes.values())
    assert runs.delete(connection, found) == 6
    assert existing() == latest.ids
    assert owners(stack) == latest.owners
    for candidate in old[0].candidates:
        with pytest.raises(MlflowException, match="not found"):
            client().get_logged_model(candidate.model_id)
    assert planned(connection).run_ids == []


def test_a_version_keeps_its_run_and_the_parent_of_that(
    connection: Connection[Any], train: Train, latest: Family, stack: Stack
) -> None:
    family, other = train("first"), train("second")
    kept = register(family)  # in no stage, without an alias
    found = planned(connection)
    assert set(found.run_ids) == {family.candidates[1].run_id} | other.ids
    assert found.staying == {VERSION: 1, PARENT_OF: 1, LATEST: 3}
    runs.delete(connection, found)
    assert existing() == {family.parent, family.candidates[0].run_id} | latest.ids
    assert model_versions.model_id(kept) == family.candidates[0].model_id
    assert client().get_logged_model(family.candidates[0].model_id).status.value == "READY"
    assert owners(stack) == {family.parent, family.candidates[0].model_id} | latest.owners


@pytest.mark.usefixtures("latest")
def test_a_version_that_was_registered_by_hand_keeps_the_run_of_its_model(
    connection: Connection[Any], train: Train
) -> None:
    family = train("first")
    client().create_registered_model("by hand")
    source = f"models:/{family.candidates[0].model_id}"
    client().create_model_version(
        "by hand", source, model_id=family.candidates[0].model_id
    )  # of a model that no contract names, and without a run
    connection.execute(
        """INSERT INTO audit.candidates (experiment_id, dag_run_id, fingerprint, outcome, name, run_id, model_id,
           params, metrics, tags) VALUES ('0', %s, 'x', 'finished', 'x', %s, %s, '{}', '{}', '{}')""",
        [family.dag_run_id, family.candidates[0].run_id, family.candidates[0].model_id],
    )
    assert planned(connection).run_ids == [family.candidates[1].run_id]


@pytest.mark.usefixtures("latest")
def test_the_audit_trail_keeps_the_parent(connection: Connection[Any], train: Train) -> None:
    family, other = train("first"), train("second")
    version = register(other)
    decided(connection, version.name, version, family.dag_run_id)
    found = planned(connection)
    assert family.parent not in found.run_ids
    assert {each.run_id for each in family.candidates} < set(found.run_ids)
    assert found.staying[TRAIL] == 1


@pytest.mark.usefixtures("latest")
def test_all_runs_stay_of_a_decision_whose_version_was_deleted(connection: Connection[Any], train: Train) -> None:
    family, again = train("first"), train("second")
    version = register(family)
    decided(connection, version.name, version, family.dag_run_id)
    client().delete_registered_model(version.name)
    new = register(again)  # of the same number
    assert new.version == version.version
    assert planned(connection).staying[TRAIL] == 3


@pytest.mark.usefixtures("latest")
def test_a_candidate_that_a_version_was_fitted_again_for_stays(connection: Connection[Any], train: Train) -> None:
    family = train("first", candidates=3)
    refit, judged, other = family.candidates
    client().set_tag(refit.run_id, REFIT_OF, judged.run_id)
    register(family)
    assert planned(connection).run_ids == [other.run_id]


@pytest.mark.usefixtures("latest")
def test_younger_runs_stay(connection: Connection[Any], train: Train) -> None:
    old, young = train("first"), train("second", at=OLD + timedelta(hours=1))
    found = planned(connection, before=OLD + timedelta(minutes=30))
    assert set(found.run_ids) == old.ids
    assert found.staying == {YOUNG: len(young.ids), LATEST: 3}


@pytest.mark.usefixtures("latest")
def test_runs_stay_while_their_dag_run_or_one_of_them_runs(connection: Connection[Any], train: Train) -> None:
    waiting, running = train("first"), train("second")
    client().update_run(running.candidates[1].run_id, status="RUNNING")
    found = planned(connection, active={waiting.dag_run_id})
    assert found.run_ids == []
    assert found.staying == {ACTIVE: 6, LATEST: 3}


@pytest.mark.usefixtures("latest")
def test_what_a_retry_has_discarded_goes_though_it_never_ended(connection: Connection[Any], train: Train) -> None:
    family = train("first")
    register(family)
    client().update_run(family.candidates[1].run_id, status="RUNNING")
    client().delete_run(family.candidates[1].run_id)
    assert planned(connection).run_ids == [family.candidates[1].run_id]


@pytest.mark.usefixtures("latest")
def test_runs_of_people_and_of_other_experiments_stay(connection: Connection[Any]) -> None:
    by_hand = client().create_run(experiment_id(ours.contract()), 0, {DAG_RUN: "by hand"})
    client().set_terminated(by_hand.info.run_id, end_time=0)
    elsewhere = client().create_experiment(f"another than {settings().experiment}")
    ours_elsewhere = client().create_run(elsewhere, 0, {DAG_RUN: "x", ROLE: CANDIDATE})
    client().set_terminated(ours_elsewhere.info.run_id, end_time=0)
    found = planned(connection)
    assert found.run_ids == []
    assert found.staying == {LATEST: 3}


@pytest.mark.usefixtures("latest")
def test_a_version_that_is_registered_meanwhile_is_waited_for(
    connection: Connection[Any], train: Train, stack: Stack
) -> None:
    family = train("first")
    found = planned(connection)
    assert set(found.run_ids) == family.ids
    deleted = threading.Thread(target=runs.delete, args=(connection, found))
    with (
        psycopg.connect(stack.environment["AIRFLOW_CONN_PENGUINS_DB"], autocommit=True) as other,
        runs.exclusive_lock(other, lock_name(ours.model())),
    ):
        deleted.start()
        version = register(family)
    deleted.join()
    assert {client().get_run(id).info.lifecycle_stage for id in (family.parent, version.run_id)} == {"active"}
    assert family.candidates[1].run_id not in existing()


@pytest.mark.parametrize("cut", ["before the models", "after the models", "after the first run"])
def test_the_next_call_finishes_what_was_killed(
    connection: Connection[Any], train: Train, latest: Family, stack: Stack, monkeypatch: pytest.MonkeyPatch, cut: str
) -> None:
    family, purge = train("first"), tracking_server.purge

    def killed(run_ids: list[str]) -> dict[str, str]:
        if cut == "after the models":
            (model_id,) = (each.model_id for each in family.candidates if each.run_id == run_ids[0])
            client().delete_logged_model(model_id)
            s3(stack).delete_object(Bucket=BUCKET, Key=next(key for key in objects(stack) if f"/{model_id}/" in key))
        if cut == "after the first run":
            purge(run_ids[:1])
        raise KeyboardInterrupt

    found = planned(connection)
    with monkeypatch.context() as patch:
        patch.setattr(runs.tracking_server, "purge", killed)
        with pytest.raises(KeyboardInterrupt):
            runs.delete(connection, found)
    found = planned(connection)
    assert len(set(found.run_ids) & family.ids) == (2 if cut == "after the first run" else 3)
    runs.delete(connection, found)
    assert existing() == latest.ids
    assert owners(stack) == latest.owners


def test_the_server_keeps_what_a_version_is_made_of_and_what_wasnt_deleted(train: Train, stack: Stack) -> None:
    family = train("first")
    register(family)
    named_run, other = (each.run_id for each in family.candidates)
    client().delete_run(named_run)
    kept = tracking_server.purge([named_run, other, "0" * 32])
    assert kept == {named_run: "a version is made of it", other: "the run isn't deleted"}
    assert owners(stack) == family.owners
    refused = httpx.post(f"{stack.urls['mlflow']}/api/3.0/penguins/purge", json={"run_ids": ["../x"]})
    assert refused.status_code == 422
    foreign = {"Origin": "https://evil.example.org"}
    refused = httpx.post(f"{stack.urls['mlflow']}/api/3.0/penguins/purge", json={"run_ids": [other]}, headers=foreign)
    assert refused.status_code == 403


def test_files_whose_run_or_model_is_gone_are_swept_once_they_are_old(train: Train, stack: Stack) -> None:
    family = train("first", candidates=1)
    experiment = experiment_id(ours.contract())
    gone = [f"{experiment}/{'0' * 32}/artifacts/a", f"{experiment}/models/m-{'0' * 32}/artifacts/b"]
    for key in [*gone, f"{experiment}/notes/c"]:
        s3(stack).put_object(Bucket=BUCKET, Key=key, Body=b"12345")
    before = int(FUTURE.timestamp() * 1000)
    assert (tracking_server.survey([], 0).orphans, tracking_server.survey([], before).orphans) == (0, 2)
    assert tracking_server.survey([], before).orphan_bytes == 10
    assert tracking_server.sweep(0) == 0
    assert tracking_server.sweep(before) == 2
    left = objects(stack)
    assert f"{experiment}/notes/c" in left
    assert not set(gone) & set(left)
    assert family.owners < owners(stack)


@pytest.mark.filterwarnings("ignore:.*transition_model_version_stage")
@pytest.mark.usefixtures("latest")
def test_every_version_can_be_rolled_back_to_afterwards(connection: Connection[Any], train: Train) -> None:
    families = [train(name) for name in ("first", "second", "third")]
    versions = [register(each, candidate=1) for each in families]
    for version in versions:
        decisions.promote(connection, version, "a test", "a test", {})
    runs.delete(connection, planned(connection))
    assert planned(connection).run_ids == []
    for version in reversed(versions[:-1]):
        assert decisions.rollback(connection, ours.model(), "a test", "a test").version == version.version


def test_a_deleted_experiment_is_named(connection: Connection[Any]) -> None:
    client().delete_experiment(experiment_id(ours.contract()))
    with pytest.raises(UserError, match="was deleted"):
        planned(connection)
