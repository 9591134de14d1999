"""Views of the prediction log by contract, and the search in it."""

import re
import textwrap
from datetime import timedelta
from uuid import uuid4

import pyarrow as pa
import pytest

from contract.rows import RowFormat
from contract.segments import END, LoggedContract, LoggedFeature, encode_block, encode_header
from local.settings import REPO
from penguins.errors import UserError
from penguins.monitoring import missing
from penguins.monitoring.predictions import (
    _BY_INDEX,
    Filter,
    _hours,
    _search,
    contracts,
    create_views,
    decode,
    latest,
    of_request,
)
from penguins.registry.prediction_views import create_view
from tests.shipper.segments import NOW, WINE, event, header, ids_at, lines, predictions, put, rows, truth

NEXT = LoggedContract(
    name="wine", target="cultivar", classes=("b", "c"), features=(LoggedFeature(name="version", type="number"),)
)
AWKWARD = LoggedContract(
    name="wine_awkward",
    target='it\'s "true"',
    classes=("no'; DROP TABLE x; --", "yes %s {}"),
    features=(
        LoggedFeature(name='%s "x"', type="string", categories=("{a,b}", '"', "'")),
        LoggedFeature(name="at", type="integer", categories=(3, 1)),
        LoggedFeature(name="truth", type="boolean"),
    ),
)


def columns(log, view):
    found = log.execute("SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0", [view])
    return [name for (name,) in found]


def test_a_view_has_the_rows_of_its_contract_decoded(log, folder, ship):
    name, ids = predictions(folder, 30)
    ship(name)
    ship(lines(folder, "feedback", [truth(prediction_id=ids[0], **{"class": label}) for label in ("a", "ü")]))
    ship(
        lines(
            folder, "feedback", [truth(prediction_id=ids[0], at=NOW + timedelta(1), received_at=NOW, **{"class": "b"})]
        )
    )
    create_views(log, "wine")
    written = RowFormat(header()).decode(rows(header(), ids))
    found = log.execute(
        """SELECT cultivar, alcohol, colour, cork, year, probability, truth, correct FROM wine_predictions
           ORDER BY row_index"""
    ).fetchall()
    assert len(found) == 30
    for row, (cultivar, alcohol, colour, cork, year, probability, *_) in zip(written, found, strict=True):
        values = row["features"]["values"]["value"].tolist()
        assert cultivar == WINE.classes[row["class"]]
        assert alcohol == pytest.approx(values[0]) or (alcohol is None and values[0] != values[0])
        assert year == pytest.approx(values[3]) or (year is None and values[3] != values[3])
        assert colour == ("red", "white", None)[int(values[1])]
        assert cork == (False, True, None)[int(values[2])]
        assert probability == pytest.approx(row["probabilities"]["values"]["value"].max())
    assert found[0][6:] == ("b", found[0][0] == "b")
    assert {row[6:] for row in found[1:]} == {(None, None)}


def test_truth_that_arrives_first_waits_for_its_prediction(log, folder, ship):
    name, ids = predictions(folder, 3)
    ship(lines(folder, "feedback", [truth(prediction_id=ids[1], row_index=1, **{"class": "ü"})]))
    create_view(log, bytes.fromhex(header().contract), WINE)
    assert log.execute("SELECT count(*) FROM wine_predictions").fetchone() == (0,)
    ship(name)
    found = log.execute("SELECT truth, correct, cultivar FROM wine_predictions ORDER BY row_index").fetchall()
    assert [said for said, *_ in found] == [None, "ü", None]
    assert [correct for _, correct, _ in found] == [None, found[1][2] == "ü", None]
    assert [row.truth for row in of_request(log, f"{ids[1]}/1", 1)] == ["ü"]


def test_the_queries_of_the_documentation_have_answers(log, folder, ship):
    name, ids = predictions(folder, 3)
    ship(name)
    orphan = truth(received_at=NOW - timedelta(hours=2))
    ship(lines(folder, "feedback", [truth(prediction_id=ids[0]), orphan]))
    ship(lines(folder, "events", [event(model="wine", event="refused", version="2", reason="unsigned")]))
    create_view(log, bytes.fromhex(header().contract), WINE)
    page = (REPO / "docs" / "explanation" / "prediction-log.md").read_text()
    block = page.partition("With `psql` or the notebook")[2].partition("\nGive a search")[0]
    queries = [each for each in textwrap.dedent(block.partition("\n\n")[2]).split(";\n") if each.strip()]
    answers = [
        log.execute(each.replace("penguins_rf", "wine").replace("penguins_predictions", "wine_predictions")).fetchall()
        for each in queries
    ]
    by_hour, by_day, right, without, done = answers
    assert sum(rows for *_, rows, _ in by_hour) == 3
    assert len(by_day) == 1
    assert [(version, number) for version, number, _ in right] == [("1", 1)]
    assert [said[0] for said in without] == [orphan.prediction_id]
    assert [what[1:] for what in done] == [("refused", "2", "unsigned")]


