"""``sanic-ms run --check``: everything that a start needs, looked at without serving."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from sanic_ms.exception import SanicMSError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sanic_ms.service import Service

__all__ = ["Finding", "check", "findings"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found: its name, whether it is well, and one line about it."""

    name: str
    ok: bool
    text: str


def check(load: Callable[[], Service]) -> bool:
    """Print one line for each check; whether all are well."""
    well = True
    for finding in findings(load):
        well = well and finding.ok
        mark = "ok" if finding.ok else "FAILED"
        typer.echo(f"{finding.name:<24}  {mark:<6}  {' '.join(finding.text.split())}".rstrip())
    return well


def findings(load: Callable[[], Service]) -> Iterator[Finding]:
    """Look at settings, routes, document, databases and migrations, in this order.

    Args:
        load: Makes the service. What it raises of an application's mistakes goes through.
    """
    # What the application prints while it is imported is not part of our answer.
    with contextlib.redirect_stdout(sys.stderr):
        service = load()
    try:
        settings = service.settings
    except SanicMSError as exc:
        yield Finding("settings", False, str(exc))
        return
    yield Finding("settings", True, f"ENVIRONMENT={settings.environment}")
    try:
        service.compile()
    except SanicMSError as exc:
        yield Finding("routes", False, str(exc))
    else:
        yield Finding("routes", True, f"{len(service.router.routes)} routes")
        yield _document(service)
    names = ["default"] if settings.db_url is not None else []
    for name in (*names, *settings.databases):
        database = asyncio.run(_database(service, name))
        yield database
        if database.ok:
            yield _migrations(service, name)


def _document(service: Service) -> Finding:
    from sanic_ms.openapi.checks import problems

    try:
        document = service.openapi()
    except (SanicMSError, TypeError, ValueError) as exc:
        return Finding("document", False, str(exc))
    found = problems(document)
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        return Finding("document", False, f"{found[0]}{more}")
    return Finding(
        "document", True, f"OpenAPI {document['openapi']}, {len(document['paths'])} paths"
    )


async def _database(service: Service, name: str) -> Finding:
    label = f"database {name}"
    try:
        pool = service.database(name)
        await pool.start()
        try:
            health = await pool.check()
        finally:
            await pool.stop()
    except SanicMSError as exc:
        return Finding(label, False, str(exc))
    shown = pool.url.masked if pool.url is not None else ""
    if health.status == "down":
        return Finding(label, False, f"{shown}: {health.detail}")
    return Finding(label, True, shown)


def _migrations(service: Service, name: str) -> Finding:
    from sanic_ms.migrations.pending import describe, folder_of, unapplied

    label = f"migrations {name}"
    folder = folder_of(service.settings, name)
    if not folder.is_dir():
        return Finding(label, True, f"there is no folder {folder}")
    try:
        left = unapplied(service.settings, name)
    except SanicMSError as exc:
        return Finding(label, False, str(exc))
    if left:
        return Finding(label, False, describe(left, name))
    return Finding(label, True, f"all of {folder} are applied")
