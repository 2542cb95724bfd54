"""How a service is served: in this process, or by workers whose master this process is."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from sanic import Sanic
from sanic.exceptions import SanicException
from sanic.http.constants import HTTP
from sanic.server.events import trigger_events

from sanic_ms.config import Settings
from sanic_ms.context import service_context
from sanic_ms.exception import ConfigError, LifecycleError, SanicMSError
from sanic_ms.process import ensure_streams, split_off_init
from sanic_ms.server.process.cpus import usable_cpus
from sanic_ms.server.process.function_process import FunctionProcess
from sanic_ms.server.process.listen_socket import ListenSocket, cannot_listen, is_occasional
from sanic_ms.server.process.reload import Files
from sanic_ms.server.process.serving import Server, StopTimes
from sanic_ms.server.process.supervisor import Supervisor, WorkerTimeouts
from sanic_ms.server.process.tls import Certificate
from sanic_ms.server.process.worker import FAILED, WRONG, Job, Link, Recycling, exit_code_of
from sanic_ms.service.failures import known_errors_untraced
from sanic_ms.service.program import (
    PackageMain,
    check_may_spawn,
    check_not_imported,
    end_import,
    registered,
)
from sanic_ms.service.standalone import standalone
from sanic_ms.telemetry.logging import flush_logs
from sanic_ms.telemetry.stacks import describe

__all__ = ["Launch"]

log = logging.getLogger("sanic_ms.service")

_BACKLOG = 1024  # connections that may wait to be accepted


class Launch:
    """What a service's ``run`` and ``stop`` do.

    Attributes:
        loader: How a worker process gets the service; None: by its name, from the program's main
            module. It must be possible to pickle it.
        quiet: Whether nobody is told that the service serves; the test kit sets it.
        functions: Functions of the application that run in processes of their own, by name.
        alone: Whether this process serves by itself, and has neither a master nor workers.

    Args:
        app: The service.
        announce: Called in one process when the whole service serves.
        set_up_logs: Called before anything is logged.
    """

    def __init__(
        self, app: Any, announce: Callable[[], None], set_up_logs: Callable[[], None]
    ) -> None:
        self.loader: Callable[[], Any] | None = None
        self.quiet = False
        self._app = app
        self._announce = announce
        self._set_up_logs = set_up_logs
        self.alone = False
        self.functions: dict[str, Callable[..., Any]] = {}
        self._server: Server | FunctionProcess | None = None
        self._link: Link | None = None

    @property
    def supervised(self) -> bool:
        """Whether a master speaks for this process."""
        return self._link is not None

    def run(self, args: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        """Serve until told to stop. What is not given comes from the settings.

        A service that cannot start, or whose workers cannot, ends the process with one line that
        says why. The exit code is 2 where settings or the application's code are wrong, else 1.
        """
        app = self._app
        end_import()
        ensure_streams()
        split_off_init()
        compiled = False
        try:
            check_not_imported()
            self._set_up_logs()  # compiling the routes may warn
            app.compile()
            compiled = True
            keywords = _completed(app.settings, args, keywords)
            with known_errors_untraced(), service_context(app):
                self._serve(keywords)
        except (SanicMSError, SanicException) as exc:
            _end(f"{app.name}: {exc}", exit_code_of(exc) if compiled else WRONG)
        except Exception as exc:
            if isinstance(exc, OSError) and exc.errno == errno.EADDRINUSE:
                reason = _cannot_listen(exc, keywords)
            else:
                log.exception("%s did not start", app.name)
                reason = describe(exc)
            _end(f"{app.name}: did not start: {reason}", FAILED)

    def stop(self) -> bool:
        """Begin to stop what `run` has started, in all workers. False: it has started nothing."""
        if self._link is not None:
            self._link.tell("halt")
        elif self._server is not None:
            self._server.stop(quick=True)
        else:
            return False
        return True

    def serve_as_worker(self, job: Job, link: Link) -> None:
        """Serve in a worker process, to which the master has given this job."""
        app = self._app
        app.configure_unread(**job.settings)
        for name, value in job.shared.items():
            setattr(app.shared_ctx, name, value)
        self._link = link
        self._set_up_logs()
        app.compile()
        with known_errors_untraced(), service_context(app):
            if job.function:
                self._run_function(job.function, link)
                return
            app.prepare(**{**job.keywords, "sock": job.place.socket})
            self._serve_here(job.place, self._certificate())

    # --- which way -------------------------------------------------------------------------------

    def _serve(self, keywords: dict[str, Any]) -> None:
        app = self._app
        supervised = bool(keywords["workers"] != 1 or keywords["auto_reload"] or self.functions)
        if self.functions and keywords.get("single_process"):
            raise ConfigError("run(single_process=True): app.worker_process needs processes")
        if supervised:
            check_may_spawn()
        app.prepare(**keywords)
        if not _is_ours(app):
            self.check_functions()
            serve = type(app).serve if supervised else type(app).serve_single
            serve(primary=app)
            return
        certificate = self._certificate()
        if certificate is not None:
            certificate.warn()
        try:
            place = _bind(keywords, reuse_port=app.settings.reuse_port)
            self.alone = not supervised
            with contextlib.closing(place), _main_process(app, supervised) as loop:
                if supervised:
                    self._supervise(place, keywords, loop)
                else:
                    self._serve_here(place, certificate)
        finally:
            self._server = None
            self.alone = False
            _forget_prepared()

    def _certificate(self) -> Certificate | None:
        """That of the settings, unless ``run`` was given a context of the caller's own."""
        settings: Settings = self._app.settings
        if self._app.state.server_info[0].settings["ssl"] is None:
            return Certificate.of(settings)
        return None

    def _serve_here(self, place: ListenSocket, certificate: Certificate | None) -> None:
        """Serve in this process."""
        app, link = self._app, self._link
        prepared = app.state.server_info[0].settings
        signals = (signal.SIGTERM,) if link else (signal.SIGTERM, signal.SIGINT)
        settings: Settings = app.settings
        self._server = Server(
            app,
            place,
            protocol=prepared["protocol"],
            tls=certificate.context if certificate else prepared["ssl"],
            handshake_timeout=settings.ssl_handshake_timeout,
            blocked=settings.loop_blocked_threshold,
            times=_stop_times(app.settings),
            signals=signals if prepared["register_sys_signals"] else (),
            leave=app.lifecycle.leave,
            ready=partial(link.tell, "ready") if link else None,
        )
        if certificate is not None:
            self._server.ticks.append(certificate.refresh)
        if link is not None:
            link.attach(self._server)
        self._server.run()

    def _run_function(self, name: str, link: Link) -> None:
        """Run one of `functions` in this process, with the components of the service."""
        function = self.functions.get(name)
        if function is None:
            raise LifecycleError(
                f"the process {name} finds no function of this name: call app.worker_process where "
                'the module is imported, and not under if __name__ == "__main__":'
            )
        self._server = FunctionProcess(
            self._app,
            function,
            name=name,
            service=partial(standalone, self._app),
            times=_stop_times(self._app.settings),
            ready=partial(link.tell, "ready"),
            done=partial(link.tell, "done"),
        )
        link.attach(self._server)
        self._server.run()

    def check_functions(self) -> None:
        """See that no function of the application's is left out where another runner serves.

        Raises:
            LifecycleError: there are some, and no process would run them.
        """
        if self.functions and self._server is None and not self.quiet:
            raise LifecycleError(
                f"app.worker_process({', '.join(self.functions)}): only app.run() and sanic-ms run "
                "start such processes, for one application and HTTP/1.1"
            )

    def _supervise(
        self, place: ListenSocket, keywords: dict[str, Any], loop: asyncio.AbstractEventLoop
    ) -> None:
        """Be the master of workers."""
        supervisor = self._supervisor(place, keywords)  # with what the listeners have shared
        reason = loop.run_until_complete(supervisor.run())
        if reason:
            _end(f"{self._app.name}: {reason}", supervisor.exit_code)

    def _supervisor(self, place: ListenSocket, keywords: dict[str, Any]) -> Supervisor:
        app = self._app
        settings: Settings = app.settings
        job = Job(
            load=self.loader or partial(registered, app.name, PackageMain.of_process()),
            place=place,
            settings=app.settings_in_code,
            keywords={**keywords, "workers": 1, "auto_reload": False},
            shared=dict(vars(app.shared_ctx)),
            recycling=Recycling(settings.worker_max_requests, settings.worker_max_memory),
        )
        return Supervisor(
            job,
            keywords["workers"],
            name=app.name,
            times=_stop_times(settings),
            watch=WorkerTimeouts(settings.worker_start_timeout, settings.worker_silence_timeout),
            changed=Files([Path.cwd()]).changed if keywords["auto_reload"] else None,
            on_ready=self._announce,
            functions=list(self.functions),
        )


