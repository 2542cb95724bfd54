"""Fixtures that the tests of every package share: real databases, or a skip that says why."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pymysql
import pytest
from hypothesis import HealthCheck, settings
from sanic import Sanic
from sanic.config import DEFAULT_CONFIG

import redis
from sanic_ms import Service
from sanic_ms.values import DatabaseURL

# Sanic rewrites its own classes at the start of an application, by the signals that this one uses
# and for the whole process. Here many applications share one.
DEFAULT_CONFIG["TOUCHUP"] = False
# It would extend each plain application with sanic-ext, which is installed for a few tests.
DEFAULT_CONFIG["AUTO_EXTEND"] = False

# A machine that is busy is slow, and nothing is wrong with the code for that. The examples are the
# same in each run; `--hypothesis-profile=explore` looks for others, and for more of them.
settings.register_profile(
    "project",
    deadline=None,
    derandomize=True,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "explore",
    deadline=None,
    max_examples=1000,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("project")

DEFAULT_URLS = {
    "POSTGRES": "postgresql://postgres@127.0.0.1:5432/postgres",
    "MYSQL": "mysql://root@127.0.0.1:3306/mysql",
    "REDIS": "redis://127.0.0.1:6379/0",
}


def service_url(kind: str) -> str:
    """Where the service of a kind is: ``SANIC_MS_TEST_<KIND>_URL``, or its usual local port."""
    return os.environ.get(f"SANIC_MS_TEST_{kind}_URL") or DEFAULT_URLS[kind]


def absent(kind: str, exc: Exception) -> None:
    """Skip a test whose service does not answer; fail where services are required."""
    message = f"{kind} does not answer (set SANIC_MS_TEST_{kind}_URL): {exc}"
    if os.environ.get("SANIC_MS_REQUIRE_SERVICES") == "1":
        pytest.fail(message)
    pytest.skip(message)


@contextlib.contextmanager
def fresh_postgres() -> Iterator[str]:
    """A new, empty PostgreSQL database, dropped at the end."""
    url = DatabaseURL.parse(service_url("POSTGRES"))
    try:
        admin = psycopg.connect(url.url, autocommit=True, connect_timeout=3)
    except psycopg.OperationalError as exc:
        absent("POSTGRES", exc)
        return
    name = f"sanic_ms_{uuid.uuid4().hex[:12]}"
    with contextlib.closing(admin):
        admin.execute(f"CREATE DATABASE {name}")
        try:
            yield _renamed(url, name)
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextlib.contextmanager
def fresh_mysql() -> Iterator[str]:
    """A new, empty MySQL or MariaDB database, dropped at the end."""
    url = DatabaseURL.parse(service_url("MYSQL"))
    try:
        admin = pymysql.connect(
            host=url.host,
            port=url.port,
            user=url.user or "root",
            password=url.password or "",
            connect_timeout=3,
            autocommit=True,
        )
    except pymysql.MySQLError as exc:
        absent("MYSQL", exc)
        return
    name = f"sanic_ms_{uuid.uuid4().hex[:12]}"
    with contextlib.closing(admin), admin.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        try:
            yield _renamed(url, name)
        finally:
            cursor.execute(f"DROP DATABASE IF EXISTS {name}")


def _renamed(url: DatabaseURL, name: str) -> str:
    return DatabaseURL(
        url.scheme, name, url.host, url.port, url.user, url.password, url.options
    ).url


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings but those of the test: those of the folder and of the shell are out of sight."""
    monkeypatch.chdir(tmp_path)
    for name in ("DB_URL", "PORT", "SANIC_MS_SETTINGS", "SANIC_MS_TEST_DB_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """URL of a fresh PostgreSQL database for the whole run of this test process."""
    with fresh_postgres() as url:
        yield url


@pytest.fixture(scope="session")
def mysql_url() -> Iterator[str]:
    """URL of a fresh MySQL or MariaDB database for the whole run of this test process."""
    with fresh_mysql() as url:
        yield url


@pytest.fixture(scope="session")
def redis_url() -> str:
    """URL of a Redis that answers."""
    url = service_url("REDIS")
    try:
        with contextlib.closing(redis.Redis.from_url(url, socket_connect_timeout=3)) as client:
            client.ping()
    except redis.RedisError as exc:
        absent("REDIS", exc)
    return url


@pytest.fixture(autouse=True)
def asgi_call() -> Iterator[None]:
    """sanic-testing puts a ``__call__`` of its own on the classes of the applications it asks."""
    before = {cls: vars(cls).get("__call__") for cls in (Sanic, Service)}
    yield
    for cls, call in before.items():
        if call is not None and vars(cls).get("__call__") is not call:
            cls.__call__ = call  # type: ignore[method-assign]


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """URL of a SQLite file of this test's own."""
    return f"sqlite:///{tmp_path / 'test.db'}"


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def any_database_url(request: pytest.FixtureRequest, sqlite_url: str) -> str:
    """Each kind of database in turn. The two servers' databases are shared within a test process:
    make tables with unique names, or drop what you make."""
    if request.param == "sqlite":
        return sqlite_url
    fixture = "postgres_url" if request.param == "postgresql" else "mysql_url"
    url: str = request.getfixturevalue(fixture)
    return url
