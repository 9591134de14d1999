"""Client of the prediction service: one model, its state, and bodies that are sent to it."""

import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import numpy as np
import requests
from pydantic import BaseModel, ValidationError

from contract.schema import Bounds, Category, Column, LogicalType
from penguins.errors import ServiceError, UserError
from penguins.settings import settings

CSV: Final = "text/csv"
ARROW: Final = "application/vnd.apache.arrow.stream"

MAX_REFUSED: Final = 100
"""Rows of a request that the service may refuse."""

_CONNECT_SECONDS: Final = 3
_ANSWER_SECONDS: Final = 900
_PATIENCE_SECONDS: Final = 60
"""Longest time for which a body is sent again, while the service restarts or has no room."""

_PAUSE_SECONDS: Final = 0.5


class ServedFeature(BaseModel):
    """A column of the input of the version that serves."""

    name: str
    type: LogicalType
    required: bool
    categories: tuple[Category, ...] | None
    bounds: Bounds
    unit: str = ""
    title: str = ""
    description: str = ""

    @property
    def column(self) -> Column:
        """Return it as a column of a contract."""
        return Column(**dict(self))


class ServedVersion(BaseModel):
    """The version that serves.

    Attributes:
        classes: in the order of the labels.
        answer_key: column of an answer with the names of the classes.
    """

    version: str
    classes: tuple[str, ...]
    answer_key: str
    features: list[ServedFeature]


class Refusal(BaseModel):
    """A body that the service refuses.

    Attributes:
        row: index of the first wrong row; None if it isn't about a row.
        kind: of the problem, for programs.
    """

    row: int | None
    kind: str
    message: str


class BodyRefusedError(UserError):
    """The service refuses a body as a whole."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"The service refuses it: {refusal.message.rstrip('.')}.")
        self.refusal = refusal


class _Status(BaseModel):
    model: ServedVersion | None
    reason: str | None = None


class ServiceClient:
    """The service's side of one registered model."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._url = f"{settings().api_url.rstrip('/')}/models/{quote(model, safe='')}"
        self._session = requests.Session()
        if key := settings().api_key:
            self._session.headers["X-API-Key"] = key.get_secret_value()

    def served(self) -> ServedVersion:
        """Return the version that serves.

        Raises:
            UserError: there is none, the service doesn't have the model, or wants another key.
            ServiceError: it doesn't answer.
        """
        try:
            answer = self._session.get(self._url, timeout=_CONNECT_SECONDS)
            if answer.status_code == HTTPStatus.NOT_FOUND:
                raise UserError(
                    f"The service doesn't have the model {self._model}. `make run` of its contract adds it."
                )
            self._check(answer)
            status = _Status.model_validate_json(answer.content)
        except requests.RequestException as error:
            raise self._silent(error) from None
        except ValidationError:
            raise UserError(
                f"{self._url} isn't the state of a model: is PENGUINS_API_URL the prediction service?"
            ) from None
        if status.model is None:
            raise UserError(
                f"The service serves no version of {self._model}: {status.reason}. Train one with `make run`, or put "
                "one in Production with `make promote`."
            )
        return status.model

    def post(self, path: str, body: bytes, media_type: str) -> requests.Response:
        """Send a body, again while the service restarts or has no room; return its answer, also a refusal of the body.

        Raises:
            UserError: the service doesn't have what is asked, or wants another key.
            ServiceError: it doesn't answer, or has no room for too long.
        """
        deadline = time.monotonic() + _PATIENCE_SECONDS
        timeouts, headers = (_CONNECT_SECONDS, _ANSWER_SECONDS), {"Content-Type": media_type}
        while True:
            try:
                answer = self._session.post(f"{self._url}/{path}", body, headers=headers, timeout=timeouts)
            except requests.RequestException as error:
                trouble, pause = self._silent(error), _PAUSE_SECONDS
            else:
                if answer.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
                    self._check(answer)
                    return answer
                trouble = ServiceError(f"The service has no room: {_detail(answer)}")
                pause = float(answer.headers.get("Retry-After", _PAUSE_SECONDS))
            if time.monotonic() + pause > deadline:
                raise trouble
            time.sleep(pause)

    def _check(self, answer: requests.Response) -> None:
        """Raise an error for an answer that doesn't concern the body."""
        status = answer.status_code
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise UserError("The service wants an API key. Set PENGUINS_API_KEY to one of its keys.")
        if status == HTTPStatus.NOT_FOUND:
            raise UserError(f"The service can't take it: {_detail(answer)}.")
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT:
            raise ServiceError(f"{answer.url} answers with {status}: {_detail(answer)}")

    def _silent(self, error: requests.RequestException) -> ServiceError:
        return ServiceError(f"The prediction service at {settings().api_url} doesn't answer ({type(error).__name__}).")


def send_rows(
    client: ServiceClient,
    path: str,
    rows: Any,
    encode: Callable[[Any], bytes],
    media_type: str,
    refuse: Callable[[Any, Refusal], None],
) -> tuple[Any, requests.Response | None]:
    """Send a table without the rows that the service refuses; return the others, and the answer if there are any.

    Args:
        rows: an Arrow table.
        encode: returns the body for rows.
        refuse: called with each row that is refused, as a table.

    Raises:
        BodyRefusedError: the service refuses all of the table.
        UserError: it refuses too many rows, each of which costs a request, or it has another complaint.
        ServiceError: it doesn't answer.
    """
    for _ in range(MAX_REFUSED):
        if not len(rows):
            return rows, None
        answer = client.post(path, encode(rows), media_type)
        if answer.ok:
            return rows, answer
        refusal = refusal_of(answer)
        if refusal.row is None:
            raise BodyRefusedError(refusal)
        refuse(rows.slice(refusal.row, 1), refusal)
        rows = rows.take(np.delete(np.arange(len(rows)), refusal.row))
    raise UserError(
        f"The service refuses more than {MAX_REFUSED} of {len(rows) + MAX_REFUSED:,} rows, the last one because of"
        f" {refusal.message}"
    )


def refusal_of(answer: requests.Response) -> Refusal:
    """Return the reason why a body was refused."""
    found = _json(answer)
    detail = found.get("detail") if isinstance(found, dict) else None
    if not isinstance(detail, list):
        return Refusal(row=None, kind=str(answer.status_code), message=_detail(answer))
    first, place = detail[0], detail[0]["loc"][1:2]
    row = place[0] if place and isinstance(place[0], int) else None
    return Refusal(row=row, kind=first["type"], message=first["msg"].removeprefix(f"[{row}]: "))


def _detail(answer: requests.Response) -> str:
    found = _json(answer)
    detail = found.get("detail") if isinstance(found, dict) else None
    return str(detail or answer.text[:200] or answer.reason)


def _json(answer: requests.Response) -> Any:
    try:
        return answer.json()
    except requests.JSONDecodeError:
        return None