@contextlib.contextmanager
def _main_process(app: Any, supervised: bool) -> Iterator[asyncio.AbstractEventLoop]:
    """Call the application's listeners for the main process, around what it does. Gives the event
    loop in which they run.

    Args:
        supervised: Whether workers are started. What `multiprocessing` makes in a listener can then
            be shared with them (``app.shared_ctx``): it is made for processes as ours start.
    """
    before = multiprocessing.get_start_method(allow_none=True)
    if supervised:
        multiprocessing.set_start_method("spawn", force=True)
    loop = asyncio.new_event_loop()
    try:
        try:
            for event in ("main_process_start", "main_process_ready"):
                trigger_events(app.listeners[event], loop, app)
            yield loop
        finally:
            trigger_events(app.listeners["main_process_stop"], loop, app)
    finally:
        loop.close()
        if supervised:
            multiprocessing.set_start_method(before, force=True)


def _completed(
    settings: Settings, args: tuple[Any, ...], keywords: dict[str, Any]
) -> dict[str, Any]:
    """The keywords of ``run``, with what they leave out taken from the settings."""
    defaults: dict[str, Any] = {
        "host": settings.host,
        "port": settings.port,
        "unix": settings.unix,
        "workers": usable_cpus() if settings.workers == "auto" else settings.workers,
        "debug": settings.debug,
        "auto_reload": settings.auto_reload,
        "access_log": settings.access_log,
        "backlog": _BACKLOG,
        "motd": False,
    }
    if keywords.get("unix") or settings.unix:
        defaults["host"] = defaults["port"] = None
    given = dict(zip(("host", "port"), args, strict=False))
    if keywords.get("fast") and not keywords.get("single_process"):
        # Sanic's word for as many workers as there are processors.
        if keywords.get("workers", 1) != 1:
            raise ConfigError("run(fast=True, workers=…): give one of them")
        keywords = {**keywords, "fast": False, "workers": usable_cpus()}
    return {**defaults, **given, **keywords}


