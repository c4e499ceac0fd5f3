"""JSON that is not whole yet as a value of its type, as far as it has come: read once, however often it is asked for.

    text ──scan──▶ where each value begins and ends ──when asked──▶ values

The scan looks at the structure alone and keeps the containers that are open, each with the places of the values in it
that are whole. Nothing is decoded until somebody asks; then a value that is whole is decoded in one go, once, and only
the containers that are still open are put together anew. So the cost grows with the length of the text, not with its
length times the number of questions; `python -m benchmarks.typed` shows it.

What has not come yet is the member's default, and None where it has none: of a class that checks its values, no check
is made before it is whole. A text is shown as far as it has come, a number, a date or an enum when it is whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import msgspec

from ..protocol.json_text import UNREADABLE, loads
from .conversion import Mismatch, converted, distance, foreign_value, is_native
from .rules import WRAPPER
from .type_tree import (
    Anything,
    ArrayOf,
    Foreign,
    Leaf,
    MapOf,
    Node,
    ObjectOf,
    OneOf,
    TupleOf,
    members_of_foreign,
    plain_kinds,
)

_REST_OF_STRING: Final = re.compile(r'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
_SCALAR: Final = re.compile('[^ \n\r\t\ufeff,\\[\\]{}:"]+')
_SPACE: Final = re.compile("[ \n\r\t\ufeff]*")
_HALF_ESCAPE: Final = re.compile(
    r"\\(?:u[0-9a-fA-F]{0,3})?\Z|\\u[dD][89abAB][0-9a-fA-F]{2}(?:\\(?:u[0-9a-fA-F]{0,3})?)?\Z"
)
"""An escape that is not whole, or is half a character whose other half may come."""
_MISSING: Final = object()
_ANYTHING: Final = Anything()
_LONGEST_TAG: Final = 100
"""Characters of a value by which an option of a union may be told."""
_REFUSED: Final = (*UNREADABLE, Mismatch, TypeError, LookupError, AttributeError, ArithmeticError)


class OpenContainer:
    """An object or a list that has begun: the places of the whole values in it, and those of them that were decoded."""

    __slots__ = ("decoded", "is_object", "key", "made", "names", "node", "spans", "start")

    def __init__(self, start: int, *, is_object: bool) -> None:
        self.start = start
        self.is_object = is_object
        self.key: str | None = None
        """In an object: the name of the member that comes; None before that has come."""
        self.names: list[str] = []
        self.spans: list[tuple[int, int]] = []
        self.node: Node | None = None
        """What it was taken for when it was last looked at."""
        self.made: list[Any] = []
        self.decoded = 0


class Scanner:
    """Finds where each value of a growing text begins and ends. `stack`: the containers that are open, the outermost
    first. `whole`: where the root begins and ends, once it does. `first_list`: the root, or what is wrapped in it, if
    that is a list. It looks at each character once."""

    __slots__ = ("_at", "base", "broken", "first_list", "stack", "string", "text", "whole")

    def __init__(self) -> None:
        self.text = ""
        self.base = 0
        """How many characters were let go of before `text`."""
        self.stack: list[OpenContainer] = []
        self.first_list: OpenContainer | None = None
        self.whole: tuple[int, int] | None = None
        self.string: int | None = None
        """Where a string begins that is not whole."""
        self.broken = False
        """Whether what came is no JSON, so that nothing more is read."""
        self._at = 0

    def feed(self, piece: str) -> None:
        """Read what comes next."""
        self.go_on(self.text + piece)

    def go_on(self, text: str) -> None:
        """Read the rest of a text, of which nothing was let go of."""
        self.text = text
        if not self.broken:
            self._scan()

    def part(self, start: int, end: int) -> str:
        """The text between two places."""
        return self.text[start - self.base : end - self.base]

    def let_go(self, before: int) -> None:
        """Forget the text before a place."""
        self.text = self.text[before - self.base :]
        self.base = before

    def _scan(self) -> None:
        text, at, end = self.text, self._at - self.base, len(self.text)
        while at < end and not self.broken:
            if self.string is not None:
                found = _REST_OF_STRING.match(text, at)
                at = found.end() if found is not None else at
                if at >= end or text[at] != '"':  # more of it comes, or the other half of an escape
                    break
                at += 1
                start, self.string = self.string, None
                self._take(start, at + self.base)
                continue
            character = text[at]
            if character in " \n\r\t\ufeff":
                at = cast("re.Match[str]", _SPACE.match(text, at)).end()
            elif character == '"':
                self.string = at + self.base
                at += 1
            elif character in ",:":
                at += 1
            elif character in "{[":
                self._open(at + self.base, is_object=character == "{")
                at += 1
            elif character in "}]":
                at += 1
                self._close(at + self.base)
            else:
                after = cast("re.Match[str]", _SCALAR.match(text, at)).end()
                if after == end:  # it may go on
                    break
                self._take(at + self.base, after + self.base)
                at = after
        self._at = at + self.base

    def _open(self, start: int, *, is_object: bool) -> None:
        stack = self.stack
        if self.whole is not None or (stack and stack[-1].is_object and stack[-1].key is None):
            self.broken = True
            return
        opened = OpenContainer(start, is_object=is_object)
        if not is_object and (not stack or (len(stack) == 1 and stack[0].key == WRAPPER)):
            self.first_list = self.first_list or opened
        stack.append(opened)

    def _close(self, end: int) -> None:
        if not self.stack:
            self.broken = True
        else:
            self._take(self.stack.pop().start, end)

    def _take(self, start: int, end: int) -> None:
        """A value, or the name of a member, is whole."""
        if not self.stack:
            self.broken = self.broken or self.whole is not None
            self.whole = self.whole or (start, end)
            return
        top = self.stack[-1]
        if top.is_object and top.key is None:
            try:
                top.key = str(loads(self.part(start, end).encode(errors="replace")))
            except UNREADABLE:
                self.broken = True
            return
        if top.is_object:
            top.names.append(top.key or "")
            top.key = None
        top.spans.append((start, end))


class ValueReader:
    """Decodes values that are whole, each by its place in the type; what reads a place is made once.

    A value that is not as its type says is read as far as it can be.
    """

    def __init__(self) -> None:
        self._readers: dict[int, tuple[Node, Callable[[str], Any]]] = {}

    def value(self, node: Node, text: str) -> Any:
        """The value that this text is."""
        known = self._readers.get(id(node))
        if known is None:
            known = self._readers[id(node)] = node, self._reader(node)
        try:
            return known[1](text)
        except _REFUSED:
            pass
        try:
            return lenient(node, loads(text.encode(errors="replace")))
        except _REFUSED:
            return None

    def _reader(self, node: Node) -> Callable[[str], Any]:
        if isinstance(node, Foreign):
            read: Callable[[str], Any] = node.kind.model_validate_json
            return read
        if is_native(node.kind, node):
            return cast("Callable[[str], Any]", msgspec.json.Decoder(node.kind, dec_hook=foreign_value).decode)
        return lambda text: converted(node, loads(text.encode(errors="replace")))


class BegunString:
    """A string that is not whole: its text, decoded up to where the last look at it came."""

    __slots__ = ("_at", "_text", "start")

    def __init__(self, start: int) -> None:
        self.start = start
        self._at = start + 1
        self._text = ""

    def read(self, scanner: Scanner) -> str:
        """The text so far, without an escape that is not whole."""
        fresh = scanner.text[self._at - scanner.base :]
        if "\\" in fresh and (half := _HALF_ESCAPE.search(fresh)) is not None and not _is_escaped(fresh, half.start()):
            fresh = fresh[: half.start()]
        self._at += len(fresh)
        if "\\" in fresh:
            try:
                self._text += loads(f'"{fresh}"'.encode(errors="replace"))
            except UNREADABLE:  # it is shown as it is: what is wrong with it is said at the end
                self._text += fresh
        else:
            self._text += fresh
        return self._text


def _is_escaped(text: str, at: int) -> bool:
    """Whether the backslash at this place is the second of two."""
    before = text[:at]
    return (len(before) - len(before.rstrip("\\"))) % 2 == 1


class PartialReader:
    """One text that grows, and the value of a type that it is so far.

    `is_object`: whether the type's JSON is always an object, so that none is taken for the wrapping of a root that is
    none.
    """

    def __init__(self, tree: Node, values: ValueReader, *, is_object: bool) -> None:
        self._tree = tree
        self._values = values
        self._is_object = is_object
        self._text = ""
        self._scanner = Scanner()
        self._begun = BegunString(-1)

    def read(self, text: str) -> Any:
        """The value so far of a text, which goes on from the one before. None where nothing of it has come."""
        if not text.startswith(self._text):
            self._text, self._scanner, self._begun = "", Scanner(), BegunString(-1)
        scanner = self._scanner
        scanner.go_on(text)
        self._text = text
        try:
            found = self._found(scanner)
        except RecursionError:  # of an answer that is nested as no type is
            return None
        return None if found is _MISSING else found

    def _found(self, scanner: Scanner) -> Any:
        if scanner.stack:
            return self._root(scanner)
        if scanner.whole is not None:
            return self._whole(scanner.part(*scanner.whole))
        if scanner.string is not None:
            return self._beginning(self._tree, scanner)
        return self._values.value(self._tree, scanner.text) if scanner.text.strip() else None  # a number so far

    def _whole(self, text: str) -> Any:
        if not self._is_object and text.startswith("{"):
            inner = Scanner()
            inner.feed(text[:-1] + ",")
            if inner.stack and inner.stack[0].names == [WRAPPER]:
                return self._values.value(self._tree, inner.part(*inner.stack[0].spans[0]))
        return self._values.value(self._tree, text)

    def _root(self, scanner: Scanner) -> Any:
        root = scanner.stack[0]
        wrapped = not self._is_object and root.is_object and WRAPPER in (root.key, *root.names[:1])
        if not wrapped:
            return self._built(scanner, 0, self._tree)
        if root.spans:
            return self._values.value(self._tree, scanner.part(*root.spans[0]))
        return self._built(scanner, 1, self._tree) if len(scanner.stack) > 1 else self._beginning(self._tree, scanner)

    def _beginning(self, node: Node, scanner: Scanner) -> Any:
        """The text that a string that is not whole is so far, where a text may stand."""
        if scanner.string is None or str not in plain_kinds(node):
            return _MISSING
        begun = self._begun
        if begun.start != scanner.string:
            begun = self._begun = BegunString(scanner.string)
        return begun.read(scanner)

    def _seen(self, node: Node, scanner: Scanner, container: OpenContainer) -> dict[str, Any]:
        """The members that an object of a union has so far, by which its options are told apart."""
        if not container.is_object or not isinstance(node, OneOf):
            return {}
        seen: dict[str, Any] = {}
        for name, (start, end) in zip(container.names, container.spans, strict=True):
            is_short = end - start < _LONGEST_TAG
            seen[name] = self._values.value(_ANYTHING, scanner.part(start, end)) if is_short else None
        return seen if container.key is None else {**seen, container.key: None}

    def _built(self, scanner: Scanner, depth: int, node: Node) -> Any:
        """The value of the open container at this depth."""
        container = scanner.stack[depth]
        shape = shape_of(node, container.is_object, self._seen(node, scanner, container))
        if shape is None:
            return None
        if container.node is not shape:
            container.node, container.made, container.decoded = shape, [], 0
        spans, made = container.spans, container.made
        for index in range(container.decoded, len(spans)):
            inner = node_at(shape, container.names[index] if container.is_object else index)
            made.append(_MISSING if inner is None else self._values.value(inner, scanner.part(*spans[index])))
        container.decoded = len(spans)
        place: str | int | None = container.key if container.is_object else len(spans)
        last = None if place is None else node_at(shape, place)
        begun: Any = _MISSING
        if last is not None and depth + 1 < len(scanner.stack):
            begun = self._built(scanner, depth + 1, last)
        elif last is not None and depth + 1 == len(scanner.stack):
            begun = self._beginning(last, scanner)
        if not container.is_object:
            return array(shape, made if begun is _MISSING else [*made, begun])
        members = dict(zip(container.names, made, strict=True))
        if begun is not _MISSING:
            members[cast("str", place)] = begun
        return assembled(shape, {name: each for name, each in members.items() if each is not _MISSING})


def shape_of(node: Node, is_object: bool, seen: Mapping[str, Any]) -> Node | None:
    """What a container is taken for: the option of a union that fits best to the members seen so far; None where none
    does."""
    if isinstance(node, OneOf):
        options = [shape for each in node.options if (shape := shape_of(each, is_object, seen)) is not None]
        return min(options, key=lambda each: distance(each, seen), default=None)
    if isinstance(node, Foreign):
        node = members_of_foreign(node)
    if isinstance(node, Anything):
        return node
    fits = isinstance(node, ObjectOf | MapOf | TupleOf) if is_object else isinstance(node, ArrayOf | TupleOf)
    return node if fits else None


def node_at(shape: Node, place: str | int) -> Node | None:
    """What is at a place of a container: a member, an item; None where nothing is known of it."""
    match shape:
        case ObjectOf():
            found = shape.by_key.get(str(place))
            return None if found is None else found.node
        case MapOf():
            return shape.value
        case ArrayOf():
            return shape.item
        case TupleOf():
            known = isinstance(place, int) or place.isdecimal()
            return shape.places[int(place)] if known and int(place) < len(shape.places) else None
        case Anything():
            return shape
        case _:
            return None


def array(shape: Node, items: list[Any]) -> Any:
    """Items that have come as the collection that they are part of; of a tuple, None for those that have not."""
    match shape:
        case ArrayOf():
            try:
                return shape.make(items)
            except TypeError:  # a set of what has no hash yet
                return None
        case TupleOf():
            return (*items, *[None] * (len(shape.places) - len(items)))
        case _:
            return list(items)


def assembled(shape: Node, members: dict[str, Any]) -> Any:
    """Members that have come as the object that they are part of."""
    if isinstance(shape, TupleOf):
        return tuple(members.get(str(place)) for place in range(len(shape.places)))
    if isinstance(shape, MapOf):
        return {_key(shape, name): value for name, value in members.items()}
    if not isinstance(shape, ObjectOf):
        return dict(members)
    if shape.make is dict:
        return {each.name: members[each.key] for each in shape.members if each.key in members}
    values = {}
    for each in shape.members:
        found = members.get(each.key, _MISSING)
        if found is _MISSING:
            found = each.default() if each.default is not None else None
        values[each.attribute] = found
    return shape.unchecked(values)


def lenient(node: Node, value: Any) -> Any:
    """A JSON value as its type has it as far as that goes: what is not as it should be is None."""
    if isinstance(value, dict | list):
        shape = shape_of(node, isinstance(value, dict), value if isinstance(value, dict) else {})
        if shape is None:
            return None
        if isinstance(value, list):
            inner = [(node_at(shape, n), each) for n, each in enumerate(value)]
            return array(shape, [lenient(each, item) for each, item in inner if each is not None])
        return assembled(
            shape, {name: lenient(each, item) for name, item in value.items() if (each := node_at(shape, name))}
        )
    try:
        return converted(node, value)
    except _REFUSED:
        return value if isinstance(value, str) and str in plain_kinds(node) else None


def _key(shape: MapOf, name: str) -> Any:
    if shape.key is str:
        return name
    try:
        return (
            converted(Leaf(shape.key), name)
            if not name.lstrip("-").isdigit()
            else msgspec.convert(name, shape.key, strict=False)
        )
    except _REFUSED:
        return name
