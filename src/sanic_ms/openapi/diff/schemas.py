"""What changed between two schemas, and whether it breaks a caller.

The rule behind every case: a request may only come to take more, an answer may only come to give
less. What narrows the values of a request breaks those who send them, what widens the values of an
answer breaks those who read it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from sanic_ms.openapi.diff.branches import (
    TYPES,
    Branch,
    Document,
    Node,
    joined,
    pointer_to,
)
from sanic_ms.openapi.diff.values import KEYWORDS, ValueChange, text_of, value_changes

__all__ = ["Direction", "Effect", "Finding", "SchemaDiff", "Side"]

Direction = Literal["request", "response"]
Effect = Literal["breaking", "note", "compatible"]
Side = Literal["old", "new"]
_Change = ValueChange | Literal["note", "compatible"]

_ANYTHING = Node("", True)
_ABSENT = object()


class Finding(NamedTuple):
    """One difference.

    Attributes:
        effect: ``"breaking"`` for a caller; ``"note"``: nothing that the document promises, but
            somebody may want to know; or ``"compatible"``.
        field: Path of the field, as error messages write it (``items[].price``); ``""``: all.
        text: What happened to it, as the rest of a sentence: ``"is required now"``.
        side: The document that the pointer is about.
        pointer: JSON pointer of the place.
    """

    effect: Effect
    field: str
    text: str
    side: Side
    pointer: str


# Keywords that are compared here; other ones only as text.
_KNOWN = KEYWORDS | {
    "additionalProperties",
    "contains",
    "items",
    "patternProperties",
    "prefixItems",
    "properties",
    "propertyNames",
    "readOnly",
    "required",
    "writeOnly",
}


class SchemaDiff:
    """Compares schemas in one direction, and collects what it finds.

    Args:
        old, new: The documents that the schemas stand in.
        direction: Whether callers send such values or get them.
    """

    def __init__(self, old: Document, new: Document, direction: Direction) -> None:
        self.findings: list[Finding] = []
        self._old = old
        self._new = new
        self._direction = direction
        self._seen: set[tuple[str, str]] = set()

    def compare(self, old: Node, new: Node, field: str = "") -> None:
        """Find the differences of two schemas. A pair that was compared before adds nothing, so
        schemas may refer to themselves.

        Raises:
            ValueError: a reference leads nowhere.
        """
        pair = (self._old.place(old), self._new.place(new))
        if pair in self._seen:
            return
        self._seen.add(pair)
        if self._direction == "request":
            self._compare_defaults(old, new, field)
        before, after = self._old.branches(old), self._new.branches(new)
        self._compare_types(before, after, new.pointer, field)
        for kind in ("boolean", "number", "string", "array", "object"):
            olds, news = _of_kind(before, kind), _of_kind(after, kind)
            if olds and news:
                self._compare_alternatives(kind, olds, news, field)

    def _add(
        self, change: _Change, field: str, text: str, pointer: str, side: Side = "new"
    ) -> None:
        effect: Effect
        if change == "narrower":
            effect = "breaking" if self._direction == "request" else "compatible"
        elif change == "wider":
            effect = "breaking" if self._direction == "response" else "compatible"
        else:
            effect = change
        self.findings.append(Finding(effect, field, text, side, pointer))

    def _compare_defaults(self, old: Node, new: Node, field: str) -> None:
        before, after = _default(old), _default(new)
        if before is _ABSENT or after is _ABSENT or text_of(before) == text_of(after):
            return
        text = f"has the default {text_of(after)} now, {text_of(before)} before"
        self._add("note", field, text, new.pointer)

    # --- types and alternatives -------------------------------------------------------------------

    def _compare_types(
        self, before: Sequence[Branch], after: Sequence[Branch], pointer: str, field: str
    ) -> None:
        olds, news = _types_of(before), _types_of(after)
        lost, gained = _outside(olds, news), _outside(news, olds)
        if lost == {"null"} and not gained:
            self._add("narrower", field, "may not be null any more", pointer)
        elif gained == {"null"} and not lost:
            self._add("wider", field, "may be null now", pointer)
        elif lost or gained:
            change: _Change = "breaking" if lost and gained else "narrower" if lost else "wider"
            text = f"is {_type_words(news)} now, {_type_words(olds)} before"
            self._add(change, field, text, pointer)

    def _compare_alternatives(
        self, kind: str, olds: list[Branch], news: list[Branch], field: str
    ) -> None:
        olds, news = joined(olds), joined(news)
        lost, gained = list(olds), list(news)
        for one, other in _pairs(olds, news):
            self._compare_branches(kind, one, other, field)
            lost.remove(one)
            gained.remove(other)
        # What has no partner may still be held whole by another alternative.
        if self._direction == "request":
            lost = [one for one in lost if not self._any_fits(kind, [one], news)]
        else:
            gained = [other for other in gained if not self._any_fits(kind, olds, [other])]
        for one in lost:
            text = f"has no alternative {_name(one)} any more"
            self._add("narrower", field, text, one.pointer, "old")
        for other in gained:
            self._add("wider", field, f"has the new alternative {_name(other)}", other.pointer)

    def _any_fits(self, kind: str, olds: Iterable[Branch], news: Sequence[Branch]) -> bool:
        """Whether some pair would break nobody."""
        for one in olds:
            for other in news:
                trial = SchemaDiff(self._old, self._new, self._direction)
                trial._seen = set(self._seen)
                trial._compare_branches(kind, one, other, "")
                if all(finding.effect != "breaking" for finding in trial.findings):
                    return True
        return False

    def _compare_branches(self, kind: str, old: Branch, new: Branch, field: str) -> None:
        for change, text in value_changes(kind, old, new):
            self._add(change, field, text, new.pointer)
        if kind == "array":
            self._compare_arrays(old, new, field)
        elif kind == "object":
            self._compare_objects(old, new, field)
        for keyword in sorted({*old.keywords, *new.keywords} - _KNOWN):
            before, after = old.keywords.get(keyword), new.keywords.get(keyword)
            if text_of(before) != text_of(after):
                text = f"has another {keyword!r}, which cannot be compared: taken for a break"
                self._add("breaking", field, text, new.pointer)

    # --- arrays and objects -----------------------------------------------------------------------

    def _compare_arrays(self, old: Branch, new: Branch, field: str) -> None:
        olds, news = old.keywords.get("prefixItems", []), new.keywords.get("prefixItems", [])
        before = old.keywords.get("items", _ANYTHING)
        after = new.keywords.get("items", _ANYTHING)
        for index in range(max(len(olds), len(news))):
            one = olds[index] if index < len(olds) else before
            other = news[index] if index < len(news) else after
            self.compare(one, other, f"{field}[{index}]")
        self.compare(before, after, f"{field}[]")
        self._compare_inner("contains", old, new, f"{field}[]")

    def _compare_inner(self, keyword: str, old: Branch, new: Branch, field: str) -> None:
        before, after = old.keywords.get(keyword), new.keywords.get(keyword)
        if before is not None or after is not None:
            self.compare(before or _ANYTHING, after or _ANYTHING, field)

    def _compare_objects(self, old: Branch, new: Branch, field: str) -> None:
        before, after = self._properties(old), self._properties(new)
        needed, needed_now = self._required(old), self._required(new)
        for name in {**before, **after, **dict.fromkeys((*needed, *needed_now))}:
            place = f"{field}.{name}" if field else name
            if name in before and name not in after:
                self._compare_lost(before[name], new, place)
            elif name in after and name not in before:
                self._compare_gained(old, after[name], place, is_required=name in needed_now)
                continue
            elif name in before:
                self.compare(before[name], after[name], place)
            pointer = pointer_to(new.pointer, "properties", name)
            if name in needed_now and name not in needed:
                text = "is required now" if self._direction == "request" else "is always there now"
                self._add("narrower", place, text, pointer)
            elif name in needed and name not in needed_now and name in after:
                text = (
                    "may be left out now" if self._direction == "request" else "may be missing now"
                )
                self._add("wider", place, text, pointer)
        self._compare_rest(old, new, field)

    def _properties(self, branch: Branch) -> dict[str, Node]:
        """The fields that are seen in this direction."""
        unseen = "readOnly" if self._direction == "request" else "writeOnly"
        found: dict[str, Node] = branch.keywords.get("properties", {})
        return {
            name: node
            for name, node in found.items()
            if not (isinstance(node.schema, Mapping) and node.schema.get(unseen) is True)
        }

    def _required(self, branch: Branch) -> list[str]:
        unseen = branch.keywords.get("properties", {}).keys() - self._properties(branch).keys()
        names = branch.keywords.get("required", [])
        return [name for name in names if name not in unseen] if isinstance(names, list) else []

    def _compare_lost(self, node: Node, new: Branch, field: str) -> None:
        rest = new.keywords.get("additionalProperties", _ANYTHING)
        if self._direction == "response":
            self._add("breaking", field, "is gone", node.pointer, "old")
        elif rest.schema is False:
            self._add("breaking", field, "is refused now", node.pointer, "old")
        elif rest.schema in (True, {}):
            self._add("note", field, "is not read any more", node.pointer, "old")
        else:
            self.compare(node, rest, field)

    def _compare_gained(self, old: Branch, node: Node, field: str, *, is_required: bool) -> None:
        rest = old.keywords.get("additionalProperties", _ANYTHING)
        if self._direction == "request" and is_required:
            self._add("breaking", field, "is new and required", node.pointer)
        elif rest.schema is False and self._direction == "response":
            text = "is new, which a caller that refuses unknown fields does not take"
            self._add("note", field, text, node.pointer)
        elif rest.schema in (True, False, {}):
            self._add("compatible", field, "is new", node.pointer)
        else:
            self.compare(rest, node, field)

    def _compare_rest(self, old: Branch, new: Branch, field: str) -> None:
        """What is said of the keys that are not named."""
        before = old.keywords.get("additionalProperties", _ANYTHING)
        after = new.keywords.get("additionalProperties", _ANYTHING)
        if before.schema is False or after.schema is False:
            if before.schema is not False:
                self._add("narrower", field, "takes no unknown fields now", after.pointer)
            elif after.schema is not False:
                is_request = self._direction == "request"
                text = "may have unknown fields now"
                self._add("compatible" if is_request else "note", field, text, new.pointer)
        else:
            self.compare(before, after, f"{field}.*" if field else "*")
        self._compare_inner("propertyNames", old, new, f"{field} (its keys)".strip())
        olds = old.keywords.get("patternProperties", {})
        news = new.keywords.get("patternProperties", {})
        for pattern in {**olds, **news}:
            self.compare(
                olds.get(pattern, before), news.get(pattern, after), f"{field}.{pattern}".strip(".")
            )


def _default(node: Node) -> Any:
    return node.schema.get("default", _ABSENT) if isinstance(node.schema, Mapping) else _ABSENT


def _types_of(branches: Iterable[Branch]) -> set[str]:
    found = {name for branch in branches for name in branch.types}
    return found - {"integer"} if "number" in found else found


def _outside(one: set[str], other: set[str]) -> set[str]:
    """The types of the one that the other has not; every whole number is a number."""
    return {name for name in one - other if not (name == "integer" and "number" in other)}


def _type_words(names: set[str]) -> str:
    if not names:
        return "nothing"
    if {*TYPES, "integer"} == {*names, "integer"}:
        return "anything"
    return " or ".join(name for name in TYPES if name in names)


def _of_kind(branches: Iterable[Branch], kind: str) -> list[Branch]:
    names = {"integer", "number"} if kind == "number" else {kind}
    return [branch for branch in branches if branch.types & names]


def _pairs(olds: Sequence[Branch], news: Sequence[Branch]) -> list[tuple[Branch, Branch]]:
    """The alternatives that are each other's versions: by their tag, their name or their text; and
    the two that are left, where it is one on each side."""
    left, right = list(olds), list(news)
    found = []
    for identity in (_tags, _component, _content):
        for one in list(left):
            key = identity(one)
            partner = next((other for other in right if key and identity(other) == key), None)
            if partner is not None:
                found.append((one, partner))
                left.remove(one)
                right.remove(partner)
    if len(left) == len(right) == 1:
        found.append((left[0], right[0]))
    return found


def _tags(branch: Branch) -> str:
    """The fields of an object that have one value only: they tell alternatives apart."""
    tags = {}
    for name, node in branch.keywords.get("properties", {}).items():
        if isinstance(node.schema, Mapping):
            values = [node.schema["const"]] if "const" in node.schema else node.schema.get("enum")
            if isinstance(values, list) and len(values) == 1:
                tags[name] = values[0]
    return text_of(tags) if tags else ""


def _component(branch: Branch) -> str:
    return branch.name


def _content(branch: Branch) -> str:
    return text_of([branch.keywords, sorted(branch.types)])


def _name(branch: Branch) -> str:
    """What people call an alternative."""
    if branch.name:
        return branch.name
    plain = {key: value for key, value in branch.keywords.items() if key in _KNOWN}
    details = [
        f"{key} {text_of(value)}" for key, value in plain.items() if isinstance(value, str | int)
    ]
    values = branch.keywords.get("enum", ())
    return " ".join([_type_words(set(branch.types)), *details, *map(text_of, values)])
