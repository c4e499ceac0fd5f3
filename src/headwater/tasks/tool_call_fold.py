"""Folds the pieces of streamed tool calls: which piece belongs to which call, and what the calls are.

No server says it in one way alone, so four things together tell it.

- The id. A piece with the id of a known call is that call's. Two calls of one id under two indexes are one, if one of
  them says nothing else than the other, or goes on where the other stops.
- The index. Without a known id, a piece belongs to the newest call at its index; without an index, or where a new index
  comes with neither id nor name, to the call that had the last piece.
- The name. A name that comes again as it is so far is repeated, and one that begins so is all of it so far; another one
  is the rest of it before the arguments, and another call's after they have begun.
- Whether the arguments so far are whole: an object, or JSON text of an object or a list. Nothing can be added to those.
  The same arguments once more, with no id of their own, are the call told twice, unless both are in one chunk. Other
  arguments are the next call's, which has the same name where it says none; but what follows `{}` and has neither name
  nor id takes its place, and so does an object that has more than the one before. Pieces of which each begins with all
  of the one before, or the last with all before it (blanks aside), and which make no JSON together: the last has them
  whole. Arguments of several calls in one text are taken apart at the end (`chat_types.separate`).

A new id beside a name begins a call, and so does a name in a chunk that has had one; but what can only be the middle of
arguments never does: some servers make up an id for every piece. An id that comes late is taken by the call that has
none.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any, Final

import msgspec

from ..protocol.json_text import dumps
from .chat_types import (
    ChatCompletionOutputFunctionDefinition,
    ChatCompletionOutputToolCall,
    ChatCompletionStreamOutputDeltaToolCall,
    function_in,
    separate,
)
from .member_fold import MemberFold
from .output import odd_members
from .surrogates import TextPieces

_READ: Final = frozenset({"index", "id", "type", "function"})
_READ_OF_FUNCTION: Final = frozenset({"name", "arguments"})
_MOST_TRIES: Final = 100
_BLANKS: Final = re.compile(r"\s+")


class _Piece:
    """What a piece says. `opens`: its arguments can be the first of a call's; `blank`: it has none."""

    __slots__ = ("arguments", "blank", "end", "further", "id", "index", "name", "odd", "opens", "shown", "type")

    def __init__(
        self,
        piece: ChatCompletionStreamOutputDeltaToolCall,
        shown: ChatCompletionStreamOutputDeltaToolCall,
        sent: dict[str, Any],
    ) -> None:
        self.shown = shown
        self.index, self.id, self.type = piece.index, piece.id, piece.type
        self.name, self.arguments = piece.function.name or "", piece.function.arguments
        if self.arguments is None or not (self.name or self.arguments):
            name, arguments = function_in(sent)
            self.name, self.arguments = self.name or name, self.arguments or arguments
        if isinstance(self.arguments, int | float):  # a part of the text that is a number, and lost its quotes
            self.arguments = shown.function.arguments = dumps(self.arguments).decode()
        text = self.arguments.strip() if isinstance(self.arguments, str) else None
        self.blank = self.arguments is None or text == ""
        self.opens = not self.blank and (not text or text[0] in "{[")
        self.end = text[-1] if text else ""
        self.further = _further(piece, sent)
        self.odd = _odd(piece, sent) if sent else {}
        custom = self.further.get("custom")
        if not self.name and isinstance(custom, dict) and isinstance(custom.get("name"), str):
            self.name = custom["name"]

    def value(self) -> Any:
        """The call's arguments, where they are whole."""
        return _value([self.arguments]) if isinstance(self.arguments, str) else self.arguments


def _further(piece: ChatCompletionStreamOutputDeltaToolCall, sent: dict[str, Any]) -> dict[str, Any]:
    """The members that are kept as they came."""
    if not sent:
        declared = {"custom": piece.custom, "extra_content": piece.extra_content}
        return {name: value for name, value in declared.items() if value is not None}
    further = {name: value for name, value in sent.items() if name not in _READ}
    function = sent.get("function")
    if isinstance(function, dict) and (more := {k: v for k, v in function.items() if k not in _READ_OF_FUNCTION}):
        further["function"] = more
    return further


def _odd(piece: ChatCompletionStreamOutputDeltaToolCall, sent: dict[str, Any]) -> dict[str, Any]:
    """What was sent for fields that do not take it."""
    found = odd_members(piece, {name: sent[name] for name in ("id", "type") if name in sent})
    function = sent.get("function")
    if function and not isinstance(function, dict) and not (piece.function.name or piece.function.arguments):
        found["function"] = function
    return found


