"""Spans on their way out: queue, exporter, and one file per format."""

__all__: list[str] = []
