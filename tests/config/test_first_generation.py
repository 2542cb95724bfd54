"""Settings by their names of the first generation: what they mean today, and which one wins."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from sanic_ms import load_config
from sanic_ms.config import Loaded, Settings, load_settings
from sanic_ms.exception import ConfigError

ORIGIN = "https://shop.example"


def load(
    folder: Path, text: str, *, env: dict[str, str] | None = None, **values: Any
) -> Loaded[Any]:
    """What a settings module and the other sources say."""
    (folder / "settings.py").write_text(text)
    return load_settings(Settings, directory=folder, env=env or {}, keywords=values)


def test_settings_of_cors_have_new_names(tmp_path: Path) -> None:
    """Text and lists alike; the source says by which name they came."""
    loaded = load(
        tmp_path,
        f"ACCESS_CONTROL_ALLOW_ORIGIN = '{ORIGIN}'\n"
        "ACCESS_CONTROL_ALLOW_METHODS = 'POST, PUT'\n"
        "ACCESS_CONTROL_ALLOW_HEADERS = ['X-Shop']\n"
        "ACCESS_CONTROL_ALLOW_CREDENTIALS = True\n"
        "ACCESS_CONTROL_EXPOSE_HEADERS = 'ETag'\n"
        "ACCESS_CONTROL_MAX_AGE = 5\n",
    )
    settings = loaded.settings
    assert (settings.cors_origins, settings.cors_methods) == ([ORIGIN], ["POST", "PUT"])
    assert (settings.cors_headers, settings.cors_expose) == (["X-Shop"], ["ETag"])
    assert (settings.cors_credentials, settings.cors_max_age) == (True, 5)
    assert loaded.sources["CORS_ORIGINS"] == "settings.py (ACCESS_CONTROL_ALLOW_ORIGIN)"
    assert loaded.extra["ACCESS_CONTROL_ALLOW_ORIGIN"] == ORIGIN


@pytest.mark.parametrize(
    ("text", "env", "origins"),
    [
        ("", {"ACCESS_CONTROL_ALLOW_ORIGIN": ORIGIN}, [ORIGIN]),
        ("ACCESS_CONTROL_ALLOW_ORIGIN = '*'", {"CORS_ORIGINS": ORIGIN}, [ORIGIN]),
        ("CORS_ORIGINS = '*'", {"ACCESS_CONTROL_ALLOW_ORIGIN": ORIGIN}, [ORIGIN]),
        ("ACCESS_CONTROL_ALLOW_ORIGIN = ''", {}, []),
        ("ACCESS_CONTROL_ALLOW_ORIGIN = None", {}, []),
    ],
    ids=["environment", "new over old", "old over new", "empty", "none"],
)
def test_the_later_source_wins_whatever_the_name(
    tmp_path: Path, text: str, env: dict[str, str], origins: list[str]
) -> None:
    """An old name counts as the new one in the same source would."""
    assert load(tmp_path, text, env=env).settings.cors_origins == origins


def test_both_names_in_one_source_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The new one counts, and the log says so."""
    caplog.set_level(logging.WARNING, "sanic_ms.config")
    text = f"CORS_ORIGINS = ['{ORIGIN}']\nACCESS_CONTROL_ALLOW_ORIGIN = '*'\n"
    assert load(tmp_path, text).settings.cors_origins == [ORIGIN]
    assert caplog.messages == [
        "ACCESS_CONTROL_ALLOW_ORIGIN (settings.py) is not used: CORS_ORIGINS stands beside it"
    ]


@pytest.mark.parametrize("methods", ["'*'", "['*']"])
def test_every_method_is_the_default(tmp_path: Path, methods: str) -> None:
    """``*`` was sent as it stood; here methods are named, and all are by default."""
    loaded = load(tmp_path, f"ACCESS_CONTROL_ALLOW_METHODS = {methods}")
    assert loaded.settings.cors_methods == Settings().cors_methods


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            f"ACCESS_CONTROL_ALLOW_ORIGIN = '{ORIGIN}/'",
            r"CORS_ORIGINS names .*ACCESS_CONTROL_ALLOW",
        ),
        ("SWAGGER = {'version': 2.1}", r"API_VERSION=2\.1 \(settings\.py \(SWAGGER\)\)"),
    ],
    ids=["cors", "swagger"],
)
def test_what_is_wrong_is_named_by_both_names(tmp_path: Path, text: str, message: str) -> None:
    """The text leads to the line that has to change."""
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, text)


def test_swagger_gives_title_version_and_description(tmp_path: Path) -> None:
    """Where the settings of today are not beside it."""
    loaded = load(
        tmp_path,
        "SWAGGER = {'title': 'Shop', 'version': '2.1', 'description': None}\nAPI_TITLE = 'New'\n",
    )
    settings = loaded.settings
    assert (settings.api_title, settings.api_version) == ("New", "2.1")
    assert settings.api_description == ""


@pytest.mark.parametrize("name", ["HOST", "PORT"])
def test_none_is_not_given(tmp_path: Path, name: str) -> None:
    """``os.environ.get("SERVER_HOST")`` without a default."""
    loaded = load(tmp_path, f"{name} = None")
    assert loaded.sources[name] == "default"
    assert load(tmp_path, f"{name} = None", host="0.0.0.0", port=1).sources[name] == "keyword"


def test_the_variable_that_named_the_module(tmp_path: Path) -> None:
    """``SANIC_SETTINGS_MODULE``; today's variable wins."""
    for name, port in (("old", 1), ("new", 2)):
        (tmp_path / f"{name}.py").write_text(f"PORT = {port}\n")
    env = {"SANIC_SETTINGS_MODULE": "old"}
    assert load_settings(directory=tmp_path, env=env).settings.port == 1
    env["SANIC_MS_SETTINGS"] = "new"
    assert load_settings(directory=tmp_path, env=env).settings.port == 2
    with pytest.raises(ConfigError, match="the settings module 'none' is not in"):
        load_settings(directory=tmp_path, env={"SANIC_SETTINGS_MODULE": "none"})


def test_the_settings_as_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``load_config()``: by upper-case names, those of the application's own included."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PORT", raising=False)
    (tmp_path / "settings.py").write_text("PORT = '8040'\nPAGE_COUNT = 20\n")
    config = load_config()
    assert (config["PORT"], config["PAGE_COUNT"], config["WORKERS"]) == (8040, 20, 1)
    assert "NOTHING" not in config
