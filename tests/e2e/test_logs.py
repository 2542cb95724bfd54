"""The logs of the example: one request through three services, found again by its trace."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def test_one_request_is_found_by_its_trace_in_the_lines_of_every_service(
    e2e: Any, tmp_path: Path
) -> None:
    """The user service and the two that it calls: JSON, one trace id, no secret."""
    trace = "0af7651916cd43dd8448eb211c80319c"
    folder = tmp_path / "users"
    ports = e2e.copy_example(folder)
    process = subprocess.Popen(
        [sys.executable, "-m", "sanic_ms", "up", str(folder), "--migrate"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=e2e.environment(),
    )
    try:
        urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
        e2e.wait_until_up(process, [f"{url}/openapi/spec.json" for url in urls.values()])
        subprocess.run(
            [
                sys.executable,
                "-c",
                "import sys, urllib.request as u\n"
                "headers = {'traceparent': sys.argv[2], 'X-Request-ID': 'r-1'}\n"
                "u.urlopen(u.Request(sys.argv[1], headers=headers), timeout=20).read()",
                f"{urls['user']}/users/1?token=hunter2",
                f"00-{trace}-b7ad6b7169203331-01",
            ],
            check=True,
            timeout=60,
        )
    finally:
        output = e2e.stop(process)
    assert "hunter2" not in output
    # `up` writes the service's folder before each line.
    texts = [line.partition("| ")[2] for line in output.splitlines()]
    lines = [json.loads(text) for text in texts if text.startswith("{")]
    assert not [text for text in texts if "Traceback" in text]
    ours = [line for line in lines if line.get("trace_id") == trace]
    seen = {(line["service"], line["logger"], line["message"].partition(":")[0]) for line in ours}
    assert {
        ("user-service", "sanic.access", "GET /users/1 200"),
        ("user-service", "views", "get_city"),
        ("user-service", "views", "get_role"),
        ("region-service", "sanic.access", "GET /cities/1 200"),
        ("role-service", "sanic.access", "GET /roles/1 200"),
    } <= seen
    user = [line for line in ours if line["service"] == "user-service"]
    assert {line["request_id"] for line in user} == {"r-1"}
