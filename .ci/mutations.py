"""The small mistakes that could be made in a module, one at a time.

Most come from mutmut's list of operators; three of our own are towards error paths: a negated
condition, a call left out, an exception that is not handled. Left alone is what no test should have
to notice: annotations, docstrings, texts for people, log lines, names of exports.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators

__all__ = ["Mutation", "mutations"]

Operator = Callable[[Any], Iterable[cst.CSTNode]]

# Assigned to these: what a module exports and how it is laid out in memory.
_DECLARATIONS = frozenset(("__all__", "__slots__", "log"))
_LOGS = frozenset(("log", "logger", "logging", "warnings"))
_FOR_TYPES = frozenset(("cast", "NewType", "ParamSpec", "TypeVar"))
_STATEMENTS = (cst.SimpleStatementLine, cst.BaseCompoundStatement, cst.ExceptHandler)


@dataclass(frozen=True, eq=False)
class Mutation:
    """One change of one place.

    Attributes:
        path: The file.
        line: Of the piece of code that is changed.
        statement: The first line of the statement around it, by which coverage knows it.
    """

    path: Path
    line: int
    statement: int
    _module: cst.Module
    _node: cst.CSTNode
    _replacement: cst.CSTNode

    @property
    def kind(self) -> str:
        """What is changed: ``Call``, ``If``, …"""
        return type(self._node).__name__

    def code(self) -> str:
        """The whole file with the mutation in it."""
        changed = self._module.deep_replace(self._node, self._replacement)
        assert isinstance(changed, cst.Module)
        return changed.code

    def is_valid(self) -> bool:
        """Whether it is another program, and one that Python can compile."""
        code = self.code()
        try:
            compile(code, str(self.path), "exec")
        except (SyntaxError, ValueError):
            return False
        return code != self._module.code

    def shown(self) -> str:
        """The lines before (-) and after (+)."""
        before, after = self._module.code.splitlines(), self.code().splitlines()
        lines = list(difflib.unified_diff(before, after, lineterm="", n=0))[3:]
        return "\n".join(f"  {line}" for line in lines if not line.startswith("@@"))


def mutations(path: Path, code: str) -> list[Mutation]:
    """All mutations that can be made in a file, in the order of its lines."""
    wrapper = MetadataWrapper(cst.parse_module(code))
    visitor = _Visitor(path, wrapper.module)
    wrapper.visit(visitor)
    return visitor.found


class _Visitor(cst.CSTVisitor):
    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self, path: Path, module: cst.Module) -> None:
        super().__init__()
        self.found: list[Mutation] = []
        self._path = path
        self._module = module
        self._statements: list[int] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        if _is_left_alone(node):
            return False
        if isinstance(node, _STATEMENTS):
            self._statements.append(self._line(node))
        for replacement in _replacements(node):
            line = self._line(node)
            statement = self._statements[-1] if self._statements else line
            self.found.append(
                Mutation(self._path, line, statement, self._module, node, replacement)
            )
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        if isinstance(original_node, _STATEMENTS) and not _is_left_alone(original_node):
            self._statements.pop()

    def _line(self, node: cst.CSTNode) -> int:
        return int(self.get_metadata(PositionProvider, node).start.line)


# --- what is left alone --------------------------------------------------------------------------


def _is_left_alone(node: cst.CSTNode) -> bool:
    """Whether nothing in a piece of code is changed."""
    if isinstance(node, cst.Annotation | cst.Decorator | cst.Import | cst.ImportFrom):
        return True
    if isinstance(node, cst.SimpleStatementLine):
        return any(_is_declaration(part) for part in node.body)
    if isinstance(node, cst.If):
        return _name(node.test) == "TYPE_CHECKING"
    if isinstance(node, cst.Call):
        called = node.func
        if isinstance(called, cst.Attribute):
            return _name(called.value) in _LOGS
        return _name(called) in (*_FOR_TYPES, "isinstance", "len")
    return isinstance(node, cst.FormattedString) and _is_text(node)


def _is_declaration(statement: cst.BaseSmallStatement) -> bool:
    if isinstance(statement, cst.Expr):  # a docstring, or the three dots of a protocol
        return isinstance(statement.value, cst.BaseString | cst.Ellipsis)
    if isinstance(statement, cst.Assign):
        return any(_name(target.target) in _DECLARATIONS for target in statement.targets)
    return isinstance(statement, cst.AnnAssign) and _name(statement.target) in _DECLARATIONS


def _name(node: cst.CSTNode) -> str:
    return node.value if isinstance(node, cst.Name) else ""


def _is_text(node: cst.CSTNode) -> bool:
    """Whether it is for people: a name or a key of a protocol has no space in it."""
    if isinstance(node, cst.SimpleString):
        return " " in node.value
    if isinstance(node, cst.ConcatenatedString):
        return _is_text(node.left) or _is_text(node.right)
    if isinstance(node, cst.FormattedString):
        texts = (part for part in node.parts if isinstance(part, cst.FormattedStringText))
        return any(" " in part.value for part in texts)
    return False


# --- what is changed -----------------------------------------------------------------------------


def _replacements(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    if _is_text(node):
        return
    for type_, operator in (*mutation_operators, *_OPERATORS):
        if isinstance(node, type_):
            for replacement in operator(node):
                if not _changes_a_text(node, replacement):
                    yield replacement


def _changes_a_text(node: cst.CSTNode, replacement: cst.CSTNode) -> bool:
    """Whether a call has lost a text, or a text its value."""
    if isinstance(node, cst.Call) and isinstance(replacement, cst.Call):
        kept = {id(argument) for argument in replacement.args}
        return any(_is_text(part.value) for part in node.args if id(part) not in kept)
    if isinstance(node, cst.Assign | cst.AnnAssign):
        return node.value is not None and _is_text(node.value)
    return False


def _other_way_round(node: cst.If | cst.While) -> Iterator[cst.CSTNode]:
    """``if x`` becomes ``if not x``; where mutmut changes the condition already, nothing."""
    if not isinstance(node.test, cst.Comparison | cst.UnaryOperation):
        inner = node.test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
        negated = cst.UnaryOperation(cst.Not(whitespace_after=cst.SimpleWhitespace(" ")), inner)
        space = {"whitespace_before_test": cst.SimpleWhitespace(" ")}
        if isinstance(node, cst.While):
            space = {"whitespace_after_while": cst.SimpleWhitespace(" ")}
        yield node.with_changes(test=negated, **space)


def _forgotten(node: cst.Expr) -> Iterator[cst.CSTNode]:
    """``self.release()`` is not called."""
    value = node.value.expression if isinstance(node.value, cst.Await) else node.value
    if isinstance(value, cst.Call) and not _is_left_alone(value):
        yield cst.Pass()


def _not_handled(node: cst.ExceptHandler) -> Iterator[cst.CSTNode]:
    """``except OSError: …`` raises it again."""
    body = node.body.body
    first = body[0] if body else None
    if isinstance(first, cst.SimpleStatementLine) and isinstance(first.body[0], cst.Raise):
        return
    yield node.with_changes(
        body=cst.IndentedBlock([cst.SimpleStatementLine([cst.Raise()])]),
    )


_OPERATORS: list[tuple[type[cst.CSTNode], Operator]] = [
    (cst.If, _other_way_round),
    (cst.While, _other_way_round),
    (cst.Expr, _forgotten),
    (cst.ExceptHandler, _not_handled),
]