def _stop_times(settings: Settings) -> StopTimes:
    return StopTimes(settings.shutdown_delay, settings.graceful_shutdown_timeout)


def _is_ours(app: Sanic[Any, Any]) -> bool:
    """Whether `Server` can serve what was prepared: HTTP/1.1, and no second application. The rest
    is left to Sanic's own runners."""
    prepared = [info for other in _applications() for info in other.state.server_info]
    return len(prepared) == 1 and prepared[0].settings["version"] is not HTTP.VERSION_3


def _bind(keywords: dict[str, Any], *, reuse_port: bool) -> ListenSocket:
    if keywords.get("sock") is not None:
        return ListenSocket(keywords["sock"], backlog=keywords["backlog"])
    try:
        return ListenSocket.bind(
            keywords["host"],
            keywords["port"],
            unix=keywords["unix"],
            backlog=keywords["backlog"],
            reuse_port=reuse_port,
        )
    except OSError as exc:
        text = _cannot_listen(exc, keywords)
        raise (LifecycleError if is_occasional(exc) else ConfigError)(text) from exc


def _cannot_listen(exc: OSError, keywords: dict[str, Any]) -> str:
    return cannot_listen(exc, keywords["host"], keywords["port"], keywords["unix"])


def _end(line: str, code: int) -> NoReturn:
    flush_logs()  # what led to it stands before it
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - the log may not be set up
    sys.exit(code)


def _forget_prepared() -> None:
    """Let the applications of this process be prepared and served again, as Sanic's runners do."""
    for app in _applications():
        app.state.server_info.clear()
        app.router.reset()  # type: ignore[no-untyped-call]
        app.signal_router.reset()  # type: ignore[no-untyped-call]
    Sanic._cleanup_env_vars()  # type: ignore[no-untyped-call]


def _applications() -> list[Sanic[Any, Any]]:
    return list(Sanic._app_registry.values())
