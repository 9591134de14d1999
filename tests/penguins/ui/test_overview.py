"""The page's data for a large registry, and for one with edited tags."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from local.stack import Stack
from penguins.errors import UserError
from penguins.promotion import audit, decisions, verdicts
from penguins.registry import model_versions
from penguins.settings import settings
from penguins.training import candidate_records
from penguins.training.candidate_records import Record
from penguins.training.tracking import client
from penguins.ui.overview import LATEST, confusion_matrix, overview
from tests.penguins import ours
from tests.penguins.conftest import made_up_version

pytestmark = [pytest.mark.usefixtures("mlflow"), pytest.mark.filterwarnings("ignore:.*transition_model_version_stage")]


@pytest.fixture
def connection(stack: Stack) -> Iterator[Connection[Any]]:
    with psycopg.connect(stack.environment["AIRFLOW_CONN_PENGUINS_DB"], autocommit=True) as opened:
        yield opened


def test_a_move_in_mlflow_is_not_attributed_to_an_earlier_promoter(connection: Connection[Any], tmp_path: Path) -> None:
    first, second = (made_up_version(tmp_path) for _ in range(2))
    decisions.promote(connection, first, "the first", by="ada")
    decisions.promote(connection, second, "better", by="ada")
    decisions.refuse(connection, first, "worse", "ada", {})
    decision = overview(connection, ours.contract(), may_change=True).decision
    assert decision is not None
    assert (decision.who, decision.reason) == ("ada", "better")
    client().set_registered_model_alias(settings().model_name, model_versions.ALIAS, first.version)
    shown = overview(connection, ours.contract(), may_change=True)
    assert (shown.production, shown.decision) == (first.version, None)


def test_the_champion_and_its_decision_are_shown_after_many_others(connection: Connection[Any], tmp_path: Path) -> None:
    champion, challenger = (made_up_version(tmp_path) for _ in range(2))
    decisions.promote(connection, champion, "the first", by="ada")
    for _ in range(LATEST):
        model_versions.create_version(
            ours.contract(),
            model_versions.model_id(champion),
            champion.run_id or "",
            {"data_digest": "x"},
            description="",
        )
        audit.append(connection, "refuse", champion.version, challenger, "ada", "worse", {})
    shown = overview(connection, ours.contract(), may_change=True)
    assert [version.version for version in shown.versions] == [str(n) for n in range(LATEST + 2, 2, -1)] + ["1"]
    assert len(shown.trail) == LATEST
    assert shown.decision is not None
    assert shown.decision.reason == "the first"


def test_edited_tags_are_not_shown(connection: Connection[Any], tmp_path: Path) -> None:
    version = made_up_version(tmp_path)
    forged = {"holdout_accuracy": "1e308", "gate": '{"reason": "x", "numbers": {"accuracy": 1}}', "reason": "x"}
    for name, value in forged.items():
        client().set_model_version_tag(version.name, version.version, name, value)
    (shown,) = overview(connection, ours.contract(), may_change=True).versions
    assert (shown.metrics, shown.gate, shown.reason, shown.tags) == ({}, None, "", {})


def test_records_and_verdicts_are_shown(connection: Connection[Any], tmp_path: Path) -> None:
    version = made_up_version(tmp_path)
    tags, metrics = {"dag_run_id": "manual__2"}, {"holdout_accuracy": 0.9, "cv_accuracy_mean": 0.8}
    model = model_versions.model_id(version)
    found = Record("0", f"manual__{model}", "x", "finished", "a=1", {}, tags, metrics, "a run", model)
    candidate_records.append(connection, [found])
    verdicts.append(connection, version, None, False, "below the floor", {"accuracy": 0.9, "rows": 69})
    decisions.refuse(connection, version, "below the floor", "ada", {})
    (shown,) = overview(connection, ours.contract(), may_change=True).versions
    assert (shown.metrics, shown.tags, shown.reason) == (metrics, tags, "below the floor")
    assert shown.gate is not None
    assert (shown.gate.reason, shown.gate.numbers.accuracy) == ("below the floor", 0.9)


def test_a_version_without_a_record_has_no_candidates_and_no_picture(
    connection: Connection[Any], tmp_path: Path
) -> None:
    made_up_version(tmp_path)
    assert overview(connection, ours.contract(), may_change=True).candidates == []
    with pytest.raises(UserError, match="There is no picture of version 1: no DAG run made it."):
        confusion_matrix(connection, ours.contract().training, "1")
