"""HTTP/1.1, with limits of size and time where uvicorn has none."""

from asyncio import TimerHandle, Transport

import httptools
from pydantic_core import to_json
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from serving import metrics
from serving.api.direct_protocol import DirectProtocol
from serving.api.reader import Reader
from serving.api.responses import Failure
from serving.settings import Settings

MAX_HEAD_BYTES = 64 * 1024
"""Most bytes of a request line and its headers. Browsers send the cookies of all ports of a host to each port."""


MAX_WAITING = 256
"""Most requests of a connection that wait for the answers to earlier ones."""


class ProtocolError(Exception):
    """A request is refused, with this status and this reason, and its connection is closed."""


TOO_LARGE = 431, f"the headers have more than {MAX_HEAD_BYTES} bytes"
TOO_MANY = 429, f"more than {MAX_WAITING} requests wait for the answers to earlier ones"
NO_HTTP = 400, "the request isn't HTTP/1.1"


class Protocol(DirectProtocol):
    """One connection. The head of a request is its first line and its headers."""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head."""
        super().connection_made(transport)
        settings: Settings = self.app_state["settings"]
        self._reader = Reader(transport, self.loop, settings)
        self._header_seconds = settings.header_seconds
        self._deadline: TimerHandle | None = None
        self._answering: RequestResponseCycle | None = None  # `cycle` may be a later one
        self._in_body = self._refused = False
        self._pending = 0  # bytes since the last part of a request that was complete
        self._start_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the request that is being answered."""
        self._stop_deadline()
        self._reader.ignore()
        if self._answering is not None and not self._answering.response_complete:
            self._answering.disconnected = True
            self._answering.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse the data; refuse what isn't HTTP, or is too much."""
        if self._refused or self.transport.is_closing():
            return
        self._idle_since = None
        self._pending += len(data)
        self._may_answer = True
        try:
            self._parse(data)
            if self._held is not None and not self._is_asked:
                self._wait_for_rest()
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            refusal = error.__context__
            self._refuse(*(refusal.args if isinstance(refusal, ProtocolError) else NO_HTTP))
            return
        if self._pending > MAX_HEAD_BYTES:
            self._refuse(*TOO_LARGE)
        elif self._pending and not self._in_body:
            self._start_deadline()

    def _parse(self, data: bytes | memoryview) -> None:
        while True:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as stopped:
                data = memoryview(data)[stopped.args[0] :]
            # The parser takes the rest for another protocol, which the service doesn't speak, and may take the
            # connection for closed.
            head = self._head_without_upgrade()
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
            self.parser.feed_data(head)

    def _head_without_upgrade(self) -> bytes:
        first = b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        headers = [b"%s: %s" % (name, value) for name, value in self.headers if name != b"upgrade"]
        return b"\r\n".join([first, *headers, b"", b""])

    def _should_upgrade(self) -> bool:
        return True  # called if the parser is about to stop; `_parse` goes on

    def on_headers_complete(self) -> None:
        """Start the request."""
        if self._pending > MAX_HEAD_BYTES and self._head_bytes() > MAX_HEAD_BYTES:
            raise ProtocolError(*TOO_LARGE)
        if len(self.pipeline) >= MAX_WAITING:
            raise ProtocolError(*TOO_MANY)
        if self.parser.should_upgrade():
            return
        super().on_headers_complete()
        self._pending = 0
        self._in_body = True
        self._stop_deadline()

    def on_body(self, body: bytes) -> None:
        """Pass a piece of the body on."""
        self._pending = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the body."""
        self._pending = 0
        self._in_body = False
        self._stop_deadline()
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """Continue with the next request. The rest of a body that was refused has as much time as a head."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._reader.watch()
        elif self._in_body and self.cycle.response_complete:
            self._start_deadline()

    def pause_writing(self) -> None:
        """Begin to watch the client: it reads more slowly than it is answered."""
        super().pause_writing()
        self._reader.watch()

    def resume_writing(self) -> None:
        """Go on with the answer."""
        super().resume_writing()
        if not self.transport.is_closing():
            self._reader.ignore()

    def timeout_keep_alive_handler(self) -> None:
        """Close the idle connection. That waits until the client has read its answer."""
        super().timeout_keep_alive_handler()
        if self.transport.is_closing():
            self._reader.watch()

    def _head_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + len(": \r\n") for name, value in self.headers)

    def _start_deadline(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self._header_seconds, self._give_up)

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if self._pending and not self._in_body:
            self._refuse(408, f"the headers weren't complete after {self._header_seconds:g} s")
        else:
            self.shutdown()

    def _refuse(self, status: int, detail: str) -> None:
        """Answer with an error and close the connection, after the answers to earlier requests."""
        self._refused = True
        self._release()
        self.logger.warning("request.refused status=%d: %s", status, detail)
        metrics.requests("other", "other", status).inc()
        cycle = self._answering
        is_own = self._in_body and cycle is self.cycle and not self.cycle.response_started
        if cycle is None or cycle.response_complete or is_own:
            body = to_json(Failure(detail=detail))
            headers = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
            self.transport.write(STATUS_LINE[status] + headers + body)
            self.transport.close()
        else:
            self.shutdown()
