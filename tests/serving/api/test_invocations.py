"""`/invocations` answers as MLflow's own scoring server does for the same model."""

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.pyfunc.scoring_server.client import ScoringServerClient

from serving.codecs.media_types import ARROW, CSV, JSON, PARQUET
from tests.serving.api.conftest import Start, sample
from tests.serving.cached import store
from tests.serving.mixed import NAMES, ROWS, as_json
from tests.serving.mixed import files as mixed_files
from tests.serving.penguins import FEATURES, PENGUIN
from tests.serving.publisher import forest, penguins
from tests.serving.scoring_server import save, scoring_server
from tests.serving.service import Service

pytestmark = pytest.mark.programs

TABLE = pd.DataFrame(penguins(7)[0][::20].astype(float), columns=list(FEATURES))
LISTS = TABLE.to_dict("list")
RECORDS = TABLE.to_dict("records")
SPLIT = TABLE.to_dict("split")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """The scoring server of MLflow."""
    folder = tmp_path_factory.mktemp("mlflow")
    save(forest(), folder / "model")
    with scoring_server(folder / "model", folder / "log") as client:
        yield client


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service with the same model."""
    folder = tmp_path_factory.mktemp("ours")
    with Service(folder, **store(folder / "cache"), SERVING_POLL_SECONDS=60, SERVING_MAX_ROWS=100) as service:
        yield service


def asked(client: httpx.Client, body: Any, media_type: str = JSON) -> httpx.Response:
    """Return the answer to a body, JSON by default."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post("/invocations", content=content, headers={"content-type": media_type})


def as_csv(table: pd.DataFrame, **options: Any) -> bytes:
    """Return a table in CSV."""
    return str(table.to_csv(**options)).encode()


def as_parquet(table: pd.DataFrame) -> bytes:
    """Return a table in Parquet."""
    sink = io.BytesIO()
    table.to_parquet(sink)
    return sink.getvalue()


EXTRA = TABLE.assign(island="Dream", **{"flipper length": [[1]] * len(TABLE)})

ANSWERED = [
    ({"dataframe_split": SPLIT}, JSON),
    ({"dataframe_split": {"columns": [*FEATURES, "x"], "data": [[*row, "y"] for row in SPLIT["data"]]}}, JSON),
    ({"dataframe_split": {"columns": [*FEATURES][::-1], "data": [row[::-1] for row in SPLIT["data"]]}}, JSON),
    ({"dataframe_records": RECORDS}, JSON),
    ({"dataframe_records": [PENGUIN]}, JSON),
    ({"dataframe_records": [each | {"x": [{}], "island": None} for each in RECORDS]}, JSON),
    ({"instances": RECORDS}, JSON),
    ({"instances": LISTS}, JSON),
    ({"inputs": RECORDS}, JSON),
    ({"inputs": LISTS}, JSON),
    ({"inputs": PENGUIN}, JSON),
    ({"inputs": LISTS | {"x": ["y"] * len(TABLE)}}, JSON),
    ({"inputs": LISTS | {"body_mass_g": 4000}}, JSON),
    ({"inputs": LISTS, "params": None, "other": [[[]]]}, JSON),
    ({"inputs": LISTS, "params": {"temperature": 1}}, f"{JSON}; charset=UTF-8"),
    (json.dumps({"dataframe_records": RECORDS}, indent=2).encode(), JSON),
    (as_csv(TABLE, index=False), CSV),
    (as_csv(TABLE), f"{CSV};charset=utf-8"),
    (as_csv(EXTRA), CSV),
    (as_csv(TABLE[[*FEATURES][::-1]], index=False), CSV),
    (as_parquet(TABLE), PARQUET),
    (as_parquet(EXTRA), PARQUET),
]


@pytest.mark.parametrize(("body", "media_type"), ANSWERED)
def test_answers_are_those_of_mlflow(ours: Service, theirs: httpx.Client, body: Any, media_type: str) -> None:
    answer, expected = asked(ours.http, body, media_type), asked(theirs, body, media_type)
    assert expected.status_code == 200, expected.text
    assert (answer.status_code, answer.content) == (200, expected.content)
    assert answer.headers["content-type"] == expected.headers["content-type"] == JSON
    assert answer.headers["x-model-version"] == "1"
    assert len(answer.json()["predictions"]) in (1, len(TABLE))


