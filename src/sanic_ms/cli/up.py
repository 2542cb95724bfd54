"""``sanic-ms up``: every service of a folder, together."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from sanic_ms.awake import wait_awake
from sanic_ms.cli import _address
from sanic_ms.cli._errors import CommandError
from sanic_ms.cli._processes import Group, Printer
from sanic_ms.process import split_off_init
from sanic_ms.values.address import base_url

__all__ = ["EPILOG", "LocalService", "up"]

EPILOG = "Example: sanic-ms up examples/users --migrate"

# Beyond the grace that each service gives its requests: for its pools and exporters to close.
_EXTRA_GRACE = 5.0


@dataclass(frozen=True, slots=True)
class LocalService:
    """One service of the folder, and what its settings say about where it listens; ``admin`` is
    host and port of ``ADMIN_PORT``, with the port's source."""

    name: str
    path: Path
    host: str
    port: int
    port_source: str
    unix: str | None
    tls: bool
    admin: tuple[str, int, str] | None
    docs: str | None
    grace: float
    migrations: Path

    @property
    def url(self) -> str:
        """What to open: the docs page, or the service itself where it has none."""
        if self.docs and self.admin is not None:
            return base_url(*self.admin[:2]) + self.docs
        if self.unix is not None:
            return f"unix:{self.socket}"
        scheme = "https" if self.tls else "http"
        return base_url(self.host, self.port, scheme=scheme) + (self.docs or "")

    @property
    def socket(self) -> str | None:
        """The unix socket's path as seen from here."""
        if self.unix is None:
            return None
        path = self.path / self.unix
        # The address of a unix socket holds some hundred bytes, so the shorter spelling counts.
        return min(str(path), os.path.relpath(path), key=len)

    async def answered(self) -> None:
        """Wait until it answers a request."""
        path = self.docs or "/"
        await _address.answered(self.host, self.port, path, unix=self.socket, tls=self.tls)


def up(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder with a folder for each service.")
    ],
    *,
    migrate: Annotated[
        bool, typer.Option("--migrate", help="Migrate their databases first.")
    ] = False,
    timeout: Annotated[
        float, typer.Option(min=1, help="Seconds for all of them to answer.")
    ] = 60.0,
) -> None:
    """Start every service of a folder, and stop them together.

    A service is a subfolder with a server.py. Each takes its address from its own settings. When
    one of them ends, the others are stopped and the exit code is 1.
    """
    split_off_init()
    services = _read_settings(_discover(directory))
    _check_addresses(services)
    printer = Printer([service.name for service in services])
    if migrate:
        _migrate(services, printer)
    code = asyncio.run(_serve(services, printer, timeout))
    raise typer.Exit(code)


def _discover(directory: Path) -> list[Path]:
    if not directory.is_dir():
        raise CommandError(f"there is no folder {directory}")
    folders = sorted(
        path.parent
        for path in directory.glob("*/server.py")
        if not path.parent.name.startswith(".")
    )
    if not folders:
        hint = (
            f" (it is a service itself: sanic-ms run --dir {directory})"
            if (directory / "server.py").exists()
            else ""
        )
        raise CommandError(f"no folder in {directory} holds a server.py{hint}")
    return [folder.resolve() for folder in folders]


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "sanic_ms", *words]


def _environment() -> dict[str, str]:
    # What a service prints would come in blocks otherwise, and late.
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    if sys.stdout.isatty():  # the services write to us, and we to a terminal
        environment["SANIC_MS_TERMINAL"] = "1"
    return environment


def _read_settings(folders: Sequence[Path]) -> list[LocalService]:
    """What each service says of itself, asked in a process of its own: their modules have the same
    names."""
    with ThreadPoolExecutor(max_workers=min(len(folders), os.cpu_count() or 1)) as threads:
        return list(threads.map(_settings_of, folders))


def _settings_of(folder: Path) -> LocalService:
    done = subprocess.run(
        _command("config", "server", "--json"),
        cwd=folder,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise CommandError(f"{folder.name}: {lines[-1].removeprefix('sanic-ms: ')}")
    rows: dict[str, dict[str, Any]] = json.loads(done.stdout)
    values = {name: row["value"] for name, row in rows.items()}
    return LocalService(
        name=folder.name,
        path=folder,
        host=values["HOST"],
        port=values["PORT"],
        port_source=rows["PORT"]["source"],
        unix=values["UNIX"],
        tls=bool(values["TLS_CERT"]),
        admin=(values["ADMIN_HOST"], values["ADMIN_PORT"], rows["ADMIN_PORT"]["source"])
        if values["ADMIN_PORT"]
        else None,
        docs=values["DOCS_PATH"] if values["DOCS"] else None,
        grace=values["GRACEFUL_SHUTDOWN_TIMEOUT"],
        migrations=folder / values["MIGRATIONS"],
    )


def _check_addresses(services: Iterable[LocalService]) -> None:
    """Refuse what cannot work before anything is started."""
    seen: dict[object, LocalService] = {}
    for service in services:
        own = (service.host, service.socket or service.port, service.port_source)
        for prefix, address in (("", own), ("ADMIN_", service.admin)):
            if address is None:
                continue
            host, key, source = address
            if key in seen:
                raise CommandError(
                    f"{seen[key].name} and {service.name} both listen on {key} ({source}): "
                    f"set {'an' if prefix else 'a'} {prefix}PORT of its own in each one's "
                    "settings.py"
                )
            seen[key] = service
            if isinstance(key, int):
                try:
                    _address.check_free(host, key, prefix=prefix)
                except CommandError as exc:
                    raise CommandError(f"{service.name}: {exc}", exit_code=exc.exit_code) from exc


def _migrate(services: Iterable[LocalService], printer: Printer) -> None:
    for service in services:
        if not service.migrations.is_dir():
            continue
        done = subprocess.run(
            _command("db", "up"),
            cwd=service.path,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for line in done.stdout.splitlines():
            printer.line(service.name, line)
        if done.returncode != 0:
            raise CommandError(
                f"{service.name}: migrating failed (exit code {done.returncode})", exit_code=1
            )


async def _serve(services: Sequence[LocalService], printer: Printer, timeout: float) -> int:
    grace = max(service.grace for service in services) + _EXTRA_GRACE
    async with Group(printer, grace=grace) as group:
        for service in services:
            await group.start(
                service.name,
                _command("run", "--stop-with-stdin"),
                cwd=service.path,
                env=_environment(),
            )
        ready = asyncio.create_task(_all_answer(services, timeout))
        ended = asyncio.create_task(group.first_end())
        await asyncio.wait({ready, ended}, return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            late = ready.result()
            if late:
                printer.say(f"{', '.join(late)} did not answer within {timeout:g} s")
                ended.cancel()
                return 1
            printer.say("all services are ready:")
            width = max(len(service.name) for service in services)
            for service in services:
                printer.say(f"  {service.name:<{width}}  {service.url}")
            printer.say("press Ctrl+C to stop")
        ready.cancel()
        end = await ended
        if end is None:
            printer.say("stopping")
            return 0
        printer.say(f"{end.name} ended with {end.reason}; stopping the others")
        return 1


async def _all_answer(services: Iterable[LocalService], timeout: float) -> list[str]:
    """Wait until every service answers. Returns the names of those that did not in time."""
    waits = {asyncio.create_task(service.answered()): service.name for service in services}
    try:
        _, late = await wait_awake(waits, timeout)
    finally:
        for task in waits:
            task.cancel()
    return sorted(waits[task] for task in late)
