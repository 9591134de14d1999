"""Answers of the service."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import httpx

from penguins_client.errors import ServiceError

Table = TypeVar("Table")

_OTHER_KEYS = {"prediction", "probabilities", "model_version", "warnings", "prediction_id"}


@dataclass(frozen=True)
class Answer:
    """Predictions for rows, in their order.

    Attributes:
        labels: index of each row's class.
        classes: each row's class.
        probabilities: of each row, by class.
        model_version: that answered all rows.
        warnings: values outside the range seen in training.
        prediction_id: by which `Client.feedback` takes the truth; None if the service doesn't log the model.
    """

    labels: Sequence[int]
    classes: Sequence[Any]
    probabilities: Sequence[Mapping[str, float]]
    model_version: str
    warnings: Sequence[str]
    prediction_id: str | None

    @classmethod
    def read(cls, response: httpx.Response) -> "Answer":
        """Return the answer in a response.

        Raises:
            ServiceError: it isn't one.
        """
        try:
            found = response.json()
            (key,) = found.keys() - _OTHER_KEYS  # the name of the target
            return cls(
                labels=found["prediction"],
                classes=found[key],
                probabilities=found["probabilities"],
                model_version=found["model_version"],
                warnings=found.get("warnings", []),
                prediction_id=found.get("prediction_id"),
            )
        except (ValueError, KeyError, AttributeError) as error:
            raise ServiceError(f"{response.request.url} isn't an address of the prediction service") from error


@dataclass(frozen=True)
class TableAnswer(Generic[Table]):
    """Predictions for the rows of a table, in their order.

    Attributes:
        table: label, class, probabilities and what is outside the range seen in training; of the kind that was sent.
        model_version: that answered all rows.
        prediction_id: of the request; that of a row is `id/index`. None if the service doesn't log the model.
    """

    table: Table
    model_version: str
    prediction_id: str | None

    @classmethod
    def of(cls, response: httpx.Response, table: Table) -> "TableAnswer[Table]":
        """Return the answer of a response, whose table is read already."""
        headers = response.headers
        return cls(table, headers.get("X-Model-Version", ""), headers.get("X-Prediction-Id"))
