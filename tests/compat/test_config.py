"""Configuration: what an application says on Sanic is what the service does."""

from __future__ import annotations

import copy
import io
import json
import logging
import pickle
import uuid
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sanic import Sanic
from sanic.config import DEFAULT_CONFIG, Config
from sanic.response import BaseHTTPResponse, JSONResponse
from sanic.response import json as json_response

from sanic_ms import Service, Settings
from sanic_ms.exception import ConfigError
from sanic_ms.testing import TestClient

SANICS = {"REQUEST_MAX_SIZE": 100_000_000, "KEEP_ALIVE_TIMEOUT": 120, "ACCESS_LOG": False}
"""Sanic's defaults that are not ours."""

OURS = {"DB_URL": "sqlite:///orders.db", "CORS_ORIGINS": ["https://shop.example"], "PORT": 8123}
OWN = {"MAIL_HOST": "mx", "RETRIES": 3}
VALUES = {**SANICS, **OURS, **OWN}


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working directory, for the settings that are looked for there."""
    monkeypatch.chdir(tmp_path)
    for name in VALUES:
        for prefix in ("", "SANIC_", "SANIC_MS_"):
            monkeypatch.delenv(f"{prefix}{name}", raising=False)


@pytest.fixture(autouse=True)
def sanics_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sanic keeps `dumps` and `loads` on its classes: the tests put them back."""
    from sanic.request import Request

    monkeypatch.setattr(BaseHTTPResponse, "_dumps", BaseHTTPResponse._dumps)
    monkeypatch.setattr(Request, "_loads", Request._loads)


def service(**keywords: Any) -> Service:
    """A service."""
    Sanic.test_mode = True
    return Service(f"service_{uuid.uuid4().hex}", configure_logging=False, **keywords)


def bare(**keywords: Any) -> Sanic[Any, Any]:
    """A bare Sanic application."""
    Sanic.test_mode = True
    return Sanic(f"bare_{uuid.uuid4().hex}", configure_logging=False, **keywords)


# --- in code --------------------------------------------------------------------------------------


def attributes(app: Any) -> None:
    """`app.config.X = …`"""
    for name, value in VALUES.items():
        setattr(app.config, name, value)


def items(app: Any) -> None:
    """`app.config["X"] = …`"""
    for name, value in VALUES.items():
        app.config[name] = value


def update(app: Any) -> None:
    """`app.config.update(…)`, with both kinds of arguments."""
    app.config.update(OURS, **SANICS)
    app.config.update(iter(OWN.items()))


def merge(app: Any) -> None:
    """`app.config |= …`, which a bare `dict` does behind Sanic's back."""
    app.config |= {**SANICS, **OURS}
    for name, value in OWN.items():
        app.config.setdefault(name, value)


def from_dict(app: Any) -> None:
    """`app.update_config({…})`: lower-case names are left out."""
    app.update_config({**VALUES, "port": 1})


def from_class(app: Any) -> None:
    """`app.update_config(Class)`."""
    app.update_config(type("Configuration", (), VALUES))


def from_object(app: Any) -> None:
    """`app.update_config(Class())`."""
    app.update_config(type("Configuration", (), VALUES)())


def from_module(app: Any) -> None:
    """`app.update_config(module)`."""
    module = ModuleType("configuration")
    vars(module).update(VALUES)
    app.update_config(module)


def from_file(app: Any) -> None:
    """`app.update_config(path)`."""
    file = Path("configuration.py").absolute()
    file.write_text("\n".join(f"{name} = {value!r}" for name, value in VALUES.items()))
    app.update_config(file)


WAYS = [
    attributes,
    items,
    update,
    merge,
    from_dict,
    from_class,
    from_object,
    from_module,
    from_file,
]


