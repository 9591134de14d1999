"""Show what a load of a source would do, and how its rows differ from those that Production was trained on.

Nothing is written. The database is asked only for a source that is a table of it, and MLflow only for a comparison.
"""

from typing import Any, Final

import numpy as np
from psycopg import Connection
from rich.console import Console
from rich.table import Table

from contract.encoding import codes, missing_value
from contract.manifest import Feature, Manifest
from contract.schema import Column, DataContract
from penguins.data.checking import SourceCheck, Values, check_source
from penguins.errors import UserError
from penguins.outages import describe_outage
from penguins.promotion.reasons import to_plain_text

MAX_VALUES: Final = 8  # categories in a cell
MAX_REASON: Final = 300  # characters


def run(
    out: Console, contract: DataContract, source: str, model: str | None, connection: Connection[Any] | None = None
) -> None:
    """Check a source and print the result.

    Args:
        model: registered model whose version in Production the rows are compared with; None for no comparison.
        connection: for a source that is a table of the pipeline's database.

    Raises:
        UserError: the source couldn't be read, loaded or trained on.
    """
    if not source:
        raise UserError(f"The contract {contract.name} has no source. Give one: SOURCE=data.csv")
    check = check_source(source, contract, connection)
    show(out, source, check)
    try:
        version, trained = _production(model) if model else ("", None)
    except UserError as error:
        out.print("", f"Not compared with Production: {error}", sep="\n", soft_wrap=True)
    except Exception as error:
        outage = describe_outage(error)
        if outage is None:
            raise
        out.print("", f"Not compared with Production: {outage}", sep="\n", soft_wrap=True)
    else:
        compare(out, check, trained, version)
    if refusal := check.refusal():
        raise UserError(f"{source} can't be trained on: {refusal}")
    out.print("", f"{to_plain_text(source)} can be loaded and trained on.", sep="\n", soft_wrap=True)


def _production(model: str) -> tuple[str, Manifest | None]:
    """Return the name of the version in Production and its manifest; nothing if there is none."""
    from penguins.registry import manifests, model_versions  # import MLflow and scikit-learn, which take seconds

    champion = model_versions.production(model)
    return (f"version {champion.version}", manifests.read_manifest(champion)) if champion else ("", None)


def show(out: Console, source: str, check: SourceCheck) -> None:
    """Print the rows that would be used, and why the others wouldn't."""
    parts = [f"{check.used:,} of {check.rows:,} rows of {to_plain_text(source)} can be used"]
    parts += [f"{check.incomplete:,} lack a required value"] if check.incomplete else []
    rejected = check.unreadable + check.impossible
    out.print(f"{'; '.join(parts)}; {rejected:,} would be rejected.", soft_wrap=True)
    problems = Table("task", "column", "rows", "the first", title="Rejected rows", box=None)
    for (task, name), problem in sorted(check.problems.items(), key=lambda item: -item[1].rows):
        cells = [task, name or "(row)", f"{problem.rows:,}", problem.first[:MAX_REASON]]
        problems.add_row(*map(to_plain_text, cells))
    if problems.row_count:
        out.print("", problems, sep="\n")


def compare(out: Console, check: SourceCheck, trained: Manifest | None, version: str) -> None:
    """Print columns and classes, beside those that a version was trained on.

    Missing shares, categories and class shares of the version are those of the training rows in its manifest.

    Args:
        trained: manifest of the version; None to print only those of the source.
    """
    rows = trained.scatter.inputs if trained and trained.scatter else []
    features = trained.features if trained else []
    drawn = np.array(rows, dtype=np.float64).reshape(len(rows), len(features))
    known = {feature.name: (feature, drawn[:, place]) for place, feature in enumerate(features)}
    beside = [f"missing in {version}", f"values in {version}", ""] if trained else []
    columns = Table("column", "missing", "values", *beside, title="Columns", box=None)
    for column in check.contract.features:
        values = check.values[column.name]
        cells = [column.name, _share(values.missing, check.used), _describe(column, values)]
        if trained:
            cells += _trained(column, values, *known[column.name]) if column.name in known else ["", "", "is new"]
        columns.add_row(*map(to_plain_text, cells))
    for name in known.keys() - {column.name for column in check.contract.features}:
        columns.add_row(to_plain_text(name), "", "", "", "", "is gone")
    out.print("", columns, "", _classes(check, trained, version), sep="\n")


def _trained(column: Column, values: Values, feature: Feature, drawn: np.ndarray) -> list[str]:
    missing = np.isnan(drawn) if feature.is_numeric else drawn == missing_value(feature)
    share = _share(int(missing.sum()), len(drawn))
    if feature.is_numeric:
        low, high = feature.seen
        outside = column.is_numeric and (values.low < low or values.high > high)
        remark = "outside of the range" if outside else ""
        return [share, f"{low:g} to {high:g}", remark]
    names = {float(code): str(value) for value, code in codes(feature).items()}
    seen = [names[code] for code in sorted(set(drawn) & names.keys())]
    new = [str(value) for value in values.counts if str(value) not in names.values()]
    return [share, _some(seen), f"new: {_some(new)}" if new else ""]


def _describe(column: Column, values: Values) -> str:
    if column.is_numeric:
        return f"{values.low:g} to {values.high:g}" if values.low <= values.high else ""
    return _some([f"{value} ({count:,})" for value, count in values.counts.most_common()])


def _classes(check: SourceCheck, trained: Manifest | None, version: str) -> Table:
    labels = np.array(trained.scatter.labels if trained and trained.scatter else [], dtype=np.int64)
    names = trained.classes if trained else ()
    counts = dict(zip(names, np.bincount(labels, minlength=len(names)).tolist(), strict=True))
    beside = [f"share in {version}"] if trained else []
    table = Table(to_plain_text(check.contract.target.name), "rows", "share", *beside, title="Classes", box=None)
    for name, rows in check.class_rows.items():
        before = _share(counts[name], len(labels)) if name in counts else "is new"
        table.add_row(*map(to_plain_text, [name, f"{rows:,}", _share(rows, check.used), *[before][: len(beside)]]))
    for name in counts.keys() - check.class_rows.keys():
        table.add_row(to_plain_text(name), "", "", f"{_share(counts[name], len(labels))}, is gone")
    return table


def _some(texts: list[str]) -> str:
    more = [f"and {len(texts) - MAX_VALUES:,} more"] if texts[MAX_VALUES:] else []
    return ", ".join([*texts[:MAX_VALUES], *more])


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else ""
