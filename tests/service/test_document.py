"""What a service says of itself in its document: servers and security schemes."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from sanic_ms import Service, doc
from sanic_ms.exception import LifecycleError
from sanic_ms.testing import TestClient

KEY = {"type": "apiKey", "in": "header", "name": "X-Key"}


pytestmark = pytest.mark.usefixtures("empty_folder")


def made(name: str, **keywords: Any) -> Service:
    """A service with one route for those with a key, and one that says nothing."""
    app = Service(name, configure_logging=False, **keywords)

    @app.get("/locked", name="locked")
    @doc.security({"key": []})
    async def locked(request: Any) -> int:
        return 1

    @app.get("/other", name="other")
    async def other(request: Any) -> int:
        return 2

    return app


async def test_schemes_and_servers_stand_in_the_document() -> None:
    """As they were given; the document is served and what was given is unchanged."""
    schemes = {"key": KEY}
    app = made("declared", security_schemes=schemes, servers=["https://api.example.com/v1"])
    async with TestClient(app) as client:
        answer = await client.get("/openapi/spec.json")
        page = await client.get("/docs")
    assert page.status == 200
    document = answer.json
    assert document["components"]["securitySchemes"] == {"key": KEY}
    assert document["servers"] == [{"url": "https://api.example.com/v1"}]
    assert document["paths"]["/locked"]["get"]["security"] == [{"key": []}]
    assert "security" not in document["paths"]["/other"]["get"]
    assert schemes == {"key": {"type": "apiKey", "in": "header", "name": "X-Key"}}


@pytest.mark.parametrize(
    ("keywords", "line"),
    [
        ({}, "GET /locked asks for the security scheme 'key', which is not declared"),
        (
            {"security_schemes": {"key": KEY}, "security": [{"oauth": ["read"]}]},
            "security= asks for the security scheme 'oauth', which is not declared",
        ),
    ],
)
async def test_a_scheme_that_nobody_declared_stops_the_start(
    keywords: dict[str, Any], line: str
) -> None:
    """And not the first reader of the document."""
    app = made(f"undeclared{len(keywords)}", **keywords)
    with pytest.raises(LifecycleError, match=line) as error:
        app.compile()
    assert "(known: basic, bearer" in str(error.value)
    with pytest.raises(LifecycleError, match=line):
        async with TestClient(app):
            pass


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"servers": "https://api.example.com"}, "servers='https://api.example.com': write a list"),
        ({"servers": [None]}, "None is no URL"),
        ({"servers": [{"description": "x"}]}, "is no URL, and no mapping with a url"),
        ({"security_schemes": ["key"]}, "security_schemes="),
        ({"security_schemes": {"key": "apiKey"}}, "write it as OpenAPI does"),
        ({"security_schemes": {"key": {}}}, "write it as OpenAPI does"),
        ({"security": {"key": []}}, "write a list"),
        ({"security": ["key"]}, "'key' is no {scheme: \\[scopes\\]}"),
        ({"security": [{"key": "read"}]}, "is no {scheme: \\[scopes\\]}"),
    ],
)
def test_what_openapi_does_not_write_is_refused(keywords: dict[str, Any], message: str) -> None:
    """When the service is made, with the way to write it."""
    name = f"wrong-{uuid.uuid4().hex}"
    with pytest.raises(TypeError, match=message):
        Service(name, configure_logging=False, **keywords)
    Service(name, configure_logging=False)  # nothing of it was kept: the name is free
