"""Environment variables of each program of the stack."""

import os
import shutil
import subprocess
import sysconfig

from local.config import Config
from local.ports import LOOPBACK
from local.settings import REPO

BUCKET = "mlflow-artifacts"

# Another program on PostgreSQL's port could ask for a password in clear. With this method nobody learns it, and the
# server proves that it knows it.
POSTGRES_LOGIN = "scram-sha-256"

# Marks every process of a stack, so that processes left by a crash can be found (see local.orphans).
MARK = "PENGUINS_STACK"

# Prefixes of variables that a shell may set for other installations of the same programs.
_FOREIGN = (
    "AIRFLOW",
    "AWS_",
    "GUNICORN",
    "IPYTHON",
    "JUPYTER",
    "MLFLOW",
    "PENGUINS_NOTIFY_URL",
    "PENGUINS_SIGNING_KEY",
    "PG",
    "PYTHON",
    "SUPERVISOR",
    "UVICORN",
    "WEED_",
)


def inherited(config: Config) -> dict[str, str]:
    """Return the caller's environment without the variables of other installations.

    Removes PYTHONDONTWRITEBYTECODE as well: without cached bytecode a start takes three times as long.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    no_proxy = ",".join(filter(None, [os.environ.get("no_proxy") or os.environ.get("NO_PROXY"), LOOPBACK, "localhost"]))
    return kept | {
        MARK: str(config.layout.state),
        "PATH": os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)]),
        "PGREQUIREAUTH": POSTGRES_LOGIN,
        "PYTHONUNBUFFERED": "1",
        "SPT_NOENV": "1",  # setproctitle would overwrite the mark
        "NO_PROXY": no_proxy,
        "no_proxy": no_proxy,
        "DO_NOT_TRACK": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def tasks(config: Config) -> dict[str, str]:
    """Return the variables of the pipeline's tasks."""
    return _pipeline(config) | signing(config)


def signing(config: Config) -> dict[str, str]:
    """Return the private key, for what logs, registers or signs models."""
    return {"PENGUINS_SIGNING_KEY": config.credentials.signing_key}


def housekeeping(config: Config) -> dict[str, str]:
    """Return the address of Airflow's database, for what deletes its history."""
    return {"PENGUINS_AIRFLOW_DATABASE": config.database_url("airflow")}


def _pipeline(config: Config) -> dict[str, str]:
    """Return the variables of the pipeline's library, and the user's own AWS_* for `s3://` sources."""
    own_aws = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    return own_aws | {
        "AIRFLOW_CONN_PENGUINS_DB": config.database_url("penguins"),
        "MLFLOW_TRACKING_URI": config.urls["mlflow"],
        "PENGUINS_API_URL": config.urls["api"],
        "PENGUINS_GIT_COMMIT": git_commit(),
        "PENGUINS_TRUSTED_KEYS": config.credentials.trusted_keys,
        **library(),
    }


def library() -> dict[str, str]:
    """Return where Python finds the pipeline's library."""
    return {"PYTHONPATH": f"{REPO / 'plugins'}:{REPO}"}


