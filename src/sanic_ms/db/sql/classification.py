"""What a statement's text proves about the session that it runs on.

A lent connection is reset at its release unless every statement on it was proven to leave the
session as it was. This module is the first half of that proof: it reads the text, and gives the
names that a catalog must confirm (`sanic_ms.db.drivers.postgres.proof`, `…mysql.proof`). It is not
a parser: it splits the text into tokens, and accepts what it knows. In doubt nothing is proven.
`docs/design/sessions.md` has the rule in full.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from sanic_ms.db.sql import words
from sanic_ms.db.sql.placeholders import Dialect, scan

__all__ = [
    "NOTHING",
    "Classification",
    "Mentions",
    "Token",
    "classify",
    "mentions_of_expression",
]

_BEYOND = r"\x80-\U0010ffff"
_NUMBER = r"0[xXoObB][0-9a-fA-F_]+|(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9_]+)(?:[eE][+-]?[0-9_]+)?"
_TOKEN: Final = re.compile(
    rf"""(?P<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`)
    |(?P<word>[a-zA-Z_{_BEYOND}][\w${_BEYOND}]*)
    |(?P<value>\$[0-9]+|{_NUMBER})(?![\w${_BEYOND}])
    |(?P<mark>[(),;.\[\]:])
    |(?P<operator>[+\-*/<>=~!@\#%^&|`?]+)
    |(?P<space>\s+)""",
    re.VERBOSE,
)
_MOST_TOKENS: Final = 4000
_LONGEST_NAME: Final = 63  # bytes; PostgreSQL's NAMEDATALEN, and 64 characters on MySQL
_UNICODE_NAME: Final = re.compile(r'(?<![\w$])[uU]&\s*"')
# An operator of PostgreSQL ends with + or - only if one of these is in it.
_SPECIAL: Final = frozenset("~!@#%^&|`?")
_DEPTH: Final = {"(": 1, ")": -1}
# What IN, BETWEEN, LIKE, CASE, NULLIF, DISTINCT, USING and the like stand for.
_IMPLICIT: Final = frozenset(("=", "<>", "<", ">", "<=", ">=", "~~", "!~~", "~~*", "!~~*", "~"))


class Token(NamedTuple):
    """A piece of a statement.

    Attributes:
        kind: ``word``, ``quoted`` (a name), ``value``, ``mark`` or ``operator``.
        text: A word in lower case, a name without its quotes, anything else as it stood.
        original: A word as it stood.
    """

    kind: str
    text: str
    original: str = ""

    def is_word(self, *texts: str) -> bool:
        """Whether it is one of these words, without quotes."""
        return self.kind == "word" and self.text in texts


class Mentions(NamedTuple):
    """What a statement mentions, for a catalog to confirm.

    Attributes:
        names: Every word and name: tables, columns, aliases, types, and words of the language.
        called: Those that stand before a parenthesis as a function does.
        operators: As they are written.
        writes: Whether the statement changes rows, so that triggers, defaults and checks run.
    """

    names: frozenset[str]
    called: frozenset[str] = frozenset()
    operators: frozenset[str] = frozenset()
    writes: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to confirm."""
        return not (self.names or self.called or self.operators)


NOTHING: Final = Mentions(frozenset())


class Classification(NamedTuple):
    """What a text proves.

    Attributes:
        mentions: What is left to be confirmed; None: the statement can never be proven.
        plain: Once proven, it may run twice and behind others: one SELECT that waits for no lock.
    """

    mentions: Mentions | None
    plain: bool = False


_UNPROVEN: Final = Classification(None)


class _Unproven(Exception):
    """A token that proves nothing."""


def classify(bare: str, dialect: Dialect) -> Classification:
    """Classify a statement by its text.

    Args:
        bare: The statement as `placeholders.Scan.bare` has it.
        dialect: Whose rules hold.
    """
    try:
        return _RULES[dialect](_tokens(bare))
    except _Unproven:
        return _UNPROVEN


