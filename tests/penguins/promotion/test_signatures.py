"""Nothing that somebody else wrote to MLflow is opened by the tasks and commands, and what is signed by hand is."""

import json
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from psycopg import Connection

from contract.digests import sha256
from contract.signatures import SigningKey
from local.settings import REPO
from local.stack import Stack
from penguins import signing
from penguins.data.dataset import Dataset
from penguins.errors import UserError
from penguins.promotion import audit, decisions, vouching
from penguins.promotion.registration import register_best
from penguins.registry import candidate_versions, model_versions
from penguins.registry.candidate_versions import LoadedCandidate
from penguins.settings import settings
from penguins.training import candidate_records, candidate_runs, tracking
from penguins.training.grid import Candidate
from penguins.training.search import Fitted
from penguins.training.tracking import client, experiment_id
from tests.attacker import Attacker, code
from tests.penguins import ours
from tests.penguins.conftest import made_up_version, pointed_at

pytestmark = [pytest.mark.usefixtures("mlflow"), pytest.mark.filterwarnings("ignore:.*transition_model_version_stage")]

RUN = "manual__1"
METRICS = {"cv_accuracy_mean": 0.9, "cv_accuracy_std": 0.0, "cv_log_loss_mean": 0.5, "holdout_accuracy": 0.9}


@pytest.fixture
def attacker(stack: Stack) -> Attacker:
    return Attacker(stack.urls["mlflow"])


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """The folder that the attacker's code makes when it runs."""
    return tmp_path / "code ran"


@pytest.fixture
def candidate(connection: Connection[Any], data: Dataset) -> Run:
    """The only candidate of the DAG run, on record."""
    parent = tracking.open_parent(RUN, {}, data)
    made = Candidate({"n_estimators": 5})
    model = made.model(random_state=0).fit(data.features.iloc[data.train], data.labels[data.train])
    record = candidate_runs.log_candidate(Fitted(made, model, METRICS), parent, data, "a fingerprint")
    candidate_records.append(connection, [record])
    (run,) = ours.find_candidates(RUN)
    return run


def evil_model(attacker: Attacker, marker: Path) -> str:
    return attacker.logged_model(experiment_id(ours.contract()), {"model.pkl": code(marker), "MLmodel": b""}, {})


def evil_version(attacker: Attacker, marker: Path, **tags: str) -> str:
    digests = json.dumps({"model.pkl": sha256(code(marker)), "MLmodel": sha256(b"")})
    return attacker.version(settings().model_name, evil_model(attacker, marker), {"digests": digests} | tags)


def test_no_code_of_an_attacker_runs_in_register_best(
    connection: Connection[Any], candidate: Run, data: Dataset, attacker: Attacker, marker: Path
) -> None:
    assert register_best(connection, data, RUN).promoted
    client().delete_registered_model(settings().model_name)
    client().create_registered_model(settings().model_name)
    champion = evil_version(attacker, marker, holdout_accuracy="0.1")
    attacker.promote(settings().model_name, champion)
    planted = attacker.version(
        settings().model_name, evil_model(attacker, marker), {"dag_run_id": RUN}, run_id=candidate.info.run_id
    )
    tags = {name: value for name, value in candidate.data.tags.items() if not name.startswith("mlflow.")}
    best = METRICS | {"cv_accuracy_mean": 1.0}
    attacker.run(experiment_id(ours.contract()), tags | {"fingerprint": "x"}, best, evil_model(attacker, marker))
    report = register_best(connection, data, RUN)
    assert int(report.version) > int(planted)
    assert report.promoted
    assert f"version {champion} can't be judged" in report.reason
    assert "no tag `signature`" in report.reason
    assert model_versions.version(ours.model(), report.version).run_id == candidate.info.run_id
    assert not marker.exists()


