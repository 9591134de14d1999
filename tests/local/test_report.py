"""The report of a run shows what MLflow has as plain text: everyone who reaches MLflow can write it."""

import io

from rich.console import Console

from local.clients.mlflow import Run, Version
from local.report import changes, leaderboard, plain

EVIL = "\x1b]0;title\x07\x9b2J[link=file:///x]here"
SHOWN = "\ufffd]0;title\ufffd\ufffd2J[link=file:///x]here"


def printed(renderable):
    console = Console(file=io.StringIO(), width=200, force_terminal=True, color_system=None, highlight=False)
    console.print(renderable)
    return console.file.getvalue()


def test_parameters_of_candidates_are_shown_literally():
    shown = printed(leaderboard([Run("1", {EVIL: EVIL, "max_depth": "4"}, {"cv_accuracy_mean": 0.9})], "1"))
    assert shown.count(SHOWN) == 2
    assert "\x1b]" not in shown
    assert "\x9b" not in shown
    assert "0.9000" in shown


def test_the_reason_of_a_version_is_shown_literally():
    version = Version("2", "1", "Production", {"reason": EVIL}, None)
    assert printed(changes(version, None, version)) == (
        f"\nversion 2 is in Production now; before it was nothing: {SHOWN}\n"
    )


def test_lines_of_logs_are_shown_literally():
    assert printed(plain(f"{EVIL}\n\t{EVIL}")) == f"{SHOWN}\n        {SHOWN}\n"
