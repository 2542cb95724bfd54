"""What a service says of itself when it serves."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from sanic_ms.config import Settings, load_settings
from sanic_ms.service.announcement import say, summarize
from sanic_ms.telemetry.logging.format import JSONFormatter, TextFormatter

SECRET = "hunter2"


def test_the_facts_name_sources_and_hide_secrets(tmp_path: Path) -> None:
    """Each kind of source once, and addresses without their passwords."""
    (tmp_path / "settings.py").write_text("DEBUG = True\nAUTO_RELOAD = True\n")
    (tmp_path / ".env").write_text(f"DB_URL=postgresql://app:{SECRET}@db/users\nAPI_VERSION=2.1\n")
    loaded = load_settings(
        Settings,
        directory=tmp_path,
        env={"ZIPKIN_SERVER": f"http://ann:{SECRET}@zipkin:9411", "PORT": "1"},
        keywords={"databases": {"stats": f"mysql://app:{SECRET}@db/stats"}},
    )
    facts = summarize(loaded, workers=4, traces="zipkin")
    assert SECRET not in str(facts)
    assert facts == {
        "version": "2.1",
        "mode": "development, debug, auto_reload",
        "workers": 4,
        "settings": ".env, code, environment, settings.py",
        "database": facts["database"],
        "traces": "zipkin http://ann:***@zipkin:9411",
    }
    assert str(facts["database"]).startswith("postgresql://app:***@db")
    assert ", stats mysql://app:***@db" in str(facts["database"])


def test_an_exporter_of_otlp_is_named_and_nothing_is_too(tmp_path: Path) -> None:
    """Without settings there are defaults, no database and no traces."""
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}
    facts = summarize(load_settings(directory=tmp_path, env=env), workers=1, traces="otlp")
    assert facts["traces"] == "otlp http://collector:4318"
    bare = summarize(load_settings(directory=tmp_path, env={}), workers=1, traces="none")
    assert (bare["settings"], bare["database"], bare["traces"]) == ("defaults", "none", "none")


@pytest.mark.parametrize("form", [TextFormatter, JSONFormatter])
def test_people_read_rows_and_machines_one_line(
    form: type[logging.Formatter], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A row for each fact on a terminal; one line with a field for each elsewhere."""
    monkeypatch.setattr(caplog.handler, "formatter", form())
    logger = logging.getLogger("sanic_ms.service")
    monkeypatch.setattr(logger, "handlers", [caplog.handler])
    monkeypatch.setattr(logger, "propagate", False)
    caplog.set_level(logging.INFO, logger="sanic_ms.service")
    say("shop", "http://127.0.0.1:8000", {"docs": "/docs", "version": "1.0", "workers": 2})
    first, *rows = caplog.records
    assert first.getMessage() == "shop 1.0 serves at http://127.0.0.1:8000"
    if form is JSONFormatter:
        assert rows == []
        assert (first.__dict__["docs"], first.__dict__["workers"]) == ("/docs", 2)
    else:
        assert rows[0].getMessage() == "  docs      /docs"
        assert rows[1].getMessage().startswith("  workers   2, pid ")
        assert len(rows) == 2
