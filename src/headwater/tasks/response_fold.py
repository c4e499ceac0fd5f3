"""Folds the events of a streamed response into the response that the plain call returns.

The last event has the whole response, and that is the result. Until it has come, and where its `output` is empty, the
output is put together of the items: an item is known by its `item_id`, else by its `output_index`, else it is the
newest; what is whole (`...done`) takes the place of the pieces before it. Some servers repeat a part, an item or the
output without what it says (https://github.com/agentgateway/agentgateway/pull/2281): what says nothing takes the place
of nothing. Linear in the number of events. Nothing here waits or refuses an event.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ..errors import HeadwaterError
from ..protocol.events import Job
from ..protocol.flow import Request
from .model_response import ModelResponse, ResponseOutputItem, items_of, sent_members
from .response_events import (
    ResponseAnnotationEvent,
    ResponseContentPartEvent,
    ResponseOutputItemEvent,
    ResponseStatusEvent,
    ResponseStreamEvent,
    ResponseTextDeltaEvent,
)
from .surrogates import TextPieces

AT_THE_END: Final = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled"})
"""The events that end a stream, each with the whole response."""
_OF_TYPE: Final = {
    "response.output_text": ("message", "content", "output_text", "text"),
    "response.refusal": ("message", "content", "refusal", "refusal"),
    "response.reasoning_text": ("reasoning", "content", "reasoning_text", "text"),
    "response.reasoning_summary_text": ("reasoning", "summary", "summary_text", "text"),
}
"""By the beginning of an event's type, where its text belongs: the item's type, its list of parts, the part's type, the
part's member."""
_WHOLE_MEMBERS: Final = {
    "response.function_call_arguments": ("function_call", "arguments"),
    "response.mcp_call_arguments": ("mcp_call", "arguments"),
    "response.custom_tool_call_input": ("custom_tool_call", "input"),
    "response.code_interpreter_call_code": ("code_interpreter_call", "code"),
}
"""The same of texts that are members of the item: its type, and its member."""
_SAYING: Final = (*(member for _, member in _WHOLE_MEMBERS.values()), "encrypted_content")
_FILLED: Final = frozenset({"message", "reasoning", *(kind for kind, _ in _WHOLE_MEMBERS.values())})
"""The types of items that say something by texts alone."""


class _Part:
    """A part of an item so far: what was said of it, and the pieces of its text."""

    __slots__ = ("append", "member", "pieces", "sent")

    def __init__(self, sent: dict[str, Any], member: str) -> None:
        self.sent = sent
        self.member = member
        self.pieces = TextPieces()
        self.append = self.pieces.pieces.append

    def plain(self) -> dict[str, Any]:
        text = self.pieces.whole()
        return {**self.sent, self.member: text} if text or self.member not in self.sent else self.sent


class _Item:
    """An item of the output so far."""

    __slots__ = ("id", "index", "is_whole", "lists", "sent", "texts")

    def __init__(self, sent: dict[str, Any], id_: str, index: int | None) -> None:
        self.sent = sent
        self.id = id_
        self.index = index
        self.is_whole = False
        self.lists: dict[str, dict[int, _Part]] = {}
        self.texts: dict[str, TextPieces] = {}

    def is_other_than(self, id_: str, index: int | None) -> bool:
        """Whether an item of this id that begins, or is whole, at this index is another one."""
        if index is not None and self.index is not None and index != self.index:
            return True
        return self.is_whole and not (id_ and self.id == id_)

    def replace(self, sent: dict[str, Any]) -> None:
        """Take the whole item in place of all that came, but for what it says nothing of."""
        self.sent, self.is_whole = sent, True
        self.lists = {name: parts for name, parts in self.lists.items() if not _texts_in(sent.get(name))}
        self.texts = {name: text for name, text in self.texts.items() if sent.get(name) in (None, "")}

    def part(self, name: str, index: int | None, kind: str, member: str) -> _Part:
        """The part of this list at this index, else the newest of its kind; a new one where there is none."""
        parts = self.lists.setdefault(name, {})
        if index is None:
            fitting = [at for at, part in parts.items() if part.sent.get("type") == kind]
            index = fitting[-1] if fitting else len(parts)
        found = parts.get(index)
        if found is None:
            found = parts[index] = _Part({"type": kind}, member)
        return found

    def text(self, member: str) -> TextPieces:
        """The text of this member, which goes on from what it began with."""
        found = self.texts.get(member)
        if found is None:
            found = self.texts[member] = TextPieces()
            if isinstance(begun := self.sent.get(member), str):
                found.follow(begun)
        return found

    def begin_parts(self) -> None:
        """Take the parts that the item begins with."""
        self.is_whole = False
        for name in ("content", "summary"):
            given = self.sent.get(name)
            for index, sent in enumerate(given if isinstance(given, list) else ()):
                if isinstance(sent, dict) and index not in self.lists.get(name, {}):
                    self.begin_part(name, index, sent)

    def begin_part(self, name: str, index: int, sent: dict[str, Any]) -> None:
        """Take a part as it was told, in place of what was there; of one that says nothing, what was there stays."""
        member = "refusal" if sent.get("type") == "refusal" else "text"
        parts = self.lists.setdefault(name, {})
        before = parts[index].pieces.whole() if index in parts else ""
        part = parts[index] = _Part(sent, member)
        if text := sent.get(member) or before:
            part.pieces.follow(text if isinstance(text, str) else before)

    def plain(self) -> dict[str, Any]:
        found = dict(self.sent)
        for name, parts in self.lists.items():
            found[name] = [parts[at].plain() for at in sorted(parts)]
        for name, text in self.texts.items():
            found[name] = text.whole()
        return found


