"""Database URLs: every form, and what is said about a wrong one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanic_ms.values import DatabaseURL


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "postgresql://ann:s%40ft@db:5433/shop?ssl=require",
            DatabaseURL("postgresql", "shop", "db", 5433, "ann", "s@ft", {"ssl": "require"}),
        ),
        ("postgres://db/shop", DatabaseURL("postgresql", "shop", "db", 5432)),
        ("postgresql+asyncpg://db/shop", DatabaseURL("postgresql", "shop", "db", 5432)),
        ("mysql://root@[::1]/shop", DatabaseURL("mysql", "shop", "::1", 3306, "root")),
        ("mariadb://h/shop", DatabaseURL("mysql", "shop", "h", 3306)),
        (
            "postgresql:///shop?host=/run/pg",
            DatabaseURL("postgresql", "shop", "/run/pg", 5432),
        ),
        ("sqlite:///app.db", DatabaseURL("sqlite", "app.db")),
        ("sqlite:////var/app.db", DatabaseURL("sqlite", "/var/app.db")),
        ("sqlite://:memory:", DatabaseURL("sqlite", ":memory:")),
        ("sqlite://", DatabaseURL("sqlite", ":memory:")),
    ],
)
def test_every_form_is_read(text: str, expected: DatabaseURL) -> None:
    """The forms of the docs, and writing one out again gives the same."""
    url = DatabaseURL.parse(text)
    assert url == expected
    assert DatabaseURL.parse(url.url) == url
    assert DatabaseURL.parse(url) is url


def test_the_first_generation_mapping_is_postgresql() -> None:
    """`DB_CONFIG = {host, user, password, port, database}`."""
    config = {"host": "db", "user": "ann", "password": "x", "port": "5433", "database": "shop"}
    assert DatabaseURL.parse(config) == DatabaseURL("postgresql", "shop", "db", 5433, "ann", "x")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "not a database URL"),
        ("", "not a database URL"),
        ("shop", "not a database URL"),
        ("oracle://h/x", "unknown kind of database 'oracle'"),
        ("postgresql://h", "names no database"),
        ("postgresql://h:notaport/x", "not a postgresql URL"),
        ("sqlite://app.db", "three slashes"),
        ("sqlite://u:hunter2@h/d", "no user and no host"),
        ("u:hunter2@postgresql://h/d", "unknown kind of database \\(allowed"),
        ("postgresql//u:hunter2@h/d", "not a database URL"),
        ({}, "'database' is missing"),
        ({"database": "x", "hots": "y"}, "unknown keys 'hots'"),
        ({"database": "x", "port": "many"}, "port='many' is not a number"),
    ],
)
def test_a_wrong_one_is_explained(value: Any, message: str) -> None:
    """The text says what is wrong and what may be written."""
    with pytest.raises(ValueError, match=message):
        DatabaseURL.parse(value)


def test_the_password_never_shows() -> None:
    """Neither in the text form, nor in repr, nor in an error."""
    url = DatabaseURL.parse("postgresql://ann:tops3cret@db/shop")
    for text in (str(url), repr(url), url.masked, f"{url}"):
        assert "tops3cret" not in text
    assert "ann:***@db" in str(url)
    with pytest.raises(ValueError, match="not a postgresql URL") as caught:
        DatabaseURL.parse("postgresql://ann:tops3cret@db:port/shop")
    assert "tops3cret" not in str(caught.value)


@pytest.mark.parametrize("text", ["postgresql://u:sec/ret@h/d", "postgresql://u:p#w@h/x"])
def test_a_password_that_is_not_encoded_does_not_show_in_the_error(text: str) -> None:
    """The message says how to write it."""
    with pytest.raises(ValueError, match="%2F") as caught:
        DatabaseURL.parse(text)
    assert "sec" not in str(caught.value)


def test_secrets_among_the_options_are_masked() -> None:
    """A password may stand there too."""
    url = DatabaseURL.parse("postgresql://h/d?password=zz&application_name=x")
    assert "zz" not in url.masked
    assert "application_name=x" in url.masked


@given(
    user=st.text(min_size=1, max_size=20).filter(lambda s: s.isprintable()),
    password=st.text(max_size=20).filter(lambda s: s.isprintable()),
    database=st.text(min_size=1, max_size=20).filter(lambda s: s.isprintable()),
)
def test_any_name_survives_the_way_there_and_back(user: str, password: str, database: str) -> None:
    """Whatever characters a password has, the URL that is written is read as the same."""
    url = DatabaseURL("postgresql", database, "db", 5432, user, password)
    assert DatabaseURL.parse(url.url) == url