class _ToolCall:
    """One tool call so far. `begun`: whether its arguments are. `after`: the call that it may be but once more."""

    __slots__ = (
        "_end",
        "_object",
        "_text",
        "_tries",
        "after",
        "begun",
        "chunk",
        "further",
        "id",
        "index",
        "name",
        "number",
        "odd",
        "place",
        "type",
    )

    def __init__(self, index: int | None, number: int) -> None:
        self.index, self.number = index, number
        self.place = number if index is None else index
        self.id = self.type = ""
        self.name = TextPieces()
        self.after: _ToolCall | None = None
        self.chunk = 0
        self.further: MemberFold | None = None
        self.odd: dict[str, Any] = {}
        self._text, self._end, self.begun = TextPieces(), "", False
        self._object: Any = None
        self._tries = 0

    def add(self, piece: _Piece) -> None:
        self.id = self.id or piece.id
        self.type = self.type or piece.type or ""
        self.odd.update(piece.odd)
        known = self.name.whole()
        if piece.name and piece.name != known and not (self.begun and self.name.pieces):
            self.name.take(piece.name.removeprefix(known))
        if isinstance(piece.arguments, str):
            shown = self._text.take(piece.arguments)
            if shown is not piece.arguments:
                piece.shown.function.arguments = shown
        elif piece.arguments is not None:
            self._object = piece.arguments
        if not piece.blank:
            self.begun, self._end = True, piece.end

    def keep(self, further: dict[str, Any]) -> None:
        """Take members that no field holds."""
        if not further:
            return
        self.further = self.further or MemberFold(pieces=True)
        custom = further.get("custom")
        if isinstance(custom, dict) and custom.get("name") and custom == self.further.result().get("custom"):
            further = {name: value for name, value in further.items() if name != "custom"}  # it is told once more
        self.further.add(further)

    def restart(self) -> None:
        """Forget the arguments: others take their place."""
        self._text, self._end, self.begun, self._object = TextPieces(), "", False, None

    def value(self) -> Any:
        """The arguments where they are whole, else `UNSET`; looked for as often as an honest stream needs it."""
        if self._object is not None:
            return self._object
        if self._end not in ("}", "]") or self._tries > _MOST_TRIES:
            return msgspec.UNSET
        self._tries += 1
        return _value(self._text.pieces)

    @property
    def hollow(self) -> bool:
        """Whether there is nothing but an id."""
        return not self.name.pieces and not self.begun and self.further is None

    @property
    def is_once_more(self) -> bool:
        """Whether it is the call before it, told once more."""
        return self.after is not None and _same(self, self.after)

    def arguments(self) -> Any:
        if self._object is not None:
            return self._object
        pieces = [piece for piece in self._text.pieces if piece]
        return pieces[-1] if len(pieces) > 1 and _is_told_whole(pieces) else self._text.whole()

    def result(self, name: str, arguments: Any) -> ChatCompletionOutputToolCall:
        further = self.further.result() if self.further is not None else {}
        custom, extra, of_function = (further.pop(name, None) for name in ("custom", "extra_content", "function"))
        name = name if custom is None else ""
        function = ChatCompletionOutputFunctionDefinition(name=name, arguments=arguments)
        if of_function:
            function.hold(of_function)
        call = ChatCompletionOutputToolCall(
            id=self.id, type=self.type or "function", function=function, custom=custom, extra_content=extra
        )
        call.hold(further)
        if self.odd:
            call.tell(self.odd)
        return call


