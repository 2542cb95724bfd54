"""What is told of a pool's work: its durations, and a span for each statement of a request that is
recorded.

What a connection asks of its session passes here as an awaitable, and is given back as it is where
nobody looks. The durations of the usual statements are counted where these run: a coroutine around
each would cost more than the counting.
"""

from __future__ import annotations

import re
from collections.abc import Coroutine
from typing import Any, TypeVar

from sanic_ms.db.metrics import PoolMetrics
from sanic_ms.db.sql.statement import Statement
from sanic_ms.exception import DatabaseError
from sanic_ms.telemetry.tracing import MOST_TEXT, ChildSpans, Scope, recording_parent
from sanic_ms.values import DatabaseURL

__all__ = ["StatementInstrumentation"]

T = TypeVar("T")
Work = Coroutine[Any, Any, T]

_SCOPE = Scope("sanic_ms.db")
_TABLE = re.compile(
    r"\b(?:from|into|update|join|table)\s+(?:only\s+|if\s+(?:not\s+)?exists\s+)?"
    r"([\w.\"`\[\]]{1,64})",
    re.IGNORECASE,
)


class StatementInstrumentation:
    """The observer of one pool. Attributes follow OpenTelemetry's conventions for databases.

    Args:
        url: Of the database; None: it is not known yet.
        metrics: Count how long the work takes; None: nobody wants to know.
    """

    __slots__ = ("_commands", "_common", "metrics")

    def __init__(self, url: DatabaseURL | None, metrics: PoolMetrics | None = None) -> None:
        self.metrics = metrics
        self._commands: dict[str, ChildSpans] = {}
        self._common: dict[str, Any] = {}
        if url is not None:
            self._common = {"db.system.name": url.scheme, "db.namespace": url.database}
            if url.host:
                self._common["server.address"] = url.host
            if url.port and not url.host.startswith("/"):
                self._common["server.port"] = url.port

    def statement(self, statement: Statement, work: Work[T]) -> Work[T]:
        """What runs a statement. Its text is told, without strings and numbers in it; the values
        that are bound to it are not."""
        if self.metrics is not None:
            work = self.metrics.timed(statement.word, work)
        return self.traced(statement, work)

    def traced(self, statement: Statement, work: Work[T]) -> Work[T]:
        """The same without its duration, which the caller counts."""
        parent = recording_parent()
        if parent is None:
            return work
        return self._spans(statement).around(parent, work, _code_of)

    def tried(self, statement: Statement, work: Work[T]) -> Work[T]:
        """The same for what is done again where it fails: then nothing is told of it."""
        parent = recording_parent()
        if parent is None:
            return work
        return self._spans(statement).around(parent, work, None)

    def batch(self, statement: Statement, work: Work[T]) -> Work[T]:
        """What runs a statement for many rows of values."""
        if self.metrics is not None:
            work = self.metrics.timed(statement.word, work)
        parent = recording_parent()
        if parent is None:
            return work
        spans = statement.batched
        if spans is None:
            said = self._spans(statement).attributes.copy()
            for name in ("db.query.summary", "db.operation.name"):
                said[name] = f"BATCH {said[name]}"
            spans = statement.batched = ChildSpans(_SCOPE, said["db.query.summary"], said)
        return spans.around(parent, work, _code_of)

    def command(self, name: str, work: Work[T]) -> Work[T]:
        """What begins or ends a transaction or a savepoint."""
        if self.metrics is not None:
            work = self.metrics.timed(name, work)
        parent = recording_parent()
        if parent is None:
            return work
        spans = self._commands.get(name)
        if spans is None:
            said = {**self._common, "db.operation.name": name}
            spans = self._commands[name] = ChildSpans(_SCOPE, name, said)
        return spans.around(parent, work, _code_of)

    def _spans(self, statement: Statement) -> ChildSpans:
        spans = statement.traced
        if spans is None:
            said = {**self._common, **_describe(statement.shown)}
            spans = statement.traced = ChildSpans(_SCOPE, said["db.query.summary"], said)
        return spans


def _describe(text: str) -> dict[str, Any]:
    """What can be said of a statement from its text."""
    operation = text.split(None, 1)[0].strip("(;").upper()[:32]
    tables = list(dict.fromkeys(name.strip('"`[]') for name in _TABLE.findall(text)))
    said = {
        "db.query.text": text.strip()[:MOST_TEXT],
        "db.operation.name": operation,
        "db.query.summary": " ".join((operation, *tables[:3])),
    }
    if len(tables) == 1:
        said["db.collection.name"] = tables[0]
    return said


def _code_of(exc: BaseException) -> dict[str, Any]:
    """The database's own code of an error."""
    code = exc.sqlstate if isinstance(exc, DatabaseError) else None
    return {"db.response.status_code": code} if code else {}
