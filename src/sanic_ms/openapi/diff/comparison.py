"""Two versions of an OpenAPI document: what changed, and what of it breaks those who call.

Two dicts go in and values come out; nothing is read or written. Schemas are compared by
`sanic_ms.openapi.diff.schemas`, what stands around them here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sanic_ms.openapi.diff.branches import Document, Node, pointer_to
from sanic_ms.openapi.diff.schemas import Direction, Effect, SchemaDiff, Side
from sanic_ms.openapi.diff.security import security_changes

__all__ = ["Change", "compare"]

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_EFFECTS: tuple[Effect, ...] = ("breaking", "note", "compatible")
_STYLES = {"query": "form", "cookie": "form", "path": "simple", "header": "simple"}


@dataclass(frozen=True, slots=True)
class Change:
    """One difference of two documents.

    Attributes:
        effect: ``"breaking"``: somebody who calls by the old document may fail by the new one;
            ``"note"``: nothing that a document promises, but worth a look; ``"compatible"``.
        method, path: The operation, the path as the side has it; empty for the whole document.
        side: ``"old"`` or ``"new"``: the document that the pointer is about.
        pointer: JSON pointer of the place.
        text: What changed, in one sentence.
    """

    effect: Effect
    method: str
    path: str
    side: Side
    pointer: str
    text: str


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """The differences of two OpenAPI 3 documents: the breaking ones first, then notes, then the
    compatible ones; each kind by path and method.

    Examples, descriptions, tags, callbacks and webhooks are not compared.

    Raises:
        ValueError: one is no OpenAPI 3 document, or refers to what is not in it.
    """
    for side, document in (("old", old), ("new", new)):
        _check(side, document)
    changes = list(_Comparison(Document(old, "old"), Document(new, "new")).changes())
    changes.sort(key=lambda change: (_EFFECTS.index(change.effect), change.path, change.method))
    return list(dict.fromkeys(changes))


def _check(side: str, document: Any) -> None:
    version = document.get("openapi") if isinstance(document, Mapping) else None
    if isinstance(version, str) and version.startswith("3."):
        if not isinstance(document.get("paths", {}), Mapping):
            raise ValueError(f'the {side} document\'s "paths" is no object')
        return
    found = f" (it is of version {version})" if version else ""
    raise ValueError(f"the {side} document is no OpenAPI 3 document{found}")


class _Operation(NamedTuple):
    """One method of one path."""

    path: str
    method: str
    pointer: str
    value: Mapping[str, Any]
    shared: Mapping[str, Any]  # the path item, whose parameters are those of each operation
    shared_pointer: str


class _NamedPart(NamedTuple):
    """A part of a document with a name, and its pointer."""

    pointer: str
    value: Mapping[str, Any]


class _Comparison:
    def __init__(self, old: Document, new: Document) -> None:
        self.old = old
        self.new = new

    def changes(self) -> Iterator[Change]:
        if _servers(self.old) != _servers(self.new):
            text = "the servers are others now"
            yield Change("note", "", "", "new", "/servers", text)
        olds, news = _operations(self.old), _operations(self.new)
        pairs = list(_pairs(olds, news))
        for one in olds:
            if all(one is not pair[0] for pair in pairs):
                yield _change(one, "breaking", "the operation is gone", one.pointer, "old")
        for other in news:
            if all(other is not pair[1] for pair in pairs):
                yield _change(other, "compatible", "the operation is new", other.pointer)
        for one, other in pairs:
            yield from self._operation(one, other)

    def _operation(self, old: _Operation, new: _Operation) -> Iterator[Change]:
        before, after = old.value.get("operationId"), new.value.get("operationId")
        if before != after and before is not None:
            text = f"the operationId is {after or 'gone'} now, {before} before"
            yield _change(new, "note", text, new.pointer)
        if new.value.get("deprecated") and not old.value.get("deprecated"):
            yield _change(new, "note", "the operation is deprecated now", new.pointer)
        for effect, text in security_changes(self.old, old.value, self.new, new.value):
            yield _change(new, effect, text, new.pointer)
        yield from self._parameters(old, new)
        yield from self._body(old, new)
        yield from self._answers(old, new)

    # --- what goes in -----------------------------------------------------------------------------

    def _parameters(self, old: _Operation, new: _Operation) -> Iterator[Change]:
        olds, news = _parameters(self.old, old), _parameters(self.new, new)
        for key, one in olds.items():
            words = _parameter_words(one.value)
            other = news.get(key)
            if other is None:
                text = f"{words} is not read any more"
                yield _change(old, "note", text, one.pointer, "old")
                continue
            name, name_now = one.value.get("name"), other.value.get("name")
            if key[0] == "path" and name != name_now:
                text = f"{words} is called {name_now} now"
                yield _change(new, "note", text, other.pointer)
            required, required_now = one.value.get("required"), other.value.get("required")
            if required_now and not required:
                yield _change(new, "breaking", f"{words} is required now", other.pointer)
            elif required and not required_now:
                yield _change(new, "compatible", f"{words} may be left out now", other.pointer)
            if _style(one.value) != _style(other.value):
                text = f"{words} is written in another style now"
                yield _change(new, "breaking", text, other.pointer)
            yield from self._schemas(new, "request", words, _schema(one), _schema(other))
        for key, other in news.items():
            if key not in olds:
                words = _parameter_words(other.value)
                if other.value.get("required"):
                    text = f"{words} is new and required"
                    yield _change(new, "breaking", text, other.pointer)
                else:
                    yield _change(new, "compatible", f"{words} is new", other.pointer)

    def _body(self, old: _Operation, new: _Operation) -> Iterator[Change]:
        one = _inside(self.old, old.pointer, old.value, "requestBody")
        other = _inside(self.new, new.pointer, new.value, "requestBody")
        if other is None:
            if one is not None:
                text = "the request's body is not read any more"
                yield _change(old, "note", text, one.pointer, "old")
            return
        required = one is not None and bool(one.value.get("required"))
        required_now = bool(other.value.get("required"))
        if one is None:
            text = f"the request's body is new{' and required' if required_now else ''}"
            effect: Effect = "breaking" if required_now else "compatible"
            yield _change(new, effect, text, other.pointer)
            return
        if required_now and not required:
            yield _change(new, "breaking", "the request's body is required now", other.pointer)
        elif required and not required_now:
            text = "the request's body may be left out now"
            yield _change(new, "compatible", text, other.pointer)
        yield from self._content(new, "request", "the request's", one, other)

    # --- what comes out ---------------------------------------------------------------------------

    def _answers(self, old: _Operation, new: _Operation) -> Iterator[Change]:
        olds = _named(self.old, old.pointer, old.value, "responses")
        news = _named(self.new, new.pointer, new.value, "responses")
        for status, one in olds.items():
            # 404 may be spoken of as 404, 4XX or default.
            names = (status, f"{status[:1]}XX", "default")
            other = next((news[name] for name in names if name in news), None)
            if other is None:
                text = f"the answer {status} is gone"
                yield _change(old, "breaking", text, one.pointer, "old")
                continue
            words = f"the {status} answer's"
            yield from self._content(new, "response", words, one, other)
            yield from self._headers(new, words, one, other)
        for status, other in news.items():
            if status not in olds:
                yield _change(new, "compatible", f"the answer {status} is new", other.pointer)

    def _headers(
        self, operation: _Operation, words: str, old: _NamedPart, new: _NamedPart
    ) -> Iterator[Change]:
        olds = _named(self.old, old.pointer, old.value, "headers")
        news = {
            name.lower(): place
            for name, place in _named(self.new, new.pointer, new.value, "headers").items()
        }
        for name, one in olds.items():
            subject = f"{words} header {name}"
            other = news.get(name.lower())
            if other is None:
                text = f"{subject} is gone"
                yield _change(operation, "breaking", text, one.pointer, "old")
                continue
            if one.value.get("required") and not other.value.get("required"):
                text = f"{subject} may be missing now"
                yield _change(operation, "breaking", text, other.pointer)
            yield from self._schemas(operation, "response", subject, _schema(one), _schema(other))

    # --- either way -------------------------------------------------------------------------------

    def _content(
        self,
        operation: _Operation,
        direction: Direction,
        words: str,
        old: _NamedPart,
        new: _NamedPart,
    ) -> Iterator[Change]:
        olds, news = _media(old), _media(new)
        verb = "is not read" if direction == "request" else "does not come"
        for media_type, one in olds.items():
            ranges = (media_type, f"{media_type.partition('/')[0]}/*", "*/*")
            other = next((news[name] for name in ranges if name in news), None)
            if other is None:
                text = f"{words} body {verb} as {media_type} any more"
                yield _change(operation, "breaking", text, one.pointer, "old")
                continue
            subject = words if media_type == "application/json" else f"{words} {media_type}"
            whole = f"{subject} body"
            yield from self._schemas(
                operation, direction, subject, _schema(one), _schema(other), whole=whole
            )
        for media_type, other in news.items():
            if media_type not in olds:
                verb = "is read" if direction == "request" else "may come"
                text = f"{words} body {verb} as {media_type} now"
                effect: Effect = "compatible" if direction == "request" else "note"
                yield _change(operation, effect, text, other.pointer)

    def _schemas(
        self,
        operation: _Operation,
        direction: Direction,
        words: str,
        old: Node,
        new: Node,
        *,
        whole: str = "",
    ) -> Iterator[Change]:
        """The changes of a schema.

        Args:
            words: What to call it before the name of a field.
            whole: What to call it where all of it is meant; default the same.
        """
        diff = SchemaDiff(self.old, self.new, direction)
        diff.compare(old, new)
        for finding in diff.findings:
            subject = f"{words} field {finding.field}" if finding.field else whole or words
            text = f"{subject} {finding.text}"
            yield _change(operation, finding.effect, text, finding.pointer, finding.side)


def _change(
    operation: _Operation, effect: Effect, text: str, pointer: str, side: Side = "new"
) -> Change:
    return Change(effect, operation.method.upper(), operation.path, side, pointer, text)


def _operations(document: Document) -> list[_Operation]:
    found = []
    for path, raw in _mapping(document.content.get("paths")).items():
        pointer, item = document.resolve(pointer_to("/paths", path), raw)
        item = _mapping(item)
        found += [
            _Operation(path, method, f"{pointer}/{method}", _mapping(item[method]), item, pointer)
            for method in _METHODS
            if method in item
        ]
    return found


def _pairs(
    olds: list[_Operation], news: list[_Operation]
) -> Iterator[tuple[_Operation, _Operation]]:
    """The operations that are there on both sides. The name of a path's parameter is not part of
    the address."""
    left = list(news)
    waiting = []
    for one in olds:
        other = next((n for n in left if (n.path, n.method) == (one.path, one.method)), None)
        if other is None:
            waiting.append(one)
        else:
            left.remove(other)
            yield one, other
    for one in waiting:
        key = (_address(one.path), one.method)
        other = next((n for n in left if (_address(n.path), n.method) == key), None)
        if other is not None:
            left.remove(other)
            yield one, other


def _address(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", path)


def _parameters(document: Document, operation: _Operation) -> dict[tuple[str, str], _NamedPart]:
    """The parameters of an operation, by their part of the request and their name there: in the
    path the position, in headers without regard to case."""
    positions = re.findall(r"\{([^}]*)\}", operation.path)
    found: dict[tuple[str, str], _NamedPart] = {}
    for pointer, holder in (
        (operation.shared_pointer, operation.shared),
        (operation.pointer, operation.value),
    ):
        entries = holder.get("parameters")
        for index, raw in enumerate(entries if isinstance(entries, list) else ()):
            place, value = document.resolve(f"{pointer}/parameters/{index}", raw)
            value = _mapping(value)
            part, name = str(value.get("in")), str(value.get("name"))
            if part == "path" and name in positions:
                name = str(positions.index(name))
            found[part, name.lower() if part == "header" else name] = _NamedPart(place, value)
    return found


def _parameter_words(parameter: Mapping[str, Any]) -> str:
    part = parameter.get("in")
    kind = part if part in ("header", "cookie") else f"{part} parameter"
    return f"the {kind} {parameter.get('name')}"


def _style(parameter: Mapping[str, Any]) -> tuple[Any, Any]:
    style = parameter.get("style", _STYLES.get(parameter.get("in", ""), "simple"))
    return style, parameter.get("explode", style == "form")


def _schema(place: _NamedPart) -> Node:
    """The schema of a parameter, a header or a media type."""
    content = _mapping(place.value.get("content"))
    for media_type, value in content.items():
        inner = _NamedPart(pointer_to(place.pointer, "content", media_type), _mapping(value))
        return _schema(inner)
    return Node(f"{place.pointer}/schema", place.value.get("schema", True))


def _media(place: _NamedPart) -> dict[str, _NamedPart]:
    return {
        media_type.partition(";")[0].strip().lower(): _NamedPart(
            pointer_to(place.pointer, "content", media_type), _mapping(value)
        )
        for media_type, value in _mapping(place.value.get("content")).items()
    }


def _inside(
    document: Document, pointer: str, value: Mapping[str, Any], key: str
) -> _NamedPart | None:
    if key not in value:
        return None
    place, found = document.resolve(pointer_to(pointer, key), value[key])
    return _NamedPart(place, _mapping(found))


def _named(
    document: Document, pointer: str, value: Mapping[str, Any], key: str
) -> dict[str, _NamedPart]:
    """The parts of a part, by name."""
    inner = _mapping(value.get(key))
    places = {name: _inside(document, f"{pointer}/{key}", inner, name) for name in inner}
    return {str(name): place for name, place in places.items() if place is not None}


def _servers(document: Document) -> list[Any]:
    servers = document.content.get("servers")
    return [_mapping(server).get("url") for server in servers] if isinstance(servers, list) else []


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
