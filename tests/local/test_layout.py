"""The directory for sockets: it is in the temporary directory, where other users can write."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from local.layout import Layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path / "state")
    layout.create()
    return layout


def test_the_directory_is_made_kept_and_removed(layout: Layout) -> None:
    layout.create_run()
    directory = layout.run.resolve()
    layout.create_run()
    assert layout.socket == directory / "supervisor.sock"
    layout.remove_run()
    assert not directory.exists()
    assert not layout.run.is_symlink()


def link(place: Path, victim: Path) -> None:
    place.symlink_to(victim)


def foreign_directory(place: Path, _: Path) -> None:
    place.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root can make a directory of another user")
    os.chown(place, 65534, 65534)


@pytest.mark.parametrize("plant", [link, foreign_directory])
def test_what_another_user_put_in_its_place_is_neither_used_nor_emptied(
    layout: Layout, tmp_path: Path, plant: Callable[[Path, Path], None]
) -> None:
    layout.create_run()
    cleared = layout.run.readlink()
    shutil.rmtree(cleared)
    victim = tmp_path / "victim"
    victim.mkdir()
    plant(cleared, victim)
    (cleared / "supervisor.sock").touch()
    try:
        assert not layout.socket.exists()
        layout.remove_run()
        assert (cleared / "supervisor.sock").exists()
        layout.create_run()
        assert layout.run.readlink() != cleared
        layout.remove_run()
    finally:
        cleared.unlink() if cleared.is_symlink() else shutil.rmtree(cleared)
