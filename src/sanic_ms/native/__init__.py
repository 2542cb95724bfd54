"""What is compiled and has no Python beside it, and the switch between compiled code and Python."""

__all__: list[str] = []
