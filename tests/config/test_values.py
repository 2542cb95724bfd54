"""Values: from text to types, limits, and the one line that says what is wrong."""

from __future__ import annotations

import datetime
import enum
import uuid
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanic_ms.config import Loaded, Settings, load_settings
from sanic_ms.config.convert import allowed, convert
from sanic_ms.exception import ConfigError

Load = Callable[..., Loaded[Settings]]


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Point(msgspec.Struct):
    x: int
    y: int = 0


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("true", bool, True),
        ("1", bool, True),
        (" YES ", bool, True),
        ("on", bool, True),
        ("False", bool, False),
        ("0", bool, False),
        ("no", bool, False),
        ("off", bool, False),
        ("10", int, 10),
        (" 10 ", int, 10),
        ("10_000", int, 10_000),
        ("10", float, 10.0),
        ("1.5e1", float, 15.0),
        ("", str, ""),
        (" a ", str, " a "),
        ("123", str, "123"),
        ("", str | None, None),
        ("null", str | None, "null"),
        ("", int | None, None),
        ("5", int | None, 5),
        ("auto", int | Literal["auto"], "auto"),
        ("5", int | Literal["auto"], 5),
        ("5", str | int, 5),
        ("five", str | int, "five"),
        ("BLUE", Literal["red", "blue"], "blue"),
        ("2", Literal[1, 2], 2),
        ("RED", Colour, Colour.RED),
        ("a,b", list[str], ["a", "b"]),
        (" a , ,b,", list[str], ["a", "b"]),
        ("", list[str], []),
        ("1,2", list[int], [1, 2]),
        ('["a,b", "c"]', list[str], ["a,b", "c"]),
        ("a,a", set[str], {"a"}),
        ("1,2", tuple[int, ...], (1, 2)),
        ('[1, "a"]', tuple[int, str], (1, "a")),
        ("", dict[str, str], {}),
        ("a=1,b=x=y", dict[str, str], {"a": "1", "b": "x=y"}),
        ("a=1, b=2", dict[str, int], {"a": 1, "b": 2}),
        ('{"a": {"b": [1]}}', dict[str, Any], {"a": {"b": [1]}}),
        ('{"x": 1}', Point, Point(1)),
        ("1.10", Decimal, Decimal("1.10")),
        ("2024-02-29", datetime.date, datetime.date(2024, 2, 29)),
        ("PT5S", datetime.timedelta, datetime.timedelta(seconds=5)),
        ("b" * 32, uuid.UUID, uuid.UUID("b" * 32)),
        ("a/b", Path, Path("a/b")),
        ("", Path | None, None),
    ],
)
def test_text_becomes_the_type(text: str, kind: Any, value: object) -> None:
    """Text is converted by the type of the setting, in every source alike."""
    result = convert(text, kind)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("ja", bool),
        ("", bool),
        (2, bool),
        ("x", int),
        ("1.5", int),
        ("", int),
        (True, int),
        ("nan", float),
        (float("inf"), float),
        (None, str),
        (1, str),
        ("green", Colour),
        ("green", Literal["red"]),
        ("a,b", dict[str, str]),
        ("=1", dict[str, str]),
        ("{", dict[str, str]),
        ("[1", list[int]),
        ("1,x", list[int]),
        ({"a": 1}, dict[str, str]),
        ("x", None),
        ("[" * 100_000, list[Any]),
        ("9" * 5000, int),
        (object(), int),
        (5, Path),
    ],
)
def test_what_does_not_fit_is_refused(value: object, kind: Any) -> None:
    """Nothing is guessed, and nothing but ValueError comes out."""
    with pytest.raises((ValueError, RecursionError)):
        convert(value, kind)


@given(st.text())
def test_any_text_fits_or_is_refused(text: str) -> None:
    """No text makes the conversion fail in another way."""
    for field in msgspec.structs.fields(Settings):
        try:
            convert(text, field.type)
        except ValueError:
            pass


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (bool, "true or false (also 1/0, yes/no, on/off)"),
        (int, "a whole number"),
        (Annotated[int, msgspec.Meta(ge=1, le=9)], "a whole number from 1 to 9"),
        (Annotated[int, msgspec.Meta(ge=1)], "a whole number of at least 1"),
        (Annotated[float, msgspec.Meta(gt=0, lt=1)], "a number above 0 and below 1"),
        (str, "text"),
        (Annotated[str, msgspec.Meta(min_length=1)], "text that is not empty"),
        (Annotated[str, msgspec.Meta(min_length=3)], "text of at least 3 letters"),
        (Annotated[str, msgspec.Meta(pattern="^/")], "text that matches ^/"),
        (str | None, "text, or nothing"),
        (Literal["a", "b"], "one of a, b"),
        (Colour, "one of red, blue"),
        (list[int], "a list (a,b or JSON) of a whole number"),
        (dict[str, int], "a table (name=value,… or JSON) of a whole number"),
        (Point, "a table (JSON) with x, y"),
        (Path, "a path"),
        (None, "nothing"),
        (datetime.date, "a date"),
    ],
)
def test_what_is_allowed_is_said_in_words(kind: Any, words: str) -> None:
    """Messages and the docs say what a setting may be, limits included."""
    assert allowed(kind) == words


