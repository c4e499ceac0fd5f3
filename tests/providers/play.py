"""Plays a flow by hand: each step gets the next reply, and what the flow asked for is kept.

There is no network here and no engine: a flow that needs more than this is not pure.
"""

from __future__ import annotations

import json
from typing import Any

from headwater.errors import HeadwaterError
from headwater.flow import END, Cached, Call, Flow, Reply, Request, Send, Stream
from headwater.framing import SSEFraming
from headwater.refusals import refusal


class Played:
    """What a flow asked for, in order, and what came of it."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.keys: list[Any] = []
        self.events: list[Any] = []
        self.ended = False
        self.result: Any = None

    @property
    def request(self) -> Request:
        """The last request."""
        return self.requests[-1]

    @property
    def body(self) -> Any:
        """The last request's body."""
        return json.loads(self.request.body)


def reply(body: Any, status: int = 200, content_type: str = "application/json", **headers: str) -> Reply:
    """An answer; whatever is not bytes is sent as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status=status, headers={"content-type": content_type, **named}, body=data)


def events(*chunks: Any) -> Reply:
    """An event stream of these chunks, ended by its marker."""
    lines = [f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks]
    return reply(b"".join(lines) + b"data: [DONE]\n\n", content_type="text/event-stream")


def play(flow: Flow[Any], *replies: Reply | HeadwaterError) -> Played:
    """Play the flow to its end; its error is raised, with what was `played` on it."""
    played, waiting = Played(), list(replies)
    try:
        played.result = _drive(flow, played, waiting)
    except HeadwaterError as error:
        error.__dict__["played"] = played
        raise
    assert not waiting, "the flow did not ask for every reply"
    return played


def _drive(flow: Flow[Any], played: Played, waiting: list[Reply | HeadwaterError]) -> Any:
    try:
        step = next(flow)
        while True:
            try:
                value = _perform(step, played, waiting)
            except HeadwaterError as error:
                step = flow.throw(error)
            else:
                step = flow.send(value)
    except StopIteration as stop:
        return stop.value


def _perform(step: Any, played: Played, waiting: list[Reply | HeadwaterError]) -> Any:
    if isinstance(step, Cached):
        played.keys.append(step.key)
        return _drive(step.flow(), played, waiting)
    assert isinstance(step, Send | Stream)
    played.requests.append(step.request)
    answer = waiting.pop(0)
    if isinstance(answer, HeadwaterError):
        raise answer
    if not 200 <= answer.status < 300:
        raise refusal(answer, provider="it")
    return answer if isinstance(step, Send) else _stream(step, answer, played)


def _stream(step: Stream[Any, Any], answer: Reply, played: Played) -> Any:
    framing, fold = SSEFraming(), step.fold()
    for frame in framing.feed(answer.body) + framing.finish():
        event = step.decode(frame)
        if event is END:
            played.ended = True
            break
        if event is not None:
            played.events.append(event)
            fold.add(event)
    return fold.result()


def call(task: str, provider: str = "together", *, stream: bool = False, **facts: Any) -> Call:
    """A call of this task with plain parameters; with a `model` nothing is mapped."""
    parameters = {
        "chat-completion": {"messages": [{"role": "user", "content": "Hi"}]},
        "text-generation": {"prompt": "Hi"},
        "feature-extraction": {"text": ["Hi"]},
        "embeddings": {"input": ["Hi"]},
    }[task]
    parameters = {**parameters, **facts.pop("parameters", {})}
    facts.setdefault("base", "https://base.example")
    return Call(task=task, provider=provider, parameters=parameters, stream=stream, **facts)
