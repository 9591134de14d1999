"""`POST /predict` answers every penguin as scikit-learn does, and explains the errors of other requests."""

import json
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestClassifier

from serving.settings import Settings
from tests.serving.penguins import FEATURES, SPECIES
from tests.serving.publisher import features
from tests.serving.service import PENGUIN, Service

JSON = {"content-type": "application/json"}
FLOAT32_MAX = float(np.finfo(np.float32).max)


def post(service: Service, body: str | bytes, headers: dict[str, str] = JSON) -> httpx.Response:
    """Post a body without changes."""
    return service.http.post("/predict", content=body, headers=headers)


def body_with(**literals: str) -> str:
    """Return a penguin in JSON, with the given literals in some fields."""
    fields = {name: json.dumps(value) for name, value in PENGUIN.items()} | literals
    return "{" + ", ".join(f'"{name}": {literal}' for name, literal in fields.items()) + "}"


def test_valid_request_is_answered(service: Service, model: RandomForestClassifier) -> None:
    body = b'{"bill_length_mm":20,"bill_depth_mm":40,"flipper_length_mm":200,"body_mass_g":4000}'
    answer = post(service, body).json()
    assert list(answer) == ["prediction", "species", "probabilities", "model_version", "warnings"]
    assert answer["prediction"] == model.predict([[20, 40, 200, 4000]]).tolist()
    assert answer["species"] == [SPECIES[answer["prediction"][0]]]
    assert answer["probabilities"][0].keys() == set(SPECIES)
    ranges = {feature["name"]: feature for feature in features()}
    assert answer["warnings"] == [
        f"{name}={value} mm is outside the range seen in training"
        f" ({ranges[name]['min']:g} to {ranges[name]['max']:g} mm)"
        for name, value in {"bill_length_mm": 20, "bill_depth_mm": 40}.items()
    ]


def test_no_warning_at_the_ends_of_the_range(service: Service) -> None:
    for end in ("min", "max"):
        penguin = {feature["name"]: feature[end] for feature in features()}
        assert service.predict(penguin).json()["warnings"] == []


@pytest.mark.parametrize(
    ("literal", "shown", "kind"),
    [
        ('"39.1"', '"39.1"', "float_type"),
        ("true", "true", "float_type"),
        ("null", "null", "float_type"),
        ("[39.1]", "[39.1]", "float_type"),
        ("{}", "{}", "float_type"),
        (f'"{"x" * 1000}"', '"' + "x" * 59 + "…", "float_type"),
        ("NaN", "NaN", "finite_number"),
        ("Infinity", "Infinity", "finite_number"),
        ("-Infinity", "-Infinity", "finite_number"),
        ("1e400", "Infinity", "finite_number"),
        ("9" * 400, "9" * 60 + "…", "finite_number"),
        ("1e39", "1e+39", "less_than"),
        ("3.4028235677973366e38", "3.4028235677973366e+38", "less_than"),
        ("1" + "0" * 40, "1" + "0" * 40, "less_than"),
        ("0", "0", "greater_than"),
        ("0.0", "0.0", "greater_than"),
        ("-0", "0", "greater_than"),
        ("-39.1", "-39.1", "greater_than"),
    ],
)
@pytest.mark.parametrize(("field", "unit"), [("bill_length_mm", "mm"), ("body_mass_g", "g")])
def test_wrong_value_is_refused(service: Service, field: str, unit: str, literal: str, shown: str, kind: str) -> None:
    response = post(service, body_with(**{field: literal}))
    assert response.status_code == 422
    problem = response.json()["detail"][0]
    assert (problem["loc"], problem["type"]) == (["body", field], kind)
    assert problem["msg"].startswith(f"{field}={shown} is")
    assert problem["msg"].endswith(f"allowed is a JSON number greater than 0 and less than 3.4e38, in {unit}")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("", "the body is empty: send one JSON object with bill_length_mm, bill_depth_mm, flipper_length_mm and body"),
        ("{", "the body isn't JSON: EOF while parsing an object at line 1 column 1"),
        (body_with(bill_length_mm="0x27"), "the body isn't JSON: expected `,` or `}`"),
        (body_with(bill_length_mm="9" * 5000), "the body isn't JSON: number out of range"),
        (b"\xff", "the body isn't JSON"),
        ("[" * 5000, "the body isn't JSON: recursion limit exceeded"),
        ("[" * 1_000_000, "the body isn't JSON: recursion limit exceeded"),
        ('{"\\ud800": 1}', "the body isn't JSON"),
        ("[]", "the list is empty: send one JSON object"),
        ("[{}]", "[0]: bill_length_mm is missing: allowed is a JSON number"),
        ("[null]", "[0] is null: send one JSON object"),
        ("[[1, 2, 3, 4]]", "[0] is [1, 2, 3, 4]: send one JSON object"),
        (f"[{body_with()}, {body_with(bill_depth_mm='-1')}]", "[1]: bill_depth_mm=-1 is too small: allowed is"),
        ("null", "the body is null: send one JSON object"),
        ("39.1", "the body is 39.1: send one JSON object"),
        ("{}", "bill_length_mm is missing: allowed is a JSON number greater than 0 and less than 3.4e38, in mm"),
        (body_with(island='"Dream"'), '"island" isn\'t a known field: allowed are bill_length_mm, '),
        (body_with(**{"é\U0001f427": "1"}), '"\\u00e9\\ud83d\\udc27" isn\'t a known field'),
    ],
)
def test_wrong_body_is_refused(service: Service, body: str | bytes, text: str) -> None:
    response = post(service, body)
    assert response.status_code == 422
    assert response.json()["detail"][0]["msg"].startswith(text)


