"""Plays a recorded exchange: the call that it would have been, our flow for it, and the recorded answer in its place.

Nothing is sent: the flow is driven by hand, and what else it asks for gets plain answers.
"""

from __future__ import annotations

import io
import json
import warnings
from typing import Any

from PIL import Image

from headwater.auth.hosts import HUB_URL
from headwater.client import hub
from headwater.errors import HeadwaterError, IncompleteStreamError, NotFoundError
from headwater.media.media import Media
from headwater.protocol.flow import END, Cached, Call, Fetch, Flow, Load, Loaded, Reply, Request, Send, Stream
from headwater.protocol.framing import SSEFraming
from headwater.providers import PROVIDERS, flow_for
from headwater.providers import model_ids as mapping
from headwater.providers import pipeline_results as answers
from headwater.responses.refusal import error_from_response
from support.recordings.exchange import CHAT, PIPELINES, TEXT, VECTORS, Exchange, Recognised
from support.recordings.jobs import around, job_of

NAMED = "org/model"
"""Where a recorded request names no model."""
PNG = io.BytesIO()
Image.new("RGB", (4, 3), "white").save(PNG, "PNG")
FILES = {
    "image": (PNG.getvalue(), "image/png"),
    "audio": (b"fLaC" + bytes(60), "audio/flac"),
    "video": (b"\x00\x00\x00\x18ftypisom" + bytes(60), "video/mp4"),
}
USUAL = {
    "audio": b"",
    "image": b"",
    "video": b"",
    "text": "Hi",
    "prompt": "Hi",
    "question": "?",
    "query": "?",
    "context": ".",
    "sentence": "a",
    "other_sentences": ["b", "c", "d"],  # as many as the recorded answers are for
    "table": {"a": ["1"]},
    "candidate_labels": ["a", "b"],
    "messages": [{"role": "user", "content": "Hi"}],
}
PARTS = {
    **dict.fromkeys(("audio-classification", "automatic-speech-recognition", "text-to-speech"), "audio"),
    **{task: "image" for task, pipeline in PIPELINES.items() if "image" in pipeline.inputs.values()},
}
"""The kind of file in a task, where its name does not end in it."""


class Player:
    """Drives a flow: the recorded answer for the request that it belongs to, plain ones for all around it."""

    def __init__(self, exchange: Exchange, what: Recognised) -> None:
        self.exchange, self.what = exchange, what
        self.asked: list[Request] = []
        self.request: Request | None = None
        self.events: list[Any] = []

    def play(self, flow: Flow[Any]) -> Any:
        """The flow's result; raises what it raises."""
        try:
            step = next(flow)
            while True:
                try:
                    value = self._perform(step)
                except HeadwaterError as error:
                    step = flow.throw(error)
                else:
                    step = flow.send(value)
        except StopIteration as stop:
            return stop.value

    def _perform(self, step: Any) -> Any:
        if isinstance(step, Cached):
            return self.play(step.flow())
        if isinstance(step, Load):
            data, kind = FILES[self._family(step.mime_type)]
            return Loaded(mime_type=kind, data=data, size=len(data))
        if isinstance(step, Fetch):
            return Media(*FILES[self._family(step.mime_type)])
        if isinstance(step, Stream):
            return self._stream(step)
        return self._answer(step.request) if isinstance(step, Send) else self._note(step)

    def _family(self, kind: str) -> str:
        """What is read or downloaded: as the flow says, else as the task does."""
        task = self.what.task
        return next((name for name in FILES if kind.startswith(name)), PARTS.get(task, task.rpartition("-to-")[2]))

    def _note(self, step: Any) -> None:
        self.events.append(step)

    def _answer(self, request: Request) -> Reply:
        self.asked.append(request)
        reply = self._around(request)
        if reply is None:
            self.request, reply = request, self.exchange.reply
        if not 200 <= reply.status < 300:
            raise error_from_response(reply, provider=self.what.provider)
        return reply

    def _around(self, request: Request) -> Reply | None:
        """The answer to a request that is not the recorded one."""
        if request.auth == "hub" and self.what.place != "hub":
            raise NotFoundError("the Hub is not asked here")
        if self.what.place == "hub" and len(self.asked) > 1:
            return _json({})
        found = around(self.exchange, self.what, request, is_used=self.request is not None)
        return None if found is None else _json(found)

    def _stream(self, step: Stream[Any, Any]) -> Any:
        reply, framing, fold, marked = self._answer(step.request), SSEFraming(), step.fold(), False
        for frame in framing.feed(reply.body) + framing.finish():
            event = step.decode(frame)
            marked = marked or event is END
            if event is not END and event is not None:
                self.events.append(event)
                fold.add(event)
        if not marked and not fold.complete():
            raise IncompleteStreamError("the stream ended before its answer did")
        return fold.result()