def mentions_of_expression(text: str, *, writes: bool) -> Mentions | None:
    """What an expression mentions that PostgreSQL keeps with a table: a policy, a default, a check,
    the definition of a view.

    Args:
        text: As ``pg_get_expr`` or ``pg_get_viewdef`` gives it.
        writes: Whether it belongs to a statement that writes: then it may draw from a sequence.

    Returns:
        None: it cannot be proven.
    """
    allowed = frozenset(["nextval"]) if writes else frozenset[str]()
    try:
        tokens = _tokens(scan(text.rstrip().removesuffix(";"), "postgresql").bare)
        return _postgres_mentions(tokens, also=allowed)[0]
    except _Unproven:
        return None


def _tokens(bare: str) -> list[Token]:
    if _UNICODE_NAME.search(bare):
        raise _Unproven
    tokens: list[Token] = []
    position = 0
    while position < len(bare):
        match = _TOKEN.match(bare, position)
        if match is None or len(tokens) > _MOST_TOKENS:
            raise _Unproven
        position = match.end()
        kind, text, original = str(match.lastgroup), match[0], ""
        if kind == "word":
            # Beyond ASCII `lower` makes letters of what is none: of the sign of Kelvin a "k".
            original = text
            text = text.lower() if text.isascii() else re.sub("[A-Z]+", _lower, text)
        elif kind == "quoted":
            text = text[1:-1].replace(text[0] * 2, text[0])
        if kind in ("word", "quoted") and len(text.encode()) > _LONGEST_NAME:
            raise _Unproven  # which the server would cut
        if kind == "operator" and "/*" in text:
            raise _Unproven  # a comment that MySQL executes
        if kind != "space":
            tokens.append(Token(kind, text, original))
    while tokens and tokens[-1].text == ";" and tokens[-1].kind == "mark":
        tokens.pop()
    if any(token == Token("mark", ";") for token in tokens):
        raise _Unproven  # several statements
    return tokens


def _lower(match: re.Match[str]) -> str:
    return match[0].lower()


def _first_word(tokens: Sequence[Token]) -> str:
    for token in tokens:
        if token.kind == "word":
            return token.text
        if token.text != "(":
            break
    raise _Unproven


# --- PostgreSQL ----------------------------------------------------------------------------------

_NEVER_FUNCTIONS: Final = words.POSTGRES_RESERVED | words.POSTGRES_COLUMN_NAMES
_POSTGRES_READS: Final = frozenset(("select", "values", "table", "with"))
_POSTGRES_WRITES: Final = frozenset(("insert", "update", "delete", "merge"))


def _postgres(tokens: list[Token]) -> Classification:
    first = _first_word(tokens)
    if first == "set":
        # Ends with the transaction; without one it does nothing. (``SET local.x`` does not.)
        is_local = (
            len(tokens) > 2
            and tokens[1].is_word("local", "transaction", "constraints")
            and tokens[2].kind in ("word", "quoted")
        )
        return Classification(NOTHING) if is_local else _UNPROVEN
    if first in ("show", "notify"):
        return Classification(NOTHING)
    if first not in _POSTGRES_READS | _POSTGRES_WRITES:
        return _UNPROVEN
    mentions, in_transaction = _postgres_mentions(tokens)
    plain = (
        first == "select"
        and tokens[0].is_word("select")
        and not mentions.writes
        and not in_transaction
        and not any(token.is_word("for") for token in tokens)
    )
    return Classification(mentions, plain)


