"""Entry point of `python -m local COMMAND`."""

import atexit
import gc

# A third of a short command would go into looking for garbage among what is imported, and stays.
gc.set_threshold(100_000, 10, 10)
atexit.register(gc.freeze)


def main() -> None:
    """Run the command."""
    from local.cli import app

    app(prog_name="python -m local")


main()
