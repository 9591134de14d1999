"""Prometheus and Alertmanager: their rules, what they ask, and whom they tell."""

import json
from typing import Any

import httpx

from local.waiting import until
from ops.env import REPO
from tests.compose.stack import ComposeStack
from tests.e2e.deployment import Deployment


def ask(compose: ComposeStack, query: str) -> list[dict[str, Any]]:
    """Return the result of a query of Prometheus."""
    answer = httpx.post(f"{compose.url('PROMETHEUS_PORT')}/api/v1/query", data={"query": query})
    assert answer.status_code == 200, (query, answer.text)
    return list(answer.json()["data"]["result"])


def test_the_rules_do_what_they_say(compose: ComposeStack) -> None:
    assert "SUCCESS" in compose.execute("prometheus", "promtool", "check", "config", "/etc/prometheus/prometheus.yml")
    assert "SUCCESS" in compose.execute("prometheus", "promtool", "test", "rules", "/etc/prometheus/rules_test.yml")


def test_everything_is_asked_and_answers(compose: ComposeStack, deployment: Deployment) -> None:
    del deployment

    def answering() -> set[str]:
        return {each["metric"]["job"] for each in ask(compose, "up == 1")}

    until(lambda: answering() == {"service", "airflow", "alertmanager"}, "Prometheus to reach all", 60)
    assert ask(compose, 'penguins_ready{job="service"}')


def test_prometheus_understands_the_queries_of_the_dashboard(compose: ComposeStack) -> None:
    dashboard = json.loads((REPO / "ops" / "monitoring" / "grafana.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            ask(compose, target["expr"].replace("$__rate_interval", "1m"))


def test_people_are_told_of_an_alert_once(compose: ComposeStack, deployment: Deployment) -> None:
    alerts = [
        {"labels": {"alertname": name, "severity": "critical", **more}, "annotations": {"summary": f"{name}!"}}
        for name, more in (("ToldByAirflow", {"told_by": "airflow"}), ("ToldHere", {}))
    ]
    httpx.post(f"{compose.url('ALERTMANAGER_PORT')}/api/v2/alerts", json=alerts).raise_for_status()
    until(lambda: "ToldHere: 1 firing" in [each["title"] for each in deployment.notices()], "the notice", 60)
    (told,) = (each for each in deployment.notices() if each["title"].startswith("Told"))
    assert (told["type"], told["message"]) == ("failure", "ToldHere!")
