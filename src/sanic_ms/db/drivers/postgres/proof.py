"""The catalog's half of the proof that a statement leaves its session as it was.

`sanic_ms.db.sql.classification` has read the text. Here PostgreSQL's catalog confirms what the text
mentions: each name that is a relation is a plain table without rules, or a view; no function,
operator, type or cast of the application's own can be meant by it; and what a table brings along
(policies; where rows are written, triggers, defaults, checks, indexes and the tables of cascades)
proves harmless by the same rules. Names are looked up in every schema, so that no search path makes
a difference. Objects of extensions are trusted like the server's own, unless they are VOLATILE.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from sanic_ms.db.sql.classification import Mentions, mentions_of_expression

__all__ = ["prove"]

# Views, policies and defaults mention names themselves, which are looked up in turn.
_MOST_LOOKS: Final = 12

_QUERY: Final = """
WITH RECURSIVE own AS (  -- objects of extensions
    SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
), relation AS (
    SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relname = ANY($1::text[]) AND c.relkind NOT IN ('i', 'I', 'S', 'c', 't')
        AND n.nspname !~ '^pg_(toast|temp_|toast_temp_)'
        AND (n.nspname <> 'information_schema' OR n.nspname = ANY($1::text[]))
    UNION  -- parts, heirs and, where rows are written, what they belong to and cascades reach
    SELECT other.oid FROM relation r CROSS JOIN LATERAL (
        SELECT inhrelid AS oid FROM pg_inherits WHERE inhparent = r.oid
        UNION ALL
        SELECT inhparent FROM pg_inherits WHERE $4 AND inhrelid = r.oid
        UNION ALL
        SELECT conrelid FROM pg_constraint WHERE $4 AND contype = 'f' AND confrelid = r.oid
            AND (confdeltype IN ('c', 'n', 'd') OR confupdtype IN ('c', 'n', 'd'))
    ) other
), class AS (
    SELECT c.* FROM pg_class c JOIN relation r ON r.oid = c.oid
), type AS (  -- of columns and by name, and what these are made of
    SELECT t.oid FROM pg_type t
    WHERE t.oid IN (SELECT atttypid FROM pg_attribute WHERE attrelid IN (SELECT oid FROM class))
        OR (t.typname = ANY($1::text[]) AND t.oid >= 16384)
    UNION
    SELECT part.oid FROM type CROSS JOIN LATERAL (
        SELECT unnest(ARRAY[typelem, typbasetype]) AS oid FROM pg_type WHERE oid = type.oid
        UNION ALL
        SELECT a.atttypid FROM pg_type t JOIN pg_attribute a ON a.attrelid = t.typrelid
        WHERE t.oid = type.oid AND t.typrelid <> 0 AND t.oid >= 16384
        UNION ALL
        SELECT rngsubtype FROM pg_range WHERE rngtypid = type.oid
    ) part WHERE part.oid <> 0
), text AS (
    SELECT pg_get_viewdef(oid) AS sql, false AS writes FROM class WHERE relkind = 'v'
    UNION ALL
    SELECT x, false FROM pg_policy, unnest(ARRAY[pg_get_expr(polqual, polrelid),
        pg_get_expr(polwithcheck, polrelid)]) x
    WHERE polrelid IN (SELECT oid FROM class WHERE relrowsecurity)
    -- These run where rows are written, and parts of them while a read is planned.
    UNION ALL
    SELECT pg_get_expr(conbin, conrelid), false FROM pg_constraint
    WHERE contype = 'c' AND (
        conrelid IN (SELECT oid FROM class) OR contypid IN (SELECT oid FROM type))
    UNION ALL
    SELECT x, false FROM pg_index, unnest(ARRAY[pg_get_expr(indexprs, indrelid),
        pg_get_expr(indpred, indrelid)]) x
    WHERE indrelid IN (SELECT oid FROM class)
    UNION ALL
    SELECT pg_get_expr(partexprs, partrelid), false FROM pg_partitioned_table
    WHERE partrelid IN (SELECT oid FROM class)
    UNION ALL
    SELECT pg_get_expr(stxexprs, stxrelid), false FROM pg_statistic_ext
    WHERE stxrelid IN (SELECT oid FROM class)
    UNION ALL
    SELECT pg_get_expr(adbin, adrelid), true FROM pg_attrdef
    WHERE $4 AND adrelid IN (SELECT oid FROM class)
    UNION ALL
    SELECT pg_get_expr(typdefaultbin, 0), true FROM pg_type
    WHERE $4 AND oid IN (SELECT oid FROM type)
)
SELECT CASE
    WHEN EXISTS (SELECT FROM class
            WHERE relkind NOT IN ('r', 'p', 'm', 'v') OR ($4 AND relkind NOT IN ('r', 'p')))
        THEN 'a relation that is no plain table'
    WHEN EXISTS (SELECT FROM pg_rewrite WHERE ev_class IN (SELECT oid FROM class)
            AND ($4 OR ev_class IN (SELECT oid FROM class WHERE relkind <> 'v'))
            AND NOT (rulename = '_RETURN' AND ev_type = '1'))
        THEN 'a table with rules'
    WHEN $4 AND EXISTS (SELECT FROM pg_trigger
            WHERE NOT tgisinternal AND tgrelid IN (SELECT oid FROM class))
        THEN 'a table with triggers'
    WHEN EXISTS (SELECT FROM pg_proc p LEFT JOIN pg_type t ON t.oid = p.proargtypes[0]
            WHERE p.oid >= 16384 AND p.prorettype <> 'trigger'::regtype
            AND (p.proname = ANY($2::text[])
                OR (p.proname = ANY($1::text[]) AND t.typtype IN ('c', 'd', 'p')))
            AND NOT (p.provolatile <> 'v' AND EXISTS (
                SELECT FROM own WHERE classid = 'pg_proc'::regclass AND objid = p.oid)))
        THEN 'a function of the application'
    WHEN EXISTS (SELECT FROM pg_operator o WHERE o.oid >= 16384 AND o.oprname = ANY($3::text[])
            AND NOT EXISTS (
                SELECT FROM own WHERE classid = 'pg_operator'::regclass AND objid = o.oid))
        THEN 'an operator of the application'
    WHEN EXISTS (SELECT FROM type JOIN pg_type t USING (oid)
            LEFT JOIN pg_range r ON t.oid IN (r.rngtypid, r.rngmultitypid)
            WHERE t.oid >= 16384 AND NOT (t.typtype IN ('c', 'd', 'e') OR t.typelem <> 0
                OR (r.rngcanonical::oid < 16384 AND r.rngsubdiff::oid < 16384))
            AND NOT EXISTS (
                SELECT FROM own WHERE classid = 'pg_type'::regclass AND objid = t.oid))
        THEN 'a type of the application'
    WHEN EXISTS (SELECT FROM pg_cast c JOIN pg_proc p ON p.oid = c.castfunc
            WHERE c.oid >= 16384 AND p.prosrc !~ '^multirange_constructor'
            AND NOT EXISTS (
                SELECT FROM own WHERE classid = 'pg_cast'::regclass AND objid = c.oid))
        THEN 'a cast of the application'
    WHEN EXISTS (SELECT FROM pg_opclass o WHERE o.oid >= 16384 AND NOT EXISTS (
                SELECT FROM own WHERE classid = 'pg_opclass'::regclass AND objid = o.oid))
        THEN 'an operator class of the application'
    END AS reason,
    coalesce((SELECT array_agg(sql) FROM text WHERE sql IS NOT NULL AND NOT writes), '{}') AS read,
    coalesce((SELECT array_agg(sql) FROM text WHERE sql IS NOT NULL AND writes), '{}') AS written
