"""Promotion and rollback, on the real registry and the real database."""

import json
import re
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from psycopg import Connection

from local.stack import Stack
from penguins import locks, signing
from penguins.errors import UserError
from penguins.promotion import audit, decisions, verdicts
from penguins.promotion.production import lock_name
from penguins.registry import model_versions
from penguins.settings import settings
from penguins.training import candidate_records
from penguins.training.candidate_records import Record
from penguins.training.tracking import client
from penguins.ui.overview import rollback_offer
from tests.penguins import ours
from tests.penguins.conftest import pointed_at
from tests.penguins.cutting import Cutting

pytestmark = [pytest.mark.usefixtures("mlflow"), pytest.mark.filterwarnings("ignore:.*transition_model_version_stage")]


def connect(stack: Stack) -> Connection[Any]:
    return psycopg.connect(stack.environment["AIRFLOW_CONN_PENGUINS_DB"], autocommit=True)


def production() -> str | None:
    found = model_versions.production(ours.model())
    return found.version if found else None


def stages() -> list[str]:
    return [found.current_stage for found in reversed(model_versions.versions(ours.model()))]


def offered(connection: Connection[Any]) -> str | None:
    return rollback_offer(connection, ours.model()).target


@contextmanager
def cut_at(where: str, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Cut off the registry at this call during the block."""
    names = {"experiment": settings().experiment, "model_name": settings().model_name}
    with Cutting(stack.urls["mlflow"], where) as line, monkeypatch.context() as patch:
        patch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        with pointed_at(line.stack(stack), patch, **names), pytest.raises(MlflowException, match=where):
            yield


def recorded_decisions(connection: Connection[Any]) -> list[tuple[str, str | None, str]]:
    entries = reversed(audit.trail(connection, ours.model()))
    return [(entry.action, entry.from_version, entry.to_version) for entry in entries]


def test_a_promotion_is_recorded_with_person_numbers_and_reason(
    connection: Connection[Any], versions: list[ModelVersion]
) -> None:
    record(connection, versions[1])
    decisions.promote(connection, versions[0], "the first", by="ada")
    decisions.promote(connection, versions[1], "it is better", by="grace", numbers={"accuracy": 0.99})
    entry, _ = audit.trail(connection, ours.model())
    assert (entry.who, entry.action, entry.from_version, entry.to_version) == ("grace", "promote", "1", "2")
    assert (entry.reason, entry.numbers) == ("it is better", {"accuracy": 0.99})
    assert (entry.dag_run_id, entry.data_digest, entry.git_commit) == ("manual__2", "of other rows", "def")
    tags = client().get_model_version(settings().model_name, "2").tags
    assert (tags["promoted_by"], tags["previous_version"], tags["reason"]) == ("grace", "1", "it is better")
    assert tags["promoted_at"] == entry.at.isoformat(timespec="seconds")


def test_rollbacks_go_back_one_version_each_until_none_is_left(
    connection: Connection[Any], versions: list[ModelVersion]
) -> None:
    for each in versions:
        decisions.promote(connection, each, "next", by="ada")
    assert decisions.rollback(connection, ours.model(), "it misses Chinstraps", by="grace").version == "2"
    assert (production(), stages()) == ("2", ["Archived", "Production", "Archived"])
    assert audit.trail(connection, ours.model())[0].reason == "rolled back from version 3: it misses Chinstraps"
    assert decisions.rollback(connection, ours.model(), "so does this", by="grace").version == "1"
    with pytest.raises(UserError, match="Nothing to go back to: version 1 is in Production, .* Promote another one."):
        decisions.rollback(connection, ours.model(), "and this", by="grace")
    assert production() == "1"
    decisions.promote(connection, versions[2], "mended", by="ada")
    assert decisions.rollback(connection, ours.model(), "not quite", by="ada").version == "1"


def test_with_nothing_in_production_there_is_nothing_to_roll_back(connection: Connection[Any]) -> None:
    with pytest.raises(UserError, match="Nothing to go back to: nothing is in Production"):
        decisions.rollback(connection, ours.model(), "why not", by="ada")


def test_a_champion_that_was_deleted_can_be_rolled_back_from(
    connection: Connection[Any], versions: list[ModelVersion]
) -> None:
    for each in versions[:2]:
        decisions.promote(connection, each, "next", by="ada")
    client().delete_model_version(settings().model_name, "2")
    assert production() is None
    assert (
        decisions.rollback(
            connection, ours.model(), "it is gone", by="ada", expected_champion="", expected_target="1"
        ).version
        == "1"
    )
    assert (production(), recorded_decisions(connection)[-1]) == ("1", ("rollback", None, "1"))


@pytest.mark.parametrize(("promoted", "deleted", "target"), [("123", "2", "1"), ("3121", "2", "3"), ("121", "2", None)])
def test_rollback_skips_deleted_versions(
    connection: Connection[Any], versions: list[ModelVersion], promoted: str, deleted: str, target: str | None
) -> None:
    for number in promoted:
        decisions.promote(connection, versions[int(number) - 1], "next", by="ada")
    client().delete_model_version(settings().model_name, deleted)
    before = recorded_decisions(connection)
    assert offered(connection) == target
    if target is None:
        with pytest.raises(UserError, match="Nothing to go back to"):
            decisions.rollback(connection, ours.model(), "again", by="ada")
        assert recorded_decisions(connection) == before
    else:
        assert decisions.rollback(connection, ours.model(), "again", by="ada").version == target
        assert (production(), recorded_decisions(connection)[-1]) == (target, ("rollback", promoted[-1], target))


def record(connection: Connection[Any], version: ModelVersion) -> None:
    """Record a version as made of a candidate, with other values than those in its tags."""
    tags = {"dag_run_id": "manual__2", "data_digest": "of other rows", "git_commit": "def"}
    found = Record(
        "0", "manual__2", version.version, "finished", "", {}, tags, {}, "0", model_versions.model_id(version)
    )
    candidate_records.append(connection, [found])


def delete_model(version: ModelVersion) -> None:
    client().delete_logged_model(model_versions.model_id(version))


def change_file(version: ModelVersion) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "model.pkl").write_bytes(b"something else")
        client().log_model_artifacts(model_versions.model_id(version), folder)


def sign(digests: dict[str, str]) -> Callable[[ModelVersion], None]:
    def edit(version: ModelVersion) -> None:
        tag = signing.sign("version", ours.model(), model_versions.model_id(version), digests)
        client().set_model_version_tag(version.name, version.version, "signature", tag)

    return edit


def remove_signature(version: ModelVersion) -> None:
    client().delete_model_version_tag(version.name, version.version, "signature")


DAMAGES: dict[str, tuple[Callable[[ModelVersion], None], str]] = {
    "deleted model": (delete_model, "was deleted from MLflow"),
    "changed file": (change_file, "model.pkl isn't the file that was recorded"),
    "missing file": (sign(dict.fromkeys(("model.pkl", "MLmodel"), "0" * 64)), "isn't the file"),
    "no digests": (sign({}), "its signature has no digest of model.pkl"),
    "no signature": (remove_signature, "version 2 isn't opened: this candidate has no tag `signature`"),
}


@pytest.mark.parametrize(("damage", "why"), DAMAGES.values(), ids=DAMAGES)
def test_rollback_passes_over_versions_that_cannot_be_trusted(
    connection: Connection[Any], own_versions: list[ModelVersion], damage: Callable[[ModelVersion], None], why: str
) -> None:
    for each in own_versions:
        decisions.promote(connection, each, "next", by="ada")
    damage(own_versions[1])
    offer = rollback_offer(connection, ours.model())
    report = decisions.rollback(connection, ours.model(), "worse", by="ada", expected_champion="3", expected_target="1")
    assert (offer.target, report.version, production()) == ("1", "1", "1")
    assert offer.passed_over == report.passed_over
    assert why in report.passed_over["2"]
    entry = audit.trail(connection, ours.model())[0]
    assert (entry.action, entry.from_version, entry.to_version) == ("rollback", "3", "1")
    assert entry.reason == "rolled back from version 3, past 2 (not trusted): worse"


def test_without_a_sound_version_a_rollback_says_why(
    connection: Connection[Any], own_versions: list[ModelVersion]
) -> None:
    for each in own_versions[:2] * 2:  # so that the version in Production was there before, too
        decisions.promote(connection, each, "next", by="ada")
    delete_model(own_versions[0])
    assert rollback_offer(connection, ours.model()).target is None
    with pytest.raises(UserError, match=r"version 2 is in Production, and no .* trusted\. Version 1: .* was deleted"):
        decisions.rollback(connection, ours.model(), "worse", by="ada")
    assert production() == "2"


def test_a_rollback_to_another_version_than_the_one_offered_is_refused(
    connection: Connection[Any], versions: list[ModelVersion]
) -> None:
    for each in versions:
        decisions.promote(connection, each, "next", by="ada")
    client().delete_model_version(settings().model_name, "2")
    with pytest.raises(UserError, match="This would go back to version 1, not to version 2"):
        decisions.rollback(connection, ours.model(), "again", by="ada", expected_champion="3", expected_target="2")
    assert production() == "3"


def test_after_a_move_in_mlflows_ui_the_offered_target_is_the_one_of_the_rollback(
    connection: Connection[Any], versions: list[ModelVersion]
) -> None:
    for each in versions:
        decisions.promote(connection, each, "next", by="ada")
    client().set_registered_model_alias(settings().model_name, "production", "2")
    assert offered(connection) == "1"
    assert decisions.rollback(connection, ours.model(), "further", by="ada", expected_target="1").version == "1"


def test_a_rollback_from_another_champion_than_the_one_seen_is_refused(
    connection: Connection[Any], versions: list[ModelVersion]
) -> None:
    for each in versions[:2]:
        decisions.promote(connection, each, "next", by="ada")
    decisions.rollback(connection, ours.model(), "once", by="ada", expected_champion="2")
    with pytest.raises(UserError, match="Production has changed meanwhile: it is version 1, not version 2"):
        decisions.rollback(connection, ours.model(), "a second click", by="ada", expected_champion="2")


def test_a_move_in_mlflows_ui_is_recorded_and_can_be_rolled_back(
    connection: Connection[Any], versions: list[ModelVersion]
) -> None:
    decisions.promote(connection, versions[0], "the first", by="ada")
    client().set_registered_model_alias(settings().model_name, "production", "3")
    decisions.promote(connection, versions[1], "next", by="ada")
    assert recorded_decisions(connection) == [("promote", None, "1"), ("found", "1", "3"), ("promote", "3", "2")]
    assert decisions.rollback(connection, ours.model(), "again", by="ada").version == "3"
    assert decisions.rollback(connection, ours.model(), "again", by="ada").version == "1"


def test_a_version_registered_in_mlflows_ui_can_be_promoted(
    connection: Connection[Any], own_versions: list[ModelVersion]
) -> None:
    source = client().get_logged_model(model_versions.model_id(own_versions[0]))
    tag = signing.sign("candidate", ours.model(), source.model_id, json.loads(own_versions[0].tags["digests"]))
    client().set_logged_model_tags(source.model_id, {"signature": tag})
    by_hand = client().create_model_version(
        settings().model_name,
        f"models:/{source.model_id}",
        run_id=source.source_run_id,
        model_id=source.model_id,
    )
    decisions.promote(connection, by_hand, "by hand", by="ada")
    assert production() == by_hand.version


def test_a_version_that_cannot_be_loaded_is_not_promoted(
    connection: Connection[Any], versions: list[ModelVersion]
) -> None:
    decisions.promote(connection, versions[0], "the first", by="ada")
    digests = json.loads(versions[1].tags["digests"]) | {"model.pkl": "0" * 64}
    tag = signing.sign("version", ours.model(), model_versions.model_id(versions[1]), digests)
    client().set_model_version_tag(versions[1].name, "2", "signature", tag)
    changed = client().get_model_version(versions[1].name, "2")
    with pytest.raises(UserError, match="isn't the file that was recorded"):
        decisions.promote(connection, changed, "next", by="ada")
    assert (production(), len(audit.trail(connection, ours.model()))) == ("1", 1)


@pytest.mark.parametrize("name", ["model.pkl", "inference/model.onnx", "inference/contract.json"])
def test_a_version_with_a_changed_file_is_not_promoted(
    connection: Connection[Any], own_versions: list[ModelVersion], name: str, tmp_path: Path
) -> None:
    decisions.promote(connection, own_versions[0], "the first", by="ada")
    (tmp_path / name).write_bytes(b"something else")
    client().log_model_artifacts(model_versions.model_id(own_versions[1]), str(tmp_path))
    with pytest.raises(UserError, match=f"{name} isn't the file that was recorded"):
        decisions.promote(connection, own_versions[1], "next", by="ada")
    assert (production(), len(audit.trail(connection, ours.model()))) == ("1", 1)


def test_a_promotion_removes_the_challenger(connection: Connection[Any], versions: list[ModelVersion]) -> None:
    decisions.promote(connection, versions[0], "the first", by="ada")
    decisions.refuse(connection, versions[1], "worse", by="a run", numbers={"accuracy": 0.5})
    assert model_versions.registered_model(ours.model()).aliases == {"production": "1", "challenger": "2"}
    assert audit.trail(connection, ours.model())[0].numbers == {"accuracy": 0.5}
    decisions.promote(connection, versions[2], "better", by="a run")
    assert model_versions.registered_model(ours.model()).aliases == {"production": "3"}
    assert recorded_decisions(connection)[1] == ("refuse", "1", "2")


@pytest.mark.parametrize(
    ("where", "standing", "rollback_target"),
    [("registered-models/alias", "1", None), ("transition-stage", "2", "1")],
    ids=["before the alias", "between alias and stage"],
)
def test_the_next_promotion_completes_one_that_an_outage_interrupted(
    connection: Connection[Any],
    versions: list[ModelVersion],
    where: str,
    standing: str,
    rollback_target: str | None,
    stack: Stack,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decisions.promote(connection, versions[0], "the first", by="ada")
    with cut_at(where, stack, monkeypatch):
        decisions.promote(connection, versions[1], "next", by="ada")
    assert production() == standing
    assert offered(connection) == rollback_target
    assert stages()[:2] == ["Production", "None"]
    decisions.promote(connection, versions[1], "once more", by="ada")
    assert (production(), stages()[:2]) == ("2", ["Archived", "Production"])
    assert decisions.rollback(connection, ours.model(), "back", by="ada").version == "1"
    with pytest.raises(UserError, match="Nothing to go back to"):
        decisions.rollback(connection, ours.model(), "back", by="ada")


@pytest.mark.parametrize(
    ("decide", "stages_after"),
    [
        (lambda connection, third: decisions.refuse(connection, third, "worse", "ada", {}), "Archived Production None"),
        (lambda connection, third: decisions.promote(connection, third, "next", "ada"), "Archived Archived Production"),
        (lambda connection, _: decisions.rollback(connection, ours.model(), "back", "ada"), "Production Archived None"),
    ],
    ids=["refuse", "promote", "rollback"],
)
def test_the_next_decision_brings_the_stage_in_line(
    connection: Connection[Any],
    versions: list[ModelVersion],
    decide: Callable[[Connection[Any], ModelVersion], object],
    stages_after: str,
    stack: Stack,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decisions.promote(connection, versions[0], "the first", by="ada")
    with cut_at("transition-stage", stack, monkeypatch):
        decisions.promote(connection, versions[1], "next", by="ada")
    decide(connection, versions[2])
    assert stages() == stages_after.split()
    assert model_versions.version(ours.model(), "2").tags["verdict"] == "promoted"


def test_promoting_the_champion_again_keeps_its_challenger(
    connection: Connection[Any], versions: list[ModelVersion]
) -> None:
    decisions.promote(connection, versions[0], "the first", by="ada")
    decisions.refuse(connection, versions[1], "worse", by="a run", numbers={})
    decisions.promote(connection, versions[0], "again", by="ada")
    with pytest.raises(UserError, match="Version 1 is in Production already"):
        decisions.promote_by_hand(connection, versions[0], "again", by="ada")
    assert model_versions.registered_model(ours.model()).aliases == {"production": "1", "challenger": "2"}


@pytest.mark.parametrize(
    "decide",
    [
        lambda connection, version: decisions.promote_by_hand(connection, version, "next", "ada"),
        lambda connection, _: decisions.rollback(connection, ours.model(), "back", "ada"),
    ],
    ids=["promote", "rollback"],
)
def test_a_person_waits_a_limited_time_for_another_decision(
    stack: Stack,
    connection: Connection[Any],
    versions: list[ModelVersion],
    decide: Callable[[Connection[Any], ModelVersion], object],
) -> None:
    for each in versions[:2]:
        decisions.promote(connection, each, "next", by="ada")
    with connect(stack) as person:
        with (
            locks.exclusive_lock(connection, lock_name(ours.model())),
            pytest.raises(UserError, match=r"The production of .* is being decided on right now\. Try again"),
        ):
            decide(person, versions[2])
        assert production() == "2"
        with locks.exclusive_lock(connection, lock_name("another model")):
            decide(person, versions[2])
    assert production() != "2"


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("x" * 1001, "must have 1 to 1000 characters, and has 1001"),
        (" \n", "must have 1 to 1000 characters, and has 0"),
        ("a\0b", "control characters"),
        ("a\ud800b", "control characters"),
        ("a\x1b[2Jb", "control characters"),
    ],
    ids=["long", "empty", "NUL", "surrogate", "escape"],
)
def test_an_invalid_reason_is_refused_before_anything_is_written(
    connection: Connection[Any], versions: list[ModelVersion], reason: str, message: str
) -> None:
    decisions.promote(connection, versions[0], "the first", by="ada")
    decisions.promote(connection, versions[1], "next", by="ada")
    with pytest.raises(UserError, match=message):
        decisions.promote_by_hand(connection, versions[2], reason, by="ada")
    with pytest.raises(UserError, match=message):
        decisions.rollback(connection, ours.model(), reason, by="ada")
    assert (production(), len(audit.trail(connection, ours.model()))) == ("2", 2)


def test_a_programs_reason_is_stored_as_plain_text(connection: Connection[Any], versions: list[ModelVersion]) -> None:
    decisions.promote(connection, versions[0], "it\ncan't be loaded: a\0b\ud800\x1b[2J", by="a run")
    assert audit.trail(connection, ours.model())[0].reason == "it can't be loaded: a�b��[2J"
    assert model_versions.version(ours.model(), "1").tags["reason"] == audit.trail(connection, ours.model())[0].reason
    decisions.promote_by_hand(connection, versions[1], "two\nlines, and ünï\u200dcode 🐧", by="ada")
    assert audit.trail(connection, ours.model())[0].reason == "two lines, and ünï\u200dcode 🐧"


def test_the_numbers_of_a_promotion_by_hand_are_those_of_the_verdict(
    connection: Connection[Any], versions: list[ModelVersion]
) -> None:
    verdicts.append(connection, versions[0], None, False, "worse", {"accuracy": 0.5})
    for each in versions[:2]:
        forged = {"promote": True, "reason": "better", "numbers": {"accuracy": 1.0}}
        client().set_model_version_tag(each.name, each.version, decisions.GATE, json.dumps(forged))
        decisions.promote_by_hand(
            connection, model_versions.version(ours.model(), each.version), "it's right", by="ada"
        )
    assert [entry.numbers for entry in audit.trail(connection, ours.model())] == [{}, {"accuracy": 0.5}]


def test_twenty_decisions_at_once_end_in_one_state(stack: Stack, versions: list[ModelVersion]) -> None:
    together = threading.Barrier(20)

    def one(number: int) -> bool:
        who, version = f"thread {number}", versions[number % 3]
        with connect(stack) as connection:
            together.wait()
            try:
                match number % 4:
                    case 0:
                        decisions.rollback(connection, ours.model(), "back", who)
                    case 1:
                        decisions.promote_by_hand(connection, version, "by hand", who)
                    case _:
                        decisions.promote(connection, version, "next", who)
            except UserError as error:
                assert re.search("Nothing to go back to|in Production already|being decided on", str(error))  # noqa: PT017
                return False
        return True

    with ThreadPoolExecutor(20) as pool:
        done = list(pool.map(one, range(20)))
    with connect(stack) as connection:
        entries = audit.trail(connection, ours.model())
    assert production() == entries[0].to_version
    assert [number for number, stage in enumerate(stages(), 1) if stage == "Production"] == [int(production() or 0)]
    assert {entry.action for entry in entries} <= {"promote", "rollback"}
    for later, earlier in pairwise(entries):
        assert later.from_version == earlier.to_version
    decided = {entry.who for entry in entries}
    assert len(decided) == len(entries)
    for number, succeeded in enumerate(done):
        if number % 4 < 2:
            assert succeeded == (f"thread {number}" in decided)
