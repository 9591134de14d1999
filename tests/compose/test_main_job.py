"""The end-to-end checks of the embedded stack, on the containers."""

from tests.e2e.test_main_job import *  # noqa: F403
