"""`python -m penguins drift` on real versions and a real log, as make drift calls it."""

import argparse
import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow.entities.model_registry import ModelVersion
from psycopg import Connection
from rich.console import Console

import penguins.__main__ as commands
from local import environment
from local.stack import Stack
from penguins.data.dataset import Dataset
from penguins.errors import UserError
from penguins.monitoring import drift_command, windows
from penguins.registry.reference import REFERENCE_FILE
from penguins.registry.references import read_reference
from penguins.training.artifacts import repository
from penguins.training.model_contracts import describe_contract
from penguins.training.tracking import client
from tests.penguins import ours
from tests.penguins.calling import call
from tests.penguins.conftest import made_up_model, version_of
from tests.penguins.monitoring.conftest import Answer
from tests.shipper.segments import NOW


def show(connection: Connection[Any], since: str = "", until: str = "") -> str:
    out = Console(file=io.StringIO(), width=200, markup=False, emoji=False, highlight=False)
    drift_command.show(connection, out, argparse.Namespace(model=ours.model(), since=since, until=until))
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


def test_the_reference_is_signed_with_the_version(version: ModelVersion, data: Dataset, tmp_path: Path) -> None:
    reference = read_reference(version)
    assert reference is not None
    assert reference.summary.trained_on == len(data.train)
    assert [each.name for each in reference.summary.features] == list(data.contract.feature_names)
    assert {row.tobytes() for row in reference.sample} == {row.tobytes() for row in data.seen(data.train).to_numpy()}
    assert reference.summary.scored == len(data.labels)
    path = tmp_path / REFERENCE_FILE
    path.parent.mkdir()
    path.write_bytes(b"forged")
    place = client().get_logged_model(version.source.removeprefix("models:/")).artifact_location
    repository(place).log_artifacts(str(tmp_path))
    with pytest.raises(UserError, match=r"monitoring/reference\.bin can't be used: .* has sha256 .*train again"):
        read_reference(version)


def test_the_verdict_on_a_window_is_shown(answer: Answer, data: Dataset, log: Connection[Any]) -> None:
    rows = data.seen(data.holdout).to_numpy()
    assert "0 rows" in show(log)
    assert "No verdict: at least 30 rows are needed. In so many rows no shift of a number" in show(log)
    moved = rows.copy()
    moved[:, 3] += 1500
    answer(rows)
    answer(moved, hours=3)
    answer(moved, version="999")  # of another version
    answer(moved, model="another")
    shown = show(log)
    assert f"{len(rows)} rows" in shown
    assert "No drift. In so many rows a shift of 0." in shown
    assert "one false alarm in 100 years" in shown
    assert "Accuracy, estimated without labels:" in shown
    assert "Recall: Adelie" in shown
    assert all(name in shown for name in data.contract.feature_names)
    before = f"{NOW - timedelta(hours=2):%Y-%m-%dT%H:%M}"
    shown = show(log, since=f"{NOW - timedelta(hours=4):%Y-%m-%dT%H:%M}", until=before)
    assert "Drift: body_mass_g." in shown
    (line,) = (line for line in shown.splitlines() if line.startswith(" body_mass_g"))
    assert line.rstrip().endswith("drift")
    assert "No estimate of the accuracy: " in shown


def test_a_window_with_many_rows_is_sampled(
    answer: Answer, version: ModelVersion, data: Dataset, log: Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = np.repeat(data.seen(data.holdout).to_numpy(), 20, axis=0)
    answer(rows)
    arguments = (log, describe_contract(data), version.name, version.version)
    window = windows.read_window(*arguments, NOW - timedelta(hours=1), NOW + timedelta(hours=1))
    assert window.total == len(rows)
    assert sorted(window.features.tolist()) == sorted(rows.tolist())
    assert window.probabilities[5] == pytest.approx([0.9, 0.06, 0.04])
    monkeypatch.setattr(windows, "MAX_ROWS", 500)
    window = windows.read_window(*arguments, NOW - timedelta(hours=1), NOW + timedelta(hours=1))
    assert window.total == len(rows)
    assert len(window.features) == len(window.probabilities) == pytest.approx(500, abs=120)


def test_what_cant_be_judged_is_one_sentence(version: ModelVersion, log: Connection[Any], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="SINCE=yesterday isn't a time"):
        show(log, since="yesterday")
    with pytest.raises(UserError, match=r"SINCE=2026-03-02 isn't before UNTIL=2026-03-01\."):
        show(log, since="2026-03-02", until="2026-03-01")
    without = version_of(made_up_model(tmp_path))
    client().set_registered_model_alias(version.name, "production", without.version)
    with pytest.raises(UserError, match="registered without a reference, by hand or before there were any"):
        show(log)
    client().delete_registered_model_alias(version.name, "production")
    with pytest.raises(UserError, match="Nothing of .* is in Production"):
        show(log)


def test_the_command_calls_it(stack: Stack, log: Connection[Any]) -> None:
    del log
    variables = environment.inherited(stack.config) | environment.airflow(stack.config) | {"COLUMNS": "200"}
    done = call(commands.main, "drift", "--contract=", "--model=none", "--since=", "--until=", variables=variables)
    assert (done.returncode, done.stderr) == (
        1,
        "Nothing of none is in Production: there is nothing to compare with.\n",
    )
