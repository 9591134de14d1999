"""Measure what blocks of one size cost: `python -m benchmarks.serve_blocks`.

Logistic regression in ONNX Runtime, rows as they come against rows in blocks, in alternation and in one process. The
processor time of a request is the service's own; the blocks change the engine's part of it only.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from contract.manifest import Contract
from penguins.data.contract import FEATURE_NAMES, SPECIES
from serving.inference.engines import OnnxEngine

ROUNDS = 30
CHUNK_ROWS = 16_384
CALLS = {1: 2000, 100: 500, CHUNK_ROWS: 5}
"""Rows of a call → calls a round."""


def engine() -> tuple[OnnxEngine, np.ndarray]:
    """Return the engine of a logistic regression, and rows like those that it was fitted on."""
    random = np.random.default_rng(0)
    centres = np.array([(38.8, 18.3, 190, 3700), (48.8, 18.4, 196, 3730), (47.5, 15, 217, 5076)])
    labels = np.arange(CHUNK_ROWS) % len(SPECIES)
    rows = random.normal(centres[labels], (2.7, 1.1, 6.5, 450)).astype(np.float32)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(rows, labels)
    content = to_onnx(model, rows[:1], options={id(model): {"zipmap": False}}).SerializeToString()
    features = [{"name": name, "unit": "", "min": 0.0, "max": 1.0} for name in FEATURE_NAMES]
    return OnnxEngine(content, Contract.model_validate({"features": features, "species": list(SPECIES)})), rows


def seconds(predict: Callable[[np.ndarray], object], rows: np.ndarray, calls: int) -> float:
    """Return the processor seconds of a call."""
    started = time.process_time()
    for _ in range(calls):
        predict(rows)
    return (time.process_time() - started) / calls


def main() -> None:
    """Print the microseconds of a call with and without blocks, medians of the rounds."""
    loaded, rows = engine()
    for number, calls in CALLS.items():
        sides = {"as they come": loaded._run, "in blocks": loaded.predict}
        times: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(ROUNDS):
            for name, predict in sides.items():
                times[name].append(seconds(predict, rows[:number], calls))
        found = {name: statistics.median(values) * 1e6 for name, values in times.items()}
        print(f"{number:>6} rows: " + ", ".join(f"{value:,.1f} µs {name}" for name, value in found.items()))


if __name__ == "__main__":
    main()
