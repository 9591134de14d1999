"""A separate stack with trained versions, for the measurements of the service."""

from collections.abc import Iterator
from contextlib import contextmanager

from mlflow.entities.model_registry import ModelVersion

from benchmarks.own_stack import connect, load_penguins, own_stack
from local.stack import Stack
from penguins.data.contract import FEATURE_NAMES
from penguins.data.dataset import Dataset
from penguins.promotion import decisions
from penguins.promotion.registration import register_best
from penguins.registry import model_versions
from penguins.training.estimators import Grid
from penguins.training.training import grid_train, open_run

PENGUIN = dict(zip(FEATURE_NAMES, (39.1, 18.7, 181, 3750), strict=True))


@contextmanager
def trained_stack(versions: int) -> Iterator[tuple[Stack, list[ModelVersion]]]:
    """Run MLflow, PostgreSQL and S3 during the block, with registered forests of 100 trees; the first is promoted."""
    with own_stack() as stack:
        data = load_penguins()
        made = [_register(data, number) for number in range(versions)]
        promote(made[0])
        yield stack, made


def promote(version: ModelVersion) -> None:
    """Put a version in Production."""
    with connect() as connection:
        decisions.promote(connection, version, "the drill wants it", by="drill")


def _register(data: Dataset, number: int) -> ModelVersion:
    # grid_train needs at least twenty candidates; different grids give different forests.
    grid: Grid = {"n_estimators": [100], "min_samples_split": list(range(2, 22)), "max_depth": [4 + number]}
    name = f"made_{number}"
    grid_train(data, grid, 2, open_run(data, grid, 2, name, connect=connect), connect=connect)
    with connect() as connection:
        version = register_best(connection, data, name).version
    return model_versions.version(data.contract.training.registered_model, version)
