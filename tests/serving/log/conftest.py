"""Services with a log, which start from a cache without MLflow."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.serving.cached import store
from tests.serving.service import Service

Start = Callable[..., Service]


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """The folder of the spool."""
    return tmp_path / "spool"


@pytest.fixture
def start(tmp_path: Path, spool: Path) -> Iterator[Start]:
    """Start a service that logs; settings by keyword."""
    own = store(tmp_path / "cache")
    with ExitStack() as running:

        def start_service(*command: str, **settings: Any) -> Service:
            defaults = own | {"SERVING_LOG_DIR": spool, "SERVING_POLL_SECONDS": 60}
            return running.enter_context(Service(tmp_path, *command, **defaults | settings))

        yield start_service
