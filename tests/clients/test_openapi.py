"""The client against the document that the service has about itself."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from penguins_client import Truth
from penguins_client.calls import MEDIA_TYPES, Call, Calls
from tests.serving import mixed
from tests.serving.service import PENGUIN, Service

pytestmark = pytest.mark.programs


@pytest.fixture(scope="module")
def document(service: Service) -> dict[str, Any]:
    return dict(service.http.get("/openapi.json").json())


def calls() -> list[Call[Any]]:
    made, truth = Calls(None), Truth("01a224c2-fa4a-7002-a3b1-ec4c84098d98/0", "Adelie", who="Ada")
    files = [made.predict_file(Path(f"x{suffix}"), Path("y")) for suffix in MEDIA_TYPES]
    rows = [made.predict(PENGUIN), made.predict([PENGUIN])]
    return [*rows, *files, made.feedback([truth]), made.feedback_file(Path("x.csv")), made.state()]


@pytest.mark.parametrize("call", calls(), ids=lambda call: f"{call.method} {call.path} {call.headers}")
def test_each_call_is_in_the_document(document: dict[str, Any], service: Service, call: Call[Any]) -> None:
    operation = document["paths"][call.path][call.method.lower()]
    media_type = call.headers.get("Content-Type")
    if media_type is None:
        assert "requestBody" not in operation
    else:
        schema = operation["requestBody"]["content"][media_type].get("schema", {})
        if isinstance(call.body, bytes) and media_type == "application/json":
            answer = service.http.request(call.method, call.path, content=call.body, headers=dict(call.headers))
            jsonschema.validate(json.loads(call.body), schema | {"components": document["components"]})
            found = operation["responses"][str(answer.status_code)]["content"]["application/json"]["schema"]
            jsonschema.validate(answer.json(), found | {"components": document["components"]})
            assert answer.is_success


def test_both_models_are_asked_at_paths_of_the_document(document: dict[str, Any]) -> None:
    own, named = Calls(None), Calls("a b/c")
    for one, other in ((own.predict({}), named.predict({})), (own.feedback([]), named.feedback([]))):
        assert other.path == f"/models/a%20b%2Fc{one.path}"
        assert f"/models/{{model}}{one.path}" in document["paths"]
    assert named.state().path == "/models/a%20b%2Fc"
    assert "/models/{model}" in document["paths"]


def test_tables_are_sent_as_the_document_says(document: dict[str, Any]) -> None:
    call = Calls(None).predict_table(mixed.table())
    assert call.headers["Content-Type"] in document["paths"]["/predict"]["post"]["requestBody"]["content"]
