import re

import pytest
from typer.testing import CliRunner

from local.cli import app
from local.settings import Settings
from local.stack import Stack
from tests.commands import call, command

COMMANDS = ("up", "down", "status", "logs", "backup", "restore", "clean", "run", "score", "lab", "penguins")


@pytest.fixture
def unused(tmp_path):
    return Settings.on_free_ports(tmp_path / "state")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name):
    result = CliRunner().invoke(app, [name, "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.stdout


def test_commands_without_a_stack_create_nothing(unused):
    assert "isn't running" in call(unused, "status").stderr
    assert "isn't running" in call(unused, "down").stdout
    assert "never started" in call(unused, "logs").stderr
    assert "nothing to delete" in call(unused, "clean").stdout
    assert not unused.state_dir.exists()


def test_status_shows_every_program_and_the_memory(whole):
    shown = command(whole.config.settings, "status").stdout
    for name, program in whole.programs.items():
        if not program.once:
            assert re.search(rf"^{name} +running +\d+:\d\d:\d\d +[\d,]+ MB", shown, re.MULTILINE)
    total = re.search(r"total +([\d,]+) MB", shown)
    assert total is not None
    assert 500 < int(total.group(1).replace(",", "")) < 6000  # with the processes of running tasks


def test_logs_prints_the_log_of_one_program(whole):
    last = whole.config.layout.log("postgres").read_text().splitlines()[-1]
    shown = call(whole.config.settings, "logs", "postgres").stdout
    assert last in shown
    assert "mlflow.log" not in shown


def test_logs_and_errors_are_no_orders_to_the_terminal(unused):
    Stack(unused).config.layout.log("mlflow").write_text("Error in handler: s3://\x1b]0;title\x07\x9b2J\n")
    shown = call(unused, "logs", "mlflow").stdout
    assert "s3://�]0;title��2J" in shown
    assert "\x1b]" not in shown
    error = call(unused, "logs", "\x1b]0;title\x07").stderr
    assert "there is no program �]0;title�;" in error


def test_logs_refuses_an_unknown_program(whole):
    result = call(whole.config.settings, "logs", "nonsense")
    assert result.exit_code == 1
    assert "there is no program nonsense; there are: postgres" in result.stderr


def test_commands_of_the_pipeline_reach_the_stack(whole):
    result = command(whole.config.settings, "penguins", "promote", "999", "--reason", "it can't be")
    assert (result.returncode, result.stderr.strip()) == (1, "penguins_rf has no version 999.")


def test_clean_deletes_only_after_confirmation(unused):
    unused.state_dir.mkdir()
    assert call(unused, "clean").exit_code != 0
    assert unused.state_dir.exists()
    refused = call(unused, "clean", answer="n\n")
    assert (refused.exit_code, refused.stdout.splitlines()[-1]) == (0, "Nothing was deleted.")
    assert unused.state_dir.exists()
    assert call(unused, "clean", "--yes").exit_code == 0
    assert not unused.state_dir.exists()


@pytest.mark.parametrize("arguments", [("up",), ("clean", "--yes")])
def test_a_directory_with_other_files_is_refused(unused, arguments):
    unused.state_dir.mkdir()
    (unused.state_dir / "thesis.tex").touch()
    refused = call(unused, *arguments)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "has other files in it; choose another directory with PENGUINS_STATE_DIR" in " ".join(refused.stderr.split())
    assert [path.name for path in unused.state_dir.iterdir()] == ["thesis.tex"]


@pytest.mark.programs
def test_a_source_is_checked_without_a_stack(unused, tmp_path):
    done = command(unused, "penguins", "check", "--contract=", "--model=", "--", "palmerpenguins")
    assert (done.returncode, done.stderr) == (0, "")
    assert "342 of 344 rows of palmerpenguins can be used; 2 lack a required value; 0 would be rejected." in done.stdout
    (tmp_path / "penguins.csv").write_text("species;body_mass_g\n")
    done = command(unused, "penguins", "check", "--", str(tmp_path / "penguins.csv"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"{tmp_path}/penguins.csv: the header lacks 'species'")
    assert "Traceback" not in done.stderr
    assert not unused.state_dir.exists()
