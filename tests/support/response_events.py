"""Streams of the Responses API as servers write them: data for the tests of its flow, its fold and its ends."""

from __future__ import annotations

import json
from typing import Any, Final

from headwater.emulator import wire
from headwater.emulator.dialects import responses
from headwater.emulator.dialects.jobs import JobStore

RESPONSE: Final[dict[str, Any]] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1767225600,
    "status": "in_progress",
    "model": "m",
    "output": [],
    "error": None,
    "incomplete_details": None,
    "temperature": 1.0,
}
MESSAGE: Final[dict[str, Any]] = {
    "id": "msg_1",
    "type": "message",
    "status": "completed",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "Hello", "annotations": []}],
}
NUMBER: Final = {"type": "object", "properties": {"a": {"type": "integer"}}}
TOOLS: Final[list[dict[str, Any]]] = [
    {"type": "function", "name": "add", "strict": False, "parameters": NUMBER},
    {"type": "custom", "name": "shout"},
    {"type": "web_search"},
    {"type": "file_search", "vector_store_ids": ["vs_1"]},
    {"type": "code_interpreter", "container": {"type": "auto"}},
    {"type": "image_generation"},
    {"type": "mcp", "server_label": "river", "server_url": "https://mcp.example"},
]
ASKED: Final[dict[str, Any]] = {
    "input": "add shout search file code image mcp",
    "tools": TOOLS,
    "reasoning": {"effort": "minimal", "summary": "auto"},
}
"""What a response calls every kind of tool for."""


def event(kind: str, **members: Any) -> bytes:
    """An event as OpenAI writes it, under its name."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **members})}\n\n".encode()


def delta(text: str, **members: Any) -> bytes:
    """A piece of the text of `MESSAGE`."""
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0, **members}
    return event("response.output_text.delta", delta=text, **place)


def ended(status: str = "completed", *output: dict[str, Any], **members: Any) -> bytes:
    """The event with the whole response."""
    return event(f"response.{status}", response={**RESPONSE, "status": status, "output": list(output), **members})


def emulated(model: str = "m", **asked: Any) -> list[dict[str, Any]]:
    """The events by which the emulator answers such a request."""
    body = {"model": model, "stream": True, **(asked or ASKED)}
    call = wire.DialectRequest("POST", "/v1/responses", {}, {}, json.dumps(body).encode(), body, model, jobs=JobStore())
    answer = responses.create(call)
    assert isinstance(answer, wire.StreamAnswer)
    return [json.loads(frame.partition(b"data: ")[2]) for frame in answer.frames]


def written(*events: dict[str, Any], named: bool = True) -> bytes:
    """Events as a body; `named`: with their types as the events' names."""
    return b"".join(
        (f"event: {each['type']}\n".encode() if named else b"") + f"data: {json.dumps(each)}\n\n".encode()
        for each in events
    )
