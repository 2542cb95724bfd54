"""Limits of a request that are settings: each refuses with its status, under each server."""

from __future__ import annotations

import io
import uuid
from typing import Any

import aiohttp
from tests.calls import call, call_asgi

from sanic_ms import Service, Settings, doc


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


async def test_forms_have_limits() -> None:
    """Parts and size of a field: 413 in the envelope; below them the form is read."""
    app = make(request_max_form_parts=2, request_max_form_field_size=5)
    assert (await call(app, "post", "/form", data={"a": 1, "b": 2})).json["data"] == ["a", "b"]
    answer = await call(app, "post", "/form", data={"a": 1, "b": 2, "c": 3})
    assert (answer.status, answer.json["code"]) == (413, 10413)
    answer = await call(app, "post", "/declared", data={"a": 1, "b": 2, "c": 3})
    assert answer.status == 413
    form = aiohttp.FormData({"a": "123456"}, default_to_multipart=True)
    assert (await call(app, "post", "/form", data=form)).status == 413
    file = io.BytesIO(b"x" * 100)
    assert (await call(app, "post", "/form", data={"f": file})).json["data"] == []


async def test_a_form_that_cannot_be_read_is_400() -> None:
    """Not an empty one."""
    headers = {"content-type": "multipart/form-data"}
    answer = await call(make(), "post", "/form", data=b"nonsense", headers=headers)
    error = "the body is not multipart/form-data: its Content-Type has no lawful boundary"
    assert (answer.status, answer.json["error"]) == (400, error)


async def test_thousands_of_parameters_and_cookies_are_read() -> None:
    """Under an ASGI server. Ours bounds their number by REQUEST_MAX_HEADER_SIZE, 8 KiB."""
    query = "&".join(f"a{n}={n}" for n in range(4000))
    cookies = "; ".join(f"c{n}={n}" for n in range(2000))
    answer = await call_asgi(make(), "get", f"/query?{query}", headers={"Cookie": cookies})
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
