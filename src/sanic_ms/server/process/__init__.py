"""Serving processes: supervisor, workers, sockets, TLS, reload and shutdown."""

__all__: list[str] = []