class ToolCalls:
    """The tool calls of one choice, as the module says."""

    __slots__ = ("_at_index", "_calls", "_chunk", "_last", "_of_id")

    def __init__(self) -> None:
        self._calls: list[_ToolCall] = []
        self._of_id: dict[str, _ToolCall] = {}
        self._at_index: dict[int, _ToolCall] = {}
        self._last: _ToolCall | None = None
        self._chunk = 0

    def add(
        self,
        pieces: list[ChatCompletionStreamOutputDeltaToolCall],
        shown: list[ChatCompletionStreamOutputDeltaToolCall],
        sent: list[dict[str, Any]],
    ) -> list[int]:
        """Take a chunk's pieces. `shown`: the same as the caller sees them; `sent`: the same as they came.

        Returns the number of each piece's call, in the order in which calls begin.
        """
        self._chunk += 1
        return [self._take(_Piece(*each)) for each in zip(pieces, shown, sent, strict=True)]

    def so_far(self, number: int) -> tuple[str, Any]:
        """The name and the arguments that a call has so far."""
        call = self._calls[number]
        return call.name.whole(), call.arguments()

    def _take(self, piece: _Piece) -> int:
        call = self._call_of(piece)
        if call is None:
            call = self._begin(piece, None)
            call.add(piece)
        elif self._repeats(call, piece):
            call.id = call.id or piece.id
        else:
            if self._begins(call, piece):
                call = self._begin(piece, call)
            call.add(piece)
        call.keep(piece.further)
        call.chunk, self._last = self._chunk, call
        if call.id:
            self._of_id[call.id] = call
        if piece.index is not None:
            self._at_index[piece.index] = call
        return call.number

    def _call_of(self, piece: _Piece) -> _ToolCall | None:
        """The call that the piece belongs to by its id or index, if it begins no other."""
        call = self._of_id.get(piece.id) if piece.id else None
        index = piece.index
        if call is not None:
            if index is None or call.index is None or index == call.index:
                return call
            other = self._at_index.get(index)
            return other if other is not None and other.id == piece.id else None
        if index is None:
            return self._last
        call = self._at_index.get(index)
        return self._last if call is None and not piece.id and not piece.name else call

    def _repeats(self, call: _ToolCall, piece: _Piece) -> bool:
        """Whether the piece tells the whole call once more."""
        if not piece.opens or (piece.name and piece.name != call.name.whole()):
            return False
        if piece.id and call.id and piece.id != call.id:
            return False
        if piece.name and not piece.id and call.chunk == self._chunk:
            return False
        value = call.value()
        return value is not msgspec.UNSET and bool(value == piece.value())

    def _begins(self, call: _ToolCall, piece: _Piece) -> bool:
        """Whether the piece is the first of the next call; arguments that others take the place of are forgotten."""
        if piece.id and call.id and piece.id != call.id:
            return self._begins_by_id(call, piece)
        if not piece.blank and not piece.opens:
            return False
        if piece.name and not (piece.id or call.id) and call.chunk == self._chunk:
            return True
        if not call.begun:
            return False
        if piece.name and call.name.pieces and piece.name != call.name.whole():
            return True
        if piece.blank or (value := call.value()) is msgspec.UNSET:
            return False
        if (piece.id or not piece.name) and _takes_the_place(value, piece.value()):
            call.restart()
            return False
        return True

    @staticmethod
    def _begins_by_id(call: _ToolCall, piece: _Piece) -> bool:
        if not piece.blank and not piece.opens:
            return False
        if piece.name:
            return True
        if piece.blank and piece.index is None:
            return True
        return call.value() is not msgspec.UNSET

    def _begin(self, piece: _Piece, before: _ToolCall | None) -> _ToolCall:
        call = _ToolCall(piece.index, len(self._calls))
        if before is not None:
            if not piece.name and piece.opens:
                call.name.take(before.name.whole())
            if not piece.id and before.chunk != self._chunk:
                call.after = before
        self._calls.append(call)
        return call

    def result(self) -> list[ChatCompletionOutputToolCall] | None:
        """The calls by their index, else in the order in which they began; None where there are none."""
        found = [call for call in self._calls if not call.hollow] or self._calls[:1]
        of_id: dict[str, list[_ToolCall]] = {}
        for call in found:
            of_id.setdefault(call.id, []).append(call)
        kept: list[tuple[_ToolCall, str, Any]] = []
        for id_, calls in of_id.items():
            if id_ and len(calls) > 1:
                kept += _of_one_id(calls)
            else:
                kept += [(call, call.name.whole(), call.arguments()) for call in calls if not call.is_once_more]
        kept.sort(key=lambda one: (one[0].place, one[0].number))
        return separate([call.result(name, arguments) for call, name, arguments in kept]) or None


def _is_told_whole(pieces: list[str]) -> bool:
    """Whether the last piece is the whole: each has all of the one before, or it has all of those before it, if only
    with other blanks. As a text they make no JSON."""
    last = pieces[-1]
    if _value([last]) is msgspec.UNSET or _value(pieces) is not msgspec.UNSET:
        return False
    before = _BLANKS.sub("", "".join(pieces[:-1]))
    return _BLANKS.sub("", last).startswith(before) or all(after.startswith(one) for one, after in pairwise(pieces))


def _of_one_id(calls: list[_ToolCall]) -> list[tuple[_ToolCall, str, Any]]:
    """The pieces of the calls of one id that say something of their own, and the name and the arguments of each."""
    name = next((call.name.whole() for call in calls if call.name.pieces), "")
    texts = [call.arguments() for call in calls]
    if all(isinstance(text, str) and _value([text]) is msgspec.UNSET for text in texts):
        whole = "".join(texts)
        if _value([whole]) is not msgspec.UNSET:
            return [(calls[0], name, whole)]
    kept: list[_ToolCall] = []
    for call in [call for call in calls if call.begun] or calls[:1]:
        if not any(_same(call, other) for other in kept[-_MOST_TRIES:]):
            kept.append(call)
    return [(call, call.name.whole() or name, call.arguments()) for call in kept]


def _same(call: _ToolCall, other: _ToolCall) -> bool:
    names = call.name.whole(), other.name.whole()
    if names[0] != names[1] and all(names):
        return False
    arguments = call.arguments(), other.arguments()
    values = [_value([each]) if isinstance(each, str) else each for each in arguments]
    return bool(arguments[0] == arguments[1] or (values[0] is not msgspec.UNSET and values[0] == values[1]))


def _takes_the_place(value: Any, following: Any) -> bool:
    """Whether arguments held the place of those that follow, or are a part of them."""
    if value == {}:
        return True
    if not isinstance(value, dict) or not isinstance(following, dict):
        return False
    return all(name in following and following[name] == item for name, item in value.items())


def _value(pieces: list[str]) -> Any:
    """JSON text of an object or a list, decoded; `UNSET` for any other."""
    text = "".join(pieces).strip()
    if text[:1] not in ("{", "[") or text[-1:] not in ("}", "]"):
        return msgspec.UNSET
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return msgspec.UNSET
