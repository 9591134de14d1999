"""Fixtures for every test, and the hooks that order and clean up a run of the suite."""

import gc
import shutil
import signal
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from threadpoolctl import threadpool_limits

from local import ports
from local.clients.mlflow import Mlflow
from local.settings import REPO
from local.stack import Stack
from tests import logs, order, run, schedules, stacks
from tests.commands import command
from tests.e2e.deployment import Made
from tests.receiver import Receiver, receiving

# Fixtures that start programs. `make test-fast` skips tests with one of these fixtures or the mark `programs`.
PROGRAMS = {"stack", "whole", "small", "small_database", "log_stack", "server", "compose", "waiting", "cached"}
STARTED_AT = pytest.StashKey[float]()
WHOLE = pytest.StashKey[Stack]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option of `make test-fast`."""
    parser.addoption("--fast", action="store_true", help="only the tests that start no program of the stack")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Begin the run in the main process. SIGTERM ends a run as Ctrl-C does."""
    gc.disable()  # a fifth of the collection would go into looking for garbage among what is imported, and stays
    # SIGINT too, because a shell ignores it for background jobs
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    if worker := getattr(config, "workerinput", None):  # two processes would choose the same port now and then
        ports.FREE_RANGE = ports.FREE_RANGE[int(worker["workerid"].removeprefix("gw")) :: worker["workercount"]]
    else:
        reaper = run.begin()
        config.add_cleanup(lambda: run.end(reaper))
        config.option.basetemp = config.option.basetemp or run.folder() / "pytest"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> order.Scheduling:
    """Distribute the tests by groups."""
    return order.Scheduling(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the longest groups first; with `--fast` deselect tests that start programs."""
    items.sort(key=order.rank)
    if config.getoption("fast"):
        stacks.forbid()
        slow = [item for item in items if starts_programs(item)]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]


def pytest_collection_finish() -> None:
    """Look for garbage again, but never among what was imported."""
    gc.freeze()
    gc.enable()


def starts_programs(item: pytest.Item) -> bool:
    """Return whether a test starts a program of the stack, itself or by a fixture."""
    return bool(PROGRAMS & set(getattr(item, "fixturenames", ())) or item.get_closest_marker("programs"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Record the start of a test."""
    item.stash[STARTED_AT] = logs.now()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to a failed test the log lines of the programs since its start."""
    report = yield
    if report.failed:
        arguments = getattr(item, "funcargs", {})
        own = [arguments["tmp_path"]] if "tmp_path" in arguments else []
        report.sections += [(f"end of {path}", text) for path, text in logs.since(item.stash[STARTED_AT], *own)]
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Start the whole stack again if a test needs it after the end of its group, as in a random order."""
    whole = item.config.stash.get(WHOLE, None)
    if whole and "whole" in getattr(item, "fixturenames", ()) and not whole.is_running():
        whole.up()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    """Stop the whole stack after the last test of its group: idle it takes a third of a processor."""
    result = yield
    whole = item.config.stash.get(WHOLE, None)
    if whole and order.ends("whole", item, nextitem):
        whole.down()
    return result


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Let numerical libraries work with one thread: on a busy machine several spin while they wait for each other."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """PostgreSQL, S3 and MLflow, until the end of the run. Tests start other programs of the stack themselves."""
    stack = stacks.copy(tmp_path_factory.mktemp("stack"))
    stack.up("mlflow")
    return stack


@pytest.fixture(scope="session")
def contracts_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the whole stack's contracts, with that of the penguins."""
    folder = tmp_path_factory.mktemp("contracts")
    shutil.copy(REPO / "contracts" / "penguins.yaml", folder)
    return folder


@pytest.fixture(scope="session")
def receiver() -> Iterator[Receiver]:
    """The receiver of the whole stack's notices."""
    with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def whole(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory, contracts_folder: Path, receiver: Receiver
) -> Iterator[Stack]:
    """The whole stack. A test that stops or kills a program starts it again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PENGUINS_CONTRACTS_DIR", str(contracts_folder))
        patch.setenv("PENGUINS_RETRY_SECONDS", "3")
        patch.setenv("PENGUINS_MONITORING_WINDOW", "31d")  # requests of tests must not raise alarms at the full hour
        patch.setenv("PENGUINS_SCHEDULE", schedules.far_off())
        patch.setenv("PENGUINS_NOTIFY_URL", receiver.url)
        for what in ("RUN", "HISTORY", "TASK_LOG"):
            patch.setenv(f"PENGUINS_{what}_RETENTION_DAYS", "3650")  # longer than anything of a test is old
        patch.setenv("PYTHONDONTWRITEBYTECODE", "1")  # some shells set this variable; the programs must not inherit it
        with stacks.copy(tmp_path_factory.mktemp("whole")).running() as running:
            pytestconfig.stash[WHOLE] = running
            yield running


@pytest.fixture(scope="session")
def made(whole: Stack) -> Made:
    """The first run of the DAG on the whole stack, by `make run`."""
    done = command(whole.config.settings, "run")
    assert done.returncode == 0, done.stdout + done.stderr
    return Made.read(done.stdout, Mlflow(whole.urls["mlflow"]))
