"""Start the service: `python -m serving`."""
# ruff: noqa: E402

import argparse
import os
import signal
import sys
import tempfile
from types import FrameType

# Libraries import these wherever they are installed. The service has no use for them, and they take 10 MB.
sys.modules.update(dict.fromkeys(("httpx._main", "pydantic.v1", "trio", "watchfiles")))  # type: ignore[arg-type]

import uvicorn

from serving.api.keys import Keys
from serving.api.protocol import Protocol
from serving.logs import configure
from serving.settings import Settings, explain


def main() -> None:
    """Read the settings from the environment and serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(
        prog="python -m serving",
        description="Serves the penguin model that is in Production in MLflow's registry.",
        epilog=f"environment variables, with their defaults:\n{explain()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args()
    try:
        settings = Settings()
        Keys(settings)
        settings.read_trusted_keys()
    except (OSError, ValueError) as error:  # pydantic's error is a ValueError
        sys.exit(f"python -m serving: {error}")
    configure(settings.log_level)
    if settings.workers == 1:
        serve(settings)
        return
    try:
        counts = tempfile.TemporaryDirectory(prefix="penguins-metrics-")
    except OSError as error:
        sys.exit(f"python -m serving: the workers' counts need a temporary folder: {error}")
    with counts as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        serve(settings)


def serve(settings: Settings) -> None:
    """Serve until a signal to stop; exit with 0 then."""
    # After a clean shutdown uvicorn raises the signal again, for the handlers that it replaced.
    signal.signal(signal.SIGTERM, _exit)
    signal.signal(signal.SIGINT, _exit)
    uvicorn.run(
        "serving.api.app:from_environment",  # by name, so that workers can import it
        factory=True,
        workers=settings.workers,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=Protocol,
        ws="none",
        proxy_headers=False,  # the address of the client isn't used
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=max(1, round(settings.shutdown_seconds)),
    )


def _exit(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)


if __name__ == "__main__":
    main()
