"""HTTP/1.1, with small requests for predictions answered as soon as they are whole, without a task."""

from asyncio import TimerHandle, Transport
from collections.abc import Sequence
from time import perf_counter
from typing import Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from serving.api.body import IS_WHOLE
from serving.api.direct import JSON_HEADER, Direct

HOLD_SECONDS: Final = 0.02
"""Most clients send a body right after its head, but not in the same piece."""


class DirectProtocol(HttpToolsProtocol):
    """One connection. A request that may be answered directly is held until it is whole, but only for a moment."""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Begin without a request."""
        super().connection_made(transport)
        if "direct" not in self.app_state:
            self.app_state["direct"] = Direct(self.app, self.app_state)  # type: ignore[arg-type]
        self._direct: Direct = self.app_state["direct"]
        self._may_answer = False  # once in each piece of data: other connections have their turn in between
        self._idle_since: float | None = None  # since the last answer, until there is data again
        self._held: bytes | None = None  # the body so far
        self._held_since, self._is_asked = 0.0, False
        self._hold: TimerHandle | None = None
        self._headers: list[tuple[bytes, bytes]] | None = None
        self._begin = b""  # of an answer: its status, and the server's own headers

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the application."""
        self._release()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Close the connection after the request that is under way."""
        self._release()
        super().shutdown()

    def on_response_complete(self) -> None:
        """Continue with the next request."""
        self._idle_since = self.loop.time()
        super().on_response_complete()

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection if it was idle for long enough: a timer for each request would take longer."""
        self.timeout_keep_alive_task = None
        if self._idle_since is None:
            return  # the end of the answer starts the timer again
        rest = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if rest > 0:
            self._close_after(rest)
        else:
            super().timeout_keep_alive_handler()

    def on_message_begin(self) -> None:
        """Begin a head. The request's scope is made when the application gets it."""
        if self._is_asked:
            self._release()
        self.url, self.headers, self.expect_100_continue = b"", [], False

    def on_headers_complete(self) -> None:
        """Hold the request, or pass it on."""
        if self._may_answer and self._may_be_answered():
            self._held, self._held_since = b"", perf_counter()
        else:
            self._pass_on()
        self._may_answer = False

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body, or pass it on."""
        if self._held is None:
            super().on_body(body)
            return
        self._held += body
        if len(self._held) > self._direct.max_bytes:
            self._release()

    def on_message_complete(self) -> None:
        """Answer the request, or pass its end on."""
        if self._held is not None:
            self._stop_hold()
            self._is_asked = True
            if self._direct.ask(self, self.url, self.headers, self._held, self._held_since):
                return
            self._is_asked = False
            self._release()
        self.scope[IS_WHOLE] = True  # type: ignore[literal-required]
        super().on_message_complete()

    def _wait_for_rest(self) -> None:
        """Wait a moment for the rest of a held request."""
        if self._hold is None:
            self._hold = self.loop.call_later(HOLD_SECONDS, self._release)

    def _may_be_answered(self) -> bool:
        """Return whether the head allows a direct answer, and nothing else is to be sent before."""
        return (
            self.url in self._direct.forms
            and JSON_HEADER in self.headers
            and self.parser.get_method() == b"POST"
            and self.parser.get_http_version() == "1.1"
            and self.parser.should_keep_alive()
            and not self.expect_100_continue
            and (self.cycle is None or self.cycle.response_complete)
            and not self.flow.write_paused
        )

    def decline(self) -> None:
        """Pass the held request on, which is whole, unless it was answered."""
        if not self._is_asked:
            return
        self._is_asked = False
        self._release()
        self.scope[IS_WHOLE] = True  # type: ignore[literal-required]
        super().on_message_complete()

    def send(self, parts: Sequence[bytes]) -> None:
        """Send the answer to the held request."""
        self._held, self._is_asked = None, False
        headers = self.server_state.default_headers
        if headers is not self._headers:  # uvicorn replaces them each second
            lines = [b"%b: %b\r\n" % header for header in headers]
            self._headers, self._begin = headers, b"".join((STATUS_LINE[200], *lines))
        if self.transport.is_closing():
            return
        self.transport.write(b"".join((self._begin, *parts)))
        self.server_state.total_requests += 1
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._close_after(self.timeout_keep_alive)

    def _close_after(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def _release(self) -> None:
        """Pass a held request on, or have it answered if it is whole."""
        if self._is_asked:
            self._direct.answer_all()
        elif self._held is not None:
            self._stop_hold()
            body, self._held = self._held, None
            self._pass_on()
            super().on_body(body)

    def _stop_hold(self) -> None:
        if self._hold is not None:
            self._hold.cancel()
            self._hold = None

    def _pass_on(self) -> None:
        """Pass the head to the application."""
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers += headers  # the list of the scope
        super().on_headers_complete()
