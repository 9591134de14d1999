"""Start the shipper: `python -m shipper`."""

import argparse
import logging
import signal
import sys
import threading

from pydantic import ValidationError

from shipper.loop import run
from shipper.settings import Settings, explain
from shipper.spool import seconds_since_beat

_SILENCE = 30.0  # seconds


def main() -> None:
    """Read the settings from the environment and work until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(
        prog="python -m shipper",
        description="Brings the prediction log from its folder into PostgreSQL.",
        epilog=f"environment variables, with their defaults:\n{explain()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--check", action="store_true", help="exit with 0 if a shipper works on the folder, else 1")
    arguments = parser.parse_args()
    try:
        settings = Settings()  # type: ignore[call-arg]  # from the environment
        if arguments.check:
            sys.exit(seconds_since_beat(settings.log_dir) > _SILENCE)
        logging.basicConfig(level="INFO", format="%(asctime)s %(levelname)s %(message)s")
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        run(settings, stop)
    except ValidationError as error:
        problems = [f"SHIPPER_{str(each['loc'][0]).upper()}: {each['msg']}" for each in error.errors()]
        sys.exit(f"python -m shipper: {'; '.join(problems)}")
    except OSError as error:
        sys.exit(f"python -m shipper: {error}")


if __name__ == "__main__":
    main()
