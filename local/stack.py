"""Start and stop a whole stack or a part of it, in the order of dependencies.

See the package's docstring for its use in tests.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

import psutil

from local import environment, postgres, seaweed, upgrade, version
from local.config import Config
from local.credentials import write_private
from local.errors import StackError
from local.orphans import stop_orphans
from local.ports import conflict
from local.programs import Program, all_programs, with_needs
from local.settings import Settings
from local.starting import Report, Starter, quiet
from local.supervisor import ProcessState, Supervisor

_STOP_TIMEOUT = 60  # seconds for supervisord to end


class Stack:
    """The programs of one state directory. Every method that starts or stops may raise StackError."""

    def __init__(self, settings: Settings) -> None:
        self.config = Config.of(settings)
        self.programs = all_programs(self.config)
        self._supervisor = Supervisor(self.config)
        self.upgraded: str | None = None
        """Report of what `up` has done to a state of an older version."""

    @property
    def urls(self) -> dict[str, str]:
        """Base URLs: airflow-api-server, mlflow, api, s3, s3-console."""
        return self.config.urls

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables of the pipeline's tasks."""
        return environment.tasks(self.config)

    def is_running(self) -> bool:
        """Return whether the stack was started; its programs may have ended since."""
        return self._supervisor.running()

    def states(self) -> dict[str, ProcessState]:
        """Return the state of each program; empty if the stack is down."""
        return self._supervisor.states() if self.is_running() else {}

    def up(self, *names: str, report: Report = quiet) -> bool:
        """Start the named programs, or all, with their dependencies, and wait until they are ready.

        Returns False if all were ready already.
        """
        required = with_needs(self.programs, names or tuple(self.programs))
        with self.config.locked():
            version.check(self.config.layout)
            if self.is_running():
                version.check_running(self.config.layout)
                self._check_settings()
                self._check_programs(required)
            else:
                self._launch(required)
            starter = Starter(self.config, self._supervisor, report)
            changed = starter.start(required)
            self.upgraded = upgrade.tell(self.config, starter.migrated)
            return changed

    def down(self) -> bool:
        """Stop everything; the state stays. Returns False if no program was running."""
        with self.config.locked():
            if not self.is_running():
                return self._clear_up() > 0
            process = psutil.Process(self._supervisor.pid())
            # Clients first, in parallel; supervisord itself would stop one program after the other.
            running = self._supervisor.states()  # a stack of an older version may lack some programs
            known = [program for name, program in self.programs.items() if name in running]
            self._supervisor.stop(*(program.name for program in known if program.needs))
            self._supervisor.stop(*(program.name for program in known if not program.needs))
            self._supervisor.shut_down()
            process.wait(_STOP_TIMEOUT)
            self._clear_up()
            return True

    def start(self, name: str) -> None:
        """Start one program of a running stack with its dependencies, and wait until it is ready."""
        Starter(self.config, self._supervisor, quiet).start(with_needs(self.programs, (name,)))

    def stop(self, name: str) -> None:
        """Stop one program of a running stack, and wait until it has ended."""
        self._supervisor.stop(name)

    @contextmanager
    def running(self, *names: str) -> Iterator[Self]:
        """Run the named programs, or all, with their dependencies, during the block."""
        try:
            self.up(*names)
            yield self
        finally:
            self.down()

    def _clear_up(self) -> int:
        """Stop orphans and remove sockets of the last run; returns the number of stopped processes."""
        stopped = stop_orphans(self.config)
        seaweed.remove_sockets(self.config)
        self.config.layout.remove_run()
        return stopped

    def _launch(self, required: list[Program]) -> None:
        self._clear_up()
        check_ports(self.config, required)
        if "init-db" in (program.name for program in required):
            version.begin(self.config.layout)
        seaweed.prepare(self.config)
        self.programs = all_programs(self.config)
        postgres.initialise(self.config)
        passwords = json.dumps({"admin": self.config.credentials.airflow_password})
        write_private(self.config.layout.airflow_passwords, passwords)
        self._supervisor.launch(self.programs.values())
        self.config.layout.started_with.write_text(self.config.settings.model_dump_json())

    def _check_settings(self) -> None:
        running = Settings.model_validate_json(self.config.layout.started_with.read_text())
        for variable, port in running.ports.items():
            # JupyterLab isn't one of the programs: `lab` starts and stops it
            if variable != "LAB_PORT" and self.config.settings.ports[variable] != port:
                raise StackError(
                    f"the stack is running with {variable}={port}, not {self.config.settings.ports[variable]}; "
                    "stop it first (make down)"
                )

    def _check_programs(self, required: list[Program]) -> None:
        running = self._supervisor.states()
        if missing := [program.name for program in required if program.name not in running]:
            raise StackError(
                f"the running stack is of an older version, which has no {' and no '.join(missing)}; "
                "stop it first (make down)"
            )


def check_ports(config: Config, programs: list[Program]) -> None:
    """Raise StackError with every port of the programs that another process holds."""
    ports = config.settings.ports
    console = ports["S3_CONSOLE_PORT"]
    needed = {
        "postgres": [("POSTGRES_PORT", ports["POSTGRES_PORT"])],
        "s3": [
            ("S3_PORT", ports["S3_PORT"]),
            ("S3_CONSOLE_PORT", console),
            ("S3_CONSOLE_PORT", console + seaweed.CONSOLE_GRPC_OFFSET),
        ],
        "mlflow": [("MLFLOW_PORT", ports["MLFLOW_PORT"])],
        "airflow-api-server": [("AIRFLOW_PORT", ports["AIRFLOW_PORT"])],
        "api": [("API_PORT", ports["API_PORT"])],
    }
    taken = [
        trouble
        for program in programs
        for variable, port in needed.get(program.name, [])
        if (trouble := conflict(variable, port))
    ]
    if taken:
        raise StackError("\n".join(taken))
