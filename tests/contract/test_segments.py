"""A segment gives back what was written into it; a cut is told from damage."""

from collections.abc import Callable
from datetime import UTC, datetime
from io import BytesIO
from uuid import UUID

import numpy as np
import pytest

from contract.lines import Event, Truth, decode_lines, encode_line
from contract.rows import COLUMNS, EPOCH_US, RowFormat
from contract.segments import (
    END,
    MAX_BLOCK_BYTES,
    DamageError,
    LinesHeader,
    LoggedContract,
    LoggedFeature,
    PredictionsHeader,
    SegmentName,
    SegmentReader,
    encode_block,
    encode_header,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HEADER = PredictionsHeader(
    created_at=NOW,
    model="wine",
    version="12",
    contract="0f" * 16,
    document=LoggedContract(
        name="wine",
        target="cultivar",
        classes=("a", "b"),
        features=(
            LoggedFeature(name="alcohol", type="number", min=1, max=2.5),
            LoggedFeature(name="colour", type="string", categories=("red", "white")),
            LoggedFeature(name="cork", type="boolean"),
        ),
    ),
)
ID = UUID("0192d1f0-0000-7000-8000-000000000001")
PAYLOADS = [b"first", b"second" * 100, b"third"]
WHOLE = encode_header(HEADER) + b"".join(map(encode_block, PAYLOADS)) + END


def read(content: bytes) -> tuple[list[bytes], bool]:
    """Return the payloads of a segment, and whether its end was read."""
    reader = SegmentReader(BytesIO(content))
    return list(reader.blocks()), reader.is_complete


def rows(number: int = 3, header: PredictionsHeader = HEADER, shadow: np.ndarray | None = None) -> bytes:
    """Return a payload of rows."""
    return RowFormat(header).encode(
        ids=b"".join(UUID(int=ID.int + each).bytes for each in range(number)),
        index=np.arange(number),
        at=np.full(number, EPOCH_US + 5),
        labels=np.arange(number) % 2,
        latency_ms=np.full(number, 0.25),
        outside=np.full(number, 3),
        features=np.array([[1.5, np.nan, 1]] * number),
        probabilities=np.array([[0.25, 0.75]] * number),
        shadow=shadow,
    )


def test_a_segment_gives_back_header_and_blocks() -> None:
    for header in (HEADER, LinesHeader(kind="events", created_at=NOW)):
        reader = SegmentReader(BytesIO(encode_header(header) + encode_block(b"x") + END))
        assert reader.header == header
        assert list(reader.blocks()) == [b"x"]
        assert reader.is_complete


def test_every_cut_leaves_the_whole_blocks() -> None:
    head = len(encode_header(HEADER))
    ends = [head + sum(len(encode_block(each)) for each in PAYLOADS[:number]) for number in range(4)]
    for length in range(head, len(WHOLE)):
        found, is_complete = read(WHOLE[:length])
        assert found == PAYLOADS[: sum(end <= length for end in ends) - 1]
        assert not is_complete


def test_a_reader_says_where_the_whole_blocks_end() -> None:
    reader = SegmentReader(BytesIO(WHOLE[: -len(END) - 1]))
    assert list(reader.blocks()) == PAYLOADS[:2]
    assert read(WHOLE[: reader.whole_bytes] + END) == (PAYLOADS[:2], True)


def test_every_flipped_bit_is_damage() -> None:
    for place in range(len(WHOLE)):
        for bit in range(8):
            changed = bytearray(WHOLE)
            changed[place] ^= 1 << bit
            with pytest.raises(DamageError):
                read(bytes(changed))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it doesn't begin as a segment does"),
        (WHOLE[:40], "its header isn't whole"),
        (WHOLE + b"x", "something follows its end"),
        (encode_header(HEADER) + encode_block(bytes(MAX_BLOCK_BYTES + 1)), "wrong length"),
    ],
)
def test_what_is_no_segment_is_damage(content: bytes, message: str) -> None:
    with pytest.raises(DamageError, match=message):
        read(content)


def test_names_are_read_as_they_are_written() -> None:
    name = SegmentName("feedback", 1_790_000_000_123, "00c0ffee", 7)
    assert str(name) == "feedback-1790000000123-00c0ffee-7.seg"
    assert SegmentName.parse(str(name)) == name
    assert SegmentName.parse(f"{name}.tmp") is None
    assert SegmentName.parse("../feedback-1790000000123-00c0ffee-7.seg") is None


def test_rows_are_read_as_they_are_written() -> None:
    found = RowFormat(HEADER).decode(rows())
    assert found["columns"].tolist() == [len(COLUMNS)] * 3
    assert [UUID(bytes=each.tobytes()) for each in found["prediction_id"]] == [UUID(int=ID.int + n) for n in range(3)]
    assert found["row_index"].tolist() == [0, 1, 2]
    assert found["at"].tolist() == [5] * 3
    assert found["contract"][0].tobytes() == bytes.fromhex(HEADER.contract)
    assert (found["model"][0].tobytes(), found["version"][0].tobytes()) == (b"wine", b"12")
    assert found["class"].tolist() == [0, 1, 0]
    assert (found["latency_ms"][0], found["outside"][0], found["fraction"][0]) == (0.25, 3, 1)
    np.testing.assert_array_equal(found["features"]["values"]["value"][1], [1.5, np.nan, 1])
    assert found["probabilities"]["values"]["value"][2].tolist() == [0.25, 0.75]


