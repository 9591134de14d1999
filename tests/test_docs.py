"""A setting that the documentation doesn't have fails a test, and so does one that it describes otherwise."""

from pathlib import Path

import pytest
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

import local.settings
import penguins.settings
import serving.settings

REPO = Path(__file__).resolve().parent.parent
PROGRAMS: list[type[BaseSettings]] = [penguins.settings.Settings, serving.settings.Settings, local.settings.Settings]
SETTINGS = [(program, name) for program in PROGRAMS for name in program.model_fields]


def variable(program: type[BaseSettings], name: str, field: FieldInfo) -> str:
    return str(field.validation_alias or f"{program.model_config.get('env_prefix', '')}{name}".upper())


def default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if isinstance(value, Path):  # where that is depends on the machine
        return f"`{value.relative_to(REPO)}`" if value.is_relative_to(REPO) else "the user's cache folder"
    return "" if value is None else f"`{value}`"


@pytest.mark.parametrize(("program", "name"), SETTINGS, ids=lambda item: getattr(item, "__module__", item))
def test_every_setting_is_documented(program: type[BaseSettings], name: str) -> None:
    field = program.model_fields[name]
    row = f"| `{variable(program, name, field)}` | {default(field)} | {field.description} |"
    assert row in (REPO / "docs/reference/configuration.md").read_text(), (
        f"add to docs/reference/configuration.md:\n{row}"
    )
