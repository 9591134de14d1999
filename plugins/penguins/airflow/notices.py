"""Notices: tell people what happened, through the one address of PENGUINS_NOTIFY_URL.

A notice that can't be delivered is a warning in the log and harms nothing else. The address has tokens, and no part of
it is logged.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import quote, unquote

from airflow.configuration import conf

from penguins.settings import settings

if TYPE_CHECKING:
    from contract.schema import DataContract
    from penguins.promotion.registration import RegisterReport

log = logging.getLogger(__name__)

# These log addresses that they send to, at the level DEBUG.
_TALKATIVE: Final = ("apprise", "requests_oauthlib", "urllib3")


@dataclass(frozen=True)
class Notice:
    """A short text for people."""

    title: str
    body: str
    kind: Literal["info", "success", "warning", "failure"] = "info"


def tell(notice: Notice) -> bool:
    """Send a notice, and return whether it was delivered; never raise."""
    secret = settings().notify_url
    if secret is None or not (url := secret.get_secret_value().strip()):
        return False
    try:
        with _captured() as problems:
            _send(notice, url)
    except Exception as error:  # noqa: BLE001 - whatever goes wrong here must not fail what the notice is about
        problems = [f"{type(error).__name__}: {error}"]
    if problems:
        reasons = _without(url, "; ".join(problems))
        log.warning("the notice %r was not delivered to PENGUINS_NOTIFY_URL: %s", notice.title, reasons)
    return not problems


def failure_of(contract: str) -> Callable[[Mapping[str, Any]], None]:
    """Return the callback by which a DAG of a contract tells that a run failed."""

    def tell_failure(context: Mapping[str, Any]) -> None:
        tell(failed_run(contract, context))

    return tell_failure


def tell_decision(contract: DataContract, report: RegisterReport, dag_id: str, run_id: str) -> None:
    """Tell that a version was promoted, or that a person has to decide about it."""
    if report.promoted is not False:
        tell(decision(contract, report, dag_id, run_id))


def failed_run(contract: str, context: Mapping[str, Any]) -> Notice:
    """Compose the notice of a failed run from the context that Airflow gives to a DAG's callback."""
    dag_id, run_id, task = context["dag"].dag_id, context["run_id"], context.get("ti")
    where = f" at {task.task_id}" if task else f": {context['reason']}"
    return Notice(f"{dag_id} failed", _body(f"The run {run_id} failed{where}.", contract, dag_id, run_id), "failure")


def decision(contract: DataContract, report: RegisterReport, dag_id: str, run_id: str) -> Notice:
    """Compose the notice of a decision, or of a question that waits for one."""
    version = f"{contract.training.registered_model} version {report.version}"
    if report.promoted:
        title, kind = f"{version} was promoted", "success"
    else:
        title, kind = f"{version} waits for a person's decision", "warning"
    return Notice(title, _body(report.reason, contract.name, dag_id, run_id), kind)  # type: ignore[arg-type]


def run_url(dag_id: str, run_id: str) -> str:
    """Return the address of a run's page in Airflow."""
    base = conf.get("api", "base_url", fallback="").rstrip("/")
    return f"{base}/dags/{dag_id}/runs/{quote(run_id, safe='')}"


def _body(text: str, contract: str, dag_id: str, run_id: str) -> str:
    return f"{text}\nContract: {contract}\n{run_url(dag_id, run_id)}"


def _send(notice: Notice, url: str) -> None:
    """Send a notice by Airflow's hook, which tells of a failure in Apprise's log only."""
    # Not above: Apprise takes 0.1 s to import, which every parsing of a DAG file would wait for.
    from airflow.providers.apprise.hooks.apprise import AppriseHook
    from apprise import AppriseConfig, NotifyType

    config = AppriseConfig()
    config.add_config("\n".join(url.split()), format="text")
    AppriseHook().notify(notice.body, notice.title, NotifyType(notice.kind), config=config)


@contextmanager
def _captured() -> Iterator[list[str]]:
    """Collect what Apprise warns of during the block, and keep its log and that of its libraries from ours."""
    found: list[str] = []

    class Collecting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record.getMessage())

    handler = Collecting(logging.WARNING)
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    before = [(each.propagate, each.level) for each in loggers]
    for each in loggers:
        each.propagate = False
        each.setLevel(logging.WARNING)
    loggers[0].addHandler(handler)
    try:
        yield found
    finally:
        loggers[0].removeHandler(handler)
        for each, (propagate, level) in zip(loggers, before, strict=True):
            each.propagate = propagate
            each.setLevel(level)


def _without(url: str, text: str) -> str:
    """Return a text without any part of an address."""
    parts = {part for form in (url, unquote(url)) for part in re.split(r"[/:@?&=,;\s]+", form) if len(part) > 2}
    for part in sorted(parts, key=len, reverse=True):
        text = text.replace(part, "…")
    return text
