"""Servers as processes: started on a core, waited for, their time and memory read, and stopped."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

__all__ = ["DidNotStart", "ServerProcess", "free_port", "running"]

_TICK = 1 / os.sysconf("SC_CLK_TCK")


class DidNotStart(Exception):
    """A server did not come up. The message ends with the last lines that it wrote."""


class ServerProcess:
    """A started server with everything that it has started itself."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self._log = log

    @property
    def pid(self) -> int:
        return self.process.pid

    def pids(self) -> list[int]:
        """Itself and its descendants."""
        found = [self.pid]
        for pid in found:
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                with contextlib.suppress(OSError):
                    found += [int(child) for child in task.read_text().split()]
        return found

    def cpu_seconds(self) -> float:
        """Processor time so far, user and kernel, of all its processes.

        The kernel scales it to what the scheduler measured, so it is finer than its clock tick.
        """
        return sum(self._cpu_seconds(pid) for pid in self.pids())

    @staticmethod
    def _cpu_seconds(pid: int) -> float:
        try:
            text = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return 0.0
        # The name, in brackets, may hold anything.
        fields = text.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * _TICK

    def memory(self) -> int:
        """Bytes of memory that are its own (anonymous, resident), all its processes together."""
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                    if line.startswith("RssAnon:"):
                        total += int(line.split()[1]) * 1024
        return total

    def last_lines(self, count: int = 15) -> str:
        """The end of what it wrote."""
        lines = self._log.read_text(errors="replace").splitlines()[-count:]
        return "\n".join(f"  | {line}" for line in lines)

    def wait_until(self, ready: Callable[[], None], seconds: float = 20) -> None:
        """Call until it no longer raises OSError.

        Raises:
            DidNotStart: the process ended, or the time is over.
        """
        deadline = time.monotonic() + seconds
        while True:
            if (code := self.process.poll()) is not None:
                raise DidNotStart(f"ended with {code}:\n{self.last_lines()}")
            try:
                return ready()
            except OSError as exc:
                if time.monotonic() > deadline:
                    raise DidNotStart(
                        f"not ready within {seconds} s ({exc}):\n{self.last_lines()}"
                    ) from exc
            time.sleep(0.02)

    def listening(self) -> None:
        """Connect once.

        Raises:
            OSError: nobody listens yet.
        """
        socket.create_connection(("127.0.0.1", self.port), timeout=1).close()

    def stop(self, seconds: float = 3) -> None:
        """Ask it to end, and end it when it does not; with all that it started."""
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(seconds)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()


@contextlib.contextmanager
def running(
    command: Sequence[str],
    *,
    port: int,
    core: int | None,
    environment: Mapping[str, str],
    folder: Path,
) -> Iterator[ServerProcess]:
    """A server that listens on the port, stopped at the end of the block.

    Args:
        core: The core that it and its children run on; None leaves it to the kernel.
        environment: Added to our own.
        folder: Where it runs.

    Raises:
        DidNotStart: it does not listen within 20 seconds.
    """
    pin = [] if core is None else ["taskset", "-c", str(core)]
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch) / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*pin, *command],
                cwd=folder,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a group of its own, to be stopped whole
            )
        server = ServerProcess(process, port, log)
        try:
            server.wait_until(server.listening)
            yield server
        finally:
            server.stop()


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
