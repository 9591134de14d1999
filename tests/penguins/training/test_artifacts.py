"""Artifacts are read and written behind MLflow's proxy only, whatever place the server names."""

from pathlib import Path

import pytest
from mlflow.entities import Run
from sklearn.dummy import DummyClassifier

from penguins.data.dataset import Dataset
from penguins.errors import UserError
from penguins.registry import logged_models
from penguins.settings import settings
from penguins.training import artifacts, candidate_runs, plots, tracking
from penguins.training.grid import Candidate
from penguins.training.search import Fitted
from penguins.training.tracking import client

pytestmark = pytest.mark.usefixtures("mlflow")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Run:
    """A parent run that MLflow keeps the files of in a folder of this machine."""
    experiment = client().create_experiment(f"in {tmp_path}", artifact_location=f"file://{tmp_path}")
    return client().create_run(experiment, tags={tracking.DAG_RUN: "manual__1"})


@pytest.fixture
def constant(data: Dataset) -> DummyClassifier:
    return DummyClassifier(strategy="constant", constant=1).fit(data.features, data.labels)


def test_no_candidate_is_written_elsewhere(
    elsewhere: Run, data: Dataset, constant: DummyClassifier, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=f"MLflow keeps files at file://{tmp_path}/.*, not behind its proxy"):
        candidate_runs.log_candidate(Fitted(Candidate({}), constant, {}), elsewhere, data, "a fingerprint")
    assert list(tmp_path.iterdir()) == []


def test_no_plot_is_written_elsewhere(elsewhere: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "find_parent", lambda *_: elsewhere)
    with pytest.raises(UserError, match="not behind its proxy"):
        plots.log_plots("any", "manual__1", {"leaderboard.json": b"{}"})
    assert list(tmp_path.iterdir()) == []


def test_no_file_of_a_logged_model_is_read_or_written_elsewhere(elsewhere: Run, tmp_path: Path) -> None:
    model = client().create_logged_model(elsewhere.info.experiment_id, name="x")
    (tmp_path / "model.pkl").touch()
    with pytest.raises(UserError, match="not behind its proxy"):
        logged_models.download(f"file://{tmp_path}", "model.pkl")
    with pytest.raises(UserError, match="not behind its proxy"):
        logged_models.upload(model.model_id, str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["model.pkl"]


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("mlflow-artifacts:/1", True),
        ("http://127.0.0.1:5001/api/2.0/mlflow-artifacts/artifacts/1", True),
        ("mlflow-artifacts://elsewhere:80/1", False),
        ("http://127.0.0.1:5001.elsewhere/1", False),
        ("/opt/penguins/dags", False),
        ("s3://bucket/1", False),
        ("", False),
    ],
)
def test_only_the_own_proxy_is_one(location: str, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5001")
    settings.cache_clear()
    assert artifacts.is_proxied(location) is expected
