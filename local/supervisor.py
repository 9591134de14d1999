"""Configuration, start and XML-RPC interface of supervisord."""

import http.client
import os
import shlex
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from xmlrpc.client import Fault, ServerProxy

from supervisor.states import getProcessStateDescription
from supervisor.xmlrpc import Faults, SupervisorTransport

from local import environment
from local.config import Config
from local.credentials import write_private
from local.errors import StackError
from local.programs import Program
from local.waiting import until

_LOG_LIMITS = {"maxbytes": "10MB", "backups": "2"}


@dataclass(frozen=True)
class ProcessState:
    """State of one program in supervisord; `started` is a Unix time in seconds."""

    name: str
    state: str
    pid: int
    started: int
    exit_status: int
    trouble: str

    @property
    def alive(self) -> bool:
        """True if the program has a process."""
        return self.pid != 0


class Supervisor:
    """The supervisord of one stack."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def running(self) -> bool:
        """Return whether supervisord answers; a socket left by a crash isn't enough."""
        if not self._config.layout.socket.exists():
            return False
        try:
            self._rpc().getState()
        except (ConnectionError, http.client.HTTPException):
            return False
        return True

    def launch(self, programs: Iterable[Program]) -> None:
        """Start supervisord in the background, without starting programs. Raises StackError."""
        self._config.layout.create_run()
        conf = self._config.layout.supervisor_conf
        write_private(conf, configuration(self._config, programs))
        command = (sys.executable, "-m", "supervisor.supervisord", "-c", str(conf))
        result = subprocess.run(
            command,
            env=environment.inherited(self._config),
            cwd=self._config.layout.state,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if result.returncode != 0:
            raise StackError(f"supervisord didn't start: {result.stderr.strip() or result.stdout.strip()}")

    def pid(self) -> int:
        """Return the process id of supervisord."""
        return int(self._rpc().getPID())

    def shut_down(self) -> None:
        """Request that supervisord stop every program and itself; doesn't wait for the end."""
        self._rpc().shutdown()

    def states(self) -> dict[str, ProcessState]:
        """Return the state of each program by its name."""
        return {info["name"]: _state(info) for info in self._rpc().getAllProcessInfo()}

    def state(self, name: str) -> ProcessState:
        """Return the state of one program."""
        return _state(self._rpc().getProcessInfo(name))

    def start(self, name: str) -> None:
        """Start a program unless it is running; doesn't wait until it is ready. Raises StackError."""
        try:
            self._rpc().startProcess(name, False)
        except Fault as fault:
            if fault.faultCode != Faults.ALREADY_STARTED:
                raise StackError(f"{name} can't be started: {fault.faultString}") from fault

    def stop(self, *names: str) -> None:
        """Stop those of the programs that are running, and wait until they have ended. Raises StackError."""
        for name in names:
            try:
                self._rpc().stopProcess(name, False)  # it would wait in a loop that takes a whole processor
            except Fault as fault:
                if fault.faultCode != Faults.NOT_RUNNING:
                    raise StackError(f"{name} can't be stopped: {fault.faultString}") from fault
        until(lambda: self._ended(names), f"the end of {', '.join(names)}")

    def _ended(self, names: Iterable[str]) -> bool:
        states = self.states()
        return not any(states[name].alive for name in names)

    def _rpc(self) -> Any:
        # A proxy isn't thread-safe, so each call has its own; a connection to a local socket is cheap.
        transport = SupervisorTransport(serverurl=f"unix://{self._config.layout.socket}")
        return ServerProxy("http://localhost", transport=transport).supervisor


def _state(info: dict[str, Any]) -> ProcessState:
    return ProcessState(
        name=info["name"],
        state=getProcessStateDescription(info["state"]),
        pid=info["pid"],
        started=info["start"],
        exit_status=info["exitstatus"],
        trouble=info["spawnerr"],
    )


def configuration(config: Config, programs: Iterable[Program]) -> str:
    """Return the text of supervisord.conf, with passwords. Raises StackError for a value that can't be escaped."""
    layout = config.layout
    sections = {
        "supervisord": {
            "logfile": str(layout.log("supervisord")),
            **{f"logfile_{limit}": value for limit, value in _LOG_LIMITS.items()},
            "pidfile": str(layout.state / "supervisord.pid"),
            "childlogdir": str(layout.logs),
            "umask": "077",
            **({"user": "root"} if os.geteuid() == 0 else {}),  # without it supervisord warns root at every start
        },
        "unix_http_server": {"file": str(layout.socket), "chmod": "0600"},
        "rpcinterface:supervisor": {
            "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
        },
    }
    for priority, program in enumerate(programs):
        sections[f"program:{program.name}"] = _section(config, program) | {"priority": str(priority)}
    lines: list[str] = []
    for title, options in sections.items():
        lines += [f"[{title}]", *(f"{name} = {_escaped(value)}" for name, value in options.items()), ""]
    return "\n".join(lines)


def _section(config: Config, program: Program) -> dict[str, str]:
    restart = {"autorestart": "false", "startsecs": "0"} if program.once else {"autorestart": "true", "startsecs": "5"}
    return {
        "command": shlex.join(program.command),
        "directory": str(program.directory),
        "environment": ",".join(f"{name}={_quoted(value)}" for name, value in program.environment.items()),
        "autostart": "false",
        **restart,
        "startretries": "10",
        "stopsignal": program.stop_signal,
        # PostgreSQL stops its own processes in the right order; other programs may leave some running.
        "stopasgroup": str(program.stop_signal == "TERM").lower(),
        "killasgroup": "true",
        "stopwaitsecs": "20",
        "redirect_stderr": "true",
        "stdout_logfile": _escaped(str(config.layout.log(program.name))),  # supervisord expands this option twice
        **{f"stdout_logfile_{limit}": value for limit, value in _LOG_LIMITS.items()},
    }


def _quoted(value: str) -> str:
    """Quote a value for supervisor's `environment` option, which has both quotes but no escape."""
    if "'" not in value:
        return f"'{value}'"
    if '"' not in value:
        return f'"{value}"'
    raise StackError(f"supervisord can't be given a value with both kinds of quotes: {value}")


def _escaped(value: str) -> str:
    if "\n" in value or " ;" in value or " #" in value:
        raise StackError(f"supervisord can't be given a path with a line break, ' ;' or ' #': {value}")
    return value.replace("%", "%%")
