"""What is given to wrk, and how its result is read."""

from __future__ import annotations

import json

import pytest

from benchmarks import wrk

COUNTED = {
    "requests": 3000,
    "microseconds": 1_500_000,
    "bytes": 300_000,
    **dict.fromkeys(("connect", "read", "write", "status", "timeout"), 0),
    "p50": 900,
    "p90": 1200,
    "p99": 2000,
    "max": 3500,
}


def printed(**changed: object) -> str:
    """wrk's output with our line in it."""
    return f"Running 1s test @ http://x\n  1 threads\nRESULT {json.dumps({**COUNTED, **changed})}\n"


def test_the_counters_are_read() -> None:
    """Microseconds become seconds, and the rate is theirs."""
    load = wrk.parse(printed())
    assert (load.requests, load.seconds, load.rate) == (3000, 1.5, 2000.0)
    assert (load.p50, load.p90, load.p99, load.max, load.bytes) == (900, 1200, 2000, 3500, 300_000)
    load.raise_for_errors()


@pytest.mark.parametrize("kind", ["connect", "read", "write", "status", "timeout"])
def test_one_error_fails_the_load(kind: str) -> None:
    """Whatever its kind; the message counts it."""
    with pytest.raises(wrk.BadLoad, match=f"1 {kind} "):
        wrk.parse(printed(**{kind: 1})).raise_for_errors()


def test_a_load_without_an_answer_fails() -> None:
    """No errors and no answers is not a success."""
    with pytest.raises(wrk.BadLoad, match="not one answer"):
        wrk.parse(printed(requests=0)).raise_for_errors()


@pytest.mark.parametrize(
    "output",
    [
        "",
        "unable to connect to 127.0.0.1:1 Connection refused\n",
        "RESULT {broken}\n",
        'RESULT {"requests":1}\n',
        "RESULT [1]\n",
        printed(microseconds=0),
    ],
)
def test_other_output_is_an_error(output: str) -> None:
    """A result is read whole or not at all."""
    with pytest.raises(wrk.BadLoad):
        wrk.parse(output)


def test_the_script_holds_every_request() -> None:
    """Several paths are cycled through, one path is set, and a body has its type."""
    several = wrk.script(["/a/1", "/a/2"], "PUT")
    assert '"/a/1","/a/2"' in several
    assert 'wrk.method = "PUT"' in several
    one = wrk.script(["/a"], "POST", b'{"name":"x"}')
    assert 'wrk.path = "/a"' in one
    assert r'wrk.body = "{\"name\":\"x\"}"' in one
    assert '"application/json"' in one
    assert "paths" not in one


def test_what_lua_would_read_otherwise_is_refused() -> None:
    """The quoting is that of JSON, which is Lua's only for printable ASCII."""
    with pytest.raises(ValueError, match="printable ASCII"):
        wrk.script(["/é"])
