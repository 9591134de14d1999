"""Measure what further models cost the service: `python -m benchmarks.serve_models`.

Forests of 100 trees in one process, as the service has them: its memory, and the processor time of a prediction before
and after the others are loaded. Asked in turn, a model's trees aren't in the processor's cache: that is measured, too.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from hashlib import sha256
from itertools import cycle, islice
from pathlib import Path

MODELS = 20
TREES = 100
FEATURES = 13
CLASSES = 3
ROUNDS = 15
CALLS = 1000
NAMES = [f"feature_{index}" for index in range(FEATURES)]


def write_models(folder: Path) -> None:
    """Train forests, and write the files of a version of each."""
    import numpy as np
    from skl2onnx import to_onnx
    from sklearn.datasets import make_classification
    from sklearn.ensemble import RandomForestClassifier

    for number in range(MODELS):
        rows, labels = make_classification(
            1000, FEATURES, n_informative=6, n_classes=CLASSES, flip_y=0.1, random_state=number
        )
        inputs = rows.astype(np.float32)
        model = RandomForestClassifier(TREES, random_state=number).fit(inputs, labels)
        options = {id(model): {"zipmap": False}}
        (folder / f"{number}.onnx").write_bytes(to_onnx(model, inputs[:1], options=options).SerializeToString())
        answers = {
            "labels": model.predict(inputs[:20]).tolist(),
            "probabilities": model.predict_proba(inputs[:20]).tolist(),
        }
        ranges = zip(NAMES, inputs.min(0).tolist(), inputs.max(0).tolist(), strict=True)
        manifest = {
            "contract_version": 2,
            "name": f"table_{number}",
            "target": {
                "name": "class", "type": "integer", "role": "target", "categories": list(range(CLASSES)),
            },
            "features": [{"name": name, "type": "number", "min": low, "max": high} for name, low, high in ranges],
            "example": {"inputs": inputs[:20].tolist(), **answers},
        }  # fmt: skip
        (folder / f"{number}.json").write_text(json.dumps(manifest))


def measure(folder: Path) -> None:
    """Load the models as the service does, and print the measurements."""
    from concurrent.futures import ThreadPoolExecutor

    import psutil

    from contract.digests import MANIFEST_FILE, ONNX_FILE
    from serving.api.app import create_app
    from serving.api.predict_json import answer_json
    from serving.inference.model import LoadedModel, Release, load
    from serving.registry.responses import ModelVersion
    from serving.settings import Settings

    def microseconds(asked: list[LoadedModel]) -> float:
        begun = time.process_time()
        for model in islice(cycle(asked), CALLS):
            answer_json(body, model, 1)
        return (time.process_time() - begun) / CALLS * 1e6

    def loaded(number: int) -> LoadedModel:
        files = {
            MANIFEST_FILE: (folder / f"{number}.json").read_bytes(),
            ONNX_FILE: (folder / f"{number}.onnx").read_bytes(),
        }
        version = ModelVersion(name=f"m{number}", version="1", creation_timestamp=1, source="models:/m-1")
        digests = {name: sha256(content).hexdigest() for name, content in files.items()}
        return load(Release(version, digests, None), files, "registry")

    app = create_app(Settings())
    body = json.dumps(dict.fromkeys(NAMES, 0.5)).encode()
    started = psutil.Process().memory_info().rss
    models = [loaded(0)]
    alone = [microseconds(models) for _ in range(ROUNDS)]
    with ThreadPoolExecutor() as pool:  # as the service does at its start
        models += pool.map(loaded, range(1, MODELS))
    after = [microseconds([models[number % MODELS]]) for number in range(ROUNDS)]
    turns = [microseconds(models) for _ in range(ROUNDS)]
    one, each, turn = map(statistics.median, (alone, after, turns))
    app.state.reference.document(models)
    memory = psutil.Process().memory_info().rss
    print(f"{(memory - started) / MODELS / 2**20:.1f} MiB for each model; {started / 2**20:.0f} MiB without any")
    print(f"models={MODELS} megabytes={memory / 1e6:.0f} one_us={one:.1f} each_us={each:.1f} turn_us={turn:.1f}")


def main() -> None:
    """Write the models in a process of its own, then measure in another: training takes memory, too."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--measure", type=Path)
    arguments = parser.parse_args()
    if arguments.write:
        write_models(arguments.write)
    elif arguments.measure:
        measure(arguments.measure)
    else:
        with tempfile.TemporaryDirectory() as folder:
            for step in ("--write", "--measure"):
                subprocess.run([sys.executable, "-m", "benchmarks.serve_models", step, folder], check=True)


if __name__ == "__main__":
    main()
