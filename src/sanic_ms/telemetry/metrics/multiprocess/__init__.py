"""Metrics of several worker processes: a file for each, added up for a scrape."""

__all__: list[str] = []
