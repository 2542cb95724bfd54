"""The rules of input over a socket: on the fast path and on the full one they are the same."""

from __future__ import annotations

import json
import socket
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import peewee as pw
import pytest
from tests.paths import take_full_path

from sanic_ms import Service, doc
from sanic_ms.testing import LiveServer


@pytest.fixture(params=["fast path", "full path"])
def server(request: pytest.FixtureRequest) -> Iterator[LiveServer]:
    """A service whose routes read every part of a request."""
    app = Service(f"input-{uuid.uuid4().hex}")
    if request.param == "full path":
        take_full_path(app)

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


class Price(pw.Model):
    """Five digits before the point, and a column that is the server's."""

    amount = pw.DecimalField(max_digits=7, decimal_places=2)
    role = pw.CharField(default="user")


def test_a_body_that_is_taken_fits_into_its_columns(any_database_url: str) -> None:
    """On every database: the largest amount is stored, a larger one is the caller's error and never
    the database's, and a column that the route does not name keeps its default."""
    table = f"prices_{uuid.uuid4().hex}"
    model: Any = type("Price", (Price,), {"Meta": type("Meta", (), {"table_name": table})})
    app = Service(f"input-{uuid.uuid4().hex}")
    app.configure(db_url=any_database_url, db_min_size=1)

    @app.after_server_start
    async def create(app: Any) -> None:
        await app.db.execute(
            f"CREATE TABLE {table}(id INTEGER, amount DECIMAL(7, 2), role VARCHAR(9))"
        )

    @app.before_server_stop
    async def drop(app: Any) -> None:
        await app.db.execute(f"DROP TABLE {table}")

    @app.post("/prices")
    @doc.consumes(model)
    async def add(request: Any) -> Any:
        values = {"id": 1, **request["data"]}
        await request.app.db.execute(model.insert(values))
        return values

    @app.get("/prices")
    async def show(request: Any) -> Any:
        return await request.app.db.fetch(f"SELECT amount, role FROM {table} ORDER BY amount")

    with LiveServer(app) as server:
        for amount, status in (
            (b'"99999.994"', 200),
            (b"-99999.994", 200),
            (b'"99999.995"', 422),
            (b'"1e5"', 422),
            (b'"NaN"', 422),
            (b'"Infinity"', 422),
            (b'"1e1000000"', 422),
        ):
            content = b'{"id":7,"role":"root","amount":%b}' % amount
            got, answer = send(server, b"POST /prices", content)
            assert got == status, (amount, answer)
        rows = send(server, b"GET /prices")[1]["data"]
    stored = [(round(Decimal(str(row["amount"])), 2), row["role"]) for row in rows]
    assert stored == [(Decimal("-99999.99"), "user"), (Decimal("99999.99"), "user")]
