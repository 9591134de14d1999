"""A version of another contract is served like any other: the service follows its manifest."""

import json
from typing import Any

import pyarrow as pa

from local.waiting import until
from serving.codecs.media_types import ARROW, CSV, PARQUET
from tests.serving.api.conftest import Start, sample, started
from tests.serving.mixed import NAMES, ROWS, as_json, encoded, files, table
from tests.serving.publisher import Publisher, forest


def replaced(found: dict[str, bytes]) -> None:
    """Replace the files of a version by those of another contract."""
    found.update(files())


def test_a_version_of_another_contract_is_served(publisher: Publisher, start: Start) -> None:
    service = started(publisher, start)
    before = service.http.get("/openapi.json").json()
    publisher.promote(version := publisher.publish(forest(), replaced))
    rows = [as_json(row) for row in ROWS]

    def answer() -> Any:
        response = service.predict(rows)
        return response.json() if response.is_success else None

    listed = until(answer, "the version to serve")
    assert list(listed) == ["prediction", "kind of grape", "probabilities", "model_version", "warnings"]
    assert listed["model_version"] == version
    assert [service.predict(row).json()["prediction"] for row in rows] == [[label] for label in listed["prediction"]]
    assert [text.partition(" is outside")[0] for text in listed["warnings"]] == [
        "[1]: mean radius=0 mm", "[1]: 100%=-5", "[2]: mean radius=9.5 mm", '[3]: od280/"od315"=1e+30',
    ]  # fmt: skip
    assert service.predict(rows[0] | {"city\\": "Oslo"}).status_code == 422
    for media_type in (CSV, ARROW, PARQUET):
        body = encoded(table(), media_type)
        response = service.http.post("/predict", content=body, headers={"content-type": media_type})
        assert response.status_code == 200, response.text
    found = pa.ipc.open_stream(
        service.http.post("/predict", content=encoded(table(), ARROW), headers={"content-type": ARROW}).content
    ).read_all()
    assert found["kind of grape"].to_pylist() == listed["kind of grape"]

    status = service.status()["model"]
    assert [feature["name"] for feature in status["features"]] == list(NAMES)
    assert (status["classes"], status["answer_key"]) == (['red, "dry"', "white", "🍇"], "kind of grape")
    assert status["kind of grape"] == status["classes"]
    assert status["features"][4]["categories"][2] == "🐧"
    points = service.http.get("/model/points").json()
    assert points["inputs"][0][1] is None
    assert len(points["labels"]) == 60

    after = service.http.get("/openapi.json").json()
    schema = after["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]["anyOf"][0]
    assert list(schema["properties"]) == list(NAMES)
    assert schema["required"] == ["mean radius", "100%", "city\\"]
    assert "bill_length_mm" in json.dumps(before)
    assert "bill_length_mm" not in json.dumps(after)
    counted = sum(
        sample(
            service, f'penguins_model_predictions_total{{class="{name}",model="{publisher.model_name}",version="2"}}'
        )
        for name in ('red, \\"dry\\"', "white", "🍇")
    )
    assert counted == 5 + 5 + 4 * 5
    assert "Traceback" not in service.log
