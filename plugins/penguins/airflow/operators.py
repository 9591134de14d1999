"""register_best as Airflow runs it: by itself or, on request, with a person who decides in Airflow's UI."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from airflow.configuration import conf
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Context, Param

from penguins.airflow.links import CandidatesLink, VersionLink
from penguins.airflow.task_errors import plainly
from penguins.promotion.reasons import LONGEST

PROMOTE: Final = "Promote"
KEEP: Final = "Keep the champion"
# The XCom with the version that the person is asked about; kept while the task waits.
ASKED: Final = "asked"
# What the person may fill in beside the decision: the Params of the task.
FORM: Final = {
    "comment": Param(
        "", type=["string", "null"], maxLength=LONGEST, title="Comment", description="Goes into the audit trail."
    )
}


class RegisterBest(HITLOperator):
    """Register the best candidate, and promote it if it deserves it.

    With the Param `promotion` at `manual` it waits for a person in the state `awaiting_input`, which takes no
    worker. Nobody's answer within `approval_hours` keeps the champion.
    """

    operator_extra_links = (CandidatesLink(), VersionLink())

    def __init__(self, **settings: Any) -> None:
        super().__init__(
            subject="Promote the challenger?",
            options=[PROMOTE, KEEP],
            defaults=KEEP,
            response_timeout=timedelta(hours=1),  # execute() sets that of the run
            **settings,
        )

    @plainly
    def execute(self, context: Context) -> dict[str, Any]:
        """Register and judge; then decide, or ask."""
        from penguins.airflow import database
        from penguins.promotion import registration

        params, run = context["params"], context["dag_run"].run_id
        data = database.read(params)
        with database.connect() as connection:
            report = registration.register_best(connection, data, run, ask=params["promotion"] == "manual")
        if report.promoted is None:
            context["ti"].xcom_push(ASKED, report.version)
            self.subject, self.body = question(report.version)
            self.response_timeout = timedelta(hours=params["approval_hours"])
            super().execute(context)
        return asdict(report)

    @plainly
    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Do as the person said, or nobody did."""
        from penguins.airflow import database
        from penguins.promotion import registration

        answer = super().execute_complete(context, event)
        person = answer["responded_by_user"]
        approved = answer["chosen_options"] == [PROMOTE] and person is not None
        by = person["name"] if person else "nobody"
        comment = str(answer["params_input"].get("comment") or "") if person else "nobody answered in time"
        number = context["ti"].xcom_pull(key=ASKED)
        with database.connect() as connection:
            return asdict(registration.answer(connection, number, approved, by, comment))

    def validate_params_input(self, params_input: Mapping[str, Any]) -> None:
        """Take the comment as it is: a person who has decided isn't asked again for its sake."""


def question(number: str) -> tuple[str, str]:
    """What the person is asked and shown about a version: a headline, and a text in Markdown."""
    from penguins.promotion import decisions, gate
    from penguins.registry import model_versions

    version = model_versions.version(number)
    kept = json.loads(version.tags[decisions.GATE])
    verdict = gate.Verdict(kept["promote"], kept["reason"], kept["numbers"])
    advice = "promote" if verdict.promote else "keep the champion"
    both = [shown for shown in (kept["champion"], number) if shown]
    base = urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")
    pictures = [
        f"Version {each}:\n\n![true against predicted species]({base}/penguins/confusion/{each})" for each in both
    ]
    subject = f"Put {version.name} version {number} in Production, in place of " + (
        f"version {kept['champion']}?" if kept["champion"] else "nothing?"
    )
    table = gate.table(verdict, number)
    return subject, "\n\n".join([f"The gate says: **{advice}**: {verdict.reason}.", table, *pictures])
