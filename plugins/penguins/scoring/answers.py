"""Ask the service for the predictions of rows, as tables in Arrow or, where it can't read that, in CSV."""

import io
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.csv
import requests

from contract.schema import SOURCE_ROW
from penguins.data.parsing import Rejected, as_json
from penguins.errors import UserError
from penguins.service_client import ARROW, CSV, BodyRefusedError, Refusal, ServedVersion, ServiceClient, send_rows

UNSUPPORTED: Final = "415"

_OTHERS: Final = {"prediction", "outside_training_range", "model_version"}
_SWAPPED: Final = "If Production was swapped to a version with other columns or classes, start the run again."


@dataclass(frozen=True)
class Answered:
    """Rows with their predictions.

    Attributes:
        rows: as they were sent, with their numbers.
        labels: names of their classes.
        probabilities: float64 [n, classes], in the order of the classes.
        outside: names of the features outside the range seen in training.
        prediction_id: of the request; None if the service has no log.
    """

    rows: pa.Table
    labels: pa.Array
    probabilities: np.ndarray
    outside: pa.Array
    version: str
    prediction_id: str | None


class Scorer:
    """Asks for predictions by one registered model."""

    def __init__(self, client: ServiceClient, served: ServedVersion) -> None:
        self._client, self._served = client, served
        self._names = [each.name for each in served.features]
        self._shares = [f"probability_{name}" for name in served.classes]
        self._media_type = ARROW

    def answer(self, rows: pa.Table) -> tuple[Answered | None, list[Rejected]]:
        """Return the predictions of some rows, if there are any, and the rows that the service has refused.

        Raises:
            UserError: the service refuses the table, or too many of its rows.
            ServiceError: it doesn't answer.
        """
        rejected: list[Rejected] = []

        def refuse(row: pa.Table, refusal: Refusal) -> None:
            (record,) = row.to_pylist()
            rejected.append(Rejected(record.pop(SOURCE_ROW), refusal.message, as_json(record)))

        try:
            rows, answer = send_rows(self._client, "predict", rows, self._encode, self._media_type, refuse)
        except BodyRefusedError as error:
            if error.refusal.kind == UNSUPPORTED and self._media_type == ARROW:
                self._media_type = CSV
                return self.answer(rows)
            raise UserError(f"{error} {_SWAPPED}") from None
        return (None if answer is None else self._read(rows, answer)), rejected

    def _read(self, rows: pa.Table, answer: requests.Response) -> Answered:
        found = self._decode(answer.content)
        if missing := {self._served.answer_key, *self._shares} ^ set(found.column_names) - _OTHERS:
            raise UserError(f"The service answers with other columns: {', '.join(sorted(missing))}. {_SWAPPED}")
        labels = found[self._served.answer_key].combine_chunks()
        shares = [found[name].to_numpy() for name in self._shares]
        return Answered(
            rows=rows,
            labels=labels.cast(pa.string()),
            probabilities=np.stack(shares, axis=1),
            outside=found["outside_training_range"].combine_chunks(),
            version=answer.headers["X-Model-Version"],
            prediction_id=answer.headers.get("X-Prediction-Id"),
        )

    def _encode(self, rows: pa.Table) -> bytes:
        sent, sink = rows.select(self._names).combine_chunks(), io.BytesIO()
        if self._media_type == CSV:
            pa.csv.write_csv(sent, sink)
        else:
            with pa.ipc.new_stream(sink, sent.schema) as writer:
                writer.write_table(sent)
        return sink.getvalue()

    def _decode(self, content: bytes) -> pa.Table:
        if self._media_type == ARROW:
            with pa.ipc.open_stream(content) as reader:
                return reader.read_all()
        texts = dict.fromkeys((self._served.answer_key, "outside_training_range"), pa.string())
        numbers = dict.fromkeys(self._shares, pa.float64())
        options = pa.csv.ConvertOptions(column_types=numbers | texts, strings_can_be_null=False)
        return pa.csv.read_csv(io.BytesIO(content), convert_options=options)
