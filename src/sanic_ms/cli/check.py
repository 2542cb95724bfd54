"""``sanic-ms run --check``: everything that a start needs, looked at without serving."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from sanic_ms.cli._errors import describe
from sanic_ms.exception import ConfigError, MissingDependency, SanicMSError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sanic_ms.config import Settings
    from sanic_ms.service import Service

__all__ = ["CheckFinding", "check", "findings"]


_FAILED = 1  # what was tried
_WRONG = 2  # a setting, or the application's code


@dataclass(frozen=True, slots=True)
class CheckFinding:
    """What one check found: its name, one line about it, and the exit code that follows from it
    (0: it is well)."""

    name: str
    text: str
    code: int = 0


def check(load: Callable[[], Service]) -> int:
    """Print one line for each check. Gives the exit code: the greatest of theirs."""
    code = 0
    for finding in findings(load):
        code = max(code, finding.code)
        mark = "FAILED" if finding.code else "ok"
        typer.echo(f"{finding.name:<24}  {mark:<6}  {' '.join(finding.text.split())}".rstrip())
    return code


def findings(load: Callable[[], Service]) -> Iterator[CheckFinding]:
    """Look at settings and what they name, routes, document, databases and migrations, in this
    order. Where all of it is well, start the service as its server does, and stop it.

    Args:
        load: Makes the service. What it raises of an application's mistakes goes through.
    """
    # What the application prints while it is imported is not part of our answer.
    with contextlib.redirect_stdout(sys.stderr):
        service = load()
    well = True
    for finding in _looked_at(service):
        well = well and not finding.code
        yield finding
    if well:  # nothing is begun that is known to fail
        with contextlib.redirect_stdout(sys.stderr):
            started = asyncio.run(_start(service))
        yield started


def _looked_at(service: Service) -> Iterator[CheckFinding]:
    """What can be known without a start."""
    try:
        settings = service.settings
    except SanicMSError as exc:
        yield CheckFinding("settings", str(exc), _WRONG)
        return
    yield CheckFinding("settings", f"ENVIRONMENT={settings.environment}")
    yield _address("address", settings.host, settings.port, settings.unix)
    if settings.admin_port is not None:
        yield _address("admin address", settings.admin_host, settings.admin_port, prefix="ADMIN_")
    if settings.tls_cert:
        yield _certificate(settings)
    if settings.log_config is not None:
        yield _logs(settings, service.name)
    if settings.services:
        yield _services(settings)
    try:
        service.compile()
    except SanicMSError as exc:
        yield CheckFinding("routes", str(exc), _WRONG)
    else:
        yield CheckFinding("routes", f"{len(service.router.routes)} routes")
        yield _document(service)
    names = ["default"] if settings.db_url is not None else []
    for name in (*names, *settings.databases):
        database = asyncio.run(_database(service, name))
        yield database
        if not database.code:
            yield _migrations(service, name)


async def _start(service: Service) -> CheckFinding:
    """Parts and listeners, in the order of a server: a client without an address, a route name that
    is there twice, a listener that raises."""
    from sanic.exceptions import SanicException

    from sanic_ms.server.process.admin_listener import AdminListener
    from sanic_ms.testing.running import RunningService

    for part in service.lifecycle:
        if isinstance(part, AdminListener):
            part.use_free_port()
    try:
        running = RunningService(service)
        await running.start()
        await running.stop()
    except (ConfigError, MissingDependency) as exc:
        return CheckFinding("start", str(exc), _WRONG)
    except (SanicMSError, SanicException) as exc:
        return CheckFinding("start", str(exc), _FAILED)
    except Exception as exc:
        return CheckFinding("start", describe(exc), _FAILED)
    return CheckFinding("start", "parts and listeners")


def _address(
    name: str, host: str, port: int, unix: str | None = None, *, prefix: str = ""
) -> CheckFinding:
    """Where it would listen. A port in use is no failure: this may be the next version of what
    listens there."""
    from sanic_ms.server.process.listen_socket import cannot_listen, check_address, is_occasional

    shown = f"unix:{unix}" if unix else f"{host}:{port}"
    try:
        check_address(host, port, unix)
    except OSError as exc:
        if exc.errno == errno.EADDRINUSE:
            return CheckFinding(name, f"{shown} (in use now)")
        code = _FAILED if is_occasional(exc) else _WRONG
        return CheckFinding(name, cannot_listen(exc, host, port, unix, prefix=prefix), code)
    return CheckFinding(name, shown)


def _certificate(settings: Settings) -> CheckFinding:
    from sanic_ms.server.process.tls import Certificate

    try:
        certificate = Certificate.of(settings)
    except ConfigError as exc:
        return CheckFinding("certificate", str(exc), _WRONG)
    assert certificate is not None
    problem = certificate.problem()
    return CheckFinding("certificate", problem or certificate.shown, _FAILED if problem else 0)


def _logs(settings: Settings, name: str) -> CheckFinding:
    from sanic_ms.telemetry.logging import configure_logging

    try:
        configure_logging(settings, name)
    except SanicMSError as exc:
        return CheckFinding("logging", str(exc), _WRONG)
    return CheckFinding("logging", str(settings.log_config))


def _services(settings: Settings) -> CheckFinding:
    from sanic_ms.client.endpoint import parse_base_url

    try:
        for name, url in settings.services.items():
            parse_base_url(url, f'SERVICES["{name}"]')
    except ConfigError as exc:
        return CheckFinding("services", str(exc), _WRONG)
    return CheckFinding("services", ", ".join(sorted(settings.services)))


def _document(service: Service) -> CheckFinding:
    from sanic_ms.openapi.checks import problems

    try:
        document = service.openapi()
    except (SanicMSError, TypeError, ValueError) as exc:
        return CheckFinding("document", str(exc), _WRONG)
    found = problems(document)
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        return CheckFinding("document", f"{found[0]}{more}", _WRONG)
    return CheckFinding(
        "document", f"OpenAPI {document['openapi']}, {len(document['paths'])} paths"
    )


async def _database(service: Service, name: str) -> CheckFinding:
    label = f"database {name}"
    try:
        pool = service.database(name)
        await pool.start()
        try:
            health = await pool.check()
        finally:
            await pool.stop()
    except SanicMSError as exc:
        wrong = isinstance(exc, (ConfigError, MissingDependency))
        return CheckFinding(label, str(exc), _WRONG if wrong else _FAILED)
    shown = pool.url.masked if pool.url is not None else ""
    if health.status == "down":
        return CheckFinding(label, f"{shown}: {health.detail}", _FAILED)
    return CheckFinding(label, shown)


def _migrations(service: Service, name: str) -> CheckFinding:
    from sanic_ms.migrations.pending import describe, folder_of, unapplied
    from sanic_ms.service.required_tables import lasting_database, up_command

    label = f"migrations {name}"
    folder, sets = folder_of(service.settings, name), service.framework_tables.of(name)
    if not folder.is_dir() and not sets:
        return CheckFinding(label, f"there is no folder {folder}")
    try:
        if sets:
            lasting_database(service, name)
        left = unapplied(service.settings, name, sets)
    except ConfigError as exc:
        return CheckFinding(label, str(exc), _WRONG)
    except SanicMSError as exc:
        return CheckFinding(label, str(exc), _FAILED)
    if left:
        command = up_command(service, name) if sets else None
        return CheckFinding(label, describe(left, name, command), _FAILED)
    places = [tables.name for tables in sets] + ([str(folder)] if folder.is_dir() else [])
    return CheckFinding(label, f"all of {', '.join(places)} are applied")
