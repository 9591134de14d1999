"""`make compose-score`: predict the rows of a source into a table, in the containers."""

import sys
from pathlib import Path

from ops import dotenv
from ops.docker import Compose, DockerError
from ops.run import FIRST, RunError, show, sign_in, trigger
from ops.web import Web, WebError


def main(env_file: Path, source: str, contract: str, table: str) -> int:
    """Run the DAG and return the exit status: 1 after an error, which is printed."""
    if not source:
        print("say from what: make compose-score FROM=/data/new.csv, a file in the folder data/", file=sys.stderr)
        return 1
    try:
        variables = dotenv.parse(env_file.read_text())
        dag = show(Compose(env_file), contract or FIRST)["scoring_dag"]
        score(sign_in(variables), dag, source, table)
    except (OSError, DockerError, RunError, WebError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def score(airflow: Web, dag: str, source: str, table: str) -> None:
    """Run a DAG that scores, and print its result.

    Args:
        table: name for the result; empty for the contract's.

    Raises:
        RunError: the run failed.
        WebError: Airflow has no such DAG, or doesn't answer.
    """
    path = trigger(airflow, dag, {"source": source} | ({"table": table} if table else {}))
    result = airflow.get(f"{path}/taskInstances/score/xcomEntries/return_value")["value"]
    parts = [f"{rows:,} by version {version}" for version, rows in result["rows"].items()]
    print(
        f"{result['source']}: {', '.join(parts)} in the table {result['table']} of the database penguins; "
        f"{result['rejected']:,} rows in {result['table']}_rejected."
    )
