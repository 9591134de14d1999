"""Buttons on the tasks in Airflow's UI that lead to their results in MLflow."""

import functools
import logging
from collections.abc import Callable
from typing import Any

from airflow.providers.standard.decorators.python import _PythonDecoratedOperator
from airflow.sdk import BaseOperatorLink
from airflow.sdk.bases.decorator import TaskDecorator, task_decorator_factory

from contract.schema import DataContract
from penguins import contracts
from penguins.errors import UserError
from penguins.outages import describe_outage
from penguins.settings import settings

log = logging.getLogger(__name__)


def _empty_in_an_outage(get_link: Callable[..., str]) -> Callable[..., str]:
    """Make a link empty while MLflow can't be asked, with one line in the task's log instead of a stack trace."""

    @functools.wraps(get_link)
    def wrapped(self: BaseOperatorLink, operator: Any, *, ti_key: Any) -> str:
        try:
            return get_link(self, operator, ti_key=ti_key)
        except Exception as error:
            reason = str(error) if isinstance(error, UserError) else describe_outage(error)
            if reason is None:
                raise
            log.warning("the task has no link %r: %s", self.name, reason)
            return ""

    return wrapped


def _contract_of(key: Any) -> DataContract:
    """Return the contract that the DAG of a task trains on."""
    return contracts.find(key.dag_id.removesuffix("_training"))


class CandidatesLink(BaseOperatorLink):
    """Link to the runs of a DAG run's candidates."""

    name = "Candidates in MLflow"

    @_empty_in_an_outage
    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the address for a browser, empty while there are no runs."""
        from penguins.training import tracking

        del operator
        parent = tracking.find_parent(_contract_of(ti_key).training.experiment, ti_key.run_id)
        if parent is None:
            return ""
        return f"{settings().mlflow_ui}/#/experiments/{parent.info.experiment_id}/runs/{parent.info.run_id}"


class VersionLink(BaseOperatorLink):
    """Link to the version that a DAG run registered."""

    name = "Version in MLflow"

    @_empty_in_an_outage
    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the address for a browser, empty while there is no version."""
        from penguins.registry import model_versions
        from penguins.training import tracking

        del operator
        model = _contract_of(ti_key).training.registered_model
        made = model_versions.versions(model, f"tags.{tracking.DAG_RUN} = '{ti_key.run_id}'")
        return f"{settings().mlflow_ui}/#/models/{model}/versions/{made[0].version}" if made else ""


class _Training(_PythonDecoratedOperator):
    operator_extra_links = (CandidatesLink(),)


def training_task(function: Any = None, **settings: Any) -> TaskDecorator:
    """Decorate a task as Airflow's `@task` does, and add the link to the candidates."""
    return task_decorator_factory(function, decorated_operator_class=_Training, **settings)
