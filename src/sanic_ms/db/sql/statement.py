"""From what the caller gave to what a driver sends: SQL text of its dialect, and arguments.

A statement is SQL text with ``$1`` placeholders. What a query builder has made becomes such a text
before (`sanic_ms.db.builders`). Nothing here does I/O.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from sanic_ms.db.sql.classification import Mentions, classify
from sanic_ms.db.sql.placeholders import Dialect, foreign_placeholder, scan
from sanic_ms.db.sql.targets import Targets, find_targets
from sanic_ms.exception import StatementError
from sanic_ms.telemetry.tracing import ChildSpans

__all__ = ["Statement", "StatementCache"]

Arguments = Sequence[Any]

_LONGEST = 16_384  # characters of a text that is remembered

_FIRST_WORD = re.compile(r"[\s(;]*([a-zA-Z]+)")
_SCHEMA_WORD = re.compile(r"\b(?:create|alter|drop|do|call)\b", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"\$[0-9]")
_RETURNING = re.compile(r"\breturning\b", re.IGNORECASE)
_INSERTS: Final = frozenset(("insert", "replace", "with"))
_WRITE_WORD = re.compile(r"\b(?:insert|update|delete|replace|merge)\b", re.IGNORECASE)


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
        returns: It writes, and has RETURNING.
        mentions: What a catalog has to confirm before the statement is proven to leave the session
            as it was; None: it can never be proven.
        changes_schema: It may change tables, functions and the like, as far as its words tell.
        sets: It may change what names mean: until the end of the transaction, or, where it can
            never be proven, until the reset.
        harmless: It is proven: a connection on which only such statements ran is not reset.
        plain: It is proven, only reads, may run twice, and may share a session with others.
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

    __slots__ = ("_dialect", "_is_plain", "alone_for", "answered", "batched", "changes_schema",
                 "count", "harmless", "mentions", "order", "plain", "returns", "selects", "sets",
                 "slow", "sql", "text", "together", "traced", "word", "writes")  # fmt: skip

    def __init__(self, sql: str, dialect: Dialect, *, prove: bool = True) -> None:
        if dialect == "postgresql":
            _check_letters(sql)
        found = scan(sql, dialect)
        self.sql = sql
        self._dialect: Dialect = dialect
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
        self.returns = self.writes and _RETURNING.search(found.code) is not None
        mentions, self._is_plain = classify(found.bare, dialect)
        self.mentions: Mentions | None = mentions if prove else None
        self.changes_schema = mentions is None and _SCHEMA_WORD.search(found.code) is not None
        self.sets = mentions is None or word == "set" or "set_config" in mentions.called
        # A long text is not remembered, nor that it takes long: it would hold up those behind it.
        self._is_plain = self._is_plain and len(sql) <= _LONGEST
        self.harmless = self.plain = False
        if self.mentions is not None and self.mentions.is_empty:
            self.confirm(True)
        self.slow = False
        self.together = 1
        self.answered = 0
        self.alone_for = 0.0
        self.traced: ChildSpans | None = None
        self.batched: ChildSpans | None = None

    @property
    def shown(self) -> str:
        """The text for a log or a span: without the strings and numbers in it."""
        return scan(self.sql, self._dialect).shown

    @property
    def hint(self) -> str:
        """For the message of an error: how a placeholder is written, where the text has none and
        one of another library in its place; empty for any other text. It costs a scan."""
        if self.count:
            return ""
        written = foreign_placeholder(scan(self.sql, self._dialect).code)
        if written is not None:
            return f" (placeholders are $1, $2, …, and not {written})"
        if _PLACEHOLDER.search(self.sql) is not None:
            return " (a placeholder inside quotes or a comment is none: write $1 without quotes)"
        return ""

    @property
    def targets(self) -> Targets | None:
        """The columns that the arguments are meant for; None: nothing is known."""
        return find_targets(scan(self.sql, self._dialect).bare)

    def confirm(self, proven: bool) -> None:
        """Take over what a catalog says of `mentions`."""
        self.harmless = proven
        self.plain = proven and self._is_plain

    def check(self, args: Arguments) -> None:
        """Refuse a wrong number of arguments.

        Raises:
            StatementError: more or fewer than `count`.
        """
        if len(args) != self.count:
            raise StatementError(
                f"the statement takes {self.count} argument{'s' * (self.count != 1)} and got "
                f"{len(args)}: {self._shown()}{self.hint}"
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
        prove: Whether statements may be proven harmless; False: each costs a reset.
    """

    __slots__ = ("_known", "_proofs", "_prove", "dialect", "limit")

    def __init__(self, dialect: Dialect, limit: int = 1024, *, prove: bool = True) -> None:
        self.dialect: Dialect = dialect
        self._prove = prove
        self.limit = limit
        self._known: dict[str, Statement] = {}
        # By what was mentioned: texts that differ in their values alone share a proof.
        self._proofs: dict[Mentions, bool] = {}

    def get(self, statement: str, args: Arguments) -> tuple[Statement, Arguments]:
        """The statement for the driver, and its arguments, checked for their number.

        Raises:
            StatementError: the number of arguments is wrong.
        """
        known = self._known.get(statement)
        if known is None:
            known = self._remember(statement)
        if len(args) != known.count:
            known.check(args)
        return known, args

    def find(self, sql: str) -> Statement:
        """The statement of a text, whatever number of arguments it takes."""
        known = self._known.get(sql)
        return known if known is not None else self._remember(sql)

    def inserting(self, statement: str, args: Arguments, key: str) -> tuple[str, Arguments]:
        """The text of an INSERT that gives the key of its row, and its arguments.

        MySQL tells the key by itself, and one with RETURNING gives what it says.

        Raises:
            StatementError: as for `get`; it is no INSERT, or the key cannot be a column's name.
        """
        known, args = self.get(statement, args)
        if known.word not in _INSERTS or not known.writes:
            raise StatementError(f"insert() takes an INSERT, not {known.word.upper()}")
        if known.returns or self.dialect == "mysql":
            return known.sql, args
        if not key or any(letter in key for letter in '"[]\0'):
            raise StatementError(f"key={key!r} is no name of a column")
        # SQLite takes "…" for a text where there is no such column.
        column = f"[{key}]" if self.dialect == "sqlite" else f'"{key}"'
        text = known.sql.rstrip("; \t\r\n")
        return f"{text}\nRETURNING {column}", args  # its own line: the last one may be a comment

    def proof_of(self, mentions: Mentions) -> bool | None:
        """What the catalog has said of these mentions lately; None: nothing."""
        return self._proofs.get(mentions)

    def keep_proof(self, mentions: Mentions, proven: bool) -> None:
        """Note what the catalog says."""
        if len(self._proofs) >= self.limit:
            del self._proofs[next(iter(self._proofs))]
        self._proofs[mentions] = proven

    def forget_proofs(self) -> None:
        """Let the catalog be asked again about every statement."""
        self._proofs.clear()
        for statement in self._known.values():
            if statement.mentions is not None and not statement.mentions.is_empty:
                statement.confirm(False)

    def _remember(self, sql: str) -> Statement:
        statement = Statement(sql, self.dialect, prove=self._prove)
        if statement.mentions is not None and self._proofs.get(statement.mentions):
            statement.confirm(True)
        if len(sql) <= _LONGEST:
            if len(self._known) >= self.limit:
                del self._known[next(iter(self._known))]
            self._known[sql] = statement
        return statement
