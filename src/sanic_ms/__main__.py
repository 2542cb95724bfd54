"""``python -m sanic_ms``: the same as the command ``sanic-ms``."""

from sanic_ms.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
