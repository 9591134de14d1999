"""What the OpenAPI document has beside what FastAPI finds out by itself."""

from typing import Any

from fastapi import FastAPI

from serving.api.middleware import PROTECTED

REQUEST_ID = {
    "name": "X-Request-Id",
    "in": "header",
    "required": False,
    "description": "Id of the request, up to 128 letters, digits and ._:/+=-; it comes back in the answer and is in"
    " the log. Without it the service makes one up.",
    "schema": {"type": "string"},
}
ANSWERED_ID = {"description": "Id of the request.", "schema": {"type": "string"}}
API_KEY = {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "Where the service wants a key."}


def describe(app: FastAPI) -> None:
    """Add what `Front` does for every request: ids and API keys."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        known, document = app.openapi_schema is not None, generate()
        if not known:
            document["components"]["securitySchemes"] = {"ApiKey": API_KEY}
            for path, operations in document["paths"].items():
                for operation in operations.values():
                    _describe(operation, protected=path.startswith(PROTECTED))
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _describe(operation: dict[str, Any], protected: bool) -> None:
    operation.setdefault("parameters", []).append(REQUEST_ID)
    if protected:
        operation["security"] = [{"ApiKey": []}, {}]
    for response in operation["responses"].values():
        response.setdefault("headers", {})["X-Request-Id"] = ANSWERED_ID
