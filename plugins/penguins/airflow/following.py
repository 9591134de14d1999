"""A training run that follows alarms."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

if TYPE_CHECKING:
    from psycopg import Connection

    from contract.schema import DataContract
    from penguins.monitoring.alarms import Alarm

log = logging.getLogger(__name__)


def begin(connection: Connection[Any], contract: DataContract, ids: Sequence[int] | None, run_id: str) -> list[Alarm]:
    """Note that a run follows alarms, each of which has one run, and return them; with `ids` None or empty none.

    Raises:
        AirflowSkipException: other runs follow all of them.
    """
    from penguins.monitoring import alarms

    if not ids:
        return []
    followed = alarms.follow(connection, contract, ids, run_id)
    if not followed:
        raise AirflowSkipException(f"the alarms {', '.join(map(str, ids))} have their training run already")
    for alarm in followed:
        log.info("this run follows %s", alarm)
    return followed
