"""The programs of the stack: the command and the dependencies of each."""

import sys
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

from local import environment, postgres, seaweed
from local.config import Config
from local.ports import LOOPBACK
from local.settings import REPO


@dataclass(frozen=True)
class Program:
    """One program under supervision."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    directory: Path = REPO
    stop_signal: str = "TERM"
    once: bool = False
    """The program runs to its end at every start, and its dependents wait for the end."""
    once_for: str = ""
    """Together with `once`: run only once for this version."""


def all_programs(config: Config) -> dict[str, Program]:
    """Return every program by its name, in the order of dependencies."""
    own = [_postgres(config), _init_db(config), _s3(config), _mlflow(config), *_airflow(config)]
    programs = [*own, _api(config), _shipper(config), *_backup(config)]
    return {program.name: program for program in programs}


def with_needs(programs: dict[str, Program], names: tuple[str, ...]) -> list[Program]:
    """Return the named programs and their dependencies, in the order of `programs`. Raises KeyError if unknown."""
    required: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        required.add(name)
        pending.extend(programs[name].needs)
    return [program for program in programs.values() if program.name in required]


def _postgres(config: Config) -> Program:
    # SIGINT is PostgreSQL's fast shutdown; on SIGTERM the server waits for its clients.
    return Program("postgres", postgres.server_command(config), directory=config.layout.state, stop_signal="INT")


def _init_db(config: Config) -> Program:
    script = str(REPO / "init-db" / "apply.sh")
    variables = environment.init_db(config, str(postgres.BIN))
    return Program("init-db", ("/bin/sh", script), variables, needs=("postgres",), once=True)


def _s3(config: Config) -> Program:
    return Program("s3", seaweed.server_command(config), seaweed.variables(config), directory=config.layout.state)


def _mlflow(config: Config) -> Program:
    server = (sys.executable, str(REPO / "images" / "mlflow" / "run_server.py"), "--app-name", "penguins")
    return Program(
        "mlflow",
        (*server, "--host", LOOPBACK, "--workers", "1", "--port", str(config.settings.mlflow_port)),
        environment.mlflow(config),
        needs=("init-db", "s3"),
        directory=config.layout.state,
    )


def _airflow(config: Config) -> list[Program]:
    variables = environment.airflow(config)

    def program(name: str, *arguments: str) -> Program:
        command = (sys.executable, "-P", str(REPO / "images" / "airflow" / "run.py"), *arguments)
        return Program(name, command, variables, needs=("airflow-migrate",), directory=config.layout.airflow)

    migrate = program("airflow-migrate", "db", "migrate")
    scheduler = (sys.executable, str(REPO / "images" / "airflow" / "scheduler.py"), "--skip-serve-logs")
    own = variables | environment.signing(config) | environment.housekeeping(config)  # tasks are its processes
    # The log servers of the scheduler and the triggerer would listen on every interface. The API server
    # reads the same log files from disk, so the log servers stay off.
    return [
        replace(migrate, needs=("init-db",), once=True, once_for=version("apache-airflow")),
        program("airflow-api-server", "api-server"),
        replace(program("airflow-scheduler"), command=scheduler, environment=own),
        program("airflow-dag-processor", "dag-processor"),
        program("airflow-triggerer", "triggerer", "--skip-serve-logs"),
    ]


def _api(config: Config) -> Program:
    # No dependencies: the service starts from its cache and retries until MLflow answers.
    return Program("api", (sys.executable, "-m", "serving"), environment.serving(config))


def _backup(config: Config) -> list[Program]:
    settings = config.settings
    if not settings.backup_hours:
        return []
    command = (sys.executable, "-m", "local", "backup")
    schedule = (str(settings.backup_dir), str(settings.backup_hours), str(settings.backup_keep))
    return [
        Program(
            "backup",
            (sys.executable, "-m", "backup.schedule", *schedule, "--", *command),
            environment.backup(config),
            needs=("init-db", "s3"),
        )
    ]


def _shipper(config: Config) -> Program:
    return Program("shipper", (sys.executable, "-m", "shipper"), environment.shipper(config), needs=("init-db",))
