# ruff: noqa: E501 - a line for each mistake
"""Contract files: the contract that is read, and a message with file and line for each mistake."""

import json
import time
from datetime import timedelta
from importlib import resources
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from contract import odcs
from contract.monitoring import Monitoring
from contract.odcs import ContractError, document, read, read_text
from contract.schema import Bounds, Column, DataContract, Reading
from contract.training import Training
from local.settings import REPO
from tests.contract.odcs.conftest import WINE, Spoil

FILES = [*(REPO / "contracts").glob("*.yaml"), *(REPO / "examples").rglob("*.yaml")]


def test_every_fact_is_read(wine: DataContract) -> None:
    name = 'od280/od315 "%" of 🍷'
    assert wine == DataContract(
        name="wine",
        columns=(
            Column(name="cultivar", type="string", role="target", categories=("Barolo", "Grignolino")),
            Column(
                name=name,
                type="number",
                required=False,
                bounds=Bounds(minimum=0, maximum=9),
                unit="g",
                examples=(1.5,),
            ),
            Column(name="region", type="integer", required=False, categories=(1, -2)),
            Column(name="organic", type="boolean"),
            Column(name="bottled", type="date", role="time", required=False),
        ),
        reading=Reading(null_values=("", "?")),
        training=Training(registered_model="wine", experiment="wine", min_accuracy=0.5),
    )


def test_all_keys_of_the_parts_are_read() -> None:
    more = """\
      metric: log_loss
      estimator: gradient_boosting
      grid: {max_depth: [1, null], n_estimators: [5]}
      folds: 3
      holdoutShare: 0.5
      maxRejectedShare: 0
      maxPValue: 0.05
      maxRecallDrop: 1
      shadowPredictions: 500
      shadowDays: 0.5
      schemaChange: refuse
      schedule: "@daily"
      source: s3://bucket/wine.csv
"""
    text = WINE.replace("      minAccuracy: 0.5\n", f"      minAccuracy: 0.5\n{more}")
    text += '      caseSensitive: false\n      extraColumns: refuse\n      separator: "\\t"\n      decimalMark: ","\n'
    text += """\
  - property: monitoring
    value:
      window: 15min
      accuracyFloor: 0.8
      newTruth: 100
      cooldown: 12 h
      retrain: false
      useProductionRows: true
"""
    found = read_text(text.encode(), "wine.yaml", "wine")
    assert found.training == Training(
        registered_model="wine",
        experiment="wine",
        min_accuracy=0.5,
        metric="log_loss",
        estimator="gradient_boosting",
        grid={"max_depth": (1, None), "n_estimators": (5,)},
        folds=3,
        holdout_share=0.5,
        max_rejected_share=0,
        max_p_value=0.05,
        max_recall_drop=1,
        shadow_predictions=500,
        shadow_days=0.5,
        schema_change="refuse",
        schedule="@daily",
        source="s3://bucket/wine.csv",
    )
    assert found.reading == Reading(
        null_values=("", "?"), case_sensitive=False, extra_columns="refuse", separator="\t", decimal_mark=","
    )
    assert found.monitoring == Monitoring(
        window="15min", accuracy_floor=0.8, new_truth=100, cooldown="12 h", retrain=False, use_production_rows=True
    )
    assert found.monitoring.window_length == timedelta(minutes=15)
    assert found.monitoring.cooldown_length == timedelta(hours=12)


def test_titles_and_descriptions_are_read() -> None:
    text = WINE.replace("  - name: wine\n", "  - name: wine\n    businessName: Wines\n    description: From Piedmont\n")
    text = text.replace("      - name: region\n", "      - name: region\n        businessName: Region\n")
    found = read_text(text.encode(), "wine.yaml", "wine")
    assert (found.title, found.description, found.columns[2].title) == ("Wines", "From Piedmont", "Region")


