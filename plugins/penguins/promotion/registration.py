"""register_best: the best candidate of a DAG run becomes a version, and perhaps Production."""

import json
import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.utils.mlflow_tags import MLFLOW_GIT_COMMIT
from psycopg import Connection
from sklearn.base import ClassifierMixin

from contract.digests import DIGESTS, MANIFEST_FILE, ONNX_FILE, digest_files
from contract.manifest import Example, Manifest, Points
from penguins.data.dataset import Dataset
from penguins.errors import UserError
from penguins.locks import alone
from penguins.promotion import audit, decisions, gate, production
from penguins.promotion.reasons import LONGEST, plain
from penguins.registry import model_versions, onnx_export
from penguins.training import candidate_runs, plots, tracking
from penguins.training.tracking import DAG_RUN, DATA_DIGEST, GIT_COMMIT, SPLIT, client, split_of

log = logging.getLogger(__name__)

EXAMPLES: Final = 10
DRAWN: Final = 500


@dataclass(frozen=True)
class RegisterReport:
    """What register_best did: the version of the best candidate, and whether that was promoted, then or ever.

    `promoted` is None while a person is asked.
    """

    version: str
    promoted: bool | None
    reason: str


def register_best(connection: Connection[Any], data: Dataset, dag_run_id: str, ask: bool = False) -> RegisterReport:
    """Register the best candidate of a DAG run, and promote it if the gate lets it.

    Called again for the same DAG run it finds the version it made, registers no second one, and stands
    by its verdict. Others that promote or register wait meanwhile.

    Args:
        ask: judge it, but leave the decision to a person, who gives it to `answer`.

    Raises:
        UserError: the DAG run has no candidates, or they are of other data.
    """
    with alone(connection, production.lock_name()):
        return _register_best(connection, data, dag_run_id, ask)


def answer(connection: Connection[Any], number: str, approved: bool, by: str, comment: str) -> RegisterReport:
    """Promote the version that a person was asked about, or don't, as the person decided.

    If something else was decided meanwhile that stays, and the answer is only written down.

    Raises:
        UserError: the version was deleted, or Production is to change and isn't what the person saw any more.
    """
    with alone(connection, production.lock_name()):
        champion, version = production.reconcile(connection), model_versions.version(number)
        verdict = json.loads(version.tags[decisions.GATE])
        comment = comment[:LONGEST] or "no comment"

        def overtaken(why: str) -> None:
            wish = "promote it" if approved else "keep the champion"
            before = champion.version if champion else None
            reason = f"{comment} (the answer was to {wish}, too late: {why})"
            audit.append(connection, "overtaken", before, version, by, reason, verdict["numbers"])

        if production.VERDICT in version.tags:
            overtaken(f"it was {version.tags[production.VERDICT]} already")
            return _report(version)
        try:
            production.expect(champion, (verdict["champion"] or "") if approved else None)
        except UserError as error:
            overtaken(str(error))
            raise
        decide = decisions.promote if approved else decisions.refuse
        decide(connection, version, f"{comment} (the gate: {verdict['reason']})", by, verdict["numbers"])
        return _report(version)


def _register_best(connection: Connection[Any], data: Dataset, dag_run_id: str, ask: bool) -> RegisterReport:
    runs = tracking.find_candidates(dag_run_id)
    # by fingerprint: two tries at once (a worker that was thought dead) may have made the same candidate twice
    finished = list(
        {run.data.tags[candidate_runs.FINGERPRINT]: run for run in runs if run.info.status == "FINISHED"}.values()
    )
    if not finished:
        raise UserError(f"{dag_run_id} has no finished candidate in MLflow. Run grid_train first.")
    if {run.data.tags.get(DATA_DIGEST) for run in finished} != {data.digest}:
        raise UserError("penguins_processed has changed since grid_train. Clear grid_train to train on it.")
    best = choose(finished)
    untried = tracking.left_out(dag_run_id)
    log.info("the best of %d candidates is %s%s", len(finished), best.info.run_name, untried)
    model_id = candidate_runs.model_id(best)
    recorded = json.loads(client().get_logged_model(model_id).tags[DIGESTS])
    model = model_versions.load(model_id, recorded)
    plots.log_plots(dag_run_id, finished, model, data)
    champion = production.reconcile(connection)  # first, for it completes what an earlier try began
    made = model_versions.versions(f"run_id = '{best.info.run_id}' AND tags.{DAG_RUN} = '{dag_run_id}'")
    version = made[0] if made else _register(best, model_id, recorded, model, data)
    if production.VERDICT in version.tags:
        return _report(version)
    verdict = _judge(version, champion, model, data, untried)
    if ask:
        return RegisterReport(version.version, None, verdict.reason)
    decide = decisions.promote if verdict.promote else decisions.refuse
    decide(connection, version, verdict.reason, f"register_best of {dag_run_id}", verdict.numbers)
    return _report(version)


