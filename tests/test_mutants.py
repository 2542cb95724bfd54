"""``make mutants``: which mutations it makes, and that it finds those that no test notices."""

from __future__ import annotations

import argparse
import base64
import hashlib
import importlib.util
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / ".ci"


def script(name: str) -> ModuleType:
    """A module of the folder of scripts."""
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # a dataclass looks there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def mutations() -> Iterator[Any]:
    """What makes the mutations."""
    yield script("mutations").mutations
    del sys.modules["mutations"]


@pytest.fixture(scope="module")
def mutants() -> Iterator[Any]:
    """What runs them."""
    yield script("mutants")
    del sys.modules["mutants"]


def changed(mutations: Any, code: str) -> set[str]:
    """The changed lines of all mutations."""
    made = [mutation for mutation in mutations(Path("a.py"), code) if mutation.is_valid()]
    lines = [line for one in made for line in one.shown().splitlines()]
    return {line[3:].replace(", )", ")") for line in lines if line.startswith("  +")}


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        ("if size < limit: go()", {"if size <= limit: go()", "if size < limit: pass"}),
        ("MOST = 5", {"MOST = 6", "MOST = None"}),
        ("if ready: x", {"if not (ready): x"}),
        ("while a or b: x", {"while not (a or b): x", "while a and b: x"}),
        ("self.release()", {"pass"}),
        ("await pool.close()", {"pass"}),
        (
            "try:\n    x\nexcept OSError as exc:\n    y = 1",
            {"    raise", "    y = 2", "    y = None"},
        ),
        (
            "class A:\n    @property\n    def x(self): return self.y is None",
            {"    def x(self): return self.y is not None"},
        ),
        (
            "x = a if b else c",
            {"x = None", "x = a if (b) and False else c", "x = a if (b) or True else c"},
        ),
        (
            "send(name, size)",
            {"pass", "send(None, size)", "send(name, None)", "send(size)", "send(name)"},
        ),
        (
            'if kind == "close": x',
            {'if kind != "close": x', 'if kind == "XXcloseXX": x', 'if kind == "CLOSE": x'},
        ),
    ],
)
def test_small_mistakes_are_made(mutations: Any, code: str, lines: set[str]) -> None:
    """Towards limits, ends and error paths, at module level and in decorated functions as well."""
    assert changed(mutations, code) == lines


@pytest.mark.parametrize(
    "code",
    [
        '"""Text."""',
        "x: int | None",
        "def f(a: int | str = b) -> list[int] | None: ...",
        "from a import b",
        '__all__ = ["a", "b"]',
        '__slots__ = ("a", "b")',
        'log = logging.getLogger("a")',
        'log.info("%d rows", rows + 1)',
        "if TYPE_CHECKING:\n    x = 1",
        '@deco(1, flag=True)\nclass A:\n    "Text."',
        'raise TypeError(f"no {a + 1} there")',
        'T = TypeVar("T")',
    ],
)
def test_what_no_test_should_notice_is_left_alone(mutations: Any, code: str) -> None:
    """Annotations, docstrings, texts for people, log lines, exports."""
    assert changed(mutations, code) - {"T = None"} == set()


def test_a_mistake_is_placed_in_its_statement(mutations: Any) -> None:
    """The line is where the change is; the statement is what coverage counts."""
    code = "def f():\n    return g(\n        1,\n        not x,\n    )\n\n\nif a:\n    b = 1\n"
    code += "elif c:\n    d = 2\n"
    places = {(one.line, one.statement) for one in mutations(Path("a.py"), code)}
    assert places == {(2, 2), (3, 2), (4, 2), (8, 8), (9, 9), (10, 10), (11, 11)}


