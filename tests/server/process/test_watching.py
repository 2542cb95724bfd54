"""What a running service notices by itself: a blocked loop, changed code, a new certificate."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.certificates import make_certificate, trusting

from sanic_ms.exception import ConfigError
from sanic_ms.server.process.certificate_validity import read_validity
from sanic_ms.server.process.cpus import usable_cpus
from sanic_ms.server.process.reload import Files
from sanic_ms.server.process.tls import Certificate

Run = Callable[..., Any]


def test_a_blocked_loop_is_logged_with_who_blocks_it(run: Run, kit: Any) -> None:
    """With the function, its place and the stack; what only waits, and other steps, are not."""
    block = (
        "\n@app.get('/block')\nasync def block(request):\n    helper()\n    return 1\n"
        "def helper():\n    time.sleep(0.5)\n"
    )
    server = run(server=kit.SERVER + block)
    server.wait_for("serves at")
    kit.ask(server.port, "/slow?s=0.4")
    assert "blocked" not in server.output
    kit.ask(server.port, "/block")
    server.wait_for("the event loop is blocked for ")
    server.wait_for("in helper")
    assert "ms by block (" in server.output
    kit.ask(server.port, "/block")  # so soon after, it is only counted
    assert server.output.count("the event loop is blocked") == 1


def test_changed_code_is_served_soon(run: Run, kit: Any, tmp_path: Path) -> None:
    """With --reload; what does not start is shown with its place and waited with, from the first
    start on, and who asks meanwhile gets his answer from the code that works again."""
    server = run("--reload", server="def broken(:\n")
    server.wait_for("server.py:1: SyntaxError: invalid syntax: waiting for a change")
    path = tmp_path / "server.py"
    path.write_text(_ANSWER + "@app.before_server_start\ndef never(app): raise OSError('gone')\n")
    server.wait_for("OSError: gone (server.py:")
    path.write_text("GREETING = 'first'\n" + _ANSWER)
    server.wait_for("serves at")

    def serves(text: bytes) -> bool:
        answer: bytes = kit.ask(server.port)
        return answer.endswith(b'"data":"' + text + b'"}')

    assert serves(b"first")
    path.write_text("GREETING = 'second'\n" + _ANSWER)
    kit.wait_until(lambda: serves(b"second"))
    path.write_text("\nraise SystemExit('no key')\n")
    server.wait_for("server.py:2: SystemExit: no key: waiting for a change")
    path.write_text("GREETING = 'third'\n" + _ANSWER)
    kit.wait_until(lambda: serves(b"third"))
    server.signal(signal.SIGINT)
    assert server.end() == 0


_ANSWER = """
from sanic_ms import Service
app = Service("tiny")

@app.get("/")
async def root(request):
    return GREETING
