"""The operators that decide about Production: by themselves or, on request, by asking a person in Airflow's UI."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from airflow.configuration import conf
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Context, Param

from contract.schema import DataContract
from penguins.airflow import notices
from penguins.airflow.links import CandidatesLink, VersionLink
from penguins.airflow.task_errors import report_user_errors
from penguins.promotion.reasons import MAX_REASON_LENGTH

log = logging.getLogger(__name__)

PROMOTE: Final = "Promote"
KEEP: Final = "Keep the champion"
# XComs with the numbers of the version in question and of the champion beside it, kept while the task waits.
QUESTION_XCOM: Final = "asked"
CHAMPION_XCOM: Final = "champion"
ASK_ON_PAGE: Final = (
    "Airflow can't ask anew: its form shows the question of an earlier try, and an answer there changes nothing. "
    "Decide on the page Penguins, under Waiting for a decision."
)
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


class Deciding(HITLOperator):
    """Decide about Production, or let a person do so.

    The task then waits in the state `awaiting_input`, which takes no worker. Without an answer in time the champion
    stays. Where Airflow can't show the question, the task ends, and the project's page asks.
    """

    def __init__(self, contract: DataContract, **settings: Any) -> None:
        super().__init__(
            subject="Promote the challenger?",
            options=[PROMOTE, KEEP],
            defaults=KEEP,
            response_timeout=timedelta(hours=1),  # replaced before it asks
            **settings,
        )
        self._contract = contract

    def _ask(self, context: Context, number: str, hours: float) -> None:
        """Ask about a version, and wait; return only if the page asks instead."""
        from penguins.airflow import database
        from penguins.promotion import approval

        model = self._contract.training.registered_model
        base_path = urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")
        with database.connect() as connection:
            question = approval.question(connection, self._contract, number, base_path)
        self.subject, self.body = question.subject, question.body
        if not self._is_shown(context):
            with database.connect() as connection:
                approval.ask_on_page(connection, model, question)
            log.warning("%s", ASK_ON_PAGE)
            return
        context["ti"].xcom_push(QUESTION_XCOM, question.number)
        context["ti"].xcom_push(CHAMPION_XCOM, question.champion)
        self.response_timeout = timedelta(hours=hours)
        super().execute(context)

    def _is_shown(self, context: Context) -> bool:
        """Write the question, and tell whether Airflow shows it: after a clear it may show that of an earlier try.

        Airflow 3.3 keeps subject and body of a task's first question for ever. Its answer to this message has them.
        """
        from airflow.sdk.execution_time.comms import CreateHITLDetailPayload, HITLDetailRequestResult
        from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

        shown = SUPERVISOR_COMMS.send(
            CreateHITLDetailPayload(
                ti_id=context["ti"].id,
                options=self.options,
                subject=self.subject,
                body=self.body,
                defaults=self.defaults,
                params=self.serialized_params,
                assigned_users=[],
            )
        )
        return isinstance(shown, HITLDetailRequestResult) and (shown.subject, shown.body) == (self.subject, self.body)

    @report_user_errors
    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Carry out the person's decision, or keep the champion if there is none."""
        from penguins.airflow import database
        from penguins.monitoring import alarms
        from penguins.promotion import approval

        answer = super().execute_complete(context, event)
        person = answer["responded_by_user"]
        approved = answer["chosen_options"] == [PROMOTE] and person is not None
        by = person["name"] if person else "nobody"
        comment = str(answer["params_input"].get("comment") or "") if person else "nobody answered in time"
        number, champion = (context["ti"].xcom_pull(key=key) for key in (QUESTION_XCOM, CHAMPION_XCOM))
        seen = champion if person else None
        model = self._contract.training.registered_model
        with database.connect() as connection:
            report = approval.answer(connection, model, number, approved, by, comment, seen)
            alarms.settle(connection, self._contract)
        if report.promoted:
            notices.tell_decision(self._contract, report.version, "promoted", report.reason, context)
        return asdict(report)

    def validate_params_input(self, params_input: Mapping[str, Any]) -> None:
        """Accept any comment, so that an answer is never refused because of its comment."""


class RegisterBest(Deciding):
    """Register the best candidate, and promote it if the gate allows it.

    A person decides with the Param `promotion` at `manual`, within `approval_hours`, or where the version in Production
    has another contract.
    """

    operator_extra_links = (CandidatesLink(), VersionLink())

    @report_user_errors
    def execute(self, context: Context) -> dict[str, Any]:
        """Register and judge; then decide, or ask."""
        from penguins.airflow import database, runs
        from penguins.monitoring import alarms
        from penguins.promotion import registration
        from penguins.training import estimators, grid

        params, run = context["params"], runs.current_run()
        data = database.read_dataset(self._contract, params, run)
        estimator = estimators.choose(params["estimator"], len(data.labels))
        with database.connect() as connection:
            cause = alarms.describe(alarms.of_run(connection, self._contract.name, run.id))
            report = registration.register_best(
                connection,
                data,
                run.id,
                ask=params["promotion"] == "manual",
                expected=grid.count(params["grid"], estimator),
                cause=cause,
            )
            alarms.settle(connection, self._contract)
        if cause or report.outcome != "refused":
            notices.tell_decision(self._contract, report.version, report.outcome, report.reason, context)
        if report.promoted is None:
            self._ask(context, report.version, params["approval_hours"])
            report = replace(report, reason=f"{ASK_ON_PAGE} {report.reason}")
        return asdict(report)


class JudgeShadow(Deciding):
    """Judge the version in the shadow by real traffic, once it has answered enough.

    A person decides, within `hours`, if the run that trained it was to ask one.
    """

    def __init__(self, hours: float = 72, **settings: Any) -> None:
        super().__init__(**settings)
        self._hours = hours

    @report_user_errors
    def execute(self, context: Context) -> dict[str, Any]:
        """Look at the shadow; then wait, decide or ask."""
        from penguins.airflow import database, runs
        from penguins.monitoring import shadowing

        with database.connect() as connection:
            report = shadowing.judge_shadow(connection, self._contract, f"judge_shadow of {runs.current_run().id}")
        notices.tell_decision(self._contract, report.version, report.outcome, report.reason, context)
        if report.outcome == "asking":
            self._ask(context, report.version, self._hours)
        return asdict(report)
