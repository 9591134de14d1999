"""The version in the shadow: one at a time, by the audit trail, and no longer than its champion is in Production."""

from typing import Any

import pytest
from mlflow.entities.model_registry import ModelVersion
from psycopg import Connection

from penguins.promotion import audit, decisions, shadow
from penguins.registry import model_versions
from penguins.training.tracking import client
from tests.penguins import ours

pytestmark = [pytest.mark.usefixtures("mlflow"), pytest.mark.filterwarnings("ignore:.*transition_model_version_stage")]

NUMBERS = {"champion": "1", "accuracy": 0.97, "champion_accuracy": 0.95, "rows": 69}


def aliases() -> dict[str, str]:
    return dict(model_versions.registered_model(ours.model()).aliases)


def tags(number: str) -> dict[str, str]:
    return dict(model_versions.version(ours.model(), number).tags)


def trail(connection: Connection[Any]) -> list[tuple[str, str | None, str]]:
    """Return actions and versions, the earliest first."""
    entries = reversed(audit.trail(connection, ours.model()))
    return [(entry.action, entry.from_version, entry.to_version) for entry in entries]


def begin(connection: Connection[Any], version: ModelVersion, ask: bool = False) -> None:
    shadow.begin(connection, version, "shadowing: the gate: better", "register_best of manual__2", NUMBERS, ask)


@pytest.fixture
def shadowed(connection: Connection[Any], versions: list[ModelVersion]) -> list[ModelVersion]:
    """Three versions: 1 is in Production, 2 in its shadow."""
    decisions.promote(connection, versions[0], "the first", by="ada")
    begin(connection, versions[1])
    return versions


def current(connection: Connection[Any]) -> str | None:
    found = shadow.current(connection, ours.model())
    return found[1].version if found else None


def test_a_version_is_put_in_the_shadow(connection: Connection[Any], shadowed: list[ModelVersion]) -> None:
    assert aliases() == {"production": "1", "shadow": "2"}
    assert (tags("2")["verdict"], tags("2")["reason"]) == ("shadowing", "shadowing: the gate: better")
    assert trail(connection) == [("promote", None, "1"), ("shadow", "1", "2")]
    entries = audit.trail(connection, ours.model())
    assert (entries[0].settled, entries[0].numbers) == (True, {**NUMBERS, "ask": False})
    assert audit.final_decision(entries, shadowed[1]) is None
    assert current(connection) == "2"
    assert model_versions.version(ours.model(), "1").current_stage == "Production"


def test_a_newer_candidate_takes_its_place(connection: Connection[Any], shadowed: list[ModelVersion]) -> None:
    begin(connection, shadowed[2])
    assert aliases() == {"production": "1", "shadow": "3"}
    assert trail(connection)[2:] == [("refuse", "1", "2"), ("shadow", "1", "3")]
    assert tags("2")["verdict"] == "refused"
    assert tags("2")["reason"] == "version 3 took its place in the shadow"
    assert current(connection) == "3"


@pytest.mark.parametrize("by_hand", [True, False])
def test_another_promotion_ends_it(connection: Connection[Any], shadowed: list[ModelVersion], by_hand: bool) -> None:
    if by_hand:
        decisions.promote_by_hand(connection, shadowed[2], "it knows Chinstraps", by="ada")
    else:
        client().set_registered_model_alias(ours.model(), "production", "3")
        decisions.refuse(connection, shadowed[0], "why not", "ada", {})  # finds it
    assert aliases().items() >= {"production": "3"}.items()
    assert "shadow" not in aliases()
    if by_hand:
        assert trail(connection)[2:] == [("promote", "1", "3"), ("refuse", "3", "2")]
        assert tags("2")["reason"] == "version 3 was put in Production meanwhile"
        assert current(connection) is None
        decisions.rollback(connection, ours.model(), "no", by="ada")
        assert aliases() == {"production": "1"}


def test_its_own_decisions_end_it(connection: Connection[Any], shadowed: list[ModelVersion]) -> None:
    decisions.promote(connection, shadowed[1], "better", by="ada")
    assert aliases() == {"production": "2"}
    assert trail(connection)[2:] == [("promote", "1", "2")]
    assert current(connection) is None
    begin(connection, shadowed[2])
    decisions.refuse(connection, shadowed[0], "not this one", "ada", {})
    assert aliases() == {"production": "2", "challenger": "1", "shadow": "3"}
    decisions.refuse(connection, shadowed[2], "worse", "ada", {})
    assert aliases() == {"production": "2", "challenger": "3"}
    assert current(connection) is None


@pytest.mark.usefixtures("shadowed")
def test_an_alias_that_somebody_sets_is_believed_by_nobody(connection: Connection[Any]) -> None:
    client().set_registered_model_alias(ours.model(), "shadow", "3")
    assert current(connection) == "2"


@pytest.mark.usefixtures("shadowed")
def test_a_version_that_was_deleted_is_in_no_shadow(connection: Connection[Any]) -> None:
    client().delete_model_version(ours.model(), "2")
    assert current(connection) is None
    shadow.end(connection, ours.model(), "why", "ada")
    assert trail(connection)[2:] == []


def test_the_table_shows_what_both_answered() -> None:
    answers = {"Adelie": {"Adelie": 1000, "a|b": 3}, "Gentoo": {"Gentoo": 7}}
    found = {"answers": answers, "rows": 1010, "agreed": 1007, "labelled": 0}
    assert [line.split("|")[1:-1] for line in shadow.table(found, "1", "2").splitlines()] == [
        [" real traffic                     ", "     version 1 ", "     version 2 "],
        [":---------------------------------", "--------------:", "--------------:"],
        [" answered Adelie                  ", "         1,003 ", "         1,000 "],
        [" answered Gentoo                  ", "             7 ", "             7 "],
        [" answered a\\", "b                    ", "             0 ", "             3 "],
        [" the same class                   ", "               ", "         1,007 "],
        [" rows                             ", "               ", "         1,010 "],
    ]
    known = {"labelled": 2, "right": 2, "champion_right": 1, "gained": 1, "lost": 0, "p": 0.75}
    table = shadow.table({**found, **known}, "1", "2")
    assert "| right, of 2 known                |             1 |             2 |" in table
    assert "| right where the other is wrong   |             0 |             1 |" in table
    assert "| p, valid at any time             |               |          0.75 |" in table
