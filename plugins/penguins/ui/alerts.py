"""`POST /penguins/alerts`: what Alertmanager tells goes to PENGUINS_NOTIFY_URL, like the notices of the DAGs.

An application of its own, as the metrics have one.
"""

import hmac
from http import HTTPStatus
from typing import Literal

from fastapi import FastAPI, HTTPException, Request, Response
from pydantic import BaseModel, Field, ValidationError
from starlette.concurrency import run_in_threadpool

from penguins.airflow.notices import Notice, is_told, tell
from penguins.settings import settings

app = FastAPI(title="Penguins: alerts", docs_url=None, redoc_url=None, openapi_url=None)


class Alert(BaseModel):
    """An alert of Prometheus."""

    status: Literal["firing", "resolved"]
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)

    def __str__(self) -> str:
        summary = self.annotations.get("summary") or self.labels.get("alertname", "an alert without a name")
        return summary if self.status == "firing" else f"over: {summary}"


class Group(BaseModel):
    """The body of Alertmanager's webhook: alerts of one kind."""

    alerts: list[Alert] = Field(min_length=1)

    def notice(self) -> Notice:
        """Compose the notice of these alerts."""
        firing = [alert for alert in self.alerts if alert.status == "firing"]
        name = self.alerts[0].labels.get("alertname", "Prometheus")
        title = f"{name}: {len(firing)} firing" if firing else f"{name}: over"
        severities = {alert.labels.get("severity") for alert in firing}
        kind: Literal["failure", "warning", "success"] = "failure" if "critical" in severities else "warning"
        advice = {alert.annotations.get("description", "") for alert in firing} - {""}
        return Notice(title, "\n".join([*map(str, self.alerts), *sorted(advice)]), kind if firing else "success")


@app.post("/alerts")
async def alerts(request: Request) -> Response:
    """Tell people of alerts. Alertmanager tries again after a status of 5xx."""
    token = settings().alerts_token
    if token is None or not token.get_secret_value():
        raise HTTPException(HTTPStatus.NOT_FOUND)
    expected = f"Bearer {token.get_secret_value()}".encode()
    if not hmac.compare_digest(request.headers.get("Authorization", "").encode(), expected):
        raise HTTPException(HTTPStatus.UNAUTHORIZED, "PENGUINS_ALERTS_TOKEN is another one")
    try:
        group = Group.model_validate_json(await request.body())
    except ValidationError as error:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error
    if is_told() and not await run_in_threadpool(tell, group.notice()):
        raise HTTPException(HTTPStatus.BAD_GATEWAY, "the notice was not delivered: see the log")
    return Response(status_code=HTTPStatus.NO_CONTENT)
