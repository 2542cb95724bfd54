"""The stop of a service in which shielded handlers run whose clients have gone."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]

ORDERS = """
import sys
from sanic_ms import doc

def say(text):
    sys.stdout.write(text + "\\n")

@app.get("/order")
@doc.shielded
async def order(request):
    say("order begins")
    try:
        await asyncio.sleep(float(request.args.get("s")))
        say("order confirmed")
    except asyncio.CancelledError:
        say("order cancelled")
        raise

@app.after_server_stop
async def told(app):
    say("listener told")
"""


def leave(server: Any, path: str) -> None:
    """Send a request, and close the connection once it is handled."""
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        server.wait_for("order begins")


@pytest.mark.parametrize("protocol", ["strict", "sanic"])
def test_a_shielded_handler_finishes_within_the_grace_period(
    run: Run, kit: Any, protocol: str
) -> None:
    """As a background task does: before the listeners that give resources back."""
    server = run(server=kit.SERVER + ORDERS, SERVER_PROTOCOL=protocol)
    server.wait_for("serves at")
    leave(server, "/order?s=1")
    kit.ask(server.port)  # by now it is known that the client has gone
    server.signal()
    assert server.end() == 0
    before, told, _ = server.output.partition("listener told")
    assert told
    assert "order confirmed" in before
    assert "cancelled" not in server.output


def test_one_that_takes_longer_is_cancelled_and_named(run: Run, kit: Any) -> None:
    """After the grace period, in one line that names the handler."""
    server = run(server=kit.SERVER + ORDERS, GRACEFUL_SHUTDOWN_TIMEOUT="0.5")
    server.wait_for("serves at")
    leave(server, "/order?s=100")
    kit.ask(server.port)
    server.signal()
    assert server.end() == 0
    assert "order cancelled" in server.output
    (line,) = [line for line in server.lines if "are cancelled" in line]
    assert "after 0.5 s are cancelled: order (" in line


def test_one_whose_client_waits_is_cut_as_any_other(run: Run, kit: Any) -> None:
    """A request in flight has the same grace period, and its client gets a response."""
    server = run(server=kit.SERVER + ORDERS, GRACEFUL_SHUTDOWN_TIMEOUT="0.5")
    server.wait_for("serves at")
    with socket.create_connection(("127.0.0.1", server.port), timeout=kit.LIMIT) as client:
        client.sendall(b"GET /order?s=100 HTTP/1.1\r\nHost: x\r\n\r\n")
        server.wait_for("order begins")
        server.signal()
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert b" 503 " in answer
    assert server.end() == 0
    assert "order cancelled" in server.output
