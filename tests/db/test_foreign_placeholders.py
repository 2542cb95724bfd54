"""Placeholders of another library: the statement is refused, and the message says what to write."""

from __future__ import annotations

import pytest

from sanic_ms.db import ConnectionPool
from sanic_ms.db.sql.statement import Statement
from sanic_ms.exception import DatabaseError, StatementError

FOREIGN = ("%s", "%(id)s", "?", ":id", "$id")
HINT = "placeholders are $1, $2, …, and not "


@pytest.mark.parametrize("written", FOREIGN)
async def test_it_is_refused_alike_on_each_database(
    pool: ConnectionPool, table: str, written: str
) -> None:
    """With an argument before it is sent, also where the database itself would take it."""
    sql = f"SELECT id FROM {table} WHERE id = {written}"
    for args in ((1,), ({"id": 1},), ((1,),)):
        with pytest.raises(StatementError) as failure:
            await pool.fetch(sql, *args)
        assert str(failure.value).endswith(f"({HINT}{written})")
        assert "takes 0 arguments and got 1" in str(failure.value)
    with pytest.raises(StatementError) as failure:
        await pool.executemany(f"INSERT INTO {table} (id) VALUES ({written})", [(1,)])
    assert HINT + written in str(failure.value)


@pytest.mark.parametrize("written", ["%(id)s", "?", ":id", "$id"])
async def test_a_database_that_refuses_it_is_explained(
    pool: ConnectionPool, table: str, written: str
) -> None:
    """Without arguments it is sent, and the database's own message follows. SQLite would take NULL
    for a name."""
    if pool.statements.dialect == "sqlite" and written in (":id", "$id"):
        written = "?"
    sql = f"SELECT id FROM {table} WHERE id = {written}"
    for run in (pool.fetch, pool.fetchval, pool.execute):
        with pytest.raises(DatabaseError) as failure:
            await run(sql)
        assert HINT + written in str(failure.value)
    with pytest.raises(DatabaseError) as failure:
        async with pool.transaction() as tx:
            await tx.fetch(sql)
    assert HINT + written in str(failure.value)


async def test_other_mistakes_are_not_explained_so(pool: ConnectionPool, table: str) -> None:
    """Text, comments and casts hold none, and a statement with ours has no others."""
    texts = "'%s ? :id'" if pool.statements.dialect == "sqlite" else "'%s ? :id' /* ? */"
    for sql in (f"SELECT nothing, {texts} FROM {table}", f"SELECT nothing FROM {table}"):
        with pytest.raises(StatementError) as failure:
            await pool.fetch(sql)
        assert "placeholder" not in str(failure.value)


def test_a_placeholder_in_quotes_is_text() -> None:
    """The arguments are one too many, and the message says why."""
    with pytest.raises(StatementError, match=r"write \$1 without quotes"):
        Statement("SELECT id FROM t WHERE name = '$1'", "postgresql").check((1,))


@pytest.mark.parametrize(
    "sql",
    ["SELECT a::text", "SELECT data ?| array['x']", "SELECT a % size", "SELECT t.a$b", "SELECT 1"],
)
def test_operators_are_no_placeholders(sql: str) -> None:
    """What only looks like one is none."""
    assert Statement(sql, "postgresql").hint == ""
