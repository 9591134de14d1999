"""Compare the version in the shadow with the champion by what both answered to the same requests."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from psycopg import Connection
from scipy.stats import binomtest

from penguins.monitoring import predictions, sequential

_SHADOWED: Final = """rows.model = %(model)s AND rows.version = %(champion)s AND rows.shadow_version = %(shadow)s
    AND rows.at >= %(since)s"""

_ANSWERS: Final = f"""SELECT contract, class, shadow, count(*) FROM log.predictions AS rows
    WHERE {_SHADOWED} GROUP BY 1, 2, 3"""  # noqa: S608 (constants)

# The ids of requests begin with their time: so less of the truth has to be sorted.
_KNOWN: Final = f"""SELECT rows.contract, rows.class, rows.shadow, said.class, count(*)
    FROM log.predictions AS rows JOIN log.truth AS said USING (prediction_id, row_index)
    WHERE {_SHADOWED} AND prediction_id >= %(first)s AND said.model = %(model)s GROUP BY 1, 2, 3, 4"""  # noqa: S608

_EXPECTED: Final = "SELECT EXISTS (SELECT FROM log.feedback WHERE model = %s AND prediction_id >= %s)"

_CONFIDENCE: Final = 0.95


@dataclass
class Traffic:
    """Answers of both versions to the same rows.

    Attributes:
        answers: number of rows by the classes of the champion and of the version in the shadow.
        right, champion_right: rows of known class that each has right.
        gained, lost: rows that only the version in the shadow, or only the champion, has right.
    """

    answers: Counter[tuple[str, str]] = field(default_factory=Counter)
    labelled: int = 0
    right: int = 0
    champion_right: int = 0
    gained: int = 0
    lost: int = 0

    @property
    def rows(self) -> int:
        """Return the number of rows."""
        return self.answers.total()

    @property
    def agreed(self) -> int:
        """Return the number of rows with the same class."""
        return sum(count for (theirs, ours), count in self.answers.items() if theirs == ours)

    @property
    def test(self) -> sequential.PairedTest:
        """Return the test of the rows of known class, which stays valid however often one looks."""
        return sequential.compare(self.gained, self.lost)

    def numbers(self) -> dict[str, Any]:
        """Return what is kept with a decision, as `penguins.promotion.shadow.table` shows it."""
        answers: dict[str, dict[str, int]] = {}
        for (theirs, ours), count in sorted(self.answers.items()):
            answers.setdefault(theirs, {})[ours] = count
        names = ("rows", "agreed", "labelled", "right", "champion_right", "gained", "lost")
        return {"answers": answers, "p": self.test.p, **{name: getattr(self, name) for name in names}}


def read_traffic(connection: Connection[Any], model: str, champion: str, shadow: str, since: datetime) -> Traffic:
    """Read what the two versions have answered since a time, and what is known of it by now."""
    values = {"model": model, "champion": champion, "shadow": shadow, "since": since}
    values["first"] = predictions.first_id(since - predictions.LONGEST_REQUEST)
    classes = {digest: known.classes for digest, known in predictions.contracts(connection).items()}
    found = Traffic()
    for digest, theirs, ours, count in connection.execute(_ANSWERS, values):
        found.answers[classes[digest][theirs], classes[digest][ours]] += count
    for digest, theirs, ours, true, count in connection.execute(_KNOWN, values):
        champion_right, right = (classes[digest][label] == true for label in (theirs, ours))
        found.labelled += count
        found.champion_right += count * champion_right
        found.right += count * right
        found.gained += count * (right and not champion_right)
        found.lost += count * (champion_right and not right)
    return found


def expects_truth(connection: Connection[Any], model: str, since: datetime) -> bool:
    """Tell whether somebody tells the truth about answers since a time, so that more of it is to be expected."""
    row = connection.execute(_EXPECTED, [model, predictions.first_id(since)]).fetchone()
    return bool(row and row[0])


def differs_too_often(found: Traffic, gate: Mapping[str, Any]) -> float | None:
    """Return the share of rows on which the two may differ, if they differ on surely more of them; else None.

    Where they differ one of them is wrong at least. So if both are as often wrong here as on the hold-out, they don't
    differ more often than the two are wrong there, taken together. All bounds are exact (C. J. Clopper, E. S. Pearson,
    Biometrika 26, 1934).

    Args:
        gate: the numbers of the gate's verdict.
    """
    if "champion_accuracy" not in gate or not found.rows:
        return None
    rows = gate["rows"]
    wrong = [round((1 - gate[name]) * rows) for name in ("accuracy", "champion_accuracy")]
    most = float(sum(binomtest(each, rows).proportion_ci(_CONFIDENCE).high for each in wrong))
    least = binomtest(found.rows - found.agreed, found.rows).proportion_ci(_CONFIDENCE).low
    return most if least > most else None
