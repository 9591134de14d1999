"""The second judgement: real versions, a real registry, and a real log."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import numpy as np
import psycopg
import pytest
from mlflow.entities.model_registry import ModelVersion
from psycopg import Connection

from contract.rows import RowFormat
from contract.schema import DataContract
from contract.segments import END, LoggedContract, LoggedFeature, encode_block, encode_header
from local.stack import Stack
from penguins.monitoring import shadow_looks
from penguins.monitoring.real_traffic import Traffic, differs_too_often
from penguins.monitoring.shadowing import ShadowReport, judge_shadow
from penguins.promotion import approval, audit, decisions, shadow, verdicts
from penguins.registry import model_versions
from penguins.training.tracking import client
from penguins.ui.overview import overview
from tests.penguins import ours
from tests.penguins.monitoring.conftest import Ship
from tests.penguins.promotion.conftest import models, versions
from tests.shipper.segments import header, ids_at, lines, put, truth

__all__ = ["models", "versions"]

pytestmark = [pytest.mark.usefixtures("mlflow"), pytest.mark.filterwarnings("ignore:.*transition_model_version_stage")]

NUMBERS = {
    "champion": "1",
    "accuracy": 0.97,
    "champion_accuracy": 0.95,
    "rows": 69,
    "gained": 2,
    "lost": 1,
    "p_value": 0.5,
}
PENGUINS = LoggedContract(
    name="penguins",
    target="species",
    classes=("Adelie", "Chinstrap", "Gentoo"),
    features=(LoggedFeature(name="body_mass_g", type="number", min=1, max=2.5),),
)

Answer = Callable[..., None]


def demand(predictions: int = 100, days: float = 14) -> DataContract:
    """Return the penguins' contract with a shadow."""
    contract = ours.contract()
    training = contract.training.model_copy(update={"shadow_predictions": predictions, "shadow_days": days})
    return contract.model_copy(update={"training": training})


def judge(connection: Connection[Any], **demanded: Any) -> ShadowReport:
    return judge_shadow(connection, demand(**demanded), "judge_shadow of scheduled__1")


def aliases() -> dict[str, str]:
    return dict(model_versions.registered_model(ours.model()).aliases)


def last(connection: Connection[Any]) -> audit.Entry:
    return audit.trail(connection, ours.model())[0]


@pytest.fixture
def begin(log: Connection[Any], versions: list[ModelVersion]) -> Callable[..., None]:
    """Put version 2 in the shadow of version 1."""
    decisions.promote(log, versions[0], "the first", by="ada")

    def put_in_shadow(ask: bool = False) -> None:
        verdicts.append(log, versions[1], "1", True, "better than version 1", NUMBERS)
        shadow.begin(log, versions[1], "shadowing: …", "register_best of manual__2", NUMBERS, ask)

    return put_in_shadow


@pytest.fixture
def answer(folder: Any, ship: Ship) -> Answer:
    """Bring rows into the log that champion and shadow have answered, with their truth where it is known."""

    def bring(
        theirs: Sequence[int], ours_: Sequence[int], true: Sequence[str] = (), version: str = "1", in_shadow: str = "2"
    ) -> None:
        number, at = len(theirs), datetime.now(UTC)
        head = header(PENGUINS, model=ours.model(), version=version, shadow=in_shadow, created_at=at)
        ids = ids_at(at, number)
        payload = RowFormat(head).encode(
            ids=b"".join(each.bytes for each in ids),
            index=np.zeros(number, int),
            at=int(at.timestamp() * 1e6),
            labels=np.array(theirs),
            latency_ms=1.0,
            outside=np.zeros(number, int),
            features=np.ones((number, 1)),
            probabilities=np.tile([1.0, 0.0, 0.0], (number, 1)),
            shadow=np.array(ours_),
        )
        ship(put(folder, "predictions", encode_header(head) + encode_block(payload) + END, at))
        if true:
            said = [
                truth(prediction_id=each, row_index=0, model=ours.model(), at=at, received_at=at, **{"class": label})
                for each, label in zip(ids, true, strict=False)
            ]
            ship(lines(folder, "feedback", said))

    return bring


def test_without_a_shadow_there_is_nothing_to_judge(log: Connection[Any]) -> None:
    assert judge(log) == ShadowReport("", "none", f"nothing of {ours.model()} is in the shadow")


