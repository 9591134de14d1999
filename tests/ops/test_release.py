"""The checks before a release."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ops.release import problems

FILES = {
    "pyproject.toml": '[project]\nname = "penguins"\nversion = "1.2.0"\n',
    "uv.lock": '[[package]]\nname = "penguins"\nversion = "1.2.0"\n',
    "CHANGELOG.md": "## Unreleased\n\n## 1.2.0 - 2026-12-01\n\n### Upgrade\n\nNothing.\n\n## 1.1.0 - 2026-11-01\n",
}


def git(repo: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    subprocess.run(["git", *identity, "-C", repo, *arguments], check=True, capture_output=True)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--initial-branch=main")
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--message", "first")
    return tmp_path


def replace(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(repo: Path) -> None:
        (repo / name).write_text(FILES[name].replace(old, new))
        git(repo, "commit", "--all", "--message", "changed")

    return change


def test_a_version_that_is_ready_has_no_problem(repo: Path) -> None:
    assert list(problems(repo, "1.2.0")) == []


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (replace("pyproject.toml", "1.2.0", "1.1.0"), "pyproject.toml has version 1.1.0"),
        (replace("uv.lock", "1.2.0", "1.1.0"), "uv.lock has 1.1.0, and pyproject.toml 1.2.0: run uv lock"),
        (replace("CHANGELOG.md", "## 1.2.0 - 2026-12-01\n", ""), "no section '## 1.2.0 - <date>'"),
        (replace("CHANGELOG.md", "### Upgrade\n", ""), "has no '### Upgrade'"),
        (replace("CHANGELOG.md", "Unreleased\n", "Unreleased\n\n- more\n"), "has changes under Unreleased"),
        (lambda repo: git(repo, "switch", "--create", "other"), "this is other: release from main"),
        (lambda repo: (repo / "new.py").touch(), "such as new.py: commit or remove"),
        (lambda repo: git(repo, "tag", "v1.2.0"), "the tag v1.2.0 exists"),
    ],
)
def test_a_version_that_is_not_ready_is_refused(repo: Path, change: Callable[[Path], None], found: str) -> None:
    change(repo)
    assert any(found in problem for problem in problems(repo, "1.2.0"))


@pytest.mark.parametrize("version", ["", "1.2", "v1.2.0", "1.2.0; rm"])
def test_what_is_no_version_is_refused(repo: Path, version: str) -> None:
    assert list(problems(repo, version)) == ["say which version: make release VERSION=0.2.0"]
