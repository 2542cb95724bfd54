"""The folder that a master makes for its workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sanic_ms.telemetry.metrics import SharedFolder, worker_folder

VARIABLE = "SANIC_MS_METRICS_FOLDER"


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No master has made one."""
    monkeypatch.delenv(VARIABLE, raising=False)


def test_it_is_there_from_make_to_remove(tmp_path: Path) -> None:
    """For this user alone; workers find it by the environment; doing either twice is once."""
    folder = SharedFolder(tmp_path)
    assert worker_folder("shop") is None
    folder.make()
    folder.make()
    assert folder.path is not None
    assert folder.path.stat().st_mode & 0o777 == 0o700
    assert worker_folder("shop") == folder.path / "shop"
    folder.remove()
    folder.remove()
    assert list(tmp_path.iterdir()) == []
    assert worker_folder("shop") is None


def test_services_of_one_master_have_a_folder_each() -> None:
    """Whatever their names are."""
    assert worker_folder("a", "/given") == Path("/given/a")
    assert worker_folder("../b c", "/given") == Path("/given/___b_c")


def test_the_folder_of_a_killed_master_is_cleared_away(tmp_path: Path) -> None:
    """By the next one that starts; that of a living master stays."""
    code = (
        "import sys; from pathlib import Path; from sanic_ms.telemetry.metrics import SharedFolder;"
        "SharedFolder(Path(sys.argv[1])).make(); print('made', flush=True); sys.stdin.read()"
    )
    masters = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    try:
        for master in masters:
            assert master.stdout is not None
            assert master.stdout.readline() == b"made\n"
        (tmp_path / "sanic-ms-metrics-other").mkdir()  # of nobody that we know
        assert len(list(tmp_path.iterdir())) == 3
        os.kill(masters[0].pid, signal.SIGKILL)
        masters[0].wait()
        folder = SharedFolder(tmp_path)
        folder.make()
        assert len(list(tmp_path.iterdir())) == 3
        folder.remove()
        assert len(list(tmp_path.iterdir())) == 2
    finally:
        for master in masters:
            master.kill()
            master.communicate()


def test_without_a_folder_workers_count_alone_and_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A read-only system is no reason not to serve."""
    folder = SharedFolder(tmp_path / "absent")
    folder.make()
    assert "each worker shows its own alone" in caplog.text
    assert worker_folder("shop") is None
    folder.remove()
