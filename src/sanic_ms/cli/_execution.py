"""One run of a service's command: start, call, stop, and what signals do meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import inspect
import os
import signal
import sys
import threading
import traceback
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from sanic_ms.cli._arguments import CommandParameters
from sanic_ms.cli._errors import CommandError, describe
from sanic_ms.context import service_context
from sanic_ms.exception import SanicMSError

if TYPE_CHECKING:
    from sanic_ms.commands import Command
    from sanic_ms.container import ServiceScope
    from sanic_ms.service import Service

__all__ = ["CommandExecution"]

T = TypeVar("T")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_BY_SIGNAL = 128  # and its number: what a shell says of a process that a signal has ended


class _Interrupted(KeyboardInterrupt):
    """Raised in a sync command by a signal."""


class CommandExecution:
    """A command with its values, to be run once.

    What is printed while the service starts and stops goes to standard error, and so do logs:
    standard output is the command's.

    Args:
        service: The service; it is started for the command.
        command: The command.
        parameters: Its parameters.
        values: Those of the command line.
    """

    def __init__(
        self,
        service: Service,
        command: Command,
        parameters: CommandParameters,
        values: Mapping[str, Any],
    ) -> None:
        self._service = service
        self._command = command
        self._parameters = parameters
        self._values = dict(values)
        self._stdout = sys.stdout
        self._loop: asyncio.AbstractEventLoop | None = None
        self._step: asyncio.Task[Any] | None = None
        self._signal: signal.Signals | None = None
        self._interruptible = False

    def run(self) -> int:
        """Run it to its end, and give the exit code.

        Raises:
            CommandError: the service cannot start, or the command has raised. One line.
            ConfigError: a setting is wrong.
        """
        service = self._service
        with (
            self._handled_signals(),
            contextlib.redirect_stdout(sys.stderr),
            service_context(service),
        ):
            self._check()
            service.setup_loop()
            with asyncio.Runner() as runner:
                self._loop = runner.get_loop()
                return runner.run(self._live())

    def _check(self) -> None:
        """See that the service can start and has what the command asks for; nothing is started."""
        service = self._service
        try:
            service.compile()
        except SanicMSError as exc:
            raise CommandError(str(exc)) from exc
        for name, kind in self._parameters.needs.items():
            if kind not in service.container and not self._is_service(kind):
                shown = getattr(kind, "__qualname__", None) or repr(kind)
                raise CommandError(
                    f"the command {self._command.name}: the parameter {name} is a {shown}, which "
                    "the command line cannot give and the service does not provide "
                    f"(app.provide({shown}, …))"
                )
        needed = [kind for kind in self._parameters.needs.values() if not self._is_service(kind)]
        try:
            service.container.check(needed, has_request=False)
        except TypeError as exc:
            raise CommandError(f"the command {self._command.name}: {exc}") from exc

    def _is_service(self, kind: Any) -> bool:
        from sanic import Sanic

        return (
            isinstance(kind, type) and issubclass(kind, Sanic) and isinstance(self._service, kind)
        )

    async def _live(self) -> int:
        async with AsyncExitStack() as stack:
            try:
                await self._cancellable(self._start(stack))
                return await self._cancellable(self._call())
            except asyncio.CancelledError:
                if self._signal is None:
                    raise CommandError(f"{self._command.name} was cancelled", exit_code=1) from None
                name = self._signal.name
                typer.echo(f"sanic-ms: {self._command.name} was cancelled ({name})", err=True)
                return _BY_SIGNAL + self._signal

    async def _start(self, stack: AsyncExitStack) -> None:
        from sanic.exceptions import SanicException

        from sanic_ms.service.standalone import standalone

        try:
            await stack.enter_async_context(standalone(self._service))
        except SanicMSError:
            raise  # its text says what to do
        except SanicException as exc:
            raise CommandError(str(exc), exit_code=1) from exc
        except Exception as exc:
            raise CommandError(describe(exc), exit_code=1) from exc

    async def _call(self) -> int:
        """Call the function, and give the exit code that it asks for."""
        with contextlib.redirect_stdout(self._stdout):
            try:
                async with self._service.container.scope() as scope:
                    return await self._run(await self._injected(scope))
            except _Interrupted:
                raise asyncio.CancelledError from None
            except SystemExit as exc:
                return _exit_code(exc.code)
            except typer.Exit as exc:
                return exc.exit_code
            except Exception as exc:
                raise self._failure(exc) from exc
            finally:
                with contextlib.suppress(OSError, ValueError):
                    self._stdout.flush()

    async def _run(self, values: Mapping[str, Any]) -> int:
        """Run the function. An exit with 0 is a success: what yields is closed without an error."""
        try:
            result = self._called(values)
            if inspect.isawaitable(result):
                await result
        except SystemExit as exc:
            if exc.code:
                raise
        except typer.Exit as exc:
            if exc.exit_code:
                raise
        return 0

    async def _injected(self, scope: ServiceScope) -> dict[str, Any]:
        """The values of all parameters."""
        services = {
            name: self._service
            for name, kind in self._parameters.needs.items()
            if self._is_service(kind)
        }
        rest = {name: kind for name, kind in self._parameters.needs.items() if name not in services}
        return {**self._values, **services, **await scope.fill(rest)}

    def _called(self, values: Mapping[str, Any]) -> Any:
        """What the function gives. A sync one runs here, and a signal interrupts it."""
        self._interruptible = not inspect.iscoroutinefunction(self._command.function)
        try:
            return self._parameters.call(self._command.function, values)
        finally:
            self._interruptible = False

    def _failure(self, exc: Exception) -> Exception:
        if isinstance(exc, OSError) and exc.errno == errno.EPIPE:
            return exc  # the reader of the output has gone, as with `| head`
        if self._service.settings.debug:
            traceback.print_exception(exc)
        text = str(exc) if isinstance(exc, SanicMSError) and str(exc) else describe(exc)
        return CommandError(f"{self._command.name} failed: {text}", exit_code=1)

    # --- signals ---------------------------------------------------------------------------------

    async def _cancellable(self, step: Coroutine[Any, Any, T]) -> T:
        """Await a step that a signal cancels; after a signal it is not begun."""
        self._step = asyncio.ensure_future(step)
        if self._signal is not None:
            self._step.cancel()
        try:
            return await self._step  # type: ignore[no-any-return]
        finally:
            self._step = None

    @contextlib.contextmanager
    def _handled_signals(self) -> Iterator[None]:
        in_main = threading.current_thread() is threading.main_thread()
        signals = _SIGNALS if in_main else ()
        before = [signal.signal(number, self._on_signal) for number in signals]
        try:
            yield
        finally:
            for number, handler in zip(signals, before, strict=True):
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._signal is not None:
            with contextlib.suppress(OSError):
                os.write(2, b"sanic-ms: forced exit: a second signal\n")
            os._exit(_BY_SIGNAL + number)
        self._signal = signal.Signals(number)
        if self._interruptible:
            self._interruptible = False
            raise _Interrupted
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it is over already
                self._loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        if self._step is not None:
            self._step.cancel()


def _exit_code(code: Any) -> int:
    """The exit code of a ``SystemExit``, as Python reads it: a text is printed, and is 1."""
    if code is None or isinstance(code, int):
        return code or 0
    typer.echo(code, err=True)
    return 1
