"""Mutate modules, one small change at a time, and see whether the tests of their package notice.

Run by ``make mutants``. All of it happens in a copy of the project in a temporary folder, with an
environment around the one that the Makefile has made: what is imported there, also by processes
that tests start, is the copy, and its Python, as nothing is compiled in it.

The tests run once without a mutation. This shows which of them run which line, in their process or
in one that they start, and how long they take. Then, for each mutation, those that run its line are
run again: first those of its package, then those of other packages. Where these pass, the rest of
the package's tests follow for a minute: they may use what the line has made. Each run is a fork of
a process that has imported what is installed, so it costs little more than its tests.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import venv
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SOURCE = Path("src/sanic_ms")
NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venv*", ".*_cache", ".hypothesis", ".coverage*", "__pycache__", "*.so", "*.egg-info",
    "build", "dist", "reports",
)  # fmt: skip
# Tests that stand elsewhere than in the folder of the package's name.
OWN = {"server/http1": ["tests/wire"], "server/process": ["tests/server/process"]}
# Tests of other packages that test a package as well, through a whole service. Of these only those
# are run again that run the line, so that a survivor does not cost all of them.
ELSEWHERE = {
    "client": ["tests/resilience"],
    "http": ["tests/service", "tests/openapi", "tests/compat", "tests/e2e"],
    "migrations": [
        "tests/cli",
        *(f"tests/service/test_{name}.py" for name in ("required_tables", "safety")),
    ],
    "shapes": ["tests/http", "tests/openapi"],
    "telemetry": [
        "tests/test_loggers.py",
        *(f"tests/service/test_{name}.py" for name in ("logs", "metrics", "traces")),
        *(f"tests/wire/test_{name}.py" for name in ("access_log", "observation")),
    ],
}

PYTEST = ["-q", "-x", "--assert=plain", "--tb=short"]
PYTEST += ["-p", "no:cacheprovider", "-p", "no:randomly", "-p", "no:xdist"]
LEAST = 60.0  # seconds that the tests of one mutation may take, at least
TIMES = 5  # and how many times as long as they took without it
OTHERS = (
    60.0  # seconds for the tests of the package that do not run the line: a survivor costs them
)
NO_TESTS = 5  # the exit code of pytest where it has run none
PATIENCE = 15.0  # seconds in which interrupted tests may tidy up

# Imported at the start of each process in the copy: lines that run there count for the test that
# has started the process, as pytest leaves its name in the environment.
CONTEXT = """
import os

if (config := os.environ.get("COVERAGE_PROCESS_CONFIG")) and "PYTEST_CURRENT_TEST" in os.environ:
    import base64
    import json

    settings = json.loads(base64.b64decode(config))
    settings["context"] = os.environ["PYTEST_CURRENT_TEST"].rpartition(" ")[0]
    os.environ["COVERAGE_PROCESS_CONFIG"] = base64.b64encode(json.dumps(settings).encode()).decode()
"""


def tests_of(module: Path, root: Path) -> list[str]:
    """The tests of a module (``src/sanic_ms/…``): those of its package."""
    first, *_ = module.relative_to(SOURCE).with_suffix("").parts
    usual = [f"tests/{first}", f"tests/test_{first}.py"]
    names = OWN.get(str(module.parent.relative_to(SOURCE)), usual)
    return [name for name in names if (root / name).exists()]


def tests_elsewhere(module: Path, root: Path) -> list[str]:
    """The tests of other packages that test a module as well."""
    names = ELSEWHERE.get(module.relative_to(SOURCE).parts[0], [])
    return [name for name in names if (root / name).exists()]


def modules_in(paths: Sequence[str], root: Path) -> dict[Path, set[int]]:
    """The Python files that paths stand for, relative to the root, each with the lines that are
    named of it (``file.py:12``); no line stands for all.

    Raises:
        SystemExit: there is none.
    """
    found: dict[Path, set[int]] = {}
    for name in paths:
        file, line = re.fullmatch(r"(.+?)(?::(\d+))?", name, re.DOTALL).groups()
        path = (root / file).resolve()
        files = path.rglob("*.py") if path.is_dir() else [path]
        inside = [file for file in files if file.is_file() and (root / SOURCE) in file.parents]
        if not inside:
            raise SystemExit(f"error: no module of {SOURCE} in {name}")
        for module in inside:
            lines = found.setdefault(module.relative_to(root), set())
            lines |= {int(line)} if line else set()
    return dict(sorted(found.items()))


# --- the copy ------------------------------------------------------------------------------------


@contextlib.contextmanager
def copy_of_project() -> Iterator[tuple[Path, Path]]:
    """A copy of the project, and a Python that imports from it; both are gone afterwards."""

    def ignore(folder: str, names: list[str]) -> set[str]:
        return NOT_COPIED(folder, names) | {
            name for name in names if Path(folder, name) == Path(sys.prefix)
        }

    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = Path(folder, "project")
        shutil.copytree(ROOT, copy, ignore=ignore, symlinks=True)
        venv.create(Path(folder, "venv"), with_pip=False, symlinks=True)
        python = Path(folder, "venv", "bin", "python")
        ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
        outer = subprocess.check_output([sys.executable, "-c", ask], text=True).strip()
        inner = subprocess.check_output([python, "-c", ask], text=True).strip()
        # In this order: the first of two folders with a package is the one that counts.
        lines = [f"{copy / 'src'}", "import context", f"import site; site.addsitedir({outer!r})"]
        Path(inner, "context.py").write_text(CONTEXT)
        Path(inner, "copy.pth").write_text("\n".join(lines) + "\n")
        yield copy, python


# --- running tests -------------------------------------------------------------------------------


class Results:
    """A plugin of pytest: which tests passed, and how long each took, by its function."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.failed: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.seconds[function_of(report.nodeid)] += report.duration
        if report.failed:
            self.failed[report.nodeid] = last_line(report.longreprtext)


