"""`GET /metrics`, for Prometheus."""

import os
import time
from collections.abc import Iterator

from fastapi import APIRouter, Request, Response
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from starlette.concurrency import run_in_threadpool

from serving.api.responses import NO_STORE, log_of, models_of
from serving.log.log import PredictionLog
from serving.log.state import state_of
from serving.reload.models import Models

MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
"""Variable with the folder of the counts of several workers."""

router = APIRouter(tags=["status"])

EXAMPLE = 'penguins_requests_total{method="POST",route="/predict",status="200"} 42.0'


class _State(Collector):
    """The current state of the worker that answers."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def collect(self) -> Iterator[Metric]:
        watcher = self._models.first
        if watcher.answered_at is not None:
            age = GaugeMetricFamily("penguins_poll_age_seconds", "Seconds since the registry last answered.")
            age.add_metric([], time.monotonic() - watcher.answered_at)
            yield age
        ready = GaugeMetricFamily("penguins_ready", "1 if there is a model to serve.")
        ready.add_metric([], float(watcher.model is not None))
        yield ready
        cache = GaugeMetricFamily("penguins_cache_ok", "1 unless the copies on disk are damaged or can't be written.")
        cache.add_metric([], float(watcher.cache_error is None))
        yield cache
        if watcher.model is not None:
            info = GaugeMetricFamily("penguins_model", "The version that serves.", labels=["version", "engine"])
            info.add_metric([watcher.model.version, watcher.model.engine.name], 1)
            yield info
        ready = GaugeMetricFamily("penguins_model_ready", "1 if a version of the model serves.", labels=["model"])
        served = GaugeMetricFamily("penguins_model_version", "The version that serves.", labels=["model", "version"])
        shadow = GaugeMetricFamily("penguins_shadow", "The version in the shadow.", labels=["model", "version"])
        refused = GaugeMetricFamily(
            "penguins_shadow_refused", "The version not let into the shadow.", labels=["model", "version", "code"]
        )
        for watcher in self._models:
            ready.add_metric([watcher.name], float(watcher.model is not None))
            if watcher.model is not None:
                served.add_metric([watcher.name, watcher.model.version], 1)
                if watcher.model.shadow is not None:
                    shadow.add_metric([watcher.name, watcher.model.shadow.version], 1)
            if refusal := watcher.shadow.refusal:
                refused.add_metric([watcher.name, refusal.version.version, refusal.error.code], 1)
        yield from (ready, served, *(each for each in (shadow, refused) if each.samples))


class _Log(Collector):
    """The state of the prediction log, of all workers."""

    def __init__(self, log: PredictionLog) -> None:
        self._log = log

    def collect(self) -> Iterator[Metric]:
        state = state_of(self._log)
        for name, text, value in (
            ("recorded", "Predictions that were to be logged.", state.recorded),
            ("written", "Predictions written to the spool.", state.written),
            ("shipped", "Predictions that the shipper has brought into the database.", state.shipped),
            ("lost", "Predictions that a killed process hadn't written.", state.lost),
            ("damaged_segments", "Segments that the shipper has set aside.", state.damaged),
        ):
            yield CounterMetricFamily(f"penguins_log_{name}", text, value)
        dropped = CounterMetricFamily(
            "penguins_log_dropped", "Predictions not logged, by what was full.", labels=["reason"]
        )
        for reason, number in state.dropped.items():
            dropped.add_metric([reason], number)
        yield dropped
        yield GaugeMetricFamily("penguins_log_spool_bytes", "Size of the spool.", state.spool_bytes)
        yield GaugeMetricFamily("penguins_log_lag_seconds", "Age of the oldest segment to ship.", state.lag_seconds)


@router.get(
    "/metrics",
    summary="Metrics",
    response_class=Response,
    responses={200: {"description": "In Prometheus' text format.", "content": {"text/plain": {"example": EXAMPLE}}}},
)
async def metrics(request: Request) -> Response:
    """Return the counts of all workers, and the state of the one that answers."""
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    # Reading the files of the workers, and those of /proc, blocks.
    body = await run_in_threadpool(lambda: encode(_registry(models_of(request), log_of(request))))
    return Response(body, headers={"Content-Type": content_type, **NO_STORE})


def _registry(models: Models, log: PredictionLog | None) -> CollectorRegistry:
    """Return a registry for this one answer, with the counts and the state."""
    registry = CollectorRegistry()
    registry.register(_State(models))
    if log:
        registry.register(_Log(log))
    if MULTIPROCESS in os.environ:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    else:
        registry.register(REGISTRY)
    return registry
