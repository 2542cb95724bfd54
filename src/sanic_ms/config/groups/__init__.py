"""The settings by what they are about, one file a group.

Each group extends the one before it, since a Struct has one line of bases; `Settings` extends the
last.
"""

__all__: list[str] = []