def _json(body: Any) -> Reply:
    return Reply(status=200, headers={"content-type": "application/json"}, body=json.dumps(body).encode())


# The call that the recorded request would have been


def call_of(exchange: Exchange, what: Recognised) -> Call:
    """Its task's arguments as far as its body has them, and usual ones where it was not stored."""
    given, extra = _arguments(exchange, what)
    return Call(
        task=what.task,
        provider=what.provider,
        parameters={name: value for name, value in given.items() if value is not None},
        base=what.base,
        hub=HUB_URL,
        model=what.model or NAMED,
        hub_id=what.model or NAMED,
        routed=what.place != "direct",
        url=exchange.url.partition("?")[0] if what.provider == "url" else None,
        extra=extra,
        stream=what.streamed,
    )


def _arguments(exchange: Exchange, what: Recognised) -> tuple[dict[str, Any], dict[str, Any]]:
    sent = exchange.sent if isinstance(exchange.sent, dict) else {}
    if what.task == CHAT:
        rest = {name: value for name, value in sent.items() if name not in {"messages", "model", "stream"}}
        return {"messages": sent.get("messages") or USUAL["messages"]}, rest
    if what.task == TEXT:
        inputs = sent.get("inputs", sent.get("prompt"))
        return {"prompt": inputs if isinstance(inputs, str) else "Hi", **(sent.get("parameters") or {})}, {}
    if what.task == VECTORS:
        return {"text": sent.get("inputs", sent.get("input")) or "Hi"}, {}
    if what.provider in {"hf-inference", "url"}:
        return _of_pipeline(what.task, sent), {}
    asked = sent.get("input", sent)
    names = {name: name for name in USUAL if name in asked}
    usual = {name: USUAL[name] for name in PIPELINES[what.task].inputs.values()}
    return {**usual, **{name: asked[name] for name in names if name not in FILES}}, {}


def _of_pipeline(task: str, sent: dict[str, Any]) -> dict[str, Any]:
    inputs, pipeline = sent.get("inputs", sent), PIPELINES[task]
    found = {name: inputs if place == "" else _at(inputs, place) for place, name in pipeline.inputs.items()}
    usual = {name: USUAL[name] for name in pipeline.inputs.values()}
    texts = {name: value for name, value in found.items() if value is not None and name not in FILES}
    return {**usual, **texts, **(sent.get("parameters") or {})}


def _at(inputs: Any, place: str) -> Any:
    return inputs.get(place) if isinstance(inputs, dict) else None


def run(exchange: Exchange, what: Recognised) -> tuple[Player, Any]:
    """Play it: the result, or the error."""
    player = Player(exchange, what)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of parameters that are left out
            return player, player.play(_flow(exchange, what))
    except HeadwaterError as error:
        return player, error


def _flow(exchange: Exchange, what: Recognised) -> Flow[Any]:
    call = call_of(exchange, what) if what.place != "hub" and not what.task.startswith("download") else None
    if what.task == "mapping":
        return mapping.entries_of(_hub_call(what), what.model or "")
    if what.task == "card":
        return hub.model_status(_hub_call(what))
    if call is None:
        return _downloaded(exchange)
    if what.step == "poll":
        return PROVIDERS[what.provider].resume[what.task](call, job_of(exchange, what))
    return flow_for(what.provider, what.task)(call)


def _hub_call(what: Recognised) -> Call:
    return Call(task=TEXT, parameters={}, provider=what.provider, base=what.base, hub=HUB_URL, hub_id=what.model)


def _downloaded(exchange: Exchange) -> Flow[Any]:
    reply: Reply = yield Send(Request(method="GET", url=exchange.url))
    return answers.media(reply, reply.content_type.partition("/")[0])
