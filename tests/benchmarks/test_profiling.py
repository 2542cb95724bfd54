"""How the samples of the profiler are added up."""

from __future__ import annotations

import pytest

from benchmarks.profiling import Frame, main, read, table

MAIN = "<module> (/x/benchmarks/peers/ours_server.py:1)"
LOOP = "_run_server_forever (/x/site-packages/sanic/server/runners.py:90)"
SERVE = "serve (/x/src/sanic_ms/server/protocol.py:10)"
ENCODE = "encode (/x/src/sanic_ms/http/envelope.py:20)"

SAMPLES = [
    f"process 12:python;{MAIN};{LOOP};{SERVE} 6",
    f"{MAIN};{LOOP};{SERVE};{ENCODE};{SERVE} 1",
    f"{MAIN};{LOOP} 3",
    "",
    " 7",  # a look that failed
    "Thread.run (/x/threading.py:9);_worker (/x/concurrent/futures/thread.py:8) 9",
]


def test_samples_are_added_up() -> None:
    """The innermost function alone, and each function of the stack once a sample."""
    profile = read(SAMPLES)
    serve = Frame("serve", "/x/src/sanic_ms/server/protocol.py")
    assert profile.samples == 10
    assert profile.alone[serve] == 7
    assert profile.within[serve] == 7
    assert profile.within[Frame("encode", "/x/src/sanic_ms/http/envelope.py")] == 1
    assert profile.owners == {"sanic_ms.server": 7, "the event loop": 3}


def test_the_event_loop_is_nobodys_room() -> None:
    """What runs in uvloop shows as the Python function that started it."""
    assert Frame("Server._run", "/x/src/sanic_ms/server/serving.py").owner == "the event loop"
    assert Frame("Server._run", "/x/src/sanic_ms/server/other.py").owner == "sanic_ms.server"


@pytest.mark.parametrize(
    ("file", "owner"),
    [
        ("/x/src/sanic_ms/context.py", "sanic_ms.context"),
        ("/x/src/sanic_ms/db/drivers/postgres.py", "sanic_ms.db"),
        ("/x/lib/python3.11/site-packages/asyncpg/pool.py", "asyncpg"),
        ("/x/lib/python3.11/site-packages/peewee.py", "peewee"),
        ("/x/lib/python3.11/asyncio/tasks.py", "Python's library"),
        ("/x/benchmarks/peers/ours_server.py", "the handlers"),
        ("/lib/x86_64-linux-gnu/libc.so.6", "libc"),
        ("", "native"),
    ],
)
def test_every_function_has_an_owner(file: str, owner: str) -> None:
    """A package of ours, a library, Python, or what is no Python."""
    assert Frame("f", file).owner == owner


def test_the_table_is_in_percent() -> None:
    """With the file from our package on."""
    shown = table(read(SAMPLES), most=2)
    assert "  70.0 %  serve (sanic_ms/server/protocol.py)" in shown
    assert "  30.0 %  the event loop" in shown
    assert "encode" not in shown


def test_no_samples_are_said() -> None:
    """An idle server is no division by zero."""
    assert "no samples" in table(read([]))


@pytest.mark.parametrize("option", ["--seconds", "--rate", "--lines"])
def test_less_than_one_is_refused(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In one line, before anything is started."""
    assert main([f"{option}=0"]) == 2
    assert capsys.readouterr().out == "profile: seconds, rate and lines are at least 1\n"


def test_other_forms_are_refused() -> None:
    """Rather than added up wrongly."""
    with pytest.raises(ValueError, match="not a line of py-spy's"):
        read(["{}"])
