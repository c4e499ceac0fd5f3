"""Folds the events of a streamed message into the message that the plain call returns.

A block is known by its index; one that begins at the index of another that is whole, or has grown, is the next one.
Linear in the number of events: pieces are kept in lists and joined when the result is asked for. A delta adds to the
block of its index, whatever its type: texts and lists go on where they were, anything else takes the place of what was
there. Counts of tokens are those so far: the last that are said are those of the message. "message_stop" ends it, and
so does the marker of OpenAI's streams behind a stop reason.
"""

from __future__ import annotations

from typing import Any, Final

from ..protocol.json_text import UNREADABLE, dumps, loads
from .message_types import ContentBlock, Message, MessageDelta, MessageStreamEvent, message_of
from .surrogates import TextPieces, repair_all_surrogates

_TYPES: Final = {
    "text_delta": "text",
    "citations_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "thinking",
    "input_json_delta": "tool_use",
}
"""The type of a block whose beginning did not come, by its first delta."""
_OF_EVENT: Final = frozenset(MessageStreamEvent.__struct_fields__)


class _Block:
    """One block so far: `members` as they came, and of those that grow the pieces."""

    __slots__ = ("_json", "_texts", "is_whole", "members", "turn")

    def __init__(self, members: dict[str, Any], turn: int = 0) -> None:
        self.members = members
        self.turn = turn
        self.is_whole = False
        self._texts: dict[str, TextPieces] = {}
        self._json: TextPieces | None = None

    @property
    def is_over(self) -> bool:
        """Whether a block that begins here is another one."""
        return self.is_whole or bool(self._texts) or self._json is not None

    def take_text(self, name: str, piece: str) -> str:
        """Have a text go on; what can be shown of the piece now."""
        known = self._texts.get(name)
        if known is None:
            known = self._texts[name] = TextPieces()
            before = self.members.get(name)
            if isinstance(before, str):
                known.take(before)
        return known.take(piece)

    def take_json(self, piece: str) -> str:
        """Have the arguments go on; what can be shown of the piece now."""
        self._json = self._json or TextPieces()
        return self._json.take(piece)

    def take(self, name: str, value: Any) -> None:
        """Take any other member of a delta."""
        known = self.members.get(name)
        if isinstance(value, str) and isinstance(known, str | None):
            self.take_text(name, value)
            self.members.setdefault(name, "")
        elif isinstance(value, list) and isinstance(known, list):
            self.members[name] = [*known, *value]
        elif value is not None:
            self.members[name] = value

    def cite(self, citation: Any) -> None:
        """Take a citation."""
        known = self.members.get("citations")
        self.members["citations"] = [*(known if isinstance(known, list) else []), citation]

    def result(self) -> dict[str, Any]:
        """The block as a plain answer has it."""
        members = {**self.members, **{name: text.whole() for name, text in self._texts.items()}}
        if self._json is not None and (text := self._json.whole().strip()):
            members["input"] = _arguments(text)
        return members


def _arguments(text: str) -> Any:
    """The arguments that a model has written; the text itself, where it is no JSON, or was cut."""
    try:
        return loads(text.encode())
    except UNREADABLE:
        return text


