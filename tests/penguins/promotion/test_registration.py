import json
import pickle
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cloudpickle
import mlflow.artifacts
import numpy as np
import psycopg
import pytest
from mlflow.entities import LoggedModel
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from psycopg import Connection
from sklearn.dummy import DummyClassifier
from sklearn.metrics import recall_score

from contract.digests import digest_files
from local.stack import Stack
from penguins import signing
from penguins.data.contract import SPECIES
from penguins.data.dataset import Dataset, split
from penguins.errors import UserError
from penguins.promotion import audit, verdicts
from penguins.promotion.approval import answer, question
from penguins.promotion.decisions import promote, rollback
from penguins.promotion.gate import judge, table
from penguins.promotion.lineage import recorded_runs
from penguins.promotion.registration import register_best
from penguins.registry import model_versions, onnx_export
from penguins.settings import settings
from penguins.training import candidate_records, candidate_runs, tracking
from penguins.training.candidate_records import Connect
from penguins.training.estimators import Grid
from penguins.training.grid import count
from penguins.training.tracking import client
from penguins.training.training import TrainReport, grid_train, open_run
from tests.penguins import ours
from tests.penguins.conftest import GRID, connect_to, made_up_version, pointed_at, real_penguins
from tests.penguins.cutting import Cutting

# Trained once for all tests here; each has a registered model of its own.
EXPERIMENT = "registration"
RUN, NEXT_RUN, WEAK_RUN = "manual__1", "manual__2", "manual__weak"
STUMPS = {"n_estimators": [1, 2, 3, 4, 5], "max_depth": [1], "max_features": [1, 2, 3, 4]}
CANDIDATES = 4  # of RUN and of NEXT_RUN


LookedAt = tuple[ModelVersion, Dataset]


def aliases() -> dict[str, str]:
    found: dict[str, str] = client().get_registered_model(settings().model_name).aliases
    return found


def stages() -> dict[str, str]:
    return {version.version: version.current_stage for version in model_versions.versions(ours.model())}


def current() -> ModelVersion:
    version = model_versions.production(ours.model())
    assert version is not None
    return version


@pytest.fixture(scope="module")
def trained(stack: Stack) -> Dataset:
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        pointed_at(stack, monkeypatch, EXPERIMENT, "unused"),
        psycopg.connect(stack.environment["AIRFLOW_CONN_PENGUINS_DB"], autocommit=True) as connection,
    ):
        data = real_penguins(connection)
        train(data, STUMPS, WEAK_RUN, connect_to(stack), 0)
        for run in (RUN, NEXT_RUN):
            train(data, GRID, run, connect_to(stack), 2)
        return data


def train(data: Dataset, grid: Grid, run: str, connect: Connect, shard: int) -> TrainReport:
    """Train one shared fit of a grid, which gives four or five of its twenty candidates."""
    parent = open_run(data, grid, 3, run, connect=connect)
    return grid_train(data, grid, 3, parent, shard, 5, connect=connect)


@pytest.fixture
def connection(stack: Stack) -> Iterator[Connection[Any]]:
    with psycopg.connect(stack.environment["AIRFLOW_CONN_PENGUINS_DB"], autocommit=True) as opened:
        yield opened


