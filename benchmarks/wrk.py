"""wrk: its script, a run of it, and what it says."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["BadLoad", "Load", "parse", "run", "script"]

# wrk calls this once, at the end, with its own counters: nothing of the printed text is guessed at.
_DONE = """
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    'RESULT {"requests":%d,"microseconds":%d,"bytes":%d,"connect":%d,"read":%d,"write":%d,' ..
    '"status":%d,"timeout":%d,"p50":%d,"p90":%d,"p99":%d,"max":%d}\\n',
    summary.requests, summary.duration, summary.bytes, e.connect, e.read, e.write,
    e.status, e.timeout, latency:percentile(50), latency:percentile(90),
    latency:percentile(99), latency.max))
end
"""

# The requests are written once, before the load begins, and then only handed over.
_CYCLE = """
local requests, at = {}, 0
init = function(args)
  for number, path in ipairs(paths) do requests[number] = wrk.format(nil, path) end
end
request = function()
  at = at % #requests + 1
  return requests[at]
end
"""


class BadLoad(Exception):
    """The load did not go through without errors, or wrk said something that is not understood."""


@dataclass(frozen=True)
class Load:
    """What wrk counted. Latencies are microseconds."""

    requests: int
    seconds: float
    bytes: int
    p50: int
    p90: int
    p99: int
    max: int
    errors: dict[str, int]  # connect, read, write, timeout, status (400 and above)

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds

    def raise_for_errors(self) -> None:
        """Nothing but good answers will do.

        Raises:
            BadLoad: there were errors, or no answer at all.
        """
        if wrong := {name: count for name, count in self.errors.items() if count}:
            listed = ", ".join(f"{count} {name}" for name, count in wrong.items())
            raise BadLoad(f"errors under load: {listed} (of {self.requests} answers)")
        if not self.requests:
            raise BadLoad("not one answer under load")


def parse(output: str) -> Load:
    """Read the line that our script prints.

    Raises:
        BadLoad: it is not there, or incomplete.
    """
    found = re.search(r"^RESULT (\{.*\})$", output, re.MULTILINE)
    if found is None:
        raise BadLoad(f"wrk printed no result: {output.strip()[-300:]!r}")
    try:
        counted = json.loads(found[1])
        seconds = counted["microseconds"] / 1e6
        errors = {name: counted[name] for name in ("connect", "read", "write", "timeout", "status")}
        rest = {name: counted[name] for name in ("requests", "bytes", "p50", "p90", "p99", "max")}
    except (ValueError, KeyError, TypeError) as exc:
        raise BadLoad(f"wrk's result is not understood ({exc}): {found[1]!r}") from exc
    if seconds <= 0:
        raise BadLoad(f"wrk ran for {seconds} s")
    return Load(seconds=seconds, errors=errors, **rest)


def script(paths: Sequence[str], method: str = "GET", body: bytes | None = None) -> str:
    """The Lua script for requests that go through the paths in turn."""
    lines = [f"wrk.method = {_quoted(method)}"]
    if body is not None:
        lines.append(f"wrk.body = {_quoted(body.decode())}")
        lines.append('wrk.headers["Content-Type"] = "application/json"')
    if len(paths) == 1:
        lines.append(f"wrk.path = {_quoted(paths[0])}")
    else:
        lines.append("local paths = {" + ",".join(_quoted(path) for path in paths) + "}")
        lines.append(_CYCLE)
    return "\n".join([*lines, _DONE])


def _quoted(text: str) -> str:
    """A Lua string. JSON's form is the same for what we send: printable ASCII."""
    if not (text.isascii() and text.isprintable()):
        raise ValueError(f"only printable ASCII can be sent: {text!r}")
    return json.dumps(text)


def run(
    port: int,
    lua: str,
    *,
    seconds: int,
    connections: int,
    core: int | None,
) -> Load:
    """Put the load on a port of this machine, with one thread of wrk, and count.

    Args:
        seconds: How long; wrk knows whole seconds only.
        core: The core that wrk runs on; None leaves it to the kernel.

    Raises:
        BadLoad: wrk failed or printed something else. Errors of the server do not raise: see
            `Load.raise_for_errors`.
    """
    pin = [] if core is None else ["taskset", "-c", str(core)]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "load.lua"
        file.write_text(lua)
        command = [
            *pin,
            "wrk",
            *("-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s"),
            *("-s", str(file), f"http://127.0.0.1:{port}"),
        ]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60)
        except subprocess.TimeoutExpired as exc:
            raise BadLoad(f"wrk did not end a minute after its {seconds} s") from exc
    if done.returncode != 0:
        raise BadLoad(f"wrk ended with {done.returncode}: {(done.stderr or done.stdout).strip()}")
    return parse(done.stdout)
