"""A made-up table and real requests about its rows, for `benchmarks.drill_drift`.

A machine is worn if it is hotter than a limit, and a fast one has a higher limit. Hardly any of the first rows are of
fast machines: a model that has learned from them calls most of those worn.
"""

import threading
from pathlib import Path
from typing import Final

import httpx
import numpy as np
import pandas as pd

NAME: Final = "drill"
ROWS: Final = 2000

_FAST: Final = 32.5
_LIMITS: Final = (60.0, 80.0)
_BATCH: Final = 10
_PAUSE: Final = 0.2  # seconds


def draw(random: np.random.Generator, rows: int, are_fast: bool) -> pd.DataFrame:
    """Draw machines with their true class."""
    speed = random.normal(40 if are_fast else 20, 5, rows).round(2)
    heat = random.normal(70 if are_fast else 60, 10, rows).round(2)
    limit = np.where(speed > _FAST, _LIMITS[1], _LIMITS[0])
    noise = random.normal(0, 1, rows).round(3)
    return pd.DataFrame({"speed": speed, "heat": heat, "noise": noise, "state": np.where(heat > limit, "worn", "good")})


def contract(source: Path, window: str) -> str:
    """Return the contract of the table, whose rows are at `source`."""
    draw(np.random.default_rng(0), ROWS, are_fast=False).to_csv(source, index=False)
    columns = "".join(
        f"      - {{name: {name}, logicalType: number, required: true, examples: [{example}]}}\n"
        for name, example in (("speed", 20), ("heat", 60), ("noise", 0))
    )
    return f"""apiVersion: v3.2.0
kind: DataContract
id: {NAME}
name: {NAME}
version: 1.0.0
schema:
  - name: {NAME}
    properties:
{columns}      - name: state
        logicalType: string
        required: true
        enum: [{{value: good}}, {{value: worn}}]
        customProperties:
          - {{property: role, value: target}}
customProperties:
  - property: training
    value:
      registeredModel: {NAME}
      experiment: {NAME}
      schedule: ""
      source: "{source}"
      estimator: random_forest
      grid: {{n_estimators: [4, 8, 12, 16, 20], max_depth: [3, 4, 6, 8]}}
      folds: 3
      minAccuracy: 0.6
      shadowPredictions: 300
  - property: monitoring
    value:
      window: {window}
      accuracyFloor: 0.85
      cooldown: 30min
      useProductionRows: true
"""


class Traffic:
    """Requests of one client, which also tells the true class of each answer, until the end of the block."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/models/{NAME}"
        self._random = np.random.default_rng(1)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.are_fast = False
        self.answers = self.failures = 0

    def __enter__(self) -> "Traffic":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with httpx.Client(timeout=30) as client:
            while not self._stop.wait(_PAUSE):
                try:
                    self._ask(client)
                except httpx.HTTPError:
                    self.failures += 1

    def _ask(self, client: httpx.Client) -> None:
        rows = draw(self._random, _BATCH, self.are_fast)
        asked = rows.drop(columns="state").to_dict("records")
        answer = client.post(f"{self._url}/predict", json=asked).raise_for_status().json()
        truth = [
            {"prediction_id": f"{answer['prediction_id']}/{place}", "class": state, "who": "the drill"}
            for place, state in enumerate(rows["state"])
        ]
        client.post(f"{self._url}/feedback", json=truth).raise_for_status()
        self.answers += len(rows)
