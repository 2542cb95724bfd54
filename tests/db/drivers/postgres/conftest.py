"""Plain reads from their first run on."""

from __future__ import annotations

import pytest

from sanic_ms.db.sql import statement
from sanic_ms.db.sql.classification import NOTHING, Classification, classify
from sanic_ms.db.sql.placeholders import Dialect


@pytest.fixture(autouse=True)
def proven(monkeypatch: pytest.MonkeyPatch) -> None:
    """The catalog has confirmed all that the text of a statement leaves open.

    The pool asks it after the first run of each statement (tests/db/test_proofs.py); the tests here
    are about what follows.
    """

    def confirmed(bare: str, dialect: Dialect) -> Classification:
        mentions, plain = classify(bare, dialect)
        return Classification(None if mentions is None else NOTHING, plain)

    monkeypatch.setattr(statement, "classify", confirmed)
