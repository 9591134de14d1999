"""Loading a model from the files of a version."""

from pathlib import Path

import numpy as np
from sklearn.ensemble import RandomForestClassifier

from serving.inference.memory import give_back
from serving.inference.model import Release, load
from serving.registry.responses import ModelVersion
from tests.serving.publisher import digests, forest, inference_files


class Turning(dict[str, bytes]):
    """Files that have other contents when they are read again."""

    def __getitem__(self, name: str) -> bytes:
        content = super().__getitem__(name)
        self[name] = b"replaced"
        return content


def test_the_bytes_that_were_verified_are_the_bytes_that_are_loaded() -> None:
    files = Turning(inference_files(forest()))
    made = ModelVersion(name="penguins", version="1", creation_timestamp=0, source="models:/m-0")
    assert load(Release(made, digests(inference_files(forest())), None), files, "registry").version == "1"
    assert set(files.values()) == {b"replaced"}


def own_bytes() -> int:
    """Return the memory of the process, without that of files."""
    return int(Path("/proc/self/status").read_text().split("RssAnon:")[1].split()[0]) * 1024


def test_a_loaded_model_takes_little_memory() -> None:
    random = np.random.default_rng(0)
    rows = random.uniform((30, 12, 170, 2500), (60, 22, 235, 6500), (1000, 4)).astype(np.float32)
    files = inference_files(RandomForestClassifier(300, random_state=0).fit(rows, random.integers(0, 3, 1000)))
    made = ModelVersion(name="penguins", version="1", creation_timestamp=0, source="models:/m-0")
    release = Release(made, digests(files), None)
    load(release, files, "registry")  # what the first one takes stays
    give_back()
    before = own_bytes()
    models = [load(release, files, "registry") for _ in range(3)]
    grown = (own_bytes() - before) / len(models) / len(files["inference/model.onnx"])
    assert grown < 2.5
