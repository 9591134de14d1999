"""Candidates of a large table are judged on a sample, and the best is fitted again on all rows."""

import logging
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from psycopg import Connection

from penguins.data.dataset import Dataset
from penguins.promotion.registration import register_best
from penguins.registry import model_versions
from penguins.training import candidate_records, candidate_runs, tracking
from penguins.training.candidate_records import Connect
from penguins.training.sampling import FEWEST, Sample, judged_rows, sample
from penguins.training.training import grid_train, open_run
from tests.penguins import ours
from tests.penguins.training.tables import MIXED, made_up

RUN = "manual__2026-01-01T00:00:00+00:00"
GRID = {"max_iter": [1, 2, 3, 4, 5], "max_leaf_nodes": [2, 3, 4, 5]}


def test_a_table_that_is_small_enough_is_used_whole() -> None:
    data = made_up(MIXED, rows=1000)
    assert sample(data, 800) is data


def test_each_class_has_its_share_of_a_sample_and_a_rare_one_enough_for_the_folds() -> None:
    data = made_up(MIXED, classes=3, rows=20_000)
    rare = np.where(np.arange(20_000) % 250 < 2, 2, data.labels % 2)  # 160 rows, 80 of them to learn from
    data = replace(data, labels=rare)
    drawn = sample(data, 1600)
    assert isinstance(drawn, Sample)
    assert drawn.of == 16_000
    for part in ("train", "holdout"):
        whole, some = (each.labels[getattr(each, part)] for each in (data, drawn))
        shares = np.bincount(whole)[:2] / len(whole)
        assert np.bincount(some)[:2] / len(some) == pytest.approx(shares, abs=0.03)
    assert np.bincount(drawn.labels[drawn.train])[2] == FEWEST
    assert 1600 <= len(drawn.train) < 1700
    assert len(drawn.folds(FEWEST)) == FEWEST


def test_the_rows_of_a_sample_are_those_of_the_table_on_the_same_side() -> None:
    data = made_up(MIXED, rows=2000)
    drawn = sample(data, 200)
    for part in ("train", "holdout"):
        rows, all_rows = (each.features.iloc[getattr(each, part)].fillna(-1) for each in (drawn, data))
        assert set(map(tuple, rows.to_numpy())) <= set(map(tuple, all_rows.to_numpy()))
    again = sample(data, 200)
    assert again.features.equals(drawn.features)
    assert not sample(replace(data, seed=1), 200).features.equals(drawn.features)


def test_a_forest_that_draws_its_own_samples_gets_all_rows() -> None:
    data = made_up(MIXED, rows=1000)
    assert judged_rows(data, {"max_samples": [500], "n_estimators": [1, 2]}, 300) is data
    assert len(judged_rows(data, {"n_estimators": [1, 2]}, 300).train) == 300
    assert len(judged_rows(data, None, 300).train) == 300


@pytest.mark.usefixtures("mlflow")
def test_the_best_of_a_sample_is_fitted_again_on_all_rows(
    connection: Connection[Any], connect: Connect, data: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    parent = open_run(data, GRID, 2, RUN, "hist_gradient_boosting", connect, sample_rows=150)
    report = grid_train(data, GRID, 2, parent, estimator="hist_gradient_boosting", connect=connect, sample_rows=150)
    assert report.fitted == 20
    assert f"20 candidates to fit on 170 of {len(data.train)} rows, 0 kept" in caplog.text
    first = register_best(connection, data, RUN, expected=20)
    assert first.reason.endswith(f"(candidates were judged on a sample of 170 of {len(data.train)} training rows)")
    assert register_best(connection, data, RUN, expected=20) == first  # nothing is fitted twice
    version = model_versions.production(ours.model())
    assert version is not None
    assert version.tags["sample"] == f"170 of {len(data.train)}"
    records = candidate_records.read(connection, parent.info.experiment_id, RUN)
    (refit,) = (record for record in records if candidate_runs.REFIT_OF in record.tags)
    (judged,) = (record for record in records if record.run_id == refit.tags[candidate_runs.REFIT_OF])
    assert len(records) == 21
    assert version.run_id == refit.run_id
    assert {each.tags["sample"] for each in records} == {f"170 of {len(data.train)}"}
    assert (refit.params, refit.metrics["cv_accuracy_mean"]) == (judged.params, judged.metrics["cv_accuracy_mean"])
    model = model_versions.load(refit.model_id or "", model_versions.recorded_digests(version))
    accuracy = (model.predict(data.features) == data.labels)[data.holdout].mean()
    assert refit.metrics["holdout_accuracy"] == pytest.approx(accuracy)
    assert model._predictors[0][0].nodes["count"][0] == len(data.train)
    assert tracking.client().get_run(parent.info.run_id).data.params["sample"] == "170"
