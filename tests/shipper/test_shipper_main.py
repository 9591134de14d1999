"""Start, help and health of `python -m shipper`."""

import os
import subprocess
import sys
import time

from contract.counters import SHIPPER_FILE
from contract.segments import COUNTERS
from shipper.settings import Settings
from tests.shipper.conftest import start, wait_for

COMMAND = [sys.executable, "-m", "shipper"]


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SHIPPER")} | variables
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, env=environment, check=False)


def test_help_explains_every_setting() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert all(f"  SHIPPER_{name.upper()}=" in done.stdout for name in Settings.model_fields)


def test_missing_and_wrong_settings_are_named_without_their_values() -> None:
    done = run(SHIPPER_POLL_SECONDS="never", SHIPPER_DATABASE_URL="postgresql://shipper:secret@nowhere/penguins")
    assert done.returncode == 1
    assert done.stderr.startswith("python -m shipper: SHIPPER_LOG_DIR: Field required; SHIPPER_POLL_SECONDS: ")
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stderr


def test_the_check_tells_a_shipper_that_works(folder, settings) -> None:
    variables = {"SHIPPER_LOG_DIR": str(folder), "SHIPPER_DATABASE_URL": settings.database_url.get_secret_value()}
    assert run("--check", **variables).returncode == 1
    process = start(settings, ("env",))  # the program
    heart = folder / COUNTERS / SHIPPER_FILE
    wait_for(heart.exists)
    assert run("--check", **variables).returncode == 0
    process.kill()
    process.wait()
    os.utime(heart, (time.time() - 60,) * 2)
    assert run("--check", **variables).returncode == 1
