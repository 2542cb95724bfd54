"""Peewee's databases from our URLs: one model means the same on each of them."""

from __future__ import annotations

import itertools
import os
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import peewee
import pytest

from sanic_ms.db import ConnectionPool
from sanic_ms.exception import ConfigError, DatabaseUnavailable, MissingDependency
from sanic_ms.models import peewee_database, utcnow
from sanic_ms.models.database import complete, connect
from sanic_ms.values import DatabaseURL

_numbers = itertools.count()


@pytest.fixture
def database(any_database_url: str) -> Iterator[Any]:
    database = peewee_database(any_database_url)
    connect(database, any_database_url)
    yield database
    database.close()


@pytest.fixture
def event(database: Any) -> Iterator[Any]:
    class Event(peewee.Model):
        moment = peewee.DateTimeField(default=utcnow)
        time = peewee.TimeField(null=True)
        data = peewee.JSONField(null=True)

        class Meta:
            table_name = f"models_event_{os.getpid()}_{next(_numbers)}"

    with database.bind_ctx([Event]):
        database.create_tables([Event])
        yield Event
        database.drop_tables([Event])


def test_utcnow_says_that_it_is_utc() -> None:
    """Aware, so that no database driver has to guess."""
    assert utcnow().tzinfo is UTC
    assert abs(datetime.now(UTC) - utcnow()) < timedelta(seconds=5)


def test_moments_keep_their_instant_and_microseconds(event: Any, database: Any) -> None:
    """What `utcnow` gives is the same instant when it is read again, on each database."""
    moment = datetime(2026, 11, 21, 12, 30, 15, 123456, tzinfo=UTC)
    event.insert(moment=moment).execute()
    (stored,) = event.select(event.moment).tuples().get()
    if isinstance(stored, str):  # SQLite keeps the text; Peewee does not read zones
        stored = datetime.fromisoformat(stored)
    if stored.tzinfo is None:  # MySQL keeps no zone; the session's is UTC
        stored = stored.replace(tzinfo=UTC)
    assert stored == moment


def test_a_moment_without_zone_is_taken_as_utc(event: Any, database: Any) -> None:
    """The session's time zone is UTC, whatever the server's is."""
    event.insert(moment=datetime(2026, 1, 1, 12)).execute()
    (stored,) = event.select(event.moment).tuples().get()
    assert stored.replace(tzinfo=UTC) == datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert stored.utcoffset() in (None, timedelta(0))


def test_json_is_read_as_written(event: Any) -> None:
    """Peewee's own JSONField works on all three."""
    event.insert(data={"a": [1, None, "ü"]}).execute()
    assert event.select(event.data).tuples().get() == ({"a": [1, None, "ü"]},)


def test_nothing_is_opened_before_it_is_used(tmp_path: Path) -> None:
    """A database for a URL that leads nowhere is made; only connecting fails."""
    assert peewee_database("postgresql://nobody@127.0.0.1:1/none").is_closed()
    assert peewee_database("mysql://nobody@127.0.0.1:1/none").is_closed()
    path = tmp_path / "x.db"
    assert peewee_database(f"sqlite:///{path}").is_closed()
    assert not path.exists()


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
def test_an_unreachable_database_is_named_without_its_password(scheme: str) -> None:
    """One line with the URL, its password masked."""
    url = f"{scheme}://ann:s3cret@127.0.0.1:1/shop"
    with pytest.raises(
        DatabaseUnavailable, match=r"cannot open .*ann:\*\*\*@127.0.0.1:1/shop"
    ) as e:
        connect(peewee_database(url), url)
    assert "s3cret" not in str(e.value)
    assert "\n" not in str(e.value)


def test_a_sqlite_file_in_no_folder_names_the_folder(tmp_path: Path) -> None:
    """SQLite says "unable to open database file", which helps nobody."""
    url = f"sqlite:///{tmp_path}/missing/x.db"
    with pytest.raises(DatabaseUnavailable, match=r"there is no folder .*missing"):
        connect(peewee_database(url), url)


def test_options_of_other_drivers_are_left_out(postgres_url: str, mysql_url: str) -> None:
    """The URL is shared with the pool, whose driver has other options."""
    for url in (postgres_url, mysql_url):
        url = f"{url}?statement_cache_size=0&connect_timeout=5"
        database = peewee_database(url)
        connect(database, url)
        connect(database, url)  # twice is once
        database.close()


