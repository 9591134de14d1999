"""Evidently's preset for drift on the windows of `benchmarks.drift`, in an environment of its own.

    python -m benchmarks.drift_evidently FILE.npz

Reads the windows from the file, and prints as JSON how many have a drifted column, and the seconds of the large one.
"""

import json
import sys
import time
import warnings

import numpy as np
import pandas as pd
from evidently import Report  # type: ignore[import-not-found]
from evidently.presets import DataDriftPreset  # type: ignore[import-not-found]


def frame(rows: np.ndarray, codes: bool = True) -> pd.DataFrame:
    """Return rows as a data frame, whose last column is a category if it has codes."""
    found = pd.DataFrame(rows, columns=[f"feature {place}" for place in range(rows.shape[1])])
    return found.assign(**{found.columns[-1]: rows[:, -1].astype(int).astype(str)}) if codes else found


def drifted(window: pd.DataFrame, reference: pd.DataFrame) -> bool:
    """Return whether a column drifted."""
    found = Report([DataDriftPreset()]).run(window, reference).dict()["metrics"]
    return any(each["value"]["count"] > 0 for each in found if each["metric_name"].startswith("DriftedColumnsCount"))


def main() -> None:
    """Judge all windows."""
    warnings.simplefilter("ignore")
    with np.load(sys.argv[1]) as data:
        reference = frame(data["reference"])
        result: dict[str, float] = {
            name: sum(drifted(frame(window), reference) for window in data[name])
            for name in data.files
            if name.startswith("windows")
        }
        large, before = frame(data["large"], False), frame(data["large_reference"], False)
    started = time.perf_counter()
    drifted(large, before)
    print(json.dumps(result | {"seconds": time.perf_counter() - started}))


if __name__ == "__main__":
    main()