@pytest.fixture
def data(
    stack: Stack,
    trained: Dataset,
    bests: list[LoggedModel],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Iterator[Dataset]:
    with pointed_at(stack, monkeypatch, EXPERIMENT, request.node.name):
        for model in bests:
            sign(model)
        yield replace(trained, contract=ours.contract())


@pytest.fixture(scope="module")
def bests(stack: Stack, trained: Dataset) -> list[LoggedModel]:
    """The logged model of each run's best candidate."""
    del trained
    with pytest.MonkeyPatch.context() as monkeypatch, pointed_at(stack, monkeypatch, EXPERIMENT, "unused"):
        runs = [candidate_runs.choose_best(ours.find_candidates(run)) for run in (WEAK_RUN, RUN, NEXT_RUN)]
        return [client().get_logged_model(candidate_runs.model_id(run)) for run in runs]


def sign(model: LoggedModel) -> None:
    """Sign a candidate's model for the registered model of this test."""
    tag = signing.sign("candidate", ours.model(), model.model_id, json.loads(model.tags["digests"]))
    client().set_logged_model_tags(model.model_id, {"signature": tag})


@pytest.fixture
def first(connection: Connection[Any], data: Dataset) -> ModelVersion:
    """The best candidate of the first run, registered and promoted."""
    return register_first(connection, data)


def register_first(connection: Connection[Any], data: Dataset) -> ModelVersion:
    report = register_best(connection, data, RUN)
    assert (report.version, report.promoted) == ("1", True)
    return current()


@pytest.fixture(scope="module")
def registered(stack: Stack, trained: Dataset, bests: list[LoggedModel]) -> ModelVersion:
    """The same in a registered model that several tests look at."""
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        pointed_at(stack, monkeypatch, EXPERIMENT, "looked_at"),
        psycopg.connect(stack.environment["AIRFLOW_CONN_PENGUINS_DB"], autocommit=True) as connection,
    ):
        for model in bests:
            sign(model)
        return register_first(connection, replace(trained, contract=ours.contract()))


@pytest.fixture
def looked_at(
    stack: Stack, trained: Dataset, registered: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LookedAt]:
    with pointed_at(stack, monkeypatch, EXPERIMENT, registered.name):
        yield registered, replace(trained, contract=ours.contract())


@pytest.fixture
def champion(connection: Connection[Any], data: Dataset, registered: ModelVersion) -> ModelVersion:
    """The best candidate of the first run in Production, without drawing, exporting and judging it once more."""
    tags = registered.tags | signed_as(model_versions.model_id(registered), registered)
    version = model_versions.create_version(
        data.contract, model_versions.model_id(registered), registered.run_id, tags, registered.description
    )
    promote(connection, version, registered.tags["reason"], by=f"register_best of {RUN}")
    return current()


def signed_as(model_id: str, version: ModelVersion) -> dict[str, str]:
    """Return a signature of a version's files as those of a logged model, for the registered model of this test."""
    return {"signature": signing.sign("version", ours.model(), model_id, json.loads(version.tags["digests"]))}


def test_the_first_version_is_the_best_candidate_and_in_production(looked_at: LookedAt) -> None:
    first, data = looked_at
    best = max(ours.find_candidates(RUN), key=lambda run: run.data.metrics["cv_accuracy_mean"])
    chosen = client().get_run(first.run_id)
    assert chosen.data.metrics["cv_accuracy_mean"] == best.data.metrics["cv_accuracy_mean"]
    assert aliases() == {"production": "1"}
    assert stages() == {"1": "Production"}
    assert first.tags["dag_run_id"] == RUN
    assert first.tags["data_digest"] == data.digest
    assert float(first.tags["holdout_accuracy"]) == chosen.data.metrics["holdout_accuracy"]
    assert first.tags["promoted_by"] == f"register_best of {RUN}"
    assert first.tags["previous_version"] == ""
    assert first.tags["reason"].startswith("the first version")


def test_the_version_has_the_files_of_the_service(looked_at: LookedAt) -> None:
    first, data = looked_at
    folder = Path(mlflow.artifacts.download_artifacts(f"models:/{first.name}/{first.version}"))
    recorded = json.loads(first.tags["digests"])
    found = digest_files(folder)
    found.pop("registered_model_meta", None)  # MLflow's client adds it to what it downloads
    assert found == recorded
    contract = json.loads((folder / "inference/contract.json").read_text())
    assert contract["target"]["categories"] == ["Adelie", "Chinstrap", "Gentoo"]
    assert contract["features"][0]["name"] == "bill_length_mm"
    assert contract["features"][0]["min"] == data.features.iloc[data.train]["bill_length_mm"].min()
    onnx = (folder / "inference/model.onnx").read_bytes()
    labels, probabilities = onnx_export.predict(onnx, np.array(contract["example"]["inputs"], dtype=np.float32))
    assert labels.tolist() == contract["example"]["labels"]
    assert probabilities == pytest.approx(np.array(contract["example"]["probabilities"]), abs=1e-4)
    assert contract["scatter"]["inputs"] == data.features.iloc[data.train].to_numpy().tolist()
    assert contract["scatter"]["labels"] == data.labels[data.train].tolist()


