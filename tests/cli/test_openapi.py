"""``sanic-ms openapi``: the document of a service, and what changed since an older one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import validate

Command = Callable[..., subprocess.CompletedProcess[str]]

SERVER = """\
from sanic_ms import Service

print("a word of the application's")
app = Service("books", configure_logging=False)


@app.get("/books/<id:int>")
async def get_book(request, id: int) -> {answer}:
    ...
"""


@pytest.fixture
def service(tmp_path: Path) -> Path:
    """A service in a folder of its own."""
    folder = tmp_path / "books"
    folder.mkdir()
    (folder / "server.py").write_text(SERVER.replace("{answer}", "dict[str, int]"))
    return folder


def write(path: Path, **responses: Any) -> Path:
    """A document with one operation."""
    operation = {"responses": {name[1:]: {"description": ""} for name in responses}}
    document = {
        "openapi": "3.1.0",
        "info": {"title": "t", "version": "1"},
        "paths": {"/a": {"get": operation}},
    }
    path.write_text(json.dumps(document))
    return path


def test_the_document_goes_to_standard_output(command: Command, service: Path) -> None:
    """And nothing else does: what the application prints goes to standard error."""
    for words in ([], ["server:app"], ["show"], ["show", "server"]):
        done = command("openapi", *words, "--dir", str(service))
        document = json.loads(done.stdout)
        validate(document)
        assert list(document["paths"]) == ["/books/{id}"]
        assert "a word of the application's" in done.stderr
        assert done.returncode == 0


def test_the_document_goes_to_a_file(command: Command, service: Path, tmp_path: Path) -> None:
    """The file is named from where the command is given; nothing is printed."""
    done = command("openapi", "--output", "books.json", "--dir", "books")
    assert (done.returncode, done.stdout) == (0, "")
    text = (tmp_path / "books.json").read_text()
    assert text == command("openapi", "--dir", "books").stdout


def test_a_file_that_cannot_be_written_is_one_line(command: Command, service: Path) -> None:
    """It was tried and failed."""
    done = command("openapi", "--output", "nowhere/books.json", "--dir", "books")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("nowhere/books.json: No such file or directory")


def test_a_service_that_cannot_be_read_is_one_line(command: Command, tmp_path: Path) -> None:
    """No service, a broken one, and one whose routes cannot be drawn."""
    done = command("openapi")
    assert done.returncode == 2
    assert done.stderr.startswith("sanic-ms: there is no module 'server' in ")
    (tmp_path / "server.py").write_text(SERVER.replace("{answer}", "nothing"))
    done = command("openapi")
    assert done.returncode == 2
    assert "server.py:8: NameError" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_change_is_exit_code_0(command: Command, tmp_path: Path) -> None:
    """And says so."""
    write(tmp_path / "old.json", _200=1)
    done = command("openapi", "diff", "old.json", "old.json")
    assert (done.returncode, done.stdout, done.stderr) == (0, "no changes\n", "")


def test_a_compatible_change_is_exit_code_0(command: Command, tmp_path: Path) -> None:
    """Each change with its place."""
    write(tmp_path / "old.json", _200=1)
    write(tmp_path / "new.json", _200=1, _404=1)
    done = command("openapi", "diff", "old.json", "new.json")
    assert done.returncode == 0
    assert done.stdout == (
        "compatible (1):\n  GET /a: the answer 404 is new\n    new #/paths/~1a/get/responses/404\n"
    )


def test_a_break_is_exit_code_1(command: Command, tmp_path: Path) -> None:
    """The breaks come first, the others apart."""
    write(tmp_path / "old.json", _200=1)
    write(tmp_path / "new.json", _404=1)
    done = command("openapi", "diff", "old.json", "new.json")
    assert done.returncode == 1
    assert done.stdout == (
        "breaking (1):\n"
        "  GET /a: the answer 200 is gone\n"
        "    old #/paths/~1a/get/responses/200\n"
        "compatible (1):\n"
        "  GET /a: the answer 404 is new\n"
        "    new #/paths/~1a/get/responses/404\n"
    )


def test_json_is_for_programs(command: Command, tmp_path: Path) -> None:
    """One object with a list for each kind, in every case; the exit code is the same."""
    write(tmp_path / "old.json", _200=1)
    write(tmp_path / "new.json", _404=1)
    done = command("openapi", "diff", "old.json", "new.json", "--json")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert list(found) == ["breaking", "note", "compatible"]
    assert found["breaking"] == [
        {
            "method": "GET",
            "path": "/a",
            "side": "old",
            "pointer": "/paths/~1a/get/responses/200",
            "text": "the answer 200 is gone",
        }
    ]
    done = command("openapi", "diff", "old.json", "old.json", "--json")
    assert json.loads(done.stdout) == {"breaking": [], "note": [], "compatible": []}


def test_either_side_may_be_a_service_or_standard_input(
    command: Command, service: Path, tmp_path: Path
) -> None:
    """What is in the code against what was published."""
    command("openapi", "--output", "old.json", "--dir", "books")
    (service / "server.py").write_text(SERVER.replace("{answer}", "dict[str, str]"))
    done = command("openapi", "diff", "old.json", "server:app", "--dir", "books")
    assert done.returncode == 1
    assert "the 200 answer's field data.* is string now, integer before" in done.stdout
    piped = subprocess.run(
        [sys.executable, "-m", "sanic_ms", "openapi", "diff", "-", "old.json"],
        input=(tmp_path / "old.json").read_text(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert piped.stdout == "no changes\n"


MISTAKES = {
    "a missing file": (["missing.json", "old.json"], "missing.json: No such file or directory"),
    "a folder": (["old.json", "."], ".: Is a directory"),
    "no JSON": (["old.json", "text.txt"], "text.txt is no JSON: Expecting value"),
    "a deep nest": (["old.json", "deep.json"], "deep.json is no JSON: it nests too deep"),
    "no text": (["old.json", "bytes.bin"], "bytes.bin is no JSON: 'utf-8' codec can't decode"),
    "another JSON": (["list.json", "old.json"], "the old document is no OpenAPI 3 document"),
    "no service": (["old.json", "nowhere:app"], "there is no module 'nowhere' in "),
    "standard input twice": (["-", "-"], "standard input holds one document"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_what_cannot_be_read_is_exit_code_2(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line that names the file."""
    from sanic_ms.cli import main

    write(tmp_path / "old.json", _200=1)
    (tmp_path / "text.txt").write_text("openapi: 3.1.0")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    (tmp_path / "bytes.bin").write_bytes(b"\x80")
    (tmp_path / "list.json").write_text("[]")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))  # taken back, whatever the command adds
    words, text = MISTAKES[case]
    with pytest.raises(SystemExit) as info:
        main(["openapi", "diff", *words])
    assert info.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith(f"sanic-ms: {text}")
    assert error.count("\n") == 1


def test_a_missing_word_is_exit_code_2(command: Command) -> None:
    """Two documents are compared, not one."""
    done = command("openapi", "diff", "old.json")
    assert done.returncode == 2
    assert "Missing argument 'NEW'" in done.stderr
