"""Versions that nobody has signed, named by the commands of the containers from what a real service says."""

import json
from pathlib import Path
from typing import Any

from local.stack import Stack
from ops import check_signatures
from tests.serving.publisher import Publisher, forest
from tests.serving.service import Service

MODEL = "checked_for_signatures"


def start(stack: Stack, folder: Path, **variables: Any) -> Service:
    own = {"MLFLOW_TRACKING_URI": stack.urls["mlflow"], "SERVING_MODEL_NAME": MODEL, "SERVING_CACHE_DIR": folder}
    return Service(folder, **own | variables)


def said(service: Service, keys: str = "") -> list[str]:
    return [str(finding) for finding in check_signatures.check(str(service.http.base_url).rstrip("/"), keys)]


def forget_signature(release: Path) -> None:
    """Make a copy on disk one from before there were signatures."""
    content = json.loads(release.read_text())
    del content["signature"], content["version"]["tags"]["signature"]
    release.write_text(json.dumps(content))


def test_unsigned_versions_in_production_are_named(stack: Stack, tmp_path: Path) -> None:
    publisher = Publisher(stack.urls["mlflow"], MODEL)
    publisher.promote(first := publisher.publish(forest()))
    with start(stack, tmp_path) as service:
        service.serves(first)
        assert said(service) == []
        publisher.promote(second := publisher.publish_by_hand(forest(1), signed=False))
        service.refuses(second)
        assert said(service) == [
            f"  warn  {MODEL} version 2 is in Production, and refused: unsigned\n"
            f"        → look at it and sign it: make compose-sign VERSION=2 MODEL={MODEL}"
        ]
    publisher.promote(first)
    publisher.client.delete_model_version_tag(MODEL, first, "signature")
    (release,) = tmp_path.glob(f"*/{first}-*/release.json")
    forget_signature(release)
    with start(stack, tmp_path, SERVING_API_KEYS="one,two") as service:
        (named,) = said(service, "one, two")
        assert named.startswith(f"  warn  {MODEL} version 1 is served from an earlier copy, and no trusted key has")
        assert named.endswith(f"make compose-sign VERSION=1 MODEL={MODEL}")
        (refused,) = said(service)
    assert "doesn't say whether its versions are signed: GET http://127.0.0.1:" in refused
    assert "answered 401" in refused
