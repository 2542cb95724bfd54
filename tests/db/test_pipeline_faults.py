"""What nearly went wrong with plain reads that share a connection."""

from __future__ import annotations

import pytest

from sanic_ms.db.placeholders import scan
from sanic_ms.db.statement import Statement


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT €count(1)",
        "SELECT lower€(1)",
        "SELECT €5(1)",
        "SELECT touche\N{COMBINING ACUTE ACCENT}(1)",
        "SELECT lower\N{NO-BREAK SPACE}(1)",
        "SELECT \N{ARABIC-INDIC DIGIT ONE}lower(1)",
        "SELECT ran\N{KELVIN SIGN}(1)",
        "SELECT * FROM t -- all\rFOR UPDATE",
        "SELECT 1 AS a -- all\r INTO t",
        "SELECT $€$'$€$, 1 FROM t FOR UPDATE",
        "SELECT 1 AS €$$ FROM t FOR UPDATE -- $$",
        r"SELECT €e'\', 1 FROM t FOR UPDATE --'",
    ],
)
def test_what_only_looks_like_a_plain_read(sql: str) -> None:
    """PostgreSQL's own rules say where a name, a string and a comment end: a function of the
    application, a lock and a new table are seen as what they are."""
    assert not Statement(sql, "postgresql").plain


def test_a_comment_ends_at_a_carriage_return() -> None:
    """As it does for PostgreSQL."""
    assert scan("SELECT $1 -- $2\r, $2", "postgresql").numbers == (1, 2)
    assert Statement("SELECT * FROM t -- all\rWHERE a = $1", "postgresql").plain
