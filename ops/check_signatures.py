"""Name the versions in Production that no trusted key has signed, as the prediction service tells."""

import shlex
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from ops.finding import Finding
from ops.web import Web, WebError

_UNTRUSTED = ("unsigned", "untrusted_key", "wrong_signature")


def check(url: str, keys: str) -> Iterator[Finding]:
    """Yield a finding for each such version: it is refused, or served from a copy that the service has from earlier.

    Args:
        keys: the service's API keys, separated by commas; empty for none.
    """
    service = Web(url)
    if key := keys.split(",")[0].strip():
        service.send_key(key)
    try:
        statuses = [service.get(f"/models/{quote(each['name'], safe='')}") for each in service.get("/models")["models"]]
    except WebError as error:
        text = f"the prediction service doesn't say whether its versions are signed: {error}"
        yield Finding(text, "make compose-models marks those that are not", fatal=False)
        return
    for status in statuses:
        yield from _check(status)


def _check(status: dict[str, Any]) -> Iterator[Finding]:
    name, served, refused = status["registered_model"], status["model"], status["refused"]
    if served and served["signed_by"] is None:
        text = f"{name} version {served['version']} is served from an earlier copy, and no trusted key has signed it"
        yield _unsigned(text, name, served["version"])
    if refused and refused["code"] in _UNTRUSTED:
        text = f"{name} version {refused['version']} is in Production, and refused: {refused['code']}"
        yield _unsigned(text, name, refused["version"])


def _unsigned(text: str, model: str, version: str) -> Finding:
    command = f"make compose-sign VERSION={version} MODEL={shlex.quote(model)}"
    return Finding(text, f"look at it and sign it: {command}", fatal=False)
