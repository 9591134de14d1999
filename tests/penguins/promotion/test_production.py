"""Reading Production changes nothing; reconciling brings everything else in line with the alias."""

from typing import Any

import pytest
from mlflow.entities.model_registry import ModelVersion
from psycopg import Connection

from penguins.errors import UserError
from penguins.promotion import audit, decisions, production
from penguins.registry import model_versions
from penguins.settings import settings
from penguins.training.tracking import client
from penguins.ui.overview import overview
from tests.penguins import ours

pytestmark = [pytest.mark.usefixtures("mlflow"), pytest.mark.filterwarnings("ignore:.*transition_model_version_stage")]


def stages() -> list[str]:
    return [found.current_stage for found in reversed(model_versions.versions(ours.model()))]


@pytest.fixture
def moved(connection: Connection[Any], versions: list[ModelVersion]) -> ModelVersion:
    """Version 2, which someone moved to Production in MLflow's UI after version 1 was promoted."""
    decisions.promote(connection, versions[0], "the first", by="ada")
    client().set_registered_model_alias(settings().model_name, model_versions.ALIAS, "2")
    return versions[1]


def test_reading_production_writes_nothing(connection: Connection[Any], moved: ModelVersion) -> None:
    found = model_versions.production(ours.model())
    assert found is not None
    assert found.version == overview(connection, ours.contract(), may_change=True).production == moved.version
    assert stages() == ["Production", "None", "None"]
    assert [entry.action for entry in audit.trail(connection, ours.model())] == ["promote"]
    assert production.VERDICT not in model_versions.version(ours.model(), moved.version).tags


def test_reconciling_records_a_move_outside_of_the_pipeline_once(
    connection: Connection[Any], moved: ModelVersion
) -> None:
    for _ in range(2):
        found = production.reconcile(connection, ours.model())
        assert found is not None
        assert found.version == moved.version
    assert stages() == ["Archived", "Production", "None"]
    assert model_versions.version(ours.model(), moved.version).tags[production.VERDICT] == "promoted"
    entry, _ = audit.trail(connection, ours.model())
    assert (entry.who, entry.action, entry.from_version, entry.to_version) == ("unknown", "found", "1", "2")


def test_reconciling_without_a_champion_writes_nothing(
    connection: Connection[Any], versions: list[ModelVersion]
) -> None:
    assert production.reconcile(connection, ours.model()) is None
    assert stages() == ["None"] * len(versions)
    assert audit.trail(connection, ours.model()) == []


@pytest.mark.parametrize(("number", "accepted"), [(None, True), ("1", True), ("2", False), ("", False)])
def test_only_the_expected_champion_is_accepted(
    connection: Connection[Any], versions: list[ModelVersion], number: str | None, accepted: bool
) -> None:
    decisions.promote(connection, versions[0], "the first", by="ada")
    champion = model_versions.production(ours.model())
    if accepted:
        production.check_champion(champion, number)
        return
    with pytest.raises(UserError, match="Production has changed meanwhile: it is version 1, not"):
        production.check_champion(champion, number)


def test_promoting_the_champion_brings_its_stage_in_line(
    connection: Connection[Any], versions: list[ModelVersion]
) -> None:
    decisions.promote(connection, versions[0], "the first", by="ada")
    client().transition_model_version_stage(versions[0].name, "1", "None")
    decisions.promote(connection, versions[0], "again", by="ada")
    assert stages()[0] == "Production"
    assert model_versions.version(ours.model(), "1").tags["reason"] == "the first"  # no new promotion, no new reason
