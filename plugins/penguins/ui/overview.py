"""Content of the page: Production, the versions, the candidates of the last DAG run and the audit trail."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from psycopg import Connection
from pydantic import BaseModel, FiniteFloat

from contract.schema import DataContract
from contract.training import Training
from penguins.data.lineage import SourceFacts
from penguins.errors import UserError
from penguins.promotion import audit, production, verdicts
from penguins.promotion.approval import open_questions
from penguins.promotion.earlier_versions import earlier_versions, find_sound
from penguins.promotion.lineage import recorded_runs, recorded_tags
from penguins.registry import model_versions
from penguins.settings import settings
from penguins.training import artifacts, candidate_records, tracking

LATEST: Final = 100
PICTURE: Final = "plots/confusion_matrix.png"
METRICS: Final = ("holdout_accuracy", "holdout_f1_macro", "holdout_log_loss", "cv_accuracy_mean", "cv_accuracy_std")


class LeaderboardRow(BaseModel):
    """A version or a candidate in a leaderboard."""

    name: str
    metrics: dict[str, float]
    link: str


class GateNumbers(BaseModel):
    """Numbers that a version was judged by; without a champion, only its accuracy."""

    accuracy: FiniteFloat
    champion: str | None = None
    champion_accuracy: FiniteFloat | None = None
    recalls: dict[str, tuple[FiniteFloat, FiniteFloat]] = {}


class GateVerdict(BaseModel):
    """The gate's verdict about a version."""

    reason: str
    numbers: GateNumbers


class VersionRow(LeaderboardRow):
    """A version with its recorded origin and the reason of the last decision about it."""

    version: str
    created_at: datetime
    challenger: bool
    gate: GateVerdict | None
    reason: str
    source: SourceFacts | None
    tags: dict[str, str]


class RollbackOffer(BaseModel):
    """The version that a rollback would put in Production, if any.

    Attributes:
        passed_over: reasons against the versions between that can't be trusted, by their numbers.
    """

    target: str | None
    passed_over: dict[str, str]


class Overview(BaseModel):
    """The page's data.

    Attributes:
        target: name of the column that the model predicts.
        decision: the decision that put `production` there; None if it was moved outside of the pipeline.
        questions: numbers of the versions that wait for a person's decision.
    """

    model: str
    target: str
    production: str | None
    decision: audit.Entry | None
    may_change: bool
    versions: list[VersionRow]
    questions: list[str]
    candidates: list[LeaderboardRow]
    trail: list[audit.Entry]


def overview(connection: Connection[Any], contract: DataContract, may_change: bool) -> Overview:
    """Read everything that the page shows about the model of a contract."""
    model = contract.training.registered_model
    versions, champion = model_versions.versions(model), model_versions.production(model)
    challenger = model_versions.registered_model(model).aliases.get(production.CHALLENGER)
    trail = audit.trail(connection, model)
    now = champion.version if champion else None
    last = audit.last_move(trail)
    judged = verdicts.read(connection, model)
    shown = [version for index, version in enumerate(versions) if index < LATEST or version.version == now]
    return Overview(
        model=model,
        target=contract.target.name,
        production=now,
        decision=last if last and champion and last.is_about(champion) else None,
        may_change=may_change,
        versions=_version_rows(connection, shown, challenger, trail, judged),
        questions=[verdict.version for verdict in open_questions(judged.values(), trail, champion, shown)],
        candidates=_candidates(connection, shown),
        trail=trail[:LATEST],
    )


def rollback_offer(connection: Connection[Any], model: str) -> RollbackOffer:
    """Find the version that a rollback would put in Production. Downloads the files of versions to check them."""
    versions, champion = model_versions.versions(model), model_versions.production(model)
    target, passed_over = find_sound(earlier_versions(audit.trail(connection, model), champion, versions))
    return RollbackOffer(target=target.version if target else None, passed_over=passed_over)


def confusion_matrix(connection: Connection[Any], training: Training, number: str) -> bytes:
    """Return the confusion matrix of a version as PNG, from its DAG run.

    Raises:
        UserError: there is none, for example for a version that was registered by hand.
    """
    version = model_versions.version(training.registered_model, number)
    parent = tracking.find_parent(training.experiment, recorded_tags(connection, version).get(tracking.DAG_RUN, ""))
    if parent is None:
        raise UserError(f"There is no picture of version {number}: no DAG run made it.")
    files = artifacts.repository(parent.info.artifact_uri)
    if PICTURE not in {item.path for item in files.list_artifacts("plots")}:
        raise UserError(f"There is no picture of version {number}: it is missing in MLflow.")
    with TemporaryDirectory() as folder:
        return Path(files.download_artifacts(PICTURE, folder)).read_bytes()


def _version_rows(
    connection: Connection[Any],
    versions: list[ModelVersion],
    challenger: str | None,
    trail: list[audit.Entry],
    judged: Mapping[tuple[str, datetime], verdicts.Verdict],
) -> list[VersionRow]:
    origins = recorded_runs(connection, versions)

    def row(version: ModelVersion) -> VersionRow:
        origin, at = origins.get(version.version), audit.created_at(version)
        verdict, final = judged.get((version.version, at)), audit.final_decision(trail, version)
        return VersionRow(
            name=version.description or "",
            metrics=_metrics(origin) if origin else {},
            link=f"{settings().mlflow_ui}/#/models/{version.name}/versions/{version.version}",
            version=version.version,
            created_at=at,
            challenger=version.version == challenger,
            gate=GateVerdict(reason=verdict.reason, numbers=GateNumbers(**verdict.numbers)) if verdict else None,
            reason=final.reason if final else "",
            source=tracking.source_of(origin.data.tags) if origin else None,
            tags=origin.data.tags if origin else {},
        )

    return [row(version) for version in versions]


def _candidates(connection: Connection[Any], versions: list[ModelVersion]) -> list[LeaderboardRow]:
    """List the candidates of the newest version's DAG run, the best by cross-validation first."""
    newest = next(iter(recorded_runs(connection, versions).values()), None)
    if newest is None:
        return []
    records = candidate_records.read(connection, newest.info.experiment_id, newest.data.tags[tracking.DAG_RUN])
    rows = [
        LeaderboardRow(
            name=record.name,
            metrics=_metrics(record.to_run()),
            link=f"{settings().mlflow_ui}/#/experiments/{record.experiment_id}/runs/{record.run_id}",
        )
        for record in records
        if record.outcome == "finished"
    ]
    return sorted(rows, key=lambda row: -row.metrics.get("cv_accuracy_mean", 0.0))


def _metrics(run: Run) -> dict[str, float]:
    return {name: value for name, value in run.data.metrics.items() if name in METRICS}
