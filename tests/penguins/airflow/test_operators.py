"""The form beside the question. promotion/test_approval.py tests the answers, tests/e2e the UI."""

import pytest
from airflow.sdk.exceptions import ParamValidationError

from penguins.airflow.form import build_form
from penguins.airflow.operators import FORM, RegisterBest
from penguins.promotion.reasons import MAX_REASON_LENGTH
from tests.penguins import ours


@pytest.mark.parametrize("given", [{"comment": "x" * (MAX_REASON_LENGTH + 1)}, {"comment": 7}, {"remark": "x"}])
def test_a_comment_of_any_shape_does_not_stop_the_answer(given: dict[str, object]) -> None:
    RegisterBest(task_id="register_best", contract=ours.contract(), params=FORM).validate_params_input(given)


def test_the_form_takes_no_longer_comment_than_is_kept() -> None:
    FORM["comment"].resolve("x" * MAX_REASON_LENGTH)
    with pytest.raises(ParamValidationError):
        FORM["comment"].resolve("x" * (MAX_REASON_LENGTH + 1))


def test_a_question_cannot_wait_longer_than_a_year() -> None:
    hours = build_form(ours.contract().training)["approval_hours"]
    hours.resolve(8760)
    with pytest.raises(ParamValidationError):
        hours.resolve(1e9)
