"""The command itself: help, version, exit codes, and that it starts fast."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib import metadata

import pytest
import typer

from sanic_ms.cli import app, main
from sanic_ms.cli._errors import CommandError, describe
from sanic_ms.exception import LifecycleError
from sanic_ms.native.compiled import is_compiled

Command = Callable[..., subprocess.CompletedProcess[str]]


def test_version_names_what_a_report_needs(shell: Command) -> None:
    """Ours, Sanic's and Python's, and whether compiled code serves."""
    done = shell("--version")
    python = ".".join(map(str, sys.version_info[:3]))
    ours, sanic = metadata.version("sanic-ms"), metadata.version("sanic")
    how = "compiled" if is_compiled() else "pure Python"
    assert done.stdout == f"sanic-ms {ours} (Sanic {sanic}, Python {python}, {how})\n"


@pytest.mark.parametrize("verb", ["run", "up", "config", "db", "openapi", "tests"])
def test_every_verb_has_help_with_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    """``--help`` says what it does, what it takes, and shows one use."""
    with pytest.raises(SystemExit) as info:
        main([verb, "--help"])
    assert info.value.code == 0
    assert f"Example: sanic-ms {verb}" in capsys.readouterr().out


def test_help_imports_neither_sanic_nor_peewee() -> None:
    """The command answers at once; what is heavy is imported by the verb that needs it."""
    code = (
        "import sys, sanic_ms.cli; "
        "print(*sorted({'sanic', 'peewee', 'asyncpg', 'aiohttp', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize(
    "words", [["nothing"], ["run", "--nothing"], ["up"], ["run", "--port", "x"]]
)
def test_a_wrong_command_is_exit_code_2(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Usage errors are told from failures by the exit code."""
    with pytest.raises(SystemExit) as info:
        main(words)
    assert info.value.code == 2
    assert "Error: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CommandError("a\nb"), 2),
        (CommandError("a b", exit_code=1), 1),
        (LifecycleError("a b"), 1),
    ],
)
def test_errors_of_the_user_are_one_line(
    error: Exception,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One line on standard error and no traceback."""
    other = typer.Typer()

    @other.command()
    def fail() -> None:
        raise error

    monkeypatch.setattr("sanic_ms.cli.app", other)
    with pytest.raises(SystemExit) as info:
        main([])
    assert info.value.code == code
    assert capsys.readouterr().err == "sanic-ms: a b\n"


def test_an_error_is_described_by_the_place_in_the_users_code() -> None:
    """The deepest frame that is neither a library's nor ours."""
    try:
        int("x")
    except ValueError as exc:
        text = describe(exc)
    assert "test_root.py:" in text
    assert text.endswith(": ValueError: invalid literal for int() with base 10: 'x'")
    assert describe(KeyError()) == "KeyError"


def test_the_application_has_no_completion_options() -> None:
    """Help lists what is ours, not options that change a shell's start files."""
    assert app._add_completion is False
