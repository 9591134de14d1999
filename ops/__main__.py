"""`python -m ops COMMAND`."""

import argparse
import os
import sys
from pathlib import Path

from ops import contract, doctor, dotenv, env, run, score, upgraded


def main() -> int:
    """Run a command and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m ops", description=__doc__)
    parser.add_argument("--env-file", type=Path, default=env.REPO / ".env", help="default: %(default)s")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("env", help="write .env with random secrets; values already in it are kept")
    commands.add_parser("doctor", help="check for common problems, and print how to fix them")
    commands.add_parser("upgraded", help="tell what the upgrade of older databases has done")
    commands.add_parser("unsigned", help="name the versions in Production that no trusted key has signed")
    running = commands.add_parser("run", help="run the DAG of a contract once in the containers, and predict")
    running.add_argument("--contract", default="", help="name of the contract, default: penguins")
    drafting = commands.add_parser("contract", help="draft a contract from a table that the containers reach")
    drafting.add_argument("--from", dest="source", required=True, help="a path there, s3:// address or table:name")
    drafting.add_argument("--target", required=True, help="column that the model predicts")
    drafting.add_argument("--name", default="", help="of the contract; by default that of the source")
    drafting.add_argument("--force", action="store_true", help="replace a contract of this name")
    scoring = commands.add_parser("score", help="predict the rows of a source into a table, in the containers")
    scoring.add_argument("--from", dest="source", default="", help="a file as the containers see it, or table:name")
    scoring.add_argument("--contract", default="", help="name of the contract, default: penguins")
    scoring.add_argument("--table", default="", help="table for the result, default: that of the contract")
    saving = commands.add_parser("backup", help="back the stack up into one archive, while it works")
    saving.add_argument("--to", default="", help="folder of the archive, default: PENGUINS_BACKUP_DIR or backups/")
    saving.add_argument("--keys", action="store_true", help="put the keys into it, too")
    restoring = commands.add_parser("restore", help="restore a backup into a project that has no data")
    restoring.add_argument("--from", dest="source", default="", help="the archive")
    restoring.add_argument("--keys", default="", help="a .env or credentials.json with the keys, or new")
    arguments = parser.parse_args()
    if arguments.command == "env":
        return _env(arguments.env_file)
    if arguments.command == "run":
        return run.main(arguments.env_file, arguments.contract)
    if arguments.command == "contract":
        options = (f"--from={arguments.source}", f"--target={arguments.target}", f"--name={arguments.name}")
        return contract.main(arguments.env_file, (*options, "--force") if arguments.force else options)
    if arguments.command == "upgraded":
        return upgraded.main(arguments.env_file)
    if arguments.command == "unsigned":
        return doctor.name_unsigned(arguments.env_file)
    if arguments.command == "backup":
        from ops import backup  # unlike the other commands, it needs Python 3.11

        return backup.main(arguments.env_file, arguments.to, arguments.keys)
    if arguments.command == "restore":
        from ops import restore

        return restore.main(arguments.env_file, arguments.source, arguments.keys)
    if arguments.command == "score":
        return score.main(arguments.env_file, arguments.source, arguments.contract, arguments.table)
    return doctor.main(arguments.env_file)


def _env(path: Path) -> int:
    existed = path.exists()
    added = env.complete(path)
    # Otherwise Docker would make it, for root only.
    variables = dotenv.parse(path.read_text())
    run.models_folder(variables).mkdir(exist_ok=True)
    if os.environ.get("BACKUPS") or "backups" in variables.get("COMPOSE_PROFILES", "").split(","):
        from ops import backup  # unlike the other commands, it needs Python 3.11

        backup.make_folder(backup.folder_of(variables, ""))
    if not existed:
        print(f"Wrote {os.path.relpath(path)} with random secrets; only you can read it.")
    elif added:
        print(f"Added to {os.path.relpath(path)}: {', '.join(added)}")
    else:
        print(f"{os.path.relpath(path)} has everything.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
