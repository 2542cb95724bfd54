"""PostgreSQL, by asyncpg."""

__all__: list[str] = []
