"""register_best: register the best candidate of a DAG run, and promote it if the gate allows it."""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from psycopg import Connection

from penguins.data.dataset import Dataset
from penguins.errors import UserError
from penguins.locks import exclusive_lock
from penguins.promotion import audit, decisions, gate, production
from penguins.promotion.earlier_versions import earlier_versions
from penguins.promotion.reasons import to_plain_text
from penguins.registry import candidate_versions, model_versions
from penguins.registry.candidate_versions import LoadedCandidate
from penguins.signing import UntrustedError
from penguins.training import candidate_runs, plots, tracking
from penguins.training.tracking import DATA_DIGEST, client

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RegisterReport:
    """The result of register_best.

    Attributes:
        version: number of the version of the best candidate.
        promoted: whether that version was promoted, now or earlier; None while a person is asked.
    """

    version: str
    promoted: bool | None
    reason: str


def register_best(
    connection: Connection[Any], data: Dataset, dag_run_id: str, ask: bool = False, expected: int = 0
) -> RegisterReport:
    """Register the best candidate of a DAG run, and promote it if the gate allows it.

    A second call for the same DAG run finds the version of the first, registers no other one, and keeps its verdict.
    Other calls that promote or register wait meanwhile.

    Args:
        ask: judge the version, but leave the decision to a person, who gives it to `approval.answer`.
        expected: number of candidates of the grid. The verdict says how many of them are missing.

    Raises:
        UserError: the DAG run has no candidates, or they are of other data.
    """
    with exclusive_lock(connection, production.lock_name()):
        finished = _find_finished(dag_run_id, data)
        left_out = tracking.left_out_note(dag_run_id, expected)
        candidate = _load_best(finished, left_out)
        plots.log_plots(dag_run_id, finished, candidate.model, data)
        champion = production.reconcile(connection)
        version = candidate_versions.find_version(candidate.run) or candidate_versions.register(candidate, data)
        if production.VERDICT in version.tags:
            return report(version)
        before = earlier_versions(audit.trail(connection), champion, model_versions.versions())
        earlier = [each for each in before if each.version != version.version]
        verdict = gate.judge(candidate.model, champion, data, earlier)
        verdict = _keep(replace(verdict, reason=to_plain_text(verdict.reason + left_out)), version, champion)
        if ask:
            return RegisterReport(version.version, None, verdict.reason)
        return _decide(connection, version, verdict, by=f"register_best of {dag_run_id}")


def report(version: ModelVersion) -> RegisterReport:
    """Read the decision about a version from its tags."""
    tags = client().get_model_version(version.name, version.version).tags
    return RegisterReport(version.version, tags[production.VERDICT] == "promoted", tags.get("reason", ""))


def _find_finished(dag_run_id: str, data: Dataset) -> list[Run]:
    """Find the finished candidates of a DAG run, each once."""
    runs = [run for run in tracking.find_candidates(dag_run_id) if run.info.status == "FINISHED"]
    # Two tries at once (a worker that was thought dead) may have made the same candidate twice.
    finished = list({run.data.tags[candidate_runs.FINGERPRINT]: run for run in runs}.values())
    if not finished:
        raise UserError(f"{dag_run_id} has no finished candidate in MLflow. Run grid_train first.")
    if {run.data.tags.get(DATA_DIGEST) for run in finished} != {data.digest}:
        raise UserError("penguins_processed has changed since grid_train. Clear grid_train to train on it.")
    return finished


def _load_best(finished: Sequence[Run], left_out: str) -> LoadedCandidate:
    """Load the best candidate. Those that no trusted key has signed are passed over: anybody can add such a run."""
    remaining = list(finished)
    while remaining:
        best = candidate_runs.choose_best(remaining)
        try:
            candidate = LoadedCandidate.load(best)
        except UntrustedError as error:
            log.warning("passed over the candidate %s: %s", best.info.run_name, error)
            remaining.remove(best)
        else:
            log.info("the best of %d candidates is %s%s", len(remaining), best.info.run_name, left_out)
            return candidate
    raise UserError("No candidate is signed by a trusted key. Clear grid_train to train them again.")


def _keep(verdict: gate.Verdict, version: ModelVersion, champion: ModelVersion | None) -> gate.Verdict:
    """Log the gate's verdict about a version, and keep it in a tag."""
    log.info("The gate\n%s", gate.table(verdict, version.version))
    kept = asdict(verdict) | {"champion": champion.version if champion else None}
    client().set_model_version_tag(version.name, version.version, decisions.GATE, json.dumps(kept))
    return verdict


def _decide(connection: Connection[Any], version: ModelVersion, verdict: gate.Verdict, by: str) -> RegisterReport:
    decide = decisions.promote if verdict.promote else decisions.refuse
    decide(connection, version, verdict.reason, by, verdict.numbers)
    return report(version)