def git_commit() -> str:
    """Return the checked-out commit, marked as dirty if files differ; `unknown` outside a git checkout."""
    git = shutil.which("git")
    if git is None:
        return "unknown"
    command = [git, "-C", str(REPO), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def notebook(config: Config) -> dict[str, str]:
    """Return the variables of a task, the service's client, and the ports of the UIs for links."""
    ports = {name: str(config.settings.ports[name]) for name in ("AIRFLOW_PORT", "MLFLOW_PORT", "API_PORT")}
    path = f"{library()['PYTHONPATH']}:{REPO / 'clients' / 'python'}"
    return tasks(config) | ports | {"PYTHONPATH": path}


def init_db(config: Config, path: str) -> dict[str, str]:
    """Return the variables of init-db/apply.sh; `path` is the directory of psql."""
    return {
        "PATH": os.pathsep.join([path, os.environ.get("PATH", os.defpath)]),
        "PGHOST": LOOPBACK,
        "PGPORT": str(config.settings.postgres_port),
        "PGUSER": "postgres",
        "PGPASSWORD": config.credentials.postgres_password,
        "AIRFLOW_DB_PASSWORD": config.credentials.airflow_db_password,
        "MLFLOW_DB_PASSWORD": config.credentials.mlflow_db_password,
        "PENGUINS_DB_PASSWORD": config.credentials.penguins_db_password,
        "SHIPPER_DB_PASSWORD": config.credentials.shipper_db_password,
        "PENGUINS_LOG_RETENTION_DAYS": str(config.settings.log_retention_days),
    }


def mlflow(config: Config) -> dict[str, str]:
    """Return the variables of the MLflow server, the only client with S3 keys."""
    # Without `*` MLflow compares the whole header. Its default has `10.*`, which names of the internet can match, too.
    port = "" if config.settings.mlflow_port == 80 else f":{config.settings.mlflow_port}"  # clients leave :80 out
    return {
        "AWS_ACCESS_KEY_ID": config.credentials.s3_access_key,
        "AWS_SECRET_ACCESS_KEY": config.credentials.s3_secret_key,
        "AWS_DEFAULT_REGION": "us-east-1",
        # The user's own AWS profile must not change the connection to this S3 server.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "MLFLOW_S3_ENDPOINT_URL": config.urls["s3"],
        "MLFLOW_BACKEND_STORE_URI": config.database_url("mlflow", "postgresql+psycopg2"),
        "MLFLOW_ARTIFACTS_DESTINATION": f"s3://{BUCKET}",
        "MLFLOW_SERVER_ALLOWED_HOSTS": f"{LOOPBACK}{port},localhost{port}",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "PYTHONPATH": str(REPO / "images" / "mlflow"),
    }


def serving(config: Config) -> dict[str, str]:
    """Return the variables of the prediction service."""
    return {
        "MLFLOW_TRACKING_URI": config.urls["mlflow"],
        "SERVING_HOST": LOOPBACK,
        "SERVING_PORT": str(config.settings.api_port),
        "SERVING_MODELS_FILE": str(config.layout.serving_models),
        "SERVING_CACHE_DIR": str(config.layout.serving_cache),
        # Without the log if the caller sets an empty folder; another folder would be none of the shipper's.
        "SERVING_LOG_DIR": "" if os.environ.get("SERVING_LOG_DIR") == "" else str(config.layout.prediction_log),
        "SERVING_TRUSTED_KEYS": config.credentials.trusted_keys,
        "TMPDIR": str(config.layout.serving_tables),  # /tmp may lie in memory
    }


def shipper(config: Config) -> dict[str, str]:
    """Return the variables of the shipper of the prediction log."""
    return {
        "SHIPPER_LOG_DIR": str(config.layout.prediction_log),
        "SHIPPER_DATABASE_URL": config.database_url("shipper"),
    }


def backup(config: Config) -> dict[str, str]:
    """Return the variables of `python -m local backup`."""
    settings = config.settings
    ports = {name: str(port) for name, port in settings.ports.items()}
    return ports | {"PENGUINS_STATE_DIR": str(settings.state_dir), "PENGUINS_BACKUP_DIR": str(settings.backup_dir)}


def airflow(config: Config) -> dict[str, str]:
    """Return the variables of Airflow's programs, sized for a laptop; the scheduler also gets the private key."""
    base = config.urls["airflow-api-server"]
    options = {
        "API__BASE_URL": base,
        "API__HOST": LOOPBACK,
        "API__PORT": str(config.settings.airflow_port),
        "API__SECRET_KEY": config.credentials.airflow_secret_key,
        "API__WORKERS": "1",
        "API_AUTH__JWT_SECRET": config.credentials.airflow_jwt_key,
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "CORE__DAGS_FOLDER": str(REPO / "dags"),
        "CORE__EXECUTION_API_SERVER_URL": f"{base}/execution/",
        "CORE__EXECUTOR": "penguins.airflow.executor.LocalExecutor",
        "CORE__FERNET_KEY": config.credentials.airflow_fernet_key,
        "CORE__HOSTNAME_CALLABLE": "socket.gethostname",  # getfqdn waits for DNS on a machine without it
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__PARALLELISM": "2",
        "CORE__PLUGINS_FOLDER": str(REPO / "plugins"),
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(config.layout.airflow_passwords),
        "CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
        "DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "1",
        "DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "DAG_PROCESSOR__REFRESH_INTERVAL": "2",  # seconds between searches for new or changed files
        "DATABASE__CHECK_MIGRATIONS": "False",  # airflow-migrate has run
        "DATABASE__SQL_ALCHEMY_CONN": config.database_url("airflow", "postgresql+psycopg2"),
        # Not asyncpg, Airflow's default: it sends the password in clear to whoever asks.
        "DATABASE__SQL_ALCHEMY_CONN_ASYNC": config.database_url("airflow", "postgresql+psycopg"),
        "LOGGING__COLORED_CONSOLE_LOG": "False",
        "LOGGING__DAG_PROCESSOR_LOG_TARGET": "stdout",  # supervisord rotates its log file
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.3",
    }
    others = {
        "AIRFLOW_HOME": str(config.layout.airflow),
        "PENGUINS_NOTIFY_URL": os.environ.get("PENGUINS_NOTIFY_URL", ""),  # its tokens are for nothing else
        # Airflow reads plugins/.airflowignore with a deprecated class, and each log would have its warning.
        "PYTHONWARNINGS": "ignore:GitWildMatchPattern:DeprecationWarning",
    }
    return _pipeline(config) | others | {f"AIRFLOW__{name}": value for name, value in options.items()}
