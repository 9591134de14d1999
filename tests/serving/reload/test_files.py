"""Files of a folder that others may have tampered with."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from serving.reload.files import folders_inside, read_inside

LIMIT = 100


def test_a_regular_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner/file").write_bytes(b"x" * LIMIT)
    (other := tmp_path / "link").symlink_to(tmp_path)  # the folder itself may be a link: its owner named it
    assert read_inside(other, "inner/file", LIMIT) == b"x" * LIMIT


def too_large(path: Path) -> None:
    path.write_bytes(b"x" * (LIMIT + 1))


def link_to_a_sibling(path: Path) -> None:
    (path.parent / "sibling").write_bytes(b"secret")
    path.symlink_to("sibling")


def link_out_of_the_folder(path: Path) -> None:
    path.symlink_to("/etc/hostname")


def in_a_linked_folder(path: Path) -> None:
    (path.parent / path.name).write_bytes(b"secret")
    path.parent.rename(path.parent.with_name("moved"))
    path.parent.symlink_to("moved")


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (os.mkfifo, "isn't a regular file"),
        (Path.mkdir, "isn't a regular file"),
        (too_large, "has 101 bytes, and at most 100 are read"),
        (link_to_a_sibling, "is a symbolic link"),
        (link_out_of_the_folder, "is a symbolic link"),
        (in_a_linked_folder, "is a symbolic link"),
    ],
)
def test_anything_else_is_refused(tmp_path: Path, make: Callable[[Path], object], text: str) -> None:
    (tmp_path / "inner").mkdir()
    make(tmp_path / "inner/file")
    with pytest.raises(OSError, match=text):
        read_inside(tmp_path, "inner/file", LIMIT)


@pytest.mark.parametrize("name", ["../outside", "inner/../../outside", "/etc/hostname", "{folder}/../outside"])
def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    (folder := tmp_path / "folder").mkdir()
    (tmp_path / "outside").write_bytes(b"secret")
    with pytest.raises(OSError, match="leads out of the folder|No such file"):
        read_inside(folder, name.format(folder=folder), LIMIT)


def test_folders_are_listed_by_their_last_change(tmp_path: Path) -> None:
    assert folders_inside(tmp_path / "absent") == []
    for number, name in enumerate(["first", "third", "second", ".hidden"]):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (number, number))
    os.utime(tmp_path / "third", (9, 9))
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("first")
    assert folders_inside(tmp_path) == ["third", "second", "first"]