def _postgres_mentions(
    tokens: Sequence[Token], *, also: frozenset[str] = frozenset()
) -> tuple[Mentions, bool]:
    """What tokens mention, and whether they call what has an effect in the transaction."""
    names: set[str] = set()
    called: set[str] = set()
    operators: set[str] = set()
    writes = in_transaction = selects = False
    depth = at = 0
    while at < len(tokens):
        token = tokens[at]
        if token.kind == "operator":
            operators.update(_operators(token.text))
        elif token.kind == "mark":
            depth += _DEPTH.get(token.text, 0)
        if token.kind not in ("word", "quoted"):
            at += 1
            continue
        before = tokens[at - 1] if at else Token("mark", "")
        start = at
        chain, at = _chain(tokens, at)
        function = chain[-1].text
        if len(chain) == 1 and token.kind == "word":
            selects = selects or (depth == 0 and token.text in ("select", "values", "table"))
            if token.text in _POSTGRES_WRITES and not before.is_word("for", "key"):
                writes = True  # and no FOR [NO KEY] UPDATE
            elif token.text == "into" and not _begins_a_write(tokens, start - 1, selects):
                raise _Unproven  # makes a table, perhaps a temporary one
            elif token.text == "operator" and at < len(tokens):
                # OPERATOR(schema.+): the operator itself is a token like any other.
                if tokens[at] != Token("mark", "("):
                    names.add(token.text)
                continue
        if at >= len(tokens) or tokens[at] != Token("mark", "("):
            names.update(_names(chain, words.POSTGRES_RESERVED))
        elif before.is_word("into", "as", "with", "recursive"):
            names.update(_names(chain, words.POSTGRES_RESERVED))  # its columns follow
        elif len(chain) == 1 and token.kind == "word" and function in _NEVER_FUNCTIONS:
            pass
        elif len(chain) == 1 or (len(chain) == 2 and chain[0].text == "pg_catalog"):
            if function in words.POSTGRES_IN_TRANSACTION or (
                function == "set_config" and _ends_with_true(tokens, at)
            ):
                in_transaction = True
            elif not (function in words.POSTGRES or function in words.LANGUAGE or function in also):
                raise _Unproven
            called.add(function)
        else:
            raise _Unproven  # a function of a schema
    if names or called or operators or len(tokens) > 2:
        operators.update(_IMPLICIT)
    found = Mentions(frozenset(names), frozenset(called), frozenset(operators), writes)
    return found, in_transaction


def _begins_a_write(tokens: Sequence[Token], at: int, selects: bool) -> bool:
    """Whether a token is the INSERT or MERGE of a statement, and not an alias of that name.

    Args:
        at: Its index.
        selects: Whether a SELECT stands before it, outside of all parentheses.
    """
    if at < 0 or not tokens[at].is_word("insert", "merge"):
        return False
    if at == 0 or tokens[at - 1] == Token("mark", "("):
        return True
    return tokens[at - 1] == Token("mark", ")") and tokens[0].is_word("with") and not selects


def _chain(tokens: Sequence[Token], at: int) -> tuple[list[Token], int]:
    """The name that begins at a token, ``a.b.c`` as its parts, and the index behind it."""
    chain = [tokens[at]]
    at += 1
    while at + 1 < len(tokens) and tokens[at] == Token("mark", "."):
        if tokens[at + 1].kind not in ("word", "quoted"):
            break  # t.*
        chain.append(tokens[at + 1])
        at += 2
    return chain, at


def _names(chain: Sequence[Token], reserved: frozenset[str]) -> Iterator[str]:
    for part in chain:
        if part.kind == "quoted" or part.text not in reserved:
            yield part.text


def _operators(text: str) -> list[str]:
    """The operators of a run of their characters, by PostgreSQL's rule about + and - at its end."""
    signs = []
    while len(text) > 1 and text[-1] in "+-" and not _SPECIAL & set(text):
        signs.append(text[-1])
        text = text[:-1]
    return [text, *signs]


def _ends_with_true(tokens: Sequence[Token], at: int) -> bool:
    """Whether the last argument of a call is the word ``true``.

    Args:
        at: The index of its opening parenthesis.
    """
    depth = 0
    for index in range(at, len(tokens)):
        if tokens[index].kind == "mark":
            depth += _DEPTH.get(tokens[index].text, 0)
        if depth == 0:
            return tokens[index - 1].is_word("true") and tokens[index - 2] == Token("mark", ",")
    return False


# --- MySQL and MariaDB ---------------------------------------------------------------------------

_MYSQL_READS: Final = frozenset(("select", "values", "table", "with"))
_MYSQL_WRITES: Final = frozenset(("insert", "replace", "update", "delete"))
_MYSQL_INTO: Final = ("insert", "replace", "ignore", "low_priority", "delayed", "high_priority")
# They read or change what the session remembers, or wait for a lock of its own.
_MYSQL_STATE: Final = frozenset(("sql_calc_found_rows", "procedure", "outfile", "dumpfile"))