def test_limits_and_decimals_are_read() -> None:
    text = WINE.replace(
        "          minimum: 0\n          maximum: 9\n", "          exclusiveMinimum: 0\n          exclusiveMaximum: 9\n"
    )
    text = text.replace(
        UNIT,
        UNIT
        + "".join(
            f"          - property: {name}\n            value: {value}\n"
            for name, value in (("decimals", 2), ("plausibleMinimum", 1), ("plausibleMaximum", 5))
        ),
    )
    column = read_text(text.encode(), "wine.yaml", "wine").columns[1]
    assert column.bounds == Bounds(exclusive_minimum=0, exclusive_maximum=9)
    assert (column.plausible, column.decimals) == (Bounds(minimum=1, maximum=5), 2)


def test_the_log_s_share_and_columns_are_read(wine: DataContract) -> None:
    assert wine.training.log_fraction == 1
    assert all(column.logged for column in wine.columns)
    text = WINE.replace(UNIT, UNIT + "          - property: logged\n            value: false\n")
    text = text.replace("      minAccuracy: 0.5\n", "      minAccuracy: 0.5\n      logFraction: 0.25\n")
    found = read_text(text.encode(), "wine.yaml", "wine")
    assert found.training.log_fraction == 0.25
    assert [column.name for column in found.columns if not column.logged] == ['od280/od315 "%" of 🍷']


def test_another_role_is_all_that_leaves_a_column_out() -> None:
    ignored = "        customProperties:\n          - {property: role, value: ignored}\n"
    text = WINE.replace("      - name: organic\n", f"{ignored}      - name: organic\n")
    found = read_text(text.encode(), "wine.yaml", "wine").columns[2]
    assert (found.role, found.categories) == ("ignored", None)


