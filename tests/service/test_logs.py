"""The logs of a running service, as an operator and a developer see them."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.calls import call

from sanic_ms import Service

SERVER = """
import logging
{before}
from sanic_ms import Service

app = Service("tiny"{options})
log = logging.getLogger("views")

@app.get("/")
async def root(request):
    log.info("hello %s", "bob", extra={{"user": 7}})
    return 1

@app.get("/fail")
async def fail(request):
    raise RuntimeError("token=hunter2")

if __name__ == "__main__":
    app.run()
"""


def run(
    folder: Path,
    serving: Any,
    *,
    before: str = "",
    options: str = "",
    server: str = SERVER,
    **variables: str,
) -> tuple[str, str]:
    """Start a service, ask `/` and `/fail`, stop it; what it wrote to its two outputs."""
    (folder / "server.py").write_text(server.format(before=before, options=options))
    port = serving.free_port()
    process = subprocess.Popen(
        [sys.executable, "server.py"],
        cwd=folder,
        env={**os.environ, "PORT": str(port), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    try:
        while True:
            try:
                serving.get(f"http://127.0.0.1:{port}/")
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    break
                time.sleep(0.05)
        with suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/fail", timeout=10)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        return process.communicate(timeout=30)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_every_line_of_a_service_is_json_with_the_ids_of_its_request(
    tmp_path: Path, serving: Any
) -> None:
    """From the first line to the last, of the master and its workers; on standard output alone."""
    out, err = run(tmp_path, serving, WORKERS="2")
    lines = [json.loads(line) for line in out.splitlines()]
    assert err == ""
    assert {line["service"] for line in lines} == {"tiny"}
    hello = next(line for line in lines if line["logger"] == "views")
    assert (hello["message"], hello["user"]) == ("hello bob", 7)
    access = next(
        line for line in lines if line["logger"] == "sanic.access" and line["path"] == "/"
    )
    assert access["request_id"] == hello["request_id"]
    error = next(line for line in lines if line["level"] == "ERROR")
    assert error["exception"]["type"] == "RuntimeError"
    assert error["exception"]["message"] == "token=***"
    assert "hunter2" not in out


def test_text_is_for_people(tmp_path: Path, serving: Any) -> None:
    """`LOG_FORMAT=text`; `ACCESS_LOG=false` and `LOG_LEVEL` take lines away."""
    out, _ = run(tmp_path, serving, LOG_FORMAT="text", ACCESS_LOG="false", LOG_LEVEL="WARNING")
    assert "views:" not in out
    assert "sanic.access" not in out
    assert (
        "ERROR   sanic_ms.http: GET /fail: RuntimeError: token=*** (server.py:16)\n  | Traceback"
        in out
    )


def test_an_application_that_sets_up_logging_itself_is_left_alone(
    tmp_path: Path, serving: Any
) -> None:
    """`logging.basicConfig()`, before or after the service is made: everything goes its way."""
    out, err = run(
        tmp_path, serving, before="logging.basicConfig(format='OWN %(name)s %(message)s', level=20)"
    )
    assert out == ""
    lines = err.splitlines()
    assert "OWN views hello bob" in lines
    assert any(line.startswith("OWN sanic.access GET / 200 ") for line in lines)
    assert any("OWN sanic_ms.http GET /fail: RuntimeError: " in line for line in lines)


def test_sanics_own_logging_can_be_had(tmp_path: Path, serving: Any) -> None:
    """`log_config=` of Sanic."""
    out, _ = run(
        tmp_path,
        serving,
        before="from sanic.log import LOGGING_CONFIG_DEFAULTS",
        options=", log_config=LOGGING_CONFIG_DEFAULTS",
    )
    assert not out.startswith("{")
    assert "GET http://127.0.0.1" in out
    assert "Traceback" not in out


def test_a_wrong_log_config_ends_the_start_in_one_line(tmp_path: Path, serving: Any) -> None:
    """As any other setting."""
    out, err = run(tmp_path, serving, LOG_CONFIG="missing.yml")
    assert out == ""
    assert err == "tiny: LOG_CONFIG='missing.yml': No such file or directory\n"


def test_a_closed_output_harms_no_request(tmp_path: Path, serving: Any) -> None:
    """`service | head -1`: the pipe is gone, the service goes on."""
    (tmp_path / "server.py").write_text(SERVER.format(before="", options=""))
    port = serving.free_port()
    process = subprocess.Popen(
        [sys.executable, "server.py"],
        cwd=tmp_path,
        env={**os.environ, "PORT": str(port)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.stdout.close()
        deadline = time.monotonic() + 60
        served = 0
        while served < 50:
            try:
                assert serving.get(f"http://127.0.0.1:{port}/") == b'{"code":0,"data":1}'
                served += 1
            except OSError:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
        process.terminate()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


async def test_caplog_sees_what_a_service_logs(caplog: pytest.LogCaptureFixture) -> None:
    """Under pytest the root logger has handlers, so they are left alone."""
    app = Service(f"logs_{uuid.uuid4().hex}")

    @app.get("/")
    async def root(request: Any) -> Any:
        logging.getLogger("views").info("hello")
        return 1

    with caplog.at_level(logging.INFO):
        await call(app, "get", "/")
    assert "hello" in [record.getMessage() for record in caplog.records if record.name == "views"]


@pytest.mark.parametrize("form", ["json", "text"])
def test_spans_are_lines_of_the_log(tmp_path: Path, serving: Any, form: str) -> None:
    """``TRACE_EXPORTER=log``: the line of a span is its JSON alone, in both forms of the log and
    whatever ``LOG_LEVEL`` says, and no longer than the span is. All are there when the service has
    stopped."""
    before = """
LONG = "x" * 3000
from opentelemetry import trace
def long():
    with trace.get_tracer("shop").start_as_current_span("long") as span:
        for number in range(20):
            span.set_attribute(f"part.{number}", LONG)
"""
    options = ""
    text = SERVER.replace('log.info("hello', 'long(); log.info("hello')
    out, _ = run(
        tmp_path, serving, before=before, options=options, server=text,
        TRACE_EXPORTER="log", LOG_FORMAT=form, LOG_LEVEL="WARNING",
    )  # fmt: skip
    spans = [json.loads(line) for line in out.splitlines() if line.startswith('{"traceId"')]
    named = {span["name"]: span for span in spans}
    assert {"GET /", "GET /fail", "long"} <= set(named)
    assert named["GET /fail"]["tags"]["otel.status_code"] == "ERROR"
    assert "hunter2" not in out
    assert len(named["long"]["tags"]["part.19"]) == 3000
    assert named["long"]["traceId"] == named["GET /"]["traceId"]
    if form == "json":
        assert all(isinstance(json.loads(line), dict) for line in out.splitlines())
