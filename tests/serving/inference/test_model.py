"""Loading a model from the files of a version."""

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
