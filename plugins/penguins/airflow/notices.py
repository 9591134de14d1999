"""Notices: tell people what happened, through the one address of PENGUINS_NOTIFY_URL.

A notice that can't be delivered is a warning in the log and harms nothing else. The address has tokens, and no part of
it is logged.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import quote, unquote

from airflow.configuration import conf

from penguins.settings import settings

if TYPE_CHECKING:
    from psycopg import Connection

    from contract.schema import DataContract
    from penguins.monitoring.alarms import Alarm

log = logging.getLogger(__name__)

# These log addresses that they send to, at the level DEBUG.
_TALKATIVE: Final = ("apprise", "requests_oauthlib", "urllib3")

_ONE_AT_A_TIME: Final = Lock()  # Apprise's warnings don't say whose they are

Kind = Literal["info", "success", "warning", "failure"]

_KINDS: Final = {"drift": "drift", "accuracy": "the accuracy is below the floor", "truth": "much new truth"}
_OUTCOMES: Final[dict[str, tuple[str, Kind]]] = {
    "promoted": ("was promoted", "success"),
    "asking": ("waits for a person's decision", "warning"),
    "shadowing": ("answers in the shadow of Production first", "info"),
    "refused": ("was not promoted", "info"),
    "expired": ("has expired in the shadow", "info"),
}


@dataclass(frozen=True)
class Notice:
    """A short text for people."""

    title: str
    body: str
    kind: Kind = "info"


def is_told() -> bool:
    """Return whether there is an address to tell."""
    return bool(_url())


def tell(notice: Notice) -> bool:
    """Send a notice, and return whether it was delivered; never raise."""
    url = _url()
    if not url:
        return False
    try:
        with _ONE_AT_A_TIME, _captured() as problems:
            _send(notice, url)
    except Exception as error:  # noqa: BLE001 - whatever goes wrong here must not fail what the notice is about
        problems = [f"{type(error).__name__}: {error}"]
    if problems:
        reasons = _without(url, "; ".join(problems))
        log.warning("the notice %r was not delivered to PENGUINS_NOTIFY_URL: %s", notice.title, reasons)
    return not problems


def failure_of(contract: DataContract | None) -> Callable[[Mapping[str, Any]], None]:
    """Return the callback by which a DAG, of a contract or of none, tells that a run failed."""

    def tell_failure(context: Mapping[str, Any]) -> None:
        task = context.get("ti")
        where = f" at {task.task_id}" if task else f": {context['reason']}"
        text = f"The run {context['run_id']} failed{where}."
        tell(Notice(f"{context['dag'].dag_id} failed", _body(text, contract, context), "failure"))

    return tell_failure


def tell_alarms(connection: Connection[Any], contract: DataContract, context: Mapping[str, Any]) -> None:
    """Tell of the alarms that people weren't told of: also of those that a task has left when it was killed."""
    from penguins.monitoring import alarms  # imports psycopg, which parsing the DAG file doesn't need

    alarms.tell(connection, contract, lambda alarm: tell_alarm(contract, alarm, context) or not is_told())


def tell_alarm(contract: DataContract, alarm: Alarm, context: Mapping[str, Any]) -> bool:
    """Tell of an alarm, and return whether that was delivered."""
    became = alarm.outcome or "a training was asked for"
    text = f"{alarm.reason}\nAlarm {alarm.id}: {became}"
    start, end = (f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}" for time in (alarm.window_start, alarm.window_end))
    about = f"Model: {alarm.model} version {alarm.version}\nWindow: {start} to {end} UTC"
    title = f"{contract.name}: {_KINDS[alarm.kind]}"
    return tell(Notice(title, _body(f"{text}\n{about}", contract, context), "warning"))


def tell_training(contract: DataContract, alarms: Sequence[Alarm], context: Mapping[str, Any]) -> None:
    """Tell that a training has started for alarms, if it has."""
    if alarms:
        text = "\n".join(f"Because of {alarm}" for alarm in alarms)
        tell(Notice(f"{contract.name}: a training has started", _body(text, contract, context)))


def tell_decision(contract: DataContract, version: str, outcome: str, reason: str, context: Mapping[str, Any]) -> None:
    """Tell what became of a version, or that a person has to decide about it; other outcomes aren't told."""
    if outcome in _OUTCOMES:
        said, kind = _OUTCOMES[outcome]
        title = f"{contract.training.registered_model} version {version} {said}"
        tell(Notice(title, _body(reason, contract, context), kind))


def tell_move(contract: DataContract, model: str, version: str, is_rollback: bool, reason: str, by: str) -> None:
    """Tell that a person has put a version in Production, outside of a run."""
    said = "is in Production again" if is_rollback else "was promoted"
    page = f"{conf.get('api', 'base_url', fallback='').rstrip('/')}/penguins"
    text = f"By {by}: {reason}\nContract: {contract.name}\n{page}"
    tell(Notice(f"{model} version {version} {said}", text, "warning" if is_rollback else "success"))


def tell_disk(room: str, parts: str) -> bool:
    """Tell that the disk is nearly full, and return whether that was delivered."""
    return tell(
        Notice(f"The disk is nearly full: {room}", f"The stack uses: {parts}\ndocs/how-to/keep-house.md", "warning")
    )


def run_url(dag_id: str, run_id: str) -> str:
    """Return the address of a run's page in Airflow."""
    base = conf.get("api", "base_url", fallback="").rstrip("/")
    return f"{base}/dags/{dag_id}/runs/{quote(run_id, safe='')}"


def _url() -> str:
    secret = settings().notify_url
    return secret.get_secret_value().strip() if secret else ""


def _body(text: str, contract: DataContract | None, context: Mapping[str, Any]) -> str:
    about = f"Contract: {contract.name}\n" if contract else ""
    return f"{text}\n{about}{run_url(context['dag'].dag_id, context['run_id'])}"


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

    handlers: dict[str, logging.Handler] = {"apprise": Collecting(logging.WARNING)}
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    for each in loggers:
        each.propagate = False
        # Without any handler, Python would write to stderr.
        each.addHandler(handlers.setdefault(each.name, logging.NullHandler()))
    try:
        yield found
    finally:
        for each in loggers:
            each.removeHandler(handlers[each.name])
            each.propagate = True


def _without(url: str, text: str) -> str:
    """Return a text without any part of an address."""
    parts = re.split(r"[/:@?&=,;\s]+", url)
    forms = {form for part in parts for form in (part, unquote(part)) if len(form) > 2}
    for part in sorted(forms, key=len, reverse=True):
        text = text.replace(part, "…")
    return text