def last_line(text: str) -> str:
    """Of a failure's text: what was raised, and where."""
    return text.strip().rpartition("\n")[2][:200]


def is_within(test: str, name: str) -> bool:
    """Whether a test is one that a name stands for: of a folder, a file or a test."""
    return test == name or test.startswith((f"{name}/", f"{name}::"))


def function_of(test: str) -> str:
    """A test without the parameters in its id."""
    return test.partition("[")[0]


def forked(work: Callable[[], int], output: Path, limit: float) -> int | None:
    """What a function gives in a process of its own, which has imported all that this one has.

    Its output goes to a file. After ``limit`` seconds it is interrupted as by Ctrl+C, and ended if
    that does not help; None then.
    """
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            os.setsid()
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            null = os.open(os.devnull, os.O_RDONLY)
            for source, target in ((null, 0), (file, 1), (file, 2)):
                os.dup2(source, target)
            code = work()
        except BaseException:
            traceback.print_exc()
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
            os._exit(code)
    try:
        code = ended_within(pid, limit)
    except BaseException:  # the run is interrupted
        stop(pid)
        raise
    if code is None:
        stop(pid)
    return code


def ended_within(pid: int, limit: float) -> int | None:
    """The exit code of a child; None if it takes longer."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    return None


def stop(pid: int) -> None:
    """End a child, in good order if it lets us: tests end the processes that they have started."""
    os.kill(pid, signal.SIGINT)
    if ended_within(pid, PATIENCE) is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@dataclass
class Baseline:
    """What is known of the tests without a mutation.

    Attributes:
        seconds: How long each test takes, without its start.
        failed: Those that fail all the same, and are left out, with the reason.
        reached: The tests that run a line, by file and number; an empty text stands for what is run
            outside of a test.
    """

    seconds: dict[str, float]
    failed: dict[str, str]
    reached: dict[tuple[str, int], set[str]] = field(default_factory=dict)

    def of(self, mutation: Any) -> set[str]:
        """The tests that run what a mutation is in; of what is run at import alone, such as a
        constant, those that run anything of the module."""
        tests = self.reached.get((str(mutation.path), mutation.statement), set())
        if tests == {""}:
            lines = (
                found for (path, _), found in self.reached.items() if path == str(mutation.path)
            )
            tests = tests.union(*lines)
        return tests

    def limit(self, tests: Sequence[str]) -> float:
        """Seconds for some tests."""
        return max(LEAST, TIMES * sum(self.seconds[test] for test in tests))


def baseline(tests: list[str], modules: list[Path], output: Path, limit: float) -> Baseline:
    """Run the tests once as they are, and import here what they have imported.

    Raises:
        SystemExit: they cannot be run, or not in the time that there is.
    """
    notes = output.with_suffix(".json")
    options = [option for option in PYTEST if option != "-x"]
    # Folders: coverage would import a package to find it, and import what that imports once more.
    options += [f"--cov={folder}" for folder in sorted({module.parent for module in modules})]
    options += ["--cov-context=test", "--cov-report="]

    def work() -> int:
        import pytest

        results = Results()
        code = int(pytest.main([*options, *tests], plugins=[results]))
        imported = [name for name, module in list(sys.modules.items()) if is_foreign(module)]
        notes.write_text(json.dumps([results.seconds, results.failed, imported]))
        return code

    code = forked(work, output, limit)
    if code not in (0, 1):
        why = "take longer than MINUTES" if code is None else "cannot be run"
        raise SystemExit(f"{output.read_text()}\nerror: the tests {why}: {' '.join(tests)}")
    seconds, failed, imported = json.loads(notes.read_text())
    for name in imported:
        with contextlib.suppress(Exception):
            __import__(name)
    return Baseline(seconds, failed, reached_lines(modules))


def is_foreign(module: Any) -> bool:
    """Whether it is installed, and so without a mutation."""
    path = getattr(module, "__file__", None) or ""
    return "site-packages" in path


def reached_lines(modules: list[Path]) -> dict[tuple[str, int], set[str]]:
    """The functions of tests that run each statement, by its first line, as coverage has it."""
    from coverage import CoverageData
    from coverage.parser import PythonParser

    data = CoverageData(".coverage")
    data.read()
    reached: dict[tuple[str, int], set[str]] = defaultdict(set)
    for module in modules:
        parser = PythonParser(filename=str(module))
        parser.parse_source()
        for line, contexts in data.contexts_by_lineno(str(module.resolve())).items():
            tests = {function_of(context.partition("|")[0]) for context in contexts}
            # Python may name a later line of a condition that stands in several.
            reached[str(module), parser.first_line(line)] |= tests
    return dict(reached)


# --- the sample ----------------------------------------------------------------------------------


def sample(every: Sequence[Any], number: int, chance: random.Random) -> list[Any]:
    """So many mutations, each in another line: first a line is drawn, then a kind of change, then
    one of that kind. So a line with a long call counts no more than one with a comparison."""
    lines: dict[tuple[Path, int], list[Any]] = defaultdict(list)
    for mutation in every:
        lines[mutation.path, mutation.line].append(mutation)
    drawn = []
    for key in chance.sample(sorted(lines), len(lines)):
        if len(drawn) == number:
            break
        left = lines[key]
        while left:
            kind = chance.choice(sorted({mutation.kind for mutation in left}))
            mutation = chance.choice([mutation for mutation in left if mutation.kind == kind])
            if mutation.is_valid():
                drawn.append(mutation)
                break
            left.remove(mutation)
    return drawn


def chosen(every: Sequence[Any], lines: Mapping[Path, set[int]], options: Any) -> list[Any]:
    """The mutations to try: all of the lines that are named, and of the other modules a sample.

    Raises:
        SystemExit: there is no mutation in a line that is named.
    """
    named = [one for one in every if one.line in lines[one.path] and one.is_valid()]
    known = {(one.path, one.line) for one in named}
    for path, numbers in lines.items():
        for number in sorted(numbers):
            if (path, number) not in known:
                raise SystemExit(f"error: no mutation could be made in {path}:{number}")
    others = [one for one in every if not lines[one.path]]
    return named + sample(others, options.number, random.Random(options.seed))


# --- one mutation --------------------------------------------------------------------------------


class OutOfTime(Exception):
    """The run ended before the tests did."""


def killed(mutation: Any, known: Baseline, tests: list[str], output: Path, deadline: float) -> str:
    """How the tests kill a mutation; empty where it survives.

    Args:
        tests: Those of its package. Others that are known are run only if they run its line.

    Raises:
        OutOfTime: they were not through at the deadline.
    """
    reached = known.of(mutation)
    if not reached:
        return ""
    reaching = sorted(reached & known.seconds.keys())
    near = [test for test in reaching if any(is_within(test, name) for name in tests)]
    far = [test for test in reaching if test not in near]
    others = sorted(
        test
        for test in known.seconds.keys() - reached
        if any(is_within(test, name) for name in tests)
    )
    original = mutation.path.read_text()
    mutation.path.write_text(mutation.code())
    try:
        for chosen in filter(None, [near, far, others]):
            limit = OTHERS if chosen is others else known.limit(chosen)
            limit = min(limit, deadline - time.monotonic())
            code = forked(lambda chosen=chosen: run(chosen, known), output, limit)
            if code is None and time.monotonic() >= deadline:
                raise OutOfTime
            if code is None and chosen is others:
                return ""
            if code not in (0, NO_TESTS):
                return "timed out" if code is None else f"killed{by(output)}"
    finally:
        mutation.path.write_text(original)
    return ""


def by(output: Path) -> str:
    """The test that has failed, so that a failure for another reason shows."""
    found = re.search(
        r"^(?:FAILED|ERROR) (\S.*?)(?: - .*)?$", output.read_text(errors="replace"), re.MULTILINE
    )
    return f" by {found[1]}" if found else ""


def run(tests: Sequence[str], known: Baseline) -> int:
    """Run tests in this process."""
    import pytest

    left_out = [f"--deselect={test}" for test in known.failed]
    return int(pytest.main([*PYTEST, *left_out, *tests]))


# --- all of it -----------------------------------------------------------------------------------


def say(text: str) -> None:
    """Print a line now."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@dataclass
