"""Plays a flow by hand: each step gets the next reply, and what the flow asked for is kept.

There is no network here and no engine: a flow that needs more than this is not pure.
"""

from __future__ import annotations

import json
from typing import Any

from headwater.auth.hosts import HUB_URL
from headwater.errors import HeadwaterError
from headwater.media.media import Media
from headwater.protocol.flow import (
    END,
    Cached,
    Call,
    Emit,
    Fetch,
    Flow,
    Load,
    Loaded,
    OnCancel,
    Reply,
    Request,
    Send,
    Sleep,
    Stream,
    TrustOrigin,
)
from headwater.protocol.framing import WHOLE, BodyFraming, Framing, SSEFraming, WholeFraming
from headwater.responses.refusal import error_from_response

Answer = Reply | Loaded | Media | HeadwaterError


class Played:
    """What a flow asked for, in order, and what came of it."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.loads: list[Load] = []
        self.keys: list[Any] = []
        self.events: list[Any] = []
        self.waits: list[float] = []
        self.cancels: list[Request | None] = []
        self.trusted: list[str] = []
        self.ended = False
        self.result: Any = None

    @property
    def request(self) -> Request:
        """The last request."""
        return self.requests[-1]

    @property
    def body(self) -> Any:
        """The last request's body, of JSON."""
        assert isinstance(self.request.body, bytes)
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


def play(flow: Flow[Any], *replies: Answer) -> Played:
    """Play the flow to its end; its error is raised, with what was `played` on it.

    A `Load` takes a `Loaded` of the replies, a `Fetch` a `Media`.
    """
    played, waiting = Played(), list(replies)
    try:
        played.result = _drive(flow, played, waiting)
    except HeadwaterError as error:
        error.__dict__["played"] = played
        raise
    assert not waiting, "the flow did not ask for every reply"
    return played


def _drive(flow: Flow[Any], played: Played, waiting: list[Answer]) -> Any:
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


def _perform(step: Any, played: Played, waiting: list[Answer]) -> Any:
    if isinstance(step, Cached):
        played.keys.append(step.key)
        return _drive(step.flow(), played, waiting)
    if isinstance(step, Emit | Sleep | OnCancel | TrustOrigin):
        return _note(step, played)
    assert isinstance(step, Load | Fetch | Send | Stream)
    if isinstance(step, Load):
        played.loads.append(step)
    else:
        played.requests.append(step.request)
    answer = waiting.pop(0)
    if isinstance(answer, HeadwaterError):
        raise answer
    if isinstance(step, Load | Fetch):
        assert isinstance(answer, Loaded if isinstance(step, Load) else Media)
        return answer
    assert isinstance(answer, Reply)
    if not 200 <= answer.status < 300:
        raise error_from_response(answer, provider="it")
    return answer if isinstance(step, Send) else _stream(step, answer, played)


def _note(step: Emit | Sleep | OnCancel | TrustOrigin, played: Played) -> None:
    if isinstance(step, Emit):
        played.events.append(step.event)
    elif isinstance(step, Sleep):
        played.waits.append(step.seconds)
    elif isinstance(step, TrustOrigin):
        played.trusted.append(step.url)
    else:
        played.cancels.append(step.request)


def _stream(step: Stream[Any, Any], answer: Reply, played: Played) -> Any:
    fold = step.fold()
    framing: Framing = SSEFraming()
    pieces = [answer.body]
    if step.whole and answer.content_type in WHOLE:
        framing = WholeFraming(answer.content_type)
    elif step.framing == "body":
        framing = BodyFraming(answer.headers.get("content-type", ""))
        pieces = [answer.body[:20], answer.body[20:]]
    for frame in [frame for piece in pieces for frame in framing.feed(piece)] + framing.finish():
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
    usual: dict[str, dict[str, Any]] = {
        "chat-completion": {"messages": [{"role": "user", "content": "Hi"}]},
        "text-generation": {"prompt": "Hi"},
        "feature-extraction": {"text": ["Hi"]},
        "embeddings": {"input": ["Hi"]},
    }
    parameters = {**usual.get(task, {}), **facts.pop("parameters", {})}
    facts.setdefault("base", "https://base.example")
    facts.setdefault("hub", HUB_URL)
    return Call(task=task, provider=provider, parameters=parameters, stream=stream, **facts)
