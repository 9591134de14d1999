"""
### {title}: rows and their predictions in a table

`score`

The rows of a source go to the prediction service, some thousands at a time, and come back with the predictions of the
version of `{model}` that is in **Production**. The rows are in the prediction log like any other.

| table | content |
|---|---|
| `{scored}` | each row with its number in the source, the features, the predicted {target}, its probability and those of all classes, the features outside the training range, `model_version` and `prediction_id` |
| `{scored}_rejected` | the rows that can't be scored, with the reason: a required value is missing, or isn't allowed |

**Trigger** it with the ▶ button: *Data source* is a file, an `s3://` address or `table:name`, and *Table* another name
than `{scored}`. The {target} needn't be in the source. Both tables are replaced together, at the end: until then, and after
an error, they are as before. There is no schedule.

If Production is swapped during a run, the rows after that come from the new version: `model_version` says for each row
which one has answered, and the result of the task counts them. A cleared or retried task scores all rows again, and
the log then has those of the broken try, too.
"""

from dataclasses import asdict
from datetime import timedelta
from typing import Any

from airflow.sdk import dag, task

from contract.schema import DataContract, dag_id_of
from penguins.airflow import notices
from penguins.airflow.form import build_scoring_form
from penguins.airflow.parsing import build_dags, describe, title_of
from penguins.airflow.task_errors import RETRIES, report_user_errors
from penguins.parameters import check_names


def scoring_dag(contract: DataContract) -> Any:
    """Return the DAG that scores with the model of a contract."""
    form = build_scoring_form(contract)

    @dag(
        dag_id=dag_id_of(contract.name, "scoring"),
        dag_display_name=f"{title_of(contract)}: score",
        schedule=None,
        catchup=False,
        params=form,
        default_args={"owner": "penguins", "execution_timeout": timedelta(hours=12), **RETRIES},
        on_failure_callback=notices.failure_of(contract),
        doc_md=describe(__doc__ or "", contract),
        tags=[contract.name, "scoring"],
        auto_register=False,
    )
    def wire() -> None:
        """Wire the one task."""

        @task()
        @report_user_errors
        def score(params: dict[str, Any]) -> dict[str, Any]:
            """Score the rows of the source into the table, and count them by version."""
            from penguins.airflow import database
            from penguins.scoring import scoring

            check_names(params, form)  # Airflow accepts unknown ones
            with database.connect() as connection:
                return asdict(scoring.score(connection, params["source"], params["table"], contract))

        score()

    return wire()


# Airflow takes the DAGs of a file from its global names.
globals().update(build_dags(scoring_dag, "scoring"))
