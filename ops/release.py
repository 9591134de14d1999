"""`make release VERSION=0.2.0`: check what must hold before a release, and print the next steps. Nothing is changed."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent


def problems(repo: Path, version: str) -> Iterator[str]:
    """Return what keeps a version from being released, each with its remedy."""
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        yield "say which version: make release VERSION=0.2.0"
        return
    project = tomllib.loads((repo / "pyproject.toml").read_text())["project"]["version"]
    if project != version:
        yield f"pyproject.toml has version {project}: write {version} there, and run uv lock"
    packages = tomllib.loads((repo / "uv.lock").read_text())["package"]
    locked = next((package["version"] for package in packages if package["name"] == "penguins"), "no version")
    if locked != project:
        yield f"uv.lock has {locked}, and pyproject.toml {project}: run uv lock"
    yield from _changelog((repo / "CHANGELOG.md").read_text(), version)
    if (branch := _git(repo, "branch", "--show-current")) != "main":
        yield f"this is {branch or 'no branch'}: release from main"
    if changed := _git(repo, "status", "--porcelain"):
        yield f"files differ from the last commit, such as {changed.split()[1]}: commit or remove them"
    if _git(repo, "tag", "--list", f"v{version}"):
        yield f"the tag v{version} exists: choose the next version"


def _changelog(text: str, version: str) -> Iterator[str]:
    sections = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    section = next((each for each in sections if re.match(rf"{re.escape(version)} - \d{{4}}-\d\d-\d\d\n", each)), None)
    if section is None:
        yield f"CHANGELOG.md has no section '## {version} - <date>': rename Unreleased"
    elif "\n### Upgrade\n" not in section:
        yield f"the section of {version} in CHANGELOG.md has no '### Upgrade': say there what users have to do"
    if any(each.startswith("Unreleased\n") and each.strip() != "Unreleased" for each in sections):
        yield f"CHANGELOG.md has changes under Unreleased: move them to {version}"


def _git(repo: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", repo, *arguments], capture_output=True, text=True, check=True).stdout.strip()


def main(version: str) -> int:
    """Print the problems, or the next steps, and return the exit status: 1 with problems."""
    found = list(problems(REPO, version))
    for problem in found:
        print(problem, file=sys.stderr)
    if found:
        return 1
    print(
        f"{version} can be released, once the tests of this commit have passed:",
        "  make lint test test-browser test-compose audit",
        f"  git tag --annotate v{version} --message 'Penguins {version}' && git push origin main v{version}",
        "Then write the next version into pyproject.toml, run uv lock, and begin a section Unreleased in CHANGELOG.md.",
        sep="\n",
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(" ".join(sys.argv[1:])))
