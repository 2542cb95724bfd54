"""Scopes: what is made for one unit of work, and closed at its end."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any

import pytest

from sanic_ms.container import Container, Depends
from sanic_ms.context import RequestContext
from sanic_ms.exception import LifecycleError
from sanic_ms.http import Header


class Session:
    """Made for a unit of work."""

    def __init__(self, log: list[str]) -> None:
        self.log = log


class Mailer:
    """Needs a session."""

    def __init__(self, session: Session) -> None:
        self.session = session


def provided(log: list[str], **options: Any) -> Container:
    """A container whose sessions tell what happens to them."""

    async def session() -> AsyncIterator[Session]:
        log.append("open")
        try:
            yield Session(log)
        except BaseException as exc:
            log.append(type(exc).__name__)
            raise
        log.append("commit")

    container = Container()
    container.provide(Session, session, **options)
    return container


async def use(container: Container, *keys: Any, error: BaseException | None = None) -> None:
    """A scope in which these are resolved, and which an error ends."""
    async with container.scope() as scope:
        for key in keys:
            await scope.resolve(key if isinstance(key, type) else Depends(key))
        if error is not None:
            raise error


async def test_a_scope_makes_once_and_closes_at_its_end() -> None:
    """Two that ask get the same one; another scope gets another."""
    log: list[str] = []
    container = provided(log, scope="request")
    container.provide(Mailer, scope="request")
    async with container.scope() as scope:
        first, mailer = await asyncio.gather(scope.resolve(Session), scope.resolve(Mailer))
        assert mailer.session is first
        assert log == ["open"]
    assert log == ["open", "commit"]
    async with container.scope() as scope:
        assert await scope.resolve(Session) is not first
    assert log == ["open", "commit"] * 2


async def test_an_error_of_the_block_is_thrown_in() -> None:
    """A transaction can roll back; the error goes on."""
    log: list[str] = []
    container = provided(log, scope="request")
    with pytest.raises(ZeroDivisionError):
        await use(container, Session, error=ZeroDivisionError())
    assert log == ["open", "ZeroDivisionError"]


async def test_a_cancelled_block_is_closed() -> None:
    """With the cancellation."""
    log: list[str] = []
    container = provided(log, scope="request")
    opened = asyncio.Event()

    async def work() -> None:
        async with container.scope() as scope:
            await scope.resolve(Session)
            opened.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await opened.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert log == ["open", "CancelledError"]


async def test_a_scope_is_used_in_its_block_and_once() -> None:
    """Before, after and twice are errors that say what to write."""
    container = provided([], scope="request")
    scope = container.scope()
    with pytest.raises(LifecycleError, match=r"the scope is new; write async with app\.scope"):
        await scope.resolve(Session)
    async with scope:
        await scope.resolve(Session)
    with pytest.raises(LifecycleError, match="the scope is closed"):
        await scope.resolve(Session)
    with pytest.raises(LifecycleError, match="entered once"):
        await scope.__aenter__()


def ends(log: list[str], name: str, error: Exception | None = None) -> Callable[[], Iterator[str]]:
    """A dependency that tells when it ends, and may fail then."""

    def dependency() -> Iterator[str]:
        try:
            yield name
        finally:
            log.append(name)
            if error is not None:
                raise error

    return dependency


async def test_all_are_closed_in_reverse_also_when_some_fail() -> None:
    """The first failure reaches those outside of it, and is raised."""
    log: list[str] = []
    first, last = ends(log, "first"), ends(log, "last")
    failing = ends(log, "failing", OSError("disk"))
    with pytest.raises(OSError, match="disk"):
        await use(Container(), first, failing, last)
    assert log == ["last", "failing", "first"]


async def test_a_failure_at_the_end_has_the_error_of_the_block_as_its_context() -> None:
    """Neither is lost."""
    with pytest.raises(OSError, match="disk") as caught:
        await use(Container(), ends([], "x", OSError("disk")), error=ZeroDivisionError())
    assert isinstance(caught.value.__context__, ZeroDivisionError)


async def test_what_was_opened_is_closed_when_the_next_cannot_be_made() -> None:
    """As an error of the block."""
    log: list[str] = []
    container = provided(log, scope="request")

    def broken(session: Session) -> None:
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        async with container.scope() as scope:
            await scope.resolve(Depends(functools.partial(broken)))
    assert log == ["open", "OSError"]


# --- generators that are written wrongly ---


async def twice() -> AsyncIterator[int]:
    """Yields again."""
    yield 1
    yield 2


def sync_twice() -> Iterator[int]:
    """Yields again."""
    yield 1
    yield 2


async def insists() -> AsyncIterator[int]:
    """Yields again where it should end with the error."""
    try:
        yield 1
    except ZeroDivisionError:
        yield 2


async def never() -> AsyncIterator[int]:
    """Yields nothing."""
    if not __debug__:
        yield 1


def sync_never() -> Iterator[int]:
    """Yields nothing."""
    yield from ()


async def swallows() -> AsyncIterator[int]:
    """Keeps errors to itself."""
    with contextlib.suppress(BaseException):
        yield 1


def sync_swallows() -> Iterator[int]:
    """Keeps errors to itself."""
    with contextlib.suppress(BaseException):
        yield 1


@pytest.mark.parametrize("function", [twice, sync_twice])
async def test_a_second_value_is_an_error(function: Callable[..., Any]) -> None:
    """With the function's place."""
    with pytest.raises(RuntimeError, match=rf"^{function.__name__} \(.*\) yields more than once"):
        async with Container().scope() as scope:
            assert await scope.resolve(Depends(function)) == 1