def test_a_sample_is_spread_over_lines_and_can_be_repeated(mutants: Any, mutations: Any) -> None:
    """No line twice, a seed gives the same again, and no more than there is."""
    code = "".join(f"x{n} = call(a, b, c, d, e, f, n < {n})\n" for n in range(40))
    every = mutations(Path("a.py"), code)

    def drawn(number: int, seed: int) -> list[tuple[int, str]]:
        found = mutants.sample(every, number, random.Random(seed))
        return [(one.line, one.shown()) for one in found]

    assert drawn(20, 1) == drawn(20, 1) != drawn(20, 2)
    assert len({line for line, _ in drawn(30, 1)}) == 30
    assert len(drawn(100, 1)) == 40
    assert sum(" <= " in shown for _, shown in drawn(40, 1)) >= 5


@pytest.mark.parametrize(
    ("module", "tests"),
    [
        ("client/transport/pool.py", ["tests/client"]),
        ("server/http1/head.py", ["tests/wire"]),
        ("server/process/worker.py", ["tests/server/process"]),
        ("exception.py", ["tests/test_exception.py"]),
        ("nothing/here.py", []),
    ],
)
def test_the_tests_of_a_module_are_those_of_its_package(
    mutants: Any, module: str, tests: list[str]
) -> None:
    """As tests mirror packages."""
    assert mutants.tests_of(mutants.SOURCE / module, ROOT) == tests


def test_some_packages_are_tested_by_tests_of_others_as_well(mutants: Any) -> None:
    """Those that hardly do anything without a service around them."""

    def elsewhere(module: str) -> Any:
        return mutants.tests_elsewhere(mutants.SOURCE / module, ROOT)

    assert "tests/service" in elsewhere("http/routes.py")
    assert "tests/wire/test_access_log.py" in elsewhere("telemetry/logging/access.py")
    assert elsewhere("values/page.py") == elsewhere("exception.py") == []
    named = [name for names in mutants.ELSEWHERE.values() for name in names]
    assert all((ROOT / name).exists() for name in named)


def test_a_line_that_is_named_is_tried_with_all_its_mutations(mutants: Any) -> None:
    """To repeat a survivor with its neighbours; other modules have their sample as well. A line in
    which nothing can be changed is an error that names it."""
    page, route = (mutants.SOURCE / "values" / name for name in ("page.py", "route.py"))
    lines = mutants.modules_in([f"{page}:7", str(route), f"{page}:3"], ROOT)
    assert lines == {page: {3, 7}, route: set()}

    def every(code: str) -> list[Any]:
        made = script("mutations").mutations
        return [*made(page, code), *made(route, "a = 1\nb = 2\nc = 3\n")]

    options = argparse.Namespace(number=2, seed=1)
    code = "\n\nif a < b: c()\n\n\n\nx = 1\ny = 2\n"
    found = [(one.path, one.line) for one in mutants.chosen(every(code), lines, options)]
    assert {place for place in found if place[0] == page} == {(page, 3), (page, 7)}
    assert found.count((page, 3)) >= 2
    assert found.count((page, 7)) == 2
    assert len([place for place in found if place[0] == route]) == 2
    with pytest.raises(SystemExit, match=rf"no mutation could be made in {page}:7"):
        mutants.chosen(every("\n\na = 1\n"), lines, options)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (
            "x\nFAILED tests/a.py::test_b[c d] - assert 1 == 2\n1 failed",
            " by tests/a.py::test_b[c d]",
        ),
        ("ERROR tests/a.py::test_b\n", " by tests/a.py::test_b"),
        ("ERROR    a:a.py:1 b\nFAILED tests/a.py::test_b\n", " by tests/a.py::test_b"),
        ("Killed", ""),
    ],
    ids=["failed", "error", "log", "none"],
)
def test_the_test_that_kills_is_named(mutants: Any, tmp_path: Path, text: str, name: str) -> None:
    """So that one that fails for another reason shows."""
    (tmp_path / "output.txt").write_text(text)
    assert mutants.by(tmp_path / "output.txt") == name


NEAR, OTHER = ["tests/a/x.py::near"], ["tests/a/x.py::other"]
FAR, NOT_RUN = ["tests/ab/x.py::far"], ["tests/ab/x.py::not_run"]