def test_the_same_pickle_with_a_signature_is_opened(attacker: Attacker, marker: Path) -> None:
    version = model_versions.version(ours.model(), made_up(attacker, marker))
    with pytest.raises(UserError, match="isn't opened: this candidate has no tag `signature`. Look at it and sign it"):
        model_versions.load(model_versions.model_id(version), model_versions.recorded_digests(version))
    assert not marker.exists()
    model_id = model_versions.model_id(version)
    digests = {"model.pkl": sha256(code(marker)), "MLmodel": sha256(b"")}
    client().set_logged_model_tags(model_id, {"signature": signing.sign("candidate", ours.model(), model_id, digests)})
    model_versions.load(model_id, model_versions.recorded_digests(version))
    assert marker.exists()


def test_the_notebook_opens_only_what_is_signed(attacker: Attacker, marker: Path) -> None:
    notebook = json.loads((REPO / "notebooks/train_penguins.ipynb").read_text())
    lines = [line for cell in notebook["cells"] if cell["cell_type"] == "code" for line in cell["source"]]
    (opens,) = [line for line in lines if "load(" in line]
    assert not [line for line in lines if "pickle" in line or "download" in line]
    champion = model_versions.version(ours.model(), made_up(attacker, marker))
    with pytest.raises(UserError, match="isn't opened: this candidate has no tag `signature`"):
        exec(opens, {"model_versions": model_versions, "champion": champion})  # noqa: S102 - the project's own line
    assert not marker.exists()


def made_up(attacker: Attacker, marker: Path) -> str:
    client().create_registered_model(settings().model_name)
    return evil_version(attacker, marker)


def test_the_best_candidate_without_its_signature_is_refused_and_no_other_is_chosen(
    connection: Connection[Any], candidate: Run, data: Dataset
) -> None:
    client().delete_logged_model_tag(candidate_runs.model_id(candidate), "signature")
    with pytest.raises(UserError, match="no tag `signature`. Delete the run n_estimators=5 in MLflow, and clear grid"):
        register_best(connection, data, RUN)


def test_a_version_of_another_model_is_not_taken_for_that_of_a_candidate(
    candidate: Run, attacker: Attacker, tmp_path: Path
) -> None:
    other = made_up_version(tmp_path)
    tags = {"dag_run_id": RUN, "signature": other.tags["signature"]}
    attacker.version(other.name, model_versions.model_id(other), tags, run_id=candidate.info.run_id)
    assert candidate_versions.find_version(LoadedCandidate.load(candidate, ours.model()), ours.model()) is None


@pytest.mark.parametrize("change", ["removed", "of another version", "of another key", "garbage"])
def test_a_version_without_its_own_signature_is_not_promoted(
    connection: Connection[Any], tmp_path: Path, change: str
) -> None:
    first, second = made_up_version(tmp_path), made_up_version(tmp_path)
    decisions.promote(connection, first, "the first", by="ada")
    client().delete_model_version_tag(second.name, second.version, "signature")
    if change != "removed":
        own = json.loads(second.tags["digests"])
        value = {
            "of another version": first.tags["signature"],
            "of another key": by_another_key(second, own),
            "garbage": "garbage",
        }[change]
        client().set_model_version_tag(second.name, second.version, "signature", value)
    with pytest.raises(UserError, match=r"version 2 isn't opened: .* sign it: make sign VERSION=2 MODEL=\w+ "):
        decisions.promote_by_hand(connection, model_versions.version(ours.model(), "2"), "why not", by="ada")
    champion = model_versions.production(ours.model())
    assert champion is not None
    assert champion.version == "1"


def by_another_key(version: ModelVersion, digests: dict[str, str]) -> str:
    with pytest.MonkeyPatch.context() as patch:
        private = SigningKey.generate()
        patch.setenv("PENGUINS_SIGNING_KEY", private)
        patch.setenv("PENGUINS_TRUSTED_KEYS", SigningKey(private).public)
        settings.cache_clear()
        tag = signing.sign("version", ours.model(), model_versions.model_id(version), digests)
    settings.cache_clear()
    return tag


