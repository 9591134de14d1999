"""Report of a training run: its candidates, and the version in Production.

Everyone who reaches MLflow can write what is shown, so nothing in it may be an order to the terminal, or markup.
"""

import unicodedata

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from local.clients.mlflow import Run, Version

_SHOWN = 10


def leaderboard(candidates: list[Run], registered: str) -> RenderableType:
    """Return a table of the best candidates by cross-validation; mark the run with the id `registered`."""
    parameters = sorted({name for run in candidates for name in run.params})
    title = f"{len(candidates)} candidates" + (f", the best {_SHOWN}" if len(candidates) > _SHOWN else "")
    table = Table("", title=f"\n{title}", title_justify="left", box=None, pad_edge=False)
    for name in parameters:
        table.add_column(Text("\n").join(map(_plain, name.split("_"))))
    for name in ("CV\naccuracy", "hold-out\naccuracy", "hold-out\nmacro F1", "fit"):
        table.add_column(name, justify="right")
    registered_only = [run for run in candidates[_SHOWN:] if run.id == registered]
    for run in candidates[:_SHOWN] + registered_only:
        mark = "→" if run.id == registered else ""
        table.add_row(mark, *(_plain(run.params.get(name, "")) for name in parameters), *_numbers(run.metrics))
    return Group(table, "→ registered")


def _numbers(metrics: dict[str, float]) -> list[str]:
    def number(name: str) -> str:
        return f"{metrics[name]:.4f}" if name in metrics else ""

    spread = f"±{number('cv_accuracy_std')}" if "cv_accuracy_std" in metrics else ""
    fit = f"{metrics['fit_seconds']:.2f} s" if "fit_seconds" in metrics else ""
    judged = [number(f"holdout_{name}") for name in ("accuracy", "f1_macro")]
    return [number("cv_accuracy_mean") + spread, *judged, fit]


def changes(version: Version, before: Version | None, after: Version) -> Text:
    """Return the previous and the current version in Production, and the reason."""
    was = f"version {before.number}" if before else "nothing"
    if after.number == version.number:
        verdict = f"version {version.number} is in Production now; before it was {was}"
    else:
        verdict = f"version {version.number} was registered; version {after.number} stays in Production"
    return Text("\n").append(_plain(f"{verdict}: {version.tags.get('reason', 'no reason given')}"))


def plain(lines: str) -> Text:
    """Return lines without effects: with � for control characters but tabs."""
    return Text("\n").join(_plain(line) for line in lines.split("\n"))


def _plain(text: str) -> Text:
    def shown(character: str) -> str:
        is_control = unicodedata.category(character) == "Cc" and character != "\t"
        return "\N{REPLACEMENT CHARACTER}" if is_control else character

    return Text("".join(map(shown, text)))
