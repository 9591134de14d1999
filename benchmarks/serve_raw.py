"""An ASGI application that reads the body and returns fixed bytes: the most that uvicorn can do."""

from typing import Final

from starlette.types import Receive, Scope, Send

BODY: Final = b'{"prediction":[2],"probabilities":[0.0,0.004,0.996],"model_version":"1","warnings":[]}'.ljust(212)
HEADERS: Final = [(b"content-length", b"%d" % len(BODY)), (b"content-type", b"application/json")]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})
