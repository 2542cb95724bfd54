"""The intended differences from bare Sanic are those that the page says, and can be turned off."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
from sanic import HTTPResponse, Request, text
from sanic.config import DEFAULT_CONFIG
from sanic.exceptions import NotFound
from sanic.handlers import ErrorHandler
from tests.compat.comparison import Differs, ask, replies_of
from tests.compat.conftest import make_bare, service_maker

from sanic_ms import Service
from sanic_ms.config import Settings

PAGE = Path(__file__).parents[2] / "docs" / "moving-from-sanic.md"


def test_the_page_has_every_default_that_differs() -> None:
    """The table of defaults holds each setting of Sanic's that a service has with another default,
    with both values."""
    sanics = {**DEFAULT_CONFIG, "AUTO_EXTEND": True}  # which is off for the tests
    expected = {}
    for setting in msgspec.structs.fields(Settings):
        name = setting.name.upper()
        if name in sanics and setting.default != sanics[name]:
            expected[name] = (_shown(sanics[name]), _shown(setting.default))
    rows = re.findall(r"^\| `([A-Z_]+)` \| `(\w+)` \| `(\w+)` \|$", PAGE.read_text(), re.MULTILINE)
    assert {name: (theirs, ours) for name, theirs, ours in rows} == expected


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(int(value))


def test_the_page_names_each_difference() -> None:
    """What the suite lets differ stands on the page, in its own words."""
    words = {
        Differs.ERROR: "Errors that the application does not handle are in the envelope",
        Differs.DATA: "a dict, a list or None that a handler returns is an error",
        Differs.ALLOW: "A 405 names every method of the path",
        Differs.DECODED: "it is decoded (`é`) where the parameter has an annotation",
        Differs.FORM: "a form that is malformed is empty",
        Differs.FOLDER: "a static folder without a page of its own is 500",
    }
    assert {*words} == {*Differs} - {Differs.NOTHING}
    page = " ".join(PAGE.read_text().split())
    assert [line for line in words.values() if line not in page] == []


async def test_headers_of_every_response() -> None:
    """A service adds headers for safety, and an empty ``RESPONSE_HEADERS`` has none."""

    async def names(app: Any) -> set[str]:
        @app.get("/")
        async def handler(request: Request) -> HTTPResponse:
            return text("")

        [[reply]] = await replies_of(app, [ask("GET", "/")])
        return {name for name, _ in reply.headers} - {"alt-svc"}

    usual = await names(make_bare("one"))
    service = Service("two", configure_logging=False)
    added = await names(service) - usual
    assert added == {
        "cache-control",
        "content-security-policy",
        "x-content-type-options",
        "x-frame-options",
    }
    assert await names(service_maker("fast-path")("three")) == usual


async def test_sanics_errors_can_be_had() -> None:
    """An `ErrorHandler` of the application's own has Sanic's pages, to the byte."""

    class SanicErrors(ErrorHandler):
        """Sanic's own."""

    def build(app: Any) -> Any:
        app.config.FALLBACK_ERROR_FORMAT = "json"

        @app.get("/")
        async def handler(request: Request) -> HTTPResponse:
            raise NotFound("no such thing")

        return app

    asks = [ask("GET", "/"), ask("GET", "/nowhere"), ask("POST", "/")]
    bare = await replies_of(build(make_bare("one")), asks)
    service = service_maker("fast-path")("two", error_handler=SanicErrors())
    ours = await replies_of(build(service), asks)
    assert [x.compared() for [x] in ours] == [x.compared() for [x] in bare]