class Report:
    """Counts, and says what was not killed.

    Attributes:
        survivors: Mutations that were not killed, with the tests that ran their lines in words.
    """

    killed: int = 0
    survivors: list[tuple[Any, str]] = field(default_factory=list)

    def add(self, mutation: Any, how: str, reached: set[str], seconds: float) -> None:
        """One more, with a line that says so at once."""
        if how:
            self.killed += 1
        else:
            self.survivors.append((mutation, in_words(reached)))
        place = f"{mutation.path}:{mutation.line}"
        kind, _, test = (how or "survived").partition(" by ")
        say(f"{kind:<12} {place}  ({seconds:.1f} s)  {test}".rstrip())

    def end(self, wanted: int) -> None:
        """The survivors, with file and line, and the share."""
        tried = self.killed + len(self.survivors)
        for mutation, reached in sorted(self.survivors, key=lambda one: (one[0].path, one[0].line)):
            say(f"\n{mutation.path}:{mutation.line}: {reached}\n{mutation.shown()}")
        share = f" ({100 * self.killed / tried:.0f} %)" if tried else ""
        more = f"; it ended before {wanted - tried} more" if tried < wanted else ""
        say(f"\nkilled {self.killed} of {tried}{share}{more}")


def in_words(reached: set[str]) -> str:
    """Which tests run a line."""
    if not reached:
        return "no test runs this line"
    number = len(reached - {""})
    if not number:
        return "run at import, or in a process of no test; the tests pass"
    return f"{number} tests run this line, and pass"


