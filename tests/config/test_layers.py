"""Layers: which source wins, and what is said about it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import pytest
from msgspec import Meta

from sanic_ms.config import Loaded, Secret, Settings, load_settings
from sanic_ms.exception import ConfigError

Load = Callable[..., Loaded[Settings]]

LAYERS = ["settings.py", "sanic-ms.toml", ".env", "environment", "keyword"]


@pytest.mark.parametrize("highest", range(len(LAYERS)))
def test_each_layer_wins_over_those_below_it(load: Load, tmp_path: Path, highest: int) -> None:
    """Defaults < module < TOML < .env < environment < keyword, and the source is named."""
    env: dict[str, str] = {}
    keywords: dict[str, int] = {}
    (tmp_path / "settings.py").write_text("PORT = 9000\n")
    if highest >= 1:
        (tmp_path / "sanic-ms.toml").write_text("port = 9001\n")
    if highest >= 2:
        (tmp_path / ".env").write_text("# here\n\nPORT=9002\n")
    if highest >= 3:
        env["PORT"] = "9003"
    if highest >= 4:
        keywords["port"] = 9004

    loaded = load(env, **keywords)

    sources = [
        "settings.py",
        "sanic-ms.toml",
        ".env line 3",
        "environment variable PORT",
        "keyword",
    ]
    assert loaded.settings.port == 9000 + highest
    assert loaded.sources["PORT"] == sources[highest]


def test_without_any_source_everything_is_a_default(load: Load) -> None:
    """A service starts with no settings at all, and every setting says "default"."""
    loaded = load()
    assert loaded.settings == Settings()
    assert set(loaded.sources.values()) == {"default"}
    assert set(loaded.sources) == {name.upper() for name in Settings.__struct_fields__}
    assert loaded.extra == {}


def test_a_prefixed_variable_wins_over_the_bare_one(load: Load, tmp_path: Path) -> None:
    """PORT may belong to something else on the machine; SANIC_MS_PORT is ours."""
    loaded = load({"PORT": "1000", "SANIC_MS_PORT": "2000"})
    assert loaded.settings.port == 2000
    assert loaded.sources["PORT"] == "environment variable SANIC_MS_PORT"

    (tmp_path / ".env").write_text("SANIC_MS_HOST=a\nHOST=b\n")
    assert load().settings.host == "a"
    assert load({"HOST": "c"}).settings.host == "c", "the layer counts before the prefix"


def test_an_overridden_value_may_be_wrong(load: Load) -> None:
    """Only the value that counts is checked."""
    assert load({"PORT": "none"}, port=1234).settings.port == 1234


def test_loading_twice_reads_twice(load: Load, tmp_path: Path) -> None:
    """Nothing is kept between two loads, so no load sees another's result."""
    (tmp_path / ".env").write_text("PORT=1\n")
    assert load().settings.port == 1
    (tmp_path / ".env").write_text("PORT=2\n")
    assert load().settings.port == 2


def test_defaults_are_not_shared(load: Load) -> None:
    """Changing a table or list of one load does not change the next."""
    load().settings.services["x"] = "http://x"
    load().settings.models.append("y")
    assert load().settings.services == {}
    assert load().settings.models == ["models"]


def test_unknown_names_of_files_and_keywords_are_kept_as_extra(load: Load, tmp_path: Path) -> None:
    """They are the application's own and reach app.config untouched; the environment's do not."""
    (tmp_path / "settings.py").write_text(
        "PAGE_LIMIT = 5\nCOLOUR = 'red'\nlower = 1\n_PRIVATE = 1\n"
    )
    (tmp_path / "sanic-ms.toml").write_text("colour = 'blue'\n[mail]\nserver = 'x'\n")
    (tmp_path / ".env").write_text("FROM_DOTENV=1\n")
    loaded = load({"FROM_ENVIRONMENT": "1"}, flag=True)
    assert loaded.extra == {
        "PAGE_LIMIT": 5,
        "COLOUR": "blue",
        "MAIL": {"server": "x"},
        "FLAG": True,
    }
    assert loaded.sources["COLOUR"] == "sanic-ms.toml"


