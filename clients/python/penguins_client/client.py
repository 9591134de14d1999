"""The client."""

import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx

from penguins_client.answers import Answer, TableAnswer
from penguins_client.calls import Call, Calls
from penguins_client.errors import error_of
from penguins_client.files import replacing
from penguins_client.retries import Retries
from penguins_client.settings import headers_of
from penguins_client.truths import Truth

Result = TypeVar("Result")
Table = TypeVar("Table")


class Client:
    """Client of one model of a prediction service. It may be used by several threads.

    Every call may raise:
        RefusedError: the service refuses what was sent.
        UnavailableError: it can't be reached, or can't answer for too long.
        ServiceError: it fails otherwise.
    """

    def __init__(
        self,
        url: str,
        *,
        model: str | None = None,
        api_key: str | None = None,
        timeout: float = 60,
        retry_seconds: float = 30,
        **settings: Any,
    ) -> None:
        """Connect to a service.

        Args:
            model: name of a registered model; None for the first that the service serves.
            timeout: seconds without any data after which a call fails.
            retry_seconds: time for which a call is repeated while the service can't be reached or has no room.
            settings: others of `httpx.Client`, such as `verify` and `auth`.
        """
        self._calls = Calls(model)
        self._retry_seconds = retry_seconds
        self._http = httpx.Client(base_url=url, headers=headers_of(api_key), timeout=timeout, **settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def predict(self, rows: Mapping[str, Any] | Iterable[Mapping[str, Any]]) -> Answer:
        """Predict the class of a row, or of each row of a list (10,000 by default).

        Raises:
            TypeError, ValueError: a value is none of JSON, such as a number that isn't finite.
        """
        return self._make(self._calls.predict(rows))

    def predict_table(self, table: Table) -> TableAnswer[Table]:
        """Predict the class of each row of a table of pyarrow, or a data frame of pandas or polars.

        Raises:
            ImportError: pyarrow isn't installed.
            TypeError: it is something else.
        """
        return self._make(self._calls.predict_table(table))

    def predict_file(self, source: str | Path, target: str | Path) -> TableAnswer[Path]:
        """Predict the class of each row of a file (CSV, Arrow, Parquet), and write the answers to another of its kind.

        Both are streamed. `target` is there only with all answers.

        Raises:
            OSError: a file can't be read or written.
            ValueError: the suffix of `source` is unknown.
        """
        return self._make(self._calls.predict_file(Path(source), Path(target)))

    def feedback(self, truths: Truth | Iterable[Truth]) -> int:
        """Give the truth about predictions, all or none; return the number of truths. It may be given again.

        Raises:
            ValueError: a time has no zone.
        """
        return self._make(self._calls.feedback(truths))

    def feedback_file(self, source: str | Path) -> int:
        """Give the truth in a file of CSV, all or none; return the number of truths.

        Raises:
            OSError: the file can't be read.
        """
        return self._make(self._calls.feedback_file(Path(source)))

    def state(self) -> dict[str, Any]:
        """Return the state of the model: the version that serves, its features and classes, and the last poll."""
        return self._make(self._calls.state())

    def _make(self, call: Call[Result]) -> Result:
        retries = Retries(self._retry_seconds)
        while True:
            try:
                response = self._exchange(call)
                pause = retries.after_response(response)
            except httpx.TransportError as error:
                pause = retries.after_error(error)
            else:
                if pause is None:
                    if not response.is_success:
                        raise error_of(response)
                    return call.read(response)
            time.sleep(pause)

    def _exchange(self, call: Call[Any]) -> httpx.Response:
        with ExitStack() as stack:
            body = stack.enter_context(call.body.open("rb")) if isinstance(call.body, Path) else call.body
            response = stack.enter_context(
                self._http.stream(call.method, call.path, content=body, headers=call.headers)
            )
            if call.target is None or not response.is_success:
                response.read()
            else:
                file = stack.enter_context(replacing(call.target))
                for piece in response.iter_bytes():
                    file.write(piece)
            return response
