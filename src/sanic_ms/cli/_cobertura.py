"""Coverage that was written as XML before: in the form of Cobertura, as ``coverage xml`` and the
coverage tools of other languages write it.

The file may come from anywhere. Entities make XML dangerous to read, and no report has any: a file
that declares some is rejected. Nothing outside of the file is fetched.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.parsers import expat

from sanic_ms.cli._clover import CoveredFile

__all__ = ["read_cobertura"]

_CONDITIONS = re.compile(r"\((\d{1,9})/(\d{1,9})\)")


def read_cobertura(path: Path) -> list[CoveredFile]:
    """The files of a report, by their paths.

    Functions and lengths come from the source files, where these are still in their place.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not XML, or not a report of coverage. The text is one line.
    """
    root = _parse(path)
    if root.tag != "coverage":
        raise ValueError(f"it holds no coverage: its root is <{_short(root.tag)}>, not <coverage>")
    if root.get("clover") is not None:
        raise ValueError("it is a Clover report already")
    sources = [source.text or "" for source in root.iterfind("sources/source")]
    folders = [Path(text.strip() or ".") for text in sources]
    lines: dict[str, dict[int, ElementTree.Element]] = {}
    for element in root.iter("class"):
        name = element.get("filename")
        if name:
            # Several classes may stand in one file, and their methods repeat lines of theirs.
            known = lines.setdefault(name, {})
            for line in element.iter("line"):
                known.setdefault(_number(line, "number"), line)
    if not lines:
        raise ValueError("it holds no coverage: no file is in it")
    return [_covered(name, folders, lines[name]) for name in sorted(lines)]


def _covered(name: str, folders: list[Path], lines: dict[int, ElementTree.Element]) -> CoveredFile:
    places = [folder / name for folder in folders] or [Path(name)]
    path = next((place for place in places if place.is_file()), places[0])
    file = CoveredFile.at(path.absolute())
    for number, line in sorted(lines.items()):
        file.add_statement(number, _number(line, "hits"))
        conditions = _CONDITIONS.search(line.get("condition-coverage", ""))
        if line.get("branch") == "true" and conditions is not None:
            file.add_branch(number, exits=int(conditions[2]), taken=int(conditions[1]))
    file.counts.loc, file.counts.ncloc = max(lines, default=0), len(lines)
    if path.suffix == ".py":
        try:
            file.add_source(path.read_text(encoding="utf-8", errors="replace"))
        except (OSError, SyntaxError, ValueError, RecursionError):
            pass  # it is gone, or was written for another Python
    return file


def _number(line: ElementTree.Element, name: str) -> int:
    text = line.get(name, "")
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise ValueError(f"a <line> has {name}={_short(text)!r}, which is no number")
    return int(text)


def _parse(path: Path) -> ElementTree.Element:
    builder = ElementTree.TreeBuilder()
    parser = expat.ParserCreate()
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.EntityDeclHandler = _refuse
    try:
        with path.open("rb") as file:
            parser.ParseFile(file)
    except expat.ExpatError as exc:
        raise ValueError(f"it is not XML: {exc}") from None
    return builder.close()


def _refuse(*_: Any) -> None:
    raise ValueError("it declares entities, which no report needs")


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}…"
