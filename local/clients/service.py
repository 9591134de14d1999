"""Client of the prediction service."""

from typing import Any
from urllib.parse import quote

from local.clients.http import JsonApi


class Service:
    """One model of a prediction service. Every method may raise StackError."""

    def __init__(self, base_url: str, model: str | None = None) -> None:
        """Connect to `base_url`.

        Args:
            model: None for the first model that the service serves.
        """
        self.url = base_url if model is None else f"{base_url}/models/{quote(model, safe='')}"
        self._api = JsonApi(base_url)
        self._prefix = self.url.removeprefix(base_url)

    def status(self) -> dict[str, Any]:
        """Return the status of the model."""
        return dict(self._api.get(f"{self._prefix}/model"))

    def version(self) -> str | None:
        """Return the number of the version that serves, or None."""
        model = self.status()["model"]
        return None if model is None else str(model["version"])

    def predict(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return the prediction for one row."""
        return dict(self._api.post(f"{self._prefix}/predict", row))
