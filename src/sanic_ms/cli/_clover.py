"""Coverage as a Clover report: what continuous integration of many kinds reads.

The form is that of OpenClover's schema, ``clover.xsd``: a project and its test project, packages,
files, a class for each file's module, and lines that are methods, statements or conditions.
"""

from __future__ import annotations

import ast
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from xml.etree import ElementTree

if TYPE_CHECKING:
    from coverage import Coverage

__all__ = ["CoverageCounts", "CoveredFile", "CoveredLine", "write_clover", "write_report"]

_TEST_FILE = re.compile(r"(^|/)(tests?/|tests?(_[^/]*)?\.py$|[^/]*_test\.py$|conftest\.py$)")


def write_clover(measured: Coverage, path: Path) -> None:
    """Write the report of data that were measured.

    Args:
        measured: With its data loaded.
        path: The file to write.

    Raises:
        CoverageException: a measured file cannot be read.
    """
    names = sorted(measured.get_data().measured_files())
    write_report([_read(measured, name) for name in names], path)


def write_report(files: Sequence[CoveredFile], path: Path) -> None:
    """Write the report of files whose lines are known.

    Args:
        files: In the order of the report; a package is where the first of its files is.
        path: The file to write.

    Raises:
        OSError: it cannot be written.
    """
    now = str(int(time.time()))
    report = ElementTree.Element("coverage", clover="4.5.0", generated=now)
    for element, are_tests in (("project", False), ("testproject", True)):
        chosen = [file for file in files if bool(_TEST_FILE.search(file.place)) is are_tests]
        if chosen or not are_tests:
            _add_project(report, element, Path.cwd().name, now, chosen)
    ElementTree.indent(report)
    ElementTree.ElementTree(report).write(path, encoding="utf-8", xml_declaration=True)


class CoveredLine(NamedTuple):
    """A line's number and its attributes."""

    number: int
    attributes: dict[str, str]


@dataclass
class CoverageCounts:
    """Numbers of a file or of several."""

    statements: int = 0
    coveredstatements: int = 0
    conditionals: int = 0
    coveredconditionals: int = 0
    methods: int = 0
    coveredmethods: int = 0
    loc: int = 0
    ncloc: int = 0

    def attributes(self, **more: int) -> dict[str, str]:
        """The attributes of ``metrics``; a class has no more than these, others have ``more``."""
        found = {name: value for name, value in vars(self).items() if "loc" not in name}
        elements = self.statements + self.conditionals + self.methods
        covered = self.coveredstatements + self.coveredconditionals + self.coveredmethods
        found |= {
            "elements": elements,
            "coveredelements": covered,
            "complexity": self.methods + self.conditionals // 2,
        }
        if more:
            found |= {"loc": self.loc, "ncloc": self.ncloc, **more}
        return {name: str(value) for name, value in found.items()}

    @staticmethod
    def sum(all_counts: Iterable[CoverageCounts]) -> CoverageCounts:
        total = CoverageCounts()
        for counts in all_counts:
            for name, value in vars(counts).items():
                setattr(total, name, getattr(total, name) + value)
        return total


@dataclass
class CoveredFile:
    """A measured file: its path, the path below the project's folder, and what was found."""

    path: Path
    place: str
    counts: CoverageCounts = field(default_factory=CoverageCounts)
    lines: list[CoveredLine] = field(default_factory=list)

    @classmethod
    def at(cls, path: Path) -> CoveredFile:
        """The file of a path, without lines."""
        root = Path.cwd()
        inside = path.is_relative_to(root)
        return cls(path, path.relative_to(root).as_posix() if inside else path.as_posix())

    def add_statement(self, number: int, count: int) -> None:
        """A line with code, and how often it ran."""
        self.counts.statements += 1
        self.counts.coveredstatements += count > 0
        self._add(number, {"type": "stmt", "count": str(count)})

    def add_branch(self, number: int, exits: int, taken: int) -> None:
        """A line with several ways on, and how many were taken."""
        # A branch has two sides in Clover. Of more (a match) the second stands for all others.
        sides = int(taken > 0), int(taken == exits)
        self.counts.conditionals += 2
        self.counts.coveredconditionals += sum(sides)
        true, false = map(str, sides)
        self._add(number, {"type": "cond", "truecount": true, "falsecount": false})

    def add_source(self, source: str) -> None:
        """The functions and the length of the file. The statements are to be known by now.

        Raises:
            SyntaxError: it is no Python.
        """
        run = {line.number for line in self.lines if int(line.attributes.get("count", "0"))}
        for function in _functions(source):
            body = range(function.body[0].lineno, (function.end_lineno or function.lineno) + 1)
            is_run = not run.isdisjoint(body)
            self.counts.methods += 1
            self.counts.coveredmethods += is_run
            attributes = {"type": "method", "signature": f"{function.name}()"}
            self._add(function.lineno, {**attributes, "count": str(int(is_run))})
        texts = [line.strip() for line in source.splitlines()]
        self.counts.loc = len(texts)
        self.counts.ncloc = sum(bool(text) and not text.startswith("#") for text in texts)

    def _add(self, number: int, attributes: dict[str, str]) -> None:
        self.lines.append(CoveredLine(number, attributes))

    @property
    def package(self) -> str:
        folder = Path(self.place).parent.as_posix()
        # As Clover calls what stands in no package.
        return "default-pkg" if folder == "." else folder.strip("/").replace("/", ".")


def _read(measured: Coverage, name: str) -> CoveredFile:
    file = CoveredFile.at(Path(name))
    _, statements, _, missing, _ = measured.analysis2(name)
    run = set(statements) - set(missing)
    for number in statements:
        file.add_statement(number, int(number in run))
    for number, (exits, taken) in measured.branch_stats(name).items():
        file.add_branch(number, exits, taken)
    file.add_source(file.path.read_text(encoding="utf-8", errors="replace"))
    return file


def _functions(source: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _add_project(
    report: ElementTree.Element, element: str, name: str, now: str, files: list[CoveredFile]
) -> None:
    packages: dict[str, list[CoveredFile]] = {}
    for file in files:
        packages.setdefault(file.package, []).append(file)
    project = ElementTree.SubElement(report, element, name=name, timestamp=now)
    _add_metrics(project, files, packages=len(packages), files=len(files))
    for package, inside in packages.items():
        parent = ElementTree.SubElement(project, "package", name=package)
        _add_metrics(parent, inside, files=len(inside))
        for file in inside:
            _add_file(parent, file)


def _add_metrics(parent: ElementTree.Element, inside: list[CoveredFile], **more: int) -> None:
    counts = CoverageCounts.sum(file.counts for file in inside)
    attributes = counts.attributes(classes=len(inside), **more)
    ElementTree.SubElement(parent, "metrics", attributes)


def _add_file(parent: ElementTree.Element, file: CoveredFile) -> None:
    element = ElementTree.SubElement(parent, "file", name=file.path.name, path=str(file.path))
    ElementTree.SubElement(element, "metrics", file.counts.attributes(classes=1))
    module = ElementTree.SubElement(element, "class", name=file.path.stem)
    ElementTree.SubElement(module, "metrics", file.counts.attributes())
    for line in sorted(file.lines, key=lambda line: (line.number, line.attributes["type"])):
        ElementTree.SubElement(element, "line", {"num": str(line.number), **line.attributes})
