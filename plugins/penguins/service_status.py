"""The version of a model that the prediction service serves, and the one that it refuses, as the service says."""

from datetime import UTC, datetime
from http import HTTPStatus
from urllib.parse import quote

import requests
from pydantic import BaseModel, ValidationError

from penguins.settings import settings

TIMEOUT_SECONDS = 3


class Served(BaseModel):
    """The version that serves."""

    version: str
    engine: str
    loaded_at: datetime


class Refused(BaseModel):
    """The version in Production that the service refuses, and why."""

    version: str
    code: str
    message: str


class ServiceStatus(BaseModel):
    """The service's own account of its model.

    Attributes:
        shadow, shadow_refused: the version in the shadow, or the one that isn't let in.
        reason: why there is no model to serve.
        trouble: why the service could not be asked.
    """

    model: Served | None = None
    refused: Refused | None = None
    shadow: Served | None = None
    shadow_refused: Refused | None = None
    reason: str | None = None
    trouble: str | None = None

    def describe(self) -> list[str]:
        """Describe the status in sentences."""
        if self.trouble is not None:
            return [f"What the service serves is unknown: {self.trouble}"]
        serves = (
            f"The service serves version {self.model.version} with {self.model.engine}, since "
            f"{self.model.loaded_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC."
            if self.model
            else f"The service serves nothing: {self.reason}"
        )
        lines = [serves]
        if self.refused:
            lines.append(f"It refuses version {self.refused.version} ({self.refused.code}): {self.refused.message}")
        if self.shadow:
            lines.append(f"Version {self.shadow.version} answers in its shadow.")
        if kept := self.shadow_refused:
            lines.append(f"It doesn't let version {kept.version} into its shadow ({kept.code}): {kept.message}")
        return lines


def read(model: str) -> ServiceStatus:
    """Ask the service about a registered model. An outage is a part of the answer."""
    url, key = settings().api_url, settings().api_key
    headers = {"X-API-Key": key.get_secret_value()} if key else {}
    try:
        answer = requests.get(
            f"{url.rstrip('/')}/models/{quote(model, safe='')}", headers=headers, timeout=TIMEOUT_SECONDS
        )
        if answer.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return ServiceStatus(trouble="it wants an API key. Set PENGUINS_API_KEY to one of its keys.")
        if answer.status_code == HTTPStatus.NOT_FOUND:
            return ServiceStatus(reason=f"it doesn't have the model {model}. `make run` of its contract adds it.")
        answer.raise_for_status()
        return ServiceStatus.model_validate_json(answer.content)
    except (requests.RequestException, ValidationError) as error:
        kind = "answers with something else than its status" if isinstance(error, ValidationError) else "doesn't answer"
        return ServiceStatus(trouble=f"{url} {kind} ({type(error).__name__}).")
