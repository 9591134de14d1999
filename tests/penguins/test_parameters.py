"""The names of a run's parameters."""

import pytest

from penguins.errors import UserError
from penguins.parameters import check_names

KNOWN = ("source", "estimator", "cv_folds")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["sources"], "unknown parameter 'sources' (did you mean 'source'?). A run has source, estimator, cv_folds."),
        (["Source"], "unknown parameter 'Source' (did you mean 'source'?). A run has source, estimator, cv_folds."),
        (["source", "x"], "unknown parameter 'x'. A run has source, estimator, cv_folds."),
        (
            ["cv_fold", "\n"],
            "unknown parameter 'cv_fold' (did you mean 'cv_folds'?), '\\n'. A run has source, estimator, cv_folds.",
        ),
        (["x" * 10**6], f"unknown parameter '{'x' * 50}'. A run has source, estimator, cv_folds."),
    ],
)
def test_an_unknown_name_is_refused_with_the_one_most_like_it(given: list[str], message: str) -> None:
    with pytest.raises(UserError) as raised:
        check_names(given, KNOWN)
    assert str(raised.value) == message


@pytest.mark.parametrize("given", [(), KNOWN, ("cv_folds",)])
def test_known_names_pass(given: tuple[str, ...]) -> None:
    check_names(given, KNOWN)