UNIT = "          - property: unit\n            value: g\n"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        # keys
        (
            "kind: DataContract\n",
            "kind: DataContract\nservers: []\n",
            "3: servers: unknown key 'servers'. Known are apiV",
        ),
        ("version: 1.0.0\n", "versionx: 1.0.0\n", "5: versionx: unknown key 'versionx': did you mean version?"),
        ("version: 1.0.0\n", "", "1: version is missing: add it"),
        (
            "        required: true\n",
            "        requiredd: true\n",
            "11: column 'cultivar', requiredd: unknown key 'requiredd': did you mean required?",
        ),
        (
            "        required: true\n",
            "        minimum: 3\n",
            "11: column 'cultivar', minimum: minimum doesn't belong here: write it under schema.properties.logicalTypeOptions",
        ),
        (
            "        required: true\n",
            "        role: target\n",
            "11: column 'cultivar', role: role doesn't belong here: write it under schema.properties.customProperties, as property and value",
        ),
        (
            "        required: true\n",
            "        primaryKey: true\n",
            "11: column 'cultivar', primaryKey: primaryKey isn't read: delete it, and give the column the customProperty `role`",
        ),
        (
            "          minimum: 0\n",
            "          minimumx: 0\n",
            "21: column 'od280/od315 \"%\" of 🍷', logicalTypeOptions minimumx: unknown key 'minimumx': did you mean minimum?",
        ),
        (
            "property: unit",
            "property: unti",
            "25: column 'od280/od315 \"%\" of 🍷', customProperties: unknown property 'unti': did you mean unit?",
        ),
        ("property: training", "property: trainingg", "unknown property 'trainingg': did you mean training?"),
        (
            "      minAccuracy: 0.5\n",
            "      min_accuracy: 0.5\n",
            "training, min_accuracy: unknown key 'min_accuracy': did you mean minAccuracy?",
        ),
        ("      minAccuracy: 0.5\n", "", "training: minAccuracy is missing: add it"),
        ("      experiment: wine\n", "", "training: experiment is missing: add it"),
        (
            "          - property: role\n",
            "          - name: role\n",
            "a custom property has two keys, property and value",
        ),
        # values
        (
            "apiVersion: v3.2.0",
            "apiVersion: v3.1.0",
            "1: apiVersion: is 'v3.1.0': did you mean v3.2.0? Write one of v3.2.0",
        ),
        ("version: 1.0.0", "version: 1.0", "5: version: is 1.0: write a text, in quotes"),
        ("version: 1.0.0", "version:", "5: version: is empty: give it a value, or delete the line"),
        ("name: wine\nversion", "name: Wine!\nversion", "4: name: is 'Wine!': a contract's name has up to 41"),
        (
            "logicalType: number",
            "logicalType: float",
            "19: column 'od280/od315 \"%\" of 🍷', logicalType: is 'float'. Write one of number, integer, boolean, string, date, timestamp",
        ),
        ("logicalType: boolean", "logicalType: array", "logicalType: is 'array'"),
        (
            "        required: true\n",
            "        required: yes\n",
            "11: column 'cultivar', required: is 'yes': write true or false",
        ),
        ("          minimum: 0\n", "          minimum: '0'\n", "minimum: is '0': write a number"),
        ("          minimum: 0\n", "          minimum: -.inf\n", "minimum: is -inf: write a finite number"),
        ("          minimum: 0\n", "          minimum: 1e999\n", "minimum: is inf: write a finite number"),
        ("        examples: [1.5]\n", "        examples: 1.5\n", "examples: is 1.5: write a list"),
        (
            "value: target",
            "value: label",
            "customProperties: is 'label'. Write one of feature, target, id, time, ignored",
        ),
        ("minAccuracy: 0.5", "minAccuracy: 90", "training, minAccuracy: is 90: it should be less than or equal to 1"),
        (
            "registeredModel: wine",
            "registeredModel: wine/red",
            "training, registeredModel: is 'wine/red': a model's name in MLflow",
        ),
        ("registeredModel: wine", "registeredModel: 'a:b'", "training, registeredModel: is 'a:b': a model's name"),
        ("registeredModel: wine", "registeredModel: 'wine '", "training, registeredModel: is 'wine ': a model's name"),
        (
            "      experiment: wine\n",
            f"      experiment: wine\n      schedule: '{'0,' * 150}0 * * * *'\n",
            "it should have at most 300 characters",
        ),
        (
            "  - name: wine\n",
            f"  - name: wine\n    businessName: {'W' * 201}\n",
            "it should have at most 200 characters",
        ),
        (
            "      - name: organic\n        logicalType: boolean\n",
            "      - name: organic\n        logicalType: integer\n"
            "        logicalTypeOptions: {minimum: 0.1, exclusiveMaximum: 1}\n",
            "logicalTypeOptions: no whole number is within these limits: correct one",
        ),
        (
            "      - name: organic\n",
            "".join(f"      - {{name: c{at}, logicalType: number}}\n" for at in range(998)) + "      - name: organic\n",
            "1,001 features, and a model has at most 1,000: give the others the role ignored",
        ),
        ("experiment: wine", 'experiment: "it\'s"', "training, experiment: is \"it's\": an experiment's name"),
        (
            "      experiment: wine",
            "      experiment: wine\n      estimator: forest",
            "training, estimator: is 'forest': did you mean random_forest?",
        ),
        (
            "      experiment: wine",
            "      experiment: wine\n      grid: {max_depth: [1]}",
            "training, grid: a grid is of one estimator",
        ),
        (
            "      experiment: wine",
            "      experiment: wine\n      logFraction: 0\n      shadowPredictions: 5",
            "training, shadowPredictions: the answers in the shadow are in the log, and logFraction is 0",
        ),
        (
            "      experiment: wine",
            "      experiment: wine\n      estimator: random_forest\n      grid: {max_depth: 1}",
            "training, grid max_depth: is 1: write a list",
        ),
        (
            "      experiment: wine",
            "      experiment: wine\n      folds: 1",
            "training, folds: is 1: it should be greater than or equal to 2",
        ),
        ("      nullValues", "      separator: ';;'\n      nullValues", "reading, separator: is ';;'"),
        (
            "      nullValues",
            "      separator: ','\n      decimalMark: ','\n      nullValues",
            "reading, separator: ',' is also the decimal mark",
        ),
        # names
        (
            "name: cultivar",
            "name: source_row",
            "9: column 'source_row', name: 'source_row' is a column that each table has",
        ),
        ("name: cultivar", "name: xmin", "name: 'xmin' is a column that each table has"),
        ("name: cultivar", f"name: {'é' * 32}", "has 64 bytes, and PostgreSQL takes 63"),
        ("name: cultivar", 'name: "a\\tb"', "name: 'a\\tb' can't be the name of a column"),
        ("name: cultivar", "name: ' '", "name: ' ' can't be the name of a column"),
        ("name: cultivar", "name: 5", "name: is 5: write a text, in quotes"),
        ("name: region", "name: organic", "column 'organic', name: the column 'organic' is there twice"),
        (
            "name: region",
            "name: cultivar",
            "column 'cultivar', name: 'cultivar' is the target and a feature: delete the feature",
        ),
        ("  - name: wine", "  - name: red", "7: schema name: is 'red': write wine, as the contract's name"),
        ("name: wine\nversion", "name: red\nversion", "schema name: is 'wine': write red"),
        # roles and types
        (
            "            value: target\n",
            "            value: ignored\n",
            "8: schema properties: no column is the target",
        ),
        ("            value: time\n", "            value: target\n", "a date can't be the target"),
        (
            "            value: time\n",
            "            value: feature\n",
            "column 'bottled', logicalType: a date can't be a feature yet",
        ),
        (
            "        logicalType: string\n",
            "        logicalType: number\n",
            "column 'cultivar', logicalType: the target is a number. Regression isn't there yet",
        ),
        (
            "        required: true\n        enum",
            "        enum",
            "column 'cultivar': the target needs `required: true`",
        ),
        # enums
        ("          - value: Grignolino\n", "", "column 'cultivar', enum: 1 values, and at least 2 are needed"),
        ("value: Grignolino", "value: Barolo", "enum entry 2: the class 'Barolo' is there twice"),
        ("value: Grignolino", "value: 5", "5 isn't a text: put it in quotes"),
        ("value: Grignolino", "value: true", "true isn't a text: put it in quotes"),
        ("value: Grignolino", "value: 'Grignolino '", "has blanks at its ends"),
        ("value: Grignolino", "value: '?'", "'?' also means a missing value"),
        ("value: Grignolino", 'value: "a\\nb"', "has a line break"),
        ("value: Grignolino", "value:", "is empty: give it a value"),
        ("          - value: -2\n", "          - value: 1\n", "the category 1 is there twice"),
        ("          - value: -2\n", "          - value: 1.5\n", "1.5 isn't a whole number"),
        ("          - value: -2\n", "          - value: '1'\n", "'1' isn't a whole number"),
        ("          - value: -2\n", f"          - value: {2**63}\n", "is larger than PostgreSQL's bigint"),
        (
            "        logicalType: integer\n",
            "        logicalType: number\n",
            "column 'region', enum: a number has no enum",
        ),
        ("        logicalType: integer\n", "        logicalType: string\n", "1 isn't a text: put it in quotes"),
        # limits
        (
            "          minimum: 0\n",
            "          minimum: 10\n",
            "20: column 'od280/od315 \"%\" of 🍷', logicalTypeOptions: the minimum 10 is above the maximum 9: swap them",
        ),
        ("          minimum: 0\n", "          exclusiveMinimum: 9\n", "no number is both above and below 9"),
        (
            "property: unit\n            value: g\n",
            "property: plausibleMinimum\n            value: 5\n          - property: plausibleMaximum\n            value: 4\n",
            "customProperties: the minimum 5 is above the maximum 4",
        ),
        (
            "        logicalType: boolean\n",
            "        logicalType: boolean\n        logicalTypeOptions: {minimum: 0}\n",
            "column 'organic', logicalTypeOptions: limits are for numbers",
        ),
        ("        examples: [1.5]", "        examples: [.nan]", "examples entry 1: is nan: write a finite number"),
        (
            "      experiment: wine\n",
            "      experiment: wine\n      estimator: random_forest\n      grid: {max_depth: [.inf]}\n",
            "training, grid max_depth entry 1: is inf: write a finite number",
        ),
        (
            'nullValues: ["", "?"]',
            'nullValues: ["", "-2"]',
            "31: column 'region', enum entry 2: -2 also means a missing value: delete it here, or in nullValues",
        ),
        ("        examples: [1.5]", "        examples: [15]", "examples entry 1: 15 breaks its own maximum"),
        ("        examples: [1.5]", "        examples: [a]", "examples entry 1: 'a' isn't a number"),
        (
            "          - property: role\n            value: time\n",
            "          - {property: role, value: time}\n          - {property: logged, value: false}\n",
            "customProperties: the log has features only",
        ),
        (UNIT, UNIT + UNIT, "customProperties: unit is there 2 times"),
    ],
)
def test_a_mistake_is_named_with_its_line(spoil: Spoil, old: str, new: str, message: str) -> None:
    messages = spoil((old, new))
    assert all(line.startswith("wine.yaml:") for line in messages)
    assert any(message in line for line in messages), messages


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("window: 1 fortnight", "window: is '1 fortnight': a time is a number with s, min, h or d behind it"),
        ("window: 9s", "window: is '9s': it is shorter than 10 s, the shortest window"),
        ("cooldown: 0d", "cooldown: is '0d': a time is a number"),
        ("windows: 1h", "unknown key 'windows': did you mean window?"),
        ("accuracyFloor: 1.5", "accuracyFloor: is 1.5: it should be less than 1"),
        ("retrain: maybe", "retrain: is 'maybe': write true or false"),
    ],
)
def test_a_mistake_in_the_monitoring_is_named(line: str, message: str) -> None:
    text = f"{WINE}  - property: monitoring\n    value:\n      {line}\n"
    with pytest.raises(ContractError) as refused:
        read_text(text.encode(), "wine.yaml", "wine")
    assert message in str(refused.value)


