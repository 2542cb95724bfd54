"""Child processes that live and die together, and their output under their names."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from sanic_ms.awake import wait_awake
from sanic_ms.stop_signals import StopSignals

__all__ = ["End", "Group", "Printer"]

_COLOURS = (36, 33, 35, 32, 34, 31)
_LONGEST_LINE = 64 * 1024


class End(NamedTuple):
    """How a process ended: its name and its exit code, negative for a signal."""

    name: str
    code: int

    @property
    def reason(self) -> str:
        """``exit code 3``, ``signal SIGKILL``."""
        if self.code >= 0:
            return f"exit code {self.code}"
        try:
            return f"signal {signal.Signals(-self.code).name}"
        except ValueError:
            return f"signal {-self.code}"


class Printer:
    """Writes lines of several sources to standard output, each behind its source's name.

    The names have a colour each on a terminal, and none elsewhere or where ``NO_COLOR`` is set.

    Attributes:
        closed: True once nobody reads any more (``sanic-ms up … | head``); then nothing is written.

    Args:
        names: All the sources, for the width of the column and the choice of colours.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.closed = False
        self._width = max(map(len, names), default=0)
        coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        self._colours = (
            {name: _COLOURS[i % len(_COLOURS)] for i, name in enumerate(names)} if coloured else {}
        )

    def line(self, name: str, text: bytes) -> None:
        """Write one line of a source."""
        prefix = f"{name:<{self._width}} |"
        if name in self._colours:
            prefix = f"\x1b[{self._colours[name]}m{prefix}\x1b[0m"
        self._write(prefix.encode() + b" " + text.rstrip(b"\r\n") + b"\n")

    def say(self, text: str) -> None:
        """Write one line of our own."""
        self._write(f"{text}\n".encode())

    def _write(self, line: bytes) -> None:
        if self.closed:
            return
        try:
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            self.closed = True
            # The interpreter flushes standard output at its end, and would fail there again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Group:
    """Processes that are stopped together, as an asynchronous context manager.

    SIGINT and SIGTERM to this process end `first_end`; leaving the block stops every process with
    SIGTERM, and kills what is left after the grace or at a second signal. Should this process be
    killed itself, its end of each child's standard input closes, which the child takes as its order
    to stop.

    Args:
        printer: Where their output goes.
        grace: Seconds from SIGTERM to SIGKILL.
    """

    def __init__(self, printer: Printer, *, grace: float) -> None:
        self._printer = printer
        self._grace = grace
        self._processes: dict[str, Process] = {}
        self._pumps: list[asyncio.Task[None]] = []
        self._stop = asyncio.Event()
        self._kill = asyncio.Event()
        self._stop_signals = StopSignals()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal, number)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._signal(signal.SIGTERM)
        # Signals still come to us here: a second one ends the waiting.
        self._stop.set()
        all_ended = asyncio.create_task(self._all_ended())
        hurry = asyncio.create_task(self._kill.wait())
        await wait_awake({all_ended, hurry}, self._grace, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        left = [name for name, process in self._processes.items() if process.returncode is None]
        if left:
            self._printer.say(f"{', '.join(left)} did not stop in time: killed")
        # To the whole group: a killed service leaves its workers behind otherwise.
        self._signal(signal.SIGKILL, everything=True)
        await all_ended
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                await asyncio.gather(*self._pumps, return_exceptions=True)

    async def start(
        self, name: str, command: Sequence[str], *, cwd: Path, env: Mapping[str, str]
    ) -> None:
        """Start one process, in a session of its own: a Ctrl+C at the terminal reaches it through
        us, once."""
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=cwd,
            env=env,
            stdin=PIPE,
            stdout=PIPE,
            stderr=STDOUT,
            start_new_session=True,
        )
        self._processes[name] = process
        self._pumps.append(asyncio.create_task(self._pump(name, process)))

    async def first_end(self) -> End | None:
        """Wait for the first process that ends by itself; None if we are told to stop before."""
        stop = asyncio.create_task(self._stop.wait())
        waits = {
            asyncio.create_task(process.wait()): name for name, process in self._processes.items()
        }
        try:
            done, _ = await asyncio.wait({stop, *waits}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (stop, *waits):
                task.cancel()
        if stop in done:
            return None
        first = next(task for task in waits if task in done)
        return End(waits[first], first.result())

    def _on_signal(self, number: signal.Signals) -> None:
        if self._stop_signals.is_echo(number):
            return
        if self._stop.is_set():
            self._kill.set()
        self._stop.set()

    async def _all_ended(self) -> None:
        await asyncio.gather(*(process.wait() for process in self._processes.values()))

    def _signal(self, number: signal.Signals, *, everything: bool = False) -> None:
        for process in self._processes.values():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if everything:
                    os.killpg(process.pid, number)
                elif process.returncode is None:
                    process.send_signal(number)

    async def _pump(self, name: str, process: Process) -> None:
        assert process.stdout is not None  # asked for in start()
        rest = b""
        while chunk := await process.stdout.read(_LONGEST_LINE):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._printer.line(name, line)
            if len(rest) > _LONGEST_LINE:
                self._printer.line(name, rest)
                rest = b""
            if self._printer.closed:
                self._stop.set()
        if rest:
            self._printer.line(name, rest)