def test_a_changed_file_of_a_signed_version_is_not_promoted(
    connection: Connection[Any], tmp_path: Path, attacker: Attacker
) -> None:
    version = made_up_version(tmp_path)
    (tmp_path / "model.pkl").write_bytes(b"another model")
    client().log_model_artifacts(model_versions.model_id(version), str(tmp_path))
    attacker.send(
        "POST", "model-versions/set-tag", name=version.name, version="1", key="digests",
        value=json.dumps(json.loads(version.tags["digests"]) | {"model.pkl": sha256(b"another model")}),
    )  # fmt: skip
    with pytest.raises(UserError, match="model.pkl isn't the file that was recorded"):
        decisions.promote(connection, model_versions.version(ours.model(), "1"), "why not", by="ada")


def test_a_model_signed_for_another_registered_model_is_not_opened(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, attacker: Attacker
) -> None:
    name, experiment = settings().model_name, settings().experiment
    with pointed_at(stack, monkeypatch, experiment, f"{name}_other"):
        other = made_up_version(tmp_path)
    with pointed_at(stack, monkeypatch, experiment, name):
        client().create_registered_model(name)
        number = attacker.version(name, model_versions.model_id(other), dict(other.tags))
        with pytest.raises(UserError, match=f"was made for a version of {name}_other "):
            model_versions.recorded_digests(model_versions.version(ours.model(), number))


def test_a_version_is_signed_by_hand_after_a_look(connection: Connection[Any], tmp_path: Path) -> None:
    version = made_up_version(tmp_path, cloudpickle.dumps({}))
    decisions.promote(connection, version, "the first", by="ada")
    client().delete_model_version_tag(version.name, "1", "signature")
    (tmp_path / "inference/model.onnx").write_bytes(b"another export")
    (tmp_path / "more.txt").write_bytes(b"")
    client().log_model_artifacts(model_versions.model_id(version), str(tmp_path))
    client().set_model_version_tag(version.name, "1", "dag_run_id", "manual\x1b[2J")
    inspected = vouching.inspect(connection, model_versions.version(ours.model(), "1"))
    text = "\n".join(inspected.lines())
    assert "\x1b" not in text
    assert f"{version.name} version 1, registered" in text
    assert f"({version.run_id})" in text
    assert "DAG run manual�[2J" in text
    assert "signature now: this candidate has no tag `signature`" in text
    assert "promote by ada: the first" in text
    assert f"  {sha256(cloudpickle.dumps({}))}  as recorded   model.pkl" in text
    assert f"  {sha256(b'another export')}  CHANGED       inference/model.onnx" in text
    assert f"  {sha256(b'')}  not recorded  more.txt" in text
    vouching.sign(connection, inspected, by="grace")
    entry = audit.trail(connection, version.name)[0]
    assert (entry.action, entry.who, entry.to_version, entry.settled) == ("sign", "grace", "1", False)
    assert "files signed by hand; the signature before: this candidate has no tag `signature`" in entry.reason
    assert entry.numbers == {"digests": inspected.digests}
    assert audit.final_decision(audit.trail(connection, version.name), version).reason == "the first"  # type: ignore[union-attr]
    signed = model_versions.version(ours.model(), "1")
    assert model_versions.recorded_digests(signed) == inspected.digests
    assert "signature now: of a trusted key" in list(vouching.inspect(connection, signed).lines())


def test_files_elsewhere_are_not_signed(connection: Connection[Any], attacker: Attacker, tmp_path: Path) -> None:
    elsewhere = {"name": f"elsewhere {tmp_path}", "artifact_location": f"file://{tmp_path}"}
    experiment = attacker.send("POST", "experiments/create", **elsewhere)["experiment_id"]
    made = attacker.send("POST", "logged-models", experiment_id=experiment, name="x")["model"]["info"]["model_id"]
    attacker.send("PATCH", f"logged-models/{made}", model_id=made, status="LOGGED_MODEL_READY")
    client().create_registered_model(settings().model_name)
    number = attacker.version(settings().model_name, made, {})
    with pytest.raises(UserError, match="are at file:///.*, not behind MLflow's proxy"):
        vouching.inspect(connection, model_versions.version(ours.model(), number))