def test_all_mistakes_are_given_at_once_in_the_order_of_the_lines(spoil: Spoil) -> None:
    assert spoil(
        ("value: Grignolino", "value: Barolo"),
        ("logicalType: boolean", "logicalType: bool"),
        ("          minimum: 0", "          minimum: 10"),
        ("minAccuracy: 0.5", "minAccuracy: 5"),
    ) == [
        "wine.yaml:14: column 'cultivar', enum entry 2: the class 'Barolo' is there twice: delete one of them",
        "wine.yaml:20: column 'od280/od315 \"%\" of 🍷', logicalTypeOptions: the minimum 10 is above the maximum 9: swap them",
        "wine.yaml:33: column 'organic', logicalType: is 'bool': did you mean boolean? Write one of number, integer, "
        "boolean, string, date, timestamp",
        "wine.yaml:45: training, minAccuracy: is 5: it should be less than or equal to 1",
    ]


def test_a_message_has_nothing_that_a_terminal_obeys_or_a_database_refuses(spoil: Spoil) -> None:
    lines = spoil(("version: 1.0.0\n", 'version: 1.0.0\n"a\\e[2J\\0b": {"\\u202e": 1}\n'))
    assert lines[-1] == r"wine.yaml:6: a\x1b[2J\x00b: unknown key 'a\x1b[2J\x00b'. Known are " + (
        "apiVersion, kind, id, name, version, status, description, schema, customProperties"
    )
    assert all(map(str.isprintable, lines))