@pytest.mark.parametrize(
    ("results", "how", "runs"),
    [
        ([1], "killed", [NEAR]),
        ([None], "timed out", [NEAR]),
        ([0, 1], "killed", [NEAR, FAR]),
        ([0, 0, 1], "killed", [NEAR, FAR, OTHER]),
        ([0, 0, 0], "", [NEAR, FAR, OTHER]),
        ([0, 0, None], "", [NEAR, FAR, OTHER]),
    ],
)
def test_those_that_run_the_line_come_first(
    mutants: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    results: list[int | None],
    how: str,
    runs: list[list[str]],
) -> None:
    """Then the others of the package, of which only so many are run as a minute takes; no more than
    is needed to kill it. The file is what it was."""
    module = tmp_path / "module.py"
    module.write_text("x = 1\n")
    every = script("mutations").mutations(module, "x = 1\n")
    (mutation,) = [one for one in every if "None" in one.code()]
    reached = {(str(module), 1): {*NEAR, *FAR, ""}}
    known = mutants.Baseline(dict.fromkeys([*NEAR, *OTHER, *FAR, *NOT_RUN], 20.0), {}, reached)
    seen: list[tuple[list[str], float, str]] = []

    def forked(work: Callable[[], int], output: Path, limit: float) -> int | None:
        output.write_text("")
        work()
        seen[-1] = (seen[-1][0], limit, module.read_text())
        return results[len(seen) - 1]

    monkeypatch.setattr(mutants, "run", lambda tests, known: seen.append((tests, 0.0, "")))
    monkeypatch.setattr(mutants, "forked", forked)
    output = tmp_path / "output.txt"
    assert mutants.killed(mutation, known, ["tests/a"], output, float("inf")) == how
    assert [tests for tests, _, _ in seen] == runs
    assert [limit for _, limit, _ in seen] == [100.0, 100.0, 60.0][: len(runs)]
    assert {text for _, _, text in seen} == {"x = None\n"}
    assert module.read_text() == "x = 1\n"


def test_a_constant_is_run_by_all_that_run_its_module(mutants: Any, mutations: Any) -> None:
    """What is run at import is used by the other lines of the module."""
    reached = {
        ("a.py", 1): {""},
        ("a.py", 3): {"", "t.py::f"},
        ("a.py", 4): {"t.py::g"},
        ("b.py", 1): {"", "t.py::h"},
    }
    known = mutants.Baseline({}, {}, reached)
    every = mutations(Path("a.py"), "x = 1\n\ny = 2\nz = 3\nw = 4\n")
    tests = {one.line: known.of(one) for one in every}
    everything = {"", "t.py::f", "t.py::g"}
    assert tests == {1: everything, 3: {"", "t.py::f"}, 4: {"t.py::g"}, 5: set()}


def test_a_process_that_a_test_starts_counts_for_it(mutants: Any, tmp_path: Path) -> None:
    """What runs in it is run by that test; before the first test, by none."""
    (tmp_path / "context.py").write_text(mutants.CONTEXT)
    ask = "import context, os; print(os.environ.get('COVERAGE_PROCESS_CONFIG', ''))"

    def context(**variables: str) -> str:
        environment = {"PYTHONPATH": str(tmp_path), **variables}
        command = [sys.executable, "-S", "-c", ask]
        return subprocess.check_output(command, env=environment, text=True).strip()

    settings = base64.b64encode(b'{"context": null, "branch": true}').decode()
    test = {"PYTEST_CURRENT_TEST": "tests/test_a.py::test_b[c d] (call)"}
    changed = context(COVERAGE_PROCESS_CONFIG=settings, **test)
    assert json.loads(base64.b64decode(changed)) == {
        "context": "tests/test_a.py::test_b[c d]",
        "branch": True,
    }
    assert context(COVERAGE_PROCESS_CONFIG=settings) == settings
    assert context(**test) == ""


