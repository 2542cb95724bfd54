"""SQLite, by the standard library."""

__all__: list[str] = []
