"""The prediction log on the whole stack: what a client got stands in the database, once."""

from typing import Any

import pytest

from local.waiting import until
from tests.e2e.deployment import MODEL, PENGUIN, Deployment

OTHER = {"bill_length_mm": 46.1, "bill_depth_mm": 13.2, "flipper_length_mm": 211, "body_mass_g": 4500}


def logged(deployment: Deployment, ids: list[str]) -> list[tuple[Any, ...]]:
    """Return the rows of some requests."""
    listed = ", ".join(f"'{each}'" for each in ids)
    return deployment.query(
        f"""SELECT prediction_id::text, row_index, model, version, class, features, outside FROM log.predictions
            WHERE prediction_id IN ({listed}) ORDER BY 1, 2"""  # noqa: S608 (ids)
    )


@pytest.mark.usefixtures("first_run")
def test_every_answer_stands_in_the_database_once(deployment: Deployment) -> None:
    version = deployment.served().number
    rows: dict[tuple[str, int], tuple[dict[str, Any], str]] = {}
    for _ in range(20):
        answer = deployment.service.predict(PENGUIN)
        rows[answer["prediction_id"], 0] = PENGUIN, answer["species"][0]
        answer = deployment.service_api.post(deployment.service.predict_url, [OTHER, PENGUIN])
        for index, row in enumerate((OTHER, PENGUIN)):
            rows[answer["prediction_id"], index] = row, answer["species"][index]
    ids = list({each for each, _ in rows})
    until(lambda: len(logged(deployment, ids)) >= len(rows), "the answers to arrive", 30)
    found = logged(deployment, ids)
    assert [row[:2] for row in found] == sorted(rows)
    species = ["Adelie", "Chinstrap", "Gentoo"]
    for each, index, model, served, label, features, outside in found:
        sent, answered = rows[each, index]
        assert (model, served, species[label]) == (MODEL, version, answered)
        assert features == pytest.approx(list(sent.values()), rel=1e-6)
        assert outside == (2 if sent is PENGUIN else 0)  # the bill


@pytest.mark.usefixtures("first_run")
def test_truth_stands_beside_its_prediction(deployment: Deployment) -> None:
    answer = deployment.service.predict(PENGUIN)
    said = {"prediction_id": answer["prediction_id"], "class": "Gentoo", "who": "ada"}
    assert deployment.service_api.post("/feedback", said) == {"accepted": 1}
    seen = "SELECT species, truth, correct FROM penguins_predictions WHERE truth IS NOT NULL AND prediction_id = "
    expected = (answer["species"][0], "Gentoo", answer["species"][0] == "Gentoo")
    until(lambda: deployment.query(f"{seen}'{said['prediction_id']}'") == [expected], "prediction and truth", 30)


@pytest.mark.usefixtures("first_run")
def test_answers_arrive_after_the_shipper_and_the_service_were_down(deployment: Deployment) -> None:
    deployment.stop("shipper")
    ids = [deployment.service.predict(PENGUIN)["prediction_id"] for _ in range(5)]
    deployment.stop("api")
    deployment.start("api")
    until(lambda: deployment.service.version() is not None, "the service to serve again")
    ids.append(deployment.service.predict(PENGUIN)["prediction_id"])
    deployment.start("shipper")
    until(lambda: len(logged(deployment, ids)) == 6, "the answers to arrive", 30)


@pytest.mark.usefixtures("first_run")
def test_the_sums_of_the_traffic_are_those_of_the_rows(deployment: Deployment) -> None:
    deployment.service.predict(PENGUIN)
    ((kept, kept_outside, scanned, scanned_outside),) = deployment.query(
        """SELECT sum(rows)::bigint, sum(outside)::bigint, (SELECT count(*) FROM log.predictions),
               (SELECT count(*) FROM log.predictions WHERE outside > 0) FROM log.traffic"""
    )
    assert (kept, kept_outside) == (scanned, scanned_outside)
    assert scanned > 0