def try_all(
    mutations: list[Any],
    tests: list[str],
    elsewhere: list[str],
    modules: list[Path],
    report: Report,
    output: Path,
    deadline: float,
) -> None:
    """Try the mutations of modules that have the same tests.

    Raises:
        OutOfTime: there is no time left.
    """
    every = [*tests, *elsewhere]
    known = baseline(every, modules, output, deadline - time.monotonic())
    say(f"{' '.join(every)}: {sum(known.seconds.values()):.0f} s without a mutation")
    for test, why in known.failed.items():
        say(f"fails without a mutation, and is left out: {test}: {why}")
    for mutation in mutations:
        begun = time.monotonic()
        if begun > deadline:
            raise OutOfTime
        how = killed(mutation, known, tests, output, deadline)
        report.add(mutation, how, known.of(mutation), time.monotonic() - begun)


def inside(options: argparse.Namespace) -> None:
    """In the copy, under the Python that imports from it."""
    sys.dont_write_bytecode = True
    os.environ.update(SANIC_MS_PURE="1", PYTHONDONTWRITEBYTECODE="1")
    # Both end the run in good order, also where a shell has it ignore Ctrl+C as it is in the
    # background.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    from mutations import mutations

    deadline = time.monotonic() + options.minutes * 60
    here = Path.cwd()
    output = here.parent / "output.txt"
    groups: dict[tuple[tuple[str, ...], tuple[str, ...]], list[Path]] = defaultdict(list)
    lines = modules_in(options.paths, here)
    for module in lines:
        tests = options.tests or tests_of(module, here)
        if not tests:
            raise SystemExit(f"error: there are no tests of {module}: name some with TESTS=")
        elsewhere = [] if options.tests else tests_elsewhere(module, here)
        groups[tuple(tests), tuple(elsewhere)].append(module)
    every = [one for group in groups.values() for m in group for one in mutations(m, m.read_text())]
    drawn = chosen(every, lines, options)
    say(f"{len(drawn)} of {len(every)} mutations that could be made; SEED={options.seed}")
    report = Report()
    with contextlib.suppress(KeyboardInterrupt, OutOfTime):
        for (tests, elsewhere), modules in groups.items():
            own = [mutation for mutation in drawn if mutation.path in modules]
            if own:
                try_all(own, list(tests), list(elsewhere), modules, report, output, deadline)
    report.end(len(drawn))


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("paths", nargs="+", help="modules, packages or file.py:12")
    parser.add_argument("--number", type=int, default=50, help="how many mutations to make")
    parser.add_argument("--minutes", type=float, default=60, help="begin none after these")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--tests", nargs="*", help="these tests, not those of the packages")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main() -> None:
    """Make the copy, and go on in it."""
    options = parsed(sys.argv[1:])
    if options.inside:
        inside(options)
        return
    modules_in(options.paths, ROOT)
    # So that the copy is removed, also while it is being made.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    with copy_of_project() as (copy, python):
        command = [python, copy / ".ci" / "mutants.py", "--inside", f"--seed={options.seed}"]
        running = subprocess.Popen([*command, *sys.argv[1:]], cwd=copy)
        # Ctrl+C reaches that process as well, which reports what it has, and ends.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            code = running.wait()
        finally:
            end(running)
    sys.exit(code)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process that still runs: it reports what it has, and ends what it has started."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # one is enough: what follows is not left out
    process.terminate()
    try:
        process.wait(2 * PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