@pytest.mark.parametrize("source", ["settings.py", "sanic-ms.toml", ".env", "prefixed", "keyword"])
def test_a_slip_of_the_pen_is_warned_of(
    load: Load, tmp_path: Path, caplog: pytest.LogCaptureFixture, source: str
) -> None:
    """DB_ULR is most likely meant to be DB_URL, wherever it stands."""
    caplog.set_level(logging.WARNING, "sanic_ms.config")
    match source:
        case "prefixed":
            load({"SANIC_MS_DB_ULR": "x"})
        case "keyword":
            load(db_ulr="x")
        case _:
            (tmp_path / source).write_text("DB_ULR = 'x'\n")
            load()
    (record,) = caplog.records
    assert "unknown setting DB_ULR" in record.getMessage()
    assert record.getMessage().endswith("did you mean DB_URL?")


def test_what_is_not_ours_is_not_warned_of(load: Load, caplog: pytest.LogCaptureFixture) -> None:
    """Other programs' variables, Sanic's own settings and plain extras pass in silence."""
    caplog.set_level(logging.WARNING, "sanic_ms.config")
    load(
        {"DB_ULR": "x", "SANIC_MS_REQUIRE_SERVICES": "1", "SANIC_MS_TOML": ""},
        request_buffer_size=1,
        websocket_max_size=1,
        jwt_ttl=1,
    )
    assert caplog.records == []


class ShopSettings(Settings, frozen=True, kw_only=True):
    """Settings of an application, one of them required and secret."""

    stripe_key: Annotated[str, Secret]
    basket_limit: Annotated[int, Meta(ge=1)] = 50


def test_settings_of_ones_own_are_typed_and_layered() -> None:
    """A subclass adds settings with the same sources, types and limits."""
    loaded = load_settings(ShopSettings, env={"STRIPE_KEY": "sk", "BASKET_LIMIT": "7"})
    assert (loaded.settings.stripe_key, loaded.settings.basket_limit) == ("sk", 7)
    assert loaded.masked()["STRIPE_KEY"] == "***"
    with pytest.raises(ConfigError, match=r"^BASKET_LIMIT='0' \(environment variable BASKET_LIMIT"):
        load_settings(ShopSettings, env={"STRIPE_KEY": "sk", "BASKET_LIMIT": "0"})


def test_a_missing_setting_says_where_to_give_it() -> None:
    """A setting without a default must be given, and the message says where."""
    with pytest.raises(
        ConfigError, match=r"^the setting STRIPE_KEY is missing: give it in the env"
    ):
        load_settings(ShopSettings, env={})


def test_a_check_of_ones_own_is_a_config_error(tmp_path: Path) -> None:
    """What a subclass' __post_init__ refuses stops the start in the same way."""

    class Checked(Settings, frozen=True, kw_only=True):
        def __post_init__(self) -> None:
            if self.debug and self.workers != 1:
                raise ValueError("DEBUG works\nwith one worker")

    with pytest.raises(ConfigError, match=r"^DEBUG works with one worker$"):
        load_settings(Checked, env={"DEBUG": "1", "WORKERS": "2"}, directory=tmp_path)


def test_the_toml_file_can_be_named(tmp_path: Path) -> None:
    """SANIC_MS_TOML names it, in the environment or in .env; an argument wins."""
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.toml").write_text(f"host = '{name}'\n")
    (tmp_path / ".env").write_text("SANIC_MS_TOML=a.toml\n")

    def host(env: dict[str, str], toml: str | None = None) -> str:
        return load_settings(env=env, directory=tmp_path, toml=toml).settings.host

    assert host({}) == "a"
    assert host({"SANIC_MS_TOML": "b.toml"}) == "b"
    assert host({"SANIC_MS_TOML": str(tmp_path / "b.toml")}) == "b"
    assert host({"SANIC_MS_TOML": "b.toml"}, "c.toml") == "c"
    with pytest.raises(ConfigError, match=r"d\.toml does not exist$"):
        host({"SANIC_MS_TOML": "d.toml"})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"port = = 1\n", r"^sanic-ms\.toml: Invalid value \(at line 1, column 8\)$"),
        (b"port = 1\nPORT = 2\n", "^sanic-ms.toml: 'PORT' is there twice"),
        (b"host = '\xff'\n", "^sanic-ms.toml is not UTF-8"),
    ],
)
def test_a_broken_toml_file_is_one_line(
    load: Load, tmp_path: Path, content: bytes, message: str
) -> None:
    """What is wrong with the file is said with the file's name."""
    (tmp_path / "sanic-ms.toml").write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        load()


def test_a_file_that_cannot_be_read_is_one_line(load: Load, tmp_path: Path) -> None:
    """A folder where the file should be is an error, not an absent file."""
    (tmp_path / ".env").mkdir()
    with pytest.raises(ConfigError, match=r"\.env cannot be read: Is a directory$"):
        load()
