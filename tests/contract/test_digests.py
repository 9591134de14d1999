"""Digests of files: reading the tag, finding the files to serve, checking a file."""

import json
from pathlib import Path

import pytest

from contract.digests import DigestError, digest_files, missing_digests, parse_digests, serving_files, sha256, verify
from tests.serving.publisher import digests

SHA256 = "0" * 64


def test_sound_tag() -> None:
    found = {"MLmodel": SHA256, "inference/model.onnx": SHA256}
    assert parse_digests(json.dumps(found)) == found


@pytest.mark.parametrize("tag", ["", "no json", "[]", '{"MLmodel": 1}', '{"MLmodel": null}', "{"])
def test_tag_that_is_no_object_is_refused(tag: str) -> None:
    with pytest.raises(ValueError, match="isn't a JSON object"):
        parse_digests(tag)


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "..", "../model.pkl", "a/../../b", "a\\b", "", ".", "./a", "a//b", "a/", "a\x00b", "a\nb"]
)
def test_path_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name a path outside"):
        parse_digests(json.dumps({name: SHA256}))


@pytest.mark.parametrize("digest", ["", "0" * 63, "0" * 65, "G" * 64, "A" * 64, "0" * 64 + "\n"])
def test_digest_that_is_no_sha256_is_refused(digest: str) -> None:
    with pytest.raises(ValueError, match="not a sha256"):
        parse_digests(json.dumps({"MLmodel": digest}))


def test_files_without_a_recorded_digest_are_named() -> None:
    assert missing_digests(["a", "b", "c"], {"a": SHA256}) == ["b", "c"]


def test_the_export_is_served_where_there_is_one() -> None:
    assert serving_files({"MLmodel": SHA256, "model.pkl": SHA256}) == ("MLmodel", "model.pkl")
    assert serving_files({"inference/x": SHA256, "model.pkl": SHA256}) == (
        "inference/contract.json",
        "inference/model.onnx",
    )


def test_every_file_below_a_folder_has_a_digest(tmp_path: Path) -> None:
    (tmp_path / "inference").mkdir()
    (tmp_path / "inference" / "model.onnx").write_bytes(b"content")
    (tmp_path / "MLmodel").write_bytes(b"")
    assert digest_files(tmp_path) == {"MLmodel": sha256(b""), "inference/model.onnx": sha256(b"content")}


def test_other_content_is_refused() -> None:
    recorded = digests({"a": b"content"})
    verify("a", b"content", recorded)
    with pytest.raises(DigestError, match=r"a has sha256 .*…, registered was .*… \(6 bytes\)"):
        verify("a", b"conten", recorded)
