"""Services in processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.ports import free_port


def get(url: str) -> bytes:
    """The body of an answer."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        body: bytes = answer.read()
        return body


@contextmanager
def serve(folder: Path, **variables: str) -> Iterator[str]:
    """Run ``python server.py`` in a folder until it answers; gives its address."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "server.py"],
        cwd=folder,
        env={**os.environ, **variables, "PORT": str(port)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 90
    try:
        while True:
            try:
                get(f"{url}/openapi/spec.json")
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    process.kill()
                    pytest.fail(f"it does not answer: {process.communicate()[0]}")
                time.sleep(0.05)
        yield url
    finally:
        stop(process)


def stop(process: subprocess.Popen[str]) -> None:
    """End it as an operator does: the master gets the signal, and ends its workers."""
    process.terminate()
    try:
        process.communicate(timeout=60)  # until nobody holds its output, a worker neither
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise


@pytest.fixture(autouse=True)
def without_settings(empty_folder: None) -> None:
    """Every test of this package begins in an empty folder."""


@pytest.fixture
def serving() -> Any:
    """The functions of this module, for tests that cannot import it."""
    return sys.modules[__name__]
