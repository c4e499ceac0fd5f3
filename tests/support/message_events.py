"""Events of Anthropic's Messages as a server sends them, and what they come to: data for the tests of that dialect."""

from __future__ import annotations

import json
from typing import Any, Final

Event = tuple[str, dict[str, Any]]

USAGE: Final = {"input_tokens": 10, "cache_creation_input_tokens": 3, "cache_read_input_tokens": 5, "output_tokens": 1}
ASKED: Final[list[dict[str, Any]]] = [{"role": "user", "content": "hi"}]


def message(*content: dict[str, Any], stop: str | None = "end_turn", **more: Any) -> dict[str, Any]:
    """A whole message."""
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": list(content),
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {**USAGE, "output_tokens": 15},
        **more,
    }


def start(**more: Any) -> Event:
    return "message_start", {"message": message(stop=None, usage=USAGE, **more)}


def begin(index: int, **block: Any) -> Event:
    return "content_block_start", {"index": index, "content_block": block}


def delta(index: int, kind: str, **more: Any) -> Event:
    return "content_block_delta", {"index": index, "delta": {"type": kind, **more}}


def stop(index: int) -> Event:
    return "content_block_stop", {"index": index}


def end(reason: str | None = "end_turn", sequence: str | None = None, **usage: Any) -> list[Event]:
    told = {"stop_reason": reason, "stop_sequence": sequence}
    return [("message_delta", {"delta": told, "usage": usage or {"output_tokens": 15}}), ("message_stop", {})]


PING: Final[Event] = ("ping", {})
TEXT: Final[list[Event]] = [
    begin(0, type="text", text=""),
    delta(0, "text_delta", text="Grüße"),
    delta(0, "text_delta", text=', \n\n"😀"'),
    stop(0),
]
CITATION: Final = {"type": "char_location", "cited_text": "so", "document_index": 0}
EVERYTHING: Final[list[Event]] = [
    start(),
    PING,
    begin(0, type="thinking", thinking="", signature=""),
    delta(0, "thinking_delta", thinking="let me "),
    delta(0, "thinking_delta", thinking="see"),
    delta(0, "signature_delta", signature="c2ln"),
    stop(0),
    begin(1, type="redacted_thinking", data="ZGF0YQ=="),
    stop(1),
    begin(2, type="text", text="", citations=[]),
    delta(2, "text_delta", text="It is "),
    delta(2, "citations_delta", citation=CITATION),
    delta(2, "text_delta", text="so"),
    stop(2),
    begin(3, type="server_tool_use", id="srvtoolu_1", name="web_search", input={}),
    delta(3, "input_json_delta", partial_json='{"query": "x"}'),
    stop(3),
    begin(4, type="web_search_tool_result", tool_use_id="srvtoolu_1", content=[{"type": "web_search_result"}]),
    stop(4),
    begin(5, type="tool_use", id="toolu_1", name="weather", input={}),
    delta(5, "input_json_delta", partial_json=""),
    delta(5, "input_json_delta", partial_json='{"city": "K'),
    delta(5, "input_json_delta", partial_json='öln"}'),
    stop(5),
    begin(6, type="tool_use", id="toolu_2", name="time", input={}),
    stop(6),
    begin(7, type="compaction", content=""),
    delta(7, "compaction_delta", content="all of it"),
    stop(7),
    ("weather_report", {"sunny": True}),
    *end("tool_use", output_tokens=15),
]
"""Every event, every delta, and some that are new."""
CONTENT: Final[list[dict[str, Any]]] = [
    {"type": "thinking", "thinking": "let me see", "signature": "c2ln"},
    {"type": "redacted_thinking", "data": "ZGF0YQ=="},
    {"type": "text", "text": "It is so", "citations": [CITATION]},
    {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
    {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [{"type": "web_search_result"}]},
    {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Köln"}},
    {"type": "tool_use", "id": "toolu_2", "name": "time", "input": {}},
    {"type": "compaction", "content": "all of it"},
]
"""What all of that is as a plain answer's content."""


def sse(*events: Event) -> bytes:
    """The events as bytes."""
    texts = [
        f"event: {name}\ndata: {json.dumps({'type': name, **more}, ensure_ascii=False)}\n\n" for name, more in events
    ]
    return "".join(texts).encode()


def failed(kind: str, text: str = "no") -> Event:
    """An error inside a stream."""
    return "error", {"error": {"type": kind, "message": text}, "request_id": "req_1"}
