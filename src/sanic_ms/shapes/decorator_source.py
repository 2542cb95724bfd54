"""The source of a decorator, read for what it calls the handler with.

Done once, when the service starts, and only for handlers with parameters in question.
"""

from __future__ import annotations

import ast
import functools
import inspect
import linecache
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import CodeType, FunctionType, MethodType
from typing import Any

__all__ = ["DecoratorCall", "forget_sources", "read_decorator"]


@dataclass(slots=True)
class DecoratorCall:
    """What a decorator calls the handler with.

    Attributes:
        names: Names that it adds.
        positional: What it passes by position after the request: the name of a parameter of its
            own, or None for anything else.
        accepts: The names that it takes, None for any.
        requires: The names without which it cannot work: it passes them on, changed perhaps.
        others: It adds further ones.
        is_known: Its source shows a call of the handler.
    """

    names: set[str]
    positional: list[str | None]
    accepts: frozenset[str] | None = None
    requires: frozenset[str] = frozenset()
    others: bool = False
    is_known: bool = False


def read_decorator(
    function: FunctionType, instance: object, inner: Callable[..., Any], first: int
) -> DecoratorCall:
    """What a decorator calls the handler with. Where its source is missing, or does not show a call
    of the handler, nothing is known of it but its parameters.

    Args:
        function: What is called in the handler's place.
        instance: The object whose method that is, None where it is none.
        inner: The handler, as it stands in the decorator.
        first: The position, in a call of it, of the first argument after the request.
    """
    code = function.__code__
    node = _node_of(code)
    call = DecoratorCall(set(), [])
    if node is not None:
        call = _DecoratorReader(function, instance, inner, first).read(node)
    if not code.co_flags & inspect.CO_VARKEYWORDS:
        count = code.co_argcount + code.co_kwonlyargcount
        call.accepts = frozenset(code.co_varnames[:count])
    return call


_MISSING = object()