SHADOWED = HEADER.model_copy(update={"shadow": "13"})


def test_rows_may_have_the_answer_of_a_version_in_the_shadow() -> None:
    form = RowFormat(SHADOWED)
    found = form.decode(rows(header=SHADOWED, shadow=np.array([1, 1, 0])))
    assert form.columns == (*COLUMNS, "shadow_version")
    assert found["columns"].tolist() == [len(COLUMNS) + 1] * 3
    assert found["class"].tolist() == [0, 1, 0]
    assert found["shadow"].tolist() == [1, 1, 0]
    assert {each.tobytes() for each in found["shadow_version"]} == {b"13"}


def test_a_segment_without_a_shadow_is_as_before() -> None:
    assert b"shadow" not in encode_header(HEADER)
    assert RowFormat(HEADER).columns == COLUMNS
    assert RowFormat(HEADER).decode(rows())["shadow_size"].tolist() == [-1] * 3


@pytest.mark.parametrize("label", [-1, 2])
def test_an_answer_in_the_shadow_that_is_no_class_is_damage(label: int) -> None:
    with pytest.raises(DamageError, match="a value of shadow that can't be"):
        RowFormat(SHADOWED).decode(rows(1, SHADOWED, np.array([label])))


def test_rows_of_a_table_share_their_id() -> None:
    header = HEADER.model_copy(update={"prediction_id": UUID(int=ID.int)})
    with pytest.raises(DamageError, match="than the header says"):
        RowFormat(header).decode(rows(2))
    RowFormat(header).decode(rows(1))


def test_rows_of_a_table_share_their_time() -> None:
    micros = int(RowFormat(HEADER).decode(rows(1))["at"][0]) + EPOCH_US
    RowFormat(HEADER.model_copy(update={"at_us": micros})).decode(rows(1))
    with pytest.raises(DamageError, match="than the header says"):
        RowFormat(HEADER.model_copy(update={"at_us": micros + 1})).decode(rows(1))


@pytest.mark.parametrize("value", [-1e-6, 1 + 1e-6])
def test_a_probability_may_be_rounded(value: float) -> None:
    """One row of it mustn't make a whole segment damaged."""
    found = np.frombuffer(rows(), RowFormat(HEADER).dtype).copy()
    _set("probabilities", value)(found)
    RowFormat(HEADER).decode(found.tobytes())


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"model": "wines"}, "a block of"),
        ({"model": "wind"}, "another shape, model, version or contract"),
        ({"version": "13"}, "another shape, model, version or contract"),
        ({"contract": "0e" * 16}, "another shape, model, version or contract"),
        ({"fraction": 0.5}, "another shape, model, version or contract"),
    ],
)
def test_rows_of_another_header_are_refused(change: dict[str, object], name: str) -> None:
    with pytest.raises(DamageError, match=name):
        RowFormat(HEADER.model_copy(update=change)).decode(rows())


def _set(name: str, value: float) -> Callable[[np.ndarray], None]:  # type: ignore[type-arg]
    def change(found: np.ndarray) -> None:  # type: ignore[type-arg]
        column = found[name]["values"]["value"] if found[name].dtype.names else found[name]
        column[..., -1] = value

    return change


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("row_index", -1),
        ("at", 2**63 - 1),
        ("at", -(2**63)),
        ("class", 2),
        ("class", -1),
        ("latency_ms", np.nan),
        ("outside", 4),
        ("features", np.inf),
        ("probabilities", 1.1),
        ("probabilities", np.nan),
    ],
)
def test_values_that_can_not_be_are_refused(name: str, value: float) -> None:
    found = np.frombuffer(rows(), RowFormat(HEADER).dtype).copy()
    _set(name, value)(found)
    with pytest.raises(DamageError, match=f"value of {name}"):
        RowFormat(HEADER).decode(found.tobytes())


def test_every_byte_of_the_shape_is_checked() -> None:
    """A row can't smuggle in another number of columns, another type or another length."""
    whole, varies = rows(1), RowFormat(HEADER)._mask()
    for place in np.flatnonzero(varies == 0):
        changed = bytearray(whole)
        changed[place] ^= 1
        with pytest.raises(DamageError):
            RowFormat(HEADER).decode(bytes(changed))


def test_lines_are_read_as_they_are_written() -> None:
    truth = Truth(prediction_id=ID, row_index=3, label="a\nb", at=NOW, who="", received_at=NOW, model="wine")
    event = Event(at=NOW, host="here", event="refused", model="wine", version="2", reason="unsigned", detail="…\u2028")
    assert b'"class":' in encode_line(truth)
    assert list(decode_lines(Truth, encode_line(truth) * 2)) == [truth] * 2
    assert list(decode_lines(Event, encode_line(event))) == [event]
    with pytest.raises(DamageError, match="a line can't be read"):
        list(decode_lines(Event, encode_line(truth)))
