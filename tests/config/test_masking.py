"""Masking: no secret is printed."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanic_ms.config import Secret, Settings, mask
from sanic_ms.values import DatabaseURL


class Marked(Settings, frozen=True, kw_only=True):
    plain: str = ""
    harmless: Annotated[str | None, Secret] = None


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("PORT", 8000, 8000),
        ("HOST", "127.0.0.1", "127.0.0.1"),
        ("DB_URL", None, None),
        ("DB_URL", "sqlite:///x.db", "sqlite:///x.db"),
        ("DB_URL", "postgresql://postgres@h/d", "postgresql://postgres@h/d"),
        ("DB_URL", "postgresql://u:hunter2@h/d", "postgresql://u:***@h/d"),
        ("DB_URL", "postgresql://u:hunter2/@2@h/d", "postgresql://u:***@h/d"),
        ("DB_URL", "u:hunter2@h/d", "u:***@h/d"),
        ("DB_URL", "postgresql//u:hunter2@h/d", "postgresql//u:***@h/d"),
        ("DB_URL", "postgresql:/u:hunter2@h/d", "postgresql:/u:***@h/d"),
        ("DB_URL", "postgresql/u:hunter2@h/d", "postgresql/u:***@h/d"),
        ("DB_URL", "postgresql:u:hunter2@h/d", "postgresql:***@h/d"),
        ("DB_URL", "postgresql//u:hun/t@hunter2@h/d", "postgresql//u:***@h/d"),
        ("SMTP_PASS", "hunter2", "***"),
        ("CARD_PIN", "hunter2", "***"),
        ("PASSENGERS", "seven", "seven"),
        ("DB_URL", "postgresql://h/d?password=hunter2&a=b", "postgresql://h/d?password=***&a=b"),
        ("DB_CONFIG", {"host": "h", "password": "hunter2"}, {"host": "h", "password": "***"}),
        ("DATABASES", {"a": "mysql://u:hunter2@h/a"}, {"a": "mysql://u:***@h/a"}),
        ("SERVICES", {"a": "https://hunter2@h"}, {"a": "https://***@h"}),
        (
            "BROKERS",
            ["nats://u:hunter2@a", "nats://u:hunter2@b"],
            ["nats://u:***@a", "nats://u:***@b"],
        ),
        ("BROKERS", "redis://:hunter2@a,redis://:hunter2@b", "redis://:***@a,redis://:***@b"),
        ("JWT_SECRET", "hunter2", "***"),
        ("API_KEY", b"hunter2", "***"),
        ("SIGNING_KEYS", ["hunter2"], "***"),
        ("access_token", 7, "***"),
        ("MAIL", {"user": "u", "Password": "hunter2"}, {"user": "u", "Password": "***"}),
        ("MAIL", {"a": [{"token": "hunter2"}]}, {"a": [{"token": "***"}]}),
        ("SECRETS", {"a": {"b": "hunter2"}}, {"a": {"b": "***"}}),
        ("JWT_SECRET", None, None),
        ("TOKEN_IN_HEADER", True, True),
        ("DSN", "host=h password=hunter2 user=u", "host=h password=***"),
        ("KEEP_ALIVE_TIMEOUT", 75.0, 75.0),
        ("DB", DatabaseURL.parse("mysql://u:hunter2@h/d"), "mysql://u:***@h:3306/d"),
    ],
)
def test_what_is_shown(name: str, value: Any, shown: Any) -> None:
    """Secrets by name and credentials inside URLs are hidden, at any depth; the rest is shown."""
    assert mask(name, value) == shown
    assert "hunter2" not in repr(mask(name, value))


def test_a_marked_setting_is_hidden_whatever_its_name() -> None:
    """The Secret mark counts for the class that has it."""
    assert mask("HARMLESS", "x", Marked) == "***"
    assert mask("HARMLESS", None, Marked) is None
    assert mask("PLAIN", "x", Marked) == "x"
    assert mask("HARMLESS", "x") == "x"


@given(st.text(min_size=6).filter(lambda text: "://" not in text))
def test_no_password_of_a_database_url_is_shown(password: str) -> None:
    """However the password is written, percent-encoded or not, none of it is left."""
    written = DatabaseURL("postgresql", "d", "h", 1, "u", password).url
    assert mask("DB_URL", written) == "postgresql://u:***@h:1/d"
    assert mask("DB_URL", f"postgresql://u:{password}@h:1/d") == "postgresql://u:***@h:1/d"


def test_the_value_itself_is_left_alone() -> None:
    """Masking copies."""
    value = {"password": "hunter2", "list": ["mysql://u:hunter2@h/d"]}
    mask("X", value)
    assert value == {"password": "hunter2", "list": ["mysql://u:hunter2@h/d"]}
