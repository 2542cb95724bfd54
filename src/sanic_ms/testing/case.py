"""`APITestCase`: unittest's way of testing a service."""

from __future__ import annotations

import asyncio
import unittest
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from typing import Any, ClassVar, TypeVar

from sanic import Blueprint

from sanic_ms.context import service_context
from sanic_ms.service import Service
from sanic_ms.testing.client import TestClient
from sanic_ms.testing.database import fresh_databases
from sanic_ms.testing.factory import made
from sanic_ms.testing.mocks import MockServices
from sanic_ms.testing.reconfigure import without_ports

__all__ = ["APITestCase", "CaseClient"]

T = TypeVar("T")

_SET_UP = ("app", "client", "_mock")


class CaseClient:
    """A `TestClient` whose calls give their answer at once in plain methods, and are awaited in
    ``async`` ones.

    The methods are those of `TestClient`: ``client.create_user(data={…})``, ``client.get(path)`` …
    """

    __test__ = False

    def __init__(self, client: TestClient, loop: asyncio.AbstractEventLoop) -> None:
        self._client = client
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        # In a plain method the loop stands still, so the call's own check has to run inside of it.
        found = getattr(self._client, name)
        if name in ("stream", "websocket", "start", "close", "app", "cookies", "mock", "running"):
            return found

        def call(*args: Any, **keywords: Any) -> Any:
            try:
                asyncio.get_running_loop()
            except RuntimeError:
                return self._loop.run_until_complete(_awaited(found, args, keywords))
            return found(*args, **keywords)

        return call


async def _awaited(call: Callable[..., Any], args: Any, keywords: Any) -> Any:
    return await call(*args, **keywords)


class APITestCase(unittest.IsolatedAsyncioTestCase):
    """Tests of a service, without a port and without other services.

    ::

        class UserTest(APITestCase):
            _app = app
            _blueprint = "user"

            def setUp(self):
                super().setUp()
                self._mock.get("/cities/1", payload={"id": 1, "name": "Shanghai"})

            def test_create(self):
                answer = self.client.create_user(data={"name": "Ann", "city_id": 1})
                self.assertEqual(answer.status, 201)

    For each test the service starts, with its databases fresh, and stops again. Test methods may be
    ``async``; then calls are awaited. A call to another service that no mock answers fails the
    test.

    Attributes:
        _app: The service, or a function that makes one for each test.
        _blueprint: The blueprint (or its name) whose handlers ``self.client.<handler>`` finds.
            Default: those of the whole service.
        _database: Where the fresh databases are made; see `fresh_databases`. Default: as the
            environment says, else SQLite.
        app: The service that runs.
        client: Calls to it; see `CaseClient`.
        _mock: The answers of other services; see `MockServices`.
    """

    _app: ClassVar[Service | Callable[[], Service] | None] = None
    _blueprint: ClassVar[str | Blueprint | None] = None
    _database: ClassVar[str | None] = None

    app: Service
    client: Any
    _mock: MockServices

    def setUp(self) -> None:
        """Start the service; call it first: ``super().setUp()``.

        Raises:
            TypeError: the class has no ``_app``.
            LifecycleError, ConfigError: the service does not start.
        """
        super().setUp()
        # Looked up on the class: a function that is read from an instance would become a method.
        source = vars(self._where_app_is())["_app"]
        if isinstance(source, staticmethod):
            source = source.__func__
        stack = ExitStack()
        self.addCleanup(stack.close)
        self.app = stack.enter_context(made(source))
        stack.enter_context(without_ports(self.app))
        stack.enter_context(fresh_databases(self.app, self._database))
        self._mock = MockServices()
        loop = asyncio.get_event_loop()
        client = TestClient(self.app, mock=self._mock, blueprint=self._blueprint)
        self.client = CaseClient(client, loop)
        loop.run_until_complete(client.start())
        stack.enter_context(service_context(self.app))
        stack.callback(self._mock.assert_all_answered)
        stack.callback(lambda: loop.run_until_complete(client.close()))

    def wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine where the service runs, in a plain test method.

        ``self.wait(self.app.db.fetchval("SELECT count(*) FROM users"))``
        """
        return asyncio.get_event_loop().run_until_complete(coroutine)

    def _where_app_is(self) -> type:
        for cls in type(self).__mro__:
            if vars(cls).get("_app") is not None:
                return cls
        raise TypeError(f"{type(self).__name__} needs _app = the service, or what makes one")

    def __getattr__(self, name: str) -> Any:
        if name in _SET_UP:
            raise AttributeError(
                f"there is no self.{name} yet: setUp has to begin with super().setUp()"
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
