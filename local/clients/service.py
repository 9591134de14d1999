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
        own = "" if model is None else f"/models/{quote(model, safe='')}"
        self.status_url = f"{base_url}{own or '/model'}"
        self.predict_url = f"{base_url}{own}/predict"
        self._api = JsonApi(base_url)

    def status(self) -> dict[str, Any]:
        """Return the status of the model."""
        return dict(self._api.get(self.status_url))

    def version(self) -> str | None:
        """Return the number of the version that serves; None if none does, or the service doesn't have the model."""
        found = self._api.find(self.status_url)
        return str(found["model"]["version"]) if found and found["model"] else None

    def predict(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return the prediction for one row."""
        return dict(self._api.post(self.predict_url, row))
