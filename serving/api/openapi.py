"""The OpenAPI document: the one that FastAPI makes, with request IDs, keys, and the models that serve."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI

from serving.api.predict_docs import describe_model
from serving.inference.engines import Engine
from serving.inference.model import LoadedModel

REQUEST_ID = {
    "name": "X-Request-Id",
    "in": "header",
    "required": False,
    "description": "Id of the request, up to 128 letters, digits and ._:/+=-; it comes back in the answer and is in"
    " the log. Without it the service makes one up.",
    "schema": {"type": "string"},
}
ANSWERED_ID = {"description": "Id of the request.", "schema": {"type": "string"}}
API_KEY = {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "Required if keys are configured."}


def describe(app: FastAPI) -> None:
    """Add the request IDs and API keys, which the middleware handles."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        known, document = app.openapi_schema is not None, generate()
        if not known:
            document["components"]["securitySchemes"] = {"ApiKey": API_KEY}
            for operations in document["paths"].values():
                for operation in operations.values():
                    _describe(operation)
        return document

    app.openapi = openapi  # type: ignore[method-assign]


class Reference:
    """The document with the fields and classes of the models that serve, made again after a swap."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._engines: list[Engine] = []
        self._document: dict[str, Any] | None = None

    def document(self, models: Sequence[LoadedModel]) -> dict[str, Any]:
        """Return the document; without a model it is a general one."""
        engines = [model.engine for model in models]  # new tags of a version don't change it
        if self._document is None or engines != self._engines:
            document = deepcopy(self._app.openapi())
            for model in models:
                _add(document["paths"], model)
            self._document, self._engines = document, engines
        return self._document


def _add(paths: dict[str, Any], model: LoadedModel) -> None:
    """Describe the predictions of a model."""
    if model.is_first:
        describe_model(paths["/predict"]["post"], model.contract)
    own = deepcopy(paths["/models/{model}/predict"]["post"])
    own["parameters"] = [each for each in own["parameters"] if each["in"] != "path"]
    own |= {"operationId": f"{own['operationId']}_{model.name}", "summary": f"Predict with {model.name}"}
    describe_model(own, model.contract)
    paths[f"/models/{quote(model.name)}/predict"] = {"post": own}


def _describe(operation: dict[str, Any]) -> None:
    operation.setdefault("parameters", []).append(REQUEST_ID)
    if "401" in operation["responses"]:
        operation["security"] = [{"ApiKey": []}, {}]
    for response in operation["responses"].values():
        response.setdefault("headers", {})["X-Request-Id"] = ANSWERED_ID