@pytest.mark.usefixtures("looked_at")
def test_the_parent_run_has_pictures_and_a_leaderboard() -> None:
    parent = ours.find_parent(RUN)
    assert parent is not None
    assert parent.info.status == "FINISHED"
    listed = {item.path for item in client().list_artifacts(parent.info.run_id, "plots")}
    assert listed == {"plots/grid.png", "plots/confusion_matrix.png", "plots/importances.png"}
    table = mlflow.artifacts.load_dict(f"{parent.info.artifact_uri}/leaderboard.json")
    assert len(table["data"]) == CANDIDATES


def test_a_rerun_makes_no_second_version(connection: Connection[Any], first: ModelVersion, data: Dataset) -> None:
    report = register_best(connection, data, RUN)
    assert (report.version, report.promoted) == ("1", True)
    assert len(model_versions.versions(ours.model())) == 1
    assert current().tags == first.tags


def test_a_rerun_finishes_a_promotion_that_was_interrupted(
    connection: Connection[Any], first: ModelVersion, data: Dataset
) -> None:
    client().transition_model_version_stage(first.name, first.version, "None")
    report = register_best(connection, data, RUN, ask=True)
    assert (report.promoted, report.reason) == (True, first.tags["reason"])
    assert stages() == {"1": "Production"}
    assert len(audit.trail(connection, ours.model())) == 1


def test_a_rerun_of_an_older_run_keeps_its_verdict(
    connection: Connection[Any], first: ModelVersion, data: Dataset
) -> None:
    register_best(connection, data, NEXT_RUN)
    promote(connection, model_versions.versions(ours.model())[0], "a person said so", by="ada")
    before = {version.version: version.tags for version in model_versions.versions(ours.model())}
    report = register_best(connection, data, RUN)
    assert (report.version, report.promoted, report.reason) == ("1", True, first.tags["reason"])
    assert {version.version: version.tags for version in model_versions.versions(ours.model())} == before
    assert aliases() == {"production": "2"}


@pytest.mark.usefixtures("champion")
def test_a_tie_keeps_the_champion_and_names_a_challenger(connection: Connection[Any], data: Dataset) -> None:
    report = register_best(connection, data, NEXT_RUN)
    assert (report.version, report.promoted) == ("2", False)
    assert "not better than version 1, accuracy on the same 69 rows" in report.reason
    assert aliases() == {"production": "1", "challenger": "2"}
    assert stages() == {"1": "Production", "2": "None"}
    assert model_versions.versions(ours.model())[0].tags["reason"] == report.reason


@pytest.fixture
def low_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENGUINS_MIN_ACCURACY", "0.5")
    settings.cache_clear()


def test_the_first_version_below_the_minimal_accuracy_is_refused(connection: Connection[Any], data: Dataset) -> None:
    report = register_best(connection, data, WEAK_RUN)
    assert (report.version, report.promoted) == ("1", False)
    assert re.match(r"below the floor: the accuracy 0\.\d{4} is less than the required 0\.9", report.reason)
    assert aliases() == {"challenger": "1"}
    assert model_versions.production(ours.model()) is None


def test_a_person_is_asked_and_decides(connection: Connection[Any], champion: ModelVersion, data: Dataset) -> None:
    report = register_best(connection, data, NEXT_RUN, ask=True)
    assert (report.version, report.promoted) == ("2", None)
    assert aliases() == {"production": champion.version}
    assert register_best(connection, data, NEXT_RUN, ask=True).promoted is None  # a cleared task asks again
    report = answer(connection, ours.model(), "2", approved=True, seen="1", by="ada", comment="newer is better")
    assert report.promoted
    assert aliases() == {"production": "2"}
    entry = audit.trail(connection, ours.model())[0]
    assert (entry.who, entry.action, entry.from_version) == ("ada", "promote", "1")
    assert entry.reason.startswith("newer is better (the gate: not better than version 1")
    assert entry.numbers["champion"] == "1"


