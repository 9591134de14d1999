"""Judge a window of the prediction log, for each version that answered in it, and keep the verdicts."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from psycopg import Connection

from contract.manifest import Manifest
from contract.schema import DataContract
from penguins.errors import UserError
from penguins.monitoring import predictions, verdicts
from penguins.monitoring.baseline import Baseline
from penguins.monitoring.drift import Outcome, alpha_of, judge
from penguins.monitoring.estimate import Estimate, estimate
from penguins.monitoring.live import read_live
from penguins.monitoring.pictures import describe
from penguins.monitoring.spans import Span
from penguins.monitoring.verdicts import WindowVerdict, Word
from penguins.monitoring.windows import read_window
from penguins.promotion import audit
from penguins.registry import model_versions
from penguins.registry.manifests import read_manifest
from penguins.registry.reference import Reference
from penguins.registry.references import read_reference

log = logging.getLogger(__name__)

MOST_MISSED: Final = 48
"""Windows before a window that are judged with it, if nobody has judged them."""

_MARGIN: Final = timedelta(hours=1)  # a transaction of the shipper may take long

_WORDS: Final[Mapping[Outcome, Word]] = {
    "drift": "drifted",
    "no drift": "stable",
    "too few rows": "too few",
    "no reference": "no reference",
}

_TRAFFIC: Final = """SELECT version, contract, class, count(*), count(*) FILTER (WHERE outside > 0)
    FROM log.predictions WHERE model = %s AND at >= %s AND at < %s GROUP BY 1, 2, 3"""

# A version is touched by truth that came after its verdict, about requests from its window or shortly before.
_TOUCHED: Final = """WITH news AS (
        SELECT DISTINCT date_trunc('minute', uuid_extract_timestamp(prediction_id)) AS minute FROM log.feedback
        WHERE model = %(model)s AND shipped_at > (
            SELECT max(judged_at) - %(margin)s::interval FROM monitoring.verdicts WHERE contract = %(contract)s
        )
    )
    SELECT DISTINCT window_start, window_end FROM monitoring.verdicts WHERE contract = %(contract)s AND rows > 0
        AND EXISTS (SELECT FROM news WHERE minute >= window_start - %(longest)s::interval AND minute < window_end)
    ORDER BY 1"""


@dataclass(frozen=True)
class _Traffic:
    """The answers of a version: rows by contract and class, and those outside the training range."""

    rows: dict[tuple[bytes, int], int]
    outside: int

    @property
    def total(self) -> int:
        """Return the number of rows."""
        return sum(self.rows.values())

    @property
    def contract(self) -> bytes:
        """Return the contract of most rows."""
        return max(self.rows, key=lambda key: self.rows[key])[0]


class _Files(NamedTuple):
    """The files that come with a version."""

    manifest: Manifest
    reference: Reference
    baseline: Baseline


class Judge:
    """Judges windows of one contract; what comes with a version is read once."""

    def __init__(self, connection: Connection[Any], contract: DataContract) -> None:
        self._connection, self._contract = connection, contract
        self._model = contract.training.registered_model
        self._versions: dict[str, _Files | str] = {}

    def judge(self, span: Span) -> list[WindowVerdict]:
        """Judge a window, and keep the verdicts: one for each version that answered, or one of nothing."""
        traffic = self._read_traffic(span)
        if traffic:
            found = [self._judge_version(span, version, each) for version, each in traffic.items()]
        elif kept := verdicts.of_window(self._connection, self._contract.name, span):
            return kept  # the log has dropped its rows
        else:
            version = production_at(self._connection, self._model, span.end)
            found = [] if version is None else [self._verdict(span, version, 0, {}, "too few")]
        verdicts.write(self._connection, found)
        return verdicts.of_window(self._connection, self._contract.name, span)

    def judge_missed(self, before: Span) -> list[WindowVerdict]:
        """Judge the windows before one that have predictions and no verdict, as after an outage of Airflow."""
        missed = verdicts.missing(self._connection, self._contract.name, self._model, before, MOST_MISSED)
        return [verdict for span in missed for verdict in self.judge(span)]

    def judge_late_truth(self) -> list[WindowVerdict]:
        """Count the truth that came after the verdict of its window. What else was judged stays."""
        values = {"contract": self._contract.name, "model": self._model, "margin": _MARGIN}
        touched = self._connection.execute(_TOUCHED, values | {"longest": predictions.LONGEST_REQUEST}).fetchall()
        changed = []
        for span in (Span(*each) for each in touched):
            for known in verdicts.of_window(self._connection, self._contract.name, span):
                traffic = self._read_traffic(span).get(known.version)
                if traffic is None or traffic.total < known.rows:  # the log has dropped some
                    continue
                live = self._live(span, known.version, traffic.contract, known.rows)
                if live != known.live:
                    changed.append(replace(known, live=live))
        verdicts.write(self._connection, changed)
        return changed

    def _read_traffic(self, span: Span) -> dict[str, _Traffic]:
        found: dict[str, _Traffic] = {}
        for version, digest, label, rows, outside in self._connection.execute(_TRAFFIC, [self._model, *span]):
            known = found.get(version, _Traffic({}, 0))
            found[version] = _Traffic({**known.rows, (digest, label): rows}, known.outside + outside)
        return found

    def _judge_version(self, span: Span, version: str, traffic: _Traffic) -> WindowVerdict:
        rows, named = traffic.total, dict[str, int]()
        contracts = predictions.contracts(self._connection)
        for (digest, label), count in sorted(traffic.rows.items()):
            name = contracts[digest].classes[label]
            named[name] = named.get(name, 0) + count
        live = self._live(span, version, traffic.contract, rows)
        common = self._verdict(span, version, rows, named, "no reference", outside=traffic.outside, live=live)
        files = self._files_of(version)
        if isinstance(files, str):
            return replace(common, numbers={"reason": files}, estimate={"refusal": files})
        manifest, reference, baseline = files
        window = read_window(self._connection, manifest.contract, self._model, version, *span)
        verdict = judge(baseline, window.features, alpha_of(span.length))
        guess = estimate(reference, window.features, window.probabilities, verdict.domain)
        return replace(
            common,
            verdict=_WORDS[verdict.outcome],
            features=list(verdict.features),
            numbers=describe(verdict, manifest.features, reference, window.features),
            estimate=_estimate(guess, manifest.classes),
        )

    def _live(self, span: Span, version: str, digest: bytes, rows: int) -> dict[str, Any]:
        classes = predictions.contracts(self._connection)[digest].classes
        return read_live(self._connection, classes, digest, self._model, version, *span).document(rows)

    def _verdict(
        self, span: Span, version: str, rows: int, named: dict[str, int], word: Word, **others: Any
    ) -> WindowVerdict:
        return WindowVerdict(self._contract.name, self._model, version, *span, rows, named, word, **others)

    def _files_of(self, number: str) -> "_Files | str":
        if number not in self._versions:
            self._versions[number] = _read_files(self._model, number)
        return self._versions[number]


def production_at(connection: Connection[Any], model: str, time: datetime) -> str | None:
    """Return the version that was in Production at a time, by the audit trail."""
    entries = [entry for entry in audit.trail(connection, model) if entry.at <= time]
    last = audit.last_move(entries)
    return last.to_version if last else None


def _read_files(model: str, number: str) -> _Files | str:
    """Return what came with a version, or the reason why it can't be used."""
    version = next((each for each in model_versions.versions(model) if each.version == number), None)
    if version is None:
        return f"version {number} isn't in MLflow any more"
    try:
        manifest, reference = read_manifest(version), read_reference(version)
    except UserError as error:
        log.warning("%s", error)
        return str(error)
    if manifest is None or reference is None:
        return f"version {number} was registered without a reference, by hand or before there were any: train again"
    return _Files(manifest, reference, Baseline(reference))


def _estimate(found: Estimate, classes: tuple[str, ...]) -> dict[str, Any]:
    if found.accuracy is None:
        return {"refusal": found.refusal}
    recalls = zip(classes, found.recalls, strict=True)
    return {
        "accuracy": asdict(found.accuracy),
        "recalls": {name: asdict(each) for name, each in recalls if each is not None},
    }
