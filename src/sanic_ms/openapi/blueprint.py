"""The two routes of the document: itself, and the page that shows it. All from memory, and nothing
from the internet."""

from __future__ import annotations

import hashlib
import html
import importlib.resources
import posixpath
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
from sanic import HTTPResponse, Request, Sanic

from sanic_ms.shapes import ENCODER
from sanic_ms.values.route import route_spec

__all__ = ["asset_paths", "mount"]

_TYPES = {
    "favicon-32x32.png": "image/png",
    "init.js": "text/javascript; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
}

# Swagger UI draws icons from data: URLs and sends "Try it out" to the servers of the document.
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'{servers}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" type="image/png" href="{favicon}">
<link rel="stylesheet" href="{css}">
<link rel="stylesheet" href="{page_css}">
</head>
<body>
<div id="swagger-ui" data-spec="{spec}"></div>
<noscript>This page needs JavaScript. The document itself is <a href="{spec}">here</a>.</noscript>
<script src="{bundle}"></script>
<script src="{init}"></script>
</body>
</html>
"""


Handler = Callable[..., Any]


class _Asset(NamedTuple):
    body: bytes
    etag: str


def mount(
    app: Sanic[Any, Any],
    *,
    spec_path: str = "/openapi/spec.json",
    docs_path: str = "/docs",
    document: Callable[[], bytes | Mapping[str, Any]],
    title: str | None = None,
    protect: Callable[[Handler], Handler] = lambda handler: handler,
    with_spec: bool = True,
    with_docs: bool = True,
) -> None:
    """Serve the document and its page. Neither stands in the document itself.

    Args:
        app: The application.
        spec_path: Where the document is.
        docs_path: Where the page is; its files stand below.
        document: Gives the document, as JSON or as what becomes JSON. Called once, when somebody
            first asks for it.
        title: The page's title; default the application's name.
        protect: Wraps each handler, to let only some in. Default: everybody is let in.
        with_spec, with_docs: Whether the document and the page are served.
    """
    site = _Site(spec_path, docs_path, document, app.name if title is None else title)
    served = [(site.spec, spec_path, "openapi_spec")] if with_spec else []
    if with_docs:
        served.append((site.page, docs_path, "openapi_docs"))
        # A route without a parameter comes before every route of the application that has one.
        for file, path in zip(_TYPES, asset_paths(docs_path), strict=True):
            served.append((site.asset(file), path, f"openapi_asset.{file}"))
    for handler, path, name in served:
        app.add_route(protect(handler), path, methods=["GET", "HEAD"], name=f"sanic_ms.{name}")


def asset_paths(docs_path: str) -> list[str]:
    """Where the files of the page are."""
    return [f"{docs_path.rstrip('/')}/{file}" for file in _TYPES]


class _Site:
    """What is served. Everything is made when it is first asked for, and kept."""

    def __init__(
        self,
        spec_path: str,
        docs_path: str,
        document: Callable[[], bytes | Mapping[str, Any]],
        title: str,
    ) -> None:
        self._spec_path = spec_path
        self._docs_path = docs_path
        self._document = document
        self._title = title
        self._files: dict[str, _Asset] = {}
        self._servers = ""

        async def spec(request: Request) -> HTTPResponse:
            return _answer(request, self._spec(), "application/json", "no-cache")

        async def page(request: Request) -> HTTPResponse:
            file = self._page(request.path)
            response = _answer(request, file, "text/html; charset=utf-8", "no-cache")
            response.headers["content-security-policy"] = _CSP.format(servers=self._servers)
            response.headers["referrer-policy"] = "no-referrer"
            return response

        self.spec, self.page = _hidden(spec), _hidden(page)

    def asset(self, name: str) -> Handler:
        """The handler of one of the page's files."""

        async def asset(request: Request) -> HTTPResponse:
            # The page asks for a file with its hash; what is under that address never changes.
            file = self._asset(name)
            pinned = request.query_string == f"v={file.etag[1:-1]}"
            cache = "public, max-age=31536000, immutable" if pinned else "no-cache"
            return _answer(request, file, _TYPES[name], cache)

        return _hidden(asset)

    def _spec(self) -> _Asset:
        if "spec" not in self._files:
            document = self._document()
            body = document if isinstance(document, bytes) else ENCODER.encode(document)
            self._servers = "".join(f" {origin}" for origin in _origins(body))
            self._files["spec"] = _file(body)
        return self._files["spec"]

    def _page(self, path: str) -> _Asset:
        # Relative addresses, so that the page works behind a proxy that cuts a prefix off. They
        # differ with a slash at the end of the page's own.
        slash = path.endswith("/")
        key = "page/" if slash else "page"
        if key not in self._files:
            self._spec()
            here = self._docs_path.rstrip("/") + ("/" if slash else "")
            folder = posixpath.dirname(here) or "/"

            def link(target: str) -> str:
                return html.escape(posixpath.relpath(target, folder))

            def asset(name: str) -> str:
                target = f"{self._docs_path.rstrip('/')}/{name}"
                return f"{link(target)}?v={self._asset(name).etag[1:-1]}"

            self._files[key] = _file(
                _PAGE.format(
                    title=html.escape(self._title),
                    spec=link(self._spec_path),
                    css=asset("swagger-ui.css"),
                    page_css=asset("page.css"),
                    favicon=asset("favicon-32x32.png"),
                    bundle=asset("swagger-ui-bundle.js"),
                    init=asset("init.js"),
                ).encode()
            )
        return self._files[key]

    def _asset(self, name: str) -> _Asset:
        if name not in self._files:
            folder = importlib.resources.files("sanic_ms.openapi") / "assets"
            self._files[name] = _file((folder / name).read_bytes())
        return self._files[name]


def _hidden(handler: Handler) -> Handler:
    spec = route_spec(handler)
    spec.hidden, spec.security = True, []
    return handler


def _file(body: bytes) -> _Asset:
    return _Asset(body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')


def _origins(body: bytes) -> list[str]:
    """The origins of the document's servers, as far as they are whole URLs without variables."""
    origins = []
    for server in msgspec.json.decode(body).get("servers", ()):
        parts = urlsplit(server["url"])
        # What goes into a header is checked by its letters: a document is not always our own.
        host = parts.netloc.rpartition("@")[2]
        if parts.scheme in ("http", "https") and host.isascii() and _is_host(host):
            origins.append(f"{parts.scheme}://{host}")
    return sorted(set(origins))


def _is_host(text: str) -> bool:
    return bool(text) and all(letter.isalnum() or letter in ".-:[]" for letter in text)


def _answer(request: Request, file: _Asset, content_type: str, cache: str) -> HTTPResponse:
    headers = {
        "etag": file.etag,
        "cache-control": cache,
        "x-content-type-options": "nosniff",
    }
    known = request.headers.get("if-none-match", "")
    tags = {tag.strip().removeprefix("W/") for tag in known.split(",")}
    if file.etag in tags or "*" in tags:
        return HTTPResponse(status=304, headers=headers)
    return HTTPResponse(file.body, headers=headers, content_type=content_type)
