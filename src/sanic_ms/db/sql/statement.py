"""From what the caller gave to what a driver sends: SQL text of its dialect, and arguments.

A statement is SQL text with ``$1`` placeholders, a Peewee query or a SQLAlchemy Core statement.
The last two are recognised by their classes without importing either library; they are only ever
compiled here, never executed by their makers. Nothing here does I/O.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from sanic_ms.db.sql import query_builders
from sanic_ms.db.sql.classification import is_plain_read
from sanic_ms.db.sql.placeholders import Dialect, scan
from sanic_ms.exception import StatementError
from sanic_ms.telemetry.tracing import ChildSpans

__all__ = ["Statement", "StatementCache"]

Arguments = Sequence[Any]

_LONGEST = 16_384  # characters of a text that is remembered

_FIRST_WORD = re.compile(r"[\s(;]*([a-zA-Z]+)")
_WRITE_WORD = re.compile(r"\b(?:insert|update|delete|replace|merge)\b", re.IGNORECASE)

# What changes the session beyond the statement, and so must not reach the next user of the
# connection. Judged on bare code: a word in a string or a comment does not count.
_SESSION_WORDS: dict[Dialect, re.Pattern[str]] = {
    "postgresql": re.compile(
        r"(?:\A|;)\s*(?:set\s+(?!local\b|transaction\b|constraints\b)|(?:reset|listen|unlisten|"
        r"prepare|deallocate|declare|load|discard|do|call)\b)"
        r"|\b(?:create|into)\s+(?:(?:global|local)\s+)?temp(?:orary)?\b"
        r"|\b(?:set_config|pg_(?:try_)?advisory_(?:un)?lock\w*)\s*\(",
        re.IGNORECASE,
    ),
    "mysql": re.compile(
        r"(?:\A|;)\s*(?:set|use|prepare|deallocate|lock|unlock|handler|call|do)\b"
        r"|\bcreate\s+temporary\b|\bget_lock\s*\(|@\w|:=",
        re.IGNORECASE,
    ),
    "sqlite": re.compile(
        r"(?:\A|;)\s*(?:attach|detach)\b|\bcreate\s+temp(?:orary)?\b|(?:\A|;)\s*pragma\b(?!"
        r"\s+(?:\w+\.)?(?:(?:table|index)_x?info|index_list|foreign_key_(?:list|check)|\w+_check|"
        r"wal_checkpoint|optimize|incremental_vacuum)\b|\s+[\w.]+\s*(?:;\s*)?\Z)",
        re.IGNORECASE,
    ),
}


class Statement:
    """One SQL text, ready for one dialect.

    Attributes:
        sql: The text as the caller wrote it.
        word: Its first word, in lower case.
        text: The text for the driver: ``$1`` for PostgreSQL, ``?`` for the others.
        count: How many arguments it takes.
        order: The argument's index for each ``?`` of the text; None where that is 0, 1, 2 …
        selects: It starts with SELECT or VALUES and so cannot write on SQLite.
        writes: It may change data, as far as its words tell.
        changes_session: It may change the session beyond itself: SET, LISTEN, temporary tables …
        plain: It only reads, may run twice, and may share a session with others of its kind.
        slow: It was seen to take long, which a driver or the pool remembers here.
        together: How many plain reads may be under way on one session, this one among them, while
            another one is idle. A driver's own use.
        answered: How many plain reads were answered that were sent together, about. A driver's own.
        alone_for: Seconds for which it had a session of its own when it last took long, for the
            pool's use.
        traced, batched: For the pool's `watch`: make its spans, with one row of values and with
            many; None until one is recorded.

    Raises:
        StatementError: it is empty, its placeholders are not numbered without gaps, or PostgreSQL
            could not read it (a NUL, half a surrogate pair).
    """

    __slots__ = ("alone_for", "answered", "batched", "changes_session", "count", "order", "plain",
                 "selects", "slow", "sql", "text", "together", "traced", "word",
                 "writes")  # fmt: skip

    def __init__(self, sql: str, dialect: Dialect) -> None:
        if dialect == "postgresql":
            _check_letters(sql)
        found = scan(sql, dialect)
        self.sql = sql
        self.count = max(found.numbers, default=0)
        self.order: tuple[int, ...] | None = None
        if dialect == "postgresql":
            self.text = sql
        else:
            self.text = "?".join(found.parts)
            order = tuple(number - 1 for number in found.numbers)
            if order != tuple(range(len(order))):
                self.order = order
        first = _FIRST_WORD.match(found.code)
        if first is None:
            raise StatementError("the statement is empty")
        self.word = word = first[1].lower()
        self.selects = word in ("select", "values")
        self.writes = not (
            self.selects
            or word in ("explain", "show", "pragma")
            or (word == "with" and _WRITE_WORD.search(found.code) is None)
        )
        self.changes_session = _SESSION_WORDS[dialect].search(found.code) is not None
        # Of a longer one nobody would remember that it takes long, and all who share its connection
        # would be held up each time.
        self.plain = (
            dialect == "postgresql"
            and len(sql) <= _LONGEST
            and not self.changes_session
            and is_plain_read(found.shown)
        )
        self.slow = False
        self.together = 1
        self.answered = 0
        self.alone_for = 0.0
        self.traced: ChildSpans | None = None
        self.batched: ChildSpans | None = None

    def check(self, args: Arguments) -> None:
        """Refuse a wrong number of arguments.

        Raises:
            StatementError: more or fewer than `count`.
        """
        if len(args) != self.count:
            raise StatementError(
                f"the statement takes {self.count} argument{'s' * (self.count != 1)} and got "
                f"{len(args)}: {self._shown()}"
            )

    def arrange(self, args: Arguments) -> Arguments:
        """The arguments in the order of the ``?`` of `text`."""
        return args if self.order is None else [args[index] for index in self.order]

    def _shown(self) -> str:
        text = " ".join(self.sql.split())
        return text if len(text) <= 120 else f"{text[:117]}..."

    def __repr__(self) -> str:
        return f"Statement({self._shown()!r})"


def _check_letters(sql: str) -> None:
    """Refuse what would reach PostgreSQL as something else, or not at all."""
    if "\0" in sql:
        raise StatementError("the statement has a NUL in it, where PostgreSQL would take it to end")
    try:
        sql.encode()
    except UnicodeEncodeError as exc:
        raise StatementError(f"the statement cannot be written in UTF-8: {exc}") from exc


class StatementCache:
    """The statements of one dialect that were seen before, up to a number.

    Args:
        dialect: Of the database.
        limit: How many texts to keep; the oldest goes first. Texts over 16 kB are not kept.
    """

    __slots__ = ("_known", "dialect", "limit")

    def __init__(self, dialect: Dialect, limit: int = 1024) -> None:
        self.dialect: Dialect = dialect
        self.limit = limit
        self._known: dict[str, Statement] = {}

    def get(self, statement: object, args: Arguments) -> tuple[Statement, Arguments]:
        """The statement for the driver, and its arguments, checked for their number.

        Raises:
            StatementError: the number of arguments is wrong, a query builder's statement came with
                arguments of its own, or it is none of the three kinds.
        """
        known = self._known.get(statement) if type(statement) is str else None
        if known is None:
            known, args = self._compile(statement, args)
        if len(args) != known.count:
            known.check(args)
        return known, args

    def find(self, sql: str) -> Statement:
        """The statement of a text, whatever number of arguments it takes."""
        known = self._known.get(sql)
        return known if known is not None else self._remember(sql)

    def _compile(self, statement: object, args: Arguments) -> tuple[Statement, Arguments]:
        if not isinstance(statement, str):
            built = query_builders.compile_query(statement, self.dialect)
            if built is None:
                raise StatementError(
                    "a statement is SQL text, a Peewee query or a SQLAlchemy Core statement, not "
                    f"{type(statement).__module__}.{type(statement).__qualname__}"
                )
            if args:
                raise StatementError(
                    "a query brings its own values: give no arguments beside it, or write SQL text"
                )
            statement, args = built
        return self.find(statement), args

    def _remember(self, sql: str) -> Statement:
        statement = Statement(sql, self.dialect)
        if len(sql) <= _LONGEST:
            if len(self._known) >= self.limit:
                del self._known[next(iter(self._known))]
            self._known[sql] = statement
        return statement
