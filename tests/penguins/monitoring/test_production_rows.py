"""Rows of the prediction log that join the training, and what the gate makes of bad ones."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from mlflow.entities.model_registry import ModelVersion
from psycopg import Connection

from contract.monitoring import Monitoring
from contract.schema import DataContract
from penguins.data import ingest, preprocessing
from penguins.data.dataset import Dataset, read_processed, split
from penguins.data.lineage import read_source
from penguins.data.processed import count_production_rows
from penguins.data.runs import Run
from penguins.monitoring.production_rows import read_production_rows
from penguins.promotion import gate
from penguins.promotion.lineage import recorded_runs
from penguins.training.grid import Candidate
from tests.penguins import ours
from tests.penguins.monitoring.conftest import Answer, Say
from tests.shipper.segments import NOW


def contract() -> DataContract:
    """Return the penguins' contract, which wants the rows, and has a low floor."""
    training = ours.contract().training.model_copy(update={"min_accuracy": 0.5})
    return ours.contract().model_copy(update={"monitoring": Monitoring(use_production_rows=True), "training": training})


def load(connection: Connection[Any], run: Run | None = None) -> Dataset:
    """Load and process the source with the rows of Production."""
    ingest.load_raw(connection, "palmerpenguins", 0, run, contract(), read_production_rows(connection, contract()))
    preprocessing.preprocess(connection, 0, contract(), run)
    data = split(read_processed(connection, contract(), run), 0.2, 42, contract())
    return replace(data, production_rows=count_production_rows(connection, contract(), run))


def test_labelled_rows_join_those_of_the_source(
    answer: Answer, say: Say, data: Dataset, log: Connection[Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    assert read_production_rows(log, contract()) is None
    rows = data.seen(data.holdout).to_numpy(copy=True)
    ids = answer(rows)
    answer(rows, model="another")
    assert read_production_rows(log, contract()) is None
    say(ids[:40], [data.contract.classes[label] for label in data.labels[data.holdout][:40]])
    assert read_production_rows(log, ours.contract()) is None  # which doesn't want them
    found = read_production_rows(log, contract())
    assert found is not None
    run = Run("manual__joined", NOW)
    joined = load(log, run)
    assert (joined.production_rows, len(joined.labels)) == (40, len(data.labels) + 40)
    values = joined.features.to_numpy()[:40].astype(np.float32)
    assert sorted(values.tolist()) == sorted(rows[:40].tolist())
    known = {row.tobytes(): label for row, label in zip(rows, data.labels[data.holdout], strict=True)}
    assert [known[row.tobytes()] for row in values] == joined.labels[:40].tolist()
    assert "40 of Production" in caplog.text
    source = read_source(log, run, contract())
    assert source is not None
    assert (source.production_rows, source.production_sha256, source.rows) == (40, found.sha256, 344)
    ingest.load_raw(log, "palmerpenguins", 0, run, ours.contract())
    without = read_source(log, run, ours.contract())
    assert without is not None
    assert without.model_dump().keys() == {"address", "bytes", "sha256", "rows"}
    hidden = [column.model_copy(update={"logged": column.role != "feature"}) for column in contract().columns]
    assert read_production_rows(log, contract().model_copy(update={"columns": tuple(hidden)})) is None
    assert "the log leaves out bill_length_mm, bill_depth_mm" in caplog.text


@pytest.mark.parametrize("labels", ["true", "bad"])
def test_bad_labels_never_promote(
    answer: Answer, say: Say, version: ModelVersion, data: Dataset, log: Connection[Any], labels: str
) -> None:
    """The same rows after a drift, with their classes or with those of others."""
    moved = data.seen().to_numpy(copy=True)
    moved[:, 3] += 4000
    moved[:, 0] += 40
    ids = [each for _ in range(2) for each in answer(moved)]  # more than the source has
    shift = 0 if labels == "true" else 1
    names = [data.contract.classes[(label + shift) % 3] for label in data.labels]
    say(ids, names * 2)
    if labels == "bad":  # also about rows that are much like the source's
        like, random = data.seen().to_numpy(), np.random.default_rng(0)
        noise = [0.02 * like.std(axis=0) * random.normal(size=like.shape) for _ in range(4)]
        say([each for moves in noise for each in answer(like + moves)], names * 4)
    joined = load(log)
    assert joined.production_rows > len(data.labels)
    challenger = Candidate({"n_estimators": 20}).model(random_state=0)
    challenger.fit(joined.features.iloc[joined.train], joined.labels[joined.train])
    origins = recorded_runs(log, [version])
    verdict = gate.judge(challenger, version, joined, origins=origins)
    if labels == "true":
        assert verdict.promote, verdict.reason
        return
    assert not verdict.promote
    assert f"worse than version {version.version} on the" in verdict.reason
    assert "rows that aren't of Production" in verdict.reason
    blind = gate.judge(challenger, version, replace(joined, production_rows=0), origins=origins)
    assert blind.promote  # on all rows it looks better
