"""Ports for services that are told theirs before they start."""

from __future__ import annotations

import random
import socket

__all__ = ["free_port"]

# Below what Linux and macOS take for outgoing connections: one of those could have the port before
# the service listens on it.
_PORTS = range(10_240, 32_768)
# pytest-randomly gives `random` the same seed in every process of a run.
_random = random.SystemRandom()
_given: set[int] = set()


def free_port() -> int:
    """A port that nobody listens on, another one at each call."""
    while True:
        port = _random.choice(_PORTS)
        if port in _given:
            continue
        _given.add(port)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
