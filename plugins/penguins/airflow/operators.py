"""The operator of register_best: it decides by itself or, on request, asks a person in Airflow's UI."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from airflow.configuration import conf
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Context, Param

from penguins.airflow.links import CandidatesLink, VersionLink
from penguins.airflow.task_errors import report_user_errors
from penguins.promotion.reasons import MAX_REASON_LENGTH

PROMOTE: Final = "Promote"
KEEP: Final = "Keep the champion"
# XCom with the number of the version in question, kept while the task waits.
QUESTION_XCOM: Final = "asked"
# Params of the task: the form beside the decision.
FORM: Final = {
    "comment": Param(
        "",
        type=["string", "null"],
        maxLength=MAX_REASON_LENGTH,
        title="Comment",
        description="Goes into the audit trail.",
    )
}


class RegisterBest(HITLOperator):
    """Register the best candidate, and promote it if the gate allows it.

    With the Param `promotion` at `manual` the task waits for a person in the state `awaiting_input`, which takes no
    worker. Without an answer within `approval_hours` the champion stays.
    """

    operator_extra_links = (CandidatesLink(), VersionLink())

    def __init__(self, **settings: Any) -> None:
        super().__init__(
            subject="Promote the challenger?",
            options=[PROMOTE, KEEP],
            defaults=KEEP,
            response_timeout=timedelta(hours=1),  # replaced in execute() by the time of the run
            **settings,
        )

    @report_user_errors
    def execute(self, context: Context) -> dict[str, Any]:
        """Register and judge; then decide, or ask."""
        from penguins.airflow import database, runs
        from penguins.promotion import approval, registration
        from penguins.training import grid

        params, run = context["params"], runs.current_run()
        data = database.read_dataset(params, run)
        with database.connect() as connection:
            report = registration.register_best(
                connection,
                data,
                run.id,
                ask=params["promotion"] == "manual",
                expected=grid.count(params["grid"], params["estimator"]),
            )
        if report.promoted is None:
            context["ti"].xcom_push(QUESTION_XCOM, report.version)
            base_path = urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")
            with database.connect() as connection:
                self.subject, self.body = approval.question(connection, report.version, base_path)
            self.response_timeout = timedelta(hours=params["approval_hours"])
            super().execute(context)
        return asdict(report)

    @report_user_errors
    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Carry out the person's decision, or keep the champion if there is none."""
        from penguins.airflow import database
        from penguins.promotion import approval

        answer = super().execute_complete(context, event)
        person = answer["responded_by_user"]
        approved = answer["chosen_options"] == [PROMOTE] and person is not None
        by = person["name"] if person else "nobody"
        comment = str(answer["params_input"].get("comment") or "") if person else "nobody answered in time"
        number = context["ti"].xcom_pull(key=QUESTION_XCOM)
        with database.connect() as connection:
            return asdict(approval.answer(connection, number, approved, by, comment))

    def validate_params_input(self, params_input: Mapping[str, Any]) -> None:
        """Accept any comment, so that an answer is never refused because of its comment."""
