"""The client for asynchronous programs."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self, TypeVar

import anyio
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

_PIECE_BYTES = 2**16


class AsyncClient:
    """`Client` for asyncio and trio, with the same arguments, calls and errors."""

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
        """Connect to a service, as `Client` does; `settings` are those of `httpx.AsyncClient`."""
        self._calls = Calls(model)
        self._retry_seconds = retry_seconds
        self._http = httpx.AsyncClient(base_url=url, headers=headers_of(api_key), timeout=timeout, **settings)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def predict(self, rows: Mapping[str, Any] | Iterable[Mapping[str, Any]]) -> Answer:
        """Predict the class of a row, or of each row of a list, as `Client.predict` does."""
        return await self._make(self._calls.predict(rows))

    async def predict_table(self, table: Table) -> TableAnswer[Table]:
        """Predict the class of each row of a table, as `Client.predict_table` does."""
        return await self._make(self._calls.predict_table(table))

    async def predict_file(self, source: str | Path, target: str | Path) -> TableAnswer[Path]:
        """Predict the class of each row of a file, as `Client.predict_file` does."""
        return await self._make(self._calls.predict_file(Path(source), Path(target)))

    async def feedback(self, truths: Truth | Iterable[Truth]) -> int:
        """Give the truth about predictions, as `Client.feedback` does."""
        return await self._make(self._calls.feedback(truths))

    async def feedback_file(self, source: str | Path) -> int:
        """Give the truth in a file of CSV, as `Client.feedback_file` does."""
        return await self._make(self._calls.feedback_file(Path(source)))

    async def state(self) -> dict[str, Any]:
        """Return the state of the model, as `Client.state` does."""
        return await self._make(self._calls.state())

    async def _make(self, call: Call[Result]) -> Result:
        retries = Retries(self._retry_seconds)
        while True:
            try:
                response = await self._exchange(call)
                pause = retries.after_response(response)
            except httpx.TransportError as error:
                pause = retries.after_error(error)
            else:
                if pause is None:
                    if not response.is_success:
                        raise error_of(response)
                    return call.read(response)
            await anyio.sleep(pause)

    async def _exchange(self, call: Call[Any]) -> httpx.Response:
        async with AsyncExitStack() as stack:
            headers, body = dict(call.headers), call.body
            if isinstance(body, Path):
                headers["Content-Length"] = str((await anyio.Path(body).stat()).st_size)
                content: bytes | AsyncIterator[bytes] | None = _pieces(body)
            else:
                content = body
            response = await stack.enter_async_context(
                self._http.stream(call.method, call.path, content=content, headers=headers)
            )
            if call.target is None or not response.is_success:
                await response.aread()
            else:
                file = anyio.wrap_file(stack.enter_context(replacing(call.target)))
                async for piece in response.aiter_bytes():
                    await file.write(piece)
            return response


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    async with await anyio.open_file(path, "rb") as file:
        while piece := await file.read(_PIECE_BYTES):
            yield piece
