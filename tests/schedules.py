"""The schedule of the trainings in tests."""

from datetime import UTC, datetime


def far_off() -> str:
    """Return a yearly schedule whose last and next times are months away.

    Airflow starts the first run of a new DAG at once if a time of its schedule has passed by less than a tenth of the
    time between two, so with the default `@weekly` every stack of a Sunday would train once more than its test does.
    """
    return f"0 0 1 {(datetime.now(UTC).month + 5) % 12 + 1} *"
