"""The asset by whose events alarms start a training, and the schedule of a training."""

from typing import Any

from airflow.sdk import DAG, Asset, AssetOrTimeSchedule

from contract.schema import DataContract


def alarm_asset(contract: DataContract) -> Asset:
    """Return the asset of a contract whose events are alarms; `extra` has their numbers and reasons."""
    return Asset(name=f"{contract.name}_alarm")


def training_schedule(contract: DataContract) -> Any:
    """Return when a contract's model is trained: at the times of the contract and for alarms, if it wants these.

    A run by an event has no parameters of its own, so there must be a source.
    """
    rules = contract.training
    if not contract.monitoring.retrain or not rules.source:
        return rules.schedule or None
    asset = alarm_asset(contract)
    if not rules.schedule:
        return [asset]
    by_time: Any = DAG(contract.dag_id, schedule=rules.schedule).timetable
    return AssetOrTimeSchedule(timetable=by_time, assets=[asset])
