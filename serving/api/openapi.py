"""Additions to the OpenAPI document that FastAPI makes."""

from typing import Any

from fastapi import FastAPI

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


def _describe(operation: dict[str, Any]) -> None:
    operation.setdefault("parameters", []).append(REQUEST_ID)
    if "401" in operation["responses"]:
        operation["security"] = [{"ApiKey": []}, {}]
    for response in operation["responses"].values():
        response.setdefault("headers", {})["X-Request-Id"] = ANSWERED_ID
