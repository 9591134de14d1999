"""`python -m penguins`, as make models, make promote and make rollback call it."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from psycopg import Connection

import penguins.__main__ as commands
from contract.digests import sha256
from local import environment
from local.settings import REPO
from local.stack import Stack
from penguins.promotion import decisions
from penguins.settings import settings
from penguins.training.tracking import client
from tests.attacker import Attacker
from tests.contract.odcs.conftest import WINE
from tests.penguins.calling import call
from tests.penguins.conftest import made_up_version
from tests.receiver import receiving

Command = Callable[..., subprocess.CompletedProcess[str]]


def variables_of(stack: Stack) -> dict[str, str]:
    """Return what `make` gives to `python -m penguins`."""
    own = {"PENGUINS_MODEL_NAME": settings().model_name, "COLUMNS": "200"} | environment.signing(stack.config)
    return environment.inherited(stack.config) | environment.airflow(stack.config) | own


@pytest.fixture
def command(stack: Stack, mlflow: None, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Call the command in this process."""
    del mlflow

    def run(*arguments: str, answer: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        variables = variables_of(stack) | variables
        monkeypatch.setattr(commands.out, "width", int(variables["COLUMNS"]))
        return call(commands.main, *arguments, variables=variables, answer=answer)

    return run


@pytest.fixture
def program(stack: Stack, mlflow: None) -> Command:
    """Run the command as a program."""
    del mlflow

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-X", "importtime", "-m", "penguins", *arguments]
        return subprocess.run(command, env=variables_of(stack) | variables, capture_output=True, text=True)

    return run


@pytest.fixture
def make(stack: Stack, mlflow: None) -> Command:
    """Run `make …` on the stack, without updating this installation."""
    del mlflow
    config = stack.config.settings
    ports = {name: str(port) for name, port in config.ports.items()}
    own = {"PENGUINS_STATE_DIR": str(config.state_dir), "PENGUINS_MODEL_NAME": settings().model_name}
    command = ["make", "--no-print-directory", "--old-file=.venv/.installed-run", f"RUN={sys.executable} -m"]

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        variables = os.environ | ports | own | variables
        return subprocess.run([*command, *arguments], env=variables, cwd=REPO, capture_output=True, text=True)

    return run


def test_promote_models_and_rollback_change_and_show_production(command: Command, tmp_path: Path) -> None:
    none = f"{settings().model_name} has no version yet: a run of the DAG registers one.\n"
    shown = command("models").stdout
    assert shown.startswith("Nothing is in Production.\nWhat the service serves is unknown: http://")
    assert shown.endswith(none)
    for _ in range(2):
        made_up_version(tmp_path)
    for number in ("1", "2"):
        assert command("promote", number, "--reason", f"number {number}", "--by", "ada").stdout == (
            f"Version {number} is in Production.\n"
        )
    shown = command("models").stdout.splitlines()
    assert shown[0] == "Version 2 is in Production."
    assert next(line for line in shown[1:] if "Production" in line).split()[:2] == ["2", "Production"]
    assert any("ada" in line and "promote" in line and "number 1" in line for line in shown)
    assert command("rollback", "--reason", 'it\'s "worse"').stdout == "Version 1 is in Production again.\n"
    assert 'rolled back from version 2: it\'s "worse"' in command("models").stdout


def test_people_are_told_of_each_move(command: Command, tmp_path: Path) -> None:
    for _ in range(2):
        made_up_version(tmp_path)
    with receiving() as receiver, receiving(status=500) as refusing:
        for number in ("1", "2"):
            command("promote", number, "--reason", "seen", "--by", "ada", PENGUINS_NOTIFY_URL=receiver.url)
        moved = command("rollback", "--reason", "worse", "--by", "ada", PENGUINS_NOTIFY_URL=receiver.url)
        untold = command("promote", "2", "--reason", "again", PENGUINS_NOTIFY_URL=refusing.url)
    assert [notice["title"].removeprefix(f"{settings().model_name} ") for notice in receiver.notices] == [
        "version 1 was promoted",
        "version 2 was promoted",
        "version 1 is in Production again",
    ]
    assert receiver.notices[2]["message"].startswith("By ada: worse\nContract: penguins\nhttp://")
    assert (moved.returncode, moved.stdout, moved.stderr) == (0, "Version 1 is in Production again.\n", "")
    assert (untold.returncode, untold.stdout, len(refusing.notices)) == (0, "Version 2 is in Production.\n", 1)


def test_a_command_is_about_the_model_that_is_named(command: Command, make: Command, tmp_path: Path) -> None:
    made_up_version(tmp_path)
    (tmp_path / "wine.yaml").write_text(WINE)
    (tmp_path / "penguins.yaml").write_bytes((REPO / "contracts/penguins.yaml").read_bytes())
    folder = {"PENGUINS_CONTRACTS_DIR": str(tmp_path)}
    assert "wine has no version 1." in command("promote", "1", "--contract=wine", "--reason", "x", **folder).stderr
    assert "wine has no version 1." in make("promote", "CONTRACT=wine", "VERSION=1", "REASON=x", **folder).stderr
    assert "another has no version yet" in make("models", "MODEL=another", **folder).stdout
    assert "there is no contract 'beer'" in command("rollback", "--contract=beer", "--reason", "x", **folder).stderr
    assert make("promote", f"MODEL={settings().model_name}", "VERSION=1", "REASON=x").returncode == 0


def test_a_rollback_names_the_versions_that_it_passes_over(command: Command, tmp_path: Path) -> None:
    for number in ("1", "2", "3"):
        made_up_version(tmp_path)
        assert command("promote", number, "--reason", "next").returncode == 0
    client().set_model_version_tag(settings().model_name, "2", "signature", "no signature")
    first, second = command("rollback", "--reason", "worse", COLUMNS="1000").stdout.splitlines()
    assert first.startswith(f"Passed over version 2: {settings().model_name} version 2 isn't opened: ")
    assert second == "Version 1 is in Production again."


def test_reasons_are_shown_literally(command: Command, connection: Connection[Any], tmp_path: Path) -> None:
    first, second = (made_up_version(tmp_path) for _ in range(2))
    promoted = command("promote", first.version, "--reason", "[/b] [ticket 12] :bug:", "--by", "ada [sales]")
    assert promoted.returncode == 0
    reason = "[red]better\nthan[/x]\x1b[2J\x9b2J"
    decisions.refuse(connection, second, reason, "a run", {})
    client().set_model_version_tag(second.name, second.version, "reason", "forged")
    client().update_model_version(second.name, second.version, "a [bold] forest")
    shown = command("models", COLUMNS="400")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert not {"\x1b", "\x9b"} & set(shown.stdout)
    for text in ("[/b] [ticket 12] :bug:", "ada [sales]", "[red]better than[/x]�[2J�2J", "a [bold] forest"):
        assert text in shown.stdout
    assert "forged" not in shown.stdout


def test_what_others_have_written_is_no_order_to_the_terminal(
    command: Command, connection: Connection[Any], stack: Stack, tmp_path: Path
) -> None:
    made_up_version(tmp_path)
    connection.execute(
        """INSERT INTO audit.promotions (model, who, action, from_version, to_version, reason, numbers)
           VALUES (%s, 'ada', 'promote', %s, %s, 'why', '{}')""",
        [settings().model_name, "1\x1b[1A", "2\x9b2J"],
    )
    shown = command("models", COLUMNS="400").stdout
    assert "1�[1A" in shown
    assert not {"\x1b", "\x9b"} & set(shown)
    attacker = Attacker(stack.urls["mlflow"])
    place = {"name": f"of {tmp_path}", "artifact_location": f"s3://x/{tmp_path}\x1b[1A\x9b2J"}
    experiment = attacker.send("POST", "experiments/create", **place)["experiment_id"]
    made = attacker.send("POST", "logged-models", experiment_id=experiment, name="x")["model"]["info"]["model_id"]
    attacker.send("PATCH", f"logged-models/{made}", model_id=made, status="LOGGED_MODEL_READY")
    number = attacker.version(settings().model_name, made, {})
    refused = command("sign", number)
    assert (refused.returncode, "\\x1b[1A" in refused.stderr) == (1, True)
    assert not {"\x1b", "\x9b"} & set(refused.stderr)


def test_an_address_with_airflows_options_is_opened_by_airflow(program: Command, stack: Stack) -> None:
    address = stack.environment["AIRFLOW_CONN_PENGUINS_DB"]
    done = program("models", AIRFLOW_CONN_PENGUINS_DB=f"{address}?__extra__=%7B%22keepalives%22%3A%201%7D")
    imported = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    assert (done.returncode, done.stderr.splitlines()) == (0, imported)
    assert any(line.endswith(" airflow") for line in imported)
    assert not any(line.endswith(" sklearn") for line in imported)  # nothing here needs its half a second


REASON = """-50% and $500, $(shell touch {0}) $(touch {0}) `touch {0}`: "worse" isn't \\better # [/b]"""


@pytest.mark.parametrize("given", ["on the command line", "in the environment"])
def test_make_passes_reasons_on_literally(make: Command, command: Command, tmp_path: Path, given: str) -> None:
    touched = tmp_path / "touched"
    for _ in range(2):
        made_up_version(tmp_path)
    reason = REASON.format(touched)
    words = {"VERSION": "1", "REASON": reason}
    arguments, variables = [f"{name}={value}" for name, value in words.items()], {}
    if given == "in the environment":
        arguments, variables = [], words
    assert make("promote", *arguments, **variables).stdout == "Version 1 is in Production.\n"
    assert command("promote", "2", "--reason", "next").returncode == 0
    assert make("rollback", *arguments, **variables).stdout == "Version 1 is in Production again.\n"
    shown = command("models", COLUMNS="1000").stdout
    assert f" {reason} " in shown
    assert f" rolled back from version 2: {reason} " in shown
    assert not touched.exists()


def test_a_version_named_like_an_option_is_not_found(make: Command) -> None:
    done = make("promote", "VERSION=--help", "REASON=why not")
    assert done.returncode == 2
    assert f"{settings().model_name} has no version --help.\n" in done.stderr


def unsigned(folder: Path) -> None:
    """Register a version without a signature."""
    version = made_up_version(folder)
    client().delete_model_version_tag(version.name, version.version, "signature")


def test_an_unsigned_version_is_signed_after_a_look(command: Command, make: Command, tmp_path: Path) -> None:
    unsigned(tmp_path)
    assert any(line.split()[:2] == ["1", "unsigned"] for line in command("models").stdout.splitlines())
    refused = command("promote", "1", "--reason", "why not")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"Look at it and sign it: make sign VERSION=1 MODEL={settings().model_name} (in contain" in refused.stderr
    for answer in ("n\n", "\n", ""):
        asked = command("sign", "1", answer=answer)
        assert asked.returncode == 1
        assert f"  {sha256(b'a model')}  as recorded   model.pkl\n" in asked.stdout
        assert "Sign these files? [y/N] " in asked.stdout
        assert asked.stderr == "Nothing was signed. Answer y to sign, or say YES=1.\n"
    assert command("promote", "1", "--reason", "why not").returncode == 1
    assert command("sign", "1", answer="y\n").stdout.endswith("Version 1 is signed.\n")
    assert re.search(r" sign +1 +\d+ files signed by hand", command("models").stdout)
    assert command("promote", "1", "--reason", "why not").stdout == "Version 1 is in Production.\n"
    unsigned(tmp_path)
    assert make("sign", "VERSION=2", "YES=1").stdout.endswith("\nVersion 2 is signed.\n")
    assert not any("unsigned" in line.split() for line in command("models").stdout.splitlines())


NOBODY = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}


@pytest.mark.parametrize(
    ("arguments", "variables", "status", "message"),
    [
        (["promote", "9", "--reason", "x"], {}, 1, "has no version 9."),
        (["rollback", "--reason", "x"], {}, 1, "Nothing to go back to: nothing is in Production"),
        (["promote", "", "--reason", ""], {}, 2, "version: is empty: set it, as in VERSION=2 or REASON='why'"),
        (["rollback", "--reason", " "], {}, 2, "--reason: is empty: set it, as in VERSION=2 or REASON='why'"),
        (["models"], NOBODY, 1, "MLflow at http://127.0.0.1:9 doesn't answer"),
    ],
)
def test_an_error_is_reported_in_one_line(
    command: Command, arguments: list[str], variables: dict[str, str], status: int, message: str
) -> None:
    done = command(*arguments, **variables)
    assert done.returncode == status
    assert message in done.stderr
    assert "Traceback" not in done.stderr
