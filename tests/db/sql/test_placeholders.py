"""What is a placeholder, and what only looks like one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanic_ms.db.builders import build
from sanic_ms.db.sql.placeholders import Dialect, scan
from sanic_ms.db.sql.statement import Statement, StatementCache
from sanic_ms.exception import StatementError

DIALECTS: tuple[Dialect, ...] = ("postgresql", "sqlite", "mysql")


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("sql", "numbers"),
    [
        ("SELECT $1", (1,)),
        ("SELECT $2, $1", (2, 1)),
        ("SELECT $1, $1, $2", (1, 1, 2)),
        ("SELECT " + ", ".join(f"${n}" for n in range(1, 12)), tuple(range(1, 12))),
        ("SELECT '$1', $1", (1,)),
        ("SELECT 'it''s $2', $1", (1,)),
        ("SELECT $1 -- and $2\n, $2", (1, 2)),
        ("SELECT $1 /* $2 */", (1,)),
        ("SELECT $1 /* it's $2 */, '$3'", (1,)),
        ("SELECT /**/$1/**/", (1,)),
        ("SELECT a$1 FROM t", ()),
        ("SELECT '", ()),
        ("SELECT /* $1", ()),
        ("SELECT 1", ()),
    ],
)
def test_finds_placeholders(dialect: Dialect, sql: str, numbers: tuple[int, ...]) -> None:
    """Strings, comments and identifiers hold none; numbers repeat and come in any order."""
    assert scan(sql, dialect).numbers == numbers


@pytest.mark.parametrize(
    ("dialect", "sql", "numbers"),
    [
        ("postgresql", "SELECT $1::int, '{}'::jsonb, $2::text", (1, 2)),
        ("postgresql", "SELECT $$ $1 $$, $1", (1,)),
        ("postgresql", "SELECT $tag$ $1 $$ $other$ $tag$, $1", (1,)),
        ("postgresql", "SELECT $tag$ $1", ()),
        ("postgresql", r"SELECT E'\'$2', $1", (1,)),
        ("postgresql", r"SELECT e'a''$2\'', $1", (1,)),
        ("postgresql", r"SELECT '\', $1", (1,)),
        ("postgresql", "SELECT /* a /* $2 */ $3 */ $1", (1,)),
        ("postgresql", 'SELECT "a$2""$3", $1', (1,)),
        ("postgresql", "SELECT a[$1], b[$2:$3]", (1, 2, 3)),
        ("postgresql", "SELECT U&'d$2', B'1', X'ff', $1", (1,)),
        ("postgresql", "SELECT nameE'$2', $1", (1,)),
        ("postgresql", "SELECT '{\"a\": 1}'::jsonb ? $1", (1,)),
        ("mysql", r"SELECT 'it\'s $2', $1", (1,)),
        ("mysql", r'SELECT "it\"s $2", $1', (1,)),
        ("mysql", "SELECT `a$2``b`, $1", (1,)),
        ("mysql", "SELECT $1 # $2\n, $2", (1, 2)),
        ("mysql", "SELECT 5--$1", (1,)),
        ("mysql", "SELECT $1 -- $2", (1,)),
        ("mysql", "SELECT /* a /* $2 */ $1", (1,)),
        ("sqlite", r"SELECT '\', $1", (1,)),
        ("sqlite", 'SELECT [a$2], `b$3`, "c$4", $1', (1,)),
        ("sqlite", "SELECT /* a /* $2 */ $1", (1,)),
    ],
)
def test_follows_the_lexer_of_each_database(
    dialect: Dialect, sql: str, numbers: tuple[int, ...]
) -> None:
    """Each database's own quotes, escapes and comments are respected."""
    assert scan(sql, dialect).numbers == numbers


@pytest.mark.parametrize("dialect", DIALECTS)
@given(text=st.text(alphabet="$12'\"`\\-*/#[]Ee\n tag:", max_size=60))
def test_parts_make_up_the_statement(dialect: Dialect, text: str) -> None:
    """Whatever the text, its parts and placeholders joined are the text again."""
    try:
        found = scan(text, dialect)
    except StatementError:
        return
    joined = found.parts[0] + "".join(
        f"${number}{part}" for number, part in zip(found.numbers, found.parts[1:], strict=True)
    )
    # "$01" is number 1, written otherwise.
    assert joined == text or "$0" in text


