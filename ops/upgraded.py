"""Tell after `make compose-up` what the upgrade of older databases has done, once, as init-db has noted it."""

from pathlib import Path

from ops.docker import Compose, DockerError
from ops.env import REPO

PSQL = ("psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--username=postgres", "--command")


def main(env_file: Path) -> int:
    """Print what was done. Return 0: if it is unknown, everything runs all the same."""
    statement = (REPO / "init-db" / "upgrade-tell.sql").read_text()
    try:
        told = Compose(env_file).run("exec", "--no-TTY", "postgres", *PSQL, statement)
    except DockerError as error:
        print(f"whether the databases were upgraded is unknown: {error}", flush=True)
        return 0
    if told:
        print(f"{told}\nCHANGELOG.md says what to look at.", flush=True)
    return 0