async def test_a_second_value_after_an_error_is_an_error() -> None:
    """The error is the cause."""
    with pytest.raises(RuntimeError, match=r"insists .* yields more than once") as caught:
        await use(Container(), insists, error=ZeroDivisionError())
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize("function", [never, sync_never])
async def test_no_value_is_an_error(function: Callable[..., Any]) -> None:
    """With the function's place."""
    with pytest.raises(RuntimeError, match=f"{function.__name__} .* did not yield a value"):
        async with Container().scope() as scope:
            await scope.resolve(Depends(function))


@pytest.mark.parametrize("function", [swallows, sync_swallows])
async def test_an_error_is_not_swallowed(
    function: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    """It would be answered as a success. A cancellation goes on, and the mistake is logged."""
    text = f"{function.__name__} .* caught {{}} at its yield and did not raise it again"
    with pytest.raises(RuntimeError, match=text.format("ZeroDivisionError")) as caught:
        await use(Container(), function, error=ZeroDivisionError())
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    with pytest.raises(asyncio.CancelledError):
        await use(Container(), function, error=asyncio.CancelledError())
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "caught CancelledError" in record.getMessage()


async def test_another_error_in_place_of_the_thrown_one_counts() -> None:
    """A dependency may translate errors."""

    def translating() -> Iterator[None]:
        try:
            yield
        except ZeroDivisionError as exc:
            raise LookupError("translated") from exc

    with pytest.raises(LookupError, match="translated"):
        await use(Container(), translating, error=ZeroDivisionError())


async def test_context_managers_of_contextlib_yield() -> None:
    """A function below its decorators is what it was without them."""
    log: list[str] = []

    @contextlib.asynccontextmanager
    async def opened() -> AsyncIterator[str]:
        yield "async"
        log.append("async")

    @contextlib.contextmanager
    def opened_too() -> Iterator[str]:
        yield "sync"
        log.append("sync")

    async with Container().scope() as scope:
        assert await scope.resolve(Depends(opened)) == "async"
        assert await scope.resolve(Depends(opened_too)) == "sync"
    assert log == ["sync", "async"]


async def test_a_decorator_that_hides_the_generator_is_an_error() -> None:
    """What it gives could not be closed."""

    @functools.wraps(twice)
    def hiding() -> int:
        return 3

    with pytest.raises(TypeError, match="hides that it yields"):
        async with Container().scope() as scope:
            await scope.resolve(Depends(hiding))


# --- functions ---


async def test_a_function_is_called_once_for_a_scope_unless_told_otherwise() -> None:
    """Also where several functions need it; ``cache=False`` calls it for each."""
    calls = iter(range(10))

    def number() -> int:
        return next(calls)

    def both(a: Any, b: Any, c: Any) -> list[int]:
        return [a, b, c]

    cached, fresh = Annotated[int, Depends(number)], Annotated[int, Depends(number, cache=False)]
    both.__annotations__ = {"a": cached, "b": cached, "c": fresh}
    async with Container().scope() as scope:
        assert await scope.resolve(Depends(both)) == [0, 0, 1]
        assert await scope.resolve(Depends(number)) == 0
        assert await scope.resolve(Depends(number, cache=False)) == 2
    async with Container().scope() as scope:
        assert await scope.resolve(Depends(number)) == 3


class Role:
    """A dependency that is an object, with a hash by identity."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def __call__(self, request: RequestContext) -> str:
        return f"{self.name} {request}"

    def method(self) -> str:
        return self.name


@dataclasses.dataclass
class Unhashable:
    """Equal to others with the same name, and without a hash, as dataclasses are."""

    name: str

    def __call__(self, request: RequestContext) -> str:
        return f"{self.name} {request}"


async def test_what_can_be_called_can_be_a_dependency() -> None:
    """Classes, methods, objects and partials; also objects without a hash."""

    def named(name: str, role: str = "none") -> str:
        return f"{name} {role}"

    async with Container().scope("request") as scope:
        assert await scope.resolve(Depends(Role("admin"))) == "admin request"
        assert await scope.resolve(Depends(Unhashable("a"))) == "a request"
        assert await scope.resolve(Depends(Unhashable("b"))) == "b request"
        role = Role("c")
        assert await scope.resolve(Depends(role.method)) == "c"
        assert Depends(role.method) == Depends(role.method)
        assert await scope.resolve(Depends(functools.partial(named, "d", role="r"))) == "d r"
        made = await scope.resolve(Depends(functools.partial(Role, name="e")))
        assert made.name == "e"


def test_a_dependency_can_be_called() -> None:
    """The call of a function is the usual mistake."""
    with pytest.raises(TypeError, match="give a function, without calling it"):
        Depends(3)  # type: ignore[arg-type]
    assert repr(Depends(twice)) == "Depends(twice)"
    assert repr(Depends(Role("x"), cache=False)) == "Depends(Role, cache=False)"
    assert Depends(twice) != Depends(twice, cache=False)
    assert Depends(twice) != twice


async def test_what_the_request_gives_needs_one() -> None:
    """Outside of handlers there is none, or nobody reads it."""

    def caller(token: Annotated[str, Header("x-token")]) -> str:
        return token

    async with Container().scope() as scope:
        with pytest.raises(LifecycleError, match="no request is being served here"):
            await scope.resolve(Depends(Role("admin")))
        with pytest.raises(LifecycleError, match=r"caller \(.* reads token from the request"):
            await scope.resolve(Depends(caller))
        with pytest.raises(TypeError, match="no Mailer is provided"):
            await scope.resolve(Mailer)


# --- singletons ---


async def test_resolve_gives_singletons() -> None:
    """What is made for each request is not kept in a listener by accident."""
    container = provided([])
    assert await container.resolve(Session) is await container.resolve(Session)
    container.provide(Mailer, scope="request")
    with pytest.raises(LifecycleError, match=r"Mailer is made for each request.*app\.scope\(\)"):
        await container.resolve(Mailer)
    with pytest.raises(LifecycleError, match="RequestContext is made for each request"):
        await container.resolve(RequestContext)  # type: ignore[type-abstract]
    with pytest.raises(LifecycleError, match="twice is made for each request"):
        await container.resolve(Depends(twice))  # type: ignore[arg-type]


async def test_singletons_are_closed_in_reverse_and_made_anew_after_that() -> None:
    """A closed one is not given away, not even inside of another; an instance stays."""
    log: list[str] = []
    container = provided(log)
    clock = asyncio.Event()

    async def mailer(session: Session, event: asyncio.Event) -> AsyncIterator[Mailer]:
        assert event is clock
        yield Mailer(session)
        log.append("mailer")

    container.provide(Mailer, mailer)
    container.provide(asyncio.Event, clock)
    first = await container.resolve(Mailer)
    await container.close()
    assert log == ["open", "mailer", "commit"]
    with pytest.raises(LifecycleError, match="Mailer: the service has stopped"):
        await container.resolve(Mailer)
    async with container.scope() as scope:
        with pytest.raises(LifecycleError, match="the service has stopped"):
            await scope.resolve(Session)
    await container.close()
    container.open()
    second = await container.resolve(Mailer)
    assert second is not first
    assert second.session is not first.session
    await container.close()
    assert log == ["open", "mailer", "commit"] * 2


async def test_a_singleton_that_fails_to_close_is_logged_and_the_others_are_closed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Also one that takes too long."""
    log: list[str] = []
    container = provided(log)

    async def mailer(session: Session) -> AsyncIterator[Mailer]:
        yield Mailer(session)
        raise OSError("no network")

    async def event(mailer: Mailer) -> AsyncIterator[asyncio.Event]:
        yield asyncio.Event()
        await asyncio.Event().wait()

    container.provide(Mailer, mailer)
    container.provide(asyncio.Event, event)
    await container.resolve(asyncio.Event)
    await container.close(timeout=0.01)
    assert log == ["open", "commit"]
    assert [record.getMessage() for record in caplog.records] == [
        "Event did not close within 0.01 s",
        "Mailer failed to close: OSError('no network')",
    ]


async def test_a_singleton_in_the_making_is_cancelled_by_a_close() -> None:
    """Nothing is left open that nobody closes."""
    container = Container()
    begun = asyncio.Event()
    log: list[str] = []

    async def session() -> AsyncIterator[Session]:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            log.append("ended")
        yield Session(log)

    container.provide(Session, session)
    waiting = asyncio.create_task(container.resolve(Session))
    await begun.wait()
    await container.close()
    assert log == ["ended"]
    with pytest.raises(asyncio.CancelledError):
        await waiting


# --- overrides ---


async def test_a_type_is_overridden_with_what_was_made_of_it() -> None:
    """Singletons that need it are made anew in the block, and are again those of before behind it;
    others stay."""
    container = provided([])
    container.provide(Mailer)
    container.provide(asyncio.Event)
    real, event = await container.resolve(Mailer), await container.resolve(asyncio.Event)
    fake = Session([])
    with container.override(Session, fake):
        assert (await container.resolve(Mailer)).session is fake
        assert await container.resolve(asyncio.Event) is event
        with container.override(Session, lambda: Session(["inner"])):
            assert (await container.resolve(Mailer)).session.log == ["inner"]
        assert (await container.resolve(Mailer)).session is fake
    assert await container.resolve(Mailer) is real
    with container.override(Role, Role("unknown")):
        assert (await container.resolve(Role)).name == "unknown"
    assert Role not in container


async def test_an_override_keeps_the_scope() -> None:
    """What was made for each request is so still."""
    container = provided([], scope="request")
    with container.override(Session, lambda: Session([])):
        with pytest.raises(LifecycleError):
            await container.resolve(Session)
        async with container.scope() as scope:
            session = await scope.resolve(Session)
            assert await scope.resolve(Session) is session
        async with container.scope() as scope:
            assert await scope.resolve(Session) is not session


async def value_of(container: Container, dependency: Any) -> Any:
    """The value of a function in a scope of its own."""
    async with container.scope("request") as scope:
        return await scope.resolve(dependency)


async def test_a_function_is_overridden_by_a_value_or_a_function() -> None:
    """A function in its place has dependencies of its own, and may yield."""

    def number() -> int:
        return 1

    def other(session: Session) -> Iterator[int]:
        yield len(session.log)

    container = provided([1, 2, 3, 4], scope="request")  # type: ignore[list-item]
    with container.override(number, 2):
        assert await value_of(container, Depends(number)) == 2
        assert await value_of(container, Depends(number, cache=False)) == 2
        with container.override(Depends(number), other):
            assert await value_of(container, Depends(number)) == 5
        assert await value_of(container, Depends(number)) == 2
    assert await value_of(container, Depends(number)) == 1
    with container.override(Role, Role("x")):
        assert (await value_of(container, Depends(Role))).name == "x"
    with pytest.raises(TypeError, match="give a type, or the function"):
        container.providers.override(3, 4)


# --- the graph ---


def takes(annotation: Any) -> Callable[..., Any]:
    """A function with one parameter of a type."""

    def taking(value: Any) -> Session:
        return Session([])

    taking.__annotations__ = {"value": annotation, "return": Session}
    return taking


def named() -> str:
    """A dependency."""
    return "x"


def circular(value: Any) -> None:
    """A dependency that needs itself."""


circular.__annotations__["value"] = Annotated[None, Depends(circular)]


@pytest.mark.parametrize(
    ("annotation", "scope", "message"),
    [
        (
            Annotated[str, Depends(named)],
            "singleton",
            r"Session -> named: a singleton would keep the named of one request \(provide Session",
        ),
        (Annotated[str, Header()], "singleton", "Session: a singleton would keep: the header"),
        (Annotated[None, Depends(circular)], "request", "Session -> circular -> circular: a cycle"),
        (
            Annotated[str, Depends(takes(Mailer))],
            "request",
            r"taking \(.* nothing gives the parameter 'value'.*no Mailer is provided",
        ),
        (Annotated[str, Depends(lambda x: x)], "request", "'x' of this dependency: it has no anno"),
        (Annotated[Any, Depends()], "request", r"name the function, Depends\(function\)"),
    ],
)
def test_mistakes_stop_the_start(annotation: Any, scope: Any, message: str) -> None:
    """Also in providers that nothing uses yet; the path is shown."""
    container = Container()
    container.provide(Session, takes(annotation), scope=scope)
    with pytest.raises(TypeError, match=message):
        container.check()


def test_a_marker_as_a_default_is_told_the_right_spelling() -> None:
    """FastAPI's older spelling."""

    def user(name: Any = Depends(named)) -> Any:  # noqa: B008
        return name

    with pytest.raises(TypeError, match=r"write|Annotated\[…, Depends\(named\)\]"):
        Container().check([Depends(user)])


def test_without_a_request_nothing_may_need_one() -> None:
    """A command is checked before it runs."""
    container = Container()
    container.provide(Session, takes(RequestContext), scope="request")
    container.check()
    with pytest.raises(TypeError, match="Session -> RequestContext: no request is served here"):
        container.check([Session], has_request=False)
    container.provide(Session, takes(Annotated[str, Header()]), scope="request")
    with pytest.raises(TypeError, match="no request is served here: the header parameter 'value'"):
        container.check([Session], has_request=False)


def test_a_parameter_that_cannot_be_named_is_an_error() -> None:
    """One with a default keeps that."""

    def optional(value: int = 3, /) -> int:
        return value

    def required(value: int, /) -> int:
        return value

    Container().check([Depends(optional)])
    with pytest.raises(TypeError, match="stands before the /"):
        Container().check([Depends(required)])