def test_all_errors_are_reported_at_once(service: Service) -> None:
    problems = post(service, '{"bill_length_mm": -1, "bill_depth_mm": "x", "island": 1}').json()["detail"]
    assert [problem["loc"][1] for problem in problems] == [*FEATURES, "island"]


def test_number_of_reported_errors_is_limited(service: Service) -> None:
    body = json.dumps({str(number): number for number in range(1000)})
    assert len(post(service, body).json()["detail"]) == 20


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON", "application/x+json"])
def test_other_json_content_types_are_accepted(service: Service, content_type: str) -> None:
    assert post(service, body_with(), {"content-type": content_type}).status_code == 200


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded", "json", "text/json"])
def test_wrong_content_type_is_refused(service: Service, content_type: str) -> None:
    response = post(service, body_with(), {"content-type": content_type})
    assert response.status_code == 415
    assert response.json()["detail"] == "send the body as JSON, with the header Content-Type: application/json"


def test_body_above_the_limit_is_refused(service: Service) -> None:
    limit = Settings.model_fields["max_body_bytes"].default
    too_large = (body_with() + " " * limit).encode()
    for body in (too_large, iter([too_large[:1000], too_large[1000:]])):
        response = service.http.post("/predict", content=body, headers=JSON)
        assert response.status_code == 413
        assert response.json()["detail"] == f"the body is larger than {limit} bytes"


def test_body_in_pieces_is_accepted(service: Service) -> None:
    pieces = [bytes([byte]) for byte in body_with().encode()]
    assert service.http.post("/predict", content=iter(pieces), headers=JSON).status_code == 200


def test_other_method_is_refused(service: Service) -> None:
    assert service.http.get("/predict").status_code == 405


measurement = st.floats(0, FLOAT32_MAX, exclude_min=True) | st.integers(1, 10**6) | st.floats(10, 6000, width=32)
penguins = st.fixed_dictionaries(dict.fromkeys(FEATURES, measurement))
PER_RUN = settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)


@PER_RUN
@given(penguin=penguins)
@example(penguin=dict.fromkeys(FEATURES, FLOAT32_MAX))
@example(penguin=dict.fromkeys(FEATURES, 5e-324))
def test_accepted_penguins_are_answered_as_scikit_learn_does(
    service: Service, model: RandomForestClassifier, penguin: dict[str, float]
) -> None:
    answer = service.predict(penguin).json()
    row = [[penguin[name] for name in FEATURES]]
    assert answer["prediction"] == model.predict(row).tolist()
    assert list(answer["probabilities"][0].values()) == pytest.approx(model.predict_proba(row)[0], abs=1e-6)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
documents = anything | st.fixed_dictionaries({}, optional=dict.fromkeys([*FEATURES, "extra"], anything | measurement))


@PER_RUN
@given(body=st.binary(max_size=50) | documents.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_answered_or_refused(service: Service, body: bytes) -> None:
    response = post(service, body)
    assert response.status_code in (200, 422)
    if response.status_code == 422:
        problems: list[dict[str, Any]] = response.json()["detail"]
        assert problems
        assert all(problem["msg"] and problem["type"] and problem["loc"][0] == "body" for problem in problems)


def test_client_errors_are_not_logged_as_errors(service: Service) -> None:
    assert "Traceback" not in service.log
    assert "ERROR" not in service.log
