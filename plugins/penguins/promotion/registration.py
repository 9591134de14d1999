"""register_best: register the best candidate of a DAG run, and promote it if the gate allows it."""

import json
import logging
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from psycopg import Connection

from contract.training import Training
from penguins.data.dataset import Dataset
from penguins.errors import UserError
from penguins.locks import exclusive_lock
from penguins.promotion import audit, decisions, gate, production, shadow, verdicts
from penguins.promotion.earlier_versions import earlier_versions
from penguins.promotion.lineage import recorded_runs
from penguins.promotion.reasons import to_plain_text
from penguins.registry import candidate_versions, model_versions, prediction_views
from penguins.registry.candidate_versions import LoadedCandidate
from penguins.signing import UntrustedError
from penguins.training import candidate_records, candidate_runs, plots, processes, refitting, tracking
from penguins.training.model_contracts import describe_contract
from penguins.training.tracking import DAG_RUN, DATA_DIGEST, registry

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RegisterReport:
    """The result of register_best.

    Attributes:
        version: number of the version of the best candidate.
        promoted: whether that version was promoted, now or earlier; None while a person is asked.
        in_shadow: whether it answers in the shadow first, and is judged again later.
    """

    version: str
    promoted: bool | None
    reason: str
    in_shadow: bool = False

    @property
    def outcome(self) -> Literal["promoted", "refused", "asking", "shadowing"]:
        """Return the result as a word."""
        if self.promoted is None:
            return "asking"
        return "promoted" if self.promoted else "shadowing" if self.in_shadow else "refused"


def register_best(
    connection: Connection[Any],
    data: Dataset,
    dag_run_id: str,
    ask: bool = False,
    expected: int = 0,
    cause: str = "",
) -> RegisterReport:
    """Register the best candidate of a DAG run, and promote it if the gate allows it.

    A second call for the same DAG run finds the version of the first, registers no other one, and keeps its verdict.
    Other calls that promote or register wait meanwhile. A champion of another contract is replaced by a person only.

    Args:
        ask: judge the version, but leave the decision to a person, who gives it to `approval.answer`.
        expected: number of candidates of the grid. The verdict says how many of them are missing.
        cause: why the DAG run was started; the verdict's reason ends with it.

    Raises:
        UserError: the DAG run has no candidates, or they are of other data.
    """
    training = data.contract.training
    model = training.registered_model
    with exclusive_lock(connection, production.lock_name(model)):
        experiment = tracking.find_experiment(training.experiment) or ""
        records = [
            record
            for record in candidate_records.read(connection, experiment, dag_run_id)
            if candidate_runs.REFIT_OF not in record.tags
        ]
        missing = candidate_records.describe_judging(records, expected)
        finished = _check_data(dag_run_id, [each.to_run() for each in records if each.outcome == "finished"], data)
        best = candidate_runs.choose_best(finished, training.metric)
        log.info("the best of %d candidates is %s%s", len(finished), best.info.run_name, missing)
        if tracking.SAMPLE in best.data.tags:
            (judged,) = (record for record in records if record.run_id == best.info.run_id)
            best = refitting.fit_on_all_rows(connection, data, judged).to_run()
        candidate = _load(best, model)
        if cause:
            tracking.set_cause(training.experiment, dag_run_id, cause)
        champion = production.reconcile(connection, model)
        version = _register(candidate, finished, data)
        prediction_views.create_view_of(connection, describe_contract(data))
        if (decided := report(connection, version) or _in_shadow(connection, version)) is not None:
            return decided
        verdict = _judge(connection, version, champion, candidate, data)
        reason = verdict.reason + missing + (f"; {cause}" if cause else "")
        verdict = replace(verdict, reason=to_plain_text(reason))
        _keep(connection, verdict, version, champion)
        by = f"register_best of {dag_run_id}"
        if champion and verdict.promote and training.shadow_predictions:
            reason = _shadowing(verdict.reason, champion, training)
            shadow.begin(connection, version, reason, by, verdict.numbers, ask)
            return RegisterReport(version.version, False, reason, in_shadow=True)
        if ask or verdict.asks:
            return RegisterReport(version.version, None, verdict.reason)
        decide = decisions.promote if verdict.promote else decisions.refuse
        decide(connection, version, verdict.reason, by, verdict.numbers)
        return RegisterReport(version.version, verdict.promote, verdict.reason)


