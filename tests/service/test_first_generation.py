"""What a service says of settings of the first generation, and ``app.config`` before it starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sanic.config import Config
from tests.service.test_service import make

from sanic_ms.config import load_settings
from sanic_ms.exception import ConfigError
from sanic_ms.service.announcement import summarize
from sanic_ms.service.first_generation import old_settings


def lines(folder: Path, text: str) -> list[str]:
    """What is said of a settings module."""
    (folder / "settings.py").write_text(text)
    return list(old_settings("shop", load_settings(directory=folder, env={})))


def test_settings_that_do_nothing_are_named_with_what_to_write(tmp_path: Path) -> None:
    """One line for each, or for a group."""
    text = (
        "APP_ID = 'store'\nCONSUL_AGENT_PORT = 8500\nCONSUL_AGENT_HOST = 'consul'\n"
        "ACCESS_CONTROL_REQUEST_METHOD = 'x'\nSWAGGER = {'title': 'Shop', 'contact_email': 'a@b'}\n"
    )
    assert lines(tmp_path, text) == [
        "APP_ID='store' (settings.py) is not used: the service's name is the one in the program, "
        "Service('shop')",
        "CONSUL_AGENT_HOST, CONSUL_AGENT_PORT (settings.py): there is no Consul; name the other "
        "services in SERVICES, such as region_service=http://region:8050",
        "ACCESS_CONTROL_REQUEST_METHOD (settings.py): not used; the settings are CORS_…",
        "SWAGGER (settings.py): contact_email not used; used are title, version, description",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("APP_ID = 'shop'\nSWAGGER = {'title': 'Shop'}\nACCESS_CONTROL_ALLOW_ORIGIN = ''", []),
        ("PAGE_COUNT = 20", []),
        (
            "SWAGGER = 'Shop'",
            ["SWAGGER (settings.py) is not used: it is a table with title, version, description"],
        ),
    ],
    ids=["honoured", "own", "no table"],
)
def test_settings_that_are_honoured_are_not_named(
    tmp_path: Path, text: str, said: list[str]
) -> None:
    """Nobody is asked to change what works."""
    assert lines(tmp_path, text) == said


def test_a_file_is_named_once_as_a_source(tmp_path: Path) -> None:
    """Whatever names its settings have."""
    text = "PORT = 1\nACCESS_CONTROL_ALLOW_ORIGIN = '*'\nDB_CONFIG = {'database': 'shop'}\n"
    (tmp_path / "settings.py").write_text(text)
    facts = summarize(load_settings(directory=tmp_path, env={}), workers=1, traces="none")
    assert facts["settings"] == "settings.py"


def test_the_configuration_knows_the_settings_before_the_start(tmp_path: Path) -> None:
    """``app.run(port=app.config["PORT"])`` in the program itself; a name that is nowhere is an
    error as ever."""
    (tmp_path / "settings.py").write_text("PORT = '8040'\nCOLOUR = 'red'\n")
    app = make()
    assert "PORT" not in app.config
    assert (app.config["PORT"], app.config.COLOUR) == (8040, "red")
    for missing in ("NOTHING", "_nothing", "nothing"):
        with pytest.raises(KeyError, match=missing):
            app.config[missing]
        assert not hasattr(app.config, missing)
    app.config.COLOUR = "blue"
    assert (app.config.COLOUR, app.settings.port) == ("blue", 8040)


def test_a_wrong_setting_shows_where_the_configuration_is_asked(tmp_path: Path) -> None:
    """As a ConfigError with its one line."""
    (tmp_path / "settings.py").write_text("PORT = 'many'\n")
    with pytest.raises(ConfigError, match="PORT='many'"):
        make().config["PORT"]


@pytest.mark.parametrize(
    "options", [{"config": Config()}, {"env_prefix": "SHOP_"}], ids=["config", "prefix"]
)
def test_a_configuration_of_ones_own_stays(options: dict[str, Any]) -> None:
    """As in Sanic."""
    config = make(**options).config
    assert isinstance(config, Config)
    assert config is options.get("config", config)


TAGS = """
import asyncio
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sanic_ms import Service
from sanic_ms.testing import TestClient

memory = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(memory))
trace.set_tracer_provider(provider)
app = Service("shop")

@app.get("/")
async def root(request):
    span = request["span"]
    span.set_tag("parcel", 7).log_kv({"event": "weighed", "grams": 3})
    span.finish()
    span.set_attribute("later", True)
    with trace.use_span(span):
        assert trace.get_current_span().get_span_context() == span.get_span_context()
    return span.attributes["parcel"]

async def main():
    async with TestClient(app) as client:
        assert (await client.get("/")).json == {"code": 0, "data": 7}

asyncio.run(main())
(span,) = (span for span in memory.get_finished_spans() if span.name == "GET /")
assert span.attributes["later"] is True
(event,) = span.events
assert (event.name, dict(event.attributes)) == ("weighed", {"grams": 3})
print("good")
"""


def test_spans_of_another_provider_have_the_old_methods_too(tmp_path: Path) -> None:
    """``request["span"]`` of the official SDK: tags and events reach its span, which the server
    alone ends."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", TAGS], capture_output=True, text=True, cwd=tmp_path
    )
    assert (done.stdout.splitlines()[-1:], done.returncode) == (["good"], 0), done.stderr