class MessageFold:
    """Gathers a message's events. A whole message in their place is one as well."""

    __slots__ = ("_at_index", "_blocks", "_ended", "_message", "_usage")

    def __init__(self) -> None:
        self._message: dict[str, Any] = {}
        self._blocks: dict[tuple[int, int], _Block] = {}
        self._at_index: dict[int, _Block] = {}
        self._usage: dict[str, Any] = {}
        self._ended = False

    def add(self, event: MessageStreamEvent) -> None:
        """Take the next event; its cost does not grow with what came before."""
        kind = event.type
        if kind == "content_block_delta":
            if event.delta is not None:
                self._take_delta(event, event.delta)
            return
        sent = event.raw
        sent = sent if isinstance(sent, dict) else {}
        if kind == "content_block_start":
            self._begin(event, sent.get("content_block"))
        elif kind == "content_block_stop":
            if (known := self._at_index.get(self._index_of(event))) is not None:
                known.is_whole = True
        elif kind == "message_start":
            self._take_message(sent.get("message"))
        elif kind == "message_delta":
            delta = sent.get("delta")
            self._take_members(delta if isinstance(delta, dict) else {})
            self._take_usage(sent.get("usage"))
            self._take_members({name: value for name, value in sent.items() if name not in _OF_EVENT})
        elif kind == "message_stop":
            self._take_members({name: value for name, value in sent.items() if name not in _OF_EVENT})
            self._ended = True
        elif kind == "message":
            self._take_message(sent)
            self._ended = bool(self._message.get("stop_reason"))

    def _take_message(self, sent: Any) -> None:
        if not isinstance(sent, dict):
            return
        self._message = dict(sent)
        self._take_usage(sent.get("usage"))
        parts = sent.get("content")
        for index, part in enumerate(parts if isinstance(parts, list) else [parts] if parts else []):
            if isinstance(part, dict | str):
                self._put(index, {"type": "text", "text": part} if isinstance(part, str) else part)

    def _put(self, index: int, members: dict[str, Any]) -> _Block:
        """A block that begins at this index."""
        known = self._at_index.get(index)
        turn = 0 if known is None else len(self._blocks) if known.is_over else known.turn
        made = self._at_index[index] = self._blocks[index, turn] = _Block(members, turn)
        return made

    def _take_members(self, members: dict[str, Any]) -> None:
        for name, value in members.items():
            if value is not None and name != "type":
                self._message[name] = value
            else:
                self._message.setdefault(name, value)

    def _take_usage(self, usage: Any) -> None:
        if isinstance(usage, dict):
            self._usage |= {
                name: value for name, value in usage.items() if value is not None or name not in self._usage
            }

    def _begin(self, event: MessageStreamEvent, sent: Any) -> None:
        index = len(self._blocks) if event.index is None else event.index
        self._put(index, dict(sent) if isinstance(sent, dict) else {"type": ""})

    def _index_of(self, event: MessageStreamEvent) -> int:
        return max(self._at_index, default=0) if event.index is None else event.index

    def _block(self, event: MessageStreamEvent) -> _Block:
        """The block that a delta is for: that of its index, or without one the last."""
        index = self._index_of(event)
        known = self._at_index.get(index) or self._put(index, {"type": ""})
        if not known.members.get("type") and event.delta is not None:
            known.members["type"] = _TYPES.get(event.delta.type, "")
        return known

    def _take_delta(self, event: MessageStreamEvent, delta: MessageDelta) -> None:
        block = self._block(event)
        if delta.text is not None and delta.type == "text_delta":  # as nearly all are
            delta.text = block.take_text("text", delta.text)
        elif delta.thinking is not None and delta.type == "thinking_delta":
            delta.thinking = block.take_text("thinking", delta.thinking)
        elif delta.partial_json is not None:
            piece: Any = delta.partial_json
            delta.partial_json = block.take_json(piece if isinstance(piece, str) else dumps(piece).decode())
        elif delta.citation is not None:
            block.cite(delta.citation)
        else:
            sent = event.raw
            members = sent.get("delta") if isinstance(sent, dict) else None
            for name, value in (members if isinstance(members, dict) else {}).items():
                if name != "type":
                    block.take(name, value)

    def complete(self, *, marked: bool = False) -> bool:
        """Whether the message has said that it is whole; `marked`: the server has sent an end marker."""
        return self._ended or (marked and bool(self._message.get("stop_reason")))

    @property
    def is_whole_answer(self) -> bool:
        """Whether it came in one, as a plain answer does."""
        return self._ended

    def block(self, index: int) -> ContentBlock | None:
        """A block as far as it has come; None where it has not begun."""
        known = self._at_index.get(index)
        return None if known is None else message_of({"content": [known.result()]}).content[0]

    def result(self) -> Message:
        """The message as far as it has come."""
        blocks = [self._blocks[index].result() for index in sorted(self._blocks)]
        told = {**self._message, "content": blocks, **({"usage": self._usage} if self._usage else {})}
        return message_of(repair_all_surrogates(told))
