"""The example, copied to a folder of its own, on free ports, with a database of its own."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import pytest
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
_JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Answer:
    """One HTTP answer."""

    status: int
    body: bytes
    headers: Mapping[str, str]  # names in lower case

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


def call(
    method: str,
    url: str,
    body: Any = None,
    raw: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """One request, whatever the status of its answer."""
    content = raw if raw is not None else None if body is None else json.dumps(body).encode()
    headers = {**(headers or {}), **({} if content is None else _JSON)}
    request = urllib.request.Request(url, content, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return Answer(answer.status, answer.read(), lower(answer.headers))
    except urllib.error.HTTPError as exc:
        with exc:
            return Answer(exc.code, exc.read(), lower(exc.headers))


def lower(headers: Message) -> dict[str, str]:
    """Headers by their names in lower case."""
    return {name.lower(): value for name, value in headers.items()}


def announce(url: str, size: int) -> Answer:
    """A POST that says how long its body is, and waits for the answer before it sends any."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=20)
    with contextlib.closing(connection):
        connection.putrequest("POST", parts.path)
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(size))
        connection.endheaders()
        answer = connection.getresponse()
        return Answer(answer.status, answer.read(), lower(answer.headers))


@dataclass
class Example:
    """The three services of the example, running."""

    folder: Path
    process: subprocess.Popen[str]
    ports: dict[str, int]

    def url(self, service: str, path: str = "") -> str:
        """The address of a service."""
        return f"http://127.0.0.1:{self.ports[service]}{path}"

    def call(self, method: str, service: str, path: str, body: Any = None) -> Answer:
        """One request to a service."""
        return call(method, self.url(service, path), body)

    def document(self, service: str) -> dict[str, Any]:
        """A service's OpenAPI document."""
        document: dict[str, Any] = self.call("GET", service, "/openapi/spec.json").json
        return document


def copy_example(folder: Path) -> dict[str, int]:
    """The example with free ports in its settings; service -> port."""
    shutil.copytree(
        ROOT / "examples" / "users",
        folder,
        ignore=shutil.ignore_patterns("*.db*", "__pycache__", "tests"),
    )
    services = ("user", "region", "role")
    ports = {service: free_port() for service in services}
    for path in folder.glob("*/settings.py"):
        text = path.read_text()
        for number, service in enumerate(services, 1):
            text = re.sub(rf"\b800{number}\b", str(ports[service]), text)
        path.write_text(text)
    return ports


def environment(**variables: str) -> dict[str, str]:
    """This process' environment without settings of a service that it may hold."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PORT", "DB_URL")}
    return {**kept, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1", **variables}


def wait_until_up(process: subprocess.Popen[str], urls: list[str], seconds: float = 240) -> None:
    """Wait for every address to answer; fail with the output if the process ends before."""
    deadline = time.monotonic() + seconds
    for url in urls:
        while True:
            try:
                call("GET", url)
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    process.kill()
                    output, _ = process.communicate()
                    pytest.fail(f"{url} does not answer; the process said:\n{output}")
                time.sleep(0.05)


def stop(process: subprocess.Popen[str]) -> str:
    """Stop a process as a terminal does, and give what it said."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        output, _ = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
        pytest.fail(f"it did not stop on SIGINT; it said:\n{output}")
    return output


@contextmanager
def running_example(folder: Path, **variables: str) -> Iterator[Example]:
    """The example under ``sanic-ms up``."""
    ports = copy_example(folder)
    process = subprocess.Popen(
        [sys.executable, "-m", "sanic_ms", "up", str(folder), "--migrate"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(**variables),
    )
    example = Example(folder, process, ports)
    try:
        wait_until_up(process, [example.url(name, "/openapi/spec.json") for name in ports])
        yield example
    finally:
        stop(process)


def check_against(document: dict[str, Any], method: str, template: str, answer: Answer) -> None:
    """Assert that an answer is one that the document describes for the operation."""
    operation = document["paths"][template][method.lower()]
    described = operation["responses"].get(str(answer.status))
    assert described is not None, f"{method} {template}: {answer.status} is not documented"
    if "$ref" in described:
        described = document["components"]["responses"][described["$ref"].rpartition("/")[2]]
    content = described.get("content")
    if not content:
        assert answer.body == b""
        return
    media_type = answer.headers["content-type"].partition(";")[0]
    assert media_type in content
    schema = {**content[media_type]["schema"], "components": document["components"]}
    validator = jsonschema.Draft202012Validator(
        schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    errors = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(answer.json)]
    assert not errors, f"{method} {template} {answer.status}: {errors}"


@pytest.fixture(scope="session")
def e2e() -> Any:
    """The functions of this module, for tests that cannot import it."""
    return sys.modules[__name__]
