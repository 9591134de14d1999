"""Pictures on the parent run: how the grid did, and how the best candidate answers."""

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from mlflow.entities import Run
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import ConfusionMatrixDisplay

from penguins import tracking
from penguins.contract import FEATURES, SPECIES
from penguins.dataset import Dataset


def log_plots(dag_run_id: str, runs: Sequence[Run], best: RandomForestClassifier, data: Dataset) -> None:
    """Log the pictures, and the leaderboard as a table, to the parent run of a DAG run."""
    parent = tracking.find_parent(dag_run_id)
    if parent is None:
        return
    figures = {
        "grid.png": grid_heat_map(runs),
        "confusion_matrix.png": confusion_matrix(best, data),
        "importances.png": importances(best),
    }
    for name, figure in figures.items():
        tracking.client().log_figure(parent.info.run_id, figure, f"plots/{name}")
    # the shape of MLflow's own tables; log_table would add to those of an earlier try
    table = leaderboard(runs).to_dict(orient="split", index=False)
    tracking.client().log_dict(parent.info.run_id, table, "leaderboard.json")


def leaderboard(runs: Sequence[Run]) -> pd.DataFrame:
    """A row a candidate, the best by cross-validated accuracy first."""
    rows = [{"candidate": run.info.run_name, **run.data.metrics} for run in runs]
    return pd.DataFrame(rows).sort_values(["cv_accuracy_mean", "cv_log_loss_mean"], ascending=[False, True])


def grid_heat_map(runs: Sequence[Run]) -> Figure:
    """Cross-validated accuracy of every candidate: number of trees across, everything else down."""
    cells = pd.DataFrame(
        {
            "trees": int(run.data.params.get("n_estimators", 100)),
            "rest": _rest(run),
            "accuracy": run.data.metrics["cv_accuracy_mean"],
        }
        for run in runs
    ).pivot(index="rest", columns="trees", values="accuracy")
    figure = Figure(figsize=(2.5 + 1.1 * len(cells.columns), 1.5 + 0.35 * len(cells)), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(cells.to_numpy(), aspect="auto", cmap="viridis")
    axes.set_xticks(range(len(cells.columns)), [str(trees) for trees in cells.columns])
    axes.set_yticks(range(len(cells)), list(cells.index))
    axes.set(title="Cross-validated accuracy", xlabel="n_estimators")
    middle = np.nanmean(cells.to_numpy())
    for (row, column), value in np.ndenumerate(cells.to_numpy()):
        colour = "black" if value > middle else "white"
        axes.text(column, row, f"{value:.4f}", ha="center", va="center", color=colour, fontsize=8)
    figure.colorbar(image, ax=axes)
    return figure


def _rest(run: Run) -> str:
    rest = {name: json.loads(value) for name, value in run.data.params.items() if name != "n_estimators"}
    return "\n".join(f"{name}={value}" for name, value in sorted(rest.items())) or "defaults"


def confusion_matrix(model: RandomForestClassifier, data: Dataset) -> Figure:
    """Counts of true against predicted species on the hold-out."""
    figure = Figure(figsize=(5, 4.2), layout="constrained")
    axes = figure.subplots()
    ConfusionMatrixDisplay.from_predictions(
        data.labels[data.holdout],
        model.predict(data.features.iloc[data.holdout]),
        labels=range(len(SPECIES)),
        display_labels=SPECIES,
        cmap="Blues",
        colorbar=False,
        ax=axes,
    )
    axes.set_title(f"The best candidate on {len(data.holdout)} held-out penguins")
    return figure


def importances(model: RandomForestClassifier) -> Figure:
    """Mean decrease in impurity of each feature, with its standard deviation over the trees."""
    spread = np.std([tree.feature_importances_ for tree in model.estimators_], axis=0)
    figure = Figure(figsize=(5.5, 2.8), layout="constrained")
    axes = figure.subplots()
    axes.barh([feature.name for feature in FEATURES], model.feature_importances_, xerr=spread, color="#4878a8")
    axes.invert_yaxis()
    axes.set(title="Feature importances", xlabel="mean decrease in impurity")
    return figure
