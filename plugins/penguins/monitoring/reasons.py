"""Reasons for an alarm in a window that was judged: drift, an accuracy below the floor, or much new truth.

Who looks every hour must not be alarmed by chance: as for drift, the levels of all tests of the accuracy in a year add
up to a budget, whether they share rows or not.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from psycopg import Connection

from contract.schema import DataContract
from penguins.monitoring import predictions, verdicts
from penguins.monitoring.alarms import Reason
from penguins.monitoring.drift import alpha_of
from penguins.monitoring.live import Live, read_live, wilson
from penguins.monitoring.spans import Span
from penguins.monitoring.verdicts import WindowVerdict
from penguins.promotion.reasons import to_plain_text
from penguins.registry import model_versions

WEEK: Final = timedelta(days=7)
"""Time before a window's end over which the accuracy is also judged: of an hour there is little truth, and late."""

_LAST_VERSION: Final = """SELECT version, contract FROM log.predictions
    WHERE model = %s AND at >= %s AND at < %s ORDER BY at DESC, prediction_id DESC LIMIT 1"""

_NEW_TRUTH: Final = """SELECT count(DISTINCT (prediction_id, row_index)) FROM log.feedback
    WHERE model = %s AND shipped_at > %s"""


def find_reasons(connection: Connection[Any], contract: DataContract, span: Span) -> list[Reason]:
    """Return the reasons for alarms in a window that was judged.

    They are about the version that answered last in it: one that was replaced meanwhile needs no successor.
    """
    model = contract.training.registered_model
    judged = {each.version: each for each in verdicts.of_window(connection, contract.name, span)}
    row = connection.execute(_LAST_VERSION, [model, *span]).fetchone()
    verdict = judged.get(row[0]) if row else next(iter(judged.values()), None)
    if verdict is None:
        return []
    found = (_drift(verdict), _accuracy(connection, contract, verdict), _truth(connection, contract, verdict))
    return [reason for reason in found if reason is not None]


def _drift(verdict: WindowVerdict) -> Reason | None:
    if verdict.verdict != "drifted":
        return None
    names = to_plain_text(", ".join(verdict.features))
    return Reason("drift", verdict.version, f"{names} drifted in {verdict.rows:,} rows of version {verdict.version}")


def _accuracy(connection: Connection[Any], contract: DataContract, verdict: WindowVerdict) -> Reason | None:
    """Test the accuracy in the window and in the week that ends with it, each at half the level of the look."""
    floor, span, model = contract.monitoring.accuracy_floor, verdict.span, verdict.model
    if floor is None:
        return None
    level = alpha_of(span.length) / 2
    for since, name in ((span.start, "the window"), (span.end - WEEK, "the last 7 days")):
        live = _read(connection, model, verdict.version, Span(since, span.end))
        if live is None or live.p_of_floor(floor) > level:
            continue
        share = wilson(live.right, live.labelled)
        assert share is not None  # noqa: S101 - without rows the p-value is one
        return Reason(
            "accuracy",
            verdict.version,
            f"version {verdict.version} was right on {live.right:,} of {live.labelled:,} rows of {name} "
            f"({share.value:.1%}, {share.low:.1%} to {share.high:.1%}), and the floor is {floor:.1%}",
        )
    return None


def _read(connection: Connection[Any], model: str, version: str, span: Span) -> Live | None:
    """Return what is known of the answers of a version, by the contract that it had last."""
    row = connection.execute(
        """SELECT contract FROM log.predictions WHERE model = %s AND version = %s AND at >= %s AND at < %s
           ORDER BY at DESC LIMIT 1""",
        [model, version, *span],
    ).fetchone()
    if row is None:
        return None
    classes = predictions.contracts(connection)[row[0]].classes
    return read_live(connection, classes, row[0], model, version, *span)


def _truth(connection: Connection[Any], contract: DataContract, verdict: WindowVerdict) -> Reason | None:
    """Count the truth since the last training, or since the last alarm about it: that training may have failed."""
    if contract.monitoring.new_truth is None:
        return None
    model = verdict.model
    made = [version.creation_timestamp for version in model_versions.versions(model)]
    since = datetime.fromtimestamp(max(made, default=0) / 1000, UTC)
    query = "SELECT max(raised_at) FROM monitoring.alarms WHERE contract = %s AND kind = 'truth' AND window_end < %s"
    row = connection.execute(query, [contract.name, verdict.window_end]).fetchone()
    if row and row[0]:
        since = max(since, row[0])
    row = connection.execute(_NEW_TRUTH, [model, since]).fetchone()
    count = row[0] if row else 0
    if count < contract.monitoring.new_truth:
        return None
    return Reason("truth", verdict.version, f"{count:,} true classes came since {since:%Y-%m-%d %H:%M} UTC")
