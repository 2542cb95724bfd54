"""The reader of .env files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanic_ms.config.dotenv import read_dotenv
from sanic_ms.exception import ConfigError


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=b", "b"),
        ("A=", ""),
        ("A = b ", "b"),
        ("export A=b", "b"),
        ("  A=b", "b"),
        ("A=b=c", "b=c"),
        ("A=b # comment", "b"),
        ("A=b#c", "b#c"),
        ("A=# comment", ""),
        ("A=#", ""),
        ("A=b c", "b c"),
        ("A='b # c'", "b # c"),
        ("A='b' # comment", "b"),
        (r"A='a\nb'", r"a\nb"),
        ('A="b # c"', "b # c"),
        (r'A="a\nb\t\"c\" \\ \$"', 'a\nb\t"c" \\ $'),
        ('A=""', ""),
        ("A=$HOME/${B}", "$HOME/${B}"),
        ('A={"a": 1}', '{"a": 1}'),
        ("A=it's", "it's"),
        ("A=é\u2028x", "é\u2028x"),
    ],
)
def test_a_line_gives_its_value(line: str, value: str) -> None:
    """Quotes, escapes, comments and export are as in a shell; nothing is replaced."""
    assert read_dotenv(line)["A"].value == value


@pytest.mark.parametrize(
    "line",
    ["secret", "1A=b", "A-B=c", "=b", "A B=c", "A='b", 'A="b', 'A="b\\"', "A='b'c", 'A="a" b'],
)
def test_a_line_that_is_none_is_an_error_with_its_number(line: str) -> None:
    """The message names the line and shows nothing of its value."""
    with pytest.raises(ConfigError, match=r"^prod\.env line 3: ") as info:
        read_dotenv(f"# first\nX=1\n{line}\nY=2\n", name="prod.env")
    assert "secret" not in str(info.value)


def test_lines_are_counted_as_an_editor_counts_them() -> None:
    """Windows line ends are line ends; of a name given twice the last counts."""
    entries = read_dotenv("A=1\r\n\r\n# x\r\nB=2\r\nA=3\r\n")
    assert entries == {"A": ("3", 5), "B": ("2", 4)}
    assert read_dotenv("") == {}


@given(st.text(alphabet=st.characters(exclude_characters="\r\n'")))
def test_single_quotes_keep_any_text(text: str) -> None:
    """What stands in single quotes comes out as it is."""
    assert read_dotenv(f"A='{text}'")["A"].value == text


@given(st.text())
def test_any_file_is_read_or_refused(text: str) -> None:
    """No content makes the reader fail in another way."""
    try:
        read_dotenv(text)
    except ConfigError:
        pass
