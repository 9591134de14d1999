"""The second judgement of a version: by real traffic that it has answered in the shadow of Production."""

import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from mlflow.entities.model_registry import ModelVersion
from psycopg import Connection

from contract.schema import DataContract
from contract.training import Training
from penguins.errors import UserError
from penguins.locks import exclusive_lock
from penguins.monitoring import shadow_looks
from penguins.monitoring.real_traffic import Traffic, differs_too_often, expects_truth, read_traffic
from penguins.monitoring.shadow_looks import Look
from penguins.promotion import audit, decisions, production, shadow, verdicts
from penguins.registry import model_versions

log = logging.getLogger(__name__)

Outcome = Literal["none", "waiting", "asking", "promoted", "refused", "expired"]


@dataclass(frozen=True)
class ShadowReport:
    """The result of a look at the shadow.

    Attributes:
        version: number of the version in the shadow; empty for none.
        outcome: `asking` while a person is asked.
    """

    version: str
    outcome: Outcome
    reason: str


def judge_shadow(connection: Connection[Any], contract: DataContract, by: str) -> ShadowReport:
    """Judge the version in the shadow of a contract's champion, if there is one and it has answered enough.

    It may be called at any time and by several at once: each decision is made once. Where a person is to decide, the
    page asks from then on, and so may the caller.
    """
    model = contract.training.registered_model
    if audit.in_shadow(audit.trail(connection, model)) is None:  # without a question to MLflow
        return ShadowReport("", "none", f"nothing of {model} is in the shadow")
    with exclusive_lock(connection, production.lock_name(model)):
        champion = production.reconcile(connection, model)
        if (found := shadow.current(connection, model)) is None:
            return ShadowReport("", "none", f"nothing of {model} is in the shadow any more")
        entry, version = found
        if champion is None or champion.version != entry.from_version:
            now = f"version {champion.version}" if champion else "nothing"
            reason = f"it was in the shadow of version {entry.from_version}, and {now} is in Production by now"
            shadow.end(connection, model, reason, by)
            return ShadowReport(version.version, "refused", reason)
        verdict = verdicts.require(connection, version)
        if verdict.asked and verdict.champion == champion.version:
            return ShadowReport(version.version, "waiting", "a person was asked, and hasn't answered yet")
        case = _read_case(connection, contract.training, entry, version.version, verdict.reason)
        outcome, reason = case.judge()
        asks = case.asks and outcome in ("promoted", "refused")
        if (outcome == "promoted" or asks) and (damage := _find_damage(version)):
            outcome, reason, asks = "refused", damage, False  # for good, or each window would find it anew
        log.info("version %s: %s: %s", version.version, outcome, reason)
        look = Look(version.version, champion.version, entry.at, outcome, reason, case.traffic.numbers())
        shadow_looks.keep(connection, contract.name, look)
        if outcome == "waiting":
            return ShadowReport(version.version, outcome, reason)
        return _decide(connection, version, case, ShadowReport(version.version, outcome, reason), by, asks)


@dataclass(frozen=True)
class _Case:
    """A version in the shadow, with all that it is judged by.

    Attributes:
        gate: reason of the gate's verdict.
        is_told: whether somebody tells the truth about the model.
    """

    training: Training
    entry: audit.Entry
    traffic: Traffic
    gate: str
    is_told: bool

    def judge(self) -> tuple[Outcome, str]:
        """Judge by the number of predictions, then by their truth or, without any, by how much they differ."""
        traffic, required = self.traffic, self.training.shadow_predictions
        counted = f"{traffic.rows:,} predictions in the shadow of version {self.entry.from_version}"
        if traffic.rows:
            counted += f", {traffic.agreed / traffic.rows:.1%} of them with the same class"
        if traffic.rows < required:
            return self._wait(f"{counted}; {required:,} are required (rows of tables don't count)")
        if self.is_told:
            return self._judge_truth(counted)
        if (most := differs_too_often(traffic, self.entry.numbers)) is not None:
            return "refused", (
                f"{counted}, but by their errors on the hold-out the two would differ on {most:.1%} at most: one of "
                "them is wrong more often here. Send the truth (make labels), and promote by hand if it is the champion"
            )
        return "promoted", f"{counted}, and the gate's verdict stands: {self.gate}"

    def _judge_truth(self, counted: str) -> tuple[Outcome, str]:
        test, champion = self.traffic.test, f"version {self.entry.from_version}"
        known = (
            f"{counted}; of {self.traffic.labelled:,} whose class is known {test.gained} are gained and {test.lost} "
            f"lost, p = {test.p:.2g} at any time"
        )
        if test.standing == "better":
            return "promoted", f"better than {champion} at real traffic: {known}"
        if test.standing == "worse":
            return "refused", f"worse than {champion} at real traffic: {known}"
        if self.asks:
            return "refused", f"not surely better than {champion} at real traffic so far: {known}"
        return self._wait(f"not surely better than {champion} at real traffic: {known}")

    def _wait(self, reason: str) -> tuple[Outcome, str]:
        days = self.training.shadow_days
        is_over = datetime.now(UTC) - self.entry.at > timedelta(days=days)
        return ("expired", f"{reason} within {days:g} days") if is_over else ("waiting", reason)

    @property
    def asks(self) -> bool:
        """Return whether a person decides."""
        return bool(self.entry.numbers.get(shadow.ASK))


def _read_case(connection: Connection[Any], training: Training, entry: audit.Entry, number: str, gate: str) -> _Case:
    model, champion = training.registered_model, entry.from_version or ""
    traffic = read_traffic(connection, model, champion, number, entry.at)
    usual = entry.at - timedelta(days=training.shadow_days)
    is_told = bool(traffic.labelled) or expects_truth(connection, model, usual)
    return _Case(training, entry, traffic, gate, is_told)


def _find_damage(version: ModelVersion) -> str:
    """Return why a version can't be promoted, or an empty text."""
    try:
        model_versions.check_files(version)
    except UserError as error:
        return f"it can't be trusted: {error}"
    return ""


def _decide(
    connection: Connection[Any], version: ModelVersion, case: _Case, found: ShadowReport, by: str, ask: bool
) -> ShadowReport:
    """Keep the verdict, and decide by it or let a person do so."""
    champion, numbers = case.entry.from_version or "", {**case.entry.numbers, shadow.TRAFFIC: case.traffic.numbers()}
    log.info("Real traffic\n%s", shadow.table(numbers[shadow.TRAFFIC], champion, version.version))
    promote = found.outcome == "promoted"
    verdicts.append(connection, version, champion, promote, found.reason, numbers, asked=ask)
    if ask:
        return replace(found, outcome="asking")
    decide = decisions.promote if promote else decisions.refuse
    decide(connection, version, found.reason, by, numbers)
    return found
