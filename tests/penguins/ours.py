"""The penguins' contract with the experiment and the registered model of a test, and what is found by them."""

from mlflow.entities import Run

from contract.schema import DataContract
from penguins import contracts
from penguins.training import tracking


def contract() -> DataContract:
    """Return the contract."""
    return contracts.find(contracts.DEFAULT)


def model() -> str:
    """Return the name of the registered model."""
    return contract().training.registered_model


def find_parent(dag_run_id: str) -> Run | None:
    """Return the parent run of a DAG run, if there is one."""
    return tracking.find_parent(contract().training.experiment, dag_run_id)


def find_candidates(dag_run_id: str) -> list[Run]:
    """Return the candidates' runs of a DAG run, of any status."""
    parent = find_parent(dag_run_id)
    return tracking.find_candidates(parent) if parent else []
