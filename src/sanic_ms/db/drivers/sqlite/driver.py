"""SQLite, by the standard library's sqlite3: the address of a database, and how it is opened."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from pathlib import Path

from sanic_ms.db.base import Driver
from sanic_ms.db.drivers.sqlite.errors import translate
from sanic_ms.db.drivers.sqlite.functions import add_functions
from sanic_ms.db.drivers.sqlite.session import SQLiteSession
from sanic_ms.db.drivers.sqlite.thread import WorkerThread
from sanic_ms.db.drivers.sqlite.values import register_converters
from sanic_ms.db.sql.placeholders import Dialect
from sanic_ms.db.sql.statement import Statement
from sanic_ms.exception import DatabaseUnavailable
from sanic_ms.values import DatabaseURL

__all__ = ["SQLiteDriver", "make_driver"]

_MOST_KNOWN = 256  # statements of which it is known which of their arguments are dates
_OPTIONS = {"mode", "busy_timeout", "journal_mode", "synchronous", "inline_reads"}


def make_driver(url: DatabaseURL) -> SQLiteDriver:
    """The driver of a ``sqlite://`` URL.

    Raises:
        ValueError: an option of the URL is unknown or wrong.
    """
    return SQLiteDriver(url)


class SQLiteDriver(Driver):
    """One SQLite file, or one database in memory.

    Args:
        url: Its options: ``mode=ro`` (read only), ``busy_timeout`` (seconds to wait for a lock,
            default 5), ``journal_mode`` (default ``wal``), ``synchronous`` (default ``normal``),
            ``inline_reads=0`` (every statement on a thread).
    """

    dialect: Dialect = "sqlite"

    def __init__(self, url: DatabaseURL) -> None:
        options = url.options
        unknown = set(options) - _OPTIONS
        if unknown:
            raise ValueError(
                f"unknown options of a sqlite URL: {', '.join(sorted(unknown))} "
                f"(allowed: {', '.join(sorted(_OPTIONS))})"
            )
        self.memory = url.database == ":memory:"
        self.path = url.database
        self.readonly = options.get("mode", "rwc") == "ro"
        self.busy_timeout = float(options.get("busy_timeout", "5"))
        self.journal_mode = _word(options.get("journal_mode", "wal"))
        self.synchronous = _word(options.get("synchronous", "normal"))
        self.inline_reads = options.get("inline_reads", "1") not in ("0", "false", "no")
        self.max_sessions = 1 if self.memory else None
        self.keeps_data = self.memory
        self.write_lock = asyncio.Lock()
        # By the text of a statement: the version of the schema, and arguments for DATE columns.
        self._dates: dict[str, tuple[int, frozenset[int]]] = {}
        register_converters()

    async def connect(self, timeout: float) -> SQLiteSession:
        """Open the file."""
        worker = WorkerThread(f"sqlite {Path(self.path).name}")
        opened: list[sqlite3.Connection] = []
        try:
            async with asyncio.timeout(timeout):
                await worker.submit(lambda: opened.append(self.open()))
        except BaseException as exc:
            # It may be opened after all, with nobody left to take it.
            worker.submit(lambda: _close_all(opened))
            worker.end()
            if isinstance(exc, TimeoutError):
                raise DatabaseUnavailable(f"not opened within {timeout:g} s") from exc
            error = translate(exc)
            if error is None:
                raise
            raise DatabaseUnavailable(self._explain(error.detail)) from exc
        return SQLiteSession(self, opened[0], worker)

    def open(self) -> sqlite3.Connection:
        """Open the file, or a new database in memory. It blocks."""
        if self.memory:
            target, uri = ":memory:", False
        else:
            mode = "ro" if self.readonly else "rwc"
            target, uri = f"{Path(self.path).absolute().as_uri()}?mode={mode}", True
        raw = sqlite3.connect(
            target,
            uri=uri,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
            detect_types=sqlite3.PARSE_DECLTYPES,
        )
        try:
            add_functions(raw)
            raw.execute(f"PRAGMA busy_timeout = {int(self.busy_timeout * 1000)}")
            raw.execute("PRAGMA foreign_keys = ON")
            if not self.memory and not self.readonly:
                self._set_journal_mode(raw)
                raw.execute(f"PRAGMA synchronous = {self.synchronous}")
            # The first look at the file: one that is no database is refused here.
            raw.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except BaseException:
            raw.close()
            raise
        return raw

    def date_arguments(self, raw: sqlite3.Connection, statement: Statement) -> frozenset[int]:
        """The numbers of the arguments that are meant for DATE columns, as far as the text tells.
        It is remembered until the schema changes."""
        version = int(raw.execute("PRAGMA schema_version").fetchone()[0])
        known = self._dates.get(statement.text)
        if known is not None and known[0] == version:
            return known[1]
        numbers: frozenset[int] = frozenset()
        if (targets := statement.targets) is not None:
            rows = raw.execute(
                "SELECT lower(name), cid FROM pragma_table_info(?, ?) WHERE upper(type) = 'DATE'",
                (targets.table, targets.schema),
            )
            dates = {column for row in rows for column in row}
            numbers = frozenset(
                number
                for number, column in targets.columns
                if (column.lower() if isinstance(column, str) else column) in dates
            )
        if len(self._dates) >= _MOST_KNOWN:
            self._dates.clear()
        self._dates[statement.text] = (version, numbers)
        return numbers

    def _set_journal_mode(self, raw: sqlite3.Connection) -> None:
        """Several connections, of as many processes, may open a new file at the same time. SQLite
        does not wait for a lock here, whatever the busy timeout: it is tried again instead."""
        deadline = time.monotonic() + self.busy_timeout
        while True:
            try:
                raw.execute(f"PRAGMA journal_mode = {self.journal_mode}").fetchone()
            except sqlite3.OperationalError as exc:
                if exc.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.005)
            else:
                return

    def _explain(self, detail: str) -> str:
        folder = Path(self.path).absolute().parent
        if not self.memory and not folder.is_dir():
            return f"{detail}: the folder {folder} does not exist (create it, or correct the path)"
        if self.readonly and not Path(self.path).exists():
            return f"{detail}: there is no file {self.path}, and mode=ro creates none"
        return detail


def _word(value: str) -> str:
    if not value.isalpha():
        raise ValueError(f"{value!r} among the options of a sqlite URL is not a word")
    return value


def _close_all(opened: list[sqlite3.Connection]) -> None:
    for raw in opened:
        raw.close()
