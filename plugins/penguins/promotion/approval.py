"""A person's approval of a version: the question, and the effect of the answer."""

from typing import Any

from psycopg import Connection

from penguins.errors import UserError
from penguins.locks import exclusive_lock
from penguins.promotion import audit, decisions, gate, production, registration, verdicts
from penguins.promotion.reasons import MAX_REASON_LENGTH, to_plain_text
from penguins.promotion.registration import RegisterReport
from penguins.registry import model_versions


def question(connection: Connection[Any], number: str, base_path: str) -> tuple[str, str]:
    """Compose the question about a version: a headline, and a text in Markdown.

    Args:
        base_path: path of Airflow's UI, without a slash at its end, for the addresses of the pictures.
    """
    version = model_versions.version(number)
    kept = verdicts.require(connection, version)
    champion = kept.champion
    advice = "promote" if kept.promote else "keep the champion"
    pictures = [
        f"Version {each}:\n\n![true against predicted species]({base_path}/penguins/confusion/{each})"
        for each in (champion, number)
        if each
    ]
    replaced = f"version {champion}" if champion else "nothing"
    subject = f"Put {version.name} version {number} in Production, in place of {replaced}?"
    table = gate.table(kept.numbers, number)
    return subject, "\n\n".join([f"The gate says: **{advice}**: {kept.reason}.", table, *pictures])


def answer(connection: Connection[Any], number: str, approved: bool, by: str, comment: str) -> RegisterReport:
    """Promote the version of a question or keep the champion, as the person decided.

    A decision made meanwhile stays. The late answer is then only added to the audit trail.

    Raises:
        UserError: the version was deleted or never judged, or the person approved and Production has changed since the
            question.
    """
    with exclusive_lock(connection, production.lock_name()):
        champion, version = production.reconcile(connection), model_versions.version(number)
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
            production.check_champion(champion, (verdict.champion or "") if approved else None)
        except UserError as error:
            record_late_answer(str(error))
            raise
        decide = decisions.promote if approved else decisions.refuse
        reason = to_plain_text(f"{comment} (the gate: {verdict.reason})")
        decide(connection, version, reason, by, verdict.numbers)
        return RegisterReport(version.version, approved, reason)
