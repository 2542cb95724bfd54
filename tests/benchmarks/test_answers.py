"""A wrong answer is found before anything is timed."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from benchmarks.answers import Answer, WrongAnswer, check, judge
from benchmarks.cases import CASES, NEW_PERSON, WRONG, Probe
from benchmarks.connections import HeldConnections

ROW = {"id": 7, "name": "person 7"}
PROBE = Probe("/row/7", ROW)
GOOD = b'{"id":7,"name":"person 7"}'


def answer(body: bytes = GOOD, status: int = 200, kind: str = "application/json") -> Answer:
    return Answer(status, kind, body, len(body) + 60)


def test_the_right_answer_passes() -> None:
    """Bare, in the envelope, as text, and with a charset behind the type."""
    judge(PROBE, answer(), enveloped=False)
    judge(PROBE, answer(b'{"code":0,"data":%s}' % GOOD), enveloped=True)
    judge(Probe("/plain", "hi"), answer(b"hi", kind="text/plain; charset=utf-8"), enveloped=True)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (answer(status=500), "status 500"),
        (answer(status=204, body=b""), "status 204"),
        (answer(b'{"id":8,"name":"person 7"}'), "instead of"),
        (answer(b'{"id":"7","name":"person 7"}'), "instead of"),
        (answer(b'{"id":7}'), "instead of"),
        (answer(b'{"id":7,"name":"person 7","more":1}'), "instead of"),
        (answer(b'{"id": 7, "name": "person 7"}'), "instead of the bytes"),
        (answer(b'{"name":"person 7","id":7}'), "instead of the bytes"),
        (answer(GOOD[:-1]), "no JSON"),
        (answer(b""), "no JSON"),
        (answer(b'{"code":0,"data":%s}' % GOOD), "instead of"),
        (answer(kind="text/html"), "content type"),
    ],
)
def test_a_wrong_answer_is_found(wrong: Answer, why: str) -> None:
    """The status, each value, each byte, and the type count."""
    with pytest.raises(WrongAnswer, match=why):
        judge(PROBE, wrong, enveloped=False)


def test_a_missing_envelope_is_found() -> None:
    """Ours is measured with its envelope on."""
    with pytest.raises(WrongAnswer):
        judge(PROBE, answer(), enveloped=True)


@pytest.mark.parametrize("status", [200, 302, 500])
def test_a_bad_body_must_be_refused(status: int) -> None:
    """Accepting it is wrong, and so is breaking over it."""
    probe = Probe("/people", method="POST", body=b"{}", refused=True)
    judge(probe, answer(status=422), enveloped=False)
    with pytest.raises(WrongAnswer, match="to be refused"):
        judge(probe, answer(status=status), enveloped=False)


def test_each_field_of_the_post_is_probed() -> None:
    """With wrong values, and left out: a peer that does not check a field is found."""
    probes = CASES["post"].probes()
    assert set(WRONG) == set(NEW_PERSON)
    sent = [json.loads(p.body) for p in probes if p.refused and p.body and p.body.endswith(b"}")]
    for name in NEW_PERSON:
        assert [body for body in sent if name not in body]
        assert [body for body in sent if body.get(name) in WRONG[name] and name in body]


class Peer(BaseHTTPRequestHandler):
    """Answers as its server's `behaviour` says."""

    protocol_version = "HTTP/1.1"
    server: Any

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(GOOD)))
        if self.server.behaviour == "closes":
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(GOOD)
        if self.server.behaviour == "drops":
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def peer() -> Iterator[Any]:
    """A server of its own thread."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Peer) as server:
        server.behaviour = "keeps"  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def test_a_live_server_is_checked(peer: Any) -> None:
    """The sizes of the answers come back, to be compared with those under load."""
    sizes = check(peer.server_port, [PROBE, PROBE], enveloped=False)
    assert len(sizes) == 2
    assert sizes[0] > len(GOOD)


def test_a_server_that_closes_the_connection_is_found(peer: Any) -> None:
    """Keep-alive is part of what is compared."""
    peer.behaviour = "closes"
    with pytest.raises(WrongAnswer, match="not kept open"):
        check(peer.server_port, [PROBE, PROBE], enveloped=False)


def test_nobody_there_is_a_wrong_answer() -> None:
    """And not a crash of the suite."""
    with pytest.raises(WrongAnswer, match="Refused"):
        check(1, [PROBE], enveloped=False)


def test_held_connections_are_used_and_used_again(peer: Any) -> None:
    """Every one of them answers, before and after."""
    with HeldConnections(peer.server_port, 5, PROBE, enveloped=False) as held:
        held.open()
        held.use()
        held.still_answer()


def test_a_lost_held_connection_is_found(peer: Any) -> None:
    """A server that quietly closes what it cannot hold does not pass."""
    with HeldConnections(peer.server_port, 3, PROBE, enveloped=False) as held:
        held.open()
        peer.behaviour = "drops"
        held.use()
        with pytest.raises(WrongAnswer, match="connection"):
            held.still_answer()
