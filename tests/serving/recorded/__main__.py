"""Print the digests of the answers: `python -m tests.serving.recorded > tests/serving/recorded/digests.json`."""

import json

from tests.serving.recorded.answers import FOLDER, digests_of_answers, version

if __name__ == "__main__":
    print(json.dumps(digests_of_answers(version(FOLDER / "version_1")), indent=1))
