"""The page's API about the prediction log."""

from collections import Counter
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from psycopg import Connection

from contract.rows import RowFormat
from tests.penguins.monitoring.conftest import Ship, folder, log, ship
from tests.penguins.ui.conftest import client
from tests.shipper.segments import WINE, header, lines, predictions, rows, truth

__all__ = ["folder", "log", "ship"]


@pytest.fixture
def logged(log: Connection[Any], folder: Path, ship: Ship) -> list[str]:  # noqa: ARG001
    """The ids of 60 predictions of the model `wine`, with the truth about the last one."""
    name, ids = predictions(folder, 60)
    ship(name)
    ship(lines(folder, "feedback", [truth(prediction_id=ids[-1], row_index=59, **{"class": "b"})]))
    return [str(each) for each in ids]


def written(ids: list[str]) -> list[tuple[str, bool]]:
    """Return the class of each row, and whether it is outside the training range."""
    found = RowFormat(header()).decode(rows(header(), [*map(UUID, ids)]))
    return [(WINE.classes[row["class"]], bool(row["outside"])) for row in found]


def test_sums_and_the_latest_are_shown(airflow: str, logged: list[str]) -> None:
    expected = written(logged)
    with client(airflow, "vera") as vera:
        shown = vera.get("api/predictions?contract=wine").json()
        outside = vera.get("api/predictions?contract=wine&outside=true&class_name=a&days=7").json()
        other = vera.get("api/predictions?contract=wine&version=2").json()
    assert (shown["model"], shown["unit"], outside["unit"]) == ("wine", "hour", "day")
    counted = {each["class_name"]: each["rows"] for each in shown["sums"]}
    assert counted == Counter(name for name, _ in expected)
    assert sum(each["outside"] for each in shown["sums"]) == sum(is_outside for _, is_outside in expected)
    latest = [f"{each}/{row}" for row, each in enumerate(logged)][::-1]
    assert [row["id"] for row in shown["latest"]] == latest[:50]
    assert shown["latest"][0]["truth"] == "b"
    wanted = [latest[59 - row] for row, each in enumerate(expected) if each == ("a", True)][::-1]
    assert [row["id"] for row in outside["latest"]] == wanted
    assert wanted
    assert other["latest"] == []
    assert other["sums"] == shown["sums"]


def test_one_prediction_is_shown_with_its_lineage(ada: httpx.Client, logged: list[str]) -> None:
    found = ada.get("api/prediction", params={"contract": "wine", "id": f" {logged[-1]}/59 "}).json()
    assert (found["id"], found["truth"], found["class_name"]) == (f"{logged[-1]}/59", "b", written(logged)[-1][0])
    assert list(found["values"]) == ["alcohol", "colour", "cork", "year"]
    assert list(found["probabilities"]) == ["a", "b", "ü"]
    assert found["lineage"] == ["wine version 1, contract " + "0f" * 16, "The audit trail doesn't know this version."]


def test_a_prediction_of_another_model_is_not_shown(ada: httpx.Client, logged: list[str]) -> None:
    for contract, text, said in (
        ("penguins", logged[0], "The log has no prediction"),
        ("wine", "0192d1f0-5a3c-7000-9f0e-000000000000", "The log has no prediction"),
        ("wine", "'; DROP", "isn't the id of a prediction"),
    ):
        answer = ada.get("api/prediction", params={"contract": contract, "id": text})
        assert (answer.status_code, said in answer.json()["detail"]) == (409, True)


@pytest.mark.parametrize("query", ["days=0", "days=1e9", "contract=../wine", "outside=perhaps"])
def test_a_malformed_request_is_refused(ada: httpx.Client, query: str) -> None:
    answer = ada.get(f"api/predictions?{query}")
    assert (answer.status_code, type(answer.json()["detail"])) == (422, str)
