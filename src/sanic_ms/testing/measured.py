"""The metrics of a service, as far as one test has moved them."""

from __future__ import annotations

from sanic_ms.service import Service
from sanic_ms.telemetry.metrics import render

__all__ = ["Metrics"]

Sample = tuple[str, frozenset[tuple[str, str]]]


class Metrics:
    """Numbers since the test began. A service that a module holds counts on from test to test.

    Args:
        app: The service.
    """

    def __init__(self, app: Service) -> None:
        self._app = app
        self._before = self._samples()

    @property
    def text(self) -> str:
        """What Prometheus would read now: the whole numbers."""
        return render(self._app.metrics).body.decode()

    def __call__(self, name: str, **labels: str) -> float:
        """By how much a metric has grown: the sum over all that have these labels.

        Args:
            name: As the scrape shows it: ``http_server_request_duration_seconds_count``.
            labels: Those that count; default all.

        Raises:
            AssertionError: there is no metric of this name; the text lists those that there are.
        """
        now = self._samples()
        named = {key: value for key, value in now.items() if key[0] == name}
        if not named:
            known = ", ".join(sorted({key[0] for key in now}))
            raise AssertionError(f"there is no metric {name!r}; there are: {known}")
        wanted = set(labels.items())
        return sum(
            value - self._before.get(key, 0.0) for key, value in named.items() if wanted <= key[1]
        )

    def _samples(self) -> dict[Sample, float]:
        from prometheus_client.parser import text_string_to_metric_families

        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(self.text)
            for sample in family.samples
        }
