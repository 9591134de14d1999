"""Settings of both clients."""


def headers_of(api_key: str | None) -> dict[str, str]:
    """Return the headers of each request.

    Raises:
        ValueError: the key can't be sent.
    """
    if api_key is None:
        return {}
    if not (api_key.isascii() and api_key.isprintable()):
        raise ValueError("the API key has characters that a header can't have")
    return {"X-API-Key": api_key}
