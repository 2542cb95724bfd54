"""``sanic-ms tests``: which tests run, what is reported, and how it ends."""

from __future__ import annotations

import importlib
import io
import os
import subprocess
import sys
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import coverage
import pytest

from sanic_ms.cli import main
from sanic_ms.cli._errors import CommandError
from sanic_ms.cli.tests import _convert, _coverage_options, _Watcher, _write_coverage

PRICE = """\
class Price:
    # a comment

    def total(self, n):
        if n > 3:
            return n * 2
        return n


def unused():
    return 1
"""

PYTEST_STYLE = """\
from shop.price import Price


def test_total():
    assert Price().total(1) == 1
"""

UNITTEST_STYLE = """\
import unittest
from shop.price import Price


class Old(unittest.TestCase):
    def test_total(self):
        self.assertEqual(Price().total(2), 2)
"""

# Our own plugin is found as every project finds it; those that take seconds to import are not.
STRICT = """\
[pytest]
filterwarnings = error
asyncio_default_fixture_loop_scope = function
addopts = -p no:schemathesis -p no:hypothesispytest
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a test of either style, one of them in a file that only unittest finds."""
    folder = tmp_path / "project"
    for name, text in {
        "shop/__init__.py": "",
        "shop/price.py": PRICE,
        "tests/test_price.py": PYTEST_STYLE,
        "tests/testold.py": UNITTEST_STYLE,
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run ``python WORDS`` in the folder above the project, without this run's own plugins and
    without the measurement that these tests may be under."""

    def start(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if "COV" not in name}
        return subprocess.run(
            [sys.executable, *words],
            cwd=tmp_path,
            env={**kept, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return start


def names(report: Path) -> set[str]:
    """The tests in a JUnit report."""
    cases = ElementTree.parse(report).iter("testcase")
    return {f"{case.get('classname')}.{case.get('name')}" for case in cases}


BOTH = {"tests.test_price.test_total", "tests.testold.Old.test_total"}


def test_tests_of_both_styles_run_and_are_reported(run: Run, project: Path) -> None:
    """From any directory, also where warnings are errors; the report is of the usual form."""
    (project / "pytest.ini").write_text(STRICT)
    done = run("-m", "sanic_ms", "tests", "--dir", "project", PYTEST_DISABLE_PLUGIN_AUTOLOAD="")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
    assert names(project / "reports" / "junit.xml") == BOTH
    assert [path.name for path in (project / "reports").iterdir()] == ["junit.xml"]


def test_paths_choose_and_options_reach_pytest(run: Run, project: Path) -> None:
    """Paths are those of the project's folder; what follows ``--`` is pytest's."""
    words = ["--dir", "project", "--reports", "out/r", "tests", "--", "-k", "Old"]
    done = run("-m", "sanic_ms", "tests", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert names(project / "out" / "r" / "junit.xml") == {"tests.testold.Old.test_total"}


def test_coverage_is_reported_in_three_forms(run: Run, project: Path) -> None:
    """XML as coverage.py writes it, Clover, and pages; also of what pytest-xdist's workers run."""
    words = ["--dir", "project", "--coverage", "--", "-p", "pytest_cov", "-p", "xdist", "-n", "1"]
    done = run("-m", "sanic_ms", "tests", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
    assert "coverage: 82% (reports in reports)" in done.stdout
    reports = project / "reports"
    assert names(reports / "junit.xml") == BOTH
    assert (reports / "html" / "index.html").exists()
    lines = ElementTree.parse(reports / "coverage.xml").getroot()
    files = {found.get("filename") for found in lines.iter("class")}
    assert {"shop/price.py", "tests/testold.py"} <= files
    check_clover(ElementTree.parse(reports / "clover.xml").getroot(), project)


# The elements and attributes of OpenClover's clover.xsd, in its order.
CLASS_METRICS = {
    "complexity",
    "elements",
    "coveredelements",
    "conditionals",
    "coveredconditionals",
    "statements",
    "coveredstatements",
    "methods",
    "coveredmethods",
}
FILE_METRICS = CLASS_METRICS | {"classes", "loc", "ncloc"}
METRICS = {
    "class": CLASS_METRICS,
    "file": FILE_METRICS,
    "package": FILE_METRICS | {"files"},
    "project": FILE_METRICS | {"files", "packages"},
    "testproject": FILE_METRICS | {"files", "packages"},
}
CHILDREN = {
    "coverage": ["project", "testproject"],
    "project": ["metrics", "package"],
    "testproject": ["metrics", "package"],
    "package": ["metrics", "file"],
    "file": ["metrics", "class", "line"],
    "class": ["metrics"],
    "line": [],
    "metrics": [],
}
ATTRIBUTES = {
    "coverage": {"clover", "generated"},
    "project": {"name", "timestamp"},
    "testproject": {"name", "timestamp"},
    "package": {"name"},
    "file": {"name", "path"},
    "class": {"name"},
}
LINES = {
    "stmt": {"num", "type", "count"},
    "cond": {"num", "type", "truecount", "falsecount"},
    "method": {"num", "type", "count", "signature"},
}


def check_clover(root: ElementTree.Element, project: Path) -> None:
    """The report has the published form, and its numbers are those of the program."""
    for element in root.iter():
        order = [CHILDREN[element.tag].index(child.tag) for child in element]
        assert order == sorted(order)
        if element.tag == "line":
            assert set(element.attrib) == LINES[element.attrib["type"]]
        elif element.tag != "metrics":
            assert set(element.attrib) == ATTRIBUTES[element.tag]
            for metrics in element.findall("metrics"):
                assert set(metrics.attrib) == METRICS[element.tag]
                assert all(value.isdigit() for value in metrics.attrib.values())
    tests = [file.get("name") for file in root.findall("testproject//file")]
    assert tests == ["test_price.py", "testold.py"]
    (whole,) = root.findall("project/metrics")
    assert {name: int(value) for name, value in whole.attrib.items()} == {
        "statements": 7,
        "coveredstatements": 5,
        "conditionals": 2,
        "coveredconditionals": 1,
        "methods": 2,
        "coveredmethods": 1,
        "elements": 11,
        "coveredelements": 7,
        "complexity": 3,
        "loc": 11,
        "ncloc": 7,
        "classes": 2,
        "files": 2,
        "packages": 1,
    }
    (price,) = (file for file in root.iter("file") if file.get("name") == "price.py")
    assert price.get("path") == str(project / "shop" / "price.py")
    found = [{**line.attrib} for line in price.findall("line")]
    assert found[2:5] == [
        {"num": "4", "type": "stmt", "count": "1"},
        {"num": "5", "type": "cond", "truecount": "1", "falsecount": "0"},
        {"num": "5", "type": "stmt", "count": "1"},
    ]
    assert {"num": "10", "type": "method", "signature": "unused()", "count": "0"} in found


def forget_the_outer_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    """It tells the processes of these tests where its own settings are."""
    for name in list(os.environ):
        if "COV" in name:
            monkeypatch.delenv(name)


@pytest.fixture
def measured_project(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project, entered, after a measurement of its tests."""
    monkeypatch.chdir(project)
    monkeypatch.syspath_prepend(str(project))
    before = set(sys.modules)
    measured = coverage.Coverage(source=["."], branch=True, config_file=False, messages=False)
    with measured.collect():
        importlib.import_module("tests.test_price").test_total()
        old: Any = importlib.import_module("tests.testold")
        unittest.TextTestRunner(io.StringIO()).run(old.Old("test_total"))
    measured.save()
    for name in set(sys.modules) - before:
        del sys.modules[name]
    return project


def test_the_reports_of_a_measurement(
    measured_project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the whole command writes them, and the number that it prints."""
    reports = measured_project / "reports"
    reports.mkdir()
    _write_coverage(reports)
    assert capsys.readouterr().out == f"coverage: 82% (reports in {reports})\n"
    assert {path.name for path in reports.iterdir()} == {"clover.xml", "coverage.xml", "html"}
    check_clover(ElementTree.parse(reports / "clover.xml").getroot(), measured_project)


def test_a_report_that_is_there_is_converted(
    measured_project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the sources in their place the report is the one that a measurement itself gives."""
    (measured_project / "reports").mkdir()
    _write_coverage(measured_project / "reports")
    capsys.readouterr()
    (measured_project / "converted").mkdir()
    _convert(Path("reports/coverage.xml"), Path("converted"))
    assert capsys.readouterr().out == "converted/clover.xml: 4 files\n"
    direct, converted = (
        ElementTree.parse(measured_project / folder / "clover.xml").getroot()
        for folder in ("reports", "converted")
    )
    check_clover(converted, measured_project)
    for element in (*direct.iter(), *converted.iter()):
        element.attrib.pop("generated", None)
        element.attrib.pop("timestamp", None)
    assert ElementTree.tostring(converted) == ElementTree.tostring(direct)


# Two classes in one file, methods, a condition; the sources are elsewhere.
ELSEWHERE = """\
<?xml version="1.0"?>
<!DOCTYPE coverage SYSTEM "http://cobertura.sourceforge.net/xml/coverage-04.dtd">
<coverage line-rate="0.5" version="1">
  <sources><source>/nowhere</source></sources>
  <packages><package name="shop"><classes>
    <class name="A" filename="shop/A.java">
      <methods><method name="go"><lines><line number="3" hits="7"/></lines></method></methods>
      <lines>
        <line number="3" hits="7"/>
        <line number="4" hits="0" branch="true" condition-coverage="50% (1/2)"/>
      </lines>
    </class>
    <class name="A$B" filename="shop/A.java"><lines><line number="9" hits="0"/></lines></class>
  </classes></package></packages>
</coverage>
"""


def test_a_report_is_converted_without_its_sources(command: Run, tmp_path: Path) -> None:
    """Every line counts once; what only the sources tell is left out. Nothing is fetched."""
    (tmp_path / "there.xml").write_text(ELSEWHERE)
    done = command("tests", "--clover", "there.xml", "--reports", "out")
    assert (done.returncode, done.stdout, done.stderr) == (0, "out/clover.xml: 1 file\n", "")
    root = ElementTree.parse(tmp_path / "out" / "clover.xml").getroot()
    (file,) = root.iter("file")
    assert file.get("path") == "/nowhere/shop/A.java"
    assert [{**line.attrib} for line in file.findall("line")] == [
        {"num": "3", "type": "stmt", "count": "7"},
        {"num": "4", "type": "cond", "truecount": "1", "falsecount": "0"},
        {"num": "4", "type": "stmt", "count": "0"},
        {"num": "9", "type": "stmt", "count": "0"},
    ]
    (whole,) = root.findall("project/metrics")
    counts = {name: int(value) for name, value in whole.attrib.items()}
    assert (counts["statements"], counts["coveredstatements"], counts["methods"]) == (3, 1, 0)
    assert (counts["conditionals"], counts["loc"], counts["ncloc"]) == (2, 9, 3)


@pytest.mark.parametrize("source", ["print 1", "\0", "(" * 5000], ids=["old", "null", "deep"])
def test_a_source_that_is_no_python_leaves_its_lines(
    command: Run, tmp_path: Path, source: str
) -> None:
    """The report has the statements that ``coverage.xml`` names."""
    (tmp_path / "a.py").write_text(source)
    (tmp_path / "from.xml").write_text(LINE.format('<line number="1" hits="2"/>'))
    assert command("tests", "--clover", "from.xml").returncode == 0
    root = ElementTree.parse(tmp_path / "reports" / "clover.xml").getroot()
    assert [line.get("count") for line in root.iter("line")] == ["2"]


BOMB = """\
<!DOCTYPE coverage [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<coverage><sources><source>&b;</source></sources></coverage>
"""
LINE = '<coverage><packages><class filename="a.py"><lines>{}</lines></class></packages></coverage>'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "No such file or directory"),
        ("", "it is not XML: no element found: line 1, column 0"),
        ("lines: 3", "it is not XML: syntax error: line 1, column 0"),
        ("<coverage>", "it is not XML: no element found: line 1, column 10"),
        ("<report/>", "it holds no coverage: its root is <report>, not <coverage>"),
        ("<coverage/>", "it holds no coverage: no file is in it"),
        ('<coverage clover="4.5.0"/>', "it is a Clover report already"),
        (BOMB, "it declares entities, which no report needs"),
        (LINE.format('<line number="x" hits="1"/>'), "a <line> has number='x', which is no number"),
        (LINE.format('<line number="1"/>'), "a <line> has hits='', which is no number"),
    ],
    ids=["missing", "empty", "text", "half", "other", "none", "clover", "entities", "line", "hits"],
)
def test_what_is_no_report_is_one_line(
    command: Run, tmp_path: Path, text: str | None, reason: str
) -> None:
    """With exit code 2, and no report is written."""
    if text is not None:
        (tmp_path / "from.xml").write_text(text)
    done = command("tests", "--clover", "from.xml")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"sanic-ms: --clover from.xml: {reason}\n"
    assert not (tmp_path / "reports" / "clover.xml").exists()


@pytest.mark.parametrize("words", [["tests"], ["--coverage"], ["--", "-x"]], ids=" ".join)
def test_a_conversion_runs_no_tests(command: Run, words: list[str]) -> None:
    """What would be about them is a mistake."""
    done = command("tests", "--clover", "from.xml", *words)
    assert done.returncode == 2
    assert done.stderr.startswith("sanic-ms: --clover runs no tests: leave out")


def test_a_report_that_cannot_be_written_is_one_line(command: Run, tmp_path: Path) -> None:
    """With exit code 1: it was tried."""
    (tmp_path / "there.xml").write_text(ELSEWHERE)
    (tmp_path / "reports" / "clover.xml").mkdir(parents=True)
    done = command("tests", "--clover", "there.xml")
    assert (done.returncode, done.stderr) == (1, "sanic-ms: reports/clover.xml: Is a directory\n")


def test_a_measurement_of_nothing_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No traceback of coverage.py."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CommandError, match="no coverage reports: No data") as caught:
        _write_coverage(tmp_path / "reports")
    assert caught.value.exit_code == 1


@pytest.mark.parametrize(
    ("settings", "expected"),
    [("", "--cov=."), ("[run]\nsource = shop\n", "--cov")],
    ids=["none", "source"],
)
def test_a_project_says_itself_what_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: str, expected: str
) -> None:
    """Else it is everything below its folder."""
    forget_the_outer_measurement(monkeypatch)
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".coveragerc").write_text(settings)
    assert _coverage_options() == [expected, "--cov-branch", "--cov-report="]


def test_what_pytest_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Paths and options in their order; with an outer measurement ``--coverage`` adds nothing."""
    forget_the_outer_measurement(monkeypatch)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    told: list[str] = []

    def run(words: list[str], plugins: list[Any]) -> int:
        told[:] = words
        return 5

    monkeypatch.setattr(pytest, "main", run)
    monkeypatch.setattr("sanic_ms.cli.tests._is_measured", lambda: True)
    with pytest.raises(SystemExit) as info:
        main(["tests", "--coverage", "--reports", "out", "tests/unit", "--", "-k", "pool"])
    assert info.value.code == 5
    assert told[:2] == ["-p", "sanic_ms.cli._discovery"]
    assert told[-4:] == ["--junitxml=out/junit.xml", "tests/unit", "-k", "pool"]
    assert not [word for word in told if word.startswith("--cov")]
    assert "coverage is measured from outside already" in capsys.readouterr().err
    monkeypatch.setattr("sanic_ms.cli.tests._is_measured", lambda: False)
    with pytest.raises(SystemExit):
        main(["tests", "--coverage"])
    assert told[-3:] == ["--cov=.", "--cov-branch", "--cov-report="]


def test_under_coverage_run_nothing_is_measured_twice(run: Run, project: Path) -> None:
    """The outer measurement sees the tests; ``--coverage`` says what to do instead."""
    data = f"--data-file={project / 'outer'}"
    outer = ["-m", "coverage", "run", data, "--source", "project", "-m", "sanic_ms", "tests"]
    done = run(*outer, "--dir", "project", "--coverage", "--", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "sanic-ms: coverage is measured from outside already" in done.stderr
    assert names(project / "reports" / "junit.xml") == BOTH
    assert not (project / "reports" / "coverage.xml").exists()
    shown = run("-m", "coverage", "report", data)
    assert "price.py" in shown.stdout, shown.stdout + shown.stderr


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("def test_it():\n    assert False\n", 1),
        ("import nothing_like_it\n", 1),
        ("x = 1\n", 5),
        ("def test_it():\n    raise KeyboardInterrupt\n", 130),
    ],
    ids=["failed", "not importable", "no tests", "interrupted"],
)
def test_the_exit_code_says_how_it_ended(run: Run, tmp_path: Path, text: str, code: int) -> None:
    """Scripts tell a failure from a project without tests and from Ctrl+C; a report is there."""
    (tmp_path / "test_one.py").write_text(text)
    done = run("-m", "sanic_ms", "tests")
    assert done.returncode == code, done.stdout + done.stderr
    assert (tmp_path / "reports" / "junit.xml").exists()


def test_a_path_that_is_not_there_is_exit_code_2(run: Run, tmp_path: Path) -> None:
    """As every wrong command."""
    done = run("-m", "sanic_ms", "tests", "missing")
    assert done.returncode == 2
    assert "missing" in done.stderr


def test_reports_that_cannot_be_written_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Said before any test runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "taken").write_text("")
    with pytest.raises(SystemExit) as info:
        main(["tests", "--reports", "taken/x"])
    assert info.value.code == 2
    assert capsys.readouterr().err == "sanic-ms: --reports taken/x: Not a directory\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([""], "tests '': name a file or a folder, or nothing for all"),
        (["--reports", ""], "--reports '': name a folder"),
    ],
)
def test_an_empty_word_is_no_path(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A variable that is not set would choose everything, or write the reports here."""
    with pytest.raises(SystemExit) as info:
        main(["tests", *words])
    assert info.value.code == 2
    assert capsys.readouterr().err == f"sanic-ms: {message}\n"


def test_a_missing_library_names_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """pytest is no dependency of a service."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, "pytest", None)  # as an import of what is not there
    with pytest.raises(SystemExit) as info:
        main(["tests"])
    assert info.value.code == 2
    assert capsys.readouterr().err == (
        'sanic-ms: tests need pytest: pip install "sanic-ms[testing]"\n'
    )


@pytest.mark.parametrize(("given", "expected"), [(0, 0), (1, 1), (2, 1), (3, 1), (4, 2), (5, 5)])
def test_every_exit_code_of_pytest_has_one_of_ours(given: int, expected: int) -> None:
    """2 is a wrong command here, and a stopped collection there."""
    assert _Watcher().exit_code(given) == expected


def test_a_project_with_patterns_of_its_own_is_believed() -> None:
    """``python_files`` of its settings stays as it is."""
    from sanic_ms.cli._discovery import pytest_configure

    class Config:
        def __init__(self, *patterns: str) -> None:
            self.patterns = [*patterns]

        def getini(self, name: str) -> Any:
            return self.patterns

        def addinivalue_line(self, name: str, line: str) -> None:
            self.patterns.append(line)

    own, usual = Config("check_*.py"), Config("test_*.py", "*_test.py")
    pytest_configure(own)
    pytest_configure(usual)
    assert own.patterns == ["check_*.py"]
    assert usual.patterns == ["test_*.py", "*_test.py", "test*.py", "tests.py"]
