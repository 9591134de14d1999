"""The reference of a version: what is in it, and files that aren't one."""

import json
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest

from penguins.registry.reference import LEVELS, MAGIC, BadReferenceError, Reference, decode, encode
from penguins.registry.references import build_reference
from penguins.training.columns import Columns
from penguins.training.grid import Candidate
from tests.penguins.registry.references import reference_of
from tests.penguins.training.tables import MIXED, NUMBERS, made_up


@pytest.fixture(scope="module")
def reference() -> Reference:
    return reference_of(made_up(MIXED, rows=300))


@pytest.fixture(scope="module")
def content(reference: Reference) -> bytes:
    return encode(reference)


def test_it_describes_the_training_rows() -> None:
    data = made_up(MIXED, rows=3000)
    found = reference_of(data)
    rows, summary = data.seen(data.train).to_numpy(), found.summary
    assert (summary.trained_on, summary.rows, summary.scored) == (2400, 2000, 2000)
    assert summary.class_counts == np.bincount(data.labels[data.train]).tolist()
    number, _, island, _, adult, _ = summary.features
    assert number.missing == pytest.approx(np.isnan(rows[:, 0]).mean())
    assert number.quantiles == pytest.approx(np.nanquantile(rows[:, 0], LEVELS))
    assert (island.kind, adult.kind) == ("category", "boolean")
    assert island.counts == np.bincount(rows[:, 2].astype(int), minlength=4).tolist()
    assert adult.missing == pytest.approx((rows[:, 4] == 2).mean())
    known = {row.tobytes() for row in rows}
    assert {row.tobytes() for row in found.sample} <= known
    assert not np.array_equal(found.sample[:200], rows[:200], equal_nan=True)  # in random order


def test_answers_are_of_a_model_that_has_not_seen_the_row() -> None:
    """One that learns by heart is right about each row that it has seen."""
    data = made_up(NUMBERS, rows=400)
    random = np.random.default_rng(0)
    noise = replace(data, labels=random.permutation(data.labels))
    found = reference_of(noise, n_estimators=5, max_depth=None, bootstrap=False)
    assert found.summary.scored == 400
    right = found.probabilities.argmax(axis=1) == found.labels
    assert right.mean() < 0.5
    assert len(found.labels) == len(found.probabilities)


def test_a_large_hold_out_needs_no_other_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    data = made_up(NUMBERS, rows=10_000)
    model = Candidate({"n_estimators": 2}).model(Columns.of(data.contract.features), random_state=0)
    model.fit(data.seen(data.train).astype(float), data.labels[data.train])
    monkeypatch.setattr("penguins.registry.references.cross_val_predict", None)
    assert build_reference(model, data).summary.scored == 2000


def test_a_class_with_one_training_row_leaves_the_hold_out() -> None:
    data = made_up(NUMBERS, rows=100)
    labels = np.where(data.labels == 2, 1, data.labels)
    labels[[1, 5]] = 2  # one to learn from, one held out
    found = reference_of(replace(data, labels=labels))
    assert found.summary.scored == len(data.holdout)


def test_it_is_read_as_it_was_written(reference: Reference, content: bytes) -> None:
    found = decode(content)
    assert found.summary == reference.summary
    for name in ("sample", "probabilities", "labels"):
        assert np.array_equal(getattr(found, name), getattr(reference, name), equal_nan=name == "sample")
    assert encode(found) == content


def edited(content: bytes, edit: Callable[[dict], object]) -> bytes:
    """Return the file with another summary."""
    start = len(MAGIC) + 4
    (length,) = struct.unpack_from(">I", content, len(MAGIC))
    summary = json.loads(content[start : start + length])
    edit(summary)
    text = json.dumps(summary).encode()
    return MAGIC + struct.pack(">I", len(text)) + text + content[start + length :]


def set_array(content: bytes, place: int, value: float) -> bytes:
    """Return the file with another value in the sample."""
    (length,) = struct.unpack_from(">I", content, len(MAGIC))
    start = len(MAGIC) + 4 + length + 4 * place
    return content[:start] + struct.pack("<f", value) + content[start + 4 :]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda _: b"", "has 0 bytes"),
        (lambda content: b"PK\x03\x04" + content, "begins with b'PK"),
        (lambda content: content[:9], "has 9 bytes"),
        (lambda content: content[:-1], "bytes of arrays, and its summary says"),
        (lambda content: content + b"\0", "bytes of arrays, and its summary says"),
        (lambda content: MAGIC + b"\xff\xff\xff\xff" + content[11:], "its summary can't be read"),
        (lambda _: MAGIC + struct.pack(">I", 3) + b"[[[", "its summary can't be read"),
        (lambda content: edited(content, lambda all_: all_.update(format=2)), "its summary can't be read"),
        (lambda content: edited(content, lambda all_: all_.update(rows=2**40)), "its summary can't be read"),
        (lambda content: edited(content, lambda all_: all_.update(more=1)), "its summary can't be read"),
        (lambda content: edited(content, lambda all_: all_.update(rows=all_["rows"] - 1)), "its summary says"),
        (lambda content: edited(content, lambda all_: all_["class_counts"].pop()), "classes have 2 counts"),
        (lambda content: edited(content, lambda all_: all_["features"][0]["quantiles"].pop()), "quantiles"),
        (lambda content: edited(content, lambda all_: all_["features"][0]["quantiles"].reverse()), "in order"),
        (lambda content: edited(content, lambda all_: all_["features"][2]["counts"].clear()), "counts"),
        (lambda content: edited(content, lambda all_: all_["features"][0].update(missing=2)), "summary can't be read"),
        (lambda content: set_array(content, 0, float("inf")), "an infinite number"),
        (lambda content: set_array(content, 2, 99), "isn't a code below 4"),
        (lambda content: set_array(content, 2, 0.5), "isn't a code below 4"),
        (lambda content: set_array(content, 2, float("nan")), "isn't a code below 4"),
        (lambda content: content[:-1] + b"\x7f", "isn't one of its 3 classes"),
        (lambda content: content[: -2 * 300 - 4] + struct.pack("<f", 3) + content[-2 * 300 :], "within 0 and 1"),
    ],
)
def test_a_file_that_is_none_is_refused(content: bytes, damage: Callable[[bytes], bytes], message: str) -> None:
    with pytest.raises(BadReferenceError, match=message):
        decode(damage(content))


def test_random_damage_is_refused_or_harmless(content: bytes) -> None:
    random = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(content)
        for place in random.integers(0, 3000, size=random.integers(1, 5)):
            damaged[place] = random.integers(256)
        with suppress(BadReferenceError):
            decode(bytes(damaged[: random.integers(len(content))] if random.random() < 0.3 else damaged))
