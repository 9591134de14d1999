"""What every test may use, and how a run of the suite is ordered and cleaned up."""

import signal
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from local.clients.mlflow import Mlflow
from local.stack import Stack
from tests import logs, order, run, stacks
from tests.commands import command
from tests.e2e.deployment import Made

# Fixtures that start programs. `make test-fast` leaves out the tests that use one, or are marked with `programs`.
PROGRAMS = {"stack", "whole", "small", "small_database", "server", "compose", "waiting"}
BEGAN = pytest.StashKey[float]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what `make test-fast` gives."""
    parser.addoption("--fast", action="store_true", help="only the tests that start no program of the stack")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Begin the run, in the process that was called; SIGTERM ends it as Ctrl-C does."""
    # SIGINT too: where a shell runs the tests in the background it is ignored
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    if not hasattr(config, "workerinput"):
        reaper = run.begin()
        config.add_cleanup(lambda: run.end(reaper))
        config.option.basetemp = config.option.basetemp or run.folder() / "pytest"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> order.Scheduling:
    """Deal the tests out by groups."""
    return order.Scheduling(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the longest groups first, and leave out what isn't fast if that is wished."""
    items.sort(key=order.rank)
    if config.getoption("fast"):
        slow = [item for item in items if starts_programs(item)]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]


def starts_programs(item: pytest.Item) -> bool:
    """Tell whether a test starts a program of the stack, itself or by a fixture."""
    return bool(PROGRAMS & set(getattr(item, "fixturenames", ())) or item.get_closest_marker("programs"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Note when a test begins."""
    item.stash[BEGAN] = logs.now()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failed test what the programs have logged since it began."""
    report = yield
    if report.failed:
        arguments = getattr(item, "funcargs", {})
        own = [arguments["tmp_path"]] if "tmp_path" in arguments else []
        report.sections += [(f"end of {path}", text) for path, text in logs.since(item.stash[BEGAN], *own)]
    return report


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """PostgreSQL, S3 and MLflow. Tests that need more of it start it themselves; it ends with the run."""
    stack = stacks.copy(tmp_path_factory.mktemp("stack"))
    stack.up("mlflow")
    return stack


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Every program. A test that stops or kills one leaves it ready again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PENGUINS_RETRY_SECONDS", "3")
        patch.setenv("PYTHONDONTWRITEBYTECODE", "1")  # as some shells have it; the programs must not
        with stacks.copy(tmp_path_factory.mktemp("whole")).running() as running:
            yield running


@pytest.fixture(scope="session")
def made(whole: Stack) -> Made:
    """The first run of the DAG on the whole stack, by `make run`."""
    done = command(whole.config.settings, "run")
    assert done.returncode == 0, done.stdout + done.stderr
    return Made.read(done.stdout, Mlflow(whole.urls["mlflow"]))
