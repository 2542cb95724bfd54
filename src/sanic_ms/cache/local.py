"""The entries that a process keeps, and the stamps of their tags."""

from __future__ import annotations

from collections import OrderedDict
from time import monotonic

from sanic_ms.cache.entry import Entry

__all__ = ["LocalStore"]


class LocalStore:
    """Entries in the process: so many, the ones used longest ago go first.

    Args:
        max_entries: The most entries, and the most tags.
    """

    def __init__(self, max_entries: int) -> None:
        self._max = max_entries
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._stamps: OrderedDict[str, str] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str) -> Entry | None:
        """An entry that is fresh or stale, and whose tags were not invalidated; else None."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.stale_until <= monotonic() or not self.is_current(entry):
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        return entry

    def is_current(self, entry: Entry) -> bool:
        """Whether none of its tags was invalidated since its value was loaded."""
        stamps = self._stamps
        return not entry.stamps or all(
            stamps.get(tag) == stamp for tag, stamp in entry.stamps.items()
        )

    def set(self, key: str, entry: Entry) -> None:
        """Keep an entry."""
        self._entries[key] = entry
        self._entries.move_to_end(key)
        if len(self._entries) > self._max:
            self._entries.popitem(last=False)

    def delete(self, key: str) -> bool:
        """Drop an entry; whether there was one."""
        return self._entries.pop(key, None) is not None

    def stamp(self, tag: str) -> str | None:
        """The stamp of a tag; None: it is not known."""
        return self._stamps.get(tag)

    def set_stamp(self, tag: str, stamp: str) -> None:
        """Note the stamp of a tag. Entries with another one are misses from now on."""
        self._stamps[tag] = stamp
        self._stamps.move_to_end(tag)
        if len(self._stamps) > self._max:
            self._stamps.popitem(last=False)

    def clear(self) -> None:
        """Drop all entries and stamps."""
        self._entries.clear()
        self._stamps.clear()
