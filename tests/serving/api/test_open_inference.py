"""The clients of Triton, KServe and MLServer are served in the Open Inference Protocol."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from tests.serving.api.conftest import Start, sample
from tests.serving.cached import store
from tests.serving.mixed import NAMES, ROWS, as_json
from tests.serving.mixed import files as mixed_files
from tests.serving.penguins import FEATURES, PENGUIN, SPECIES
from tests.serving.publisher import penguins
from tests.serving.service import Service

pytestmark = pytest.mark.programs

ROWS_OF_PENGUINS = penguins(7)[0][::20].astype(np.float64)
COLUMNS = dict(zip(FEATURES, ROWS_OF_PENGUINS.T, strict=True))
INFER = "/v2/models/penguins_rf/infer"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service with a forest for penguins."""
    folder = tmp_path_factory.mktemp("penguins")
    with Service(folder, **store(folder / "cache"), SERVING_POLL_SECONDS=60, SERVING_MAX_ROWS=100) as running:
        yield running


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service with a contract that has every kind of feature."""
    folder = tmp_path_factory.mktemp("mixed")
    own = store(folder / "cache", name="grapes", files=mixed_files())
    with Service(folder, **own, SERVING_POLL_SECONDS=60) as running:
        yield running


@pytest.fixture
def client(service: Service) -> Iterator[triton.InferenceServerClient]:
    """The client of Triton."""
    with triton.InferenceServerClient(service.http.base_url.netloc.decode()) as made:
        yield made


def tensor(name: str, values: Any, binary: bool = True, datatype: str = "") -> triton.InferInput:
    """Return an input of the client."""
    array = np.asarray(values)
    made = triton.InferInput(name, list(array.shape), datatype or np_to_triton_dtype(array.dtype))
    return made.set_data_from_numpy(array, binary_data=binary)


def answered(service: Service, rows: Any) -> dict[str, Any]:
    """Return the answer of `/predict` to rows."""
    return dict(service.predict(rows).json())


def check(result: Any, expected: dict[str, Any], key: str = "species") -> None:
    """Compare the outputs with an answer of `/predict`."""
    assert result.as_numpy("prediction").tolist() == expected["prediction"]
    assert [text if isinstance(text, str) else text.decode() for text in result.as_numpy(key)] == expected[key]
    probabilities = [list(each.values()) for each in expected["probabilities"]]
    assert result.as_numpy("probabilities").tolist() == probabilities


def infer(service: Service, inputs: Any, **more: Any) -> Any:
    """Return the answer to a request in JSON."""
    return service.http.post(INFER, json={"inputs": inputs} | more)


def column(name: str, data: Any, datatype: str = "FP64", **more: Any) -> dict[str, Any]:
    """Return an input in JSON."""
    return {"name": name, "datatype": datatype, "shape": [len(data)], "data": data} | more


def one() -> list[dict[str, Any]]:
    """Return the inputs of one penguin."""
    return [column(name, [value]) for name, value in PENGUIN.items()]


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("form", ["columns", "columns of one", "a matrix", "integers and halves"])
def test_the_client_of_triton_gets_the_answers_of_predict(
    service: Service, client: Any, form: str, binary: bool
) -> None:
    columns: dict[str, Any] = COLUMNS
    if form == "integers and halves":
        kinds = (
            (np.float32, np.float16, np.int16, np.uint32) if binary else (np.float32, np.float64, np.int16, np.uint32)
        )
        columns = {
            name: values.round().astype(kind) for (name, values), kind in zip(COLUMNS.items(), kinds, strict=True)
        }
    rows = np.stack([values.astype(float) for values in columns.values()], axis=1)
    expected = answered(service, [dict(zip(FEATURES, row, strict=True)) for row in rows.tolist()])
    if form == "a matrix":
        inputs = [tensor("input__0", rows, binary)]
    else:
        shape = (-1, 1) if form == "columns of one" else (-1,)
        inputs = [tensor(name, columns[name].reshape(shape), binary) for name in reversed(columns)]
    wanted = [
        triton.InferRequestedOutput(name, binary_data=binary) for name in ("probabilities", "species", "prediction")
    ]
    check(client.infer("penguins_rf", inputs), expected)
    check(client.infer("penguins_rf", inputs, outputs=wanted, model_version="1", request_id="r-1"), expected)
    assert client.infer("penguins_rf", inputs, request_id="r-1").get_response()["id"] == "r-1"


def test_one_row_is_answered_as_among_others(service: Service, client: Any) -> None:
    expected = answered(service, PENGUIN)
    check(client.infer("penguins_rf", [tensor("x", np.array([list(PENGUIN.values())], np.float32))]), expected)
    only = [triton.InferRequestedOutput("prediction", binary_data=False)]
    result = client.infer(
        "penguins_rf", [tensor(name, [float(value)]) for name, value in PENGUIN.items()], outputs=only
    )
    outputs = [{"name": "prediction", "datatype": "INT64", "shape": [1], "data": [0]}]
    assert result.get_response() == {"model_name": "penguins_rf", "model_version": "1", "outputs": outputs}


def test_the_client_of_triton_finds_server_and_model(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("penguins_rf")
    assert client.is_model_ready("penguins_rf", "1")
    assert not client.is_model_ready("penguins_rf", "2")
    assert not client.is_model_ready("nothing")
    assert client.get_server_metadata() == {"name": "penguins", "version": "1", "extensions": ["binary_tensor_data"]}
    found = client.get_model_metadata("penguins_rf")
    assert found == client.get_model_metadata("penguins_rf", "1")
    assert found == {
        "name": "penguins_rf",
        "versions": ["1"],
        "platform": "onnxruntime",
        "inputs": [{"name": name, "datatype": "FP64", "shape": [-1]} for name in FEATURES],
        "outputs": [
            {"name": "prediction", "datatype": "INT64", "shape": [-1]},
            {"name": "species", "datatype": "BYTES", "shape": [-1]},
            {"name": "probabilities", "datatype": "FP64", "shape": [-1, len(SPECIES)]},
        ],
    }
    for ask in (client.get_model_metadata, lambda *names: client.infer(names[0], [], names[1])):
        with pytest.raises(InferenceServerException, match='version "2" of penguins_rf isn\'t served here'):
            ask("penguins_rf", "2")
    with pytest.raises(InferenceServerException, match='no model "nothing" is served here'):
        client.get_model_metadata("nothing")


def test_the_client_of_triton_reads_the_refusals(client: Any) -> None:
    with pytest.raises(InferenceServerException, match=r"\[1\]: body_mass_g=-1.0 is too small") as caught:
        client.infer("penguins_rf", [tensor("x", [list(PENGUIN.values()), [1.0, 1.0, 1.0, -1.0]])])
    assert caught.value.status() == "400"
    with pytest.raises(InferenceServerException, match="isn't finite"):
        client.infer("penguins_rf", [tensor("x", [[float("nan")] * 4])])


def test_the_requests_of_kserve_and_mlserver_are_read(service: Service) -> None:
    expected = answered(service, PENGUIN)
    mlserver = [column(name, [value], shape=[1, 1]) for name, value in PENGUIN.items()]  # its codec of data frames
    kserve = [column("input-0", [list(PENGUIN.values())], "FP32", shape=[1, 4])]
    for inputs, more in ((mlserver, {"parameters": {"content_type": "pd"}}), (kserve, {"model_name": "penguins_rf"})):
        answer = infer(service, inputs, id="7", **more)
        assert answer.headers["content-type"] == "application/json"
        found = {output["name"]: output["data"] for output in answer.json()["outputs"]}
        assert found["prediction"] == expected["prediction"]
        assert found["probabilities"] == list(expected["probabilities"][0].values())
        assert answer.json()["id"] == "7"


REFUSED = [
    ([], {}, "there are no inputs"),
    ([*one(), column("island", ["Dream"], "BYTES")], {}, '"island": the inputs of the model are'),
    (one()[1:], {}, "bill_length_mm\": the input is missing: allowed is a JSON number"),
    ([*one(), one()[0]], {}, "two inputs have the same name"),
    ([column("x", [1, 2, 3], shape=[1, 3])], {}, "its shape is [1, 3]: [1, 4] is needed"),
    ([column("x", [1, 2, 3], shape=[1, 4])], {}, "its data haven't 4 elements"),
    ([column("x", [[1, 2], [3, 4]], shape=[1, 4])], {}, "a row of its data hasn't 4 elements"),
    ([column("x", [[[1, 2, 3, 4]]], shape=[1, 4])], {}, "can't be read as FP64"),
    ([column("x", [[], [1, 2, 3]], shape=[1, 4])], {}, "a row of its data hasn't 4 elements"),
    ([column("x", [], shape=[0, 4])], {}, "the first number is that of the rows, 1 or more"),
    ([column("x", [], shape=[])], {}, "the first number is that of the rows, 1 or more"),
    ([column("x", [1], shape=[-1, 4])], {}, "the request isn't one of the protocol"),
    ([column("x", [1, 2, 3, 4], shape=[1, 4, 2**63])], {}, "[1, 4] is needed"),
    ([column("x", ["1"] * 4, shape=[1, 4])], {}, "can't be read as FP64"),
    ([column("x", ["1"] * 4, "BYTES", shape=[1, 4])], {}, "numbers are needed, such as FP64"),
    ([column("x", [True] * 4, "BOOL", shape=[1, 4])], {}, "numbers are needed, such as FP64"),
    ([column("x", [300, 1, 1, 1], "UINT8", shape=[1, 4])], {}, "isn't UINT8"),
    ([column("x", [10**400, 1, 1, 1], shape=[1, 4])], {}, '"x": '),
    ([column("x", [1.5, 1, 1, 1], "INT64", shape=[1, 4])], {}, "can't be read as INT64"),
    ([column("x", [1, 2, 3, 4], "FP8", shape=[1, 4])], {}, 'its datatype is "FP8": BOOL, UINT8'),
    ([column("x", [1, None, 3, 4], shape=[1, 4])], {}, "isn't finite"),
    ([*one()[1:], column("bill_length_mm", [1, 2])], {}, "its shape is [2]: [1] or [1, 1] is needed"),
    ([{"name": "x", "datatype": "FP64", "shape": [1, 4]}], {}, "either data or the parameter binary_data_size"),
    ([column("x", [1] * 4, shape=[1, 4], parameters={"binary_data_size": 0})], {}, "either data or the parameter"),
    ([column("x", [1] * 4, shape=[1, 4], parameters={"binary_data_size": 32})], {}, "32 bytes of binary data, and 0"),
    ([column("x", [1] * 4, shape=[1, 4], parameters={"binary_data_size": -1})], {}, "isn't one of the protocol"),
    ([column("x", [1] * 4, shape=[1, 4], parameters={"shared_memory_region": "r"})], {}, "shared memory isn't"),
    (one(), {"outputs": [{"name": "x"}]}, '"x": the outputs of the model are prediction, species and probabilities'),
    (one(), {"outputs": [{"name": "prediction", "parameters": {"classification": 2}}]}, "classification"),
    ({}, {}, "the request isn't one of the protocol"),
]  # fmt: skip


@pytest.mark.parametrize(("inputs", "more", "message"), REFUSED)
def test_wrong_requests_are_refused_in_the_form_of_the_protocol(
    service: Service, inputs: Any, more: dict[str, Any], message: str
) -> None:
    refused = infer(service, inputs, **more)
    assert refused.status_code == 400, refused.text
    assert message in refused.json()["error"]
    assert list(refused.json()) == ["error"]


HEAD = json.dumps(
    {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "parameters": {"binary_data_size": 16}}]}
)
DATA = np.array(list(PENGUIN.values()), np.float32).tobytes()


@pytest.mark.parametrize(
    ("length", "body", "message"),
    [
        (len(HEAD) + 1, HEAD.encode() + DATA, "isn't one of the protocol"),
        (len(HEAD) - 1, HEAD.encode() + DATA, "isn't one of the protocol"),
        (len(HEAD), HEAD.encode() + DATA[:-1], "have 16 bytes of binary data, and 15 follow the JSON"),
        (len(HEAD), HEAD.encode() + DATA + b"\0", "have 16 bytes of binary data, and 17 follow the JSON"),
        (10**11, HEAD.encode() + DATA, "Inference-Header-Content-Length is 100000000000, and the body has"),
        (10**12, HEAD.encode() + DATA, "it must be a number"),
        (-1, HEAD.encode() + DATA, "it must be a number"),
        ("²", HEAD.encode() + DATA, "it must be a number"),
        ("", HEAD.encode() + DATA, "it must be a number"),
        (len(HEAD) - 5, HEAD.replace("[1, 4]", "[2]").encode() + DATA[:-5], "isn't one"),
        (0, HEAD.encode() + DATA, "isn't one of the protocol"),
    ],
)
def test_wrong_lengths_are_refused(service: Service, length: Any, body: bytes, message: str) -> None:
    headers = {"inference-header-content-length": str(length).encode()}
    refused = service.http.post(INFER, content=body, headers=headers)
    assert refused.status_code == 400, refused.text
    assert message in refused.json()["error"]


@pytest.mark.parametrize(
    ("datatype", "shape", "content", "message"),
    [
        ("FP32", [1, 4], DATA[:12], "it has 12 bytes: 4 of FP32 have 16"),
        ("FP64", [1, 4], DATA, "it has 16 bytes: 4 of FP64 have 32"),
        ("FP32", [2**62, 4], DATA, "there are more than 100 penguins"),
        ("FP32", [1, 2**62], DATA, "[1, 4] is needed"),
        ("BYTES", [1, 4], b"", "haven't 4 elements"),
        ("BYTES", [1, 4], b"\1\0\0", "element 0 is longer than the rest"),
        ("BYTES", [1, 4], struct.pack("<I", 2**32 - 1) + b"abcd", "element 0 is longer than the rest"),
        ("BYTES", [1, 4], struct.pack("<I", 1) + b"\xff", "element 0 isn't UTF-8"),
        ("BYTES", [1, 4], struct.pack("<I", 0) * 5, "haven't 4 elements"),
        ("BYTES", [1, 4], struct.pack("<I", 0) * 4, "numbers are needed"),
    ],
)
def test_wrong_binary_tensors_are_refused(
    service: Service, datatype: str, shape: list[int], content: bytes, message: str
) -> None:
    given = {"name": "x", "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": len(content)}}
    head = json.dumps({"inputs": [given]}).encode()
    headers = {"inference-header-content-length": str(len(head)), "content-type": "application/octet-stream"}
    refused = service.http.post(INFER, content=head + content, headers=headers)
    assert refused.status_code in (400, 413), refused.text
    assert message in refused.json()["error"]


@pytest.mark.parametrize(
    "body", [b"", b"[" * 100_000, b'{"inputs":' * 5000, b"\xff", b'{"a": "' + b'\\"' * 100_000, b"NaN"]
)
def test_bodies_that_are_no_requests_are_refused(service: Service, body: bytes) -> None:
    refused = service.http.post(INFER, content=body, headers={"content-type": "application/json"})
    assert (refused.status_code, list(refused.json())) == (400, ["error"])


def test_categories_and_missing_values_are_those_of_the_contract(mixed: Service) -> None:
    expected = answered(mixed, [as_json(row) for row in ROWS])
    numbers, small, whole, red, city, grade = zip(*ROWS, strict=True)
    nan = float("nan")
    with triton.InferenceServerClient(mixed.http.base_url.netloc.decode()) as client:
        described = {each["name"]: each["datatype"] for each in client.get_model_metadata("grapes")["inputs"]}
        assert list(described.values()) == ["FP64", "FP64", "INT64", "BOOL", "BYTES", "FP64"]
        for binary in (True, False):
            inputs = [
                tensor(NAMES[0], np.array(numbers), binary),
                tensor(NAMES[1], np.array([nan if value is None else value for value in small]), binary),
                tensor(NAMES[2], np.array(whole), binary),
                tensor(NAMES[3], np.array(["" if value is None else str(value) for value in red], object), binary),
                tensor(NAMES[4], np.array(city, object), binary),
                tensor(NAMES[5], np.array([nan if value is None else value for value in grade]), binary),
            ]
            check(client.infer("grapes", inputs), expected, "kind of grape")
        some = [{**as_json(ROWS[0]), NAMES[1]: None, NAMES[3]: False, NAMES[5]: None}]
        inputs = [
            tensor(NAMES[0], [1.5]),
            tensor(NAMES[2], [3]),
            tensor(NAMES[3], [False]),
            tensor(NAMES[4], np.array(["Oslo, N"], object)),
        ]
        check(client.infer("grapes", inputs), answered(mixed, some), "kind of grape")
        with pytest.raises(InferenceServerException, match='"Oslo" isn\'t a known value, "Oslo, N" is'):
            client.infer("grapes", [*inputs[:3], tensor(NAMES[4], np.array(["Oslo"], object))])
        with pytest.raises(InferenceServerException, match="3.5 isn't a whole number"):
            client.infer("grapes", [inputs[0], tensor(NAMES[2], [3.5]), *inputs[2:]])
        with pytest.raises(InferenceServerException, match="the inputs of the model are"):
            client.infer("grapes", [tensor("x", np.ones((1, 6)))])
    frame = [  # as MLServer's codec of data frames writes it
        column(NAMES[0], list(numbers)),
        column(NAMES[1], list(small)),
        column(NAMES[2], list(whole), "INT64"),
        column(NAMES[3], ["" if value is None else json.dumps(value) for value in red], "BYTES"),
        column(NAMES[4], list(city), "BYTES", parameters={"content_type": "str"}),
        column(NAMES[5], list(grade)),
    ]
    answer = mixed.http.post("/v2/models/grapes/infer", json={"inputs": frame}).json()
    assert answer["outputs"][0]["data"] == expected["prediction"]


def test_keys_limits_counts_and_log_are_those_of_predict(cached: Start, tmp_path: Path) -> None:
    service = cached(SERVING_API_KEYS="secret", SERVING_LOG_DIR=tmp_path / "spool", SERVING_MAX_BODY_BYTES=2000)
    key = {"X-API-Key": "secret"}
    for path in (INFER, "/v2/models/penguins_rf", "/v2/models/penguins_rf/ready"):
        refused = service.http.request("POST" if path == INFER else "GET", path)
        assert (refused.status_code, list(refused.json())) == (401, ["error"])
    assert all(service.http.get(path).is_success for path in ("/v2", "/v2/health/live", "/v2/health/ready"))
    with triton.InferenceServerClient(service.http.base_url.netloc.decode()) as client:
        for name, values in (("x", [list(PENGUIN.values())]), ("y", [list(PENGUIN.values())] * 2)):
            for binary in (True, False):
                result = client.infer("penguins_rf", [tensor(name, np.array(values, float), binary)], headers=dict(key))
                assert len(result.get_response()["parameters"]["prediction_id"]) == 36
        with pytest.raises(InferenceServerException, match="this needs an API key"):
            client.infer("penguins_rf", [])
    assert sample(service, "penguins_log_recorded_total") == 6
    assert sample(service, 'penguins_predictions_total{species="Adelie",version="1"}') == 6
    route = 'penguins_requests_total{method="POST",route="/v2/models/{model}/infer",status="%d"}'
    assert (sample(service, route % 200), sample(service, route % 401)) == (4, 2)
    inputs = {"inputs": one()}
    for path in (INFER, "/v2/models/penguins_rf/versions/1/infer"):
        answer = service.http.post(path, json=inputs, headers=key)
        assert answer.json()["parameters"]["prediction_id"] == answer.headers["x-prediction-id"]
        assert answer.headers["x-model-version"] == "1"
    too_large = service.http.post(INFER, json=inputs | {"id": "x" * 2000}, headers=key)
    assert (too_large.status_code, too_large.json()) == (413, {"error": "the body is larger than 2000 bytes"})
    table = service.http.post(INFER, content=b"x", headers=key | {"content-type": "text/csv"})
    assert (table.status_code, list(table.json())) == (415, ["error"])


def test_a_service_without_a_model_says_so(tmp_path: Path) -> None:
    settings = store(tmp_path / "cache") | {"SERVING_CACHE_DIR": tmp_path / "empty"}
    with (
        Service(tmp_path, **settings) as service,
        triton.InferenceServerClient(service.http.base_url.netloc.decode()) as client,
    ):
        assert client.is_server_live()
        assert not client.is_server_ready()
        assert not client.is_model_ready("penguins_rf")
        refused = infer(service, one())
        assert (refused.status_code, list(refused.json())) == (503, ["error", "reason"])
        assert refused.headers["retry-after"]
