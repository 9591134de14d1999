"""Judge a window and raise its alarms, with a report for the log of the task."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from psycopg import Connection

from contract.schema import DataContract
from penguins.monitoring import alarms, reasons
from penguins.monitoring.alarms import Raised, Reason
from penguins.monitoring.judging import Judge
from penguins.monitoring.spans import Span
from penguins.monitoring.verdicts import WindowVerdict

log = logging.getLogger(__name__)


def judge(connection: Connection[Any], contract: DataContract, span: Span) -> list[Reason]:
    """Judge a window, and those before it that need it; return the reasons for alarms in the one."""
    judging = Judge(connection, contract)
    for verdict in judging.judge_late_truth():
        log.info("%s: %s", verdict.span, describe_live(verdict.live))
    for verdict in judging.judge_missed(span):
        log.info("judged late: %s", describe(verdict))
    judged = judging.judge(span)
    if not judged:
        log.info("%s: no predictions, and nothing of %s is in Production", span, contract.training.registered_model)
    for verdict in judged:
        log.info("%s", describe(verdict))
    found = reasons.find_reasons(connection, contract, span)
    for reason in found:
        log.warning("a reason for an alarm, %s: %s", reason.kind, reason.text)
    return found


def raise_alarms(
    connection: Connection[Any], contract: DataContract, span: Span, found: Sequence[Reason], is_backfill: bool
) -> Raised:
    """Raise the alarms of a window."""
    raised = alarms.raise_alarms(connection, contract, span, found, is_backfill)
    for alarm in raised.new:
        log.warning("%s%s", alarm, f" ({alarm.outcome})" if alarm.outcome else "")
    if not raised.new:
        log.info(
            "no new alarm: it is a window of the past, or one was raised less than %s ago", contract.monitoring.cooldown
        )
    return raised


def describe(verdict: WindowVerdict) -> str:
    """Return a verdict in some lines."""
    lines = [f"version {verdict.version}, {verdict.span}: {verdict.rows:,} rows, {verdict.verdict}"]
    if verdict.features:
        lines[0] += f": {', '.join(verdict.features)}"
    lines += [line for line in (_predictions(verdict), _features(verdict)) if line]
    estimate = verdict.estimate
    if accuracy := estimate.get("accuracy"):
        lines.append(f"accuracy without labels: {_interval(accuracy)}")
    elif estimate:
        lines.append(f"no estimate of the accuracy: {estimate['refusal']}")
    if verdict.live:
        lines.append(describe_live(verdict.live))
    return "\n  ".join(lines)


def describe_live(live: Mapping[str, Any]) -> str:
    """Return what is known of the accuracy by the truth."""
    if not live.get("labelled"):
        return "no truth yet"
    recalls = ", ".join(f"{name} {_interval(each)}" for name, each in live["recalls"].items())
    return (
        f"accuracy by the truth about {live['labelled']:,} rows ({live['coverage']:.0%}): "
        f"{_interval(live['accuracy'])}; recall: {recalls}"
    )


def _predictions(verdict: WindowVerdict) -> str:
    if not verdict.rows:
        return ""
    classes = ", ".join(f"{name} {count / verdict.rows:.0%}" for name, count in verdict.predictions.items())
    return f"predicted: {classes}; {verdict.outside / verdict.rows:.1%} outside the training range"


def _features(verdict: WindowVerdict) -> str:
    shown = [
        f"{feature['name']} ({aspect}) p = {numbers['p']:.2g}"
        for feature in verdict.numbers.get("features", [])
        for aspect, numbers in feature["aspects"].items()
        if numbers["drifted"]
    ]
    domain = verdict.numbers.get("domain")
    if domain and domain["drifted"]:
        shown.append(f"all features at once: AUC {domain['auc']:.3f}, p = {domain['p']:.2g}")
    return "; ".join(shown)


def _interval(found: dict[str, float]) -> str:
    return f"{found['value']:.1%} ({found['low']:.1%} to {found['high']:.1%})"
