"""Which column an argument is meant for: said where it is certain, and nothing elsewhere."""

from __future__ import annotations

import pytest

from sanic_ms.db.sql.statement import Statement


@pytest.mark.parametrize(
    ("sql", "table", "columns"),
    [
        ("INSERT INTO t (a, b) VALUES ($1, $2)", (None, "t"), [(1, "a"), (2, "b")]),
        (
            "insert ignore into `d`.`t` (`a`,`b`) values ($2,now()), (1, $1)",
            ("d", "t"),
            [(2, "a"), (1, "b")],
        ),
        ("INSERT INTO t (a, b) VALUES (f($1, $2), $3)", (None, "t"), [(3, "b")]),
        ("INSERT INTO t (a, b) VALUES ($1 + 1, 'x, $9')", None, []),
        (
            "REPLACE INTO t (a) VALUES ($1) ON DUPLICATE KEY UPDATE b = f($2)",
            (None, "t"),
            [(1, "a")],
        ),
        ("UPDATE t SET a = $1, b = b + $2 WHERE id=$3", (None, "t"), [(1, "a"), (3, "id")]),
        ("SELECT * FROM t WHERE a = $1 AND (b = $2 OR c > $3)", (None, "t"), [(1, "a"), (2, "b")]),
        ("SELECT `t1`.`a` FROM `t` AS `t1` WHERE (`t1`.`a` = $1)", (None, "t"), [(1, "a")]),
        ("DELETE FROM t WHERE a = $1 FOR UPDATE", (None, "t"), [(1, "a")]),
        ("SELECT * FROM t WHERE a + b = $1", None, []),
        ("SELECT * FROM t WHERE a = $1 * b", None, []),
        ("SELECT * FROM t WHERE a DIV b = $1", None, []),
        ("SELECT * FROM t, u WHERE a = $1", None, []),
        ("SELECT * FROM t x, u y WHERE y.a = $1", None, []),
        ("SELECT * FROM t JOIN u USING (id) WHERE a = $1", None, []),
        ("SELECT * FROM t WHERE a IN (SELECT b FROM u WHERE c = $1)", None, []),
        ("INSERT INTO t (a) SELECT b FROM u WHERE c = $1", (None, "u"), [(1, "c")]),
        ("INSERT INTO t VALUES ($1, 2, $2)", (None, "t"), [(1, 0), (2, 2)]),
        ('INSERT INTO "t" ("a") VALUES ($1)', (None, "t"), [(1, "a")]),
        ("SELECT $1", None, []),
        ("SELECT 'FROM t WHERE a = $1', $1", None, []),
    ],
)
def test_targets(sql: str, table: tuple[str | None, str] | None, columns: list[object]) -> None:
    """The table, and a column for each argument that stands alone."""
    targets = Statement(sql, "mysql").targets
    if table is None:
        assert targets is None
    else:
        assert targets is not None
        assert (targets.schema, targets.table) == table
        assert list(targets.columns) == columns
