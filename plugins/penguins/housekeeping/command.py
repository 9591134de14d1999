"""`make housekeeping`: show what is old, or delete it."""

import logging

from rich.console import Console

from penguins import contracts
from penguins.connection import connect
from penguins.housekeeping import airflow_history, disk, house


def run(out: Console, delete: bool) -> None:
    """Show what is older than the settings say, or delete it, and what the stack takes of the disk."""
    logging.disable(logging.INFO)  # a run that the server keeps is a warning
    with connect() as connection, airflow_history.connect() as history:
        active = airflow_history.active(history)
        found = house.look_at_runs(connection, contracts.read_all().good.values(), active, delete)
        found += [house.look_at_history(active, delete), house.look_at_logs(active, delete)]
        room = disk.record(connection)
        parts = disk.latest(connection)
    out.print(house.table(found))
    out.print(f"\n{room}. The stack uses: {parts}.", soft_wrap=True)
    if not any(each.done for each in found) and any(each.days for each in found):
        out.print("Nothing was deleted: the daily run of penguins_housekeeping does it, or make housekeeping DELETE=1.")
