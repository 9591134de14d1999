"""MLflow's server without those parts by which a client runs programs or writes files on the server's machine.

MLflow has no login here, and every user of the machine reaches it. `mlflow server --app-name penguins` finds this
module by the entry points in the folder beside it, because both are on Python's path. MLflow is imported in the
functions: it looks for the entry points while it is imported, and leaves out those of a module that isn't complete.
"""

from typing import NoReturn

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

# MLflow lets every client on the same machine configure it, and its model run commands in a shell.
ASSISTANT = "/ajax-api/3.0/mlflow/assistant"


def create_app() -> ASGIApp:
    """Return MLflow's application without the assistant."""
    from mlflow.server.fastapi_app import app

    async def without_assistant(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(ASSISTANT):
            refusal = PlainTextResponse("this server has no assistant: everybody could run programs by it", 403)
            await refusal(scope, receive, send)
        else:
            await app(scope, receive, send)

    return without_assistant


def refuse(artifact_uri: str, **_: object) -> NoReturn:
    """Refuse artifacts elsewhere than in the server's bucket.

    A client chooses the place of an experiment's artifacts: a folder of the DAGs would run what it uploads.

    Raises:
        MlflowException: always.
    """
    from mlflow.exceptions import MlflowException

    raise MlflowException.invalid_parameter_value(
        f"this server keeps artifacts in its bucket only, not in {artifact_uri}"
    )
