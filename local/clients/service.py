"""The prediction service's HTTP interface."""

from typing import Any

from local.clients.http import JsonApi


class Service:
    """One prediction service. Every method may raise StackError."""

    def __init__(self, base_url: str) -> None:
        self._api = JsonApi(base_url)

    def status(self) -> dict[str, Any]:
        """What it says about itself and its model."""
        return dict(self._api.get("/model"))

    def version(self) -> str | None:
        """The version it predicts with now."""
        model = self.status()["model"]
        return None if model is None else str(model["version"])

    def predict(self, penguin: dict[str, float]) -> dict[str, Any]:
        """The answer for one penguin."""
        return dict(self._api.post("/predict", penguin))
