"""The page's data for a large registry, and for one with edited tags."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from local.stack import Stack
from penguins.errors import UserError
from penguins.promotion import audit, decisions
from penguins.registry import model_versions
from penguins.settings import settings
from penguins.training.tracking import client
from penguins.ui.overview import LATEST, confusion_matrix, overview
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
    decision = overview(connection, may_change=True).decision
    assert decision is not None
    assert (decision.who, decision.reason) == ("ada", "better")
    client().set_registered_model_alias(settings().model_name, model_versions.ALIAS, first.version)
    shown = overview(connection, may_change=True)
    assert (shown.production, shown.decision) == (first.version, None)


def test_the_champion_and_its_decision_are_shown_after_many_others(connection: Connection[Any], tmp_path: Path) -> None:
    champion, challenger = (made_up_version(tmp_path) for _ in range(2))
    decisions.promote(connection, champion, "the first", by="ada")
    for _ in range(LATEST):
        model_versions.create_version(
            model_versions.model_id(champion), champion.run_id or "", {"data_digest": "x"}, description=""
        )
        audit.append(connection, "refuse", champion.version, challenger, "ada", "worse", {})
    shown = overview(connection, may_change=True)
    assert [version.version for version in shown.versions] == [str(n) for n in range(LATEST + 2, 2, -1)] + ["1"]
    assert len(shown.trail) == LATEST
    assert shown.decision is not None
    assert shown.decision.reason == "the first"


ODD = {"words": "n/a", "nan": "nan", "empty": "", "list": "[]", "other": '{"reason": "x", "numbers": {"recalls": 3}}'}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_an_invalid_tag_is_left_out(connection: Connection[Any], tmp_path: Path, odd: str) -> None:
    version = made_up_version(tmp_path)
    for name, value in {"holdout_accuracy": odd, "gate": odd, "cv_accuracy_mean": "0.98"}.items():
        client().set_model_version_tag(version.name, version.version, name, value)
    (shown,) = overview(connection, may_change=True).versions
    assert (shown.metrics, shown.gate) == ({"cv_accuracy_mean": 0.98}, None)


NAMES = {"quote": "it's", "empty": "", "quotes": '"', "backslash": "\\", "filter": "x' OR tags.role = 'grid"}


@pytest.mark.parametrize("odd", NAMES.values(), ids=NAMES)
def test_an_invalid_dag_run_id_finds_no_candidates(connection: Connection[Any], tmp_path: Path, odd: str) -> None:
    version = made_up_version(tmp_path)
    client().set_model_version_tag(version.name, version.version, "dag_run_id", odd)
    assert overview(connection, may_change=True).candidates == []
    with pytest.raises(UserError, match="There is no picture of version 1: no DAG run made it."):
        confusion_matrix(version.version)
