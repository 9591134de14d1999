"""YAML as plain data, and what is refused in it."""

import pytest

from contract.odcs.text import MAX_BYTES, UnreadableError, parse


def refused(content: str | bytes) -> str:
    with pytest.raises(UnreadableError) as caught:
        parse(content if isinstance(content, bytes) else content.encode())
    return f"{caught.value.problem.line}: {caught.value.problem.message}"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("NO", "NO"),
        ("on", "on"),
        ("true", True),
        ("False", False),
        ("'true'", "true"),
        ("12", 12),
        ("-3", -3),
        ("'12'", "12"),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("-.inf", float("-inf")),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2024-01-31", "2024-01-31"),
        ("0x1f", "0x1f"),
        ("~", None),
        ("", None),
        ("[a, [1], {b: 2}]", ("a", (1,), {"b": 2})),
        ("|\n  two\n  lines", "two\nlines"),
    ],
)
def test_values_are_read_as_editors_read_them(text: str, value: object) -> None:
    assert parse(f"key: {text}".encode()).data == {"key": value}


def test_each_value_has_its_line() -> None:
    tree = parse(b"# comment\na:\n  - b: 1\n    c: 2\n\n  - d\ne: >\n  long\n")
    lines = {("a",): 2, ("a", 0, "b"): 3, ("a", 0, "c"): 4, ("a", 1): 6, ("e",): 7, ("e", "nowhere"): 7}
    assert {path: tree.line(path) for path in lines} == lines


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "a: 1\nb: !!python/object/apply:os.system [id]",
            "2: tags aren't read: delete `tag:yaml",
        ),
        ("a: !!str 5", "1: tags aren't read"),
        ("a: &x 1\nb: *x", "1: anchors and aliases aren't read: write the value out for `x`"),
        ("a: *x", "1: anchors and aliases aren't read"),
        ("&x a: 1", "1: anchors and aliases aren't read"),
        ("a: 1\n---\nb: 2", "2: a second document begins"),
        ("a: 1\n b: 2", "2: "),
        ("a: b: c", "1: a second `: ` in a line"),
        ("a:\n\tb: 1", "2: a line begins with a tab"),
        ("a: 'open", "1: not YAML"),
        ("a: [1, 2", "2: not YAML"),
        ("{[1]: 2}", "1: a key must be a text"),
        ("", "1: the file has no keys"),
        ("# nothing", "1: the file has no keys"),
        ("- a\n- b", "1: the file has no keys"),
        ("text", "1: the file has no keys"),
        ("a: 1\nb: \x07", "2: the character"),
        ("a: 1\nb: \xe9t\xe9".encode("latin-1"), "2: the file isn't UTF-8"),
        ("a: 1".encode("utf-16"), "1: the file isn't UTF-8"),
        (b"PAR1\x15\x04\x15\x10" + bytes(range(256)), "2: the file isn't UTF-8"),
        (b"a: 1 #" + b"x" * MAX_BYTES, "1: the file has more than 1,000,000 bytes"),
        ("[" * 100_000, "1: more than 20 levels"),
        ("{a: " * 100_000, "1: more than 20 levels"),
    ],
)
def test_what_is_not_plain_yaml_is_refused_with_its_line(content: str | bytes, message: str) -> None:
    assert refused(content).startswith(message)


def test_a_key_twice_and_control_characters_are_found() -> None:
    tree = parse(b'a: 1\nb: "\\e[31m"\na: 2\n"\\0": 3')
    assert [(problem.line, problem.message) for problem in tree.problems] == [
        (2, "a text holds the character '\\x1b': delete it"),
        (3, "the key 'a' is there twice: delete one of them"),
        (4, "a text holds the character '\\x00': delete it"),
    ]
