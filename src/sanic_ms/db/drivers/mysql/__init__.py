"""MySQL and MariaDB, by asyncmy."""

__all__: list[str] = []