class _DecoratorReader:
    """Reads the source of one decorator.

    Args:
        function: The function that is called in the handler's place.
        instance: The object whose method that is, None where it is none.
        inner: What stands in the decorator.
        first: The position, in a call of it, of the first argument after the request.
    """

    def __init__(
        self, function: FunctionType, instance: object, inner: Callable[..., Any], first: int
    ) -> None:
        code = function.__code__
        positional = list(code.co_varnames[: code.co_argcount])
        self._instance_name = positional.pop(0) if instance is not None and positional else None
        self._instance = instance
        self._positional = positional
        count = code.co_argcount + code.co_kwonlyargcount
        self._own = {*positional, *code.co_varnames[code.co_argcount : count]}
        self._vararg = self._kwarg = None
        if code.co_flags & inspect.CO_VARARGS:
            self._vararg = code.co_varnames[count]
            count += 1
        if code.co_flags & inspect.CO_VARKEYWORDS:
            self._kwarg = code.co_varnames[count]
        self._locals = {*code.co_varnames, *code.co_cellvars}
        self._cells = _cells(function)
        self._globals = function.__globals__
        self._inner, self._first = inner, first
        # The names of dicts that are passed on as keywords, and of what is passed on by position.
        self._mappings = {self._kwarg} - {None}
        self._rest = {self._vararg} - {None}
        required = positional[: len(positional) - len(function.__defaults__ or ())]
        only = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
        required += [name for name in only if name not in (function.__kwdefaults__ or {})]
        self._call = DecoratorCall(set(), [], requires=frozenset(required))
        self._lines: dict[str, int] = {}  # where a name is first added

    def read(self, root: ast.AST) -> DecoratorCall:
        """What the decorator calls the handler with."""
        nodes = list(ast.walk(root))
        calls = [found for node in nodes if (found := self._handler_call(node)) is not None]
        self._call.is_known = bool(calls)
        for _, keywords in calls:
            values = (entry.value for entry in keywords if entry.arg is None)
            self._mappings |= {
                v.id for v in values if self._is_local(v) and isinstance(v, ast.Name)
            }
        for node in nodes:
            self._read_unpacking(node)
        for node in nodes:
            self._read_change(node)
        for arguments, keywords in calls:
            self._read_positional(arguments)
            self._read_keywords(keywords)
        self._call.requires |= {name for node in nodes for name in self._taken(node)}
        return self._call

    def _taken(self, node: ast.AST) -> Iterator[str]:
        """``kwargs["body"]``, ``kwargs.pop("body")``: it must have been there, unless the decorator
        has put it there before."""
        key = None
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            key = node.slice if self._is_mapping(node.value) else None
        elif isinstance(node, ast.Call) and len(node.args) == 1:
            method = node.func
            if isinstance(method, ast.Attribute) and method.attr == "pop":
                key = node.args[0] if self._is_mapping(method.value) else None
        if key is None or (name := self._text(key)) is None:
            return
        if key.lineno <= self._lines.get(name, key.lineno):
            yield name

    # --- calls of the handler ---------------------------------------------------------------------

    def _handler_call(self, node: ast.AST) -> tuple[list[ast.expr], list[ast.keyword]] | None:
        """The arguments for the handler: of ``f(…)``, or of ``call(f, …)``."""
        if not isinstance(node, ast.Call):
            return None
        if self._is_inner(node.func):
            return node.args, node.keywords
        for index, argument in enumerate(node.args):
            if self._is_inner(argument):
                return node.args[index + 1 :], node.keywords
        return None

    def _is_inner(self, node: ast.expr) -> bool:
        value = self._value(node)
        if isinstance(value, MethodType):
            return value == self._inner
        return value is self._inner or (
            callable(value) and getattr(value, "__wrapped__", _MISSING) is self._inner
        )

    def _read_positional(self, arguments: list[ast.expr]) -> None:
        passed: list[str | None] = []
        for argument in arguments:
            if isinstance(argument, ast.Starred):
                if not self._is_rest(argument.value):
                    self._call.others = True
                break
            is_own = isinstance(argument, ast.Name) and argument.id in self._own
            passed.append(argument.id if is_own else None)  # type: ignore[attr-defined]
        after = passed[self._first :]
        known = self._call.positional
        self._call.positional = [
            mine if mine == theirs else None for mine, theirs in zip(known, after, strict=False)
        ] + max(known[len(after) :], after[len(known) :], key=len)

    def _read_keywords(self, keywords: list[ast.keyword]) -> None:
        for keyword in keywords:
            value = keyword.value
            if keyword.arg is None:
                self._read_mapping(value)
            elif not (
                isinstance(value, ast.Name) and value.id == keyword.arg and value.id in self._own
            ):
                self._call.names.add(keyword.arg)

    # --- changes of what is passed on -------------------------------------------------------------

    def _read_unpacking(self, node: ast.AST) -> None:
        """``request, *rest = args``: the rest is passed on as ``*args`` is."""
        if isinstance(node, ast.Assign) and self._is_rest(node.value):
            for target in ast.walk(ast.Module([ast.Expr(t) for t in node.targets], [])):
                if isinstance(target, ast.Name):
                    self._rest.add(target.id)

    def _read_change(self, node: ast.AST) -> None:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Subscript) and self._is_mapping(target.value):
                    self._add(self._text(target.slice), node.lineno)
                elif self._is_mapping(target):
                    self._read_mapping(node.value)
                elif isinstance(target, ast.Name) and target.id == self._vararg:
                    self._call.others |= not self._is_rest(node.value)
        elif isinstance(node, ast.AnnAssign | ast.AugAssign):
            if node.value is not None and self._is_mapping(node.target):
                self._read_mapping(node.value)
        elif isinstance(node, ast.Call):
            self._read_call(node)

    def _read_call(self, node: ast.Call) -> None:
        method = node.func
        if isinstance(method, ast.Attribute) and self._is_mapping(method.value):
            if method.attr == "update":
                self._read_dict(node)
            elif method.attr == "setdefault" and node.args:
                self._add(self._text(node.args[0]), node.lineno)
            return
        values = [*node.args, *(entry.value for entry in node.keywords if entry.arg is not None)]
        if any(map(self._is_mapping, values)) and self._handler_call(node) is None:
            # A helper that is told the name: `validate(kwargs=kwargs, argument=argument)`.
            self._call.names |= {text for v in values if (text := self._text(v)) is not None}

    def _read_mapping(self, node: ast.expr) -> None:
        """Add the keys of what is passed on with two stars."""
        if self._is_mapping(node) or isinstance(node, ast.DictComp | ast.Constant):
            return
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if key is None:
                    self._read_mapping(value)
                else:
                    self._add(self._text(key))
        elif isinstance(node, ast.BinOp | ast.BoolOp | ast.IfExp):
            for part in ast.iter_child_nodes(node):
                if isinstance(part, ast.expr) and part is not getattr(node, "test", None):
                    self._read_mapping(part)
        elif isinstance(node, ast.Call) and self._value(node.func) is dict:
            self._read_dict(node)
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "copy":
            self._read_mapping(node.func.value)  # type: ignore[attr-defined]
        else:
            value = self._value(node)
            if isinstance(value, Mapping):
                self._call.names |= {key for key in value if isinstance(key, str)}
            else:
                self._call.others = True

    def _read_dict(self, node: ast.Call) -> None:
        for argument in node.args:
            self._read_mapping(argument)
        for keyword in node.keywords:
            if keyword.arg is None:
                self._read_mapping(keyword.value)
            else:
                self._call.names.add(keyword.arg)

    def _add(self, name: str | None, line: int = sys.maxsize) -> None:
        if name is None:
            self._call.others = True
        else:
            self._call.names.add(name)
            self._lines[name] = min(line, self._lines.get(name, line))

    # --- expressions ------------------------------------------------------------------------------

    def _is_local(self, node: ast.AST) -> bool:
        return isinstance(node, ast.Name) and node.id in self._locals

    def _is_mapping(self, node: ast.AST) -> bool:
        return isinstance(node, ast.Name) and node.id in self._mappings

    def _is_rest(self, node: ast.AST) -> bool:
        """``args``, ``args[1:]``, ``list(args)``."""
        if isinstance(node, ast.Subscript):
            return self._is_rest(node.value)
        if isinstance(node, ast.Call) and self._value(node.func) in (list, tuple):
            return len(node.args) == 1 and self._is_rest(node.args[0])
        return isinstance(node, ast.Name) and node.id in self._rest

    def _text(self, node: ast.AST) -> str | None:
        value = self._value(node)
        return value if isinstance(value, str) else None

    def _value(self, node: ast.AST) -> Any:
        """What a name, an attribute of ``self`` or a literal stands for."""
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Attribute):
            of = node.value
            if isinstance(of, ast.Name) and of.id == self._instance_name:
                return getattr(self._instance, node.attr, _MISSING)
            return _MISSING
        if not isinstance(node, ast.Name):
            return _MISSING
        if node.id in self._cells:
            return self._cells[node.id]
        if node.id in self._locals:
            return _MISSING
        builtins = self._globals.get("__builtins__", {})
        builtins = builtins if isinstance(builtins, dict) else vars(builtins)
        return self._globals.get(node.id, builtins.get(node.id, _MISSING))


def _cells(function: FunctionType) -> dict[str, Any]:
    cells = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            cells[name] = cell.cell_contents
        except ValueError:  # a cell that is still empty
            continue
    return cells


# Parsing in several threads at once breaks Python 3.11 (cpython 106905).
_parsing = threading.Lock()


def _node_of(code: CodeType) -> ast.AST | None:
    """The source of a function; None where it is not there, or is not clear."""
    nodes = [
        node
        for node in _functions(code.co_filename)
        if _begins(node) == code.co_firstlineno
        and getattr(node, "name", "<lambda>") == code.co_name
    ]
    return nodes[0] if len(nodes) == 1 else None


def _begins(node: Any) -> int:
    decorators = getattr(node, "decorator_list", None)
    line: int = (decorators[0] if decorators else node).lineno
    return line


@functools.lru_cache(64)
def _functions(file: str) -> tuple[ast.AST, ...]:
    try:
        with _parsing:
            tree = ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError, RecursionError):
        return ()
    return tuple(_function_nodes(tree))


def forget_sources() -> None:
    """Give back the memory of the sources that were read."""
    _functions.cache_clear()


def _function_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    return (node for node in ast.walk(tree) if isinstance(node, kinds))