WITHOUT = {name: values for name, values in PENGUIN.items() if name != "body_mass_g"}
REFUSED = [
    ({"dataframe_records": [WITHOUT]}, "[0]: body_mass_g is missing: allowed is a JSON number"),
    ({"dataframe_split": {"columns": ["x"], "data": [[1]]}}, 'the columns are "x", needed are bill_length_mm'),
    ({"dataframe_split": {"columns": ["x"], "data": [[1]], "dtypes": []}}, "unknown field `dtypes`"),
    ({"dataframe_split": {"columns": ["x"]}}, "missing required field `data`"),
    ({"dataframe_split": [[1]]}, "dataframe_split: Expected `object`"),
    ({"dataframe_split": {"columns": [*FEATURES], "data": [[1]]}}, "[0] has 1 values, and there are 4 columns"),
    ({"dataframe_records": PENGUIN}, "isn't a list of objects"),
    ({"dataframe_records": []}, "there are no rows"),
    ({"dataframe_records": [1]}, "[0]: Expected `object`, got `int`"),
    ({"dataframe_records": [PENGUIN | {"body_mass_g": "heavy"}]}, '[0]: body_mass_g="heavy" isn\'t a number'),
    ({"dataframe_records": [PENGUIN] * 9 + [PENGUIN | {"body_mass_g": {}}]}, "[9]: body_mass_g={} isn't a number"),
    ({"inputs": LISTS | {"body_mass_g": [1, 2]}}, "its columns haven't all the same number of values"),
    ({"inputs": LISTS | {"body_mass_g": [[1]] * 15}}, "inputs: Expected"),
    ({"inputs": 1}, "inputs: Expected `array`"),
    ({"dataframe_split": {"data": 1}}, "dataframe_split: Expected `array`"),
    ({"inputs": [PENGUIN], "instances": [PENGUIN]}, "it has instances and inputs"),
    ({"params": {}}, "exactly one of dataframe_split, dataframe_records, instances and inputs"),
    ([PENGUIN], "the body: Expected `object`, got `array`"),
    (b"", "the body: Input data was truncated"),
    (b'{"inputs": ' + b"[" * 100_000, "the body"),
    (b"\xff", "the body"),
]


@pytest.mark.parametrize(("body", "message"), REFUSED)
def test_refusals_have_the_form_of_mlflow(ours: Service, theirs: httpx.Client, body: Any, message: str) -> None:
    answer = asked(ours.http, body)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == JSON
    assert answer.json()["error_code"] == "BAD_REQUEST"
    assert message in answer.json()["message"]
    refused = asked(theirs, body) if len(body) < 1000 else None  # theirs fails at so many brackets
    assert refused is None or refused.status_code in (400, 500)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"dataframe_records": [PENGUIN | {"body_mass_g": "3750"}]}, '"3750" isn\'t a number'),
        ({"dataframe_records": [PENGUIN | {"body_mass_g": True}]}, "true isn't a number"),
        ({"dataframe_records": [PENGUIN | {"body_mass_g": None}]}, "null isn't a number"),
        ({"dataframe_records": [PENGUIN | {"body_mass_g": -1}]}, "-1.0 is too small"),
        ({"dataframe_split": SPLIT | {"data": [[1e39] * 4] * 15}}, "1e+39 is too large for float32"),
        ({"inputs": LISTS | {"body_mass_g": [float("nan")] * 15}}, "null isn't a number"),
        ({"inputs": LISTS | {"body_mass_g": [float("inf")] * 15}}, "Number out of range"),
    ],
)
def test_values_that_break_the_contract_are_refused_although_mlflow_takes_them(
    ours: Service, theirs: httpx.Client, body: Any, message: str
) -> None:
    answer = asked(ours.http, body)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "BAD_REQUEST")
    assert message in answer.json()["message"]
    assert asked(theirs, body).status_code in (200, 400)


@pytest.mark.parametrize("form", ["instances", "inputs"])
def test_numbers_without_names_are_taken_in_the_order_of_the_features(ours: Service, form: str) -> None:
    expected = {"predictions": forest().predict(TABLE.to_numpy()).tolist()}
    assert asked(ours.http, {form: TABLE.to_numpy().tolist()}).json() == expected
    assert asked(ours.http, {"dataframe_split": {"data": SPLIT["data"]}}).json() == expected
    wrong = asked(ours.http, {form: [[1, 2, 3]]})
    assert (wrong.status_code, "3 values, and there are 4 columns" in wrong.text) == (400, True)


@pytest.mark.parametrize(
    "media_type", ["", "text/plain", ARROW, f"{JSON}; charset=latin-1", f"{CSV}; header=present", f"{JSON};format=x"]
)
def test_other_media_types_and_parameters_are_refused(ours: Service, theirs: httpx.Client, media_type: str) -> None:
    body = json.dumps({"dataframe_records": RECORDS}).encode()
    refused = asked(ours.http, body, media_type)
    assert (refused.status_code, refused.json()["error_code"]) == (415, "BAD_REQUEST")
    assert not media_type or asked(theirs, body, media_type).status_code == 415


def test_the_client_of_mlflow_is_served(ours: Service) -> None:
    client = ScoringServerClient(ours.http.base_url.host, ours.http.base_url.port)
    client.wait_server_ready(timeout=5)
    assert client.get_version().split(".")[0] == mlflow.__version__.split(".")[0]
    expected = forest().predict(TABLE.to_numpy())
    for data in (TABLE, TABLE.to_numpy(), RECORDS):
        np.testing.assert_array_equal(client.invoke(data).get_predictions(predictions_format="ndarray"), expected)
    assert client.invoke(TABLE, params={"x": 1}).get_predictions().shape == (15, 1)
    with pytest.raises(Exception, match=re.escape("(error code 400, response:")):
        client.invoke(TABLE.astype(str))
    with pytest.raises(MlflowException):
        client.invoke(TABLE, params=[])  # type: ignore[arg-type]


