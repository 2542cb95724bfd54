"""asyncpg's connection: its limits of time are deadlines of the pool, and what an application's own
decoder raises is not taken for a word of the connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import asyncpg
from asyncpg import exceptions as pg

from sanic_ms.db.deadlines import Deadlines, SessionTimer

__all__ = ["connect", "is_of_application"]


async def connect(dsn: str, deadlines: Deadlines, timeout: float) -> Any:
    """Open one. Its own statement cache is off: the session's stands in for it.

    Args:
        dsn: As asyncpg has it.
        deadlines: Of the pool.
        timeout: Seconds until it has to be open.

    Raises:
        Exception: whatever asyncpg raises.
    """
    return await asyncpg.connect(
        dsn,
        timeout=timeout,
        statement_cache_size=0,
        loop=_ProtocolLoop(deadlines),
        connection_class=_Connection,
    )


# Errors by which a connection, or the server, says that something is wrong; and the one that no
# future takes, so that asyncpg's caller would wait for ever.
_MISTAKABLE = (
    OSError,
    EOFError,
    asyncpg.PostgresError,
    pg.InterfaceError,
    pg.InternalClientError,
    StopIteration,
)


# In front of the note on a ValueError or an OverflowError that is not one of asyncpg's decoders.
_NOTE = "raised by the application's decoder of "


def is_of_application(exc: BaseException) -> bool:
    """Whether an error came from a decoder that the application has set."""
    return any(note.startswith(_NOTE) for note in getattr(exc, "__notes__", ()))


def _told_apart(decoder: Callable[[Any], Any], name: str) -> Callable[[Any], Any]:
    """A decoder that raises none of those."""

    def decode(data: Any) -> Any:
        try:
            return decoder(data)
        except _MISTAKABLE as exc:
            raise RuntimeError(
                f"the decoder of {name!r} raised {exc.__class__.__name__}: {exc}"
            ) from exc
        except (ValueError, OverflowError) as exc:
            exc.add_note(f"{_NOTE}{name!r}")
            raise

    return decode


class _ProtocolLoop:
    """The event loop, as the protocol object of one connection sees it: the one timer that it ever
    sets, for the statement that it sends, is a deadline of ours. So asyncpg itself enforces the
    limit as ever, and what it does for that does not have to be done again here.

    It is not that deadline itself: a class with ``__getattr__`` finds its own attributes slowly.
    """

    __slots__ = ("call_later", "loop")

    def __init__(self, deadlines: Deadlines) -> None:
        self.loop = deadlines.loop
        self.call_later = SessionTimer(deadlines).call_later

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loop, name)


class _Connection(asyncpg.Connection):  # type: ignore[misc]
    __slots__ = ()

    def __init__(self, protocol: Any, transport: Any, loop: Any, *rest: Any) -> None:
        # Its tasks are of the event loop itself: asyncio asks by its identity.
        super().__init__(protocol, transport, loop.loop, *rest)

    async def set_type_codec(
        self, typename: str, *, decoder: Callable[[Any], Any], **options: Any
    ) -> None:
        decoder = _told_apart(decoder, typename)
        await super().set_type_codec(typename, decoder=decoder, **options)