class ResponseFold:
    """Gathers a response's events.

    `failure`: why the response came to no good end, where the server said so. `id`: the response's, once it was said.
    `last`: the newest sequence number. `background`: makes of the two the job that a response in the background is, and
    the request that ends it.
    """

    __slots__ = ("_append", "_background", "_final", "_items", "_last_key", "_response", "failure", "id", "last")

    def __init__(self, background: Callable[[str, int | None], tuple[Job, Request]] | None = None) -> None:
        self.failure: HeadwaterError | None = None
        self.id = ""
        self.last: int | None = None
        self._background = background
        self._response: ModelResponse | None = None
        self._final: ModelResponse | None = None
        self._items: list[_Item] = []
        self._last_key: tuple[str, int | None, int | None] | None = None
        self._append: Any = None

    @property
    def is_over(self) -> bool:
        """Whether the whole response has come."""
        return self._final is not None

    is_whole_answer = is_over

    @property
    def job(self) -> Job | None:
        """The response as a job that can be taken up again behind the newest event; None for one that is none."""
        return self._background(self.id, self.last)[0] if self._background is not None and self.id else None

    @property
    def on_cancel(self) -> Request | None:
        """What ends a response in the background that is not over."""
        known = self._background is not None and self.id and not self.is_over
        return self._background(self.id, self.last)[1] if known and self._background is not None else None

    def add(self, event: ResponseStreamEvent) -> None:
        """Take the next event. Nearly all are pieces of one text, and are taken here."""
        if event.sequence_number is not None:
            self.last = event.sequence_number
        if type(event) is ResponseTextDeltaEvent:
            key = event.item_id, event.output_index, event.content_index
            if key == self._last_key and event.delta.isascii() and not event.logprobs:
                self._append(event.delta)
            else:
                self._add_text_delta(event, key)
        elif type(event) is ResponseStatusEvent:
            self._add_status(event)
        elif type(event) is ResponseOutputItemEvent:
            self._last_key = None
            self._add_item(event)
        elif type(event) is ResponseContentPartEvent:
            self._last_key = None
            self._add_part(event)
        else:
            self._last_key = None
            self._add_other(event)

    def complete(self, *, marked: bool = False) -> bool:
        """Whether the event with the whole response has come; an end marker alone says nothing."""
        return self._final is not None

    def result(self) -> ModelResponse:
        """The response as far as it has come."""
        final = self._final
        if final is not None and (final.output or not self._items):
            for place, item in enumerate(final.output if self._items else ()):
                if (fuller := self._fuller(item, place)) is not None:
                    final.output[place] = fuller
            return final
        known = final or self._response or ModelResponse(status="in_progress")
        response = known.__copy__()
        response.output = items_of([item.plain() for item in self._items])
        return response

    def _fuller(self, item: ResponseOutputItem, place: int) -> ResponseOutputItem | None:
        """The item of the final output as it came before, where it says nothing there."""
        sent = sent_members(item)
        says = _texts_in(sent.get("content")) or _texts_in(sent.get("summary")) or any(map(sent.get, _SAYING))
        known = None if says or item.type not in _FILLED else self._known(item.id or "", place)
        if known is None or known.sent.get("type") != item.type:
            return None
        known.replace(sent)
        return items_of([known.plain()])[0]

    def _add_status(self, event: ResponseStatusEvent) -> None:
        self.id = self.id or event.response.id
        if event.type in AT_THE_END:
            self._final = final = event.response
            if not final.id and self._response is not None:
                final.id, final.model = self._response.id, final.model or self._response.model
        else:
            self._response = event.response

    def _add_text_delta(self, event: ResponseTextDeltaEvent, key: tuple[str, int | None, int | None]) -> None:
        item = self._item(event.item_id, event.output_index, "message")
        part = item.part("content", event.content_index, "output_text", "text")
        event.delta = part.pieces.take(event.delta)
        if event.logprobs:
            part.sent["logprobs"] = [*(part.sent.get("logprobs") or ()), *event.logprobs]
        self._append, self._last_key = part.append, None if part.pieces.half else key

    def _add_item(self, event: ResponseOutputItemEvent) -> None:
        sent = sent_members(event.item)
        is_whole = event.type == "response.output_item.done"
        id_, index = event.item.id or "", event.output_index
        item = self._known(id_, index)
        if item is None or item.is_other_than(id_, index):
            item = self._begin(sent, id_, index)
        if is_whole:
            item.replace(sent)
        else:
            item.sent = sent | {"type": sent.get("type") or item.sent.get("type")}
            item.begin_parts()

    def _add_part(self, event: ResponseContentPartEvent) -> None:
        is_summary = event.type.startswith("response.reasoning_summary_part")
        sent = sent_members(event.part)
        kind = "reasoning" if is_summary or sent.get("type") == "reasoning_text" else "message"
        item = self._item(event.item_id, event.output_index, kind)
        index = event.summary_index if is_summary else event.content_index
        name = "summary" if is_summary else "content"
        parts = item.lists.get(name, {})
        if index is None:
            index = len(parts) if event.type.endswith(".added") or not parts else max(parts)
        item.begin_part(name, index, sent)

    def _add_other(self, event: Any) -> None:
        kind, _, step = event.type.rpartition(".")
        if kind in _OF_TYPE:
            item_type, name, part_type, member = _OF_TYPE[kind]
            index = getattr(event, "summary_index", None) if name == "summary" else event.content_index
            part = self._item(event.item_id, event.output_index, item_type).part(name, index, part_type, member)
            _take(part.pieces, event, step, member)
        elif kind in _WHOLE_MEMBERS:
            item_type, member = _WHOLE_MEMBERS[kind]
            item = self._item(event.item_id, event.output_index, item_type)
            if not isinstance(getattr(event, member, ""), str | None):
                item.sent[member] = getattr(event, member)
            else:
                _take(item.text(member), event, step, member)
        elif type(event) is ResponseAnnotationEvent and event.annotation is not None:
            item = self._item(event.item_id, event.output_index, "message")
            part = item.part("content", event.content_index, "output_text", "text")
            part.sent["annotations"] = [*(part.sent.get("annotations") or ()), event.annotation]

    def _item(self, id_: str, index: int | None, kind: str) -> _Item:
        """The item that an event is about; one of this type where none is known."""
        found = self._known(id_, index)
        if found is None and index is None and self._items and self._items[-1].sent.get("type") == kind:
            newest = self._items[-1]
            found = None if newest.is_whole else newest
        if found is None:
            return self._begin({"type": kind, **({"id": id_} if id_ else {})}, id_, index)
        if found.is_whole:  # and goes on all the same
            found.begin_parts()
        return found

    def _known(self, id_: str, index: int | None) -> _Item | None:
        named = [item for item in self._items if id_ and item.id == id_]
        at_index = [item for item in named or self._items if index is not None and item.index == index]
        return at_index[-1] if at_index else named[-1] if named else None

    def _begin(self, sent: dict[str, Any], id_: str, index: int | None) -> _Item:
        """A new item: before those of a higher index, and else behind what came."""
        item, items = _Item(sent, id_, index), self._items
        place = len(items)
        if index is not None:
            place = next((n for n, one in enumerate(items) if one.index is not None and one.index > index), place)
        items.insert(place, item)
        return item


def _take(pieces: TextPieces, event: Any, step: str, member: str) -> None:
    """Take a piece, which the event then shows as it can be shown; or the whole text, where that is said."""
    if step == "delta":
        event.delta = pieces.take(event.delta)
    elif (whole := getattr(event, member, None)) and isinstance(whole, str):
        pieces.follow(whole)


def _texts_in(parts: Any) -> bool:
    """Whether a list of parts says anything."""
    given = parts if isinstance(parts, list) else []
    return any(part.get("text") or part.get("refusal") for part in given if isinstance(part, dict))
