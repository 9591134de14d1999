"""MLflow's server without the parts by which a client runs programs, writes files or sends requests from its machine.

MLflow has no login here, and every user of the machine reaches it. `mlflow server --app-name penguins` finds this
module by the entry points in the folder beside it, because both are on Python's path. MLflow is imported in the
functions: it looks for the entry points while it is imported, and leaves out those of a module that isn't complete.
"""

import re

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

OFF = {
    # MLflow lets every client on the same machine configure it, and its model run commands in a shell.
    r"/ajax-api/3\.0/mlflow/assistant": "this server has no assistant: everybody could run programs by it",
    r"/gateway": "this server has no gateway: everybody could use the keys that others store in it, and its network",
    # To check a scorer, MLflow calls whatever function of a module it names. One asks a model at any address, with any
    # headers, or with a key from the environment.
    r"/(ajax-)?api/3\.0/mlflow/(scorer/|scorers/online-config$|genai/|issues/invoke)": (
        "this server calls no scorer: everybody could send requests by it, and get the keys in its environment"
    ),
}
"""Reasons against requests, by a pattern of the beginning of their path."""

UNUSED_MIDDLEWARES = {"gateway_timing_middleware", "workspace_context_middleware"}
"""Middlewares that take a request a millisecond: one measures the gateway, one chooses a workspace."""

# Descriptions of models and runs may have pictures. From another port of this machine a browser would load them with
# Airflow's login: cookies aren't separated by port.
POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
)


def create_app() -> ASGIApp:
    """Return MLflow's application without what is `OFF`, and with pages that load nothing from elsewhere."""
    app = without_workspaces()

    async def restricted(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"content-security-policy", POLICY.encode())]
            await send(message)

        path = scope["path"] if scope["type"] == "http" else ""
        reason = next((reason for pattern, reason in OFF.items() if re.match(pattern, path)), None)
        if reason is not None:
            await PlainTextResponse(reason, 403)(scope, receive, send_with_policy)
        else:
            await app(scope, receive, send_with_policy)

    return restricted


def without_workspaces() -> ASGIApp:
    """Return MLflow's application without `UNUSED_MIDDLEWARES`; they still refuse a request that names a workspace."""
    from mlflow.server.fastapi_app import app
    from mlflow.utils.workspace_utils import WORKSPACE_HEADER_NAME
    from penguins_candidates import router as candidates  # type: ignore[import-not-found]  # beside this module
    from penguins_purge import router as purge  # type: ignore[import-not-found]

    # Before MLflow's own, whose last one takes every path.
    app.router.routes[:0] = [*candidates.routes, *purge.routes]
    whole, header = app.build_middleware_stack(), WORKSPACE_HEADER_NAME.lower().encode()
    app.user_middleware = [
        each
        for each in app.user_middleware
        if getattr(each.kwargs.get("dispatch"), "__name__", "") not in UNUSED_MIDDLEWARES
    ]

    async def chosen(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and any(name == header for name, _ in scope["headers"]):
            await whole({**scope, "app": app}, receive, send)
        else:
            await app(scope, receive, send)

    return chosen
