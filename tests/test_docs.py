"""Tests of the documentation: every setting is described, every link leads somewhere."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

import local.settings
import penguins.settings
import serving.settings
import shipper.settings

REPO = Path(__file__).resolve().parent.parent
PROGRAMS: list[type[BaseSettings]] = [
    each.Settings for each in (penguins.settings, serving.settings, shipper.settings, local.settings)
]
SETTINGS = [(program, name) for program in PROGRAMS for name in program.model_fields]

PAGES = sorted([*REPO.glob("*.md"), *(REPO / ".github").rglob("*.md"), *(REPO / "docs").rglob("*.md")])
# Files of other kinds that may name a page.
OTHERS = ("*.py", "*.yaml", "*.yml", "*.toml", "*.ipynb", "*.sh", "*.sql", "Dockerfile*", "Makefile", ".env.example")
FOLDERS = (".github", "backup", "benchmarks", "contract", "dags", "images", "init-db", "local", "notebooks", "ops")
FOLDERS += ("plugins", "serving", "shipper")

_CODE = re.compile(r"^(`{3,})[^\n]*\n.*?^\1 *$|(?<=\n\n)(?: {4,}[^\n]*\n|\n)+", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
_LINK = re.compile(r"\]\(([^()\s]*(?:\([^()\s]*\))?[^()\s]*)\)|\b(?:href|src)=\"([^\"]*)\"")
_NAMED = re.compile(r"\bdocs/[\w./-]+\.(?:md|png)\b")


def variable(program: type[BaseSettings], name: str, field: FieldInfo) -> str:
    return str(field.validation_alias or f"{program.model_config.get('env_prefix', '')}{name}".upper())


def default(field: FieldInfo) -> str:
    value = None if field.is_required() else field.get_default(call_default_factory=True)
    if isinstance(value, Path):  # the path depends on the machine
        return f"`{value.relative_to(REPO)}`" if value.is_relative_to(REPO) else "the user's cache folder"
    return "" if value is None else f"`{value}`"


@pytest.mark.parametrize(("program", "name"), SETTINGS, ids=lambda item: getattr(item, "__module__", item))
def test_every_setting_is_documented(program: type[BaseSettings], name: str) -> None:
    field = program.model_fields[name]
    row = f"| `{variable(program, name, field)}` | {default(field)} | {field.description} |"
    assert row in (REPO / "docs/reference/configuration.md").read_text(), (
        f"add to docs/reference/configuration.md:\n{row}"
    )


def prose(page: Path) -> str:
    """Return a page without its blocks of code."""
    return _CODE.sub("\n", page.read_text())


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    found: set[str] = set()
    seen: Counter[str] = Counter()
    for heading in _HEADING.findall(prose(page)):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


def dead_links(page: Path) -> Iterator[str]:
    """Yield the relative links of a page that lead nowhere."""
    for link in (markdown or html for markdown, html in _LINK.findall(prose(page))):
        if re.match(r"[a-z][a-z0-9+.-]*:", link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPO)))
def test_every_link_leads_somewhere(page: Path) -> None:
    assert not [*dead_links(page)]


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A page: of `code`\n\n## Twice\n\n## Twice\n\n    [code](nowhere.md)\n\n"
        "[a](#a-page-of-code) [b](#twice-1) [c](page.md#twice) [d](https://example.org/#x)\n"
        '[e](#twice-2) [f](other.md) <img src="no.png">\n'
    )
    assert [*dead_links(page)] == ["#twice-2", "other.md", "no.png"]


def test_every_page_named_in_a_file_exists() -> None:
    files = [path for pattern in OTHERS for path in REPO.glob(pattern)]
    files += [path for folder in FOLDERS for pattern in OTHERS for path in (REPO / folder).rglob(pattern)]
    own = [path for path in files if ".ipynb_checkpoints" not in path.parts]
    named = {(path.relative_to(REPO), page) for path in own for page in _NAMED.findall(path.read_text())}
    assert named
    assert not [(str(path), page) for path, page in sorted(named) if not (REPO / page).exists()]


def test_the_index_has_every_page() -> None:
    index = REPO / "docs/README.md"
    linked = {(index.parent / link.partition("#")[0]).resolve() for link, _ in _LINK.findall(index.read_text())}
    assert not {*(REPO / "docs").rglob("*.md")} - linked - {index}


def test_every_command_is_documented() -> None:
    commands = re.findall(r"^([a-z-]+):.*## ", (REPO / "Makefile").read_text(), re.MULTILINE)
    page = (REPO / "docs/reference/commands.md").read_text()
    assert not [name for name in commands if name != "help" and not re.search(rf"`make {name}[` ]", page)]
