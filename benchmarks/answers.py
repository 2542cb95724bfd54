"""Checks that a server answers exactly what it should, before anything is timed."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from benchmarks.cases import Probe

__all__ = ["Answer", "WrongAnswer", "ask", "check", "judge"]


class WrongAnswer(Exception):
    """A server answered something else than the case asks for. The message says what."""


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    content_type: str
    body: bytes
    size: int  # bytes on the wire: the head too, as far as it can be counted


def judge(probe: Probe, answer: Answer, *, enveloped: bool) -> None:
    """Compare one answer with its probe: the status, the type, and every byte of the body.

    The form of JSON is fixed too (no spaces, keys in order), so that nobody sends fewer bytes.

    Raises:
        WrongAnswer: it differs.
    """
    what = f"{probe.method} {probe.path}"
    if probe.body is not None:
        what += f" {probe.body[:120].decode(errors='replace')}"
    if probe.refused:
        if not 400 <= answer.status < 500:
            raise WrongAnswer(f"{what}: status {answer.status}, but this is to be refused")
        return
    if answer.status != 200:
        raise WrongAnswer(f"{what}: status {answer.status}: {_shown(answer.body)}")
    if isinstance(probe.expected, str):
        wanted, kind = probe.expected.encode(), "text/plain"
    else:
        document = {"code": 0, "data": probe.expected} if enveloped else probe.expected
        wanted, kind = _compact(document), "application/json"
        try:
            got: Any = json.loads(answer.body)
        except ValueError as exc:
            raise WrongAnswer(f"{what}: no JSON ({exc}): {_shown(answer.body)}") from exc
        if got != document:
            raise WrongAnswer(f"{what}: {_shown(answer.body)} instead of {_shown(wanted)}")
    if answer.body != wanted:
        raise WrongAnswer(f"{what}: {_shown(answer.body)} instead of the bytes {_shown(wanted)}")
    if answer.content_type.partition(";")[0] != kind:
        raise WrongAnswer(f"{what}: content type {answer.content_type!r} instead of {kind}")


def check(port: int, probes: Iterable[Probe], *, enveloped: bool) -> list[int]:
    """Send the probes, all on one connection that must stay open, and judge the answers.

    Returns:
        The sizes on the wire of the answers that were not refusals, in bytes.

    Raises:
        WrongAnswer: one of them is not as it should be, or there was none.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        sizes = []
        for probe in probes:
            answer = ask(connection, probe)
            judge(probe, answer, enveloped=enveloped)
            if not probe.refused:
                sizes.append(answer.size)
        return sizes
    finally:
        connection.close()


def ask(connection: http.client.HTTPConnection, probe: Probe) -> Answer:
    """Send one probe.

    Raises:
        WrongAnswer: there was no answer, or it closed the connection (only a refusal may).
    """
    headers = {"Content-Type": "application/json"} if probe.body is not None else {}
    try:
        connection.request(probe.method, probe.path, body=probe.body, headers=headers)
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException) as exc:
        raise WrongAnswer(f"{probe.method} {probe.path}: {type(exc).__name__}: {exc}") from exc
    if response.will_close and not probe.refused:
        raise WrongAnswer(f"{probe.method} {probe.path}: the connection was not kept open")
    head = f"HTTP/1.1 {response.status} {response.reason}\r\n\r\n"
    lines = (len(name) + len(value) + 4 for name, value in response.getheaders())
    return Answer(
        response.status,
        response.getheader("Content-Type", ""),
        body,
        len(head) + sum(lines) + len(body),
    )


def _compact(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def _shown(body: bytes) -> str:
    text = body.decode(errors="replace")
    return repr(text if len(text) <= 200 else text[:200] + "…")
