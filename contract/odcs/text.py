"""Read YAML as plain data, with the line of each value.

This is the core schema of YAML 1.2, as editors read it: `no` and `on` are texts, `1e3` is a number. Tags and anchors
are refused. With them a small file can run code or fill the memory, and a contract needs neither.
"""

import re
from dataclasses import dataclass, field
from typing import Any, Final

import yaml  # type: ignore[import-untyped]

Path = tuple[str | int, ...]
"""Keys and positions that lead to a value."""

MAX_BYTES: Final = 1_000_000
MAX_DEPTH: Final = 20

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,300}")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDS: Final = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True)
class Problem:
    """A mistake in a file: its line, from 1, and a sentence that says what is wrong and what to write instead."""

    line: int
    message: str


class UnreadableError(Exception):
    """The text isn't YAML of the kind that is read here."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.problem = Problem(line, message)


@dataclass
class Tree:
    """The data of a file: mappings, tuples, texts, numbers, truth values and None."""

    data: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def line(self, path: Path) -> int:
        """Return the line of a value, or else of what is around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def parse(content: bytes) -> Tree:
    """Read the content of a file.

    Raises:
        UnreadableError: it is too large, not UTF-8, not YAML, or has tags or anchors.
    """
    if len(content) > MAX_BYTES:
        raise UnreadableError(1, f"the file has more than {MAX_BYTES:,} bytes, which no contract needs")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UnreadableError(line, "the file isn't UTF-8: save it in this encoding") from error
    builder = _Builder()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise UnreadableError(line, _explain(error, text.split("\n")[line - 1 : line])) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise UnreadableError(line, f"the character {error.character!r} isn't allowed: delete it") from error
    if not isinstance(builder.tree.data, dict):
        raise UnreadableError(1, "the file has no keys: begin with contracts/penguins.yaml, or with `make contract`")
    builder.tree.data = _with_tuples(builder.tree.data)
    return builder.tree


def _explain(error: yaml.MarkedYAMLError, lines: list[str]) -> str:
    problem = str(error.problem or error)
    if any("\t" in line[: len(line) - len(line.lstrip())] for line in lines):
        return "a line begins with a tab: indent with blanks"
    if "mapping values are not allowed" in problem:
        return "a second `: ` in a line, or a wrong indentation: put texts with a colon in quotes"
    context = f" {error.context}" if error.context else ""
    return f"not YAML: {problem}{context}. Look at the indentation and at the quotes, here and in the lines above"


@dataclass
class _Open:
    """A mapping or list that isn't complete, and the key that waits for its value."""

    path: Path
    value: dict[str, Any] | list[Any]
    key: str | None = None


class _Builder:
    """Makes a tree of the parser's events, without recursion."""

    def __init__(self) -> None:
        self.tree = Tree()
        self._open: list[_Open] = []
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        line = event.start_mark.line + 1
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise UnreadableError(line, "a second document begins with `---`: a file has one contract")
        elif isinstance(event, yaml.NodeEvent):
            self._check(event, line)
            if isinstance(event, yaml.ScalarEvent):
                self._take_scalar(event, line)
            else:
                self._begin({} if isinstance(event, yaml.MappingStartEvent) else [], line)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._open.pop()

    def _check(self, event: yaml.NodeEvent, line: int) -> None:
        if isinstance(event, yaml.AliasEvent) or event.anchor:
            raise UnreadableError(
                line, f"anchors and aliases aren't read: write the value out for `{event.anchor[:50]}`"
            )
        if event.tag is not None:
            raise UnreadableError(line, f"tags aren't read: delete `{event.tag[:50]}`, and put a text in quotes")

    def _take_scalar(self, event: yaml.ScalarEvent, line: int) -> None:
        if wrong := _CONTROL.search(event.value):
            self.tree.problems.append(Problem(line, f"a text holds the character {wrong.group()!r}: delete it"))
        top = self._open[-1] if self._open else None
        if top is None or isinstance(top.value, list) or top.key is not None:
            self._add(_scalar(event), line)
            return
        if event.value in top.value:
            self.tree.problems.append(Problem(line, f"the key {event.value[:50]!r} is there twice: delete one of them"))
        top.key = event.value
        self.tree.lines[(*top.path, event.value)] = line

    def _begin(self, value: dict[str, Any] | list[Any], line: int) -> None:
        if len(self._open) >= MAX_DEPTH:
            raise UnreadableError(line, f"more than {MAX_DEPTH} levels, which no contract has")
        if self._open and isinstance(self._open[-1].value, dict) and self._open[-1].key is None:
            raise UnreadableError(line, "a key must be a text: put one with brackets or braces in quotes")
        self._open.append(_Open(self._add(value, line), value))

    def _add(self, value: Any, line: int) -> Path:
        """Put a value where it belongs, and return its path."""
        if not self._open:
            path: Path = ()
            self.tree.data = value
        elif isinstance(top := self._open[-1].value, list):
            path = (*self._open[-1].path, len(top))
            top.append(value)
        else:
            key = self._open[-1].key or ""
            path, top[key] = (*self._open[-1].path, key), value
            self._open[-1].key = None
        self.tree.lines.setdefault(path, line)
        return path


def _with_tuples(value: Any) -> Any:
    """Replace lists by tuples: pydantic's strict types take no list for one."""
    if isinstance(value, list):
        return tuple(map(_with_tuples, value))
    return {key: _with_tuples(item) for key, item in value.items()} if isinstance(value, dict) else value


def _scalar(event: yaml.ScalarEvent) -> Any:
    """Return the value of a scalar. What is in quotes is a text."""
    text: str = event.value
    if not event.implicit[0]:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text.replace(".inf", "inf").replace(".nan", "nan")) if _FLOAT.fullmatch(text) else text