def test_of_many_mistakes_the_first_are_given_within_seconds(spoil: Spoil) -> None:
    texts = ", ".join(f"n{number}" for number in range(50_000))
    categories = "".join(f"          - value: a{number}\n" for number in range(10_000))
    started = time.process_time()
    lines = spoil(('nullValues: ["", "?"]', f"nullValues: [{texts}]"), ("          - value: Barolo\n", categories))
    lines = spoil(("version: 1.0.0\n", "version: 1.0.0\n" + "".join(f"k{number}: 1\n" for number in range(5000))))
    assert time.process_time() - started < 5
    assert len(lines) == 51
    assert lines[-1] == "wine.yaml: and 4,950 more mistakes"


def test_a_file_has_one_table(spoil: Spoil) -> None:
    assert (
        "schema entry 2: 2 tables"
        in spoil(
            (
                "customProperties:\n  - property: training",
                "  - {name: b, properties: []}\ncustomProperties:\n  - property: training",
            )
        )[0]
    )
    first, last = WINE.index("schema:"), WINE.index("customProperties:\n  - property: training")
    assert "schema: 0 tables" in spoil((WINE[first:last], "schema: []\n"))[0]


def test_two_targets_and_no_feature_are_refused(spoil: Spoil) -> None:
    role = "        customProperties: [{property: role, value: target}]\n"
    assert (
        "column 'organic': a second target beside 'cultivar'"
        in spoil(("        logicalType: boolean\n", f"        logicalType: boolean\n{role}"))[0]
    )
    first = WINE.index("      - name: od280")
    last = WINE.index("      - name: bottled")
    assert "no column is a feature" in spoil((WINE[first:last], ""))[0]


