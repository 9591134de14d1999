"""Record a candidate in two requests: open its run with a pending model, and close both.

MLflow's own eight requests and four uploads do the same one by one, and most of the processor's 10 ms for each is HTTP.
These call the same methods of MLflow's store, in the same order, and let nobody do more than those do. Only the model
itself, which may be large, comes by MLflow's own upload, between the two.
"""

import io
import posixpath
import time
from contextlib import suppress
from typing import Annotated, Any, Final

from fastapi import APIRouter
from mlflow.entities import (
    Dataset,
    DatasetInput,
    LoggedModelOutput,
    LoggedModelParameter,
    LoggedModelStatus,
    LoggedModelTag,
    Metric,
    Param,
    RunStatus,
    RunTag,
)
from mlflow.exceptions import MlflowException
from mlflow.server import handlers
from mlflow.utils.uri import validate_path_is_safe
from pydantic import BaseModel, Field, StringConstraints

PREFIX: Final = "/api/3.0/penguins/candidates"
MOST: Final = 1024 * 1024
"""Characters of a file that comes with the request."""

_PROXIED: Final = "mlflow-artifacts:/"

router = APIRouter(prefix=PREFIX)
_handlers: Any = handlers  # which has no types

RunId = Annotated[str, StringConstraints(pattern="^[0-9a-f]{32}$")]
ModelId = Annotated[str, StringConstraints(pattern="^m-[0-9a-f]{32}$")]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", max_length=100)]


class Rows(BaseModel):
    """The fields of MLflow's data set."""

    name: str
    digest: str
    source_type: str
    source: str
    schema_: str = Field(alias="schema")
    profile: str


class Opened(BaseModel):
    """A candidate without its model: what MLflow's own requests have, but for the ids that they return."""

    experiment_id: str
    run_name: str
    model_name: str
    tags: dict[str, str]
    params: dict[str, str]
    metrics: dict[str, float]
    rows: Rows


class Closed(BaseModel):
    """The rest of a candidate: its model's small files, as text by name, and the model's tags."""

    run_id: RunId
    model_id: ModelId
    files: dict[FileName, Annotated[str, StringConstraints(max_length=MOST)]]
    tags: dict[str, str]


@router.post("/open")
def open_candidate(asked: Opened) -> dict[str, str]:
    """Create a run with its rows, and a pending model as its output, and log the metrics of both."""
    store: Any = _handlers._get_tracking_store()
    now = int(time.time() * 1000)
    tags = [RunTag(key, value) for key, value in asked.tags.items()]
    run_id = store.create_run(asked.experiment_id, "unknown", now, tags, asked.run_name).info.run_id
    try:
        return {"run_id": run_id, **_fill(store, run_id, asked, now)}
    except Exception:
        with suppress(Exception):  # the client asks again, for another run
            store.delete_run(run_id)
        raise


def _fill(store: Any, run_id: str, asked: Opened, now: int) -> dict[str, str]:
    store.log_inputs(run_id, [DatasetInput(Dataset(**asked.rows.model_dump(by_alias=True)), [])])
    params = [LoggedModelParameter(key, value) for key, value in asked.params.items()]
    model = store.create_logged_model(asked.experiment_id, asked.model_name, run_id, params=params)
    store.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
    store.log_batch(
        run_id,
        metrics=[Metric(key, value, now, 0, model_id=model.model_id) for key, value in asked.metrics.items()],
        params=[Param(key, value) for key, value in asked.params.items()],
        tags=[],
    )
    return {"model_id": model.model_id, "artifact_location": model.artifact_location}


@router.post("/close")
def close_candidate(asked: Closed) -> dict[str, str]:
    """Store the small files and the tags of a model, make it ready, and finish its run, which becomes so last."""
    store: Any = _handlers._get_tracking_store()
    folder = _folder(store.get_logged_model(asked.model_id).artifact_location)
    files = _handlers._get_artifact_repo_mlflow_artifacts()
    for name, text in asked.files.items():
        files.log_artifact_from_stream(io.BytesIO(text.encode()), name, folder)
    store.set_logged_model_tags(asked.model_id, [LoggedModelTag(key, value) for key, value in asked.tags.items()])
    store.finalize_logged_model(asked.model_id, LoggedModelStatus.READY)
    store.update_run_info(asked.run_id, RunStatus.FINISHED, int(time.time() * 1000), None)
    return {}


def _folder(location: str) -> str:
    """Return the folder in the bucket of a place behind this server's proxy.

    Raises:
        MlflowException: the place is elsewhere.
    """
    path = posixpath.normpath(location.removeprefix(_PROXIED))
    if not location.startswith(_PROXIED) or path.startswith("/"):
        raise MlflowException.invalid_parameter_value(
            f"the files of this model aren't behind the proxy, but: {location}"
        )
    check: Any = validate_path_is_safe  # which has no types
    return str(check(path))
