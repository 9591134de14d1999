"""Files that must agree with one another, checked without Docker."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic_settings import BaseSettings

import penguins.settings
import serving.settings
import shipper.settings
from backup import keyfile
from local import environment
from local.config import Config
from local.settings import Settings
from ops import dotenv
from ops.env import EXAMPLE, REPO

DOCKERFILES = [
    "Dockerfile.airflow",
    "Dockerfile.mlflow",
    "notebooks/Dockerfile",
    "backup/Dockerfile",
    "serving/Dockerfile",
    "shipper/Dockerfile",
]
COMPOSE: dict[str, Any] = yaml.safe_load((REPO / "docker-compose.yaml").read_text())
# Settings given by the image or by the compose file.
FIXED = {"PENGUINS_CONNECTION_ID", "PENGUINS_GIT_COMMIT", "SERVING_HOST", "SERVING_PORT", "SERVING_CACHE_DIR"}


@pytest.mark.parametrize("name", DOCKERFILES)
def test_every_image_has_the_uv_of_the_makefile(name: str) -> None:
    (version,) = re.findall(r"UV_VERSION := (\S+)", (REPO / "Makefile").read_text())
    assert f"uv=={version}\n" in (REPO / name).read_text()


def test_images_share_their_first_steps() -> None:
    last = "--group tracking && \\\n    find /opt/venv -type d -name tests -prune -exec rm -r {} +\n"
    steps = [
        "".join(line for line in text.partition(last)[0].splitlines(True) if not line.startswith("#"))
        for text in ((REPO / name).read_text() for name in DOCKERFILES[:3])
    ]
    assert len(set(steps)) == 1
    assert "uv sync" in steps[0]


@pytest.mark.parametrize(
    ("program", "service"),
    [
        (penguins.settings.Settings, "airflow-scheduler"),
        (serving.settings.Settings, "api"),
        (shipper.settings.Settings, "shipper"),
    ],
)
def test_every_setting_reaches_its_container(program: type[BaseSettings], service: str) -> None:
    prefix = program.model_config["env_prefix"]
    variables = {
        str(field.validation_alias or f"{prefix}{name}".upper()) for name, field in program.model_fields.items()
    }
    assert variables - FIXED <= set(COMPOSE["services"][service]["environment"])


def test_contracts_are_mounted_read_only_wherever_they_are_read() -> None:
    mount = "${PENGUINS_CONTRACTS_DIR:-./contracts}:/opt/penguins/contracts:ro"
    for name, service in COMPOSE["services"].items():
        reads = "PENGUINS_CONTRACTS_DIR" in service.get("environment", {})
        mounted = [each for each in service.get("volumes", []) if "/opt/penguins/contracts" in each]
        assert mounted == [mount] * reads, name
    assert "PENGUINS_CONTRACTS_DIR" in COMPOSE["services"]["airflow-scheduler"]["environment"]


def test_nothing_starts_on_what_an_interrupted_restore_has_left(tmp_path: Path) -> None:
    def check() -> subprocess.CompletedProcess[str]:
        command = ("sh", str(REPO / "images/postgres/postgres-volume.sh"))
        variables = {"PGDATA": str(tmp_path), "PG_MAJOR": "17"}
        return subprocess.run(command, env=variables, capture_output=True, text=True)

    (tmp_path / "PG_VERSION").write_text("17\n")
    assert check().returncode == 0
    (tmp_path / "restoring").touch()
    assert (check().returncode, check().stderr.count("\n")) == (1, 1)
    assert "A restore into this volume was interrupted: docs/how-to/backup.md" in check().stderr


@pytest.mark.parametrize("service", ["backup", "backup-schedule"])
def test_a_backup_gets_neither_the_superuser_nor_the_private_key(service: str) -> None:
    given = set(COMPOSE["services"][service]["environment"])
    assert {"AIRFLOW_DB_PASSWORD", "MLFLOW_DB_PASSWORD", "PENGUINS_DB_PASSWORD"} <= given
    assert not {"POSTGRES_PASSWORD", *keyfile.VARIABLES.values()} & given
    assert COMPOSE["services"][service]["cpu_shares"] == 16  # who trains or predicts comes first


def test_mlflow_takes_whole_names_with_ports_only() -> None:
    hosts = COMPOSE["services"]["mlflow"]["environment"]["MLFLOW_SERVER_ALLOWED_HOSTS"]
    assert "*" not in hosts
    assert {"mlflow:5000", "localhost:${MLFLOW_PORT:-5001}", "127.0.0.1:${MLFLOW_PORT:-5001}"} <= set(hosts.split(","))


def test_mlflow_is_started_without_its_assistant_in_its_container_too() -> None:
    text = (REPO / "Dockerfile.mlflow").read_text()
    assert '"run_server.py", "--app-name", "penguins"' in text
    assert "ENV PYTHONPATH=/opt/penguins\nCOPY images/mlflow/ ./\n" in text


@pytest.mark.parametrize("script", sorted((REPO / "init-db").glob("*.sql")), ids=lambda path: path.name)
def test_database_scripts_look_names_up_in_no_schema_of_a_role(script: Path) -> None:
    lines = [line for line in script.read_text().splitlines() if not line.startswith("--")]
    schema = "public" if script.name == "03-tables.sql" else "pg_catalog"  # that one is run by the role itself
    assert lines[0] == f"SET search_path = {schema}, pg_temp;"
    for function in re.findall(r"CREATE (?:OR REPLACE )?FUNCTION.*?AS \$", "\n".join(lines), re.DOTALL):
        assert "SET search_path" in function


def test_only_what_makes_models_gets_the_private_key() -> None:
    variables = {name: service.get("environment", {}) for name, service in COMPOSE["services"].items()}
    with_key = {name for name, found in variables.items() if "PENGUINS_SIGNING_KEY" in str(found)}
    assert with_key == {"airflow-scheduler", "airflow-worker", "jupyterlab"}
    assert variables["api"]["SERVING_TRUSTED_KEYS"] == variables["jupyterlab"]["PENGUINS_TRUSTED_KEYS"]


def test_airflow_leaves_the_same_warnings_out_in_both_ways_of_running(tmp_path: Path) -> None:
    left_out = environment.airflow(Config.of(Settings(state_dir=tmp_path / "state")))["PYTHONWARNINGS"]
    services = COMPOSE["services"].items()
    assert {each["environment"]["PYTHONWARNINGS"] for name, each in services if "airflow" in name} == {left_out}


def test_tables_of_the_service_lie_on_its_volume_and_not_in_memory() -> None:
    (folder,) = re.findall(r"TMPDIR=(\S+)", (REPO / "serving/Dockerfile").read_text())
    service = COMPOSE["services"]["api"]
    volumes = [each.split(":")[1] for each in service["volumes"] if each.split(":")[0] in COMPOSE["volumes"]]
    assert any(folder.startswith(f"{volume}/") for volume in volumes)
    assert not any(f"{folder}/".startswith(f"{memory}/") for memory in service["tmpfs"])


def shell_commands() -> Iterator[tuple[str, str]]:
    """Yield each command of a container in which a shell replaces variables, with the name of its service."""
    for name, service in COMPOSE["services"].items():
        for command in (service.get("command"), service.get("entrypoint"), service.get("healthcheck", {}).get("test")):
            if isinstance(command, list) and "$$" in command[-1]:
                yield name, command[-1].replace("$$", "$")


@pytest.mark.parametrize(("service", "command"), list(shell_commands()))
def test_no_secret_is_on_a_command_line_in_a_container(tmp_path: Path, service: str, command: str) -> None:
    secrets = re.findall(r"\$\{?(\w*(?:PASSWORD|SECRET|KEY|TOKEN|URL)\w*)", command)
    assert secrets, service
    script = f'#!/bin/sh\necho "$0 $*" >> {tmp_path}/arguments\n(env; cat) >> {tmp_path}/given\necho PONG\n'
    for program in ("alertmanager", "celery", "redis-server", "redis-cli"):
        (tmp_path / program).write_text(script)
        (tmp_path / program).chmod(0o755)
    variables = {"PATH": f"{tmp_path}:/usr/bin:/bin"} | dict.fromkeys(secrets, "of nobody else")
    subprocess.run(["sh", "-c", command], env=variables, stdin=subprocess.DEVNULL, cwd=tmp_path, check=True)
    assert "of nobody else" not in (tmp_path / "arguments").read_text()
    assert "of nobody else" in (tmp_path / "given").read_text()


def test_what_runs_tasks_reaches_the_service_that_scores() -> None:
    for name in ("airflow-scheduler", "airflow-worker", "api"):
        assert "prediction" in COMPOSE["services"][name]["networks"]


def test_the_example_names_every_variable_of_the_compose_file() -> None:
    text = (REPO / "docker-compose.yaml").read_text()
    assert set(re.findall(r"\$\{(\w+):\?run make env\}", text)) <= set(dotenv.parse(EXAMPLE.read_text()))
    uncommented = re.sub(r"^#(?=\w+=)", "", EXAMPLE.read_text(), flags=re.MULTILINE)
    optional = set(re.findall(r"\$\{(\w+):?-", text)) - {"PENGUINS_GIT_COMMIT"}
    assert optional <= set(dotenv.parse(uncommented))
