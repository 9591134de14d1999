"""Client of the prediction service."""

from typing import Any

from local.clients.http import JsonApi


class Service:
    """One prediction service. Every method may raise StackError."""

    def __init__(self, base_url: str) -> None:
        self._api = JsonApi(base_url)

    def status(self) -> dict[str, Any]:
        """Return the status of the service and its model."""
        return dict(self._api.get("/model"))

    def version(self) -> str | None:
        """Return the number of the version that serves, or None."""
        model = self.status()["model"]
        return None if model is None else str(model["version"])

    def predict(self, penguin: dict[str, float]) -> dict[str, Any]:
        """Return the prediction for one penguin."""
        return dict(self._api.post("/predict", penguin))
