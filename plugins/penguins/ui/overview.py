"""Content of the page: Production, the versions, the candidates of the last DAG run and the audit trail."""

from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from psycopg import Connection
from pydantic import BaseModel, FiniteFloat, Json, TypeAdapter

from contract.digests import DIGESTS
from contract.signatures import SIGNATURE
from penguins.errors import UserError
from penguins.promotion import audit, decisions, production
from penguins.promotion.earlier_versions import earlier_versions, find_sound
from penguins.registry import model_versions
from penguins.settings import settings
from penguins.training import tracking

LATEST: Final = 100
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


_GATE_VERDICT: Final = TypeAdapter[GateVerdict](Json[GateVerdict])


class VersionRow(LeaderboardRow):
    """A version with its origin."""

    version: str
    created_at: datetime
    challenger: bool
    gate: GateVerdict | None
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
        decision: the decision that put `production` there; None if it was moved outside of the pipeline.
    """

    model: str
    production: str | None
    decision: audit.Entry | None
    may_change: bool
    versions: list[VersionRow]
    candidates: list[LeaderboardRow]
    trail: list[audit.Entry]


def overview(connection: Connection[Any], may_change: bool) -> Overview:
    """Read everything that the page shows."""
    versions, champion = model_versions.versions(), model_versions.production()
    challenger = model_versions.registered_model().aliases.get(production.CHALLENGER)
    trail = audit.trail(connection)
    now = champion.version if champion else None
    last = audit.last_move(trail)
    return Overview(
        model=settings().model_name,
        production=now,
        decision=last if last and champion and last.is_about(champion) else None,
        may_change=may_change,
        versions=[
            _version_row(version, challenger)
            for index, version in enumerate(versions)
            if index < LATEST or version.version == now
        ],
        candidates=_candidates(versions),
        trail=trail[:LATEST],
    )


def rollback_offer(connection: Connection[Any]) -> RollbackOffer:
    """Find the version that a rollback would put in Production. Downloads the files of versions to check them."""
    versions, champion = model_versions.versions(), model_versions.production()
    target, passed_over = find_sound(earlier_versions(audit.trail(connection), champion, versions))
    return RollbackOffer(target=target.version if target else None, passed_over=passed_over)


def confusion_matrix(number: str) -> bytes:
    """Return the confusion matrix of a version as PNG, from its DAG run.

    Raises:
        UserError: there is none, for example for a version that was registered by hand.
    """
    version = model_versions.version(number)
    parent = tracking.find_parent(tracking.tags_of(version).get(tracking.DAG_RUN, ""))
    if parent is None:
        raise UserError(f"There is no picture of version {number}: no DAG run made it.")
    with TemporaryDirectory() as folder:
        try:
            path = tracking.client().download_artifacts(parent.info.run_id, "plots/confusion_matrix.png", folder)
        except MlflowException as error:
            raise UserError(f"The picture of version {number} can't be read: {error}") from error
        return Path(path).read_bytes()


def _version_row(version: ModelVersion, challenger: str | None) -> VersionRow:
    tags = {name: value for name, value in tracking.tags_of(version).items() if not name.startswith("mlflow.")}
    return VersionRow(
        name=version.description or "",
        metrics={
            name: value
            for name in METRICS
            if (value := tracking.parse_tag(tracking.NUMBER, tags.get(name))) is not None
        },
        link=f"{settings().mlflow_ui}/#/models/{version.name}/versions/{version.version}",
        version=version.version,
        created_at=datetime.fromtimestamp(version.creation_timestamp / 1000, UTC),
        challenger=version.version == challenger,
        gate=tracking.parse_tag(_GATE_VERDICT, tags.get(decisions.GATE)),
        tags={name: value for name, value in tags.items() if name not in (DIGESTS, SIGNATURE, decisions.GATE)},
    )


def _candidates(versions: list[ModelVersion]) -> list[LeaderboardRow]:
    """List the candidates of the newest version's DAG run, the best by cross-validation first."""
    run_id = next((version.tags[tracking.DAG_RUN] for version in versions if tracking.DAG_RUN in version.tags), None)
    runs = tracking.find_candidates(run_id) if run_id else []
    rows = [
        LeaderboardRow(
            name=run.info.run_name,
            metrics={name: value for name, value in run.data.metrics.items() if name in METRICS},
            link=f"{settings().mlflow_ui}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}",
        )
        for run in runs
        if run.info.status == "FINISHED"
    ]
    return sorted(rows, key=lambda row: -row.metrics.get("cv_accuracy_mean", 0.0))
