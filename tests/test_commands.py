"""``@command``: marks, names, and the commands of a service."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sanic_ms import Service, command
from sanic_ms.commands import Command, CommandMark, CommandSet
from sanic_ms.exception import LifecycleError
from sanic_ms.values.marks import marks_of


def make_service() -> Service:
    """A service that no other test has."""
    return Service(f"service_{uuid.uuid4().hex}", configure_logging=False)


async def test_a_marked_function_is_called_directly() -> None:
    """Sync or async, with or without parentheses: the decorator gives the function itself."""

    @command
    def add(a: int, b: int) -> int:
        return a + b

    @command()
    async def import_users(path: str) -> str:
        return path

    assert add(1, b=2) == 3
    assert await import_users("users.csv") == "users.csv"
    assert marks_of(add) == (CommandMark("add"),)
    assert marks_of(import_users) == (CommandMark("import-users"),)


@pytest.mark.parametrize(
    ("function_name", "given", "name"),
    [
        ("import_", "", "import"),
        ("_import_users", "", "import-users"),
        ("anything", "users:import", "users:import"),
    ],
)
def test_names(function_name: str, given: str, name: str) -> None:
    """That of the function with dashes, unless one is given."""

    def function() -> None:
        pass

    function.__name__ = function_name
    assert marks_of(command(name=given)(function)) == (CommandMark(name),)


@pytest.mark.parametrize("name", ["two words", "-x", "a/b", 3])
def test_a_name_that_no_shell_can_give_is_refused(name: Any) -> None:
    """An error at the decorator, which says what is allowed."""
    with pytest.raises(ValueError, match="is no name"):
        command(name=name)(make_service)


def test_what_cannot_be_a_command_is_refused() -> None:
    """A class, a text, a generator, and a function that is marked already."""

    async def rows() -> AsyncIterator[int]:
        yield 1

    @command
    def once() -> None:
        pass

    with pytest.raises(TypeError, match="is no function"):
        command(Command)
    with pytest.raises(TypeError, match="is no function"):
        command("import-users")  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="rows yields; a command returns"):
        command(rows)
    with pytest.raises(TypeError, match="once is marked as a command twice"):
        command(once)


def test_a_service_of_one_file_registers_at_once() -> None:
    """``@app.command`` gives the function itself, without a mark that another service would see;
    Sanic's own way of running it stays."""
    app = make_service()

    @app.command
    def plain() -> str:
        """Say it.

        At length.
        """
        return "plain"

    @app.command(name="named")
    async def other() -> None:
        pass

    assert plain() == "plain"
    assert marks_of(plain) == ()
    assert [(entry.name, entry.summary) for entry in app.commands] == [
        ("named", ""),
        ("plain", "Say it."),
    ]
    assert {entry.name for entry in app._future_commands} == {"named", "plain"}


def test_two_functions_of_one_name_are_refused() -> None:
    """The error names both; the same function twice is once."""
    commands = CommandSet()
    commands.add("x", make_service)
    commands.add("x", make_service)
    assert len(commands) == 1
    with pytest.raises(LifecycleError) as refused:
        commands.add("x", test_names)
    assert "make_service and " in str(refused.value)
    assert "test_names" in str(refused.value)
