"""Archives that are written, damaged, cut off or made by a stranger."""

import gzip
import os
import resource
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from backup.errors import BackupError
from backup.files import remove_partial, writing
from backup.unpacking import read_header, unpack
from tests.backup.archives import HEADER, MEMBERS, forge, header, info, write


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "a.tar.gz"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "unpacked").mkdir()
    return tmp_path / "unpacked"


@contextmanager
def small_disk(size: int) -> Iterator[None]:
    """Let no file of this process become larger than this: a write fails as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_was_written_is_unpacked(archive, folder):
    write(archive)
    assert archive.stat().st_mode & 0o777 == 0o600
    assert read_header(archive) == HEADER
    found = unpack(archive, folder)
    assert (found.header, found.manifest.days) == (HEADER, ("20261128",))
    assert [(each.name, each.of) for each in found.manifest.members[1:]] == [(name, of) for name, _, of in MEMBERS]
    for name, content, _ in MEMBERS:
        assert found.path(name).read_bytes() == content
        assert found.path(name).stat().st_mode & 0o777 == 0o600


def test_tar_reads_it(archive):
    write(archive)
    with tarfile.open(archive) as opened:
        assert opened.getnames() == ["backup.json", *(name for name, _, _ in MEMBERS), "manifest.json"]


def test_an_archive_that_is_cut_off_is_refused_wherever_it_was(archive, folder):
    write(archive)
    content = archive.read_bytes()
    for size in (0, 5, 100, len(content) // 2, len(content) - 1):
        archive.write_bytes(content[:size])
        with pytest.raises(BackupError, match="is damaged, or no backup|has no manifest|isn't restored"):
            unpack(archive, _empty(folder))


def test_a_flipped_bit_is_found_wherever_it_is(archive, folder):
    write(archive)
    content = archive.read_bytes()
    for place in (*range(12, len(content) - 8, max(1, len(content) // 40)), len(content) - 6):
        archive.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        with pytest.raises(BackupError):
            unpack(archive, _empty(folder))


def test_a_member_that_was_replaced_is_found_by_its_digest(archive, folder):
    members = [header(), ("models.txt", b"wine\n")]
    told = [{"name": name, "size": len(content), "sha256": "0" * 64} for name, content in members]
    forge(archive, members, {"members": told, "tables": [], "days": []})
    with pytest.raises(BackupError, match="backup.json isn't what was written, its digest differs"):
        unpack(archive, folder)


def test_a_newer_format_is_refused_before_all_else(archive, folder):
    forge(archive, [header(format=2, new="field"), ("unheard/of", b"")])
    for read in (read_header, lambda path: unpack(path, folder)):
        with pytest.raises(BackupError, match="has the format 2, and this version reads up to 1: restore it with"):
            read(archive)


@pytest.mark.parametrize(
    "member",
    [
        *("../../etc/passwd", "/etc/passwd", "objects/../../00000000", "objects/00000000/x", "objects/0000000a"),
        *("spool/ready/x", "databases/template1.dump", "contracts/../x.yaml", "tables/a.b/c", "other", ""),
        info("objects/00000000", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        info("objects/00000000", type=tarfile.LNKTYPE, linkname="models.txt"),
        info("objects/00000000", linkname="/etc/passwd"),
        info("objects", type=tarfile.DIRTYPE),
        info("objects/00000000", type=tarfile.FIFOTYPE),
        info("objects/00000000", type=tarfile.CHRTYPE, devmajor=1),
        info("objects/00000000", type=tarfile.XHDTYPE, size=1 << 40),
        info("objects/00000000", type=tarfile.GNUTYPE_LONGNAME, size=1 << 40),
        info("objects/00000000", type=tarfile.GNUTYPE_SPARSE),
        info("models.txt", size=2 << 20),
        info("keys.json", size=-1),
        info("objects/00000000", size=1 << 60),
    ],
    ids=lambda member: member if isinstance(member, str) else f"{member.name}-{member.type!r}-{member.size}",
)
def test_what_has_no_place_in_a_backup_is_refused(archive, folder, member):
    forge(archive, [header(), (member, b"x")])
    with pytest.raises(BackupError):
        unpack(archive, folder)
    assert {path.name for path in folder.rglob("*")} <= {"backup.json", "objects"}
    assert {path.name for path in folder.parent.iterdir()} == {"a.tar.gz", "unpacked"}


@pytest.mark.parametrize(
    ("members", "manifest", "reason"),
    [
        ([("models.txt", b"")], None, "its first member isn't backup.json"),
        ([header(), header()], None, "'backup.json' is in it twice"),
        ([header(), ("models.txt", b""), ("models.txt", b"")], None, "is in it twice"),
        ([header()], False, "it has no manifest"),
        ([header(), ("manifest.json", b"{}"), ("models.txt", b"")], False, "models.txt follows its manifest"),
        ([header(), ("models.txt", b"")], {"members": [], "tables": [], "days": []}, "other members than its manifest"),
        ([header()], {"members": [], "tables": []}, "its manifest.json can't be read: days: Field required"),
        ([header()], {"members": [], "tables": [], "days": ["'; --"]}, "manifest.json can't be read"),
        ([header(at="soon")], None, "its backup.json can't be read: at:"),
    ],
)
def test_a_list_that_is_not_right_is_refused(archive, folder, members, manifest, reason):
    forge(archive, members, manifest)
    with pytest.raises(BackupError, match=reason):
        unpack(archive, folder)


def test_nothing_follows_the_end(archive, folder):
    forge(archive, [header()], end=b"more")
    with pytest.raises(BackupError, match="something follows its end"):
        unpack(archive, folder)


def test_other_files_are_no_backups(archive, folder):
    for content in (b"PK\3\4", b"\0" * 2000, gzip.compress(b"a letter"), gzip.compress(bytes(range(256)) * 4)):
        archive.write_bytes(content)
        with pytest.raises(BackupError, match="is damaged, or no backup|no place"):
            unpack(archive, _empty(folder))


def test_a_disk_that_becomes_full_leaves_nothing_of_a_backup(archive):
    members = [(f"objects/{number:08}", os.urandom(300_000), "x") for number in range(4)]
    with small_disk(1_000_000), pytest.raises(OSError, match="File too large"):
        write(archive, members)
    assert not [*archive.parent.iterdir()]


def test_a_full_disk_is_told_before_a_large_member_is_unpacked(archive, folder):
    write(archive)
    with small_disk(10_000), pytest.raises(OSError, match="File too large"):
        unpack(archive, folder)
    forge(archive, [header(), (info("objects/00000000", size=1 << 50), b"x")])
    with pytest.raises(BackupError, match="there is no room in .* needs 1,125,899,906,842,624 bytes"):
        unpack(archive, _empty(folder))


def test_what_a_killed_backup_left_is_removed_and_one_under_way_is_not(archive):
    (archive.parent / "old.tar.gz.partial").write_bytes(b"x")
    with writing(archive) as file:
        remove_partial(archive.parent)
        file.write(b"x")
        assert [path.name for path in archive.parent.iterdir()] == ["a.tar.gz.partial"]
    assert [path.name for path in archive.parent.iterdir()] == ["a.tar.gz"]


def test_what_nobody_would_restore_is_not_written(archive):
    for name, content in (("models.txt", b"x" * (2 << 20)), ("other", b"")):
        with pytest.raises(BackupError, match=f"{name} has no place in a backup"):
            write(archive, [(name, content, "")])
    assert not [*archive.parent.iterdir()]


def test_an_interrupt_leaves_nothing(archive):
    def interrupted() -> None:
        with writing(archive) as file:
            file.write(b"x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not [*archive.parent.iterdir()]


def _empty(folder: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=folder))
