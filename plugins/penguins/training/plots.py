"""Plots on the parent run: results of the grid, and answers of the best candidate."""

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from mlflow.entities import Run
from sklearn.base import ClassifierMixin
from sklearn.inspection import permutation_importance
from sklearn.metrics import ConfusionMatrixDisplay

from penguins.data.dataset import Dataset
from penguins.training import tracking

IMPORTANCE_ROWS: Final = 10_000  # of the hold-out, at most


def log_plots(dag_run_id: str, runs: Sequence[Run], best: ClassifierMixin, data: Dataset) -> None:
    """Log the plots, and the leaderboard as a table, to the parent run of a DAG run."""
    parent = tracking.find_parent(data.contract.training.experiment, dag_run_id)
    if parent is None:
        return
    figures = {
        "grid.png": grid_heat_map(runs),
        "confusion_matrix.png": confusion_matrix(best, data),
        "importances.png": importances(best, data),
    }
    for name, figure in figures.items():
        tracking.client().log_figure(parent.info.run_id, figure, f"plots/{name}")
    # In the format of MLflow's log_table, which would append the rows to those of an earlier try.
    table = leaderboard(runs).to_dict(orient="split", index=False)
    tracking.client().log_dict(parent.info.run_id, table, "leaderboard.json")


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
    """Choose the hyperparameter for the columns: the number of trees, or else the one with the most values."""
    values: dict[str, set[str]] = defaultdict(set)
    for run in runs:
        for name, value in run.data.params.items():
            values[name].add(value)
    return max(values, key=lambda name: (name == "n_estimators", len(values[name])), default="")


def _rest(run: Run, across: str) -> str:
    rest = {name: json.loads(value) for name, value in run.data.params.items() if name != across}
    return "\n".join(f"{name}={value}" for name, value in sorted(rest.items())) or "defaults"


def confusion_matrix(model: ClassifierMixin, data: Dataset) -> Figure:
    """Draw the counts of true against predicted species on the hold-out."""
    figure = Figure(figsize=(5, 4.2), layout="constrained")
    axes = figure.subplots()
    ConfusionMatrixDisplay.from_predictions(
        data.labels[data.holdout],
        model.predict(data.features.iloc[data.holdout]),
        labels=range(len(data.contract.classes)),
        display_labels=data.contract.classes,
        cmap="Blues",
        colorbar=False,
        ax=axes,
    )
    axes.set_title(f"The best candidate on {len(data.holdout)} held-out penguins")
    return figure


def importances(model: ClassifierMixin, data: Dataset) -> Figure:
    """Draw the accuracy lost on the hold-out when a feature is shuffled: mean and standard deviation of five times."""
    shuffled = permutation_importance(
        model,
        data.features.iloc[data.holdout],
        data.labels[data.holdout],
        random_state=data.seed,
        max_samples=min(IMPORTANCE_ROWS, len(data.holdout)),
    )
    figure = Figure(figsize=(5.5, 2.8), layout="constrained")
    axes = figure.subplots()
    axes.barh(data.contract.feature_names, shuffled.importances_mean, xerr=shuffled.importances_std, color="#4878a8")
    axes.invert_yaxis()
    axes.set(title="Feature importances", xlabel="accuracy lost on the hold-out when shuffled")
    return figure
