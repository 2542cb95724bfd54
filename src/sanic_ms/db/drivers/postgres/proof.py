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
_MOST_LOOKS: Final = 24

_QUERY: Final = """
WITH RECURSIVE own AS (  -- objects of extensions
    SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
), relation AS (
    SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relname = ANY($1::text[]) AND c.relkind NOT IN ('i', 'I', 'S', 'c', 't')
        AND n.nspname !~ '^pg_(toast|temp_|toast_temp_)'
        AND (n.nspname NOT IN ('pg_catalog', 'information_schema')
            OR n.nspname = ANY($1::text[]) OR pg_table_is_visible(c.oid))
    UNION
    SELECT other.oid FROM relation r CROSS JOIN LATERAL (
        SELECT inhrelid AS oid FROM pg_inherits WHERE inhparent = r.oid
        UNION ALL
        SELECT conrelid FROM pg_constraint WHERE $4 AND contype = 'f' AND confrelid = r.oid
            AND (confdeltype IN ('c', 'n', 'd') OR confupdtype IN ('c', 'n', 'd'))
    ) other
), class AS (
    SELECT c.* FROM pg_class c JOIN relation r ON r.oid = c.oid
), type AS (  -- of columns and by name; of an array, that of its elements
    SELECT coalesce(e.oid, t.oid) AS oid, coalesce(e.typtype, t.typtype) AS typtype
    FROM pg_type t LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typtype = 'b'
    WHERE t.oid IN (SELECT atttypid FROM pg_attribute WHERE attrelid IN (SELECT oid FROM class))
        OR (t.typname = ANY($1::text[]) AND t.oid >= 16384)
), text AS (
    SELECT pg_get_viewdef(oid) AS sql, false AS writes FROM class WHERE relkind = 'v'
    UNION ALL
    SELECT x, false FROM pg_policy, unnest(ARRAY[pg_get_expr(polqual, polrelid),
        pg_get_expr(polwithcheck, polrelid)]) x
    WHERE polrelid IN (SELECT oid FROM class WHERE relrowsecurity)
    UNION ALL
    SELECT pg_get_expr(adbin, adrelid), true FROM pg_attrdef
    WHERE $4 AND adrelid IN (SELECT oid FROM class)
    UNION ALL
    SELECT pg_get_expr(conbin, conrelid), true FROM pg_constraint
    WHERE $4 AND contype = 'c' AND (
        conrelid IN (SELECT oid FROM class) OR contypid IN (SELECT oid FROM type))
    UNION ALL
    SELECT pg_get_expr(conbin, 0), true FROM pg_constraint
    WHERE NOT $4 AND contype = 'c' AND contypid IN (SELECT oid FROM type)
    UNION ALL
    SELECT pg_get_expr(typdefaultbin, 0), true FROM pg_type
    WHERE $4 AND oid IN (SELECT oid FROM type)
    UNION ALL
    SELECT x, true FROM pg_index, unnest(ARRAY[pg_get_expr(indexprs, indrelid),
        pg_get_expr(indpred, indrelid)]) x
    WHERE $4 AND indrelid IN (SELECT oid FROM class)
    UNION ALL
    SELECT pg_get_expr(partexprs, partrelid), true FROM pg_partitioned_table
    WHERE $4 AND partrelid IN (SELECT oid FROM class)
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
    WHEN EXISTS (SELECT FROM type t WHERE t.oid >= 16384 AND t.typtype NOT IN ('c', 'd', 'e')
            AND NOT EXISTS (
                SELECT FROM own WHERE classid = 'pg_type'::regclass AND objid = t.oid))
        THEN 'a type of the application'
    WHEN EXISTS (SELECT FROM pg_cast c WHERE c.oid >= 16384 AND c.castfunc <> 0
            AND NOT EXISTS (
                SELECT FROM own WHERE classid = 'pg_cast'::regclass AND objid = c.oid))
        THEN 'a cast of the application'
    WHEN EXISTS (SELECT FROM pg_index i, unnest(i.indclass) opclass
            WHERE i.indrelid IN (SELECT oid FROM class) AND opclass >= 16384 AND NOT EXISTS (
                SELECT FROM own WHERE classid = 'pg_opclass'::regclass AND objid = opclass))
        THEN 'an operator class of the application'
    END AS reason,
    coalesce((SELECT array_agg(sql) FROM text WHERE sql IS NOT NULL AND NOT writes), '{}') AS read,
    coalesce((SELECT array_agg(sql) FROM text WHERE sql IS NOT NULL AND writes), '{}') AS written
"""

Fetch = Callable[..., Awaitable[Sequence[Any]]]


async def prove(fetch: Fetch, mentions: Mentions) -> str | None:
    """Ask the catalog about what a statement mentions.

    Args:
        fetch: Runs a query on a session that was just reset, and gives its rows.
        mentions: What the statement mentions.

    Returns:
        Why the statement is not proven; None: it is.
    """
    open_, done = [mentions], {mentions}
    looks = 0
    while open_:
        looks += 1
        if looks > _MOST_LOOKS:
            return "too many views, policies and defaults in turn"
        current = open_.pop()
        (row,) = await fetch(
            _QUERY,
            sorted(current.names),
            sorted(current.called),
            sorted(current.operators),
            current.writes,
        )
        if row["reason"] is not None:
            return str(row["reason"])
        for texts, writes in ((row["read"], False), (row["written"], True)):
            for text in texts:
                inner = mentions_of_expression(text, writes=writes)
                if inner is None:
                    return f"the expression {' '.join(text.split())[:200]}"
                # What an expression mentions is only read.
                inner = inner._replace(writes=False)
                if not inner.is_empty and inner not in done:
                    done.add(inner)
                    open_.append(inner)
    return None
