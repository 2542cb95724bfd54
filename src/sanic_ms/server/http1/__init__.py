"""The HTTP/1.1 protocol."""

__all__: list[str] = []