"""

_STATISTICS = """    UNION ALL
    SELECT pg_get_expr(stxexprs, stxrelid), false FROM pg_statistic_ext
    WHERE stxrelid IN (SELECT oid FROM class)
"""
# Version 13 and older has neither statistics of expressions nor multiranges.
_QUERY_13: Final = _QUERY.replace(_STATISTICS, "").replace(
    "t.oid IN (r.rngtypid, r.rngmultitypid)", "t.oid = r.rngtypid"
)

Fetch = Callable[..., Awaitable[Sequence[Any]]]


async def prove(fetch: Fetch, mentions: Mentions, version: int) -> str | None:
    """Ask the catalog about what a statement mentions.

    Args:
        fetch: Runs a query on a session that was just reset, and gives its rows. Names in it mean
            those of ``pg_catalog``.
        mentions: What the statement mentions.
        version: The server's, without its minor one.

    Returns:
        Why the statement is not proven; None: it is.
    """
    current, done = mentions, {mentions}
    for _ in range(_MOST_LOOKS):
        (row,) = await fetch(
            _QUERY if version > 13 else _QUERY_13,
            sorted(current.names),
            sorted(current.called),
            sorted(current.operators),
            current.writes,
        )
        if row["reason"] is not None:
            return str(row["reason"])
        # What these expressions mention, all together, is only read.
        names, called, operators = set[str](), set[str](), set[str]()
        for texts, writes in ((row["read"], False), (row["written"], True)):
            for text in texts:
                inner = mentions_of_expression(text, writes=writes)
                if inner is None:
                    return f"the expression {' '.join(text.split())[:200]}"
                names |= inner.names
                called |= inner.called
                operators |= inner.operators
        current = Mentions(frozenset(names), frozenset(called), frozenset(operators))
        if current.is_empty or current in done:
            return None
        done.add(current)
    return "too many views, policies and defaults in turn"
