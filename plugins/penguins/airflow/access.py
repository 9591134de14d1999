"""Access to the page by Airflow's permissions: reading the DAG's runs allows to look, starting them to change."""

from typing import Annotated, Final

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from fastapi import Depends

DAG: Final = "penguins_training"

READER: Final = Depends(requires_access_dag("GET", DagAccessEntity.RUN, DAG))
WRITER: Final = Depends(requires_access_dag("POST", DagAccessEntity.RUN, DAG))


def _may_change(user: GetUserDep) -> bool:
    return get_auth_manager().is_authorized_dag(
        method="POST", access_entity=DagAccessEntity.RUN, details=DagDetails(id=DAG), user=user
    )


def _user_name(user: GetUserDep) -> str:
    return user.get_name()


MayChange = Annotated[bool, Depends(_may_change)]
"""Whether the user may promote and roll back."""

UserName = Annotated[str, Depends(_user_name)]
"""Name of the user, for the audit trail."""
