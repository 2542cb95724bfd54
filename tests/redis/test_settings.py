"""Redis URLs."""

from __future__ import annotations

import pytest

from sanic_ms.redis import RedisURL


@pytest.mark.parametrize(
    ("text", "hosts", "database", "master", "masked"),
    [
        ("redis://h", (("h", 6379),), 0, "", "redis://h:6379/0"),
        ("rediss://u:p@h:1/2?x=1", (("h", 1),), 2, "", "rediss://h:1/2"),
        ("redis://[::1]:7/", (("::1", 7),), 0, "", "redis://::1:7/0"),
        ("unix://u:p@/run/r.sock?db=3", (), 0, "", "unix:///run/r.sock"),
        (
            "redis+sentinel://:p@a,b:2/main/4",
            (("a", 26379), ("b", 2)),
            4,
            "main",
            "redis+sentinel://a:26379,b:2/main/4",
        ),
    ],
)
def test_the_parts_of_a_url(
    text: str, hosts: tuple[object, ...], database: int, master: str, masked: str
) -> None:
    """Each form of a URL has its parts, and is shown without user, password and options."""
    url = RedisURL.parse(text)
    assert (url.hosts, url.database, url.master, url.masked) == (hosts, database, master, masked)
    assert url.is_tls == text.startswith("rediss")
    assert url.text == text
    assert repr(url) == f"<RedisURL {masked}>"


def test_users_and_passwords_are_decoded() -> None:
    """The user and the password may hold any character, as %XX."""
    url = RedisURL.parse("redis://a%3Ab:p%40q@h")
    assert (url.username, url.password) == ("a:b", "p@q")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("http://:secret@h", "begins with redis://"),
        ("h:6379", "begins with redis://"),
        ("", "begins with redis://"),
        ("redis://:secret@", "needs a host"),
        ("redis://:secret@h:99999", "port from 1 to 65535"),
        ("redis://:secret@h:x", "needs a host"),
        ("redis://:secret@h/one", "number of the database"),
        ("redis://:secret@h/1/2", "number of the database"),
        ("redis+sentinel://:secret@h", "names the master"),
        ("redis+sentinel://:secret@h/m/x", "number of the database"),
    ],
)
def test_a_wrong_url_is_an_error_without_the_password(text: str, message: str) -> None:
    """The message says what is wrong, and never holds the password."""
    with pytest.raises(ValueError, match=message) as caught:
        RedisURL.parse(text)
    assert "secret" not in str(caught.value)


def test_a_url_is_a_text() -> None:
    """Anything else is a TypeError."""
    with pytest.raises(TypeError, match="not NoneType"):
        RedisURL.parse(None)  # type: ignore[arg-type]
