"""API keys are required where they are configured, and rotated without a restart."""

import asyncio
from pathlib import Path

import httpx
from fastapi import FastAPI

from serving.api.app import ENDPOINTS, FORMS
from serving.api.keys import Keys
from serving.api.middleware import Middleware
from serving.api.responses import NO_KEY
from serving.settings import Settings
from tests.serving.api.conftest import Start, predict


def test_requests_without_a_valid_key_are_refused(cached: Start) -> None:
    service = cached(SERVING_API_KEYS="first, second")
    for path in ("/model", "/model/history", "/model/points", "/models"):
        assert service.http.get(path).status_code == 401
        assert service.http.get(path, headers={"X-API-Key": "second"}).status_code == 200
    assert service.http.get("/models/unknown/points").status_code == 401
    assert service.http.post("/models/unknown/predict").status_code == 401
    for path in ("/", "/health/live", "/health/ready", "/metrics", "/openapi.json", "/docs"):
        assert service.http.get(path).status_code == 200
    assert [predict(service, X_API_Key=key).status_code for key in ("first", "second")] == [200, 200]
    for wrong in ("", "firs", "first2", "FIRST", "first,", "first, second"):
        refused = predict(service, X_API_Key=wrong)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, 'ApiKey header="X-API-Key"')
        assert refused.json() == {"detail": "this needs an API key: send it in the header X-API-Key"}
    assert "first" not in service.log


def test_keys_are_rotated_without_restart(cached: Start, tmp_path: Path) -> None:
    (keys := tmp_path / "keys").write_text("old\n")
    service = cached(SERVING_API_KEYS_FILE=keys, SERVING_API_KEYS="fixed")

    def accepted() -> list[str]:
        return [key for key in ("fixed", "old", "new") if predict(service, X_API_Key=key).is_success]

    assert accepted() == ["fixed", "old"]
    keys.write_text("old\nnew\n")
    assert accepted() == ["fixed", "old", "new"]
    (tmp_path / "next").write_text("new")
    (tmp_path / "next").rename(keys)
    assert accepted() == ["fixed", "new"]
    keys.write_text("\n")
    assert accepted() == ["fixed", "new"]
    keys.unlink()
    assert accepted() == ["fixed", "new"]
    assert service.log.count("keys.unreadable") == 2
    keys.write_text("old")
    assert accepted() == ["fixed", "old"]


def test_a_path_with_a_parameter_is_protected() -> None:
    app = FastAPI()

    @app.get("/versions/{number}", responses=NO_KEY)
    async def version(number: str) -> str:
        return number

    @app.get("/open")
    async def unprotected() -> str:
        return "open"

    settings = Settings.model_validate({"api_keys": "secret"})
    transport = httpx.ASGITransport(Middleware(app, settings, Keys(settings), ENDPOINTS, FORMS))

    async def get(path: str, **headers: str) -> httpx.Response:
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get(path, headers=headers)

    assert asyncio.run(get("/versions/3")).status_code == 401
    assert asyncio.run(get("/versions/3", **{"X-API-Key": "secret"})).json() == "3"
    assert asyncio.run(get("/open")).json() == "open"
