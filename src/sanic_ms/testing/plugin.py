"""The pytest plugin: fixtures for a service. The package registers it, so it is always there.

pytest imports this module at every start, also for projects that do not use it, so it imports
nothing but pytest; the kit is loaded by the first fixture that is used.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from sanic_ms.db import ConnectionPool
    from sanic_ms.service import Service
    from sanic_ms.testing.client import TestClient
    from sanic_ms.testing.folder import ServiceFolder
    from sanic_ms.testing.frozen import FrozenTime
    from sanic_ms.testing.kit import Kit
    from sanic_ms.testing.live import LiveServer
    from sanic_ms.testing.logs import Logs
    from sanic_ms.testing.measured import Metrics
    from sanic_ms.testing.mocks import MockServices
    from sanic_ms.testing.spans import Spans

__all__ = [
    "client",
    "db",
    "frozen_time",
    "live_server",
    "logs",
    "metrics",
    "mock_services",
    "pytest_addoption",
    "pytest_fixture_setup",
    "pytest_make_collect_report",
    "pytest_pyfunc_call",
    "pytest_report_header",
    "pytest_runtest_call",
    "pytest_runtest_protocol",
    "pytest_runtest_teardown",
    "pytest_unconfigure",
    "service",
    "service_factory",
    "spans",
]

_KIT: pytest.StashKey[Kit] = pytest.StashKey()
_FOLDERS: pytest.StashKey[dict[Path, ServiceFolder | None]] = pytest.StashKey()

_SERVICE = "sanic_ms_service"
_DB = "sanic_ms_db"
_RUNNER = "_sanic_ms_runner"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of the command line and of the configuration file."""
    service_help = "the service under test, module:attribute; the attribute may be a function"
    db_help = "where fresh databases are made: a URL of a server, or sqlite (default)"
    parser.addini(_SERVICE, service_help, default="")
    parser.addini(_DB, db_help, default="")
    group = parser.getgroup("sanic-ms", "services made with sanic-ms")
    group.addoption("--sanic-ms-service", metavar="TARGET", help=service_help)
    group.addoption("--sanic-ms-db", metavar="URL", help=db_help)


def _option(config: pytest.Config, name: str) -> str:
    return str(config.getoption(name) or config.getini(name))


def pytest_report_header(config: pytest.Config) -> str | None:
    """Which service is tested, and which database stands in for those of its settings."""
    target = _option(config, _SERVICE)
    if not target:
        return None
    from sanic_ms.exception import ConfigError
    from sanic_ms.testing.database import described_server

    try:
        where = described_server(_option(config, _DB) or None)
    except ConfigError:  # which each test says
        return None
    return f"sanic-ms: {target}, with fresh databases {where}"


# --- the folder of the service -------------------------------------------------------------------


def _in_folder(config: pytest.Config, path: Path) -> AbstractContextManager[None]:
    """Being in the folder of the service that a test file belongs to; or nothing."""
    target = _option(config, _SERVICE)
    if not target:
        return nullcontext()
    folders = config.stash.setdefault(_FOLDERS, {})
    if path not in folders:
        from sanic_ms.testing.folder import ServiceFolder, find_folder

        found = find_folder(target.partition(":")[0], path.parent, config.rootpath)
        same = [entry for entry in folders.values() if entry is not None and entry.path == found]
        folders[path] = None if found is None else same[0] if same else ServiceFolder(found)
    folder = folders[path]
    return nullcontext() if folder is None else folder.entered()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, Any]:
    """Import a service's test files in its folder."""
    if not isinstance(collector, (pytest.Module, pytest.Class)):
        return (yield)
    with _in_folder(collector.config, collector.path):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Run a service's tests in its folder."""
    with _in_folder(item.config, item.path):
        return (yield)


