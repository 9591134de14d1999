"""Rules and dashboard ask for metrics that exist, with labels that these have."""

import json
import re

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from local.settings import REPO
from local.stack import Stack
from tests.e2e.deployment import Made

FOLDER = REPO / "ops" / "monitoring"
# Told only while a version is in the shadow, or is kept out of it.
SHADOW = {"penguins_shadow", "penguins_shadow_refused"}
PROMETHEUS_OWN = {"up", "process_start_time_seconds"}


def queries() -> list[str]:
    """Return all queries of the rules and of the dashboard."""
    groups = yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"]
    dashboard = json.loads((FOLDER / "grafana.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    variables = [each["definition"] for each in dashboard["templating"]["list"] if "definition" in each]
    return [rule["expr"] for group in groups for rule in group["rules"]] + asked + variables


@pytest.fixture(scope="module")
def metrics(whole: Stack, made: Made) -> str:
    """The texts that Prometheus scrapes, after a training and a prediction."""
    del made
    addresses = (f"{whole.urls['api']}/metrics", f"{whole.urls['airflow-api-server']}/penguins/metrics")
    return "".join(httpx.get(address, timeout=60).raise_for_status().text for address in addresses)


def test_every_metric_of_rules_and_dashboard_exists(metrics: str) -> None:
    asked = {name for query in queries() for name in re.findall(r"\b(penguins_\w+|up|process_\w+)\b(?!\")", query)}
    assert asked > PROMETHEUS_OWN | SHADOW - {"penguins_shadow"}
    told = set(re.findall(r"^# TYPE (\w+) ", metrics, re.MULTILINE)) | SHADOW | {"up"}
    assert {re.sub("_bucket$", "", name) for name in asked} <= told


def test_airflow_tells_its_dags_and_its_programs(metrics: str) -> None:
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(metrics)
        for sample in family.samples
    }
    assert samples["penguins_dag_failed", "penguins_training"] in (0, 1)
    assert samples["penguins_airflow_heartbeat_timestamp_seconds", "SchedulerJob"] > 1_700_000_000


def test_every_rule_is_tested_and_says_what_to_do() -> None:
    rules = [rule for group in yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"] for rule in group["rules"]]
    tests = (FOLDER / "rules_test.yml").read_text()
    for rule in rules:
        assert rule["alert"] in tests, rule["alert"]
        assert rule["annotations"]["summary"]
        assert rule["labels"]["severity"] in ("critical", "warning")