def _mysql(tokens: list[Token]) -> Classification:
    first = _first_word(tokens)
    if first == "show" and Token("mark", "(") not in tokens:
        return Classification(NOTHING)
    if first not in _MYSQL_READS | _MYSQL_WRITES:
        return _UNPROVEN
    names: set[str] = set()
    called: set[str] = set()
    writes = False
    at = 0
    while at < len(tokens):
        token = tokens[at]
        if token.kind == "operator" and "@" in token.text:
            raise _Unproven  # a variable
        if token == Token("mark", ":"):
            raise _Unproven  # an assignment
        if token.kind not in ("word", "quoted"):
            at += 1
            continue
        before = tokens[at - 1] if at else Token("mark", "")
        chain, at = _chain(tokens, at)
        bare = len(chain) == 1 and token.kind == "word"
        if bare:
            writes = writes or token.text in _MYSQL_WRITES
            if token.text in _MYSQL_STATE or (token.text == "value" and before.is_word("next")):
                raise _Unproven
            if token.text == "into" and not before.is_word(*_MYSQL_INTO):
                raise _Unproven
        is_call = at < len(tokens) and tokens[at] == Token("mark", "(")
        if not is_call or before.is_word("into", "as", "with", "recursive"):
            names.update(_names(chain, words.MYSQL_RESERVED))
            # Names of tables may count upper and lower case apart.
            names.update(part.original for part in chain if part.text in names)
        elif not bare or token.text not in words.MYSQL:
            raise _Unproven
        elif token.text not in words.MYSQL_RESERVED:
            called.add(token.text)  # ``max (1)``, with a space, may be a stored function
    return Classification(Mentions(frozenset(names) - {""}, frozenset(called), writes=writes))


# --- SQLite --------------------------------------------------------------------------------------

_SQLITE_ROWS: Final = frozenset(
    ("select", "values", "with", "insert", "replace", "update", "delete")
)
_SQLITE_SCHEMA: Final = frozenset(("create", "drop", "alter", "reindex", "analyze", "vacuum"))
_READING_PRAGMAS = """
    foreign_key_check foreign_key_list incremental_vacuum index_info index_list index_xinfo
    integrity_check optimize quick_check table_info table_xinfo wal_checkpoint
"""
_SQLITE_PRAGMAS: Final = frozenset(_READING_PRAGMAS.split())
_SQLITE_TEMPORARY: Final = ("temp", "temporary", "attach", "detach", "load_extension")


def _sqlite(tokens: list[Token]) -> Classification:
    """A statement about rows cannot change the connection, whatever views and triggers there are:
    only PRAGMA, ATTACH, DETACH and temporary objects can, and none of them is executed by SQL that
    the database holds."""
    first = _first_word(tokens)
    if first == "pragma":
        chain, at = _chain(tokens, 1) if len(tokens) > 1 else ([], 0)
        reads = at == len(tokens) or (bool(chain) and chain[-1].text.lower() in _SQLITE_PRAGMAS)
        return Classification(NOTHING) if reads else _UNPROVEN
    if first not in _SQLITE_ROWS | _SQLITE_SCHEMA:
        return _UNPROVEN
    # The name of a schema may be quoted, even as a string; "temp" as an alias costs a reset.
    if any(
        token.kind in ("word", "quoted") and token.text.lower() in _SQLITE_TEMPORARY
        for token in tokens
    ):
        return _UNPROVEN
    if first in _SQLITE_SCHEMA and _has_quoted_string(tokens):
        return _UNPROVEN
    return Classification(NOTHING)


def _has_quoted_string(tokens: Sequence[Token]) -> bool:
    """Whether a string stands where the name of a schema may: ``CREATE TABLE 'temp'.x``."""
    return any(
        token.kind == "value" and tokens[index + 1] == Token("mark", ".")
        for index, token in enumerate(tokens[:-1])
    )


_RULES: Final[dict[Dialect, Callable[[list[Token]], Classification]]] = {
    "postgresql": _postgres,
    "mysql": _mysql,
    "sqlite": _sqlite,
}