def test_a_broken_target_is_not_called_missing(spoil: Spoil) -> None:
    assert not any(
        "no column is the target" in line for line in spoil(("        required: true\n", "        requiredd: 1\n"))
    )


def test_a_name_other_than_the_file_s_is_refused() -> None:
    with pytest.raises(ContractError, match=r"^red.yaml:4: the name 'wine' isn't that of the file"):
        read_text(WINE.encode(), "red.yaml", "red")


def test_case_that_does_not_count_makes_two_categories_one(spoil: Spoil) -> None:
    reading = ("      nullValues", "      caseSensitive: false\n      nullValues")
    assert "'barolo' and 'Barolo' are the same" in spoil(reading, ("value: Grignolino", "value: barolo"))[0]


@given(st.integers(0, len(WINE)), st.text(max_size=8), st.integers(0, 30))
@settings(max_examples=100, deadline=None)
def test_any_damage_gives_a_contract_or_lines_with_messages(at: int, inserted: str, deleted: int) -> None:
    text = WINE[:at] + inserted + WINE[at + deleted :]
    try:
        found = read_text(text.encode("utf-8", "surrogatepass"), "wine.yaml", "wine")
    except ContractError as error:
        lines = str(error).split("\n")
    else:
        lines = [f"{found.name}.yaml:"]
    assert all(line.startswith("wine.yaml:") for line in lines)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_our_files_are_contracts_of_the_standard_and_of_the_schema_for_editors(path: Path) -> None:
    data = yaml.safe_load(path.read_text())
    jsonschema.validate(data, json.loads((resources.files("open_data_contract_standard") / "schema.json").read_text()))
    jsonschema.validate(data, json.loads((REPO / "contracts/schema.json").read_text()))
    assert read(path).name == path.stem


def test_the_schema_for_editors_is_current() -> None:
    current = json.dumps(odcs.json_schema(), indent=2) + "\n"
    assert (REPO / "contracts/schema.json").read_text() == current, "python -m penguins.contracts schema writes it"


def test_the_schema_for_editors_finds_an_unknown_key() -> None:
    data = yaml.safe_load(WINE) | {"servers": []}
    with pytest.raises(jsonschema.ValidationError, match="servers"):
        jsonschema.validate(data, odcs.json_schema())


def test_every_key_is_documented() -> None:
    page = (REPO / "docs/reference/contract-file.md").read_text()
    for place, part in document.PARTS.items():
        for key, description in document.keys(part).items():
            assert f"| `{key}` | {description} |" in page, f"{'.'.join(place)}: | `{key}` | {description} |"
    for names in document.CUSTOM.values():
        assert not [name for name in names if f"`{name}`" not in page]
