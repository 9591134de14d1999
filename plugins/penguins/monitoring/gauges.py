"""Gauges for Prometheus about the latest window of each contract, and its alarms, from the tables of verdicts."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from psycopg import Connection

from penguins.monitoring.spans import IS_THERE

_PREFIX: Final = "penguins_monitoring"

_LATEST: Final = """SELECT contract, model, version, extract(epoch FROM window_end),
        extract(epoch FROM window_end - window_start), rows, outside, verdict, features,
        jsonb_path_query_array(numbers, '$.features[*].name'), estimate->'accuracy', live
    FROM monitoring.verdicts AS known JOIN (
        SELECT contract, max(window_end) AS window_end FROM monitoring.verdicts WHERE contract = ANY(%s) GROUP BY 1
    ) AS latest USING (contract, window_end) ORDER BY contract, version"""

_ALARMS: Final = """SELECT contract, kind, count(*), count(*) FILTER (WHERE outcome IS NULL),
        extract(epoch FROM max(raised_at))
    FROM monitoring.alarms WHERE contract = ANY(%s) GROUP BY 1, 2 ORDER BY 1, 2"""

_WATERMARK: Final = f"""SELECT spool::text, extract(epoch FROM complete_until) FROM log.watermarks
    WHERE {IS_THERE} ORDER BY 1"""  # noqa: S608 (constants)

_BACKUP: Final = "SELECT extract(epoch FROM at), bytes FROM monitoring.backups ORDER BY at DESC LIMIT 1"

_HELP: Final = {
    "backup_timestamp_seconds": "Time as of which the latest backup was made.",
    "backup_bytes": "Size of its archive.",
    "log_complete_timestamp_seconds": "Time before which the prediction log has all of a folder of segments.",
    "window_end_timestamp_seconds": "End of the latest window that was judged.",
    "window_seconds": "Length of that window.",
    "window_rows": "Rows of that window.",
    "window_outside_rows": "Rows of it with a feature outside the training range.",
    "drifted": "1 if it drifted.",
    "drifted_features": "Features that drifted in it, or that it is told by.",
    "feature_drifted": "1 if this feature drifted in it.",
    "estimated_accuracy": "Accuracy in it, estimated without labels.",
    "live_accuracy": "Accuracy in it by the truth so far.",
    "live_rows": "Rows of it whose truth is known.",
    "alarms_total": "Alarms that were raised.",
    "alarms_open": "Alarms of which it is open what becomes.",
    "alarm_raised_timestamp_seconds": "Time at which the latest alarm was raised.",
}


class Sample(NamedTuple):
    """A value of a metric."""

    name: str
    labels: dict[str, str]
    value: float


def exposition(connection: Connection[Any], contracts: Sequence[str]) -> str:
    """Return the gauges in Prometheus' text format.

    Args:
        contracts: names of those to tell of: the tables also have the ones that were deleted.
    """
    samples = [*_of_backups(connection), *_of_log(connection)]
    samples += [*_of_windows(connection, contracts), *_of_alarms(connection, contracts)]
    return text_of(_PREFIX, _HELP, samples)


def text_of(prefix: str, helps: Mapping[str, str], samples: Iterable[Sample]) -> str:
    """Return samples in Prometheus' text format.

    Args:
        helps: what the value of each metric is, by its name without the prefix.
    """
    found: dict[str, list[Sample]] = {name: [] for name in helps}
    for sample in samples:
        found[sample.name].append(sample)
    lines = []
    for name, each in found.items():
        kind = "counter" if name.endswith("_total") else "gauge"
        lines += [f"# HELP {prefix}_{name} {helps[name]}", f"# TYPE {prefix}_{name} {kind}"]
        lines += [f"{prefix}_{name}{{{_labels(sample.labels)}}} {sample.value!r}" for sample in each]
    return "\n".join([*lines, ""])


def _of_backups(connection: Connection[Any]) -> Iterator[Sample]:
    for at, size in connection.execute(_BACKUP):
        yield Sample("backup_timestamp_seconds", {}, float(at))
        yield Sample("backup_bytes", {}, float(size))


def _of_log(connection: Connection[Any]) -> Iterator[Sample]:
    for spool, until in connection.execute(_WATERMARK):
        yield Sample("log_complete_timestamp_seconds", {"spool": spool}, float(until))


def _of_windows(connection: Connection[Any], contracts: Sequence[str]) -> Iterator[Sample]:
    for row in connection.execute(_LATEST, [list(contracts)]):
        contract, model, version, end, length, rows, outside, verdict, drifted, features, estimate, live = row
        labels = {"contract": contract, "model": model, "version": version}
        values = {
            "window_end_timestamp_seconds": end,
            "window_seconds": length,
            "window_rows": rows,
            "window_outside_rows": outside,
            "drifted": verdict == "drifted",
            "drifted_features": len(drifted),
            "estimated_accuracy": estimate["value"] if estimate else None,
            "live_accuracy": live["accuracy"]["value"] if live.get("accuracy") else None,
            "live_rows": live.get("labelled", 0),
        }
        yield from (Sample(name, labels, float(value)) for name, value in values.items() if value is not None)
        for name in features:
            yield Sample("feature_drifted", labels | {"feature": name}, float(name in drifted))


def _of_alarms(connection: Connection[Any], contracts: Sequence[str]) -> Iterator[Sample]:
    for contract, kind, count, is_open, raised_at in connection.execute(_ALARMS, [list(contracts)]):
        labels = {"contract": contract, "kind": kind}
        yield Sample("alarm_raised_timestamp_seconds", labels, float(raised_at))
        yield Sample("alarms_total", labels, float(count))
        yield Sample("alarms_open", labels, float(is_open))


def _labels(labels: dict[str, str]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
