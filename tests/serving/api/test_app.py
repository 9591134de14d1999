"""The OpenAPI document matches the service."""

from typing import Any

import pytest
from pydantic import TypeAdapter

from serving.api.app import create_app
from serving.api.openapi import Reference
from serving.api.predict_docs import answer_model
from serving.codecs.media_types import TABLES
from serving.codecs.row_model import row_model
from serving.settings import Settings
from tests.serving.penguins import FEATURES
from tests.serving.publisher import forest, known_contract
from tests.serving.recorded.answers import FOLDER, version
from tests.serving.service import Service

MODEL = version(FOLDER / "version_1")


@pytest.fixture(scope="module", params=["no model", "a model"])
def document(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The OpenAPI document before there is a model, and with one."""
    reference = Reference(create_app(Settings()))
    return reference.document([MODEL] if request.param == "a model" else [])


def operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return every operation of the document."""
    return [operation for path in document["paths"].values() for operation in path.values()]


def test_document_has_every_endpoint(document: dict[str, Any]) -> None:
    model = {"/model", "/model/history", "/model/points"}
    parts = ("history", "points", "predict", "invocations", "feedback")
    mlflow = {"/invocations", "/ping", "/version"}
    of_model = {f"/v2/models/{{model}}{version}" for version in ("", "/versions/{version}")}
    open_inference = {"/v2", "/v2/health/live", "/v2/health/ready"} | of_model
    open_inference |= {f"{path}/{part}" for path in of_model for part in ("ready", "infer")}
    models = {"/models", "/models/{model}"} | {f"/models/{{model}}/{part}" for part in parts}
    paths = set(document["paths"]) - {"/models/penguins_rf/predict"}
    assert (
        paths
        == {"/predict", "/feedback", "/health/live", "/health/ready", "/metrics"}
        | model
        | models
        | mlflow
        | open_inference
    )
    assert all(operation["summary"] and operation["description"] for operation in operations(document))


def test_every_reference_is_defined(document: dict[str, Any]) -> None:
    def check(part: Any) -> None:
        if isinstance(part, dict):
            if "$ref" in part:
                assert part["$ref"].removeprefix("#/components/schemas/") in document["components"]["schemas"]
            for inner in part.values():
                check(inner)
        elif isinstance(part, list):
            for inner in part:
                check(inner)

    check(document)


def test_document_has_every_error(document: dict[str, Any]) -> None:
    predict = document["paths"]["/predict"]["post"]["responses"]
    assert set(predict) == {"200", "400", "401", "408", "413", "415", "422", "500", "503"}
    assert all("X-Request-Id" in response["headers"] for response in predict.values())
    assert "X-Model-Version" in predict["200"]["headers"]
    assert "Retry-After" in predict["503"]["headers"]
    assert set(document["paths"]["/health/ready"]["get"]["responses"]) == {"200", "503"}
    for operation in operations(document):
        for response in operation["responses"].values():
            assert response["description"]
            assert response["content"]


def test_document_describes_the_validated_fields() -> None:
    document = Reference(create_app(Settings())).document([MODEL])
    content = document["paths"]["/predict"]["post"]["requestBody"]["content"]
    assert set(content) == {"application/json", *TABLES}
    schema, many = content["application/json"]["schema"]["anyOf"]
    assert (many["items"], many["maxItems"]) == (schema, Settings.model_fields["max_rows"].default)
    assert list(schema["properties"]) == list(FEATURES) == schema["required"]
    assert schema["additionalProperties"] is False
    assert all(field["exclusiveMinimum"] == 0 and field["description"] for field in schema["properties"].values())
    for penguin in schema["examples"]:
        row_model(MODEL.json.fields).model_validate(penguin)


def test_answer_matches_the_document(publisher: Any, start: Any) -> None:
    publisher.promote(number := publisher.publish(forest()))
    service: Service = start()
    answer = service.serves(number).json()
    described = TypeAdapter(answer_model(known_contract())).validate_python(answer, strict=True)
    assert described.model_dump(by_alias=True, exclude_unset=True) == answer
    page = service.http.get("/docs")
    assert page.is_success
    assert "swagger-ui" in page.text
    assert "https://" not in page.text
    assert service.http.get("/openapi.json").json()["info"]["title"] == "Penguins"


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_load_nothing_from_elsewhere_and_fit_in_no_frame(service: Service, path: str) -> None:
    headers = service.http.get(path).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "frame-ancestors 'none'" in policy
    assert (headers["x-content-type-options"], headers["x-frame-options"]) == ("nosniff", "DENY")


@pytest.mark.parametrize(
    "path", ["/model", "/model/history", "/model/points", "/metrics", "/health/live", "/health/ready"]
)
def test_answers_about_the_moment_are_not_kept(service: Service, path: str) -> None:
    assert service.http.get(path).headers["cache-control"] == "no-store"