def test_a_condition_over_several_lines_is_run_by_those_that_run_a_line_of_it(
    mutants: Any, mutations: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python names another line of it than the first."""
    monkeypatch.chdir(tmp_path)
    code = (
        "def f(a, b):\n    if (\n        a\n        or b\n    ):\n        return 1\n    return 2\n"
    )
    Path("module.py").write_text(code)
    run = "import module; module.f(0, 1)"
    command = [sys.executable, "-m", "coverage", "run", "--source=.", "--context=t.py::f[x]"]
    Path("run.py").write_text(run)
    environment = {name: text for name, text in os.environ.items() if "COV" not in name}
    subprocess.run([*command, "run.py"], check=True, env=environment)
    reached = mutants.reached_lines([Path("module.py")])
    assert reached == {("module.py", line): {"t.py::f"} for line in (1, 2, 6)}
    known = mutants.Baseline({}, {}, reached)
    found = [(one.line, one.shown(), known.of(one)) for one in mutations(Path("module.py"), code)]
    conditions = [tests for line, _, tests in found if line in (2, 3, 4)]
    assert len(conditions) >= 2
    assert set(map(frozenset, conditions)) == {frozenset({"t.py::f"})}


@pytest.mark.parametrize("path", ["tests", "src/sanic_ms/nothing", "README.md", "/etc"])
def test_only_modules_of_the_package_are_taken(mutants: Any, path: str) -> None:
    """A path that has none of them is an error that names it."""
    with pytest.raises(SystemExit, match=re.escape(path)):
        mutants.modules_in([path], ROOT)


def test_a_run_lists_what_no_test_notices_and_leaves_the_work_tree_as_it_was() -> None:
    """With one test that looks at one thing, most mutations survive; the file is what it was."""
    module = ROOT / "src" / "sanic_ms" / "values" / "page.py"
    before = hashlib.sha256(module.read_bytes()).hexdigest()
    test = "tests/values/test_page.py::test_pages_are_counted_up"
    command = [sys.executable, ".ci/mutants.py", str(module.relative_to(ROOT)), "--seed", "3"]
    done = subprocess.run(
        [*command, "--number", "6", "--tests", test],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("6 of ")
    assert lines[0].endswith("SEED=3")
    assert all(test in line for line in lines if line.startswith("killed  "))
    survivors = {line.split()[1] for line in lines if line.startswith("survived")}
    listed = {line.partition(": ")[0] for line in lines if line.startswith("src/")}
    assert survivors == listed != set()
    assert re.fullmatch(rf"killed {6 - len(survivors)} of 6 \(\d+ %\)", lines[-1])
    assert hashlib.sha256(module.read_bytes()).hexdigest() == before


@pytest.mark.parametrize("where", ["copying", "baseline"])
def test_a_run_that_is_terminated_leaves_nothing(tmp_path: Path, where: str) -> None:
    """Neither its copy of the project nor a process, whenever it comes. It has said what it had."""
    command = [sys.executable, ".ci/mutants.py", "src/sanic_ms/values", "--tests", "tests/values"]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as running:
        assert running.stdout is not None
        try:
            if where == "copying":
                _wait_until(lambda: any(tmp_path.glob("mutants-*/*")))
            else:
                assert "mutations that could be made" in running.stdout.readline()
                _wait_until(lambda: any(tmp_path.glob("mutants-*/output.txt")))
            started = _descendants(running.pid)
            running.terminate()
            output, _ = running.communicate(timeout=60)
        finally:
            running.kill()
    assert running.returncode == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []
    assert started & _processes().keys() == set()
    if where == "baseline":
        assert len(started) >= 2
        assert "killed 0 of 0; it ended before 50 more" in output


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _processes() -> dict[int, int]:
    """All that run, each with the one that has started it."""
    table = subprocess.check_output(["ps", "-A", "-o", "pid=,ppid="], text=True)
    return {int(pid): int(parent) for pid, parent in map(str.split, table.splitlines())}


def _descendants(pid: int) -> set[int]:
    """The processes that a process has started, and those that they have."""
    children = {child for child, parent in _processes().items() if parent == pid}
    return children.union(*map(_descendants, children))
