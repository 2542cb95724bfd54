"""The catalog's half of the proof that a statement leaves its session as it was, on MySQL.

`sanic_ms.db.sql.classification` has read the text. Here the catalog confirms that each name of a
table is that of a plain one, that no stored function has the name of one that is called, and that
no table to which rows are written has triggers. The server shows triggers only with the privilege
TRIGGER, so without that no statement that writes is proven.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from sanic_ms.db.sql.classification import Mentions

__all__ = ["prove"]

_TABLES: Final = """
SELECT 1 FROM information_schema.TABLES
WHERE TABLE_TYPE NOT IN ('BASE TABLE', 'SYSTEM VERSIONED', 'SYSTEM VIEW')
    AND TABLE_NAME IN ({names})
    AND (TABLE_SCHEMA = DATABASE() OR TABLE_SCHEMA IN ({names}))
LIMIT 1
"""
_TRIGGERS: Final = """
SELECT 1 FROM information_schema.TRIGGERS
WHERE EVENT_OBJECT_TABLE IN ({names})
    AND (EVENT_OBJECT_SCHEMA = DATABASE() OR EVENT_OBJECT_SCHEMA IN ({names}))
LIMIT 1
"""
_MAY_SEE_TRIGGERS: Final = """
SELECT 1 FROM information_schema.USER_PRIVILEGES WHERE PRIVILEGE_TYPE = 'TRIGGER'
UNION ALL
SELECT 1 FROM information_schema.SCHEMA_PRIVILEGES
WHERE PRIVILEGE_TYPE = 'TRIGGER' AND TABLE_SCHEMA = DATABASE()
LIMIT 1
"""

_FUNCTIONS: Final = """
SELECT 1 FROM information_schema.ROUTINES
WHERE LOWER(ROUTINE_NAME) IN ({names}) AND ROUTINE_SCHEMA = DATABASE()
LIMIT 1
"""

Fetch = Callable[[str, Sequence[str]], Awaitable[Sequence[Any]]]


async def prove(fetch: Fetch, mentions: Mentions) -> str | None:
    """Ask the catalog about what a statement mentions.

    Args:
        fetch: Runs a query on a session that was just reset, and gives its rows.
        mentions: What the statement mentions.

    Returns:
        Why the statement is not proven; None: it is.
    """
    names = sorted(mentions.names)
    marks = ", ".join("?" * len(names)) or "NULL"
    if await fetch(_TABLES.format(names=marks), [*names, *names]):
        return "a view or a sequence"
    called = sorted(mentions.called)
    marks_called = ", ".join("?" * len(called))
    if called and await fetch(_FUNCTIONS.format(names=marks_called), called):
        return "a function of the application"
    if mentions.writes:
        if not await fetch(_MAY_SEE_TRIGGERS, []):
            return "without the privilege TRIGGER, triggers are not seen"
        if await fetch(_TRIGGERS.format(names=marks), [*names, *names]):
            return "a table with triggers"
    return None
