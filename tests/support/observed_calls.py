"""A client's calls as an observer sees them, in one word each, and servers that do one thing after another."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from headwater import ConnectionLostError, Route
from headwater.protocol.transport import FOREVER
from headwater.telemetry import (
    AttemptBegun,
    AttemptEnded,
    BreakerMoved,
    CallBegun,
    CallEnded,
    ConversationBegun,
    ConversationEnded,
    FailedOver,
    FirstEvent,
    Hedged,
    ObserverEvent,
    ToolBegun,
    ToolEnded,
    WaitBegun,
)
from headwater.testing import MemoryTransport, ScriptedResponse, SentRequest

QUESTION = [{"role": "user", "content": "Hi"}]
FIRST, SECOND = "http://127.0.0.1:1", "http://127.0.0.2:1"
Act = Callable[[], ScriptedResponse | BaseException]


def word(event: ObserverEvent) -> str:
    match event:
        case CallBegun(call=call):
            return f"begun {call.task}"
        case AttemptBegun(number=number, provider=provider, kind=kind):
            return f"{kind} {number} {provider}"
        case AttemptEnded(number=number, attempt=attempt):
            how = "given up" if attempt.cancelled else type(attempt.error).__name__ if attempt.error else "answered"
            return f"{how} {number}"
        case WaitBegun(reason=reason):
            return f"wait {reason}"
        case FirstEvent():
            return "first event"
        case FailedOver(provider=provider, following=following):
            return f"{provider} to {following}"
        case Hedged(provider=provider):
            return f"hedged at {provider}"
        case BreakerMoved(provider=provider, state=state):
            return f"{provider} {state}"
        case CallEnded(outcome=outcome):
            return str(outcome)
        case ToolBegun(tool=tool):
            return f"tool {tool.name}"
        case ToolEnded(tool=tool, outcome=outcome):
            return f"tool {tool.name} {outcome}"
        case ConversationBegun():
            return "conversation"
        case ConversationEnded(outcome=outcome):
            return f"conversation {outcome}"


class Seen:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def __call__(self, event: ObserverEvent) -> None:
        self.events.append(event)

    @property
    def words(self) -> list[str]:
        return [word(event) for event in self.events]

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def answer(content: str = "Hello", **message: Any) -> ScriptedResponse:
    body = {
        "id": "chat-1",
        "model": "m-0613",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": content, **message}, "finish_reason": "stop"}
        ],
        "usage": {
            "prompt_tokens": 5,
            "completion_tokens": 3,
            "total_tokens": 8,
            "prompt_tokens_details": {"cached_tokens": 2},
            "completion_tokens_details": {"reasoning_tokens": 1},
        },
    }
    return ScriptedResponse.json(body, headers={"x-request-id": "req-1"})


def chunk(content: str, finish: str | None = None) -> dict[str, Any]:
    return {"id": "chat-1", "choices": [{"index": 0, "delta": {"content": content}, "finish_reason": finish}]}


def stream() -> ScriptedResponse:
    return ScriptedResponse.events(chunk("Hel"), chunk("lo"), chunk("", "stop"))


def cut() -> ScriptedResponse:
    data = f"data: {json.dumps(chunk('Hel'))}\n\n".encode()
    return ScriptedResponse(data, ConnectionLostError("reset"), content_type="text/event-stream")


def hanging() -> ScriptedResponse:
    return ScriptedResponse(head=[FOREVER])


def silent() -> ScriptedResponse:
    """A stream whose second event does not come."""
    data = f"data: {json.dumps(chunk('Hel'))}\n\n".encode()
    return ScriptedResponse(data, FOREVER, content_type="text/event-stream")


def refusal(status: int) -> Act:
    return lambda: ScriptedResponse.json({"error": {"message": "no"}}, status=status)


def acts(*in_turn: Act) -> MemoryTransport:
    """Does these in turn, the last again and again."""
    waiting = list(in_turn)

    def respond(request: SentRequest) -> ScriptedResponse | BaseException:
        return (waiting.pop(0) if len(waiting) > 1 else waiting[0])()

    return MemoryTransport(respond)


def two() -> list[Route]:
    return [Route(base_url=FIRST, model="m"), Route(base_url=SECOND, model="m")]