@pytest.mark.usefixtures("low_floor")
def test_a_better_candidate_takes_over(
    connection: Connection[Any], data: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "penguins")
    register_best(connection, data, WEAK_RUN)
    weak = float(current().tags["holdout_accuracy"])
    report = register_best(connection, data, NEXT_RUN)
    assert report.promoted
    assert float(current().tags["holdout_accuracy"]) > weak
    assert aliases() == {"production": "2"}
    assert stages() == {"1": "Archived", "2": "Production"}
    assert current().tags["previous_version"] == "1"
    verdict = verdicts.find(connection, current())
    assert verdict is not None
    assert (verdict.promote, verdict.reason, verdict.champion) == (True, report.reason, "1")
    numbers = verdict.numbers
    assert json.loads(current().tags["gate"])["numbers"]["accuracy"] == numbers["accuracy"]
    assert numbers["champion_accuracy"] == pytest.approx(weak)
    assert numbers["accuracy"] == pytest.approx(float(current().tags["holdout_accuracy"]))
    assert numbers["gained"] - numbers["lost"] == round(69 * (numbers["accuracy"] - weak))
    assert f"| accuracy                         |        {weak:.4f} |" in caplog.text


@pytest.mark.usefixtures("low_floor")
def test_a_better_candidate_is_shadowed_first_where_the_contract_wants_it(
    connection: Connection[Any], data: Dataset
) -> None:
    training = data.contract.training.model_copy(update={"shadow_predictions": 1000, "shadow_days": 0.5})
    data = replace(data, contract=data.contract.model_copy(update={"training": training}))
    assert register_best(connection, data, WEAK_RUN).promoted  # the first has no Production to be beside
    report = register_best(connection, data, NEXT_RUN, ask=True)
    assert (report.version, report.promoted, report.outcome) == ("2", False, "shadowing")
    assert report.reason.startswith(
        "shadowing: 1,000 predictions beside version 1 (rows of tables don't count) are required within 0.5 days; "
        "the gate: better than version 1, "
    )
    assert aliases() == {"production": "1", "shadow": "2"}
    assert model_versions.version(ours.model(), "2").tags["verdict"] == "shadowing"
    entry = audit.trail(connection, ours.model())[0]
    assert (entry.action, entry.from_version, entry.to_version) == ("shadow", "1", "2")
    assert (entry.reason, entry.who, entry.numbers["ask"]) == (report.reason, f"register_best of {NEXT_RUN}", True)
    verdict = verdicts.find(connection, model_versions.version(ours.model(), "2"))
    assert verdict is not None
    assert (verdict.promote, verdict.asked) == (True, False)
    assert register_best(connection, data, NEXT_RUN) == report  # a cleared task changes nothing
    assert len(audit.trail(connection, ours.model())) == 2


