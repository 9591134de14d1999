"""The audit trail: append-only, and apart for each model."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from mlflow.entities.model_registry import ModelVersion
from psycopg import Connection

from local.stack import Stack
from penguins.data.dataset import Dataset
from penguins.data.lineage import SourceFacts
from penguins.promotion import audit, decisions
from penguins.registry import candidate_versions
from penguins.registry.candidate_versions import LoadedCandidate
from penguins.settings import settings
from penguins.training import candidate_records, candidate_runs, tracking
from penguins.training.grid import Candidate
from penguins.training.search import Fitted
from penguins.training.tracking import client
from penguins.ui.overview import overview, rollback_offer
from tests.penguins import ours
from tests.penguins.conftest import made_up_version, pointed_at

pytestmark = [pytest.mark.usefixtures("mlflow"), pytest.mark.filterwarnings("ignore:.*transition_model_version_stage")]


def test_each_model_has_its_own_trail(
    connection: Connection[Any], versions: list[ModelVersion], stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    decisions.promote(connection, versions[0], "the first", by="ada")
    with pointed_at(stack, monkeypatch, "another", "another_model"):
        assert audit.trail(connection, ours.model()) == []


def test_a_recreated_model_has_its_own_rollback_targets(connection: Connection[Any], tmp_path: Path) -> None:
    for number in range(4):
        decisions.promote(connection, made_up_version(tmp_path), f"number {number}", by="ada")
    client().delete_registered_model(settings().model_name)
    again = [made_up_version(tmp_path) for _ in range(2)]
    assert rollback_offer(connection, ours.model()).target is None
    client().set_registered_model_alias(settings().model_name, "production", "2")
    assert rollback_offer(connection, ours.model()).target is None
    decisions.promote(connection, again[0], "made again", by="ada")
    assert audit.trail(connection, ours.model())[1].action == "found"
    assert decisions.rollback(connection, ours.model(), "back", by="ada").version == "2"
    assert rollback_offer(connection, ours.model()).target is None


def test_the_source_of_the_rows_is_on_run_version_entry_and_page(connection: Connection[Any], data: Dataset) -> None:
    source = SourceFacts(address="s3://bucket/penguins.csv", bytes=15241, sha256="0" * 64, rows=344)
    data = replace(data, source=source)
    parent, candidate = tracking.open_parent("manual__1", {}, data), Candidate({"n_estimators": 2})
    model = candidate.model(random_state=0).fit(data.features.iloc[data.train], data.labels[data.train])
    record = candidate_runs.log_candidate(Fitted(candidate, model, {}), parent, data, "a fingerprint")
    candidate_records.append(connection, [record])
    (run,) = ours.find_candidates("manual__1")
    version = candidate_versions.register(LoadedCandidate.load(run, ours.model()), data)
    forged = source.model_copy(update={"rows": 1}).model_dump_json()
    client().set_model_version_tag(version.name, version.version, "data_source", forged)
    decisions.promote(connection, version, "the first", by="ada")
    for tags in (run.data.tags, version.tags):
        assert SourceFacts.model_validate_json(tags["data_source"]) == source
    (entry,) = audit.trail(connection, ours.model())
    assert entry.source == source.model_dump()
    (shown,) = overview(connection, ours.contract(), may_change=True).versions
    assert shown.source == source


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit.promotions SET who = 'somebody else'",
        "DELETE FROM audit.promotions",
        "TRUNCATE audit.promotions",
        "DROP TABLE audit.promotions",
        "DROP SCHEMA audit CASCADE",
        "ALTER TABLE audit.promotions DISABLE TRIGGER ALL",
        "CREATE TABLE audit.mine (x int)",
        "INSERT INTO audit.promotions (at, model, who, action, to_version, reason, numbers) "
        "VALUES ('2000-01-01', 'm', 'w', 'promote', '1', 'r', '{}')",
    ],
)
def test_the_role_that_writes_the_trail_can_only_add_to_it(connection: Connection[Any], statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match=re.compile("permission denied|must be owner")):
        connection.execute(statement)  # type: ignore[call-overload]
