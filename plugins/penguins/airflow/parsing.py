"""DAGs of the contracts, each for itself: one that can't be used becomes a DAG that says why, and harms no other."""

import re
from collections.abc import Callable
from typing import Any, Final

from airflow.sdk import dag, get_parsing_context, task

from contract.odcs import printable
from contract.schema import DataContract, Purpose, dag_id_of, free_name
from penguins import contracts
from penguins.airflow.task_errors import RETRIES, report_user_errors
from penguins.contracts import Contracts
from penguins.errors import UserError

REFUSED: Final = "read_contract"
"""The one task of the DAG of a contract that can't be used."""


def build_dags(build: Callable[[DataContract], Any], purpose: Purpose = "training") -> dict[str, Any]:
    """Return the DAGs of all contracts by their names or, at the start of a task, only that of its contract.

    Args:
        build: makes the DAG of one contract.
    """
    found = _parsed_contracts(purpose)
    broken, dags = dict(found.broken), {}
    for contract in found.good.values():
        try:
            dags[dag_id_of(contract.name, purpose)] = _build_checked(build, contract, purpose)
        except Exception as error:  # noqa: BLE001 - Airflow has errors of its own for each part, such as the schedule
            broken[contract.name] = f"the contract {contract.name}: {error}"
    for name, reason in broken.items():
        # The name of a file may have characters that a DAG's may not.
        dag_id = free_name(re.sub(r"[^A-Za-z0-9_.-]", "_", dag_id_of(name[:200], purpose)), set(dags))
        dags[dag_id] = _refused_dag(dag_id, purpose, reason)
    return dags


def _parsed_contracts(purpose: Purpose) -> Contracts:
    """Read all contracts or, at the start of a task, only the one of its DAG."""
    context = get_parsing_context()
    # A task that tells of a mistake reads all: it may be that two contracts have the same model.
    if context.dag_id is None or context.task_id == REFUSED:
        return contracts.read_all()
    name = context.dag_id.removesuffix(dag_id_of("", purpose))
    try:
        return Contracts({name: contracts.find(name)}, {})
    except UserError as error:
        return Contracts({}, {name: str(error)})


def _build_checked(build: Callable[[DataContract], Any], contract: DataContract, purpose: Purpose) -> Any:
    training = contract.training
    if purpose == "training" and training.schedule and not training.source:
        raise UserError(f"its schedule {training.schedule!r} needs a source. Name one, or leave the schedule out.")
    made = build(contract)
    # A refusal by Airflow later would be an import error of the whole file.
    try:
        getattr(made.timetable, "timetable", made.timetable).validate()  # by time, where assets count, too
    except Exception as error:
        raise UserError(f"its schedule {training.schedule!r} can't be used: {error}") from error
    made.validate()
    return made


def _refused_dag(dag_id: str, purpose: Purpose, reason: str) -> Any:
    # Airflow's database refuses some characters, such as those of a file's name, and then all DAGs of the file.
    reason = "\n".join(map(printable, reason.splitlines()))
    # The contract may have become unusable during a run: then the task that starts now tells it.
    task_id = get_parsing_context().task_id or REFUSED

    @dag(
        dag_id=dag_id,
        schedule=None,
        catchup=False,
        max_active_runs=1,
        default_args={"owner": "penguins", **RETRIES},
        doc_md=f"### The contract can't be used\n\n{_indented(reason)}\n",
        tags=[purpose, "broken"],
        auto_register=False,
    )
    def refused() -> None:
        @task(task_id=task_id)
        @report_user_errors
        def read_contract() -> None:
            """Fail with the mistakes of the contract."""
            raise UserError(reason)

        read_contract()

    return refused()


def _indented(text: str) -> str:
    """Return a text as a block of code in Markdown."""
    return "\n".join(f"    {line}" for line in text.splitlines())


def describe(doc: str, contract: DataContract) -> str:
    """Return the documentation of a contract's DAG: `doc` with its names in place of {raw}, {model} and the others."""
    training = contract.training
    return doc.format(
        title=title_of(contract),
        target=contract.target.title or contract.target.name,
        raw=contract.table("raw"),
        processed=contract.table("processed"),
        rejected=contract.table("rejected"),
        experiment=training.experiment,
        model=training.registered_model,
        scored=contract.table("scored"),
        alarm=f"{contract.name}_alarm",
        training=contract.dag_id,
        monitoring=dag_id_of(contract.name, "monitoring"),
        schedule=" (`PENGUINS_SCHEDULE`)" if contract.name == contracts.DEFAULT else "",
    )


def title_of(contract: DataContract) -> str:
    """Return the name of a contract for people to read."""
    return contract.title or contract.name.capitalize()
