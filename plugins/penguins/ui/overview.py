"""What the page shows: Production, the versions, the candidates of the last DAG run and the audit trail."""

from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from psycopg import Connection
from pydantic import BaseModel, FiniteFloat, Json, TypeAdapter

from contract.digests import DIGESTS
from penguins.errors import UserError
from penguins.promotion import audit, decisions, production
from penguins.registry import model_versions
from penguins.settings import settings
from penguins.training import tracking

LATEST: Final = 100
METRICS: Final = ("holdout_accuracy", "holdout_f1_macro", "holdout_log_loss", "cv_accuracy_mean", "cv_accuracy_std")


class Shown(BaseModel):
    """A version or a candidate: a row of a leaderboard."""

    name: str
    metrics: dict[str, float]
    link: str


class Numbers(BaseModel):
    """What a version was judged by; all but its accuracy only if there was a champion to beat."""

    accuracy: FiniteFloat
    champion: str | None = None
    champion_accuracy: FiniteFloat | None = None
    recalls: dict[str, tuple[FiniteFloat, FiniteFloat]] = {}


class Judged(BaseModel):
    """What the gate said about a version."""

    reason: str
    numbers: Numbers


JUDGED: Final = TypeAdapter[Judged](Json[Judged])


class ShownVersion(Shown):
    """A version, with what is known of where it comes from."""

    version: str
    created_at: datetime
    challenger: bool
    gate: Judged | None
    tags: dict[str, str]


class Overview(BaseModel):
    """The page's data.

    `decision` is what put `production` there, None if it was moved outside of the pipeline; `back_to` is the version
    that a rollback would go to.
    """

    model: str
    production: str | None
    decision: audit.Entry | None
    back_to: str | None
    may_change: bool
    versions: list[ShownVersion]
    candidates: list[Shown]
    trail: list[audit.Entry]


def overview(connection: Connection[Any], may_change: bool) -> Overview:
    """Look everything up."""
    versions, champion = model_versions.versions(), model_versions.production()
    challenger = model_versions.registered_model().aliases.get(production.CHALLENGER)
    trail = audit.trail(connection)
    target = decisions.rollback_target(trail, champion, versions)
    now = champion.version if champion else None
    last = audit.last_move(trail)
    return Overview(
        model=settings().model_name,
        production=now,
        decision=last if last and champion and last.about(champion) else None,
        back_to=target.version if target else None,
        may_change=may_change,
        versions=[
            _shown(version, challenger)
            for index, version in enumerate(versions)
            if index < LATEST or version.version == now
        ],
        candidates=_candidates(versions),
        trail=trail[:LATEST],
    )


def confusion_matrix(number: str) -> bytes:
    """The PNG that the DAG run of a version left.

    Raises:
        UserError: there is none, as for a version that was registered by hand.
    """
    version = model_versions.version(number)
    parent = tracking.find_parent(tracking.tags_of(version).get(tracking.DAG_RUN, ""))
    if parent is None:
        raise UserError(f"There is no picture of version {number}: no DAG run made it.")
    with TemporaryDirectory() as folder:
        try:
            path = tracking.client().download_artifacts(parent.info.run_id, "plots/confusion_matrix.png", folder)
        except MlflowException as error:
            raise UserError(f"The picture of version {number} can't be had: {error}") from error
        return Path(path).read_bytes()


def _shown(version: ModelVersion, challenger: str | None) -> ShownVersion:
    tags = {name: value for name, value in tracking.tags_of(version).items() if not name.startswith("mlflow.")}
    return ShownVersion(
        name=version.description or "",
        metrics={
            name: value for name in METRICS if (value := tracking.parse(tracking.METRIC, tags.get(name))) is not None
        },
        link=f"{settings().mlflow_ui}/#/models/{version.name}/versions/{version.version}",
        version=version.version,
        created_at=datetime.fromtimestamp(version.creation_timestamp / 1000, UTC),
        challenger=version.version == challenger,
        gate=tracking.parse(JUDGED, tags.get(decisions.GATE)),
        tags={name: value for name, value in tags.items() if name not in (DIGESTS, decisions.GATE)},
    )


def _candidates(versions: list[ModelVersion]) -> list[Shown]:
    """The candidates of the DAG run that the newest version comes from, the best by cross-validation first."""
    run_id = next((version.tags[tracking.DAG_RUN] for version in versions if tracking.DAG_RUN in version.tags), None)
    runs = tracking.find_candidates(run_id) if run_id else []
    rows = [
        Shown(
            name=run.info.run_name,
            metrics={name: value for name, value in run.data.metrics.items() if name in METRICS},
            link=f"{settings().mlflow_ui}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}",
        )
        for run in runs
        if run.info.status == "FINISHED"
    ]
    return sorted(rows, key=lambda row: -row.metrics.get("cv_accuracy_mean", 0.0))