def report(connection: Connection[Any], version: ModelVersion) -> RegisterReport | None:
    """Return the final decision about a version, if there is one."""
    final = audit.final_decision(audit.trail(connection, version.name), version)
    return RegisterReport(version.version, final.action != "refuse", final.reason) if final else None


def _in_shadow(connection: Connection[Any], version: ModelVersion) -> RegisterReport | None:
    entry = audit.in_shadow(audit.trail(connection, version.name))
    if entry is None or not entry.is_about(version):
        return None
    return RegisterReport(version.version, False, entry.reason, in_shadow=True)


def _shadowing(reason: str, champion: ModelVersion, training: Training) -> str:
    return (
        f"shadowing: {training.shadow_predictions:,} predictions beside version {champion.version} (rows of "
        f"tables don't count) are required within {training.shadow_days:g} days; the gate: {reason}"
    )


def _check_data(dag_run_id: str, finished: list[Run], data: Dataset) -> list[Run]:
    if not finished:
        raise UserError(f"{dag_run_id} has no finished candidate on record. Run grid_train first.")
    if {run.data.tags[DATA_DIGEST] for run in finished} != {data.digest}:
        raise UserError(
            f"{data.contract.table('processed')} has changed since grid_train. Clear grid_train to train on it."
        )
    return finished


def _load(best: Run, model: str) -> LoadedCandidate:
    """Load the best candidate. Without its signature no other is chosen: anybody may remove a signature."""
    try:
        return LoadedCandidate.load(best, model)
    except UntrustedError as error:
        remedy = f"Delete the run {best.info.run_name} in MLflow, and clear grid_train to train it again."
        raise UserError(f"The best candidate can't be trusted: {error}. {remedy}") from error


def _register(candidate: LoadedCandidate, finished: list[Run], data: Dataset) -> ModelVersion:
    """Return the version of the best candidate. It is registered while a process draws the plots, half of the work."""
    training = data.contract.training
    with processes.done_beside(partial(plots.draw, finished, candidate.model, data)) as drawn:
        version = candidate_versions.find_version(candidate, training.registered_model)
        version = version or candidate_versions.register(candidate, data)
        log.info("registered as version %s", version.version)
        plots.log_plots(training.experiment, candidate.run.data.tags[DAG_RUN], drawn.result())
        log.info("the plots are drawn")
    return version


def _judge(
    connection: Connection[Any],
    version: ModelVersion,
    champion: ModelVersion | None,
    candidate: LoadedCandidate,
    data: Dataset,
) -> gate.Verdict:
    trail = audit.trail(connection, version.name)
    before = earlier_versions(trail, champion, model_versions.versions(version.name))
    earlier = [each for each in before if each.version != version.version]
    origins = recorded_runs(connection, [champion, *earlier] if champion else earlier)
    return gate.judge(candidate.model, champion, data, earlier, origins)


def _keep(
    connection: Connection[Any], verdict: gate.Verdict, version: ModelVersion, champion: ModelVersion | None
) -> None:
    """Log the gate's verdict about a version and keep it; a tag shows it in MLflow's UI."""
    log.info("The gate\n%s", gate.table(verdict.numbers, version.version))
    before = champion.version if champion else None
    verdicts.append(connection, version, before, verdict.promote, verdict.reason, verdict.numbers)
    shown = {"promote": verdict.promote, "reason": verdict.reason, "numbers": verdict.numbers, "champion": before}
    registry().set_model_version_tag(version.name, version.version, decisions.GATE, json.dumps(shown))
