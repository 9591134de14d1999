"""Client of the Penguins prediction service."""

from penguins_client.answers import Answer, TableAnswer
from penguins_client.async_client import AsyncClient
from penguins_client.client import Client
from penguins_client.errors import Problem, RefusedError, ServiceError, UnavailableError
from penguins_client.truths import Truth

__all__ = [
    "Answer",
    "AsyncClient",
    "Client",
    "Problem",
    "RefusedError",
    "ServiceError",
    "TableAnswer",
    "Truth",
    "UnavailableError",
]
