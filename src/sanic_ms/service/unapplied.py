"""A start with migrations that are not applied says so."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from sanic_ms.config import Settings

__all__ = ["warn_of_unapplied"]

log = logging.getLogger("sanic_ms.service")


def warn_of_unapplied(settings: Settings) -> None:
    """Log one warning for each database whose migrations are not all applied, with the command.

    It looks in a thread, that neither the start nor the stop waits for: drivers for migrations
    block. A database that cannot be reached is no news here.
    """
    folder = Path(settings.migrations)
    if folder.is_dir() and (settings.db_url is not None or settings.databases):
        threading.Thread(target=_look, args=(settings,), name="unapplied", daemon=True).start()


def _look(settings: Settings) -> None:
    # Peewee comes in here and not with every service.
    from sanic_ms.migrations.pending import describe, unapplied

    names = ["default"] if settings.db_url is not None else []
    for name in (*names, *settings.databases):
        try:
            found = unapplied(settings, name)
        except Exception as exc:  # Peewee's own too: the database may go while we look
            log.debug("the migrations of %s cannot be looked at: %s", name, exc)
        else:
            if found:
                log.warning("migrations of the database %s: %s", name, describe(found, name))
