"""Access to the page by Airflow's permissions: reading a DAG's runs allows to look, starting them to change.

A request names the contract whose model it is about; the permissions are those for the contract's DAG.
"""

from typing import Annotated, Any, Final

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.base_auth_manager import ResourceMethod
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from fastapi import Depends, Query, Request

from contract.schema import DataContract, dag_id_of
from penguins import contracts

_Name = Annotated[str, Query(alias="contract", pattern="^[a-z][a-z0-9_]{0,40}$")]


def _require(method: ResourceMethod) -> Any:
    def check(request: Request, user: GetUserDep, name: _Name = contracts.DEFAULT) -> None:
        requires_access_dag(method, DagAccessEntity.RUN, dag_id_of(name))(request, user)

    return Depends(check)


READER: Final = _require("GET")
WRITER: Final = _require("POST")


def _may(method: ResourceMethod, user: GetUserDep, name: str) -> bool:
    return get_auth_manager().is_authorized_dag(
        method=method, access_entity=DagAccessEntity.RUN, details=DagDetails(id=dag_id_of(name)), user=user
    )


def _may_change(user: GetUserDep, name: _Name = contracts.DEFAULT) -> bool:
    return _may("POST", user, name)


def _readable(user: GetUserDep) -> list[str]:
    return [name for name in contracts.read_all().good if _may("GET", user, name)]


def _contract(name: _Name = contracts.DEFAULT) -> DataContract:
    return contracts.find(name)


def _user_name(user: GetUserDep) -> str:
    return user.get_name()


Chosen = Annotated[DataContract, Depends(_contract)]
"""The contract that the request names, or the default one."""

Readable = Annotated[list[str], Depends(_readable)]
"""Names of the contracts that the user may look at."""

MayChange = Annotated[bool, Depends(_may_change)]
"""Whether the user may promote and roll back."""

UserName = Annotated[str, Depends(_user_name)]
"""Name of the user, for the audit trail."""
