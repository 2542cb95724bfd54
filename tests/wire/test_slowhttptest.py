"""slowhttptest, in its three modes: nothing is held past its deadline, others are served."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest
from sanic import HTTPResponse, Request, Sanic

HEAD = b" HTTP/1.1\r\nHost: a\r\n"
MODES = {
    "slow-headers": ["-H", "-i", "1"],
    "slow-body": ["-B", "-i", "1", "-s", "8192"],
    "slow-read": ["-X", "-w", "10", "-y", "20", "-n", "1", "-z", "32", "-k", "1"],
}


@pytest.mark.timeout(90)
@pytest.mark.parametrize("mode", MODES)
def test_slow_clients_hold_nothing(
    named_app: Callable[..., Sanic[Any, Any]], serve: Callable[..., Any], mode: str
) -> None:
    """Each of 300 slow connections ends by its deadline, and another client is answered at once
    all the while."""
    tool = shutil.which("slowhttptest")
    if tool is None:
        pytest.skip("slowhttptest is not installed (Debian: apt-get install slowhttptest)")
    deadlines = dict.fromkeys(
        ("REQUEST_TIMEOUT", "REQUEST_BODY_TIMEOUT", "KEEP_ALIVE_TIMEOUT", "WRITE_TIMEOUT"), 2
    )
    app = named_app(**deadlines, RESPONSE_TIMEOUT=20)

    @app.route("/", methods=["GET", "POST"])
    async def root(request: Request) -> HTTPResponse:
        return HTTPResponse(b"x" * 400_000)

    server = serve(app)
    held: dict[Any, float] = {}
    longest = worst = 0.0
    url = f"http://127.0.0.1:{server.address[1]}/"
    verb = "POST" if mode == "slow-body" else "GET"
    command = [tool, *MODES[mode], "-c", "300", "-r", "100", "-l", "8", "-t", verb, "-u", url]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as slow:
        while slow.poll() is None:
            client = server.client()
            began = time.monotonic()
            client.send(b"GET /" + HEAD + b"Connection: close\r\n\r\n")
            assert len(client.read()) > 400_000
            worst = max(worst, time.monotonic() - began)
            client.close()
            now = time.monotonic()
            open_now = set(server.call(lambda: list(server.connections)))
            held = {c: held.get(c, now) for c in open_now}
            longest = max([longest, *(now - since for since in held.values())])
            time.sleep(0.05)
    assert longest < 7  # 2 s for a head, 2 s for a body, and the lingering after a refusal
    assert worst < 2
