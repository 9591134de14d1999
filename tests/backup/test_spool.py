"""The prediction log's segments while a backup is made, and after it."""

from pathlib import Path

import pytest

from backup.errors import BackupError
from backup.spool import check_place, held, put_back
from contract.segments import OPEN, READY, SegmentReader, encode_block, encode_header
from serving.log.adoption import adopt
from serving.log.spool import Spool
from tests.shipper.segments import header, ids_at, predictions, rows


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    for name in ("open", "ready", "damaged", "counters"):
        (tmp_path / "spool" / name).mkdir(parents=True)
    (tmp_path / "spool" / "counters" / "spool.id").write_text("9a0dbb1e-4bb4-4bd5-8d1c-0f5c2ba6f3e7\n")
    return tmp_path / "spool"


def test_what_the_shipper_deletes_meanwhile_is_kept(spool):
    name, _ = predictions(spool)
    (spool / "damaged" / "strange name").write_bytes(b"x")
    (spool / "ready" / ".hidden").write_bytes(b"half")
    content = (spool / READY / str(name)).read_bytes()
    with held(spool) as found:
        (spool / READY / str(name)).unlink()
        assert set(found) == {f"ready/{name}", "damaged/strange name", "counters/spool.id"}
        assert found[f"ready/{name}"].read_bytes() == content
    assert {path.name for path in spool.iterdir()} == {"open", "ready", "damaged", "counters"}


def test_a_segment_that_is_being_written_is_taken_over_by_the_next_service(spool, tmp_path):
    name, _ = predictions(spool)
    path = (spool / READY / str(name)).rename(spool / OPEN / str(name))
    head = header()
    block = encode_block(rows(head, ids_at(head.created_at, 3)))
    path.write_bytes(encode_header(head) + block + block[: len(block) // 2])
    (spool / OPEN / f"{name}.part").write_bytes(b"of one request")
    (spool / "counters" / f"{name.process}.bin").write_bytes(b"alive")
    with held(spool) as found:
        assert set(found) == {f"open/{name}", "counters/spool.id"}
        for place, file in found.items():
            put_back(tmp_path / "restored", place, file)
    restored = Spool(tmp_path / "restored", 1 << 30)
    restored.prepare()
    adopt(restored)
    with (tmp_path / "restored" / READY / str(name)).open("rb") as file:
        reader = SegmentReader(file)
        assert len(list(reader.blocks())) == 1
        assert reader.is_complete


def test_of_a_segment_that_moves_meanwhile_the_complete_one_is_kept(spool):
    name, _ = predictions(spool)
    (spool / OPEN / str(name)).write_bytes(b"its beginning")
    with held(spool) as found:
        assert set(found) == {f"ready/{name}", "counters/spool.id"}


def test_one_backup_at_a_time(spool):
    with held(spool), pytest.raises(BackupError, match="another backup of this stack is under way"), held(spool):
        pass


def test_what_a_killed_backup_held_is_removed(spool):
    (spool / ".backup").mkdir()
    (spool / ".backup" / "0").write_bytes(b"x")
    name, _ = predictions(spool)
    with held(spool) as found:
        assert [*found] == [f"ready/{name}", "counters/spool.id"]
    assert not (spool / ".backup").exists()


def test_a_stack_without_a_log_has_no_segments(tmp_path):
    with held(tmp_path / "none") as found:
        assert found == {}


@pytest.mark.parametrize(
    "place",
    ["ready/../../x", "ready/..", "ready/.hidden", "open/anything", "counters/shipper.bin", "ready", "/ready/x",
     "ready/a/b", "ready/a\0b", "", "open/predictions-1790000000000-0123456789abcdef-1.seg.part"],
)  # fmt: skip
def test_places_outside_the_log_are_refused(place):
    with pytest.raises(BackupError, match="isn't a place in the prediction log"):
        check_place(place)
