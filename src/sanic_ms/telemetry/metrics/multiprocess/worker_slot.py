"""The numbers of one worker in a file that outlives it.

A folder has a seat for each worker: ``0.keys`` and ``0.values``, ``1.keys`` …. Who sits there holds
a lock on the keys, which the system takes back however the process ends. The next process that
starts takes the free seat and counts on from the numbers it finds: nothing is lost by a crash, and
there are never more seats than there were processes at a time.
"""

from __future__ import annotations

import errno
import fcntl
import itertools
import mmap
import os
from pathlib import Path

from sanic_ms.telemetry.metrics.definition import Definition
from sanic_ms.telemetry.metrics.multiprocess.keys import KeyReader, encode_definition, encode_place
from sanic_ms.telemetry.metrics.store import Snapshot, Store

__all__ = ["Seat"]

_FIRST_SIZE = 32_768  # bytes of a new file of numbers


class Seat(Store):
    """This process' seat in a folder. Making one takes it.

    Args:
        folder: Made if it is not there.

    Raises:
        OSError: the folder cannot be used, or is full.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder = folder
        self._others: dict[str, _Reader] = {}
        self._lock = -1
        for number in itertools.count():
            self.worker = str(number)
            path = folder / f"{number}.keys"
            self._lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._adopt(path)
            except (BlockingIOError, ValueError):  # taken, or not a file of ours
                self.close()
            except BaseException:
                self.close()
                raise
            else:
                break

    def _adopt(self, path: Path) -> None:
        """Go on where the last one on this seat stopped."""
        self._keys = KeyReader()
        self._keys.feed(path.read_bytes())
        os.ftruncate(self._lock, self._keys.taken)  # half a line, of a process that was killed
        self.table = self._keys.table
        self._numbers = {entry: at for at, entry in enumerate(self._keys.definitions)}
        self._path = path.with_suffix(".values")
        self._path.touch(mode=0o600)
        size = self._path.stat().st_size
        while size < max(_FIRST_SIZE, self._keys.used * 8):
            size = self._lengthen(size)
        self.values = _map(self._path, size)
        # A gauge is what a process has now, and that process is gone. What was set last stays.
        for definition, places in self.table.items():
            if definition.kind == "gauge" and definition.across != "latest":
                for at in places.values():
                    self.values[at + 1] = 0.0

    def place(self, definition: Definition, labels: tuple[str, ...]) -> int:
        at = self.find(definition, labels)
        if at is None:
            if definition not in self._numbers:
                self._append(encode_definition(definition))
                self._numbers[definition] = len(self._numbers)
                self.table[definition] = {}
            at, size = self._keys.used, len(self.values) * 8
            if (at + definition.size) * 8 > size:
                self.values = _map(self._path, self._lengthen(size))
            # The place is there before anybody can read of it.
            self._append(encode_place(self._numbers[definition], at, labels))
            self._keys.used = at + definition.size
            self.table[definition][labels] = at
        return at

    def _append(self, line: bytes) -> None:
        size = os.fstat(self._lock).st_size
        if os.write(self._lock, line) < len(line):
            os.ftruncate(self._lock, size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))

    def _lengthen(self, size: int) -> int:
        """Double the file, with zeros that are written and not promised: a promise that a full
        device cannot keep would end the process by a signal, at some later increment."""
        longer = max(_FIRST_SIZE, size * 2)
        with self._path.open("r+b") as file:
            file.seek(size)
            file.write(bytes(longer - size))
        return longer

    def snapshots(self) -> list[Snapshot]:
        found = []
        for path in sorted(self.folder.glob("*.keys")):
            reader = self._others.get(path.stem)
            if reader is None:
                reader = self._others[path.stem] = _Reader(path)
            snapshot = reader.read()
            if snapshot is not None:
                found.append(snapshot)
        return found

    def close(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def after_fork(self) -> Seat:
        self.close()  # the parent's lock would outlive the parent
        return Seat(self.folder)


class _Reader:
    """The numbers on one seat, this process' own or another's. Only what is new is parsed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._keys = KeyReader()
        self._values: memoryview[float] | None = None

    def read(self) -> Snapshot | None:
        """The numbers now; None where there are none yet, or no longer."""
        try:
            with self._path.open("rb") as file:
                alive = _is_locked(file.fileno())
                file.seek(self._keys.taken)
                self._keys.feed(file.read())
            used = self._keys.used
            if not used:
                return None
            if self._values is None or len(self._values) < used:
                values = self._path.with_suffix(".values")
                self._values = _map(values, values.stat().st_size, mmap.ACCESS_READ)
        except (FileNotFoundError, ValueError):  # removed, or not a file of ours
            return None
        return Snapshot(self._path.stem, alive, self._keys.table, self._values)


def _is_locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _map(path: Path, size: int, access: int = mmap.ACCESS_WRITE) -> memoryview[float]:
    """The file's numbers. Every mapping of a file is the same memory, whatever its length."""
    with path.open("rb" if access == mmap.ACCESS_READ else "r+b") as file:
        return memoryview(mmap.mmap(file.fileno(), size, access=access)).cast("d")
