"""`python -m serving` starts the service."""

import argparse
import logging
import signal
import sys
from types import FrameType

import uvicorn
from pydantic import ValidationError

from serving.settings import Settings, explain

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"


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
    except ValidationError as error:
        sys.exit(f"python -m serving: {error}")
    logging.basicConfig(level=settings.log_level, format=LOG_FORMAT)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # It would log every poll.
    serve(settings)


def serve(settings: Settings) -> None:
    """Serve, and exit with 0 when told to stop."""
    # Imported here so that --help and a wrong setting answer at once.
    from serving.app import create_app

    # After a clean shutdown uvicorn raises the signal again, for the handler that was there before it.
    signal.signal(signal.SIGTERM, _exit)
    signal.signal(signal.SIGINT, _exit)
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=max(1, round(settings.shutdown_seconds)),
    )


def _exit(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)


if __name__ == "__main__":
    main()
