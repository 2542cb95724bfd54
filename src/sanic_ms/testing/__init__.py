"""The test kit: a service in the test's own process, with other services mocked.

`sanic_ms.tests.APITestCase` is for unittest; the pytest plugin (`sanic_ms.testing.plugin`) brings
fixtures; both stand on what is exported here. It is loaded when it is first used: pytest imports
this package at every start, in projects of any kind.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sanic_ms.testing.client import TestClient as TestClient
    from sanic_ms.testing.contract import ContractBroken as ContractBroken
    from sanic_ms.testing.contract import ContractReport as ContractReport
    from sanic_ms.testing.contract import check_contract as check_contract
    from sanic_ms.testing.contract import contract_operations as contract_operations
    from sanic_ms.testing.database import fresh_databases as fresh_databases
    from sanic_ms.testing.live import LiveServer as LiveServer
    from sanic_ms.testing.mocks import Mock as Mock
    from sanic_ms.testing.mocks import MockServices as MockServices
    from sanic_ms.testing.mocks import ServiceCall as ServiceCall
    from sanic_ms.testing.mocks import UnansweredCall as UnansweredCall
    from sanic_ms.testing.response import TestResponse as TestResponse
    from sanic_ms.testing.spans import SpanNode as SpanNode
    from sanic_ms.testing.spans import Spans as Spans

__all__ = [
    "ContractBroken",
    "ContractReport",
    "LiveServer",
    "Mock",
    "MockServices",
    "ServiceCall",
    "SpanNode",
    "Spans",
    "TestClient",
    "TestResponse",
    "UnansweredCall",
    "check_contract",
    "contract_operations",
    "fresh_databases",
]

_HOME = {
    "TestResponse": "response",
    "ContractBroken": "contract",
    "ContractReport": "contract",
    "LiveServer": "live",
    "Mock": "mocks",
    "MockServices": "mocks",
    "ServiceCall": "mocks",
    "SpanNode": "spans",
    "Spans": "spans",
    "TestClient": "client",
    "UnansweredCall": "mocks",
    "check_contract": "contract",
    "contract_operations": "contract",
    "fresh_databases": "database",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value
