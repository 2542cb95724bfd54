"""Limits of a request that are settings: each refuses with its status, under each server."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest
from sanic import Sanic

from sanic_ms import Service, Settings, doc


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings but those of the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Sanic, "test_mode", True)


def make(**settings: Any) -> Service:
    """A service that reads forms, queries and cookies."""
    app = Service(f"service_{uuid.uuid4().hex}", configure_logging=False)
    app.configure(**settings)

    @app.post("/form")
    async def form(request: Any) -> Any:
        return sorted(request.form)

    @app.post("/declared")
    @doc.consumes({"a": int}, content_type="application/x-www-form-urlencoded")
    async def declared(request: Any) -> Any:
        return request["data"]

    @app.get("/query")
    async def query(request: Any) -> Any:
        return [len(request.args), len(request.cookies)]

    return app


async def call(app: Service, method: str, path: str, **keywords: Any) -> Any:
    """One request; the service starts and stops around it."""
    _, answer = await getattr(app.asgi_client, method)(path, **keywords)
    return answer


async def test_forms_have_limits() -> None:
    """Parts and size of a field: 413 in the envelope; below them the form is read."""
    app = make(request_max_form_parts=2, request_max_form_field_size=5)
    assert (await call(app, "post", "/form", data={"a": 1, "b": 2})).json["data"] == ["a", "b"]
    answer = await call(app, "post", "/form", data={"a": 1, "b": 2, "c": 3})
    assert (answer.status, answer.json["code"]) == (413, 10413)
    answer = await call(app, "post", "/declared", data={"a": 1, "b": 2, "c": 3})
    assert answer.status == 413
    files = [("a", (None, b"123456"))]
    assert (await call(app, "post", "/form", files=files)).status == 413
    assert (await call(app, "post", "/form", files=[("f", b"x" * 100)])).json["data"] == []


async def test_a_form_that_cannot_be_read_is_400() -> None:
    """Not an empty one."""
    headers = {"content-type": "multipart/form-data"}
    answer = await call(make(), "post", "/form", content=b"nonsense", headers=headers)
    assert (answer.status, answer.json["error"]) == (400, "the body is not multipart/form-data")


async def test_thousands_of_parameters_and_cookies_are_read() -> None:
    """Their number is bounded by REQUEST_MAX_HEADER_SIZE, 8 KiB under our protocol."""
    query = "&".join(f"a{n}={n}" for n in range(4000))
    cookies = "; ".join(f"c{n}={n}" for n in range(2000))
    answer = await call(make(), "get", f"/query?{query}", headers={"Cookie": cookies})
    assert answer.json["data"] == [4000, 2000]


def test_the_limits_of_the_server_are_settings() -> None:
    """The defaults that keep one client from taking what belongs to all."""
    settings = Settings()
    assert settings.request_max_size == 10_000_000
    assert settings.request_max_headers == 100
    assert settings.request_max_header_size == 8192
    assert settings.request_body_timeout == 60
    assert settings.max_connections == 10_000
    app = make(request_max_size=1, max_connections=7)
    assert app.settings.max_connections == app.config.MAX_CONNECTIONS == 7
