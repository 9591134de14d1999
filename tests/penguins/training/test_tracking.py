"""The experiment, the parent run and tags, on a real MLflow server."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from penguins.data.dataset import Dataset
from penguins.errors import UserError
from penguins.settings import settings
from penguins.training import tracking
from penguins.training.training import open_run
from tests.penguins import ours
from tests.penguins.conftest import GRID

pytestmark = pytest.mark.usefixtures("mlflow")


def test_looking_for_runs_creates_no_experiment() -> None:
    assert ours.find_candidates("manual__1") == []
    assert ours.find_parent("manual__1") is None
    assert tracking.client().get_experiment_by_name(settings().experiment) is None


def test_the_experiment_is_created_once() -> None:
    assert tracking.experiment_id(ours.contract()) == tracking.experiment_id(ours.contract())
    assert tracking.client().get_experiment_by_name(settings().experiment) is not None


def test_a_deleted_experiment_is_named_with_the_remedy(data: Dataset) -> None:
    tracking.client().delete_experiment(tracking.experiment_id(ours.contract()))
    with pytest.raises(UserError, match="was deleted. Restore it with `mlflow experiments restore --experiment-id"):
        open_run(data, GRID, 3, "manual__1")


def test_an_experiment_with_files_elsewhere_is_refused(data: Dataset, tmp_path: Path) -> None:
    tracking.client().create_experiment(settings().experiment, artifact_location=f"file://{tmp_path}")
    with pytest.raises(UserError, match=f"keeps its files at file://{tmp_path}, not behind MLflow's proxy"):
        open_run(data, GRID, 3, "manual__1")
    assert list(tmp_path.iterdir()) == []


def test_a_run_names_the_dag_of_its_contract(data: Dataset) -> None:
    for name in ("penguins", "wine"):
        other = replace(data, contract=data.contract.model_copy(update={"name": name}))
        parent = tracking.open_parent(f"manual__{name}", {}, other)
        assert parent.data.tags["mlflow.source.name"] == f"{name}_training"


class Finder:
    """A finder of modules that finds none, and notes their names."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def find_spec(self, name: str, *_: object) -> None:
        self.names.append(name)


def test_a_request_looks_for_no_module(monkeypatch: pytest.MonkeyPatch) -> None:
    tracking.find_experiment("nothing")
    finder = Finder()
    monkeypatch.setattr(sys, "meta_path", [finder, *sys.meta_path])
    tracking.find_experiment("nothing")
    assert finder.names == []


def test_the_parent_run_is_opened_again(data: Dataset) -> None:
    parent = tracking.open_parent("manual__1", {"cv_folds": 3}, data)
    tracking.client().set_terminated(parent.info.run_id)
    assert tracking.open_parent("manual__1", {"cv_folds": 3}, data).info.run_id == parent.info.run_id
    found = ours.find_parent("manual__1")
    assert found is not None
    assert (found.info.status, found.data.params) == ("RUNNING", {"cv_folds": "3"})
