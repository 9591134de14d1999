"""Write a draft as a contract file, with a comment for each guess."""

import json
from typing import Any

from contract.schema import Reading
from penguins.contracts.draft.guesses import Guess

_HEAD = """\
# yaml-language-server: $schema={schema}
#
# The data contract of the table {name}, drafted from {rows:,} rows of {source}.
# Every guess has a comment: correct what is wrong, then `make check-contract CONTRACT={name}`.
# All keys are in docs/reference/contract-file.md.

apiVersion: v3.2.0 # of the Open Data Contract Standard
kind: DataContract
id: {name}
name: {name} # of this file, of the DAG {name}_training, and of the tables {name}_raw, _processed and _rejected
version: 1.0.0

schema:
  - name: {name}
    properties:
"""

_TAIL = """
customProperties:
  - property: training
    value:
      registeredModel: {name} # in MLflow; of no other contract
      experiment: {name} # in MLflow
      schedule: "" # only by hand; a cron expression or a preset of Airflow, such as "@weekly", for more
      source: {source} # where the DAG finds it; in containers a file is in /data
      estimator: auto # by the number of rows
      folds: {folds} # {folds_reason}
      # {majority:.1%} of the rows are {biggest}: a model that says nothing else is as often right. This floor is
      # a tenth of the rest above it; set it to what is good enough.
      minAccuracy: {floor}
"""


def write(
    name: str,
    source: str,
    schema: str,
    rows: int,
    target: Guess,
    columns: list[Guess],
    left_out: dict[str, str],
    reading: Reading,
    spellings: set[str],
    folds: int,
) -> str:
    """Return the text of the file.

    Args:
        columns: all columns, with the target, in the order of the table.
        left_out: reason by name of the columns that no contract can have.
        spellings: texts of missing values that were seen.
    """
    text = _HEAD.format(schema=schema, name=name, rows=rows, source=_comment(source))
    text += "\n".join(map(_column, columns))
    if left_out:
        text += "\n      # Not in the contract, and ignored in the file:\n"
        text += "".join(f"      # {_comment(each)}: {_comment(why)}\n" for each, why in left_out.items())
    classes = target.categories or {}
    biggest = max(classes, key=lambda each: classes[each])
    majority = classes[biggest] / sum(classes.values())
    smallest = min(classes.values())
    text += _TAIL.format(
        name=name,
        source=quote(source),
        folds=folds,
        majority=majority,
        biggest=_comment(str(biggest)),
        floor=round(majority + (1 - majority) / 10, 4),
        folds_reason="of the cross-validation" if folds == 5 else f"no more, for a class has {smallest} rows only",
    )
    return text + _reading(reading, spellings)


def _column(guess: Guess) -> str:
    lines = [f"- name: {quote(guess.name)} # {_comment(guess.reason)}", f"  logicalType: {guess.type}"]
    if guess.required:
        lines.append("  required: true" + ("" if guess.role == "target" else " # no row lacks it"))
    if guess.categories and guess.type != "boolean":
        lines.append("  enum:")
        lines += [f"    - value: {quote(each)} # {count:,} rows" for each, count in guess.categories.items()]
    if guess.example is not None:
        is_median = guess.type in ("integer", "number")
        lines.append(
            f"  examples: [{quote(guess.example)}] # {'the median' if is_median else 'the most frequent value'}"
        )
    custom: list[tuple[str, Any, str]] = []
    if guess.role != "feature":
        custom.append(("role", guess.role, ""))
    if guess.unit:
        custom.append(("unit", guess.unit, " # by the name of the column"))
    if guess.decimals is not None:
        custom.append(("decimals", guess.decimals, ""))
    if guess.limits:
        room = " # with as much room as the values span: what can it be?"
        custom += [("plausibleMinimum", guess.limits[0], room), ("plausibleMaximum", guess.limits[1], "")]
    if custom:
        lines.append("  customProperties:")
        for key, value, why in custom:
            lines += [f"    - property: {key}", f"      value: {quote(value)}{why}"]
    return "".join(f"      {line}\n" for line in lines)


def _reading(reading: Reading, spellings: set[str]) -> str:
    seen = sorted(spellings)
    why = f" # seen: {_comment(', '.join(map(repr, seen)))}" if seen else " # none was seen"
    lines = [f"nullValues: [{', '.join(json.dumps(each, ensure_ascii=False) for each in reading.null_values)}]{why}"]
    if reading.separator:
        lines.append(f"separator: {json.dumps(reading.separator)} # the header has the target with this one")
    if reading.decimal_mark != ".":
        lines.append(f"decimalMark: {json.dumps(reading.decimal_mark)} # numbers have it")
    return "  - property: reading\n    value:\n" + "".join(f"      {line}\n" for line in lines)


def quote(value: Any) -> str:
    """Return a value as YAML: texts that could be taken for anything else in quotes."""
    if isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, float):
        return short if float(short := f"{value:g}") == value else repr(value)
    if not isinstance(value, str):
        return str(value)
    plain = value.isascii() and value.replace("_", "a").isalnum() and value[0].isalpha() and not _is_word(value)
    return value if plain else _escaped(json.dumps(value, ensure_ascii=False))


def _is_word(text: str) -> bool:
    return text.lower() in ("true", "false", "null", "yes", "no", "on", "off", "y", "n")


def _escaped(quoted: str) -> str:
    """Escape what YAML can't have in a text: some characters beyond ASCII that JSON leaves."""
    return "".join(each if each.isprintable() else f"\\U{ord(each):08x}" for each in quoted)


def _comment(text: str) -> str:
    """Return a text for a comment, in one line."""
    return "".join(each if each.isprintable() else " " for each in text)[:200]
