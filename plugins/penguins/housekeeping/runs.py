"""Runs in MLflow that nothing needs any more: find them, and delete them with their models and files."""

import logging
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Final

from mlflow.entities import LifecycleStage, Run, RunStatus, ViewType
from psycopg import Connection

from contract.schema import DataContract
from penguins.housekeeping import named, tracking_server
from penguins.housekeeping.named import Named
from penguins.locks import exclusive_lock
from penguins.promotion import production
from penguins.training import tracking
from penguins.training.candidate_runs import REFIT_OF
from penguins.training.tracking import CANDIDATE, DAG_RUN, PARENT, ROLE, SUPERSEDED, client

log = logging.getLogger(__name__)

YOUNG, ACTIVE, LATEST = "younger", "of a DAG run that hasn't ended", "of the latest DAG run"
VERSION, TRAIL, PARENT_OF = "named by a version", "named by the audit trail", "parents of runs that stay"

NONE: Final[Counter[str]] = Counter()

_PAGE: Final = 1000
_OURS: Final = (PARENT, CANDIDATE, SUPERSEDED)


@dataclass(frozen=True)
class Logged:
    """A run that the pipeline has logged.

    Attributes:
        named_by: ids by which something else may name it: its own, and those of its models.
        refit_of: the run of the candidate that it was fitted again for.
    """

    id: str
    dag_run_id: str
    role: str
    is_running: bool
    is_deleted: bool
    last_at: datetime
    named_by: frozenset[str]
    refit_of: str

    @classmethod
    def of(cls, run: Run) -> "Logged":
        """Take what counts of a run."""
        tags, info = run.data.tags, run.info
        models = [each.model_id for each in run.outputs.model_outputs] if run.outputs else []
        deleted = info.lifecycle_stage == LifecycleStage.DELETED
        return cls(
            id=info.run_id,
            dag_run_id=tags.get(DAG_RUN, ""),
            role=tags.get(ROLE, ""),
            is_running=not deleted and not RunStatus.is_terminated(RunStatus.from_string(info.status)),
            is_deleted=deleted,
            last_at=datetime.fromtimestamp(max(info.start_time or 0, info.end_time or 0) / 1000, UTC),
            named_by=frozenset({info.run_id, *models}),
            refit_of=tags.get(REFIT_OF, ""),
        )


@dataclass(frozen=True)
class Plan:
    """Runs of an experiment that may go, and the numbers of those that stay, by the reason.

    Attributes:
        models: the registered models of the contracts whose runs they are.
        going: by DAG run; children come before their parents.
    """

    experiment: str
    models: tuple[str, ...]
    going: dict[str, list[Logged]]
    staying: Counter[str]

    @property
    def run_ids(self) -> list[str]:
        """Return the ids of the runs that may go."""
        return [run.id for runs in self.going.values() for run in runs]


def experiments(contracts: Iterable[DataContract]) -> dict[str, tuple[str, ...]]:
    """Return the names of the contracts' experiments, with the registered models that their runs become versions of."""
    found: dict[str, set[str]] = defaultdict(set)
    for contract in contracts:
        found[contract.training.experiment].add(contract.training.registered_model)
    return {experiment: tuple(sorted(models)) for experiment, models in found.items()}


def plan(name: str, models: tuple[str, ...], before: datetime, names: Named, active: Collection[str]) -> Plan:
    """Find the runs of an experiment that may go.

    Args:
        name: of the experiment.
        before: runs of a DAG run that has one from this time on, or later, stay.
        active: ids of DAG runs that haven't ended.

    Raises:
        UserError: the experiment was deleted, or keeps its files elsewhere.
    """
    found = Plan(name, models, {}, Counter())
    experiment = tracking.find_experiment(name)
    runs = sorted(_logged(experiment), key=lambda run: run.dag_run_id) if experiment else []
    latest = max((run for run in runs if run.role == PARENT), key=lambda run: run.last_at, default=None)
    for dag_run_id, each in groupby(runs, key=lambda run: run.dag_run_id):
        family = list(each)
        if latest is not None and dag_run_id == latest.dag_run_id:
            reason = LATEST
        elif dag_run_id in active or any(run.is_running for run in family):
            reason = ACTIVE
        elif any(run.last_at >= before for run in family):
            reason = YOUNG
        elif dag_run_id in names.whole:
            reason = TRAIL
        else:
            going, staying = split(family, names)
            found.staying.update(staying.values())
            if going:
                found.going[dag_run_id] = going
            continue
        found.staying[reason] += len(family)
    return found


def split(family: Sequence[Logged], names: Named) -> tuple[list[Logged], dict[str, str]]:
    """Return those of a DAG run's runs that may go, the children first, and why the others stay, by their ids."""
    staying = {run.id: VERSION for run in family if run.named_by & names.ids}
    staying |= {run.refit_of: VERSION for run in family if run.id in staying and run.refit_of}
    staying = {run.id: VERSION for run in family if run.id in staying}
    for run in family:
        if run.role == PARENT and run.id not in staying:
            if staying:
                staying[run.id] = PARENT_OF
            elif run.dag_run_id in names.decided:
                staying[run.id] = TRAIL
    return sorted((run for run in family if run.id not in staying), key=lambda run: run.role == PARENT), staying


def delete(connection: Connection[Any], found: Plan) -> int:
    """Delete the runs of a plan for good, and return their number.

    Those of each DAG run are looked at again, under the lock of what registers and promotes. What an interrupted call
    leaves, the next one finds: runs that are deleted in MLflow's sense only.
    """
    deleted = 0
    for dag_run_id, runs in found.going.items():
        with ExitStack() as locks:
            for model in found.models:  # in one order everywhere
                locks.enter_context(exclusive_lock(connection, production.lock_name(model)))
            names = named.read(connection)
            going = [] if dag_run_id in names.whole else split(runs, names)[0]
            if len(going) < len(runs):  # with one of them its parent stays
                going = [run for run in going if run.role != PARENT]
            for run in going:
                if not run.is_deleted:
                    client().delete_run(run.id)
            kept = tracking_server.purge([run.id for run in going])
        for run_id, reason in kept.items():
            log.warning("the run %s of %s stays: %s", run_id, dag_run_id, reason)
        deleted += len(going) - len(kept)
        log.info("%s: %d runs deleted", dag_run_id, len(going) - len(kept))
    return deleted


def _logged(experiment: str) -> Iterator[Logged]:
    """Yield the runs that the pipeline has logged in an experiment. What people have logged by hand isn't ours."""
    for run in _runs(experiment):
        if run.role in _OURS and run.dag_run_id:
            yield run


def _runs(experiment: str) -> Iterable[Logged]:
    token = None
    while True:
        page = client().search_runs([experiment], run_view_type=ViewType.ALL, max_results=_PAGE, page_token=token)
        yield from map(Logged.of, page)
        token = page.token
        if not token:
            return
