"""The folder in which the workers of one service count, from the start of their master to its end.

The master makes it before there are workers, who find it by an environment variable. It is in
memory (``/dev/shm``) where the system has that: numbers in a file on a disk would wait now and then
for the disk.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import tempfile
from pathlib import Path

__all__ = ["SharedFolder", "worker_folder"]

log = logging.getLogger("sanic_ms.metrics")

_VARIABLE = "SANIC_MS_METRICS_FOLDER"
_PREFIX = "sanic-ms-metrics-"


class SharedFolder:
    """The folder of one master. Making the object does nothing.

    Args:
        base: Where it is made. Default ``/dev/shm``, or the system's temporary folder.
    """

    def __init__(self, base: Path | None = None) -> None:
        self._base = base
        self.path: Path | None = None
        self._lock = -1

    def make(self) -> None:
        """Make it for the workers that start from now on, and clear away those of masters that were
        killed. Where it cannot be made each worker counts for itself, and the log says so.
        """
        if self.path is not None or sys.platform == "win32":
            return
        try:
            base = _default_base() if self._base is None else self._base
            _clear(base)
            self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
            self._lock = _locked(self.path / "new")
            (self.path / "new").rename(self.path / "lock")
        except OSError as exc:
            log.error(
                "metrics: each worker shows its own alone, since there is no folder: %s; set "
                "METRICS_DIR to one that can be written to",
                exc,
            )
            return
        os.environ[_VARIABLE] = str(self.path)

    def remove(self) -> None:
        """Remove it. Workers that still run count on, for nobody. Twice is once."""
        if self.path is None:
            return
        if os.environ.get(_VARIABLE) == str(self.path):
            del os.environ[_VARIABLE]
        shutil.rmtree(self.path, ignore_errors=True)
        self.path = None
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def worker_folder(service: str, given: str | None = None) -> Path | None:
    """Where the workers of a service count; None: this process is alone.

    Args:
        service: Its name. Services that share a master do not share numbers.
        given: The folder that the settings name; it wins.
    """
    folder = given or os.environ.get(_VARIABLE)
    if not folder:
        return None
    safe = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in service)
    return Path(folder, safe)


def _default_base() -> Path:
    memory = Path("/dev/shm")
    return memory if os.access(memory, os.W_OK) else Path(tempfile.gettempdir())


def _clear(base: Path) -> None:
    for folder in base.glob(f"{_PREFIX}*"):
        try:
            if folder.stat().st_uid == os.getuid() and (folder / "lock").exists():
                os.close(_locked(folder / "lock"))
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # its master lives, or somebody else has cleared it
            continue


def _locked(path: Path) -> int:
    """A lock that ends with this process.

    Raises:
        OSError: another process has it.
    """
    import fcntl  # not on Windows

    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise
    return lock
