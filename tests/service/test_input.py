"""The rules of input over a socket: on the fast path and on the full one they are the same."""

from __future__ import annotations

import json
import socket
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from sanic_ms import Service, doc
from sanic_ms.testing import LiveServer


@pytest.fixture(params=["fast path", "full path"])
def server(request: pytest.FixtureRequest) -> Iterator[LiveServer]:
    """A service whose routes read every part of a request."""
    app = Service(f"input-{uuid.uuid4().hex}")
    if request.param == "full path":

        @app.on_request
        async def look(request: Any) -> None: ...

    @app.post("/body")
    @doc.consumes({"amount": Decimal, "n": int})
    async def body(request: Any) -> Any:
        return [str(request["data"]["amount"]), request["data"]["n"]]

    @app.get("/query")
    async def query(request: Any, q: int | None = 7, name: str = "", ratio: float = 0.0) -> Any:
        return [q, name, ratio]

    @app.get("/path/<name>")
    async def path(request: Any, name: str) -> Any:
        return name

    with LiveServer(app) as server:
        yield server


def send(server: LiveServer, line: bytes, content: bytes = b"") -> tuple[int, Any]:
    """Status and body of the answer to one request, sent byte by byte as it stands."""
    head = line + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    head += b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(content)
    with socket.create_connection((server.host, server.port), timeout=10) as connection:
        connection.sendall(head + content)
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    start, _, document = answer.partition(b"\r\n\r\n")
    return int(start.split()[1]), json.loads(document)


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (b'{"amount":"NaN","n":1.0}', {"amount": "finite_number"}),
        (b'{"amount":1e1000000,"n":1.0}', {"amount": "out_of_range"}),
        (b'{"amount":"Infinity","n":"x"}', {"amount": "finite_number", "n": "int_type"}),
        (b'{"n":1.0}', {"amount": "missing"}),
    ],
)
def test_wrong_numbers_of_a_body_are_named(
    server: LiveServer, content: bytes, wrong: dict[str, str]
) -> None:
    """422 with every wrong field; the service goes on."""
    status, answer = send(server, b"POST /body", content)
    assert status == 422
    assert {entry["field"]: entry["type"] for entry in answer["errors"]} == wrong
    assert send(server, b"POST /body", b'{"amount":1.50,"n":1.0}') == (
        200,
        {"code": 0, "data": ["1.50", 1]},
    )


@pytest.mark.parametrize(
    ("target", "status", "shown"),
    [
        (b"/query?q=", 200, [None, "", 0.0]),
        (b"/query", 200, [7, "", 0.0]),
        (b"/query?name=%C3%A9", 200, [7, "é", 0.0]),
        (b"/query?name=%E9", 400, "the query string is not UTF-8"),
        (b"/query?ratio=nan", 422, "1 field is not valid"),
        (b"/path/%E9", 400, "the path is not UTF-8"),
        (b"/path/caf%C3%A9", 200, "café"),
    ],
)
def test_text_is_read_alike_in_every_part(
    server: LiveServer, target: bytes, status: int, shown: Any
) -> None:
    """What is empty, not UTF-8 or no number has one meaning."""
    got, answer = send(server, b"GET " + target)
    assert (got, answer.get("data", answer.get("error"))) == (status, shown)
