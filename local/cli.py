"""The commands of `python -m local`."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, ParamSpec

import typer
from pydantic import ValidationError
from rich.console import Console

from backup.errors import BackupError
from backup.schedule import LOWEST
from local import environment
from local.clients.airflow import Airflow
from local.clients.mlflow import Mlflow
from local.clients.service import Service
from local.contracts import DEFAULT, Contract, read_contract, serve, served_models
from local.errors import StackError
from local.lab import Lab
from local.logs import follow, tail
from local.pipeline import Pipeline
from local.progress import Progress
from local.report import plain
from local.settings import Settings
from local.stack import Stack
from local.status import addresses, status
from local.unsigned import unsigned_in_production, without_signature

app = typer.Typer(
    help="The embedded stack: Airflow, MLflow, PostgreSQL, S3 and the prediction service, without Docker.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_out = Console(highlight=False)
_err = Console(stderr=True, highlight=False)
_PATIENCE = 300.0  # seconds for which `run` follows its run while Airflow is in trouble

Parameters = ParamSpec("Parameters")


def _report_user_errors(command: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """Report a user's mistake or a StackError in one message, without a traceback."""

    @wraps(command)
    def wrapper(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except (BackupError, StackError, OSError) as error:  # OSError: an unwritable directory or a full disk
            _err.print(plain(str(error)), style="red", soft_wrap=True)
            raise typer.Exit(1) from error
        except ValidationError as error:
            for problem in error.errors():
                where = "_".join(str(part) for part in problem["loc"]).upper()
                given = f"{where}={problem['input']}: " if where else ""
                _err.print(
                    given + problem["msg"].removeprefix("Value error, "), style="red", markup=False, soft_wrap=True
                )
            raise typer.Exit(2) from error
        except KeyboardInterrupt as interrupt:
            raise typer.Exit(130) from interrupt

    return wrapper


@app.command()
@_report_user_errors
def up() -> None:
    """Start the stack and wait until every program is ready."""
    stack = Stack(Settings())
    _start(stack)
    _out.print()
    _out.print(addresses(stack))


@app.command()
@_report_user_errors
def down() -> None:
    """Stop the stack; its data stays."""
    settings = Settings()
    stopped = settings.state_dir.exists() and Stack(settings).down()
    _out.print("Stopped." if stopped else "The stack isn't running.")


@app.command(name="status")
@_report_user_errors
def show_status() -> None:
    """Show the programs with their state, uptime, memory and address."""
    _out.print(status(_running_stack()))


@app.command()
@_report_user_errors
def logs(
    program: Annotated[str | None, typer.Argument(help="The program; all of them when not given.")] = None,
    follow_: Annotated[bool, typer.Option("--follow", "-f", help="Print new lines as they are written.")] = False,
) -> None:
    """Show the last lines of the programs' logs."""
    settings = Settings()
    if not settings.state_dir.exists():
        raise StackError("there are no logs: the stack was never started")
    stack = Stack(settings)
    if program is not None and program not in stack.programs:
        raise StackError(f"there is no program {program}; there are: {', '.join(stack.programs)}")
    paths = [stack.config.layout.log(name) for name in ([program] if program else stack.programs)]
    for path in paths:
        _out.rule(str(path), align="left")
        _out.print(plain(tail(path)), soft_wrap=True)
    for line in follow(paths) if follow_ else ():
        _out.print(plain(line), soft_wrap=True)


@app.command()
@_report_user_errors
def clean(yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False) -> None:
    """Stop the stack and delete its state: databases, models, logs and passwords."""
    settings = Settings()
    if not settings.state_dir.exists():
        _out.print("There is nothing to delete.")
        return
    stack = Stack(settings)
    if not yes and not typer.confirm(f"Delete {settings.state_dir} with all databases, models and passwords?"):
        _out.print("Nothing was deleted.")
        return
    stack.down()
    shutil.rmtree(settings.state_dir)
    _out.print(f"Deleted {settings.state_dir}.")


@app.command()
@_report_user_errors
def backup(
    to: Annotated[str, typer.Option(help="The folder of the archive; PENGUINS_BACKUP_DIR when not given.")] = "",
    keys: Annotated[bool, typer.Option("--keys", help="Put the keys into it, too.")] = False,
) -> None:
    """Back up databases, models, prediction log and contracts into one archive, while the stack runs."""
    from local.backups import back_up  # other commands don't wait for boto3

    settings = Settings()
    if not settings.state_dir.exists():
        raise StackError(f"there is nothing to back up: {settings.state_dir} doesn't exist")
    _end_in_order()
    os.nice(LOWEST)
    with Progress(_out) as progress:
        path = back_up(Stack(settings), Path(to).absolute() if to else settings.backup_dir, keys, progress)
    _out.print(f"\n{path} ({path.stat().st_size / 1e6:,.1f} MB)", soft_wrap=True, markup=False)
    if not keys:
        credentials = settings.state_dir / "credentials.json"
        _out.print(
            f"The keys aren't in it: keep a copy of {credentials} in another place, or make it with KEYS=1.",
            soft_wrap=True,
            markup=False,
        )


@app.command()
@_report_user_errors
def restore(
    source: Annotated[str, typer.Option("--from", help="The archive.")] = "",
    keys: Annotated[
        str,
        typer.Option(help="A credentials.json or .env with keys, or `new`; those in the archive when not given."),
    ] = "",
) -> None:
    """Restore a backup into an empty state directory; the stack isn't started."""
    from local.backups import restore as put_back

    if not source:
        raise StackError("say from what: make restore FROM=backups/penguins-….tar.gz")
    settings = Settings()
    _end_in_order()
    with Progress(_out) as progress:
        told = put_back(settings, Path(source).absolute(), keys, progress)
    _out.print()
    for line in told:
        _out.print(line, soft_wrap=True, markup=False)
    _out.print("Start it with: make up")


def _end_in_order() -> None:
    """Let SIGTERM end a command as Ctrl-C does, which leaves nothing half done."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@app.command()
@_report_user_errors
def run(contract: Annotated[str, typer.Option(help="The contract to run.")] = DEFAULT) -> None:
    """Run the DAG of a contract once: train, register and predict. Starts the stack if necessary."""
    stack = Stack(Settings())
    chosen = read_contract(stack.config, contract or DEFAULT)
    serve(stack.config, chosen.model)
    _start(stack)
    _pipeline(stack, chosen).run()
    _out.print()
    _out.print(addresses(stack))


@app.command()
@_report_user_errors
def score(
    source: Annotated[str, typer.Option("--from", help="The rows: a file, an s3:// address or table:name.")] = "",
    contract: Annotated[str, typer.Option(help="The contract whose model scores them.")] = DEFAULT,
    table: Annotated[str, typer.Option(help="The table for the result; the contract's when not given.")] = "",
) -> None:
    """Score the rows of a source with the model in Production, into a table."""
    if not source:
        raise StackError("say from what: make score FROM=file.csv")
    stack = _running_stack()
    path = Path(source)
    pipeline = _pipeline(stack, read_contract(stack.config, contract or DEFAULT))
    pipeline.score(str(path.absolute()) if path.exists() else source, table)


def _pipeline(stack: Stack, contract: Contract) -> Pipeline:
    urls, password = stack.urls, stack.config.credentials.airflow_password
    airflow = Airflow(urls["airflow-api-server"], "admin", password, patience=_PATIENCE)
    service = Service(urls["api"], None if contract.name == DEFAULT else contract.model)
    return Pipeline(contract, airflow, Mlflow(urls["mlflow"]), service, _out)


@app.command()
@_report_user_errors
def lab() -> None:
    """Run JupyterLab with the notebook until Ctrl-C. Starts the stack if necessary."""
    stack = Stack(Settings())
    jupyter = Lab(stack.config)
    jupyter.check()
    _end_in_order()  # without it SIGTERM would leave JupyterLab running
    _start(stack)
    with jupyter.running() as process:
        _out.print(f"\nJupyterLab: {jupyter.url}", soft_wrap=True)
        _out.print("Ctrl-C ends it; the stack runs on until: make down")
        if process.wait() != 0:
            raise jupyter.failure(process)


@app.command(context_settings={"allow_extra_args": True, "allow_interspersed_args": False})
@_report_user_errors
def penguins(context: typer.Context) -> None:
    """Run `python -m penguins …` on the stack: models, promote, rollback, sign, predictions, labels and others."""
    command, arguments = context.args[:1], context.args[1:]
    try:
        config = _running_stack().config
        variables = environment.inherited(config) | environment.airflow(config) | environment.signing(config)
        if command == ["housekeeping"]:
            variables |= environment.housekeeping(config)
    except StackError:
        if command != ["check"]:
            raise
        # There is nothing to compare with, and a local file can be read without any program.
        arguments, variables = ["--offline", *arguments], os.environ | environment.library()
    done = subprocess.run([sys.executable, "-m", "penguins", *command, *arguments], env=variables)
    raise typer.Exit(done.returncode)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
@_report_user_errors
def contracts(context: typer.Context) -> None:
    """Run `python -m penguins.contracts …` on the stack, for a contract that is drafted from a table of it."""
    config = _running_stack().config
    variables = environment.inherited(config) | environment.airflow(config)
    done = subprocess.run([sys.executable, "-m", "penguins.contracts", *context.args], env=variables)
    raise typer.Exit(done.returncode)


def _start(stack: Stack) -> None:
    with Progress(_out) as progress:
        changed = stack.up(report=progress)
    if stack.upgraded:
        _out.print(plain(stack.upgraded), soft_wrap=True)
    if not changed:
        _out.print("The stack is running already.")
    mlflow, trusted_keys = Mlflow(stack.urls["mlflow"]), stack.config.credentials.trusted_keys
    for model in served_models(stack.config):
        if stack.upgraded and (left := without_signature(mlflow, model)):
            _out.print(plain(left), soft_wrap=True)
        if warning := unsigned_in_production(mlflow, model, trusted_keys):
            _err.print(plain(warning), style="yellow", soft_wrap=True)


def _running_stack() -> Stack:
    settings = Settings()
    if settings.state_dir.exists() and (stack := Stack(settings)).is_running():
        return stack
    raise StackError("the stack isn't running; start it with: make up")
