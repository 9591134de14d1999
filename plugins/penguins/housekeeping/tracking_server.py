"""The requests by which our MLflow server deletes for good; images/mlflow/penguins_purge.py answers them."""

from collections.abc import Sequence
from typing import Any, Final

import requests
from pydantic import BaseModel

from penguins.errors import UserError
from penguins.settings import settings

AT_ONCE: Final = 50
"""Runs that are deleted by one request."""

_SECONDS: Final = (5, 900)  # to connect, and for an answer: it looks at every object of the bucket
_NOT_FOUND: Final = 404


class Survey(BaseModel):
    """Counts of the bucket, of the runs that were asked about, and of folders whose run or model is gone."""

    objects: int
    bytes: int
    run_bytes: int
    orphans: int
    orphan_bytes: int


def survey(run_ids: Sequence[str], before_ms: int) -> Survey:
    """Look at the whole bucket; folders without a run or model count if all of their files are from before that."""
    return Survey(**_ask("survey", {"run_ids": list(run_ids), "before_ms": before_ms}))


def purge(run_ids: Sequence[str]) -> dict[str, str]:
    """Delete runs for good that were deleted before, and return the reasons for those that the server keeps."""
    kept: dict[str, str] = {}
    for first in range(0, len(run_ids), AT_ONCE):
        kept |= _ask("purge", {"run_ids": list(run_ids[first : first + AT_ONCE])})["kept"]
    return kept


def sweep(before_ms: int) -> int:
    """Delete folders whose run or model is gone, if all of their files are from before that; return their number."""
    return int(_ask("sweep", {"before_ms": before_ms})["orphans"])


def _ask(what: str, body: dict[str, Any]) -> dict[str, Any]:
    address = f"{settings().mlflow_tracking_uri.rstrip('/')}/api/3.0/penguins/{what}"
    answer = requests.post(address, json=body, timeout=_SECONDS)
    if answer.status_code == _NOT_FOUND:
        raise UserError(
            f"MLflow at {settings().mlflow_tracking_uri} is of an older version of this project: restart it."
        )
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found
