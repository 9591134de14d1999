"""Plots on the parent run: results of the grid, and answers of the best candidate."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from mlflow.entities import Run
from sklearn.base import ClassifierMixin
from sklearn.inspection import permutation_importance
from sklearn.metrics import ConfusionMatrixDisplay

from penguins.data.dataset import Dataset
from penguins.training import artifacts, tracking
from penguins.training.estimators import ESTIMATORS

IMPORTANCE_ROWS: Final = 10_000  # of the hold-out, at most
IMPORTANCE_VALUES: Final = 100_000  # rows by features, at most: each feature is shuffled and predicted with
SHOWN_FEATURES: Final = 20
MAX_LABEL: Final = 30  # characters
SHOWN_NUMBERS: Final = 12  # classes up to which a confusion matrix has readable numbers

_SIZES: Final = {each.size for each in ESTIMATORS.values() if each.size}


def draw(runs: Sequence[Run], best: ClassifierMixin, data: Dataset) -> dict[str, bytes]:
    """Draw the plots, and make the leaderboard; return the files by their paths."""
    figures = {
        "grid.png": grid_heat_map(runs),
        "confusion_matrix.png": confusion_matrix(best, data),
        "importances.png": importances(best, data),
    }
    # In the format of MLflow's log_table, which would append the rows to those of an earlier try.
    table = leaderboard(runs).to_dict(orient="split", index=False)
    files = {"leaderboard.json": json.dumps(table, indent=2).encode()}
    for name, figure in figures.items():
        image = BytesIO()
        figure.savefig(image)
        files[f"plots/{name}"] = image.getvalue()
    return files


def log_plots(experiment: str, dag_run_id: str, files: Mapping[str, bytes]) -> None:
    """Log what `draw` has returned to the parent run of a DAG run."""
    parent = tracking.find_parent(experiment, dag_run_id)
    if parent is None:
        return
    with TemporaryDirectory() as folder:
        Path(folder, "plots").mkdir()
        for name, content in files.items():
            Path(folder, name).write_bytes(content)
        artifacts.repository(parent.info.artifact_uri).log_artifacts(folder)


def leaderboard(runs: Sequence[Run]) -> pd.DataFrame:
    """Make a table with a row for each candidate, the best by cross-validated accuracy first."""
    rows = [{"candidate": run.info.run_name, **run.data.metrics} for run in runs]
    return pd.DataFrame(rows).sort_values(["cv_accuracy_mean", "cv_log_loss_mean"], ascending=[False, True])


def grid_heat_map(runs: Sequence[Run]) -> Figure:
    """Draw the cross-validated accuracy of every candidate, with one hyperparameter across and the others down."""
    across = _across(runs)
    cells = pd.DataFrame(
        {
            "across": json.loads(run.data.params.get(across, "null")),
            "rest": _rest(run, across),
            "accuracy": run.data.metrics["cv_accuracy_mean"],
        }
        for run in runs
    ).pivot(index="rest", columns="across", values="accuracy")
    figure = Figure(figsize=(2.5 + 1.1 * len(cells.columns), 1.5 + 0.35 * len(cells)), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(cells.to_numpy(), aspect="auto", cmap="viridis")
    axes.set_xticks(range(len(cells.columns)), [str(value) for value in cells.columns])
    axes.set_yticks(range(len(cells)), list(cells.index))
    axes.set(title="Cross-validated accuracy", xlabel=across)
    middle = np.nanmean(cells.to_numpy())
    for (row, column), value in np.ndenumerate(cells.to_numpy()):
        colour = "black" if value > middle else "white"
        axes.text(column, row, f"{value:.4f}", ha="center", va="center", color=colour, fontsize=8)
    figure.colorbar(image, ax=axes)
    return figure


def _across(runs: Sequence[Run]) -> str:
    """Choose the hyperparameter for the columns: the number of trees or rounds, or the one with the most values."""
    values: dict[str, set[str]] = defaultdict(set)
    for run in runs:
        for name, value in run.data.params.items():
            values[name].add(value)
    return max(values, key=lambda name: (name in _SIZES, len(values[name])), default="")


def _rest(run: Run, across: str) -> str:
    rest = {name: json.loads(value) for name, value in run.data.params.items() if name != across}
    return "\n".join(f"{name}={value}" for name, value in sorted(rest.items())) or "defaults"


def confusion_matrix(model: ClassifierMixin, data: Dataset) -> Figure:
    """Draw the counts of true against predicted classes on the hold-out."""
    classes = data.contract.classes
    figure = Figure(figsize=_matrix_size(len(classes)), layout="constrained")
    axes = figure.subplots()
    many = len(classes) > SHOWN_NUMBERS
    ConfusionMatrixDisplay.from_predictions(
        data.labels[data.holdout],
        model.predict(data.seen(data.holdout)),
        labels=range(len(classes)),
        display_labels=[_short(name) for name in classes],
        cmap="Blues",
        include_values=not many,
        xticks_rotation="vertical" if many else "horizontal",
        colorbar=many,
        ax=axes,
    )
    axes.tick_params(labelsize=7 if many else None)
    name = data.contract.title or data.contract.name
    axes.set_title(f"The best candidate on {len(data.holdout)} held-out rows of {_short(name)}")
    return figure


def _matrix_size(classes: int) -> tuple[float, float]:
    side = min(14.0, max(4.2, 2.5 + 0.25 * classes))
    return side + 0.8, side


def importances(model: ClassifierMixin, data: Dataset) -> Figure:
    """Draw the accuracy lost on the hold-out when a feature is shuffled: mean and standard deviation of five times.

    Of many features the most important ones are drawn.
    """
    names = data.contract.feature_names
    shuffled = permutation_importance(
        model,
        data.seen(data.holdout),
        data.labels[data.holdout],
        random_state=data.seed,
        max_samples=min(IMPORTANCE_ROWS, IMPORTANCE_VALUES // len(names), len(data.holdout)),
    )
    shown = np.arange(len(names))
    if len(names) > SHOWN_FEATURES:
        shown = np.argsort(-shuffled.importances_mean, kind="stable")[:SHOWN_FEATURES]
    figure = Figure(figsize=(5.5, max(2.8, 1.2 + 0.25 * len(shown))), layout="constrained")
    axes = figure.subplots()
    axes.barh(
        range(len(shown)),
        shuffled.importances_mean[shown],
        xerr=shuffled.importances_std[shown],
        color="#4878a8",
    )
    axes.set_yticks(range(len(shown)), [_short(names[position]) for position in shown])
    axes.invert_yaxis()
    title = "Feature importances"
    if len(shown) < len(names):
        title += f": the greatest {len(shown)} of {len(names)}"
    axes.set(title=title, xlabel="accuracy lost on the hold-out when shuffled")
    return figure


def _short(name: str) -> str:
    return _plain(name if len(name) <= MAX_LABEL else f"{name[: MAX_LABEL - 1]}…")


def _plain(text: str) -> str:
    return text.replace("$", r"\$")  # Matplotlib reads a formula between two
