"""The answers to the penguins' requests stay equal to the byte."""

import json

from tests.serving.recorded.answers import FOLDER, digests_of_answers, version


def test_answers_are_those_of_before() -> None:
    assert digests_of_answers(version(FOLDER / "version_1")) == json.loads((FOLDER / "digests.json").read_text())