def test_ping_and_version_are_those_of_mlflow(ours: Service, theirs: httpx.Client) -> None:
    assert ours.http.get("/ping").content == theirs.get("/ping").content == b"\n"
    assert re.fullmatch(r"\d+\.\d+\.\d+", ours.http.get("/version").text)
    assert ours.http.get("/health").status_code == 404


def test_too_many_rows_are_refused(ours: Service) -> None:
    assert len(asked(ours.http, {"dataframe_records": [PENGUIN] * 100}).json()["predictions"]) == 100
    for body in ({"dataframe_records": [PENGUIN] * 101}, {"inputs": dict.fromkeys(FEATURES, [1] * 101)}):
        refused = asked(ours.http, body)
        assert (refused.status_code, refused.json()["error_code"]) == (413, "BAD_REQUEST")
    assert len(asked(ours.http, as_csv(pd.concat([TABLE] * 10)), CSV).json()["predictions"]) == 150


def test_a_wrong_row_of_a_table_is_named(ours: Service) -> None:
    refused = asked(ours.http, as_csv(TABLE.assign(body_mass_g=-1.0)), CSV)
    assert (refused.status_code, refused.json()["error_code"]) == (400, "BAD_REQUEST")
    assert refused.json()["message"].startswith("[0]: body_mass_g=-1.0 is too small")
    refused = asked(ours.http, as_csv(TABLE.drop(columns="body_mass_g")), CSV)
    assert "the columns must be bill_length_mm" in refused.json()["message"]
    assert asked(ours.http, b"no parquet", PARQUET).status_code == 400


def test_categories_and_missing_values_are_those_of_the_contract(tmp_path: Path) -> None:
    settings = store(tmp_path / "cache", files=mixed_files())
    with Service(tmp_path, **settings, SERVING_POLL_SECONDS=60) as service:
        labels = service.predict([as_json(row) for row in ROWS]).json()["prediction"]
        table = pd.DataFrame(ROWS, columns=list(NAMES), dtype=object)
        client = ScoringServerClient("127.0.0.1", service.http.base_url.port)
        assert client.invoke(table).get_predictions()[0].tolist() == labels
        with_nan = table.where(table.notna(), float("nan"))  # written as NaN, which isn't JSON
        assert client.invoke(with_nan).get_predictions()[0].tolist() == labels
        for body in (
            {"dataframe_records": [as_json(row) | {"x": 1} for row in ROWS]},
            {"inputs": dict(zip(NAMES, map(list, zip(*ROWS, strict=True)), strict=True))},
        ):
            assert asked(service.http, body).json() == {"predictions": labels}
        refused = asked(service.http, {"dataframe_records": [as_json(ROWS[0]) | {"city\\": "Oslo"}]})
        assert '[0]: city\\="Oslo" isn\'t a known value, "Oslo, N" is' in refused.json()["message"]
        refused = asked(service.http, {"inputs": [list(ROWS[0])]})
        assert "its values have no names: name the columns" in refused.json()["message"]


def test_keys_limits_counts_and_log_are_those_of_predict(cached: Start, tmp_path: Path) -> None:
    service = cached(SERVING_API_KEYS="secret", SERVING_LOG_DIR=tmp_path / "spool")
    body, key = {"dataframe_records": [PENGUIN] * 3}, {"X-API-Key": "secret"}
    refused = service.http.post("/invocations", json=body)
    assert (refused.status_code, refused.json()["error_code"]) == (401, "UNAUTHENTICATED")
    assert refused.headers["www-authenticate"] == 'ApiKey header="X-API-Key"'
    assert service.http.get("/ping").status_code == service.http.get("/version").status_code == 200
    for path in ("/invocations", "/models/penguins_rf/invocations"):
        answer = service.http.post(path, json=body, headers=key)
        assert answer.json() == {"predictions": [0, 0, 0]}
        assert len(answer.headers["x-prediction-id"]) == 36
    unknown = service.http.post("/models/nothing/invocations", json=body, headers=key)
    assert (unknown.status_code, unknown.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    assert sample(service, 'penguins_requests_total{method="POST",route="/invocations",status="200"}') == 1
    of_model = 'penguins_requests_total{method="POST",route="/models/{model}/invocations",status="200"}'
    assert sample(service, of_model) == 1
    assert sample(service, 'penguins_predictions_total{species="Adelie",version="1"}') == 6
    table = as_csv(TABLE)
    logged = service.http.post("/invocations", content=table, headers=key | {"content-type": CSV})
    assert len(logged.headers["x-prediction-id"]) == 36
    assert sample(service, "penguins_log_recorded_total") == 6 + len(TABLE)


def test_a_service_without_a_model_says_so(tmp_path: Path) -> None:
    settings = store(tmp_path / "cache") | {"SERVING_CACHE_DIR": tmp_path / "empty"}
    with Service(tmp_path, **settings) as service:
        refused = asked(service.http, {"inputs": PENGUIN})
        assert (refused.status_code, refused.json()["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
        assert "no model to serve yet" in refused.json()["message"]
        assert refused.headers["retry-after"]
        assert service.http.get("/ping").status_code == 503
