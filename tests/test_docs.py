"""The pages of the documentation: what they show runs, and what they link to exists."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import re
import sys
import textwrap
import tomllib
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest
from sanic import Sanic

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*/*.md")])

FENCE = re.compile(r"^( *)(```+)([^\n`]*)\n(.*?)^\1\2 *$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")


class Block(NamedTuple):
    """A fenced block: the words behind its fence, its text, and the line of its first line."""

    info: list[str]
    text: str
    line: int

    @property
    def language(self) -> str:
        return self.info[0] if self.info else ""


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            match[3].split(),
            textwrap.dedent(match[4]),
            text.count("\n", 0, match.start(4)) + 1,
        )
        for match in FENCE.finditer(text)
    ]


def name_of(page: Path) -> str:
    """The page's path as the test's name."""
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_python_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ``python`` blocks of a page run one after the other in one module, in an empty folder.

    ``await`` may stand at the top level. Those marked ``no-run`` must compile.
    """
    monkeypatch.chdir(tmp_path)
    # A page may name its service as it likes, whatever other pages and tests did.
    monkeypatch.setattr(Sanic, "_app_registry", {})
    module = ModuleType("docs_page")
    # Annotations of classes are looked up in the module that defines them.
    monkeypatch.setitem(sys.modules, module.__name__, module)
    # The tour's server.py imports from its models.py, which stands on the same page.
    monkeypatch.setitem(sys.modules, "models", module)

    async def run() -> None:
        for block in blocks(page):
            if block.language != "python":
                continue
            code = compile(
                # Lines as in the page, so that a traceback shows where to look.
                "\n" * (block.line - 1) + block.text,
                str(page),
                "exec",
                flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
                dont_inherit=True,
            )
            if "no-run" in block.info:
                continue
            result = eval(code, vars(module))
            if inspect.iscoroutine(result):
                await result

    asyncio.run(run())


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_data_blocks_parse(page: Path) -> None:
    """``json`` and ``toml`` blocks are what they say."""
    readers = {"json": json.loads, "toml": tomllib.loads}
    for block in blocks(page):
        reader = readers.get(block.language)
        if reader is not None:
            try:
                reader(block.text)
            except ValueError as exc:
                pytest.fail(f"{name_of(page)}:{block.line}: {exc}")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_to_files_lead_somewhere(page: Path) -> None:
    """A link to another page or file of the project names one that exists."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    targets = [target for target in LINK.findall(text) if "://" not in target]
    missing = [
        target
        for target in targets
        if not target.startswith("mailto:") and not (page.parent / target).exists()
    ]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_fences_are_closed(page: Path) -> None:
    """A fence that is never closed would hide the rest of the page from these tests."""
    rest = FENCE.sub("", page.read_text(encoding="utf-8"))
    assert "```" not in rest
