"""Finished runs as MLflow returns them, without a server."""

import json
from typing import Any

from mlflow.entities import Metric, Param, Run, RunData, RunInfo


def made_up_run(params: dict[str, Any], **metrics: float) -> Run:
    """Make a finished candidate's run, named by its parameters."""
    name = " ".join(f"{key}={json.dumps(value)}" for key, value in sorted(params.items()))
    info = RunInfo(name, "0", "ada", "FINISHED", 0, 1, "active", run_name=name)
    return Run(
        info,
        RunData(
            metrics=[Metric(key, value, 0, 0) for key, value in metrics.items()],
            params=[Param(key, json.dumps(value)) for key, value in params.items()],
        ),
    )