"""


def test_files_are_compared_by_their_times(tmp_path: Path) -> None:
    """Python files and settings, new and removed ones too; nothing of caches and environments."""
    for name in ("a.py", "venv/b.py", ".git/c.py", "env/pyvenv.cfg", "env/d.py", "note.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    files = Files([tmp_path])
    assert files.changed() == ""
    for name in ("venv/b.py", ".git/c.py", "env/d.py", "note.txt"):
        os.utime(tmp_path / name, (1, 1))
    assert files.changed() == ""
    os.utime(tmp_path / "a.py", (1, 1))
    (tmp_path / ".env").write_text("PORT=1\n")
    assert files.changed() == f"{tmp_path}/.env and 1 others changed"
    (tmp_path / "a.py").unlink()
    assert files.changed() == f"{tmp_path}/a.py changed"
    (tmp_path / "sanic-ms.toml").write_text("port = 1\n")
    assert files.changed() == f"{tmp_path}/sanic-ms.toml changed"
    assert files.changed() == ""


@pytest.mark.parametrize(
    ("files", "cpus"),
    [
        ({}, None),
        ({"sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
        ({"sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1),
        ({"sys/fs/cgroup/cpu.max": "50000 100000\n"}, 1),
        (
            {"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/cpu.max": "100000 100000\n"},
            1,
        ),
        (
            {
                "proc/self/cgroup": "4:cpu,cpuacct:/x\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "100000\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            1,
        ),
        (
            {
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            None,
        ),
    ],
)
def test_workers_auto_counts_what_the_container_may_use(
    tmp_path: Path, files: dict[str, str], cpus: int | None
) -> None:
    """The quota of either kind of control group, and the processors that the process may run on."""
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert usable_cpus(tmp_path) == (len(os.sched_getaffinity(0)) if cpus is None else cpus)


def _peer(port: int) -> bytes:
    with (
        socket.create_connection(("127.0.0.1", port), 20) as raw,
        trusting().wrap_socket(raw) as client,
    ):
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200")
        return client.getpeercert(binary_form=True) or b""


# So that a certificate of one day is expired there.
_TWO_DAYS_LATER = "import time\nreal = time.time\ntime.time = lambda: real() + 2 * 86400\n"


def test_a_new_certificate_is_used_without_a_restart(run: Run, kit: Any, tmp_path: Path) -> None:
    """New connections get it; a broken file is said in the log, and changes nothing. An expired one
    is named at the start, and served."""
    cert, key = make_certificate(tmp_path, "first")
    server = run("--cert", cert, "--key", key, server=_TWO_DAYS_LATER + kit.SERVER)
    server.wait_for("serves at https://")
    assert f"TLS_CERT={cert!r} has expired on " in server.output
    first = _peer(server.port)
    Path(cert).write_text("broken")
    server.wait_for("the old certificate stays")
    assert _peer(server.port) == first
    time.sleep(0.01)  # for another time of change
    make_certificate(tmp_path, "second", days=4)
    kit.wait_until(lambda: _peer(server.port) != first)
    server.signal()
    assert server.end() == 0
    assert server.output.count("has expired on") == 1


def test_an_encrypted_key_is_opened_by_its_pass_phrase_and_nobody_is_asked(
    run: Run, kit: Any, tmp_path: Path
) -> None:
    """At the start, and when the files change. Without it, or with another, one line says so."""
    cert, key = make_certificate(tmp_path, "first", password="hunter2")
    server = run("--cert", cert, "--key", key, TLS_KEY_PASSWORD="hunter2")
    server.wait_for("serves at https://")
    assert "hunter2" not in server.output
    first = _peer(server.port)
    make_certificate(tmp_path, "second", password="hunter2")
    kit.wait_until(lambda: _peer(server.port) != first)
    for password in (None, ""):
        with pytest.raises(ConfigError, match=f"^TLS_KEY='{key}' is encrypted: set TLS_KEY_PASSWO"):
            Certificate(cert, key, password)
    for password in ("wrong", "x" * 1025):
        with pytest.raises(ConfigError, match=f"^TLS_KEY='{key}' is not opened by TLS_KEY_PASSWOR"):
            Certificate(cert, key, password)
    (tmp_path / "other").mkdir()
    _, other = make_certificate(tmp_path / "other", "other", password="hunter2")
    with pytest.raises(ConfigError, match=r"cannot be used: .*mismatch"):
        Certificate(cert, other, "hunter2")


def test_a_certificate_out_of_its_time_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With file and date, once: when it expires while it is served, and when the files change to
    one that is not valid yet. A valid one is silent."""
    cert, key = make_certificate(tmp_path, "short")
    certificate = Certificate(cert, key)
    made = time.time()
    day = datetime.fromtimestamp(made + 86400, UTC).strftime("%Y-%m-%d %H:")
    assert certificate.problem() == ""
    assert certificate.shown.startswith(f"{cert}, valid until {day[:10]}")
    certificate.refresh()
    assert caplog.messages == []
    monkeypatch.setattr("sanic_ms.server.process.tls.time.time", lambda: made + 90_000)
    certificate.refresh()
    certificate.refresh()
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith(f"TLS_CERT={cert!r} has expired on {day[:10]}")
    monkeypatch.setattr("sanic_ms.server.process.tls.time.time", lambda: made - 3600)
    os.utime(cert, (1, 1))
    certificate.refresh()
    assert f"TLS_CERT={cert!r} is not valid before " in caplog.messages[-1]


def _tlv(tag: int, content: bytes) -> bytes:
    length = len(content)
    size = bytes([length]) if length < 128 else bytes([0x82, *length.to_bytes(2, "big")])
    return bytes([tag]) + size + content


def _pem(begin: tuple[int, bytes], end: tuple[int, bytes], *, version: bool = True) -> str:
    """As much of a certificate as is read, with an issuer longer than 127 bytes."""
    parts = [_tlv(0xA0, b"\x02\x01\x02")] if version else []
    parts += [_tlv(0x02, b"\x01"), _tlv(0x30, b""), _tlv(0x30, b"x" * 300)]
    parts += [_tlv(0x30, _tlv(*begin) + _tlv(*end)), _tlv(0x30, b"rest")]
    return ssl.DER_cert_to_PEM_cert(_tlv(0x30, _tlv(0x30, b"".join(parts))))


def test_the_times_of_a_certificate_are_read() -> None:
    """Both forms of a date, with and without a version; of a chain the narrowest. What is none is
    a ValueError."""
    old, late = (0x17, b"500101000000Z"), (0x17, b"491231235959Z")
    assert read_validity(_pem(old, late)) == (-631152000, 2524607999)
    new = _pem((0x18, b"20500101000000Z"), (0x18, b"20510101000000Z"), version=False)
    assert read_validity(new) == (2524608000, 2556144000)
    assert read_validity("text\n" + _pem(old, late) + new) == (2524608000, 2524607999)
    for wrong in (
        "",
        "-----END CERTIFICATE-----",
        _pem((0x17, b"x"), late),
        _pem(old, (0x17, b"")),
    ):
        with pytest.raises(ValueError, match=r".+"):
            read_validity(wrong)
    with pytest.raises(ValueError, match="too early"):
        read_validity(ssl.DER_cert_to_PEM_cert(b"\x30\x10\x30"))


def test_a_certificate_that_cannot_be_used_says_why(tmp_path: Path) -> None:
    """One line, with the setting that names it."""
    with pytest.raises(ConfigError, match="TLS_CERT='/no/cert' cannot be read: No such file"):
        Certificate("/no/cert", "/no/key")
    for name in ("cert", "key"):
        (tmp_path / name).write_text("nothing")
    with pytest.raises(ConfigError, match=f"TLS_CERT='{tmp_path}/cert' and TLS_KEY=.* cannot be"):
        Certificate(str(tmp_path / "cert"), str(tmp_path / "key"))
