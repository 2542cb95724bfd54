"""What carries calls: connections of our own for the usual call, aiohttp for all others."""

__all__: list[str] = []
