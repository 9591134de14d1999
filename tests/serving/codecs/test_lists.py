"""`POST /predict` answers a list in its order, with the same answers as for single penguins."""

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.ensemble import RandomForestClassifier

from serving.codecs.errors import InvalidError
from serving.codecs.fields import Fields
from serving.codecs.json import JsonCodec
from serving.codecs.row_model import row_model
from serving.settings import Settings
from tests.serving.penguins import FEATURES, SPECIES
from tests.serving.publisher import Publisher, forest, known_contract, penguins
from tests.serving.service import PENGUIN, Service

Start = Callable[..., Service]

LIMIT = Settings.model_fields["max_rows"].default


def as_json(rows: np.ndarray) -> list[dict[str, float]]:
    """Return rows [n, 4] as penguins."""
    return [dict(zip(FEATURES, row, strict=True)) for row in rows.tolist()]


def test_list_is_answered_in_its_order(service: Service, model: RandomForestClassifier) -> None:
    rows = np.random.default_rng(3).permutation(penguins(5)[0])
    response = service.predict(as_json(rows))
    answer = response.json()
    assert answer["prediction"] == model.predict(rows).tolist()
    assert answer["species"] == [SPECIES[label] for label in answer["prediction"]]
    probabilities = [list(each.values()) for each in answer["probabilities"]]
    np.testing.assert_allclose(probabilities, model.predict_proba(rows), atol=2e-6)
    assert response.headers["x-model-version"] == answer["model_version"]
    alone = [service.predict(penguin).json() for penguin in as_json(rows[:20])]
    assert [each["probabilities"][0] for each in alone] == answer["probabilities"][:20]


def test_list_of_one_is_a_list(service: Service) -> None:
    assert service.predict([PENGUIN]).json() == service.predict(PENGUIN).json()


def test_list_above_the_limit_is_refused(service: Service) -> None:
    assert len(service.predict([PENGUIN] * LIMIT).json()["species"]) == LIMIT
    response = service.predict([PENGUIN] * (LIMIT + 1))
    assert response.status_code == 413
    assert response.json()["detail"].startswith(f"the list has {LIMIT + 1} penguins, and at most {LIMIT} are answered")
    assert "text/csv" in response.json()["detail"]


def test_warnings_name_the_penguin(service: Service) -> None:
    heavy = PENGUIN | {"body_mass_g": 9000}
    warnings = service.predict([PENGUIN, heavy]).json()["warnings"]
    assert warnings == [f"[1]: {service.predict(heavy).json()['warnings'][0]}"]
    many = service.predict([heavy] * 150).json()["warnings"]
    assert (len(many), many[100]) == (101, "50 more values are outside the ranges seen in training")


def test_the_first_wrong_penguin_is_explained(service: Service) -> None:
    problems = service.predict([PENGUIN, *[{"bill_length_mm": -1}] * 5000]).json()["detail"]
    assert [problem["loc"] for problem in problems] == [["body", 1, name] for name in FEATURES]
    assert (problems[0]["loc"], problems[0]["type"]) == (["body", 1, "bill_length_mm"], "greater_than")
    assert problems[0]["msg"].startswith("[1]: bill_length_mm=-1 is too small: allowed is")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"[" + b"{}," * 350_000 + b"{}]", "[0]: bill_length_mm is missing"),
        (b'{"a0":1' + b"".join(b',"a%d":1' % number for number in range(150_000)) + b"}", "bytes are too many for one"),
    ],
)
def test_explaining_a_large_body_takes_little_memory(
    publisher: Publisher, start: Start, body: bytes, text: str
) -> None:
    publisher.promote(version := publisher.publish(forest()))
    service = start()
    service.serves(version)
    before = service.peak_bytes()
    response = service.http.post("/predict", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 422
    assert text in response.json()["detail"][0]["msg"]
    assert service.peak_bytes() - before < 40 * len(body)


literals = st.sampled_from(["1", "0", "-0", "-0.0", "1e39", "1e400", "NaN", "Infinity", '"1"', "null", "true", "[]"])
literals |= st.integers().map(str) | st.floats().map(json.dumps) | st.integers(-(10**400), 10**400).map(str)
names = st.sampled_from([*FEATURES, *FEATURES, "extra", "bill\\u005flength_mm"])
objects = st.lists(st.tuples(names, literals), min_size=3, max_size=6) | st.tuples(
    *[st.tuples(st.just(name), literals) for name in FEATURES]
)


@settings(max_examples=500, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(fields=objects)
def test_both_readers_accept_the_same_values(fields: list[tuple[str, str]]) -> None:
    """Compare the fast reader with the documented model: same accepted bodies, same values."""
    body = "{" + ",".join(f'"{name}":{literal}' for name, literal in fields) + "}"

    codec, documented = JsonCodec(known_contract(), "1"), row_model(Fields(known_contract()))

    def read(body: str) -> Any:
        try:
            return np.array(codec.read(body.encode())).ravel().tolist()
        except InvalidError:
            return None

    try:
        expected: Any = list(documented.model_validate_json(body).model_dump().values())
        assert all(math.isfinite(np.float32(value)) for value in expected)
    except ValidationError:
        expected = None
    assert read(body) == read(f"[{body}]") == expected


@pytest.mark.parametrize("body", [b"[1,", b"[]]", b"[{}", b'[{"a":', b"\xef\xbb\xbf[]", b"[\xff]", b" [ ] "])
def test_broken_lists_are_refused(service: Service, body: bytes) -> None:
    response = service.http.post("/predict", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 422
    assert response.json()["detail"][0]["msg"]
