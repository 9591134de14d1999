"""The question to a person, and the effect of the answer."""

import json
from typing import Any

import pytest
from mlflow.entities.model_registry import ModelVersion
from psycopg import Connection

from penguins.errors import UserError
from penguins.promotion import audit, verdicts
from penguins.promotion.approval import answer, ask_on_page, question
from penguins.promotion.decisions import promote, rollback
from penguins.registry import model_versions
from penguins.settings import settings
from penguins.training.tracking import client
from penguins.ui.overview import overview
from tests.penguins import ours

pytestmark = [pytest.mark.usefixtures("mlflow"), pytest.mark.filterwarnings("ignore:.*transition_model_version_stage")]

NUMBERS = {"champion": "1", "accuracy": 0.9, "champion_accuracy": 0.95, "rows": 69}


@pytest.fixture
def asked(connection: Connection[Any], versions: list[ModelVersion]) -> list[ModelVersion]:
    """Three versions: 1 is in Production, 2 waits for a person, 3 was never judged."""
    promote(connection, versions[0], "the first", by="ada")
    verdicts.append(connection, versions[1], "1", False, "not better than version 1", NUMBERS, asked=True)
    return versions


def aliases() -> dict[str, str]:
    return dict(model_versions.registered_model(ours.model()).aliases)


@pytest.mark.usefixtures("asked")
def test_the_question_has_both_numbers_and_both_pictures(connection: Connection[Any]) -> None:
    asked = question(connection, ours.contract(), "2", "/team/airflow")
    body = asked.body
    assert (asked.number, asked.champion) == ("2", "1")
    assert asked.subject == f"Put {settings().model_name} version 2 in Production, in place of version 1?"
    assert "The gate says: **keep the champion**: not better than version 1." in body
    assert "|        0.9500 |        0.9000 |" in body
    for number in ("1", "2"):
        assert f"(/team/airflow/penguins/confusion/{number})" in body


def test_without_a_champion_the_question_names_none(connection: Connection[Any], versions: list[ModelVersion]) -> None:
    verdicts.append(connection, versions[0], None, True, "the first", {"accuracy": 0.9, "rows": 69})
    asked = question(connection, ours.contract(), "1", "")
    assert (asked.champion, asked.subject[-20:]) == ("", "in place of nothing?")
    assert asked.body.count("](/penguins/confusion/") == 1


@pytest.mark.usefixtures("asked")
def test_a_person_who_approves_promotes(connection: Connection[Any]) -> None:
    report = answer(connection, ours.model(), "2", approved=True, seen="1", by="ada", comment="newer is better")
    assert (report.version, report.promoted) == ("2", True)
    assert aliases() == {"production": "2"}
    entry = audit.trail(connection, ours.model())[0]
    assert (entry.who, entry.action, entry.from_version) == ("ada", "promote", "1")
    assert entry.reason == "newer is better (the gate: not better than version 1)"
    assert entry.numbers == NUMBERS


@pytest.mark.usefixtures("asked")
def test_a_person_who_refuses_keeps_the_champion(connection: Connection[Any]) -> None:
    assert not answer(connection, ours.model(), "2", approved=False, seen="1", by="ada", comment="").promoted
    assert aliases() == {"production": "1", "challenger": "2"}
    assert (audit.trail(connection, ours.model())[0].who, audit.trail(connection, ours.model())[0].action) == (
        "ada",
        "refuse",
    )


@pytest.mark.parametrize("approved", [True, False])
def test_an_answer_after_another_promotion_changes_nothing(
    connection: Connection[Any], asked: list[ModelVersion], approved: bool
) -> None:
    promote(connection, asked[2], "by hand, meanwhile", by="grace")
    with pytest.raises(UserError, match="Production has changed meanwhile: it is version 3, not version 1"):
        answer(connection, ours.model(), "2", approved=approved, seen="1", by="ada", comment="")
    assert aliases() == {"production": "3"}
    entry = audit.trail(connection, ours.model())[0]
    assert (entry.who, entry.action, entry.to_version) == ("ada", "overtaken", "2")
    choice = "promote it" if approved else "keep the champion"
    assert entry.reason.startswith(f"no comment (the answer was to {choice}, too late: Production has changed")


@pytest.mark.parametrize("approved", [True, False])
def test_an_answer_to_a_question_about_another_champion_changes_nothing(
    connection: Connection[Any], asked: list[ModelVersion], approved: bool
) -> None:
    promote(connection, asked[2], "by hand, meanwhile", by="grace")
    verdicts.append(connection, asked[1], "3", True, "better than version 3", NUMBERS, asked=True)
    with pytest.raises(UserError, match="it is version 3, not version 1"):
        answer(connection, ours.model(), "2", approved=approved, seen="1", by="ada", comment="")
    promote(connection, asked[0], "and back", by="grace")
    with pytest.raises(UserError, match="Version 2 was judged again meanwhile, against 3. Look again"):
        answer(connection, ours.model(), "2", approved=approved, seen="1", by="ada", comment="")
    assert aliases() == {"production": "1"}