def test_the_gates_verdict_stands_after_enough_predictions(
    log: Connection[Any], begin: Callable[..., None], answer: Answer
) -> None:
    answer([0] * 50, [0] * 50)  # before it is in the shadow
    begin()
    answer([0] * 99, [0] * 98 + [1])
    answer([0] * 50, [0] * 50, in_shadow="3")
    answer([0] * 50, [0] * 50, version="3")
    waiting = judge(log)
    assert (waiting.version, waiting.outcome) == ("2", "waiting")
    assert waiting.reason == (
        "99 predictions in the shadow of version 1, 99.0% of them with the same class; 100 are required "
        "(rows of tables don't count)"
    )
    look = shadow_looks.latest(log, "penguins")
    assert look
    assert (look.version, look.champion, look.outcome, look.reason) == ("2", "1", "waiting", waiting.reason)
    assert (look.numbers["rows"], look.numbers["agreed"]) == (99, 98)
    assert look.numbers["answers"] == {"Adelie": {"Adelie": 98, "Chinstrap": 1}}
    answer([2], [2])
    report = judge(log)
    assert (report.version, report.outcome) == ("2", "promoted")
    look = shadow_looks.latest(log, "penguins")
    assert look
    assert (look.outcome, look.numbers["rows"]) == ("promoted", 100)
    assert report.reason == (
        "100 predictions in the shadow of version 1, 99.0% of them with the same class, and the gate's verdict stands: "
        "better than version 1"
    )
    assert aliases() == {"production": "2"}
    entry = last(log)
    assert (entry.action, entry.from_version, entry.who) == ("promote", "1", "judge_shadow of scheduled__1")
    assert entry.numbers["accuracy"] == NUMBERS["accuracy"]
    assert entry.numbers["shadow"]["answers"] == {"Adelie": {"Adelie": 98, "Chinstrap": 1}, "Gentoo": {"Gentoo": 1}}
    assert judge(log).outcome == "none"


def test_one_that_differs_more_than_the_hold_out_allows_is_refused(
    log: Connection[Any], begin: Callable[..., None], answer: Answer
) -> None:
    begin()
    answer([0] * 100, [0] * 60 + [1] * 40)
    report = judge(log)
    assert (report.outcome, "the two would differ on 22.3% at most" in report.reason) == ("refused", True)
    assert aliases() == {"production": "1", "challenger": "2"}


@pytest.mark.parametrize(
    ("gained", "lost", "outcome", "after"),
    [
        (20, 1, "promoted", {"production": "2"}),
        (1, 20, "refused", {"production": "1", "challenger": "2"}),
        (6, 4, "waiting", {"production": "1", "shadow": "2"}),
    ],
)
def test_the_truth_decides(
    log: Connection[Any], begin: Callable[..., None], answer: Answer, gained: int, lost: int, outcome: str, after: Any
) -> None:
    begin()
    answer(
        [1] * gained + [0] * (100 - gained),
        [0] * gained + [1] * lost + [0] * (100 - gained - lost),
        ["Adelie"] * 60,
    )
    report = judge(log)
    assert (report.outcome, f"of 60 whose class is known {gained} are gained and {lost} lost" in report.reason) == (
        outcome,
        True,
    )
    assert aliases() == after
    if outcome == "waiting":
        expired = judge(log, days=1e-7)
        assert (expired.outcome, expired.reason) == ("expired", f"{report.reason} within 1e-07 days")
        assert aliases() == {"production": "1", "challenger": "2"}
    else:
        numbers = last(log).numbers["shadow"]
        assert [numbers[name] for name in ("labelled", "right", "champion_right")] == [60, 60 - lost, 60 - gained]


def test_truth_that_is_usual_is_waited_for(log: Connection[Any], begin: Callable[..., None], answer: Answer) -> None:
    answer([0], [0], ["Adelie"], version="0")
    begin()
    answer([0] * 100, [0] * 100)
    report = judge(log)
    assert (report.outcome, "of 0 whose class is known" in report.reason) == ("waiting", True)


