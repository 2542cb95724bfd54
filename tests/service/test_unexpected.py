"""Exceptions that nobody catches: the line in the log, its stack, and what debug mode shows."""

from __future__ import annotations

from typing import Any

import pytest
from tests.calls import WAYS, asking

from sanic_ms import Service
from sanic_ms.exception import ServerError
from sanic_ms.telemetry.stacks import application_part, describe

pytestmark = pytest.mark.usefixtures("empty_folder")


def divide() -> float:
    return 1 / 0


def made(name: str, **settings: Any) -> Service:
    """A service that fails: in a function that its handler calls, on purpose, in a statement."""
    app = Service(name.replace(" ", "-"), configure_logging=False)
    app.configure(db_url="sqlite://:memory:", **settings)

    @app.get("/zero")
    async def zero(request: Any) -> float:
        return divide()

    @app.get("/raised")
    async def raised(request: Any) -> None:
        raise ServerError(error="the printer is on fire")

    @app.get("/statement")
    async def statement(request: Any) -> Any:
        return await app.db.fetch("SELECT * FROM nothing")

    @app.get("/unfit")
    async def unfit(request: Any) -> Any:
        return {"pipe": object()}

    @app.get("/wrapped")
    async def wrapped(request: Any) -> None:
        try:
            divide()
        except ZeroDivisionError as exc:
            raise ServerError from exc

    return app


LINE = divide.__code__.co_firstlineno + 1


@pytest.mark.parametrize("way", WAYS)
async def test_the_line_names_the_exception_and_its_place(
    way: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The stack begins with the handler, not with the server; the caller is told nothing."""
    async with asking(made(f"unexpected-{way}"), way) as ask:
        answer = await ask("get", "/zero")
    assert answer.status == 500
    assert "error" not in answer.json
    (record,) = [each for each in caplog.records if each.name == "sanic_ms.http"]
    place = f"tests/service/test_unexpected.py:{LINE})"
    assert record.getMessage().startswith("GET /zero: ZeroDivisionError: division by zero (")
    assert record.getMessage().endswith(place)
    assert record.exc_info is not None
    assert record.exc_info[2] is not None
    assert record.exc_info[2].tb_frame.f_code.co_name == "zero"


@pytest.mark.parametrize("way", WAYS)
async def test_debug_mode_tells_the_caller(way: str) -> None:
    """What the log has, also of statements; what was raised on purpose is unchanged."""
    async with asking(made(f"debugged-{way}", debug=True), way) as ask:
        zero, raised, statement = [
            (await ask("get", path)).json for path in ("/zero", "/raised", "/statement")
        ]
    assert zero["error"].startswith("ZeroDivisionError: division by zero (")
    assert zero["error"].endswith(f"test_unexpected.py:{LINE})")
    assert raised["error"] == "the printer is on fire"
    assert "SELECT * FROM nothing" in statement["error"]
    assert "in made.<locals>.statement" in statement["error"]


@pytest.mark.parametrize("way", WAYS)
async def test_an_error_without_a_text_is_explained_by_its_cause(
    way: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A response that cannot be written, and an error that a handler raises from another one: the
    line of the log says why, and so does the response in debug mode only."""
    for debug in (False, True):
        caplog.clear()
        async with asking(made(f"untold-{way}-{debug}".lower(), debug=debug), way) as ask:
            unfit, wrapped = [await ask("get", path) for path in ("/unfit", "/wrapped")]
        lines = [each.getMessage() for each in caplog.records if each.name == "sanic_ms.http"]
        assert lines[0].startswith("GET /unfit: 500 Internal Server Error: TypeError: made.")
        assert "returned what cannot become an answer: a builtins.object cannot" in lines[0]
        assert lines[1].startswith("GET /wrapped: 500 Internal Server Error: ZeroDivisionError: ")
        assert (unfit.status, wrapped.status) == (500, 500)
        if debug:
            assert "cannot become an answer" in unfit.json["error"]
            assert wrapped.json["error"].startswith("ZeroDivisionError: division by zero")
        else:
            assert "error" not in unfit.json
            assert "error" not in wrapped.json


def test_what_has_no_place_in_the_application_is_named_all_the_same() -> None:
    """In one line, with whatever stack there is."""
    bare = ValueError("two\nlines")
    assert describe(bare) == "ValueError: two lines"
    assert describe(KeyError()) == "KeyError"
    assert application_part(bare) is None
    with pytest.raises(ZeroDivisionError) as raised:
        divide()
    assert describe(raised.value).endswith(f"test_unexpected.py:{LINE})")
