"""Client of MLflow's REST API: the candidates of a DAG run, and the model's versions."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from local.clients.http import JsonApi

_API = "/api/2.0/mlflow"


@dataclass(frozen=True)
class Run:
    """One MLflow run."""

    id: str
    params: dict[str, str]
    metrics: dict[str, float]


@dataclass(frozen=True)
class Version:
    """One version of a registered model."""

    number: str
    run_id: str
    stage: str
    tags: dict[str, str]
    logged_model: str | None


class Mlflow:
    """One MLflow server. Every method may raise StackError."""

    def __init__(self, base_url: str) -> None:
        self._api = JsonApi(base_url)

    def children(self, experiment: str, dag_run: str) -> list[Run]:
        """Return the finished child runs of the DAG run's parent run, best cross-validation first."""
        found = self._api.get(f"{_API}/experiments/get-by-name", experiment_name=experiment)
        runs = [
            Run(run["info"]["run_id"], _pairs(run["data"], "params"), _pairs(run["data"], "metrics"))
            for run in self._search(found["experiment"]["experiment_id"], f"tags.dag_run_id = '{dag_run}'")
            if "mlflow.parentRunId" in _pairs(run["data"], "tags") and run["info"]["status"] == "FINISHED"
        ]
        return sorted(runs, key=lambda run: run.metrics.get("cv_accuracy_mean", 0.0), reverse=True)

    def version_of(self, model: str, dag_run: str) -> Version | None:
        """Return the version that the DAG run registered."""
        versions = self._versions(f"name = '{model}' AND tags.dag_run_id = '{dag_run}'")
        return versions[0] if versions else None

    def versions(self, model: str) -> list[Version]:
        """Return all versions of a registered model, the oldest first."""
        return sorted(self._versions(f"name = '{model}'"), key=lambda version: int(version.number))

    def production(self, model: str) -> Version | None:
        """Return the version with the alias production, or else the last one in the stage Production."""
        found = self._api.find(f"{_API}/registered-models/get", name=model)
        if found is None:
            return None
        # Not registered-models/alias: without such an alias MLflow answers 400 there.
        aliases = {each["alias"]: each["version"] for each in found["registered_model"].get("aliases", [])}
        versions = self.versions(model)
        named = [version for version in versions if version.number == aliases.get("production")]
        in_stage = [version for version in versions if version.stage == "Production"]
        return next(reversed(named or in_stage), None)

    def logged_model_tags(self, logged_model: str | None) -> dict[str, str]:
        """Return the tags of a logged model; none if there is no such model."""
        found = self._api.find(f"{_API}/logged-models/{quote(logged_model, safe='')}") if logged_model else None
        return _pairs(found["model"]["info"], "tags") if found else {}

    def _versions(self, condition: str) -> list[Version]:
        found = self._api.get(f"{_API}/model-versions/search", filter=condition, max_results=10_000)
        return [_version(version) for version in found.get("model_versions", [])]

    def _search(self, experiment_id: str, condition: str) -> list[dict[str, Any]]:
        body = {"experiment_ids": [experiment_id], "filter": condition, "max_results": 10_000}
        return list(self._api.post(f"{_API}/runs/search", body).get("runs", []))


def _version(found: dict[str, Any]) -> Version:
    kind, _, name = found.get("source", "").partition(":/")
    return Version(
        found["version"],
        found.get("run_id", ""),
        found["current_stage"],
        _pairs(found, "tags"),
        name if kind == "models" else None,
    )


def _pairs(found: dict[str, Any], name: str) -> dict[str, Any]:
    return {pair["key"]: pair["value"] for pair in found.get(name, [])}