def test_without_an_answer_the_champion_stays_whichever_it_is(
    connection: Connection[Any], asked: list[ModelVersion]
) -> None:
    promote(connection, asked[2], "by hand, meanwhile", by="grace")
    assert not answer(connection, ours.model(), "2", approved=False, seen=None, by="nobody", comment="").promoted
    assert aliases() == {"production": "3", "challenger": "2"}


@pytest.mark.usefixtures("asked")
def test_the_page_asks_only_what_it_was_told_to_ask(connection: Connection[Any], versions: list[ModelVersion]) -> None:
    verdicts.append(connection, versions[1], "1", True, "better", NUMBERS)
    assert overview(connection, ours.contract(), may_change=True).questions == []
    ask_on_page(connection, ours.model(), question(connection, ours.contract(), "2", ""))
    shown = overview(connection, ours.contract(), may_change=True)
    assert shown.questions == ["2"]
    (gate,) = (version.gate for version in shown.versions if version.version == "2")
    assert gate is not None
    assert gate.reason == "better"


def test_a_question_is_open_until_a_person_decides_or_production_changes(
    connection: Connection[Any], asked: list[ModelVersion]
) -> None:
    def waiting() -> list[str]:
        return overview(connection, ours.contract(), may_change=True).questions

    verdicts.append(connection, asked[2], "1", False, "not asked", NUMBERS)
    assert waiting() == ["2"]
    promote(connection, asked[2], "by hand, meanwhile", by="grace")
    assert waiting() == []
    promote(connection, asked[0], "and back", by="grace")
    assert waiting() == ["2"]
    answer(connection, ours.model(), "2", approved=False, seen="1", by="ada", comment="")
    assert waiting() == []


@pytest.mark.parametrize("approved", [True, False])
def test_a_late_answer_is_recorded_in_the_audit_trail(
    connection: Connection[Any], asked: list[ModelVersion], approved: bool
) -> None:
    promote(connection, asked[1], "on the page", by="grace")
    report = answer(
        connection, ours.model(), "2", approved=approved, seen="1", by="ada", comment="it misses Chinstraps"
    )
    assert (report.promoted, aliases()) == (True, {"production": "2"})
    entry = audit.trail(connection, ours.model())[0]
    assert (entry.who, entry.action, entry.from_version, entry.to_version) == ("ada", "overtaken", "2", "2")
    choice = "promote it" if approved else "keep the champion"
    assert entry.reason == f"it misses Chinstraps (the answer was to {choice}, too late: it was promoted already)"
    assert rollback(connection, ours.model(), "back", by="ada").version == "1"


def test_an_answer_about_a_deleted_version_is_refused(connection: Connection[Any], asked: list[ModelVersion]) -> None:
    client().delete_model_version(asked[1].name, "2")
    with pytest.raises(UserError, match="has no version 2"):
        answer(connection, ours.model(), "2", approved=True, seen="1", by="ada", comment="")


@pytest.mark.usefixtures("asked")
def test_an_answer_with_an_odd_or_long_comment_counts(connection: Connection[Any]) -> None:
    assert answer(
        connection, ours.model(), "2", approved=True, seen="1", by="ada", comment="\0\x1b\n" + "x" * 200_000
    ).promoted
    assert "x (the gate: not better than version 1" in audit.trail(connection, ours.model())[0].reason


def test_edited_tags_change_neither_question_nor_answer(connection: Connection[Any], asked: list[ModelVersion]) -> None:
    forged = {"promote": True, "reason": "better", "numbers": {"accuracy": 1.0, "rows": 69}, "champion": None}
    before = question(connection, ours.contract(), "2", "")
    for name, value in {"gate": json.dumps(forged), "verdict": "promoted", "reason": "x"}.items():
        client().set_model_version_tag(asked[1].name, "2", name, value)
    assert question(connection, ours.contract(), "2", "") == before
    assert not answer(connection, ours.model(), "2", approved=False, seen="1", by="ada", comment="").promoted
    assert (aliases()["production"], audit.trail(connection, ours.model())[0].numbers) == ("1", NUMBERS)


def test_a_version_without_a_verdict_is_not_promoted_by_an_answer(
    connection: Connection[Any], asked: list[ModelVersion]
) -> None:
    client().set_model_version_tag(asked[2].name, "3", "gate", '{"promote": true, "reason": "", "numbers": {}}')
    with pytest.raises(UserError, match="version 3 has no verdict of the gate. Clear register_best to judge it"):
        answer(connection, ours.model(), "3", approved=True, seen="1", by="ada", comment="")
    assert aliases() == {"production": "1"}