@pytest.mark.usefixtures("low_floor")
def test_a_retry_does_not_undo_a_persons_rollback(
    connection: Connection[Any], data: Dataset, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    register_best(connection, data, WEAK_RUN)
    names = {"experiment": EXPERIMENT, "model_name": settings().model_name}
    with Cutting(stack.urls["mlflow"], "transition-stage") as line:
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        with pointed_at(line.stack(stack), monkeypatch, **names), pytest.raises(MlflowException):
            register_best(connection, data, NEXT_RUN)
    with pointed_at(stack, monkeypatch, **names):
        assert aliases() == {"production": "2"}
        rollback(connection, ours.model(), "it misses Chinstraps", by="ada")
        report = register_best(connection, data, NEXT_RUN)
        assert (report.version, report.promoted) == ("2", True)
        assert aliases() == {"production": "1"}
        assert [entry.action for entry in audit.trail(connection, ours.model())] == ["rollback", "promote", "promote"]


@pytest.mark.usefixtures("low_floor")
def test_a_worse_candidate_is_refused(connection: Connection[Any], champion: ModelVersion, data: Dataset) -> None:
    report = register_best(connection, data, WEAK_RUN)
    assert (report.version, report.promoted) == ("2", False)
    assert report.reason.startswith(f"not better than version {champion.version}, accuracy on the same 69 rows")
    assert aliases() == {"production": "1", "challenger": "2"}
    numbers = audit.trail(connection, ours.model())[0].numbers
    assert numbers["accuracy"] < numbers["champion_accuracy"]


@pytest.mark.usefixtures("low_floor")
def test_a_candidate_with_a_large_drop_of_one_recall_is_refused(
    connection: Connection[Any], data: Dataset, tmp_path: Path
) -> None:
    worst = min(
        zip(*weak_recalls(data), strict=True),
        key=lambda label_and_recall: label_and_recall[1],
    )[0]
    always = DummyClassifier(strategy="constant", constant=worst).fit(data.features, data.labels)
    promote(connection, made_up_version(tmp_path, cloudpickle.dumps(always)), "knows one species", by="ada")
    report = register_best(connection, data, WEAK_RUN)
    assert (report.version, report.promoted) == ("2", False)
    assert report.reason.startswith(f"worse than version 1 at {SPECIES[worst]}: recall ")
    assert "against 1.0000, and a drop of 0.1 is allowed" in report.reason
    assert aliases() == {"production": "1", "challenger": "2"}


def weak_recalls(data: Dataset) -> tuple[list[int], list[float]]:
    best = candidate_runs.choose_best([run for run in ours.find_candidates(WEAK_RUN) if run.info.status == "FINISHED"])
    model_id = candidate_runs.model_id(best)
    model = model_versions.load(model_id, json.loads(client().get_logged_model(model_id).tags["digests"]))
    truth = data.labels[data.holdout]
    recalls = recall_score(truth, model.predict(data.features.iloc[data.holdout]), average=None)
    return list(range(len(SPECIES))), recalls.tolist()


def test_the_question_has_the_champions_numbers_below_the_minimal_accuracy(
    connection: Connection[Any], champion: ModelVersion, data: Dataset
) -> None:
    register_best(connection, data, WEAK_RUN, ask=True)
    asked = question(connection, ours.contract(), "2", base_path="")
    body = asked.body
    assert asked.subject.endswith("in place of version 1?")
    assert "below the floor" in body
    assert re.search(r"\| +\| +version 1 \| +version 2 \|", body)
    assert f"|        {float(champion.tags['holdout_accuracy']):.4f} |" in body


@pytest.fixture
def own_run(connect: Connect, data: Dataset) -> str:
    """A DAG run of this test's own, with some of the candidates of its grid."""
    run = f"manual__{settings().model_name}"
    train(data, GRID, run, connect, 0)
    return run


def test_the_verdict_says_how_many_candidates_are_missing(
    connection: Connection[Any], own_run: str, data: Dataset
) -> None:
    done = candidate_records.read(connection, tracking.experiment_id(ours.contract()), own_run)
    nothing = replace(done[0], outcome="left out", run_id=None, model_id=None)
    candidate_records.append(connection, [replace(nothing, fingerprint=str(number)) for number in range(4)])
    reason = register_best(connection, data, own_run, ask=True, expected=count(GRID)).reason
    notes = "4 candidates were left out for the time budget; " + (
        f"{16 - len(done)} of 20 candidates are missing: grid_train didn't end by itself"
    )
    assert f"({notes})" in reason
    assert notes in question(connection, ours.contract(), "1", base_path="").body
    assert "missing" not in register_best(connection, data, NEXT_RUN, ask=True, expected=CANDIDATES).reason


def test_what_is_set_in_mlflow_changes_neither_choice_nor_verdict(
    connection: Connection[Any], champion: ModelVersion, own_run: str, data: Dataset
) -> None:
    done = candidate_records.read(connection, tracking.experiment_id(ours.contract()), own_run)
    best = candidate_runs.choose_best([record.to_run() for record in done]).info.run_id
    for record in done:
        client().log_metric(record.run_id, "cv_accuracy_mean", 0.0 if record.run_id == best else 2.0)
    for name in ("role", "data_digest", "fingerprint", "estimator"):
        client().set_tag(best, name, "forged")
    asked = register_best(connection, data, own_run, ask=True)
    assert model_versions.version(ours.model(), asked.version).run_id == best
    gate = {"promote": True, "reason": "better", "numbers": {"accuracy": 1.0}, "champion": champion.version}
    for version in (champion.version, asked.version):
        for name, value in {"verdict": "promoted", "gate": json.dumps(gate), "holdout_accuracy": "0.1"}.items():
            client().set_model_version_tag(champion.name, version, name, value)
        for name in ("data_digest", "split", "estimator"):
            client().set_model_version_tag(champion.name, version, name, "forged")
    decided = register_best(connection, data, own_run)
    assert (decided.version, decided.promoted, decided.reason) == (asked.version, False, asked.reason)
    entry = audit.trail(connection, ours.model())[0]
    assert (entry.action, entry.data_digest, entry.dag_run_id) == ("refuse", data.digest, own_run)
    assert aliases() == {"production": champion.version, "challenger": asked.version}


def test_a_champion_that_lacks_memory_to_load_stays(connection: Connection[Any], data: Dataset, tmp_path: Path) -> None:
    greedy = pickle.dumps(Greedy())
    promote(connection, made_up_version(tmp_path, greedy), "too large for now", by="ada")
    with pytest.raises(MemoryError):
        register_best(connection, data, NEXT_RUN)
    assert aliases() == {"production": "1"}


class Greedy:
    """An object that needs more memory for unpickling than there is."""

    def __reduce__(self) -> tuple[type[bytearray], tuple[int]]:
        return bytearray, (2**62,)


def judge_against(connection: Connection[Any], champion: ModelVersion, data: Dataset, **origin: str) -> str:
    """Return the reason of the verdict on a champion's own model, with a part of the champion's origin changed."""
    run = recorded_runs(connection, [champion])[champion.version]
    run.data.tags.update(origin)
    model = model_versions.load(model_versions.model_id(champion), model_versions.recorded_digests(champion))
    return judge(model, champion, data, origins={champion.version: run}).reason


def test_a_champion_of_other_data_is_named_in_the_reason(connection: Connection[Any], looked_at: LookedAt) -> None:
    reason = judge_against(connection, *looked_at, data_digest="of other data")
    assert "version 1 learned from other data, which may have had some of these rows" in reason


def test_a_champion_of_another_hold_out_is_named_in_the_reason(
    connection: Connection[Any], looked_at: LookedAt
) -> None:
    reason = judge_against(connection, *looked_at, split="seed=1 holdout_share=0.2")
    assert "accuracy on the same 69 rows" in reason
    assert "version 1 was made with another hold-out: it may have learned some of them, which is to its" in reason


def test_enough_rows_that_neither_learned_from_are_the_only_ones_judged(
    connection: Connection[Any], looked_at: LookedAt
) -> None:
    _, data = looked_at
    shared = np.intersect1d(data.holdout, split(data.features.assign(label=data.labels), 0.6, 1).holdout)
    assert 30 <= len(shared) < 69
    reason = judge_against(connection, *looked_at, split="seed=1 holdout_share=0.6")
    assert f"accuracy on the same {len(shared)} rows" in reason
    assert "(of 69 held-out rows those that the hold-out of version 1 has, too)" in reason


def test_a_champion_registered_by_hand_is_judged_by_the_tags_of_its_run(
    connection: Connection[Any], data: Dataset
) -> None:
    run = next(run for run in ours.find_candidates(RUN) if run.data.metrics["holdout_accuracy"] > 0.9)
    model = client().get_logged_model(candidate_runs.model_id(run))
    sign(model)
    model_versions.create_version(ours.contract(), model.model_id, run.info.run_id, {}, description="by hand")
    client().set_registered_model_alias(settings().model_name, "production", "1")
    reason = register_best(connection, data, NEXT_RUN).reason
    assert "version 1, accuracy on the same 69 rows" in reason
    assert "another hold-out" not in reason
    assert "other data" not in reason


def test_a_champion_with_a_changed_file_is_replaced(
    connection: Connection[Any], champion: ModelVersion, data: Dataset
) -> None:
    digests = {**json.loads(champion.tags["digests"]), "model.pkl": "0" * 64}
    tag = signing.sign("version", ours.model(), model_versions.model_id(champion), digests)
    client().set_model_version_tag(champion.name, champion.version, "signature", tag)
    report = register_best(connection, data, NEXT_RUN)
    assert report.promoted
    assert re.match(r"version 1 can't be judged \(.* isn't the file that was recorded.* takes its place", report.reason)
    assert aliases() == {"production": "2"}


def test_a_champion_with_a_missing_file_and_none_before_it_is_replaced_unless_it_was_better(
    connection: Connection[Any], champion: ModelVersion, data: Dataset
) -> None:
    model = client().get_logged_model(model_versions.model_id(champion))
    copy = client().create_logged_model(model.experiment_id, name="without_a_file")
    client().finalize_logged_model(copy.model_id, "READY")
    tags = champion.tags | signed_as(copy.model_id, champion)
    lost = model_versions.create_version(ours.contract(), copy.model_id, champion.run_id, tags, description="")
    client().set_registered_model_alias(lost.name, "production", lost.version)
    run = recorded_runs(connection, [champion])[champion.version]
    run.data.metrics["holdout_accuracy"] = 1.1
    challenger = model_versions.load(model.model_id, model_versions.recorded_digests(champion))
    verdict = judge(challenger, lost, data, origins={lost.version: run})
    assert not verdict.promote
    assert "model.pkl is missing. Promote another version, or restore the file." in verdict.reason
    assert "is less than the 1.1000 recorded for version 2. Promote by hand." in verdict.reason
    assert "version 2 |" in table(verdict.numbers, "3").splitlines()[0]
    assert judge(challenger, lost, data).promote


def test_a_champion_with_a_damaged_export_is_passed_over(
    connection: Connection[Any], champion: ModelVersion, data: Dataset, tmp_path: Path
) -> None:
    model = client().get_logged_model(model_versions.model_id(champion))
    mlflow.artifacts.download_artifacts(model.artifact_location, dst_path=str(tmp_path))
    (onnx,) = tmp_path.rglob("model.onnx")
    onnx.write_bytes(b"garbage")
    copy = client().create_logged_model(model.experiment_id, name="with_a_damaged_export")
    client().log_model_artifacts(copy.model_id, str(onnx.parent.parent))
    client().finalize_logged_model(copy.model_id, "READY")
    tags = champion.tags | signed_as(copy.model_id, champion)
    damaged = model_versions.create_version(ours.contract(), copy.model_id, champion.run_id, tags, description="")
    client().set_registered_model_alias(damaged.name, "production", damaged.version)
    report = register_best(connection, data, NEXT_RUN)
    assert "inference/model.onnx isn't the file that was recorded" in report.reason
    assert "so version 1 stands in: not better than version 1, " in report.reason


@pytest.fixture
def broken(connection: Connection[Any], champion: ModelVersion, tmp_path: Path) -> ModelVersion:
    """A champion, version 2, that can't be loaded; version 1 was in Production before it."""
    del champion
    promote(connection, made_up_version(tmp_path, b"no pickle"), "not looked at", by="ada")
    return current()


@pytest.mark.usefixtures("low_floor", "broken")
def test_a_broken_champion_does_not_let_a_worse_model_in(connection: Connection[Any], data: Dataset) -> None:
    report = register_best(connection, data, WEAK_RUN)
    assert (report.version, report.promoted) == ("3", False)
    assert re.match(
        r"version 2 can't be judged \(models:/m-\w+ can't be loaded: UnpicklingError: .*\), so version 1 stands in: "
        r"not better than version 1, accuracy on the same 69 rows: .*\. In Production is version 2: roll back to "
        r"version 1, or promote by hand",
        report.reason,
    )
    numbers = audit.trail(connection, ours.model())[0].numbers
    assert (numbers["champion"], numbers["lost"] > 0) == ("1", True)
    assert aliases() == {"production": "2", "challenger": "3"}
    assert rollback(connection, ours.model(), "it is broken", by="ada").version == "1"


@pytest.mark.usefixtures("low_floor")
def test_a_deleted_champion_does_not_let_a_worse_model_in(
    connection: Connection[Any], broken: ModelVersion, data: Dataset
) -> None:
    client().delete_model_version(broken.name, broken.version)
    report = register_best(connection, data, WEAK_RUN, ask=True)
    assert report.reason.startswith("version 1 stands in: not better than version 1, ")
    assert report.reason.endswith("In Production is nothing: roll back to version 1, or promote by hand")
    assert "version 1" in question(connection, ours.contract(), report.version, base_path="").body


@pytest.mark.usefixtures("low_floor")
def test_a_model_better_than_the_last_sound_champion_replaces_a_broken_one(
    connection: Connection[Any], data: Dataset, tmp_path: Path
) -> None:
    register_best(connection, data, WEAK_RUN)
    for _ in range(2):
        promote(connection, made_up_version(tmp_path, b"no pickle"), "not looked at", by="ada")
    report = register_best(connection, data, NEXT_RUN)
    assert report.promoted
    assert re.match(
        r"version 3 can't be .*; version 2 can't be judged \(.*, so version 1 stands in: better than version 1",
        report.reason,
    )


def test_no_candidates_or_candidates_of_other_data_are_refused(
    connection: Connection[Any], champion: ModelVersion, data: Dataset
) -> None:
    del champion
    with pytest.raises(UserError, match="manual__3 has no finished candidate on record. Run grid_train first"):
        register_best(connection, data, "manual__3")
    with pytest.raises(UserError, match="penguins_processed has changed since grid_train"):
        register_best(connection, replace(data, digest="other"), RUN)


def test_promote_by_hand_and_back_never_leaves_production_empty(
    connection: Connection[Any], champion: ModelVersion, data: Dataset
) -> None:
    register_best(connection, data, NEXT_RUN)
    second = model_versions.versions(ours.model())[0]
    promote(connection, second, "a person said so", by="ada")
    assert aliases() == {"production": "2"}  # and no challenger any more
    assert stages() == {"1": "Archived", "2": "Production"}
    assert current().tags["promoted_by"] == "ada"
    promote(connection, champion, "back", by="ada")
    assert aliases() == {"production": "1"}
    assert stages() == {"1": "Production", "2": "Archived"}


def in_centimetres(data: Dataset, schema_change: str) -> Dataset:
    """Return the rows with a contract that has another unit than that of the version in Production."""
    columns = [
        column.model_copy(update={"unit": "cm"}) if column.name == "bill_length_mm" else column
        for column in data.contract.columns
    ]
    training = data.contract.training.model_copy(update={"schema_change": schema_change})
    return replace(data, contract=data.contract.model_copy(update={"columns": tuple(columns), "training": training}))


OTHER_CONTRACT = (
    "schema_changed: version 1 has another contract, so the two can't be compared: 'bill_length_mm' is in cm, "
)


def test_a_champion_of_another_contract_is_replaced_by_a_person_only(
    connection: Connection[Any], champion: ModelVersion, data: Dataset
) -> None:
    report = register_best(connection, in_centimetres(data, "ask"), NEXT_RUN)
    assert (report.version, report.promoted) == ("2", None)
    assert report.reason == f"{OTHER_CONTRACT}before in mm; a person decides"
    assert aliases() == {"production": champion.version}
    verdict = verdicts.require(connection, model_versions.version(ours.model(), "2"))
    assert (verdict.promote, set(verdict.numbers)) == (False, {"rows", "accuracy", "champion"})
    asked = question(connection, ours.contract(), "2", "")
    assert "The gate says: **compare them yourself**: schema_changed: " in asked.body
    answered = answer(connection, ours.model(), "2", approved=True, by="ada", comment="seen", seen="1")
    assert (answered.promoted, aliases()) == (True, {"production": "2"})


def test_a_champion_that_cannot_be_loaded_does_not_hide_that_its_contract_is_another(
    connection: Connection[Any], data: Dataset, tmp_path: Path
) -> None:
    promote(connection, made_up_version(tmp_path, b"no pickle"), "not looked at", by="ada")
    report = register_best(connection, in_centimetres(data, "ask"), NEXT_RUN)
    assert (report.promoted, report.reason) == (None, f"{OTHER_CONTRACT}before in mm; a person decides")
    assert aliases() == {"production": "1"}


def test_a_contract_may_refuse_to_replace_a_champion_of_another_contract(
    connection: Connection[Any], champion: ModelVersion, data: Dataset
) -> None:
    report = register_best(connection, in_centimetres(data, "refuse"), NEXT_RUN)
    assert (report.version, report.promoted) == ("2", False)
    assert report.reason.startswith(OTHER_CONTRACT)
    assert report.reason.endswith("; promote it by hand, for the contract's schemaChange is refuse")
    assert aliases() == {"production": champion.version, "challenger": "2"}
