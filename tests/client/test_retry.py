"""The one case in which a transport sends a request again."""

from __future__ import annotations

import pytest

from sanic_ms.client.retry import may_resend


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"])
def test_an_idempotent_request_on_a_kept_connection_is_sent_again(method: str) -> None:
    """The other side closed a connection that had waited: the request has not been handled."""
    assert may_resend(method, reused=True, begun=False)


@pytest.mark.parametrize(
    ("method", "reused", "begun"),
    [
        ("POST", True, False),  # it may have been handled, and would be twice
        ("PATCH", True, False),
        ("GET", False, False),  # a new connection that breaks is a failure of the service
        ("GET", True, True),  # a part of the response is there
    ],
)
def test_any_other_broken_request_is_an_error(method: str, reused: bool, begun: bool) -> None:
    """A repeat would add load to a service that fails, or do something twice."""
    assert not may_resend(method, reused=reused, begun=begun)