# --- running -------------------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Start and stop the service on the test's own event loop, whichever plugin makes that."""
    kit = item.stash.get(_KIT, None)
    if kit is None or not isinstance(item, pytest.Function):
        return (yield)
    test = item.obj
    if inspect.iscoroutinefunction(test):
        item.obj = kit.around(test)
    try:
        result = yield
    finally:
        item.obj = test
        kit.mock.assert_all_answered()
    return result


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Stop the service before the fixtures end: one of them closes the event loop."""
    kit = item.stash.get(_KIT, None)
    if kit is not None:
        kit.finish()


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an asynchronous test that no other plugin runs, in a project that tests a service."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj) or not _tests_a_service(pyfuncitem):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    test = pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names})
    runner = pyfuncitem._request.getfixturevalue(_RUNNER)
    kit = pyfuncitem.stash.get(_KIT, None)
    loop = None if kit is None else kit.loop
    if loop is None or loop is runner.get_loop():
        runner.run(test)
    else:  # another plugin has run a fixture in which the service or a pool has started
        loop.run_until_complete(test)
    return True


def _tests_a_service(node: pytest.Item | pytest.Collector) -> bool:
    return _KIT in node.stash or bool(_option(node.config, _SERVICE))


def _is_run_by_another(item: pytest.Item) -> bool:
    """Whether pytest-asyncio or anyio runs this test, on an event loop of its own."""
    if item.get_closest_marker("asyncio") is not None:
        return hasattr(item.config.option, "asyncio_mode")  # pytest-asyncio is there
    return "anyio_backend" in getattr(item, "fixturenames", ())


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, Any, Any]:
    """Run an asynchronous fixture that no other plugin runs, on the event loop of its test.

    Other plugins have put plain functions in the place of those that they run.
    """
    function = fixturedef.func
    is_async = inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
    if not is_async or not _tests_a_service(request.node):
        return (yield)
    from sanic_ms.testing.async_fixtures import as_plain, refused

    if fixturedef.scope != "function":
        plain = refused(fixturedef.argname, f"its scope is {fixturedef.scope!r}")
    elif _is_run_by_another(request.node):
        plain = refused(fixturedef.argname, "another plugin runs the test")
    else:
        plain = as_plain(function, request.getfixturevalue(_RUNNER), request.instance)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fixturedef, "func", plain)
        return (yield)


def pytest_unconfigure() -> None:
    """Remove what is left of databases; a worker of pytest-xdist has no other end."""
    database = sys.modules.get("sanic_ms.testing.database")
    if database is not None:
        database.drop_all()


# --- fixtures ------------------------------------------------------------------------------------


@pytest.fixture
def service_factory(request: pytest.FixtureRequest) -> Any:
    """The service under test, or a function that makes it: what ``sanic_ms_service`` names.

    Override it to say so in code.
    """
    target = _option(request.config, _SERVICE)
    if not target:
        raise pytest.UsageError(
            "which service is tested? Write sanic_ms_service = server:app into pytest's "
            "configuration, or a fixture service_factory"
        )
    from sanic_ms.cli._errors import CommandError
    from sanic_ms.cli._target import load_service

    module, _, attribute = target.partition(":")
    try:
        value = getattr(importlib.import_module(module), attribute.removesuffix("()"), None)
        return value if isinstance(value, FunctionType) else load_service(target)
    except ModuleNotFoundError as exc:
        if exc.name != module.partition(".")[0]:
            raise
        raise pytest.UsageError(
            f"sanic_ms_service = {target}: there is no module {exc.name!r} in the folders of "
            f"{request.path.name} up to {request.config.rootpath}"
        ) from None
    except CommandError as exc:
        raise pytest.UsageError(f"sanic_ms_service = {target}: {exc}") from None


@pytest.fixture
def _sanic_ms_runner() -> Iterator[Any]:
    """The event loop of a test and of its fixtures that no other plugin runs."""
    import asyncio

    runner = asyncio.Runner()  # which makes no loop before it is used
    yield runner
    runner.close()


@pytest.fixture
def _sanic_ms_kit(
    request: pytest.FixtureRequest, service_factory: Any, _sanic_ms_runner: Any
) -> Iterator[Kit]:
    # The runner is asked for, so that it is closed after the kit.
    from sanic_ms.testing.kit import Kit

    kit = Kit(service_factory, _option(request.config, _DB) or None)
    request.node.stash[_KIT] = kit
    yield kit
    kit.close()


@pytest.fixture
def service(_sanic_ms_kit: Kit) -> Service:
    """The service under test, with its databases fresh. It runs when `client` is used as well."""
    return _sanic_ms_kit.app


@pytest.fixture
def client(_sanic_ms_kit: Kit) -> TestClient:
    """Calls to the service, awaited, in memory; the service runs from the test's begin to its end.

    See `sanic_ms.testing.TestClient`.
    """
    return _sanic_ms_kit.client


@pytest.fixture
def mock_services(_sanic_ms_kit: Kit) -> MockServices:
    """The answers of other services; a call that none of them answers fails the test.

    See `sanic_ms.testing.MockServices`.
    """
    return _sanic_ms_kit.mock


@pytest.fixture
def db(_sanic_ms_kit: Kit) -> ConnectionPool:
    """A pool of the test's own to the service's database, which is migrated and empty else."""
    return _sanic_ms_kit.pool()


@pytest.fixture
def live_server(_sanic_ms_kit: Kit) -> LiveServer:
    """The service on a real port, in a thread: ``live_server.url``."""
    return _sanic_ms_kit.live


@pytest.fixture
def spans(_sanic_ms_kit: Kit) -> Spans:
    """The spans that the service made in this test, as trees; none is sent anywhere.

    See `sanic_ms.testing.Spans`.
    """
    return _sanic_ms_kit.spans


@pytest.fixture
def logs(_sanic_ms_kit: Kit) -> Iterator[Logs]:
    """The log lines of the test as dicts, as production would write them.

    See `sanic_ms.testing.logs.Logs`.
    """
    from sanic_ms.testing.logs import recorded_logs

    with recorded_logs(_sanic_ms_kit.app) as lines:
        yield lines


@pytest.fixture
def metrics(_sanic_ms_kit: Kit) -> Metrics:
    """The service's metrics since the test began.

    ``metrics("http_server_request_duration_seconds_count", route="/users") == 1``
    """
    return _sanic_ms_kit.metrics


@pytest.fixture
def frozen_time() -> Iterator[FrozenTime]:
    """The clock, standing still: ``frozen_time.tick(60)``, ``frozen_time.move_to(moment)``."""
    from sanic_ms.testing.frozen import frozen

    with frozen() as time:
        yield time