@pytest.mark.parametrize("way", WAYS)
def test_what_code_sets_counts(way: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it is Sanic's default, a setting of ours or the application's own: over the
    environment and the settings module, and `app.config` is as on Sanic."""
    monkeypatch.setenv("REQUEST_MAX_SIZE", "5")
    monkeypatch.setenv("PORT", "6")
    Path("settings.py").write_text("MAIL_HOST = 'other'\nDB_URL = 'sqlite:///other.db'\n")
    plain, app = bare(), service()
    way(plain)
    way(app)
    settings = app.settings
    for name, value in {**SANICS, **OURS}.items():
        assert getattr(settings, name.lower()) == value
        assert app.loaded.sources[name] == "app.config"
    assert {name: app.config[name] for name in VALUES} == VALUES
    assert {name: plain.config[name] for name in VALUES} == VALUES


async def test_the_server_does_what_code_has_set() -> None:
    """A body between our limit and Sanic's is read, and one over is refused without it."""
    for size, status in ((100_000_000, 200), (None, 413)):
        app = service()
        if size is not None:
            app.config.REQUEST_MAX_SIZE = size

        @app.post("/")
        async def handler(request: Any) -> Any:
            return json_response(len(request.body))

        async with TestClient(app) as client:
            assert (await client.post("/", data=io.BytesIO(b"x" * 10_000_001))).status == status


def test_configure_wins_over_the_configuration() -> None:
    """It is also what options of the command line become."""
    app = service()
    app.config.update(PORT=8001, MAIL_HOST="mx", DB_URL="sqlite:///a.db")
    app.configure(port=8002, mail_host="other", db_config={"host": "h", "database": "d"})
    assert (app.settings.port, app.config.PORT, app.config.MAIL_HOST) == (8002, 8002, "other")
    assert app.settings.db_url == app.config.DB_URL == "postgresql://h:5432/d"


def test_text_is_converted_and_a_wrong_value_is_told() -> None:
    """As in every other source."""
    app = service()
    app.config.PORT = "8001"
    assert (app.settings.port, app.config.PORT) == (8001, 8001)
    app = service()
    app.config.PORT = "80x"
    with pytest.raises(ConfigError, match=r"PORT='80x' \(app\.config\): allowed is"):
        _ = app.settings


def test_what_is_taken_away_again_does_not_count() -> None:
    """`del` and `pop` are a dict's, and leave Sanic's default to nobody."""
    app = service()
    app.config.PORT = 8001
    app.config.DB_URL = "sqlite:///a.db"
    del app.config["PORT"]
    app.config.pop("DB_URL")
    assert (app.settings.port, app.settings.db_url) == (8000, None)


def test_typed_settings_of_the_application_count_too() -> None:
    """A subclass of `Settings`."""

    class Shop(Settings, frozen=True, kw_only=True):
        stripe_key: str

    app = service(settings=Shop)
    app.config.STRIPE_KEY = "sk"
    assert app.settings.stripe_key == "sk"  # type: ignore[attr-defined]


def test_worker_processes_get_what_code_has_set() -> None:
    """A worker imports the program, and not what stands below ``if __name__ == "__main__"``."""
    app = service()
    app.config.update(REQUEST_MAX_SIZE=100_000_000, MAIL_HOST="mx")
    app.configure(port=1)
    assert app.settings_in_code == {"request_max_size": 100_000_000, "port": 1}


@pytest.mark.parametrize("name", ["DB_URL", "PORT", "CORS_ORIGINS"])
async def test_what_comes_too_late_is_told_once(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """After the settings were read: one line with the name, unless it is what they say."""
    app = service()
    app.config[name] = app.settings and app.config[name]
    assert caplog.records == []
    app.config[name] = OURS[name]
    app.config[name] = OURS[name]
    text = f"app.config.{name} was set after the settings were read, and does not count"
    assert [text in record.getMessage() for record in caplog.records] == [True]
    assert getattr(app.settings, name.lower()) != OURS[name]


async def test_limits_that_are_read_late_may_be_set_late(caplog: pytest.LogCaptureFixture) -> None:
    """The server reads them with its first connection: a listener may set them, without a word."""
    app = service()
    app.compile()

    @app.before_server_start
    async def set_up(app: Any) -> None:
        app.config.REQUEST_MAX_SIZE = 5

    @app.post("/")
    async def handler(request: Any) -> Any:
        return json_response(len(request.body))

    with caplog.at_level(logging.WARNING, "sanic_ms.service"):
        async with TestClient(app) as client:
            assert (await client.post("/", data=b"x" * 6)).status == 413
    assert not [record for record in caplog.records if record.name == "sanic_ms.service"]


def test_what_sanic_sets_by_itself_is_no_change(caplog: pytest.LogCaptureFixture) -> None:
    """Preparing with other arguments than the settings say."""
    app = service()
    app.compile()
    app.prepare(port=1, auto_reload=True, access_log=False, motd=False)
    assert "app.config" not in caplog.text


# --- the environment ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keywords", "prefix"), [({}, "SANIC_"), ({"env_prefix": "SHOP_"}, "SHOP_")]
)
def test_sanics_variables_count(
    keywords: dict[str, Any], prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With Sanic's default as their value, and for settings of ours; the bare name loses, ours
    with `SANIC_MS_` wins."""
    Path("settings.py").write_text("MAIL_HOST = 'other'\nPORT = 1\n")
    monkeypatch.setenv(f"{prefix}REQUEST_MAX_SIZE", "100000000")
    monkeypatch.setenv(f"{prefix}DB_URL", "sqlite:///orders.db")
    monkeypatch.setenv(f"{prefix}API_VERSION", "2.0")
    monkeypatch.setenv(f"{prefix}CORS_ORIGINS", "https://shop.example")
    monkeypatch.setenv(f"{prefix}MAIL_HOST", "mx")
    monkeypatch.setenv(f"{prefix}PORT", "8001")
    monkeypatch.setenv("PORT", "8002")
    monkeypatch.setenv(f"{prefix}KEEP_ALIVE_TIMEOUT", "8")
    monkeypatch.setenv("SANIC_MS_KEEP_ALIVE_TIMEOUT", "9")
    plain, app = bare(**keywords), service(**keywords)
    settings = app.settings
    assert settings.request_max_size == 100_000_000
    assert settings.db_url == "sqlite:///orders.db"
    assert settings.api_version == "2.0"
    assert settings.cors_origins == ["https://shop.example"]
    assert (settings.port, settings.keep_alive_timeout) == (8001, 9)
    assert app.loaded.sources["PORT"] == f"environment variable {prefix}PORT"
    for name in ("REQUEST_MAX_SIZE", "DB_URL", "MAIL_HOST", "PORT"):
        assert app.config[name] == plain.config[name], name


def test_code_wins_over_sanics_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Sanic, where the variables are read first."""
    monkeypatch.setenv("SANIC_REQUEST_MAX_SIZE", "5")
    plain, app = bare(), service()
    for each in (plain, app):
        each.config.REQUEST_MAX_SIZE = 100_000_000
    assert app.settings.request_max_size == plain.config.REQUEST_MAX_SIZE == 100_000_000


@pytest.mark.parametrize("prefix", [None, ""])
def test_without_a_prefix_there_are_no_such_variables(
    prefix: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`env_prefix=None` turns them off, as on Sanic; the bare names stay."""
    monkeypatch.setenv("SANIC_PORT", "8001")
    monkeypatch.setenv("SANIC_REQUEST_MAX_SIZE", "5")
    plain, app = bare(env_prefix=prefix), service(env_prefix=prefix)
    assert DEFAULT_CONFIG["REQUEST_MAX_SIZE"] == plain.config.REQUEST_MAX_SIZE
    assert (app.settings.port, app.settings.request_max_size) == (8000, 10_000_000)


# --- a configuration of the application's own -----------------------------------------------------


class Mail(Config):
    """With a setter, as Sanic's guide shows."""

    @property
    def MAIL(self) -> str:
        """What was set, in capitals."""
        return self._MAIL

    @MAIL.setter
    def MAIL(self, value: str) -> None:
        self._MAIL = value.upper()


def test_a_configuration_of_its_own_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The very object, with its class, its defaults, its variables and its setters."""
    monkeypatch.setenv("SHOP_PORT", "8001")
    monkeypatch.setenv("SANIC_PORT", "8002")
    for make in (bare, service):
        config = Mail(defaults={"DB_URL": "sqlite:///orders.db", "X": 1}, env_prefix="SHOP_")
        config.REQUEST_TIMEOUT = 5
        app = make(config=config)
        config.MAIL = "mx"
        app.config.REQUEST_MAX_SIZE = 100_000_000  # Sanic's default, and set all the same
        assert app.config is config
        assert isinstance(config, Mail)
        if isinstance(app, Service):
            settings = app.settings
            assert (settings.db_url, settings.port) == ("sqlite:///orders.db", 8001)
            assert (settings.request_timeout, settings.request_max_size) == (5, 100_000_000)
        assert (config.MAIL, config.X, config.PORT) == ("MX", 1, 8001)
        assert (config.REQUEST_TIMEOUT, config.REQUEST_MAX_SIZE) == (5, 100_000_000)


def test_a_configuration_may_take_the_place_of_the_first() -> None:
    """`app.config = …`, before anything has read it."""
    app = service()
    app.config = Mail(defaults={"PORT": 8001})
    app.config.REQUEST_TIMEOUT = 5
    assert (app.settings.port, app.settings.request_timeout) == (8001, 5)
    assert isinstance(app.config, Mail)


def test_one_configuration_for_two_services() -> None:
    """Both see what is set on it."""
    config = Config()
    one, two = service(config=config), service(config=config)
    config.REQUEST_MAX_SIZE = 100_000_000
    assert one.settings.request_max_size == two.settings.request_max_size == 100_000_000


@pytest.mark.parametrize(
    "clone", [copy.copy, copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))]
)
def test_a_copy_of_the_configuration_is_sanics(clone: Callable[[Any], Any]) -> None:
    """For another process, say: what is set on it is no setting of the service."""
    app = service(config=Mail())
    app.config.COLOUR = "red"
    copied = clone(app.config)
    assert type(copied) is Mail
    assert (copied.COLOUR, copied.keys()) == ("red", app.config.keys())
    copied.PORT = 1
    assert app.settings.port == 8000


# --- JSON -----------------------------------------------------------------------------------------


async def test_json_is_read_by_the_applications_function() -> None:
    """`loads=` gives `request.json`, of its application alone; what it raises is a 400."""

    def loads(body: bytes) -> Any:
        return {"own": json.loads(body)}

    async def handler(request: Any) -> Any:
        return json_response(request.json)

    found = []
    apps = [bare(loads=loads), service(loads=loads)]
    for app in apps:
        app.add_route(handler, "/", methods=["POST"])
        found.append(
            [
                (answer.status, answer.json if answer.status == 200 else None)
                for body in (b"[1]", b"no json", b"")
                for _, answer in [await app.asgi_client.post("/", content=body)]
            ]
        )
    assert found[0] == found[1] == [(200, {"own": [1]}), (400, None), (200, None)]

    other = service()
    other.add_route(handler, "/", methods=["POST"])
    async with TestClient(other) as client:
        assert (await client.post("/", data=b"[1]")).json == [1]


async def test_json_is_written_by_the_applications_function() -> None:
    """`dumps=` writes the responses that a handler makes; data is written by the framework."""

    def dumps(value: Any) -> str:
        return f"own {value}"

    async def response(request: Any) -> Any:
        return JSONResponse([1])

    plain, app = bare(dumps=dumps), service(dumps=dumps)
    for each in (plain, app):
        each.add_route(response, "/")
    _, first = await plain.asgi_client.get("/")

    @app.get("/data")
    async def data(request: Any) -> Any:
        return [1]

    async with TestClient(app) as client:
        assert (await client.get("/")).text == first.text == "own [1]"
        assert (await client.get("/data")).json["data"] == [1]
