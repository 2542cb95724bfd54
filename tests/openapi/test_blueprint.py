"""The document and its page over HTTP."""

from __future__ import annotations

import hashlib
import html.parser
import importlib.resources
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urljoin

import httpx
import msgspec
import pytest
from sanic import Sanic

from sanic_ms.openapi import mount
from sanic_ms.values.route import route_spec

DOCUMENT = {"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": {}}
NUMBERS = itertools.count()

Get = Callable[..., Any]


@pytest.fixture
def get() -> Iterator[Get]:
    """``await get(path, headers)`` on an application with the two routes; options go to `mount`."""
    made: list[Sanic[Any, Any]] = []

    async def request(
        path: str, headers: Mapping[str, str] | None = None, method: str = "GET", **options: Any
    ) -> httpx.Response:
        if not made:
            app: Sanic[Any, Any] = Sanic(f"docs-{next(NUMBERS)}")
            made.append(app)
            options.setdefault("document", lambda: DOCUMENT)
            mount(app, **options)
        _, response = await made[0].asgi_client.request(method, path, headers=headers)
        found: httpx.Response = response
        return found

    yield request
    for app in made:
        Sanic.unregister_app(app)


class _Links(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.inline: list[str] = []
        self.spec = ""
        self._script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in ("script", "link"):
            self.links.append(values.get("src") or values.get("href") or "")
        self.spec = values.get("data-spec") or self.spec
        self._script = tag == "script"
        self.inline += [name for name, _ in attrs if name.startswith("on") or name == "style"]

    def handle_data(self, data: str) -> None:
        if self._script and data.strip():
            self.inline.append(data)


def links_of(page: httpx.Response) -> _Links:
    parser = _Links()
    parser.feed(page.text)
    return parser


async def test_the_document_is_built_once_when_it_is_first_asked_for(get: Get) -> None:
    """Not when it is mounted, and not again."""
    calls: list[int] = []

    def document() -> dict[str, Any]:
        calls.append(1)
        return DOCUMENT

    first = await get("/openapi/spec.json", document=document)
    await get("/openapi/spec.json")
    await get("/docs")
    assert msgspec.json.decode(first.content) == DOCUMENT
    assert first.headers["content-type"] == "application/json"
    assert calls == [1]


async def test_a_document_that_is_json_already_is_sent_as_it_is(get: Get) -> None:
    """Bytes pass unchanged."""
    body = b'{"openapi":"3.1.0"}'
    assert (await get("/spec", spec_path="/spec", document=lambda: body)).content == body


async def test_a_document_that_cannot_be_built_is_an_error_each_time(get: Get) -> None:
    """A failure is not kept as if it were an answer."""

    def broken() -> dict[str, Any]:
        raise TypeError("no shape")

    for _ in range(2):
        assert (await get("/openapi/spec.json", document=broken)).status_code == 500


@pytest.mark.parametrize("path", ["/openapi/spec.json", "/docs", "/docs/swagger-ui.css"])
async def test_what_the_browser_has_is_not_sent_again(get: Get, path: str) -> None:
    """304 for the known ETag, also among others and marked as weak."""
    first = await get(path)
    etag = first.headers["etag"]
    assert hashlib.sha256(first.content).hexdigest().startswith(etag.strip('"'))
    for known in (etag, f'"other", W/{etag}', "*"):
        again = await get(path, {"if-none-match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == etag
    assert (await get(path, {"if-none-match": '"other"'})).status_code == 200


async def test_head_is_answered(get: Get) -> None:
    """Health checks and crawlers ask so."""
    assert (await get("/docs", method="HEAD")).status_code == 200


@pytest.mark.parametrize("page", ["/docs", "/docs/"])
async def test_the_page_and_all_its_files_are_there(get: Get, page: str) -> None:
    """With and without a slash at the end; each file under the hash of what is in it, for ever."""
    response = await get(page)
    links = links_of(response)
    assert response.headers["content-type"].startswith("text/html")
    assert msgspec.json.decode((await get(urljoin(page, links.spec))).content) == DOCUMENT
    assert len(links.links) == 5
    for link in links.links:
        file = await get(urljoin(page, link))
        assert file.status_code == 200, link
        assert "immutable" in file.headers["cache-control"]
        assert file.headers["x-content-type-options"] == "nosniff"
        old = await get(urljoin(page, link.partition("?")[0]), {}, "GET")
        assert old.headers["cache-control"] == "no-cache"


async def test_the_page_needs_nothing_from_elsewhere_and_has_nothing_inline(get: Get) -> None:
    """A strict policy holds: scripts and styles from this service only."""
    response = await get("/docs")
    links = links_of(response)
    assert links.inline == []
    assert not any("//" in link for link in [*links.links, links.spec])
    policy = dict(
        part.strip().split(" ", 1)
        for part in response.headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    init = (await get("/docs/init.js")).text
    assert "validatorUrl: null" in init


async def test_the_page_works_below_a_prefix_that_a_proxy_cuts_off(get: Get) -> None:
    """Its addresses are relative."""
    links = links_of(await get("/docs"))
    seen_by_browser = urljoin("https://example.com/users/docs", links.spec)
    assert seen_by_browser == "https://example.com/users/openapi/spec.json"
    asset = urljoin("https://example.com/users/docs", links.links[0])
    assert asset.startswith("https://example.com/users/docs/")


async def test_other_paths_are_possible(get: Get) -> None:
    """Deeper ones, and ones with a slash at the end."""
    options = {"spec_path": "/api/v1/openapi.json", "docs_path": "/api/docs/"}
    links = links_of(await get("/api/docs/", **options))
    assert (await get(urljoin("/api/docs/", links.spec))).status_code == 200
    for link in links.links:
        assert (await get(urljoin("/api/docs/", link))).status_code == 200


async def test_the_title_is_text(get: Get) -> None:
    """Markup in it is shown, and not obeyed."""
    page = (await get("/docs", title="<script>alert(1)</script>")).text
    assert "<title>&lt;script&gt;alert(1)&lt;/script&gt;</title>" in page


async def test_servers_of_the_document_may_be_tried_out(get: Get) -> None:
    """Their origins stand in the policy; what is not an origin cannot add to it."""
    servers = [
        {"url": "https://user:secret@api.example.com:8443/v1"},
        {"url": "/relative"},
        {"url": "https://evil.example; script-src *"},
        {"url": "https://{tenant}.example.com"},
        {"url": "javascript://x"},
    ]
    response = await get("/docs", document=lambda: {**DOCUMENT, "servers": servers})
    policy = response.headers["content-security-policy"]
    assert "connect-src 'self' https://api.example.com:8443;" in policy
    assert "evil" not in policy
    assert "secret" not in policy


@pytest.mark.parametrize(
    "file", ["LICENSE", "README.md", "..%2f__init__.py", "nothing.js", "%2e%2e/blueprint.py"]
)
async def test_no_other_file_is_served(get: Get, file: str) -> None:
    """The list of files is fixed."""
    assert (await get(f"/docs/{file}")).status_code == 404


async def test_the_routes_are_not_in_the_document() -> None:
    """They are not part of the service's API."""
    app: Sanic[Any, Any] = Sanic(f"docs-{next(NUMBERS)}")
    mount(app, document=lambda: DOCUMENT)
    assert all(route_spec(route.handler).hidden for route in app.router.routes)
    Sanic.unregister_app(app)


def test_swagger_ui_comes_with_its_licence() -> None:
    """Version, origin and licence stand beside the files."""
    assets = importlib.resources.files("sanic_ms.openapi") / "assets"
    assert "Apache License" in (assets / "LICENSE").read_text()
    assert "SmartBear" in (assets / "NOTICE").read_text()
    assert "Swagger UI 5.35.0" in (assets / "README.md").read_text()
    assert b"5.35.0" in (assets / "swagger-ui-bundle.js").read_bytes()
