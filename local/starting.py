"""Start programs in parallel, in the order of their dependencies, and wait until each is ready."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from local.config import Config
from local.errors import StackError
from local.health import CHECKS
from local.logs import tail
from local.programs import Program
from local.supervisor import ProcessState, Supervisor

_TIMEOUT = 300.0  # seconds for one program; a first start on a slow disk takes long
_POLL = 0.3  # seconds
_ATTEMPTS = 3  # starts of a program that keeps ending by itself

Report = Callable[[str, str], None]
"""Takes a program's name and its new state: waiting, starting, ready or failed."""


def quiet(_name: str, _state: str) -> None:
    """Report nothing."""


class _AbortedError(StackError):
    """Another program failed, so the start of this one was given up."""


class Starter:
    """Starts programs under one supervisord."""

    def __init__(self, config: Config, supervisor: Supervisor, report: Report) -> None:
        self._config = config
        self._supervisor = supervisor
        self._report = report
        self._abort = threading.Event()
        self.migrated: list[str] = []
        """Programs that were run once for a new version, with it and the one before."""

    def start(self, programs: list[Program]) -> bool:
        """Start the programs that aren't ready. `programs` is in the order of dependencies.

        Returns False if all were ready already. Raises StackError with the log of the program that failed.
        """
        if all(self._is_ready(program) for program in programs):
            return False
        futures: dict[str, Future[None]] = {}
        with ThreadPoolExecutor(len(programs)) as pool:
            for program in programs:
                needs = [futures[name] for name in program.needs]
                futures[program.name] = pool.submit(self._start_after, program, needs)
            try:
                wait(futures.values())
            except KeyboardInterrupt:
                self._abort.set()  # the pool's exit would wait for every program otherwise
                raise
        errors = [error for future in futures.values() if (error := future.exception())]
        for error in sorted(errors, key=lambda error: isinstance(error, _AbortedError)):
            raise error
        return True

    def _is_ready(self, program: Program) -> bool:
        state = self._supervisor.state(program.name)
        if program.once:
            return self._is_done(program, state)
        return state.alive and CHECKS[program.name](self._config, state.started) is None

    def _start_after(self, program: Program, needs: list[Future[None]]) -> None:
        self._report(program.name, "waiting")
        for need in needs:
            if need.exception():
                raise _AbortedError(f"{program.name} wasn't started")
        try:
            self._start(program)
        except _AbortedError:
            raise
        except Exception:
            self._abort.set()
            self._report(program.name, "failed")
            raise
        self._report(program.name, "ready")

    def _start(self, program: Program) -> None:
        if self._is_ready(program):
            return
        self._report(program.name, "starting")
        self._supervisor.start(program.name)
        self._wait(program)
        if program.once_for:
            done = self._config.layout.done(program.name)
            if done.exists():
                self.migrated.append(f"{program.name} from {done.read_text()} to {program.once_for}")
            done.write_text(program.once_for)

    def _is_done(self, program: Program, state: ProcessState) -> bool:
        done = self._config.layout.done(program.name)
        if program.once_for and done.exists() and done.read_text() == program.once_for:
            return True
        return program.once and state.state == "EXITED" and state.exit_status == 0

    def _wait(self, program: Program) -> None:
        deadline = time.monotonic() + _TIMEOUT
        starts: set[int] = set()
        while True:
            state = self._supervisor.state(program.name)
            starts.add(state.started)
            waits_for = self._waits_for(program, state)
            if waits_for is None:
                return
            if state.state == "FATAL" or len(starts) > _ATTEMPTS:
                raise self._failure(program, state.trouble or "keeps ending by itself")
            if time.monotonic() > deadline:
                raise self._failure(program, f"isn't ready after {_TIMEOUT:.0f} s; it waits for: {waits_for}")
            if self._abort.wait(_POLL):
                raise _AbortedError(f"{program.name} wasn't waited for")

    def _waits_for(self, program: Program, state: ProcessState) -> str | None:
        if program.once:
            if state.state == "EXITED" and state.exit_status != 0:
                raise self._failure(program, f"ended with exit status {state.exit_status}")
            return None if state.state == "EXITED" else "its end"
        if not state.alive:
            return "its process"
        return CHECKS[program.name](self._config, state.started)

    def _failure(self, program: Program, reason: str) -> StackError:
        log = self._config.layout.log(program.name)
        return StackError(f"{program.name} {reason}\nLast lines of {log}:\n{tail(log)}")