def _report(version: ModelVersion) -> RegisterReport:
    tags = client().get_model_version(version.name, version.version).tags
    return RegisterReport(version.version, tags[production.VERDICT] == "promoted", tags.get("reason", ""))


def choose(runs: Sequence[Run]) -> Run:
    """The best run: by cross-validated accuracy, then log loss, then the smaller forest, then the name.

    The hold-out has no say, so that it stays a fair judge between versions.
    """

    def rank(run: Run) -> tuple[float, float, float, str]:
        metrics, params = run.data.metrics, run.data.params
        return (
            -metrics["cv_accuracy_mean"],
            metrics["cv_log_loss_mean"],
            float(params.get("n_estimators", 100)),
            run.info.run_name,
        )

    return min(runs, key=rank)


def _judge(
    version: ModelVersion, champion: ModelVersion | None, model: ClassifierMixin, data: Dataset, untried: str
) -> gate.Verdict:
    """The gate's verdict, with what is to be said of candidates left out; it is shown in the log and kept in a tag."""
    verdict = gate.judge(model, champion, data)
    verdict = replace(verdict, reason=plain(verdict.reason + untried))
    log.info("The gate\n%s", gate.table(verdict, version.version))
    kept = asdict(verdict) | {"champion": champion.version if champion else None}
    client().set_model_version_tag(version.name, version.version, decisions.GATE, json.dumps(kept))
    return verdict


def _register(
    best: Run, model_id: str, recorded: Mapping[str, str], model: ClassifierMixin, data: Dataset
) -> ModelVersion:
    """Add what the service needs to the logged model, then make it a version."""
    tags = {
        DAG_RUN: best.data.tags[DAG_RUN],
        DATA_DIGEST: data.digest,
        SPLIT: split_of(data),
        candidate_runs.ESTIMATOR: best.data.tags[candidate_runs.ESTIMATOR],
        GIT_COMMIT: best.data.tags[MLFLOW_GIT_COMMIT],
        **{name: str(value) for name, value in best.data.metrics.items() if name != "fit_seconds"},
    }
    with tempfile.TemporaryDirectory() as folder:
        onnx, manifest = Path(folder, ONNX_FILE), Path(folder, MANIFEST_FILE)
        onnx.parent.mkdir()
        try:
            onnx.write_bytes(onnx_export.export(model, data))
        except onnx_export.NotEqualError as error:
            log.warning("registered without an ONNX export, so the service will run scikit-learn: %s", error)
            tags["onnx"] = str(error)
        else:
            manifest.write_text(_manifest(model, data).model_dump_json())
            client().log_model_artifacts(model_id, folder)
        tags[DIGESTS] = json.dumps({**recorded, **digest_files(Path(folder))})
    return model_versions.create_version(model_id, best.info.run_id, tags, description=best.info.run_name)


def _manifest(model: ClassifierMixin, data: Dataset) -> Manifest:
    """Describe the model for the service: its contract, recorded answers, and training data to draw."""
    rows = data.features.iloc[data.holdout[:: max(1, len(data.holdout) // EXAMPLES)]]
    probabilities = model.predict_proba(rows)
    drawn = data.train[:: -(-len(data.train) // DRAWN)]
    contract = candidate_runs.contract_of(data)
    return Manifest(
        contract_version=1,
        features=contract.features,
        species=contract.species,
        example=Example(
            inputs=rows.to_numpy().tolist(),
            labels=probabilities.argmax(axis=1).tolist(),
            probabilities=probabilities.tolist(),
        ),
        scatter=Points(inputs=data.features.iloc[drawn].to_numpy().tolist(), labels=data.labels[drawn].tolist()),
    )
