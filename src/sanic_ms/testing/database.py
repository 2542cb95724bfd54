"""Fresh databases for tests: migrated once, and back in that state for each test.

A service under test never opens the database that its settings name. It gets one of its own: a
SQLite file, or a database of the server that `SANIC_MS_TEST_DB_URL` names. What the migrations make
is kept as a template; before each test SQLite's file is copied anew, PostgreSQL clones the
template, and MySQL, which can do neither, migrates an empty database again.
"""

from __future__ import annotations

import atexit
import importlib.util
import logging
import os
import shutil
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from sanic_ms.exception import ConfigError, DatabaseUnavailable
from sanic_ms.migrations.creation import server_of
from sanic_ms.migrations.runner import migrate, opened
from sanic_ms.models import find_models
from sanic_ms.service import Service
from sanic_ms.testing.exclusive import occupied
from sanic_ms.testing.reconfigure import reconfigured
from sanic_ms.values import DatabaseURL
from sanic_ms.values.table_sets import TableSet

__all__ = [
    "SERVER_VARIABLE",
    "FreshDatabase",
    "described_server",
    "drop_all",
    "fresh_databases",
]

log = logging.getLogger("sanic_ms.testing")

SERVER_VARIABLE = "SANIC_MS_TEST_DB_URL"
"""The environment variable that names a database server for tests."""

Fill = Callable[[str], object]
"""Makes tables and rows in an empty database, given its URL."""


class FreshDatabase:
    """One database for tests, under one URL for as long as the process lives.

    Args:
        server: Where it is made: a database of a PostgreSQL or MySQL server that is always there;
            ``sqlite``: a file in a temporary folder.
        key: Databases with the same key and server share a template.
        fill: Fills the template, once (on MySQL each time).
    """

    def __init__(self, server: DatabaseURL, key: str, fill: Fill) -> None:
        self._server = server
        self._key = key
        self._fill = fill
        self._made = _named(server, "test")
        _created.add(self)

    @property
    def url(self) -> str:
        """Where it is; the same before and after `reset`."""
        return self._made.url

    def reset(self) -> None:
        """Bring it to the state that the migrations make. No connection may use it.

        Raises:
            MigrationError: the migrations fail.
            DatabaseUnavailable: the server cannot be reached.
        """
        if self._made.scheme == "mysql":
            self.drop()
            self._execute(f"CREATE DATABASE {self._made.database} CHARACTER SET utf8mb4")
            self._fill(self.url)
            return
        template = _template(self._server, self._key, self._fill)
        self.drop()
        if self._made.scheme == "sqlite":
            shutil.copyfile(template.database, self._made.database)
        else:
            self._execute(f"CREATE DATABASE {self._made.database} TEMPLATE {template.database}")

    def drop(self) -> None:
        """Remove it. Again: does nothing."""
        _drop(self._server, self._made)

    def _execute(self, sql: str) -> None:
        with opened(self._server) as database:
            database.execute_sql(sql)  # type: ignore[no-untyped-call]


@contextmanager
def fresh_databases(app: Service, server: str | None = None) -> Iterator[dict[str, str]]:
    """Give a service a fresh database in place of each that its settings name, for a block.

    ``DB_URL`` gets the migrations of the setting ``MIGRATIONS``, those of ``DATABASES`` the ones in
    the folder of their name below it. Where there is no such folder, the tables of the models that
    ``MODELS`` names are made. The tables of the framework's packages that the service uses are made
    before. Enter it before the service starts; leave it after it stopped.

    Args:
        app: The service. Its settings are read; in the block they name the fresh databases.
        server: A URL of the server to use, or ``"sqlite"``; the user must be allowed to make
            databases, and which database the URL names means nothing. Default:
            ``SANIC_MS_TEST_DB_URL`` of the environment, else SQLite.

    Returns:
        The URLs by name; ``"default"`` is that of ``DB_URL``. Empty for a service without any.

    Raises:
        ConfigError: a setting or ``server`` is wrong.
        MigrationError: the migrations fail.
        DatabaseUnavailable: the server cannot be reached.
    """
    with occupied(app):
        place = _server(server)
        known = _databases.setdefault(app, {})
        for name, filling in _fillings(app).items():
            key = place.url, name
            if key not in known:
                known[key] = FreshDatabase(place, *filling)
        used = {name: made for (url, name), made in known.items() if url == place.url}
        urls = {name: made.url for name, made in used.items()}
        with reconfigured(app, **_settings_for(urls)):
            for made in used.values():
                made.reset()
            try:
                yield urls
            finally:
                for made in used.values():
                    made.drop()