def test_a_changed_contract_gets_a_view_of_its_own_and_back_again(log):
    create_view(log, b"a" * 16, WINE)
    create_view(log, b"a" * 16, WINE)
    first = columns(log, "wine_predictions")
    create_view(log, b"b" * 16, NEXT)
    second = columns(log, "wine_predictions")
    assert second != first
    assert columns(log, "wine_predictions_" + "61" * 4) == first
    create_view(log, b"a" * 16, WINE)
    assert columns(log, "wine_predictions") == first
    assert columns(log, "wine_predictions_" + "62" * 4) == second


def test_a_view_from_before_gets_the_new_columns_and_keeps_who_uses_it(log, folder, ship, caplog):
    head = header(shadow="7")
    ids = ids_at(NOW, 3)
    name = put(folder, "predictions", encode_header(head) + encode_block(rows(head, ids, shadow=[0, 1, 2])) + END)
    create_view(log, bytes.fromhex(head.contract), WINE)
    now = columns(log, "wine_predictions")
    assert now[-1] == "shadow_version"
    before = log.execute("SELECT pg_get_viewdef('wine_predictions'::regclass)").fetchone()[0]
    (text,) = log.execute("SELECT obj_description('wine_predictions'::regclass)").fetchone()
    before = before.replace(",\n    shadow_version\n", "\n")
    for changed in (False, True):
        log.execute(f"DROP VIEW wine_predictions CASCADE; CREATE VIEW wine_predictions AS {before}")
        log.execute(f"COMMENT ON VIEW wine_predictions IS '{text}'; GRANT SELECT ON wine_predictions TO shipper")
        log.execute("CREATE VIEW wine_by_class AS SELECT cultivar, count(*) FROM wine_predictions GROUP BY 1")
        if changed:
            log.execute("ALTER VIEW wine_predictions RENAME COLUMN truth TO said")
        create_view(log, bytes.fromhex(head.contract), WINE)
        assert ("wine_predictions was changed" in caplog.text) == changed
        assert (columns(log, "wine_predictions") == now) != changed
        assert columns(log, "wine_by_class") == ["cultivar", "count"]
    create_view(log, b"b" * 16, NEXT)  # the one before is completed by its new name, too
    old = "wine_predictions_" + head.contract[:8]
    log.execute(f"DROP VIEW {old} CASCADE; CREATE VIEW {old} AS {before}; COMMENT ON VIEW {old} IS '{text}'")
    create_view(log, bytes.fromhex(head.contract), WINE, is_current=False)
    assert columns(log, old) == now
    ship(name)
    found = log.execute(f"SELECT shadow, shadow_version FROM {old} ORDER BY row_index").fetchall()  # noqa: S608
    assert found == [(label, "7") for label in WINE.classes]


def test_the_log_doesnt_say_which_contract_is_the_current_one(log, folder, ship):
    """One that was used before may be used again: the promotion makes its view."""
    ship(predictions(folder, 2, header(digest="a1" * 16))[0])
    create_view(log, b"\xa1" * 16, WINE)
    first = columns(log, "wine_predictions")
    ship(predictions(folder, 2, header(NEXT, digest="b2" * 16))[0])
    for _ in range(2):
        create_views(log, "wine")
        assert columns(log, "wine_predictions") == first
        assert "log_version" in columns(log, "wine_predictions_" + "b2" * 4)
    create_view(log, b"\xb2" * 16, NEXT)
    assert columns(log, "wine_predictions_" + "a1" * 4) == first


def test_no_column_of_the_log_takes_the_name_of_a_feature(log):
    names = ("at", "log_at", "log_log_at")
    features = tuple(LoggedFeature(name=name, type="number") for name in names)
    create_view(log, b"a" * 16, NEXT.model_copy(update={"features": features}))
    assert {*names, "log_log_log_at"} <= set(columns(log, "wine_predictions"))


def test_features_keep_their_names_and_values_whatever_they_are(log, folder, ship):
    head = header(AWKWARD)
    name, _ = predictions(folder, 40, head)
    ship(name)
    create_view(log, bytes.fromhex(head.contract), AWKWARD)
    assert {"log_at", "log_truth", "at", "truth", '%s "x"', 'it\'s "true"'} <= set(
        columns(log, "wine_awkward_predictions")
    )
    found = log.execute('SELECT DISTINCT "it\'s ""true""" FROM wine_awkward_predictions ORDER BY 1').fetchall()
    assert [value for (value,) in found] == sorted(AWKWARD.classes)
    found = log.execute('SELECT DISTINCT "%s ""x""" FROM wine_awkward_predictions').fetchall()
    assert {value for (value,) in found} == {"{a,b}", '"', "'", None}
    found = log.execute("SELECT DISTINCT at FROM wine_awkward_predictions").fetchall()
    assert {value for (value,) in found} == {3, 1, None}


def test_a_table_of_that_name_that_somebody_else_has_made_stays(log, caplog):
    log.execute("CREATE TABLE wine_predictions (mine int)")
    try:
        create_view(log, b"a" * 16, WINE)
        assert columns(log, "wine_predictions") == ["mine"]
        assert "wine_predictions isn't the pipeline's" in caplog.text
    finally:
        log.execute("DROP TABLE wine_predictions")


