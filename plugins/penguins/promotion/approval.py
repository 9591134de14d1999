"""A person's approval of a version: the question, and the effect of the answer."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mlflow.entities.model_registry import ModelVersion
from psycopg import Connection

from contract.schema import DataContract
from penguins import contracts
from penguins.errors import UserError
from penguins.locks import exclusive_lock
from penguins.promotion import audit, decisions, gate, production, registration, shadow, verdicts
from penguins.promotion.reasons import MAX_REASON_LENGTH, to_plain_text
from penguins.promotion.registration import RegisterReport
from penguins.promotion.schema_change import SCHEMA_CHANGED
from penguins.registry import model_versions


@dataclass(frozen=True)
class Question:
    """A question about two versions.

    Attributes:
        champion: number of the version in Production; empty for none.
        body: a text in Markdown.
    """

    number: str
    champion: str
    subject: str
    body: str


def question(connection: Connection[Any], contract: DataContract, number: str, base_path: str) -> Question:
    """Compose the question about a version of a contract's registered model.

    Args:
        base_path: path of Airflow's UI, without a slash at its end, for the addresses of the pictures.
    """
    version = model_versions.version(contract.training.registered_model, number)
    kept = verdicts.require(connection, version)
    champion = kept.champion or ""
    chosen = "" if contract.name == contracts.DEFAULT else f"?contract={contract.name}"
    advice = "promote" if kept.promote else "keep the champion"
    if kept.reason.startswith(SCHEMA_CHANGED):
        advice = "compare them yourself"
    pictures = [
        f"Version {each}:\n\n![true against predicted {contract.target.name}]"
        f"({base_path}/penguins/confusion/{each}{chosen})"
        for each in (champion, number)
        if each
    ]
    replaced = f"version {champion}" if champion else "nothing"
    subject = f"Put {version.name} version {number} in Production, in place of {replaced}?"
    tables = [gate.table(kept.numbers, number)]
    if traffic := kept.numbers.get(shadow.TRAFFIC):
        tables.append(shadow.table(traffic, champion, number))
    body = "\n\n".join([f"The gate says: **{advice}**: {kept.reason}.", *tables, *pictures])
    return Question(number, champion, subject, body)


def ask_on_page(connection: Connection[Any], model: str, asked: Question) -> None:
    """Let the page ask a question, until the version is decided on, judged again, or Production changes."""
    version = model_versions.version(model, asked.number)
    kept = verdicts.require(connection, version)
    verdicts.append(connection, version, kept.champion, kept.promote, kept.reason, kept.numbers, asked=True)


def open_questions(
    judged: Iterable[verdicts.Verdict],
    trail: Iterable[audit.Entry],
    champion: ModelVersion | None,
    versions: Iterable[ModelVersion],
) -> list[verdicts.Verdict]:
    """List the verdicts that the page asks about: on versions that exist, against the version in Production.

    Args:
        judged: as `verdicts.read` returns them.
        trail: the whole trail, the latest first.
    """
    existing = {(version.version, audit.created_at(version)): version for version in versions}
    entries, now = list(trail), champion.version if champion else None
    return [
        verdict
        for verdict in judged
        if verdict.asked
        and verdict.champion == now
        and (version := existing.get((verdict.version, verdict.version_created_at)))
        and audit.final_decision(entries, version) is None
    ]


def answer(
    connection: Connection[Any], model: str, number: str, approved: bool, by: str, comment: str, seen: str | None
) -> RegisterReport:
    """Promote the version of a question or keep the champion, as the person decided.

    A decision made meanwhile stays. The late answer is then only added to the audit trail.

    Args:
        seen: number of the champion that the person saw beside it; empty for none, None if nobody answered.

    Raises:
        UserError: the version was deleted or never judged, or Production or the verdict has changed since the question.
    """
    with exclusive_lock(connection, production.lock_name(model)):
        champion, version = production.reconcile(connection, model), model_versions.version(model, number)
        verdict = verdicts.require(connection, version)
        comment = comment[:MAX_REASON_LENGTH] or "no comment"

        def record_late_answer(why: str) -> None:
            choice = "promote it" if approved else "keep the champion"
            before = champion.version if champion else None
            reason = f"{comment} (the answer was to {choice}, too late: {why})"
            audit.append(connection, "overtaken", before, version, by, reason, verdict.numbers)

        if (report := registration.report(connection, version)) is not None:
            record_late_answer(f"it was {'promoted' if report.promoted else 'refused'} already")
            return report
        try:
            production.check_champion(champion, seen)
            _check_verdict(verdict, seen)
        except UserError as error:
            record_late_answer(str(error))
            raise
        decide = decisions.promote if approved else decisions.refuse
        reason = to_plain_text(f"{comment} (the gate: {verdict.reason})")
        decide(connection, version, reason, by, verdict.numbers)
        return RegisterReport(version.version, approved, reason)


def _check_verdict(verdict: verdicts.Verdict, seen: str | None) -> None:
    judged = verdict.champion or ""
    if seen is not None and judged != seen:
        raise UserError(
            f"Version {verdict.version} was judged again meanwhile, against {judged or 'no champion'}. Look again."
        )
