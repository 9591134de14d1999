"""Nothing is loaded that the digests don't vouch for."""

import json

import pytest

from serving.registry.digests import parse, require, verify
from serving.registry.refusals import RefusedError
from tests.serving.publisher import digests

SHA256 = "0" * 64


def test_sound_tag() -> None:
    found = {"MLmodel": SHA256, "inference/model.onnx": SHA256}
    assert parse(json.dumps(found)) == found


@pytest.mark.parametrize("tag", ["", "no json", "[]", '{"MLmodel": 1}', '{"MLmodel": null}', "{"])
def test_tag_that_is_no_object_is_refused(tag: str) -> None:
    with pytest.raises(RefusedError, match="isn't a JSON object") as refused:
        parse(tag)
    assert refused.value.code == "digests_invalid"


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "..", "../model.pkl", "a/../../b", "a\\b", "", ".", "./a", "a//b", "a/", "a\x00b", "a\nb"]
)
def test_path_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(RefusedError, match="names a path outside"):
        parse(json.dumps({name: SHA256}))


@pytest.mark.parametrize("digest", ["", "0" * 63, "0" * 65, "G" * 64, "A" * 64, "0" * 64 + "\n"])
def test_digest_that_is_no_sha256_is_refused(digest: str) -> None:
    with pytest.raises(RefusedError, match="not a sha256"):
        parse(json.dumps({"MLmodel": digest}))


def test_file_that_is_not_vouched_for_is_refused() -> None:
    require(["a"], {"a": SHA256})
    with pytest.raises(RefusedError, match="doesn't vouch for b and c") as refused:
        require(["a", "b", "c"], {"a": SHA256})
    assert refused.value.code == "not_vouched_for"


def test_other_content_is_refused() -> None:
    vouched = digests({"a": b"content"})
    verify("a", b"content", vouched)
    with pytest.raises(RefusedError, match=r"a has sha256 .*…, registered was .*… \(6 bytes\)") as refused:
        verify("a", b"conten", vouched)
    assert refused.value.code == "digest_mismatch"
