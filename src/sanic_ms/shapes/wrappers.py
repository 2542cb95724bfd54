"""Decorators around a handler, and the parameters that they hand in themselves.

A decorator with `functools.wraps` may call the handler with more than it was called with:
``f(request, user, **kwargs)``. Such a parameter is not one of the request. The decorator's source
shows it, and is read once, when the service starts.
"""

from __future__ import annotations

import ast
import functools
import inspect
import linecache
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import CodeType, FunctionType, MethodType
from typing import Any, NamedTuple

__all__ = ["HandedIn", "Layer", "Layers", "forget_sources", "handed_in", "objects_of", "peel"]


class Layer(NamedTuple):
    """A decorator (or partial) around something.

    Attributes:
        call: What it made.
        inner: What stands in it.
        first: The position, in a call of ``inner``, of the first argument after the request.
    """

    call: Callable[..., Any]
    inner: Callable[..., Any]
    first: int


class Layers(NamedTuple):
    """A handler taken apart.

    Attributes:
        function: The innermost function.
        first: The position of its first parameter after the request.
        around: The decorators around it, the outermost first; without those of the framework, which
            hand in nothing.
    """

    function: Callable[..., Any]
    first: int
    around: tuple[Layer, ...]


def peel(handler: Callable[..., Any], first: int = 1) -> Layers:
    """Take the decorators off a handler.

    Args:
        handler: A function, method, partial, or an object that can be called.
        first: The position, in a call of it, of the first argument after the request.
    """
    around = []
    for outer, inner, taken in _steps(handler):
        first += taken
        if isinstance(outer, functools.partial) or not (_binds(outer) or _is_known(outer)):
            around.append(Layer(outer, inner, first))
        handler = inner
    return Layers(handler, first, tuple(around))


def objects_of(handler: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """A handler and all that stands in it, from the outside in."""
    yield handler
    for _, inner, _ in _steps(handler):
        yield inner


def _steps(
    handler: Callable[..., Any],
) -> Iterator[tuple[Callable[..., Any], Callable[..., Any], int]]:
    """What stands in what, with the number of arguments that the outer passes before the others."""
    seen = {id(handler)}
    while True:
        if isinstance(handler, functools.partial):
            inner, taken = handler.func, len(handler.args)
        elif isinstance(handler, MethodType):
            inner, taken = handler.__func__, 1
        elif hasattr(handler, "__wrapped__"):
            inner, taken = handler.__wrapped__, 0
        elif _is_object(handler):
            inner, taken = type(handler).__call__, 1
        else:
            return
        if id(inner) in seen:
            return
        seen.add(id(inner))
        yield handler, inner, taken
        handler = inner


def _binds(handler: Callable[..., Any]) -> bool:
    """Whether it passes itself, or what it is bound to, and nothing else."""
    return isinstance(handler, MethodType) or not hasattr(handler, "__wrapped__")


def _is_known(handler: Callable[..., Any]) -> bool:
    """Whether it is a decorator of the framework (``@logger``)."""
    scope = getattr(handler, "__globals__", {})
    return str(scope.get("__name__", "")).startswith("sanic_ms.")


def _is_object(handler: Callable[..., Any]) -> bool:
    call = getattr(type(handler), "__call__", None)  # noqa: B004
    return not isinstance(handler, type | FunctionType) and isinstance(call, FunctionType)


@dataclass(frozen=True, slots=True)
class HandedIn:
    """The parameters that decorators hand in.

    Attributes:
        names: Their names.
        others: Decorators hand in further ones, whose names their source does not show.
    """

    names: frozenset[str] = frozenset()
    others: bool = False

    def __or__(self, other: HandedIn) -> HandedIn:
        return HandedIn(self.names | other.names, self.others or other.others)


def handed_in(layers: Iterable[Layer], parameters: list[inspect.Parameter]) -> HandedIn:
    """The parameters that decorators hand in. Where a decorator's source is missing, or does not
    call what it stands around, nothing is known of it and it counts as handing in nothing.

    Args:
        layers: The decorators, the outermost first.
        parameters: Those of the innermost function, without those up to the request.
    """
    names = {entry.name for entry in parameters if entry.kind is not entry.VAR_KEYWORD}
    positions = [
        entry.name
        for entry in parameters
        if entry.kind in (entry.POSITIONAL_ONLY, entry.POSITIONAL_OR_KEYWORD)
    ]
    found: set[str] = set()
    others = False
    for layer in reversed(list(layers)):
        said = _read_layer(layer)
        found |= names & said.names
        if said.accepts is not None:
            found |= names - said.accepts
        others = others or said.others
        # The innermost decorator's arguments come first, those of decorators around it follow.
        for own, name in zip(said.positional, positions, strict=False):
            if own != name:
                found.add(name)
        positions = positions[len(said.positional) :]
    return HandedIn(frozenset(found), others)


@dataclass(slots=True)
class _Call:
    """What a decorator calls the handler with.

    Attributes:
        names: Names that it adds.
        positional: What it passes by position after the request: the name of a parameter of its
            own, or None for anything else.
        accepts: The names that it takes, None for any.
        others: It adds further ones.
    """

    names: set[str]
    positional: list[str | None]
    accepts: frozenset[str] | None = None
    others: bool = False


def _read_layer(layer: Layer) -> _Call:
    call = layer.call
    if isinstance(call, functools.partial):
        # Those by position are no longer counted: they precede the first.
        return _Call(set(call.keywords), [])
    is_object = _is_object(call)
    function = type(call).__call__ if is_object else call
    if not isinstance(function, FunctionType):
        return _Call(set(), [])
    node = _node_of(function.__code__)
    reader = _DecoratorReader(function, call if is_object else None, layer)
    said = _Call(set(), []) if node is None else reader.read(node)
    code = function.__code__
    if not code.co_flags & inspect.CO_VARKEYWORDS:
        count = code.co_argcount + code.co_kwonlyargcount
        said.accepts = frozenset(code.co_varnames[:count])
    return said


_MISSING = object()


class _DecoratorReader:
    """Reads the source of one decorator.

    Args:
        function: The function that is called in the handler's place.
        instance: The object whose method that is, None where it is none.
        layer: What is read, for what stands in it.
    """

    def __init__(self, function: FunctionType, instance: object, layer: Layer) -> None:
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
        self._layer = layer
        # The names of dicts that are passed on as keywords, and of what is passed on by position.
        self._mappings = {self._kwarg} - {None}
        self._rest = {self._vararg} - {None}
        self._call = _Call(set(), [])

    def read(self, root: ast.AST) -> _Call:
        """What the decorator calls the handler with."""
        nodes = list(ast.walk(root))
        calls = [found for node in nodes if (found := self._handler_call(node)) is not None]
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
        return self._call

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
        inner = self._layer.inner
        if isinstance(value, MethodType):
            return value == inner
        return value is inner or (
            callable(value) and getattr(value, "__wrapped__", _MISSING) is inner
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
        after = passed[self._layer.first :]
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
                    self._add(self._text(target.slice))
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
                self._add(self._text(node.args[0]))
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

    def _add(self, name: str | None) -> None:
        if name is None:
            self._call.others = True
        else:
            self._call.names.add(name)

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