def test_options_for_tls_hold_for_migrations_too(mysql_url: str) -> None:
    """No password goes in the clear to a server that the pool would refuse: one without TLS, or
    with a certificate that no authority has signed."""
    url = f"{mysql_url}?ssl=1"
    with pytest.raises(DatabaseUnavailable, match="SSL"):
        connect(peewee_database(url), url)
    with pytest.raises(ConfigError, match="ssl_ca cannot be read"):
        peewee_database(f"{mysql_url}?ssl_ca=/no/ca.pem")


def test_a_url_with_odd_characters_in_the_password_connects(postgres_url: str) -> None:
    """Parts are handed to the driver one by one, never pasted into another URL."""
    parsed = DatabaseURL.parse(postgres_url)
    odd = DatabaseURL(
        parsed.scheme, parsed.database, parsed.host, parsed.port, parsed.user, "p@ss/w:rd #1"
    )
    database = peewee_database(odd)
    connect(database, odd)
    database.close()


@pytest.mark.parametrize(
    ("scheme", "module", "extra"),
    [("postgresql", "psycopg", "postgres"), ("mysql", "pymysql", "mysql")],
)
def test_a_missing_driver_names_the_pip_command(
    monkeypatch: pytest.MonkeyPatch, scheme: str, module: str, extra: str
) -> None:
    """Which extra brings it is said."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependency, match=rf'pip install "sanic-ms\[{extra}\]"'):
        peewee_database(f"{scheme}://ann@127.0.0.1/shop")


@pytest.mark.parametrize("url", ["", "shop.db", "oracle://x/y", "postgresql://host"])
def test_what_is_no_url_is_refused(url: str) -> None:
    """Before anything is opened."""
    with pytest.raises(ValueError, match="database"):
        peewee_database(url)


@pytest.mark.parametrize("value", ['it\'s 100% ? \\ "x"', 7, 1.5, None, b"\x00\xff", "", "ü\n"])
def test_a_completed_statement_means_the_same(database: Any, value: object) -> None:
    """Values are quoted as the driver would, and marks within texts are left alone."""
    text = complete(database, f"SELECT {database.param}, '?' AS q", (value,))
    cursor = database.connection().cursor()
    cursor.execute(text)
    assert cursor.fetchone() == (value, "?")


def test_values_without_a_place_are_refused(sqlite_url: str) -> None:
    """Rather than lost."""
    database = peewee_database(sqlite_url)
    with database.connection_context(), pytest.raises(ValueError, match="more values than places"):
        complete(database, "SELECT 1", (2,))


def test_a_script_writes_what_the_pool_writes(database: Any) -> None:
    """UUIDs as text have hyphens, and JSON no spaces, so that SQL text finds both."""

    class Thing(peewee.Model):
        uid = peewee.UUIDField()
        data = peewee.JSONField()

        class Meta:
            table_name = f"t_{uuid.uuid4().hex[:12]}"

    uid = uuid.UUID("0c4f1de8-3b1c-4d3f-8a37-2f5b2d0f7a11")
    data = {"a": [1, "é"], "b": None}
    with database.bind_ctx([Thing]):
        database.create_tables([Thing])
        try:
            Thing.create(uid=uid, data=data)
            table = Thing._meta.table_name
            row = database.execute_sql(f"SELECT uid, data FROM {table}").fetchone()
            assert str(row[0]) == str(uid)
            assert row[1] == data or row[1] == '{"a":[1,"é"],"b":null}'
            assert Thing.get(Thing.uid == uid, Thing.data == data).data == data
            assert Thing.get(Thing.uid == uid.hex).uid == uid
            assert Thing.get(Thing.uid.in_([str(uid)])).uid == uid
        finally:
            database.drop_tables([Thing])


async def test_the_pool_finds_the_moments_of_a_script(
    event: Any, database: Any, any_database_url: str
) -> None:
    """Whole seconds, another zone and none among them. A dry run shows what a run would write."""
    moment = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
    east = moment.astimezone(timezone(timedelta(hours=3)))
    for spelling in (moment, east, moment.replace(tzinfo=None)):
        event.insert(moment=spelling).execute()
    assert event.select().where(event.moment == east).count() == 3
    pool = ConnectionPool(any_database_url)
    await pool.start()
    try:
        rows = await pool.fetch(event.select(event.moment).where(event.moment == moment))
        assert rows == [{"moment": moment}] * 3
        text = event._meta.table_name
        assert await pool.fetchval(f"SELECT count(*) FROM {text} WHERE moment = $1", east) == 3
    finally:
        await pool.stop()
    if not isinstance(database, peewee.PostgresqlDatabase):
        shown = complete(database, f"SELECT {database.param}", (east,))
        assert shown.startswith("SELECT '2024-05-06 07:08:09")
