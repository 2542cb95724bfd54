"""What a process needs before it does anything else: standard streams, and an init.

Both are given by a shell or by the platform that starts a process, and not by every one.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading

__all__ = ["ensure_streams", "split_off_init"]

_STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))
# Threads that are well after a fork: the log's is begun anew.
_FORKED = {"MainThread", "log-writer"}
# What an init does not pass on: what cannot be caught, what its own code causes, and what a
# terminal does to it.
_KEPT = {
    signal.SIGKILL,
    signal.SIGSTOP,
    signal.SIGSEGV,
    signal.SIGBUS,
    signal.SIGFPE,
    signal.SIGILL,
    signal.SIGABRT,
    signal.SIGTRAP,
    signal.SIGTTIN,
    signal.SIGTTOU,
}


def ensure_streams() -> None:
    """Put ``/dev/null`` into the place of standard streams that are closed.

    Without that the next file or socket that is opened gets the number of the stream, and what a
    child process prints goes there. Calling it again does nothing.
    """
    for number, (name, mode) in enumerate(_STREAMS):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            os.set_inheritable(number, True)
        if getattr(sys, name) is None:
            # Not by its number, which may be another file's by now.
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 - for the process' life


def split_off_init() -> None:
    """Return in a child, if this is process 1, and be its init: as the only process of a container,
    say, that was started without one.

    The kernel gives processes whose parent has ended to process 1, which must collect them. The
    child may have children of its own to wait for, so it cannot collect whatever comes. The init
    does that, passes signals on, and ends with the child's exit code (128 and the signal's number
    where a signal ended it).

    Where threads run, it does nothing: they would not be in the child.
    """
    if os.getpid() != 1 or {one.name for one in threading.enumerate()} - _FORKED:
        return
    everything = signal.valid_signals()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, everything)
    child = os.fork()
    if child:
        os._exit(_be_init(child))
    # A group of its own, that has the terminal: Ctrl+C reaches it once, and not through us as well.
    os.setpgid(0, 0)
    with contextlib.suppress(OSError):  # there is none
        os.tcsetpgrp(0, os.getpgrp())
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _be_init(child: int) -> int:
    """Collect what ends, until the child does; its exit code."""
    awaited = signal.valid_signals() - _KEPT
    while True:
        number = signal.sigwait(awaited)
        if number != signal.SIGCHLD:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, number)
            continue
        pid, status = os.waitpid(-1, os.WNOHANG)
        while pid:
            if pid == child:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code
            pid, status = os.waitpid(-1, os.WNOHANG)
