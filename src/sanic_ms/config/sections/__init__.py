"""The settings by what they are about: one section a file, none of which knows another."""

__all__: list[str] = []
