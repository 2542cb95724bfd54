"""What a service tells about itself: traces, metrics and logs."""

__all__: list[str] = []
