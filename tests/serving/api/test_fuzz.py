"""Random requests: the service answers as in its OpenAPI document, and never with 500."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from serving.codecs.media_types import ARROW, CSV, PARQUET
from tests.serving.codecs.test_tables import encoded, table
from tests.serving.service import Service

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


PER_RUN = settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def test_every_operation_answers_as_documented(service: Service) -> None:
    document = schemathesis.openapi.from_url(str(service.http.base_url.join("/openapi.json")))
    operations = [found.ok() for found in document.get_all_operations()]
    assert len(operations) == 28
    for operation in operations:

        @settings(PER_RUN, max_examples=80)
        @given(case=operation.as_strategy())
        def check(case: schemathesis.Case) -> None:
            case.call_and_validate(checks=CHECKS)

        check()


damage = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=4)), max_size=4)


@pytest.mark.parametrize("media_type", [CSV, ARROW, PARQUET])
@settings(PER_RUN, max_examples=40)  # tests/serving/tables/test_fuzz.py sends more, without HTTP
@given(places=damage, end=st.floats(0, 1))
def test_damaged_tables_are_answered_or_refused(
    service: Service, media_type: str, places: list[tuple[float, bytes]], end: float
) -> None:
    """Send a table with changed bytes in some places, or cut off."""
    content = bytearray(encoded(table(), media_type))
    for place, other in places:
        start = int(place * len(content))
        content[start : start + len(other)] = other
    if not places:
        del content[int(end * len(content)) :]
    response = service.http.post("/predict", content=bytes(content), headers={"content-type": media_type})
    assert response.status_code in (200, 413, 422), response.text


INFER = "/v2/models/asked/infer"

heads = st.dictionaries(
    st.sampled_from(["X-Request-Id", "X-API-Key", "Accept", "Content-Type", "Inference-Header-Content-Length"]),
    st.text(st.characters(min_codepoint=32, max_codepoint=126)).map(str.strip),
)


@PER_RUN
@given(
    headers=heads,
    body=st.binary(max_size=200),
    path=st.sampled_from(["/predict", "/invocations", INFER, "/model", "/metrics", "/", "/x"]),
)
def test_strange_requests_cause_no_server_error(
    service: Service, headers: dict[str, str], body: bytes, path: str
) -> None:
    response = service.http.post(path, content=body, headers=headers)
    assert response.status_code < 500
    assert response.headers["x-request-id"]