@pytest.mark.parametrize("dialect", DIALECTS)
def test_long_unterminated_quotes_take_no_time(dialect: Dialect) -> None:
    """The scanner is linear: no input makes it slow."""
    for opening in ("'", '"', "`", "[", "/*", "$a$", "E'"):
        scan("SELECT " + opening + "a''\\\\" * 50_000, dialect)


@pytest.mark.parametrize("sql", ["SELECT $0", "SELECT $2", "SELECT $1, $3"])
def test_gaps_are_refused(sql: str) -> None:
    """A number that is never used is a mistake that each database would take differently."""
    with pytest.raises(StatementError, match=r"\$"):
        scan(sql, "mysql")


@pytest.mark.parametrize("dialect", ["sqlite", "mysql"])
def test_question_marks_take_the_arguments_in_their_order(dialect: Dialect) -> None:
    """Repeated and out-of-order numbers are bound by position."""
    statement = Statement("SELECT $2, $1, $2", dialect)
    assert statement.text == "SELECT ?, ?, ?"
    assert list(statement.arrange(("a", "b"))) == ["b", "a", "b"]
    assert Statement("SELECT $1, $2", dialect).order is None


def test_postgresql_text_is_left_alone() -> None:
    """The text that PostgreSQL caches a plan for is the caller's own."""
    sql = "SELECT $2::int -- x"
    assert Statement(sql.replace("$2", "$1"), "postgresql").text == sql.replace("$2", "$1")


def test_the_number_of_arguments_is_checked() -> None:
    """A wrong number is refused before anything is sent, and the message counts."""
    cache = StatementCache("sqlite")
    with pytest.raises(StatementError, match="takes 2 arguments and got 1: SELECT"):
        cache.get("SELECT $1, $2", (1,))
    with pytest.raises(StatementError, match="takes 0 arguments and got 1"):
        cache.get("SELECT 1", (1,))


@pytest.mark.parametrize("sql", ["", "   ", "-- nothing", ";", "$1"])
def test_an_empty_statement_is_refused(sql: str) -> None:
    """What no database would know what to do with is named as such."""
    with pytest.raises(StatementError, match="empty"):
        Statement(sql, "postgresql")


def test_the_cache_is_bounded() -> None:
    """Statements built with values in their text cannot fill the memory."""
    cache = StatementCache("sqlite", limit=10)
    for number in range(100):
        cache.get(f"SELECT {number}", ())
    assert len(cache._known) == 10
    cache.get("SELECT '" + "x" * 20_000 + "'", ())
    assert len(cache._known) == 10


@pytest.mark.parametrize("statement", [None, 5, b"SELECT 1", object()])
def test_other_objects_are_refused(statement: object) -> None:
    """The message says what a statement may be."""
    with pytest.raises(StatementError, match="SQL text, a Peewee query"):
        build(statement, (), "sqlite")


@pytest.mark.parametrize(
    ("sql", "selects", "writes"),
    [
        ("SELECT 1", True, False),
        (" -- x\n (select 1)", True, False),
        ("VALUES (1)", True, False),
        ("WITH a AS (SELECT 1) SELECT * FROM a", False, False),
        ("WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a", False, True),
        ("WITH a AS (SELECT 'insert') SELECT * FROM a", False, False),
        ("INSERT INTO t VALUES (1)", False, True),
        ("CREATE TABLE t (a)", False, True),
        ("EXPLAIN SELECT 1", False, False),
    ],
)
def test_sees_what_reads_and_what_writes(sql: str, selects: bool, writes: bool) -> None:
    """SQLite's driver runs the one on the event loop and queues the other for its one writer."""
    statement = Statement(sql, "sqlite")
    assert (statement.selects, statement.writes) == (selects, writes)
