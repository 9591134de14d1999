"""`python -m penguins predictions`, as make predictions calls it."""

import argparse
import io
import subprocess
import sys
from collections.abc import Callable
from uuid import uuid4

import pytest
from rich.console import Console

from contract.segments import encode_block, encode_header
from local import environment
from local.stack import Stack
from penguins.errors import UserError
from penguins.monitoring import command as prediction_log
from tests.shipper.segments import header, lines, predictions, put, rows, truth

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def command(stack: Stack) -> Command:
    variables = environment.inherited(stack.config) | environment.tasks(stack.config) | {"COLUMNS": "200"}
    arguments = [sys.executable, "-m", "penguins", "predictions", "--contract=wine", "--model=wine"]

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*arguments, *more], env=variables, capture_output=True, text=True)

    return run


def test_the_latest_predictions_are_shown(command, log, folder, ship):
    name, ids = predictions(folder, 30)
    ship(name)
    ship(lines(folder, "feedback", [truth(prediction_id=max(ids), row_index=ids.index(max(ids)), **{"class": "ü"})]))
    done = command("--id=", "--version=", "--class=", "--since=", "--until=", "--limit=")
    assert done.returncode == 0, done.stderr
    shown = [line for line in done.stdout.splitlines() if any(str(each) in line for each in ids)]
    assert len(shown) == 20
    assert str(max(ids)) in shown[0]
    assert shown[0].rstrip().endswith("ü")
    assert "wine_predictions" in done.stdout
    assert log.execute("SELECT count(*) FROM wine_predictions").fetchone() == (30,)
    done = command("--id=x")
    assert done.returncode == 1
    assert done.stderr.startswith("x isn't the id of a prediction")


def show(log, **arguments):
    """Return what the command prints for a model."""
    out = Console(file=io.StringIO(), width=200, markup=False, emoji=False, highlight=False)
    names = ("id", "version", "class_name", "since", "until", "limit")
    given = argparse.Namespace(**(dict.fromkeys(names, "") | {"model": "wine"} | arguments))
    prediction_log.show(log, out, "wine", given)
    return out.file.getvalue()


def test_one_is_shown_with_its_lineage(log, folder, ship):
    log.execute(
        """INSERT INTO audit.promotions (model, who, action, to_version, reason, numbers, dag_run_id, source)
           VALUES ('lineage', 'ada', 'promote', '7', 'it is better', '{}', 'manual__1', '{"address": "s3://x"}')"""
    )
    head = header(model="lineage", version="7", prediction_id=uuid4())
    ship(put(folder, "predictions", encode_header(head) + encode_block(rows(head, [head.prediction_id] * 3))))
    shown = show(log, id=f"{head.prediction_id}/2")
    for text in (
        f"{head.prediction_id}/2",
        "alcohol",
        "probabilities",
        "manual__1",
        "s3://x",
        "it is better",
        "by ada",
    ):
        assert text in shown
    assert f"{head.prediction_id}/1" not in shown
    assert "no such prediction of wine" in show(log)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"id": "x"}, "isn't the id of a prediction"),
        ({"id": "00000000-0000-7000-8000-000000000000"}, "The log has no prediction"),
        ({"since": "yesterday"}, "SINCE=yesterday isn't a time"),
        ({"limit": "0"}, "LIMIT=0 isn't a number"),
        ({"limit": "many"}, "LIMIT=many isn't a number"),
    ],
)
def test_an_argument_that_cant_be_used_is_named(log, arguments, message):
    with pytest.raises(UserError, match=message):
        show(log, **arguments)
