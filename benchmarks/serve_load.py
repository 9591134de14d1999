"""Clients that send requests without a pause, and record the answers."""

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Self

import httpx
import numpy as np

from benchmarks.serve_stack import PENGUIN


@dataclass
class Seen:
    """Answers and failures recorded by the clients."""

    milliseconds: list[float] = field(default_factory=list)
    versions: Counter[str] = field(default_factory=Counter)
    ids: list[str] = field(default_factory=list)
    """Ids of the predictions, if there is a log."""
    failures: Counter[str] = field(default_factory=Counter)

    def percentile(self, percent: float) -> float:
        """Return a percentile of the milliseconds until an answer."""
        return float(np.percentile(self.milliseconds, percent)) if self.milliseconds else float("nan")


class Clients:
    """Clients with one connection each; a broken connection is opened again."""

    def __init__(self, url: str, number: int = 4) -> None:
        self._url = url
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._seen = Seen()
        self._threads = [threading.Thread(target=self._ask) for _ in range(number)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def take(self) -> Seen:
        """Return the answers and failures since the last call."""
        with self._lock:
            seen, self._seen = self._seen, Seen()
        return seen

    def _ask(self) -> None:
        with httpx.Client(base_url=self._url, timeout=30) as client:
            while not self._stop.is_set():
                started = time.perf_counter()
                try:
                    response = client.post("/predict", json=PENGUIN)
                    failure = "" if response.is_success else str(response.status_code)
                except httpx.TransportError as error:
                    failure = type(error).__name__
                with self._lock:
                    if failure:
                        self._seen.failures[failure] += 1
                    else:
                        self._seen.milliseconds.append((time.perf_counter() - started) * 1000)
                        answer = response.json()
                        self._seen.versions[answer["model_version"]] += 1
                        self._seen.ids += [answer["prediction_id"]] if "prediction_id" in answer else []
                if failure:
                    self._stop.wait(0.01)  # Faster requests would only slow the start of the service.