def described_server(server: str | None = None) -> str:
    """Where `fresh_databases` makes them, for the head of a report; without a password.

    Raises:
        ConfigError: ``server`` is wrong.
    """
    place = _server(server)
    if place.scheme != "sqlite":
        return f"on {place.scheme}://{place.host}:{place.port}"
    given = server or os.environ.get(SERVER_VARIABLE)
    return "of SQLite" if given else f"of SQLite, whatever DB_URL says ({SERVER_VARIABLE} chooses)"


def drop_all() -> None:
    """Remove every database and template that this process made; called at its end.

    What cannot be removed is logged.
    """
    with _lock:
        for server, made in [*((one._server, one._made) for one in _created), *_templates.values()]:
            try:
                _drop(server, made)
            except DatabaseUnavailable as exc:
                log.warning("the database %s of a test is left behind: %s", made.database, exc)
        _created.clear()
        _templates.clear()
        _databases.clear()
        while _folders:
            _folders.pop().cleanup()


_databases: WeakKeyDictionary[Service, dict[tuple[str, str], FreshDatabase]] = WeakKeyDictionary()
_templates: dict[tuple[str, str], tuple[DatabaseURL, DatabaseURL]] = {}
_created: WeakSet[FreshDatabase] = WeakSet()
_folders: list[tempfile.TemporaryDirectory[str]] = []
_lock = threading.RLock()


def _server(given: str | None) -> DatabaseURL:
    text = given or os.environ.get(SERVER_VARIABLE) or "sqlite"
    try:
        url = DatabaseURL.parse("sqlite://" if text == "sqlite" else text)
    except ValueError as exc:
        raise ConfigError(f"the database server for tests: {exc}") from None
    return server_of(url)


def _fillings(app: Service) -> dict[str, tuple[str, Fill]]:
    """For each database of a service: a name for what it is filled with, and what fills it."""
    settings = app.settings
    folder, table = Path(settings.migrations).absolute(), settings.migrations_table
    found: dict[str, tuple[str, Fill]] = {}
    for name in (["default"] if settings.db_url else []) + sorted(settings.databases):
        own = folder if name == "default" else folder / name
        sets = app.framework_tables.of(name)
        shared = ",".join(f"{tables.name}={tables.directory}" for tables in sets)
        if own.is_dir():
            fill = partial(migrate, directory=own, table=table, sets=sets)
            found[name] = f"{own}:{table}:{shared}", fill
        else:
            models = _existing(settings.models) if name == "default" else []
            key = f"{folder.parent}:{','.join(models)}:{shared}"
            found[name] = key, partial(_create_tables, folder=own, modules=models, sets=sets)
    return found


def _existing(modules: Iterable[str]) -> list[str]:
    return [name for name in modules if importlib.util.find_spec(name) is not None]


def _settings_for(urls: dict[str, str]) -> dict[str, Any]:
    named = {name: url for name, url in urls.items() if name != "default"}
    keywords: dict[str, Any] = {"databases": named} if named else {}
    if "default" in urls:
        keywords["db_url"] = urls["default"]
    return keywords


def _create_tables(
    url: str, folder: Path, modules: Iterable[str], sets: Sequence[TableSet]
) -> None:
    if sets:
        migrate(url, folder, sets=sets)
    models = find_models(modules)
    with opened(url) as database, database.bind_ctx(models):
        database.create_tables(models)


def _template(server: DatabaseURL, key: str, fill: Fill) -> DatabaseURL:
    """The filled database that others are copied from; made at the first call."""
    with _lock:
        if (server.url, key) not in _templates:
            template = _named(server, "template")
            if server.scheme != "sqlite":
                with opened(server) as database:
                    database.execute_sql(f"CREATE DATABASE {template.database}")  # type: ignore[no-untyped-call]
            try:
                fill(template.url)
                if server.scheme == "sqlite":
                    Path(template.database).touch()  # there may have been nothing to fill it with
            except BaseException:
                _drop(server, template)
                raise
            _templates[server.url, key] = server, template
        return _templates[server.url, key][1]


def _named(server: DatabaseURL, kind: str) -> DatabaseURL:
    name = f"sanic_ms_{kind}_{uuid.uuid4().hex[:12]}"
    if server.scheme != "sqlite":
        return replace(server, database=name)
    with _lock:
        if not _folders:
            _folders.append(tempfile.TemporaryDirectory(prefix="sanic_ms_"))
        return DatabaseURL("sqlite", f"{_folders[0].name}/{name}.db")


def _drop(server: DatabaseURL, made: DatabaseURL) -> None:
    if made.scheme == "sqlite":
        for ending in ("", "-wal", "-shm", "-journal"):
            Path(f"{made.database}{ending}").unlink(missing_ok=True)
        return
    force = " WITH (FORCE)" if made.scheme == "postgresql" else ""
    with opened(server) as database:
        database.execute_sql(f"DROP DATABASE IF EXISTS {made.database}{force}")  # type: ignore[no-untyped-call]


atexit.register(drop_all)
