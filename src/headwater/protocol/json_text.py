"""JSON as servers write it: what a strict reader refuses for its spelling alone is read as it was meant.


A byte order mark, another of Unicode's encodings, NaN and Infinity, numbers beyond a float, a comma after the last
item, raw control characters in a text and half a character: none of them is a reason to refuse an answer that was paid
for. Texts are never touched but for half a character, which becomes U+FFFD. Bytes that are no Unicode are refused, but
where nobody's result depends on them: there they become U+FFFD as well. Pure.

https://datatracker.ietf.org/doc/html/rfc8259
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from .lazy import LazyModule, lazy_pattern

if TYPE_CHECKING:
    import json
else:
    json = LazyModule("json")  # 1 ms

UNREADABLE: Final = (msgspec.MsgspecError, ValueError, OverflowError, RecursionError)
"""What reading JSON raises, strictly or not."""
_SHORT: Final = 1 << 20
"""Characters; no longer text is gone through for numbers that only its writer's language knows."""
_AROUND: Final = "\ufeff \t\r\n"
_HALVES: Final = lazy_pattern(
    r"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)
_SPELLED: Final = lazy_pattern(
    r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|([-+]?)\b(?:(nan)|inf(?:inity)?)\b|(,)\s*(?=[]}])', re.IGNORECASE | re.DOTALL
)

_IRREGULAR: Final = lazy_pattern(
    r'("(?:[^"\\]|\\.)*(?:"|\\?\Z))|([-+]?)\b(?:(nan)|inf(?:inity)?)\b|(,)\s*(?=[]}])', re.IGNORECASE | re.DOTALL
)
_CONTROLS: Final = lazy_pattern("[\x00-\x1f]")
_NAN: Final = b"-0.0e-90417"
_INFINITY: Final = "1e90417"


def loads(data: bytes, *, halves: bool = False, replace: bool = False, commas: bool = True) -> Any:
    """The value that the text stands for; NaN and the infinities are floats. Raises one of `UNREADABLE`.

    `halves`: half a character stays one, for whoever has the other half. No encoder takes it. `replace`: bytes that are
    no Unicode become U+FFFD. Whatever a type could be read of can be read so: msgspec passes over the texts that the
    type has no member for, without looking into them. `commas`: one after the last item says nothing; in what a model
    wrote it is a mistake, which only who asks for it has mended.
    """
    try:
        return msgspec.json.decode(data)
    except UNREADABLE:
        text = data.decode(json.detect_encoding(data), "replace" if replace else "strict").strip(_AROUND)
    if not halves:
        text = _HALVES.sub(_whole, text)
    try:
        return json.loads(text, strict=False, parse_int=_integer)
    except ValueError:
        if len(text) > _SHORT or (spelled := _SPELLED.sub(_number if commas else _number_alone, text)) == text:
            raise
    return json.loads(spelled, strict=False, parse_int=_integer)


def regular(data: bytes) -> bytes:
    """The text in strict JSON, for a reader that passes over members without building them; `loads_regular` reads its
    parts. Numbers that JSON lacks are numbers there that nobody writes; bytes that are no Unicode stay what they are.
    Raises one of `UNREADABLE`."""
    try:
        msgspec.json.decode(data, type=msgspec.Raw)  # checks the syntax, builds nothing
    except RecursionError:
        raise
    except UNREADABLE:
        text = data.decode(json.detect_encoding(data), "surrogateescape").strip(_AROUND)
        data = _replaced(_IRREGULAR, _regular, _replaced(_HALVES, _whole, text)).encode(errors="surrogateescape")
        msgspec.json.decode(data, type=msgspec.Raw)
    return data


def regular_part(part: bytes) -> bytes:
    """A part of a `regular` text, as a text by itself."""
    return part.replace(_NAN, b"NaN") if _NAN in part else part


def loads_regular(part: bytes) -> Any:
    """The value of a part of a `regular` text."""
    return loads(regular_part(part))


def has_halves(data: bytes) -> bool:
    """Whether there is half a character in the text."""
    return any(found[1] for found in _HALVES.finditer(data.decode(errors="replace")))


def dumps(value: Any) -> bytes:
    """The value in one line that `loads` reads back; NaN and the infinities under their names."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def is_json(data: bytes) -> bool:
    """Whether the text is whole JSON, as `loads` reads it."""
    try:
        regular(data).decode()
    except UNREADABLE:
        return False
    return True


def loads_document(data: bytes) -> Any:
    """The value of an answer's text, whatever follows it and whichever bytes are no Unicode. Raises one of
    `UNREADABLE`."""
    try:
        return loads(data, replace=True)
    except UNREADABLE:
        if not (document := document_of(data)):
            raise
    return loads(document, replace=True)


def document_of(data: bytes) -> bytes:
    """The object or the list with which the text begins, where what follows it is no JSON: an end marker, a remark.

    b"" where there is none.
    """
    if opening(data) not in ("{", "["):
        return b""
    for end in sorted({data.rfind(b"}") + 1, data.rfind(b"]") + 1}, reverse=True):
        if 0 < end < len(data) and is_json(data[:end]):
            return data[:end]
    return b""


def opening(data: bytes) -> str:
    """The character with which the text begins: "{" of an object, "[" of a list; "" where it says nothing."""
    start = data[:64]
    return start.decode(json.detect_encoding(start), "ignore").lstrip(_AROUND)[:1]


def is_list(data: bytes) -> bool:
    """Whether the text, if it is JSON, is a list."""
    return opening(data) == "["


def _number(found: re.Match[str]) -> str:
    """A number as Python's `json` spells it, and nothing for a comma too many; texts are matched to be passed over."""
    if found[1] is None:
        return "" if found[3] else found[0]
    return "NaN" if found[2] else f"{found[1].strip('+')}Infinity"


def _number_alone(found: re.Match[str]) -> str:
    return found[0] if found[3] else _number(found)


def _integer(digits: str) -> int | float:
    """A whole number; one of more digits than Python takes is infinite, as one beyond a float is."""
    try:
        return int(digits)
    except ValueError:
        return float(digits)


def _whole(found: re.Match[str]) -> str:
    return r"\ufffd" if found[1] else found[0]


def _replaced(pattern: re.Pattern[str], replace: Callable[[re.Match[str]], str], text: str) -> str:
    """As the pattern's `sub` does it, which keeps all matches until its end: here only those that change."""
    pieces, start = [], 0
    for found in pattern.finditer(text):
        if (new := replace(found)) != found[0]:
            pieces += [text[start : found.start()], new]
            start = found.end()
    return "".join([*pieces, text[start:]]) if pieces else text


def _regular(found: re.Match[str]) -> str:
    if found[1] is not None:
        return _CONTROLS.sub(lambda control: f"\\u{ord(control[0]):04x}", found[1])
    if found[4]:
        return ""
    return _NAN.decode() if found[3] else found[2].strip("+") + _INFINITY
