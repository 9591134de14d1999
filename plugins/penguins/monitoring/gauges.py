"""Gauges for Prometheus about the latest window of each contract, and its alarms, from the tables of verdicts."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from psycopg import Connection

_PREFIX: Final = "penguins_monitoring"

_LATEST: Final = """SELECT contract, model, version, extract(epoch FROM window_end), rows, outside, verdict,
        jsonb_array_length(features), estimate->'accuracy', live
    FROM monitoring.verdicts AS known JOIN (
        SELECT contract, max(window_end) AS window_end FROM monitoring.verdicts GROUP BY contract
    ) AS latest USING (contract, window_end) ORDER BY contract, version"""

_ALARMS: Final = """SELECT contract, kind, count(*), count(*) FILTER (WHERE outcome IS NULL) FROM monitoring.alarms
    GROUP BY 1, 2 ORDER BY 1, 2"""

_WATERMARK: Final = "SELECT spool::text, extract(epoch FROM complete_until) FROM log.watermarks ORDER BY 1"

_HELP: Final = {
    "log_complete_timestamp_seconds": "Time before which the prediction log is complete.",
    "window_end_timestamp_seconds": "End of the latest window that was judged.",
    "window_rows": "Rows of that window.",
    "window_outside_rows": "Rows of it with a feature outside the training range.",
    "drifted": "1 if it drifted.",
    "drifted_features": "Features that drifted in it, or that it is told by.",
    "estimated_accuracy": "Accuracy in it, estimated without labels.",
    "live_accuracy": "Accuracy in it by the truth so far.",
    "live_rows": "Rows of it whose truth is known.",
    "alarms_total": "Alarms that were raised.",
    "alarms_open": "Alarms of which it is open what becomes.",
}


class _Sample(NamedTuple):
    name: str
    labels: dict[str, str]
    value: float


def exposition(connection: Connection[Any]) -> str:
    """Return the gauges in Prometheus' text format."""
    samples: dict[str, list[_Sample]] = {name: [] for name in _HELP}
    for sample in (*_of_log(connection), *_of_windows(connection), *_of_alarms(connection)):
        samples[sample.name].append(sample)
    lines = []
    for name, found in samples.items():
        kind = "counter" if name.endswith("_total") else "gauge"
        lines += [f"# HELP {_PREFIX}_{name} {_HELP[name]}", f"# TYPE {_PREFIX}_{name} {kind}"]
        lines += [f"{_PREFIX}_{name}{{{_labels(each.labels)}}} {each.value!r}" for each in found]
    return "\n".join([*lines, ""])


def _of_log(connection: Connection[Any]) -> Iterator[_Sample]:
    for spool, until in connection.execute(_WATERMARK):
        yield _Sample("log_complete_timestamp_seconds", {"spool": spool}, float(until))


def _of_windows(connection: Connection[Any]) -> Iterator[_Sample]:
    for contract, model, version, end, rows, outside, verdict, features, estimate, live in connection.execute(_LATEST):
        labels = {"contract": contract, "model": model, "version": version}
        values = {
            "window_end_timestamp_seconds": end,
            "window_rows": rows,
            "window_outside_rows": outside,
            "drifted": verdict == "drifted",
            "drifted_features": features,
            "estimated_accuracy": estimate["value"] if estimate else None,
            "live_accuracy": live["accuracy"]["value"] if live.get("accuracy") else None,
            "live_rows": live.get("labelled", 0),
        }
        yield from (_Sample(name, labels, float(value)) for name, value in values.items() if value is not None)


def _of_alarms(connection: Connection[Any]) -> Iterator[_Sample]:
    for contract, kind, count, is_open in connection.execute(_ALARMS):
        labels = {"contract": contract, "kind": kind}
        yield _Sample("alarms_total", labels, float(count))
        yield _Sample("alarms_open", labels, float(is_open))


def _labels(labels: dict[str, str]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
