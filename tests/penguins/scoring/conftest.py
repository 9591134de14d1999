"""Services to score with, which start from a cache, and the tables that are left."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from psycopg import Connection

from contract.schema import DataContract
from penguins.data.contract import or_penguins
from penguins.scoring.scoring import ScoreReport, score
from penguins.settings import settings
from tests.serving.log.conftest import spool, start
from tests.serving.service import Service

__all__ = ["spool", "start"]

Score = Callable[..., ScoreReport]
TABLE = "scoring_test"


@pytest.fixture
def run(connection: Connection[Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[Score]:
    """Score a source with a service, or one at an address, into `TABLE`."""

    def score_with(
        service: Service | str, source: object, contract: DataContract | None = None, table: str = TABLE, key: str = ""
    ) -> ScoreReport:
        monkeypatch.setenv("PENGUINS_API_URL", service if isinstance(service, str) else str(service.http.base_url))
        if key:
            monkeypatch.setenv("PENGUINS_API_KEY", key)
        settings.cache_clear()
        return score(connection, str(source), table, or_penguins(contract))

    yield score_with
    settings.cache_clear()
    connection.execute(f"DROP TABLE IF EXISTS {TABLE}, {TABLE}_rejected")
