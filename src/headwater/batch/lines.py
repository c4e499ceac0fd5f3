"""An input line as JSON: strictly and fast, and where that fails as far as it can be read.

Half of an emoji (`"\\ud83d"`, as programs write that cut texts) becomes U+FFFD, as no server takes it. Tabs and other
control characters inside texts are taken, and so is a byte order mark at a line's beginning. `NaN` and `Infinity` are
read, so that the record is known, and refused where they would be sent. Of a line that is no JSON, the members before
the fault are read for the record's name. Nothing is known here of what a line asks for.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from ..errors import InvalidParameterError
from ..protocol.json_text import UNREADABLE
from ..tasks.surrogates import repair_all_surrogates

_BOM: Final = "\ufeff"
_BLANKS: Final = " \t\r\n"
_KINDS: Final = {list: "an array", str: "a text", bool: "true or false", type(None): "null"}
_reader: Final = json.JSONDecoder(strict=False)


class _CustomId(msgspec.Struct, gc=False):
    custom_id: Any = None


_named: Final = msgspec.json.Decoder(_CustomId)
_object: Final = msgspec.json.Decoder(dict[str, Any])


def members_of(line: bytes) -> tuple[dict[str, Any], bool]:
    """The line's members, and whether they were read strictly. Raises `InvalidParameterError`, which says what is
    wrong."""
    try:
        return _object.decode(line), True
    except UNREADABLE:
        found, wrong = _read(line)
    if wrong is not None:
        raise InvalidParameterError(f"the line is no JSON object: {wrong}")
    return found, False


def name_of(line: bytes, number: int) -> str | None:
    """The record's name: its own, else its line's number; None for what is no JSON object."""
    found, is_whole = _name_in(line)
    return as_custom_id(found, number) if is_whole else None


def nearest_name(line: bytes, number: int) -> str:
    """The record's name, of what is no JSON object too: the custom_id that stands before the fault."""
    return as_custom_id(_name_in(line)[0], number)


def _name_in(line: bytes) -> tuple[Any, bool]:
    """What is wrong elsewhere in the line does not matter."""
    try:
        return _named.decode(line).custom_id, True
    except UNREADABLE:
        found, wrong = _read(line)
    return found.get("custom_id"), wrong is None


def names_of(lines: list[bytes], first: int) -> list[str] | None:
    """The names of many lines that are all well-formed, much faster; None where they are not."""
    try:
        found = _named.decode_lines(b"\n".join(lines))
    except UNREADABLE:
        return None
    if len(found) != len(lines):  # one has two objects
        return None
    return [as_custom_id(one.custom_id, number) for number, one in enumerate(found, first)]


def as_custom_id(name: Any, number: int) -> str:
    """A custom_id as a text; the line's number where there is none."""
    if type(name) is str:
        return name
    return str(number) if name is None else json.dumps(name, ensure_ascii=False)


def not_finite(value: Any, path: str) -> Iterator[str]:
    """Where in a value there is a number that JSON does not have, as "temperature" or "messages[0].score"."""
    if isinstance(value, float) and not math.isfinite(value):
        yield path
    elif isinstance(value, Mapping):
        for name, one in value.items():
            yield from not_finite(one, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from not_finite(one, f"{path}[{number}]")


# -- where a strict reading failed


def _read(line: bytes) -> tuple[dict[str, Any], str | None]:
    """The members up to the first fault, and what that is."""
    text, wrong = _text(line)
    found: dict[str, Any] = {}
    try:
        end = _add_members(text, found)
    except json.JSONDecodeError as error:
        wrong = wrong or _other_kind(text) or f"{error.msg}, at character {error.pos + 1}"
    except RecursionError:
        wrong = wrong or "it is nested too deeply"
    except ValueError:  # a number of thousands of digits
        wrong = wrong or "it has a number that is too long"
    else:
        if wrong is None and text[end:].strip(_BLANKS):
            wrong = f"there is more behind it, from character {end + 1} on; each object needs a line of its own"
    try:
        members: dict[str, Any] = repair_all_surrogates(found)
        return members, wrong
    except RecursionError:
        return {}, "it is nested too deeply"


def _text(line: bytes) -> tuple[str, str | None]:
    try:
        return line.decode("utf-8", "surrogatepass").removeprefix(_BOM), None
    except UnicodeDecodeError as error:
        text = line.decode("utf-8", "replace").removeprefix(_BOM)
        return text, f"it is not UTF-8 at byte {error.start + 1}"


def _add_members(text: str, found: dict[str, Any]) -> int:
    """Read an object member by member, so that those before a fault are known; returns where it ends."""
    at = _expect(text, _skip(text, 0), "{")
    while (at := _skip(text, at)) < len(text) and text[at] != "}":
        if found:
            at = _skip(text, _expect(text, at, ","))
        if text[at : at + 1] != '"':
            raise json.JSONDecodeError("a name in double quotes is missing", text, at)
        name, at = _reader.raw_decode(text, at)
        at = _skip(text, _expect(text, _skip(text, at), ":"))
        found[name], at = _reader.raw_decode(text, at)
    return _expect(text, at, "}")


def _other_kind(text: str) -> str | None:
    """What JSON the text is, where it is no object."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return f"it is {_KINDS.get(type(value), 'a number')}"


def _skip(text: str, at: int) -> int:
    while text[at : at + 1] and text[at] in _BLANKS:
        at += 1
    return at


def _expect(text: str, at: int, letter: str) -> int:
    if not text.startswith(letter, at):
        there = f"it ends where {letter} should be" if at >= len(text) else f"there is no {letter} where one should be"
        raise json.JSONDecodeError(there, text, at)
    return at + 1
