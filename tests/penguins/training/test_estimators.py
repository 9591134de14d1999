"""Every estimator by name: trained, registered and exported like the forest."""

import json
from typing import Any

import pytest
from psycopg import Connection

from contract.digests import DIGESTS
from penguins.data.dataset import Dataset
from penguins.promotion.registration import register_best
from penguins.registry import model_versions, onnx_export
from penguins.training import tracking
from penguins.training.candidate_records import Connect
from penguins.training.estimators import ESTIMATORS
from penguins.training.grid import candidates
from penguins.training.search import Fitted, search
from penguins.training.training import grid_train, open_run
from tests.penguins import ours

RUN = "manual__2026-01-01T00:00:00+00:00"
OTHERS = [name for name in ESTIMATORS if name != "random_forest"]


@pytest.mark.usefixtures("mlflow")
@pytest.mark.parametrize("name", OTHERS)
def test_each_estimator_is_searched_logged_and_registered(
    connection: Connection[Any], connect: Connect, data: Dataset, name: str
) -> None:
    parent = open_run(data, None, 2, RUN, name, connect)
    report = grid_train(data, None, 2, parent, estimator=name, connect=connect)
    assert (report.fitted, report.failed, report.left_out) == (24, 0, 0)
    assert register_best(connection, data, RUN).promoted
    version = model_versions.production(ours.model())
    assert version is not None
    assert version.tags["estimator"] == name
    assert {"inference/model.onnx", "inference/contract.json"} <= set(json.loads(version.tags[DIGESTS]))
    found = ours.find_parent(RUN)
    assert found is not None
    assert json.loads(found.data.params["estimator"]) == name
    plots = {file.path for file in tracking.client().list_artifacts(parent.info.run_id, "plots")}
    assert plots == {"plots/grid.png", "plots/confusion_matrix.png", "plots/importances.png"}


@pytest.mark.parametrize("name", OTHERS)
def test_the_export_of_each_candidate_gives_the_same_labels(data: Dataset, name: str) -> None:
    for fitted in search(data, candidates(None, name), [], jobs=1):
        assert isinstance(fitted, Fitted)
        # compares the answers, and on as many rows at thresholds; the next test does so on as many as the product
        assert onnx_export.export(fitted.model, data, 10_000)