def test_the_latest_predictions_are_found_by_version_class_and_time(log, folder, ship):
    for hours, version in ((0, "2"), (1, "1"), (2, "1"), (30, "1")):
        head = header(version=version, created_at=NOW - timedelta(hours=hours))
        content = encode_header(head) + encode_block(rows(head, ids_at(head.created_at, 20), seed=hours)) + END
        ship(put(folder, "predictions", content, head.created_at))

    def search(limit=1000, **conditions):
        return latest(log, Filter("wine", **conditions), limit)

    assert len(search()) == 80
    assert len(search(limit=7)) == 7
    assert [row.prediction_id for row in search()] == sorted((row.prediction_id for row in search()), reverse=True)
    assert {row.version for row in search(version="1")} == {"1"}
    assert len(search(version="1")) == 60
    assert len(search(since=NOW - timedelta(hours=1, minutes=1))) == 40
    assert len(search(until=NOW - timedelta(minutes=1))) == 60
    assert len(search(limit=5, until=NOW - timedelta(minutes=1))) == 5
    found = search(class_name="ü")
    assert 0 < len(found) < 80
    assert {row.label for row in found} == {2}
    assert search(class_name="none of them") == search(version="9") == latest(log, Filter("other"), 5) == []
    known = contracts(log)[found[0].contract]
    assert known == WINE
    assert list(decode(known, [1.5, 1, 2, float("nan")]).items()) == [
        ("alcohol", "1.5"),
        ("colour", "white"),
        ("cork", ""),
        ("year", ""),
    ]


def test_the_hours_of_a_search_are_those_of_utc(log, folder, ship):
    """Also where the database's time zone is half an hour off, as in India."""
    hour = (NOW - timedelta(hours=3)).replace(minute=0, second=0, microsecond=0)
    ship(predictions(folder, 5, header(created_at=hour + timedelta(minutes=50)))[0])
    log.execute("SET TimeZone = 'Asia/Kolkata'")
    assert len(latest(log, Filter("wine", since=hour + timedelta(minutes=45)), 10)) == 5


def test_truth_that_was_sent_about_another_model_is_none(log, folder, ship):
    name, ids = predictions(folder, 2)
    ship(name)
    ship(lines(folder, "feedback", [truth(prediction_id=ids[0], model="other")]))
    create_view(log, bytes.fromhex(header().contract), WINE)
    assert log.execute("SELECT truth FROM wine_predictions WHERE truth IS NOT NULL").fetchall() == []
    assert of_request(log, str(ids[0]), 1)[0].truth is None
    sent = pa.table({"prediction_id": [str(ids[0])], "row_index": ["0"]})
    assert missing.look(log, "wine", sent).rows == 0
    assert missing.look(log, "other", sent).first == [f"{ids[0]}/0"]
    assert [each.id for each in missing.orphans(log, "other", NOW + timedelta(hours=1))] == [f"{ids[0]}/0"]


@pytest.mark.parametrize("class_name", [None, "a"])
@pytest.mark.parametrize("known", [["wine", "busy"], ["wine"], []])
def test_the_latest_of_a_model_are_found_among_those_of_a_busier_one(log, folder, ship, known, class_name):
    """Without a look at the other's rows, though they are of the same hours, and later.

    It doesn't depend on the rows that PostgreSQL had when it last counted them.
    """
    for model, count in (("wine", 2_000), ("busy", 20_000)):
        head = header(model=model)
        content = encode_header(head) + encode_block(rows(head, ids_at(head.created_at, count))) + END
        ship(put(folder, "predictions", content, head.created_at))
        if model in known:
            log.execute("ANALYZE log.predictions")
    wanted = Filter("wine", class_name=class_name)
    found = latest(log, wanted, 5)
    assert len(found) == 5
    assert class_name is None or {row.label for row in found} == {0}
    statement, values = _search(log, wanted, _hours(log, wanted, 5))
    with log.transaction():
        for each in _BY_INDEX:
            log.execute(each)
        plan = log.execute("EXPLAIN (ANALYZE) " + statement, [*values, 5]).fetchall()
    assert "Index Scan Backward using predictions_" in str(plan)
    passed_over = [int(number) for number in re.findall(r"Rows Removed by Filter: (\d+)", str(plan))]
    assert sum(passed_over) < 200  # of other classes


def test_one_request_is_found_by_its_id(log, folder, ship):
    request = uuid4()
    head = header(prediction_id=request)
    ship(put(folder, "predictions", encode_header(head) + encode_block(rows(head, [request] * 5)) + END))
    assert [row.row_index for row in of_request(log, str(request), 3)] == [0, 1, 2]
    assert [row.row_index for row in of_request(log, f"{request}/4", 3)] == [4]
    assert of_request(log, str(uuid4()), 3) == []
    for text in ("x", f"{request}/x", "'; DROP"):
        with pytest.raises(UserError, match="isn't the id of a prediction"):
            of_request(log, text, 3)
