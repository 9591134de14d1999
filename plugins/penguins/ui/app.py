"""The page's routes. Users of Airflow who may see the DAG's runs may read, those who may start runs may change."""

import asyncio
import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Annotated, Final, TypeVar

import psycopg
from fastapi import BackgroundTasks, FastAPI, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from mlflow.exceptions import MlflowException
from pydantic import BaseModel, StringConstraints

from penguins import outages, service_status
from penguins.airflow import database, notices
from penguins.airflow.access import READER, WRITER, Chosen, MayChange, Readable, UserName
from penguins.errors import UserError
from penguins.promotion import approval, decisions
from penguins.registry import model_versions
from penguins.ui import monitoring_routes, overview, predictions
from penguins.ui.files import page

log = logging.getLogger(__name__)

Result = TypeVar("Result")

Days = Annotated[int, Query(ge=1, le=366)]

CHECK_SECONDS: Final = 10
# Threads of their own ask S3 and the service: while these hang, they take none of those that Airflow answers with.
_checks: Final = ThreadPoolExecutor(2, thread_name_prefix="check")

# A person is waiting, and MLflow's client would retry for minutes.
os.environ |= {"MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}

app = FastAPI(title="Penguins: promotions", docs_url=None, redoc_url=None, openapi_url=None)
app.include_router(monitoring_routes.router)


class DecisionRequest(BaseModel):
    """A person's request for a decision, with the version that they see in Production; None for none."""

    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]
    expected_champion: str | None


class PromotionRequest(DecisionRequest):
    """A request to promote one version."""

    version: str


class AnswerRequest(PromotionRequest):
    """An answer to the question about one version."""

    approved: bool


class RollbackRequest(DecisionRequest):
    """A request to roll back, with the target that the page has shown."""

    expected_target: str


@app.get("/")
def index() -> FileResponse:
    """Return the page, which then requests its data."""
    return page("index")


@app.get("/api/overview", dependencies=[READER])
def show(contract: Chosen, may_change: MayChange) -> overview.Overview:
    """Return everything that the page shows."""
    with database.connect() as connection:
        return overview.overview(connection, contract, may_change)


@app.get("/predictions")
def log_page() -> FileResponse:
    """Return the page about the prediction log, which then requests its data."""
    return page("predictions")


@app.get("/api/predictions", dependencies=[READER])
def show_predictions(
    contract: Chosen, days: Days = 1, version: str = "", class_name: str = "", outside: bool = False
) -> predictions.Log:
    """Return sums over time, and the latest predictions: those of a version, of a class, or outside the range only."""
    choice = {name: value for name, value in (("version", version), ("class_name", class_name)) if value}
    with database.connect() as connection:
        return predictions.log(connection, contract.training.registered_model, days, outside, choice)


@app.get("/api/prediction", dependencies=[READER])
def show_prediction(contract: Chosen, id: str) -> predictions.Details:
    """Return one prediction with its lineage."""
    with database.connect() as connection:
        return predictions.details(connection, contract.training.registered_model, id)


@app.get("/api/contracts")
def show_contracts(names: Readable) -> list[str]:
    """Return the names of the contracts that the user may look at."""
    return names


@app.get("/api/service", dependencies=[READER])
async def show_service(contract: Chosen) -> list[str]:
    """Return what the prediction service serves and refuses, in sentences."""
    model = contract.training.registered_model
    return (await _check(lambda: service_status.read(model), "The prediction service")).describe()


@app.get("/api/rollback", dependencies=[WRITER])
async def offer_rollback(contract: Chosen) -> overview.RollbackOffer:
    """Return the version that a rollback would put in Production."""

    def find() -> overview.RollbackOffer:
        with database.connect() as connection:
            return overview.rollback_offer(connection, contract.training.registered_model)

    return await _check(find, "MLflow, or S3 behind it,")


async def _check(function: Callable[[], Result], service: str) -> Result:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await asyncio.get_running_loop().run_in_executor(_checks, function)
    except TimeoutError:
        detail = f"{service} doesn't answer within {CHECK_SECONDS} s."
        raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, detail) from None


@app.post("/api/promote", dependencies=[WRITER])
def promote(request: PromotionRequest, contract: Chosen, user: UserName, later: BackgroundTasks) -> dict[str, str]:
    """Put a version in Production."""
    with database.connect() as connection:
        version = model_versions.version(contract.training.registered_model, request.version)
        decisions.promote_by_hand(connection, version, request.reason, user, request.expected_champion or "")
    later.add_task(notices.tell_move, contract, version.name, version.version, False, request.reason, user)
    return {"production": version.version}


@app.post("/api/answer", dependencies=[WRITER])
def answer(request: AnswerRequest, contract: Chosen, user: UserName, later: BackgroundTasks) -> dict[str, str]:
    """Carry out a person's answer to the question about a version."""
    with database.connect() as connection:
        seen = request.expected_champion or ""
        model = contract.training.registered_model
        report = approval.answer(connection, model, request.version, request.approved, user, request.reason, seen)
    if report.promoted:
        later.add_task(notices.tell_move, contract, model, report.version, False, report.reason, user)
    return {"production": report.version if report.promoted else seen}


@app.post("/api/rollback", dependencies=[WRITER])
def rollback(request: RollbackRequest, contract: Chosen, user: UserName, later: BackgroundTasks) -> dict[str, str]:
    """Put the previous version in Production again."""
    model, seen = contract.training.registered_model, request.expected_champion or ""
    with database.connect() as connection:
        report = decisions.rollback(connection, model, request.reason, user, seen, request.expected_target)
    later.add_task(notices.tell_move, contract, model, report.version, True, request.reason, user)
    return {"production": report.version}


@app.get("/confusion/{number}", dependencies=[READER])
def confusion(number: str, contract: Chosen) -> Response:
    """Return the confusion matrix of a version as PNG."""
    try:
        with database.connect() as connection:
            return Response(overview.confusion_matrix(connection, contract.training, number), media_type="image/png")
    except UserError as error:
        raise HTTPException(HTTPStatus.NOT_FOUND, str(error)) from None


@app.exception_handler(UserError)
def _refused(_request: Request, error: UserError) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, status_code=409)


@app.exception_handler(RequestValidationError)
def _malformed(_request: Request, error: RequestValidationError) -> JSONResponse:
    problems = dict.fromkeys(f"{each['loc'][-1]}: {each['msg']}" for each in error.errors())
    return JSONResponse({"detail": "; ".join(problems)}, status_code=422)


# Not for Exception: after its handler the server closes the connection, which the browser would use again.
@app.exception_handler(psycopg.Error)
@app.exception_handler(MlflowException)
@app.exception_handler(OSError)
def _failed(_request: Request, error: Exception) -> JSONResponse:
    outage = outages.describe_outage(error)
    if outage is None:
        log.error("the page's request failed", exc_info=error)
    return JSONResponse({"detail": outage or f"{type(error).__name__}: {error}"}, status_code=503 if outage else 500)