def test_one_with_too_few_predictions_expires(log: Connection[Any], begin: Callable[..., None]) -> None:
    begin()
    assert judge(log).outcome == "waiting"
    report = judge(log, days=1e-7)
    assert report == ShadowReport(
        "2",
        "expired",
        "0 predictions in the shadow of version 1; 100 are required (rows of tables don't count) within 1e-07 days",
    )
    assert (last(log).action, last(log).reason) == ("refuse", report.reason)
    assert aliases() == {"production": "1", "challenger": "2"}


def test_one_whose_champion_was_replaced_is_refused(
    log: Connection[Any], begin: Callable[..., None], answer: Answer
) -> None:
    begin()
    answer([0] * 100, [0] * 100)
    client().set_registered_model_alias(ours.model(), "production", "3")
    report = judge(log)
    assert report == ShadowReport(
        "2", "refused", "it was in the shadow of version 1, and version 3 is in Production by now"
    )
    assert aliases() == {"production": "3"}
    assert judge(log).outcome == "none"


def test_a_person_is_asked_once_with_the_numbers_of_real_traffic(
    log: Connection[Any], begin: Callable[..., None], answer: Answer
) -> None:
    begin(ask=True)
    assert overview(log, demand(), may_change=True).questions == []
    answer([0] * 100, [0] * 98 + [1] * 2)
    report = judge(log)
    assert (report.version, report.outcome) == ("2", "asking")
    assert overview(log, demand(), may_change=True).questions == ["2"]
    asked = approval.question(log, demand(), "2", "")
    assert f"The gate says: **promote**: {report.reason}." in asked.body
    assert "| accuracy                         |        0.9500 |        0.9700 |" in asked.body
    assert "| answered Chinstrap               |             0 |             2 |" in asked.body
    assert judge(log) == ShadowReport("2", "waiting", "a person was asked, and hasn't answered yet")
    assert approval.answer(log, ours.model(), "2", True, "ada", "go", "1").promoted
    assert aliases() == {"production": "2"}
    assert judge(log).outcome == "none"


@pytest.mark.parametrize("ask", [False, True])
def test_one_with_damaged_files_is_refused_once_and_no_person_is_asked(
    log: Connection[Any], begin: Callable[..., None], answer: Answer, ask: bool
) -> None:
    begin(ask)
    client().set_model_version_tag(ours.model(), "2", "signature", "forged")
    answer([0] * 99, [0] * 99)
    assert judge(log).outcome == "waiting"
    answer([0], [0])
    report = judge(log)
    assert (report.outcome, report.reason[:52]) == (
        "refused",
        f"it can't be trusted: {ours.model()} version 2 isn't opened"[:52],
    )
    assert aliases() == {"production": "1", "challenger": "2"}
    assert judge(log).outcome == "none"
    count = "SELECT count(*) FROM audit.verdicts WHERE model = %s AND version = '2'"
    assert log.execute(count, [ours.model()]).fetchone() == (2,)  # that of the gate, and this one
    assert (last(log).action, last(log).reason) == ("refuse", report.reason)
    assert overview(log, demand(), may_change=True).questions == []


def test_two_that_judge_at_once_decide_once(
    log: Connection[Any], begin: Callable[..., None], answer: Answer, stack: Stack
) -> None:
    begin()
    answer([0] * 100, [0] * 100)

    def look(_: int) -> str:
        with psycopg.connect(stack.environment["AIRFLOW_CONN_PENGUINS_DB"], autocommit=True) as own:
            return judge(own).outcome

    with ThreadPoolExecutor(3) as pool:
        assert sorted(pool.map(look, range(3))) == ["none", "none", "promoted"]
    actions = [entry.action for entry in audit.trail(log, ours.model())]
    assert actions == ["promote", "shadow", "promote"]


def test_models_may_differ_where_one_of_them_is_wrong() -> None:
    gate = {"rows": 1000, "accuracy": 0.95, "champion_accuracy": 0.9}
    for differ, is_too_much in ((150, False), (180, False), (230, True)):
        found = Traffic()
        found.answers.update({("a", "a"): 1000 - differ, ("a", "b"): differ})
        assert (differs_too_often(found, gate) is not None) == is_too_much
    assert differs_too_often(found, {"rows": 1000, "accuracy": 0.95}) is None
    assert differs_too_often(Traffic(), gate) is None