@pytest.mark.parametrize(
    ("env", "message"),
    [
        (
            {"PORT": "80x"},
            "PORT='80x' (environment variable PORT): allowed is a whole number from 1 to 65535",
        ),
        (
            {"SANIC_MS_LOG_LEVEL": "loud"},
            "LOG_LEVEL='loud' (environment variable SANIC_MS_LOG_LEVEL): allowed is one of "
            "CRITICAL, DEBUG, ERROR, INFO, WARNING",
        ),
        (
            {"DB_URL": "oracle://x:hunter2@y/z"},
            "DB_URL='oracle://x:***@y/z' (environment variable DB_URL): unknown kind of database "
            "'oracle' (allowed: postgresql, mysql, sqlite)",
        ),
        (
            {"SERVICES": "region=localhost:8001"},
            "SERVICES['region']='localhost:8001' (environment variable SERVICES): allowed is a "
            "base URL such as http://127.0.0.1:8001",
        ),
        (
            {"DB_POOL_MIN": "11"},
            "DB_POOL_MIN=11 (environment variable DB_POOL_MIN): allowed is at most DB_POOL_MAX, "
            "which is 10 (default)",
        ),
        (
            {"DB_CONFIG": '{"host": "h", "password": "hunter2"}'},
            "DB_CONFIG={'host': 'h', 'password': '***'} (environment variable DB_CONFIG): "
            "the key 'database' is missing",
        ),
    ],
)
def test_a_wrong_value_is_one_line(load: Load, env: dict[str, str], message: str) -> None:
    """The line names the setting, the value, where it came from and what is allowed."""
    with pytest.raises(ConfigError) as info:
        load(env)
    assert str(info.value) == message
    assert info.value.__cause__ is None


def test_a_huge_value_is_cut(load: Load) -> None:
    """The line stays readable whatever is in the environment."""
    with pytest.raises(ConfigError) as info:
        load({"PORT": "x" * 100_000})
    assert len(str(info.value)) < 300


@pytest.mark.parametrize("value", ["1" * 5000, "[" * 100_000, "\x00", "\n", "🦔"])
def test_no_value_breaks_the_loading(load: Load, value: str) -> None:
    """Whatever stands there, the answer is a ConfigError in one line, or the value."""
    for name in ("PORT", "MODELS", "SERVICES", "DB_CONFIG", "DB_URL", "DEBUG"):
        message = ""
        try:
            load({name: value})
        except ConfigError as exc:
            message = str(exc)
        assert "\n" not in message


def test_a_number_as_text_is_fine_in_the_settings_module(load: Load, tmp_path: Path) -> None:
    """PORT = os.environ[…] is common; text is converted wherever it stands."""
    (tmp_path / "settings.py").write_text("PORT = '9000'\nMODELS = ('a', 'b')\nDEBUG = 'yes'\n")
    settings = load().settings
    assert (settings.port, settings.models, settings.debug) == (9000, ["a", "b"], True)


CONFIG = {"host": "db", "user": "u", "password": "p/w", "port": 5433, "database": "shop"}
URL = "postgresql://u:p%2Fw@db:5433/shop"


def test_db_config_is_understood_as_postgresql(load: Load, tmp_path: Path) -> None:
    """DB_CONFIG says the same as DB_URL, and the service reads only the latter."""
    (tmp_path / "settings.py").write_text(f"DB_CONFIG = {CONFIG!r}\n")
    loaded = load()
    assert loaded.settings.db_url == URL
    assert loaded.sources["DB_URL"] == "settings.py (DB_CONFIG)"
    assert loaded.settings.db_config == CONFIG


def test_of_db_url_and_db_config_the_higher_layer_counts(load: Load, tmp_path: Path) -> None:
    """A layer that gives either decides both; nothing of a lower one is left."""
    (tmp_path / "settings.py").write_text(f"DB_CONFIG = {CONFIG!r}\n")
    loaded = load({"DB_URL": "sqlite:///x.db"})
    assert loaded.settings.db_url == "sqlite:///x.db"
    assert loaded.settings.db_config is None
    assert load({"DB_URL": ""}).settings.db_url is None

    (tmp_path / "settings.py").write_text("DB_URL = 'sqlite:///x.db'\n")
    loaded = load({"DB_CONFIG": "host=h,database=d"})
    assert loaded.settings.db_url == "postgresql://h:5432/d"


def test_db_url_and_db_config_of_one_layer_must_agree(load: Load) -> None:
    """Two databases in one place is a mistake that nobody but the author can resolve."""
    assert load(db_url=URL, db_config=CONFIG).settings.db_url == URL
    with pytest.raises(ConfigError, match=r"name different databases: give one of them$") as info:
        load(db_url="postgresql://u:hunter2@db/other", db_config=CONFIG)
    assert "hunter2" not in str(info.value)
    assert "p/w" not in str(info.value)


def test_further_databases_are_checked(load: Load) -> None:
    """Each URL of DATABASES is read, and a wrong one is named."""
    loaded = load({"DATABASES": "a=sqlite:///a.db,b=mysql://root@h/b"})
    assert loaded.settings.databases == {"a": "sqlite:///a.db", "b": "mysql://root@h/b"}
    with pytest.raises(ConfigError, match=r"^DATABASES\['a'\]='b' \(keyword\): not a database URL"):
        load(databases={"a": "b"})


def test_settings_cannot_be_changed() -> None:
    """What was checked at the start holds until the end."""
    settings = load_settings(env={}).settings
    with pytest.raises(AttributeError):
        settings.port = 1  # type: ignore[misc]
