"""A move of Production outside of the pipeline: from MLflow by service and shipper into the audit trail."""

import threading
from pathlib import Path

import psycopg

from local.stack import Stack
from local.waiting import until
from shipper import loop
from shipper.settings import Settings
from tests.serving.publisher import Publisher, forest
from tests.serving.service import Service


def test_a_move_in_mlflow_stands_in_the_trail(
    stack: Stack, publisher: Publisher, mlflow_url: str, spool: Path, tmp_path: Path
) -> None:
    model = publisher.model_name
    first, second = publisher.publish(forest()), publisher.publish(forest(1))
    own = {"MLFLOW_TRACKING_URI": mlflow_url, "SERVING_MODEL_NAME": model, "SERVING_CACHE_DIR": tmp_path / "cache"}
    settings = Settings(log_dir=spool, database_url=stack.config.database_url("shipper"))
    stop = threading.Event()
    shipper = threading.Thread(target=loop.run, args=[settings, stop])
    shipper.start()
    try:
        with psycopg.connect(stack.environment["AIRFLOW_CONN_PENGUINS_DB"], autocommit=True) as connection:

            def moves() -> list[tuple[str, str | None, str]]:
                return connection.execute(
                    "SELECT action, from_version, to_version FROM audit.promotions WHERE model = %s ORDER BY id",
                    [model],
                ).fetchall()

            connection.execute(
                """INSERT INTO audit.promotions (model, who, action, to_version, reason, numbers)
                   VALUES (%s, 'ada', 'promote', %s, 'why', '{}')""",
                [model, first],
            )
            publisher.promote(first)
            with Service(tmp_path, **own, SERVING_LOG_DIR=spool) as service:
                service.serves(first)
                publisher.promote(second)
                service.serves(second)
                until(lambda: len(moves()) > 1, "the move to stand in the trail", 60)
                assert moves() == [("promote", None, first), ("found", first, second)]
                asked = "SELECT bool_and(asked_at < at) FROM log.events WHERE model = %s AND event = 'swapped'"
                assert connection.execute(asked, [model]).fetchone() == (True,)
    finally:
        stop.set()
        shipper.join(30)
