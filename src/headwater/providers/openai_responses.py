"""OpenAI's Responses dialect: the request, the answer, and the events of a stream.

A response ends as "completed", as "incomplete", which is a result that says so, as "failed", which is the error of its
code, or as "cancelled". Anything else is a cut. Nothing here knows a provider's name or maps a model.

https://platform.openai.com/docs/api-reference/responses
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final
from urllib.parse import urlencode, urlsplit, urlunsplit

import msgspec

from ..errors import DecodeError, HeadwaterError, JobFailedError, ProviderError, UnexpectedContentError
from ..protocol.events import Job, Queued, Started, Submitted
from ..protocol.flow import END, Call, Emit, End, Flow, OnCancel, Reply, Request, Send, Sleep, Stream
from ..protocol.framing import EVENT_STREAM, Frame
from ..protocol.json_text import UNREADABLE, dumps, has_halves, loads
from ..responses.decode import decode
from ..responses.envelope import DEEPEST, unwrapped
from ..responses.json_decoder import convert, loads_for
from ..responses.refusal import EXCERPT_BYTES, error_in_body, error_in_place_of_answer
from ..schema.rules import STRICT, NamedSchema, SchemaRules
from ..tasks.model_response import IN_WORK, ModelResponse, ResponseItemList
from ..tasks.response_events import (
    KINDS,
    ResponseAudioEvent,
    ResponseOtherEvent,
    ResponseStatusEvent,
    ResponseStreamEvent,
)
from ..tasks.response_fold import AT_THE_END, ResponseFold
from ..tasks.responses import wire_input
from . import unrequested_stream
from .bodies import get, model_of, parameters, post
from .jobs import job_of, segment
from .openai_chat import unusual

EVENT_MEMBER: Final = b'"sequence_number"'
"""What only the events of a stream have."""
_ENDS: Final = {"completed", "incomplete", "failed", "cancelled"}


class _Typed(msgspec.Struct):
    """What says of an object which event it is, or that it is a whole response."""

    type: Any = None
    object: Any = None
    output: Any = None


_OWN: Final = frozenset(ModelResponse.__struct_fields__)
_typed: Final = msgspec.json.Decoder(_Typed).decode
_decoders: Final = {name: msgspec.json.Decoder(kind).decode for name, kind in KINDS.items()}


def response_flow(call: Call, url: str, rules: SchemaRules = STRICT) -> Flow[ModelResponse]:
    """A response, whole or streamed, at this URL. `rules`: what its typed answers may have of JSON Schema."""
    request = _request(url, call, rules)
    if call.stream:
        step = stream_of(request, ResponseFold()) if request.resend else BackgroundResponse(call, url).created(request)
        answer: ModelResponse = yield step
        return answer
    reply: Reply = yield Send(request)
    fold = ResponseFold()
    found = unrequested_stream.read_unrequested(
        reply, whole_response, partial(decode_response_event, fold), lambda: fold, piece=EVENT_MEMBER
    )
    if fold.failure is not None:
        raise with_partial(fold.failure, found)
    return check_status(found)


def stream_of(request: Request, fold: ResponseFold, **more: Any) -> Stream[ResponseStreamEvent, ModelResponse]:
    """The step that hands a response over in events, gathered by this fold."""
    decode_event = partial(decode_response_event, fold)
    return Stream(request=request, framing="sse", decode=decode_event, fold=lambda: fold, last=_is_last, **more)


def _is_last(fold: Any) -> bool:
    """Whether the event that ends the stream was taken: nothing more is waited for."""
    return bool(fold.complete())


def _request(url: str, call: Call, rules: SchemaRules) -> Request:
    # The model first, so that proxies can route on the body's start.
    body: dict[str, Any] = {"model": model_of(call), **parameters(call)}
    if "input" in body:
        body["input"] = wire_input(body["input"])
    if (wanted := body.pop("text_format", None)) is not None:
        body["text"] = {**msgspec.to_builtins(body.get("text") or {}), "format": _format(wanted, rules)}
    if call.stream:
        body["stream"] = True
    body.update(call.extra)
    request = post(url, body, stream=call.stream)
    is_job = bool(body.get("background"))  # it would be paid for twice
    return msgspec.structs.replace(request, resend=False) if is_job else request


def _format(wanted: Any, rules: SchemaRules) -> Any:
    """A type as a text's format: https://platform.openai.com/docs/guides/structured-outputs; any other as it is."""
    if not isinstance(wanted, NamedSchema):
        return wanted
    found = wanted.fitted(rules)
    return {"type": "json_schema", "name": wanted.name, "schema": found.schema, "strict": found.strict}


def whole_response(reply: Reply) -> ModelResponse:
    """A whole answer. Raises the refusal that it is, and `UnexpectedContentError` for JSON that is no response."""
    response = read_response(reply)
    for _ in range(DEEPEST):
        if response.output or response.status is not None or (inner := unwrapped(reply.body)) is None:
            break
        reply = msgspec.structs.replace(reply, body=inner)
        response = read_response(reply)
    if not response.output and response.status not in _ENDS | IN_WORK:
        refused = error_in_place_of_answer(reply.body)
        if refused is not None:
            raise refused
    if not response.output and response.status is None and b'"response"' not in reply.body:
        error = UnexpectedContentError("the server answered with JSON that is no response")
        error.body = reply.body[:EXCERPT_BYTES]
        raise error
    return response


def read_response(reply: Reply) -> ModelResponse:
    """The answer as a response, also one that failed, whose `error` is its own. Raises as `decode` does."""
    body = reply.body
    if b'"response"' in body and b'"error"' in body:
        try:
            value = loads_for(body, ModelResponse)
        except UNREADABLE:
            return decode(reply, ModelResponse)
        if isinstance(value, dict) and value.get("object") == "response" and value.get("error"):
            response = convert(value, ModelResponse)
            vars(response)["_body"] = body
            return response
    return decode(reply, ModelResponse)


def check_status(response: ModelResponse) -> ModelResponse:
    """The response, unless it failed or was cancelled: raises that error, with the response as its `partial`."""
    error = failure_of(response)
    if error is not None:
        raise with_partial(error, response)
    return response


def with_partial(error: HeadwaterError, response: ModelResponse) -> HeadwaterError:
    """The error with what had come."""
    error.partial = response
    return error


def failure_of(response: ModelResponse) -> HeadwaterError | None:
    """Why the response came to no good end, by the code that it says; None where it did, or is not at its end."""
    if response.status == "cancelled":
        error: HeadwaterError = JobFailedError(f"the response {response.id} was cancelled")
        error.__dict__["code"] = "cancelled"
        return error
    if response.status != "failed" and not (response.error and response.status not in _ENDS | IN_WORK):
        return None
    said = response.error or {"code": "server_error", "message": "the response failed"}
    return error_in_body(dumps({"error": said}), event="error")


def decode_response_event(fold: ResponseFold, frame: Frame) -> ResponseStreamEvent | End | None:
    """An event of a response's stream. The usual case comes first: the frame has its type's name.

    Raises the error that the event is, or `MalformedEventError`.
    """
    if fold.failure is not None:
        raise fold.failure
    data = frame.data
    event: ResponseStreamEvent | End | None = _strict(data, frame.event) or _other_event(frame)
    if event is None or isinstance(event, End):
        return event
    event._body = data  # type: ignore[union-attr]
    if type(event) is ResponseStatusEvent:
        for place in (("response",), ()):  # or the response is the event itself
            if event.response.sent() is None:
                event.response.part_of(data, *place)
        if event.type in AT_THE_END:
            fold.failure = failure_of(_ended(event))
    return event


def _strict(data: bytes, name: str) -> Any:
    """The event of this type, where it is as it should be; else None."""
    decoder = _decoders.get(name)
    if decoder is None:
        return None
    try:
        return decoder(data)
    except UNREADABLE:
        return None


def _ended(event: ResponseStatusEvent) -> ModelResponse:
    """The response of an event that ends a stream, which has the status that the event has."""
    response = event.response
    if response.status in (None, *IN_WORK):
        response.status = event.type.removeprefix("response.")
    return response


def _other_event(frame: Frame) -> Any:
    """An event without its name or with an odd member, a whole response, an end marker, or an error."""
    text = frame.data.strip()
    if not text or text.strip(b"\"'[] ").upper() == b"DONE":
        return END if text else None
    typed = _typed_members(text)
    name = typed.type if isinstance(typed.type, str) else frame.event
    name = "response.completed" if name == "response.done" else name
    kind = KINDS.get(name)
    if kind is None and not name.startswith("response."):
        error = error_in_body(text, event="error" if "error" in (name, frame.event) else "")
        if error is not None:
            raise error
        if typed.object == "response" or (not name and isinstance(typed.output, list)):
            return _of_whole(text)
        if (refused := error_in_place_of_answer(text, sure=bool(name))) is not None:
            raise refused
        inner = unwrapped(text)
        if inner is not None and _typed_members(inner).object == "response":
            return _of_whole(inner)
    if name != frame.event and (event := _strict(text, name)) is not None:
        return event
    try:
        return _read(text, kind or ResponseOtherEvent, name)
    except (*UNREADABLE, DecodeError) as failure:
        unusual(frame if kind is None else msgspec.structs.replace(frame, event=""), failure)
        return None


def _typed_members(text: bytes) -> _Typed:
    try:
        return _typed(text)
    except UNREADABLE:
        pass
    try:
        return msgspec.convert(loads(text, halves=True, replace=True), _Typed)
    except UNREADABLE:
        return _Typed()


def _read(text: bytes, kind: type[Any], name: str) -> Any:
    """The event as far as it can be read, with halves of characters that the fold joins."""
    value = loads(text, halves=True, replace=True) if has_halves(text) else loads_for(text, kind)
    if value is None or value == {}:
        return None
    if isinstance(value, dict):
        value = {**value, "type": name}
        if value.get("delta", "") is None and kind is not ResponseAudioEvent:
            value["delta"] = ""
        if name in AT_THE_END and not value.get("response"):  # it says that it is over, and how, by its name alone
            value["response"] = {"status": name.removeprefix("response."), **{k: value[k] for k in _OWN & value.keys()}}
    return convert(value, kind)


def _of_whole(text: bytes) -> ResponseStatusEvent:
    """The event that a whole response is, of a server that does not stream it."""
    value = loads_for(text, ModelResponse)
    status = value.get("status") if isinstance(value, dict) else None
    name = f"response.{status if isinstance(status, str) and status in _ENDS | IN_WORK else 'completed'}"
    event = convert({"type": name, "response": value}, ResponseStatusEvent)
    event.response.part_of(text)
    return event


# Responses that the server keeps


def retrieve(call: Call, url: str, id_: str, query: tuple[tuple[str, str], ...]) -> Flow[ModelResponse]:
    """The response of this id, as it is now: one that failed as well."""
    reply: Reply = yield Send(get(_place(url, id_, query=query), auth="provider"))
    return read_response(reply)


def retrieve_events(call: Call, url: str, id_: str, query: tuple[tuple[str, str], ...]) -> Flow[ModelResponse]:
    """The events of a response in the background, from the first or behind the one that the query names."""
    request = get(_place(url, id_, query=(("stream", "true"), *query)), auth="provider")
    answer: ModelResponse = yield stream_of(msgspec.structs.replace(request, headers=_EVENTS), ResponseFold())
    return answer


def cancel(call: Call, url: str, id_: str) -> Flow[ModelResponse]:
    """End a response in the background: the response as it is then."""
    reply: Reply = yield Send(cancelling(url, id_))
    return read_response(reply)


def delete(call: Call, url: str, id_: str) -> Flow[None]:
    """Have the server forget a response."""
    yield Send(Request(method="DELETE", url=_place(url, id_), headers={"accept": "application/json"}))


def input_items(call: Call, url: str, id_: str, query: tuple[tuple[str, str], ...]) -> Flow[ResponseItemList]:
    """What a response was made of, a page of it."""
    reply: Reply = yield Send(get(_place(url, id_, "input_items", query=query), auth="provider"))
    return decode(reply, ResponseItemList)


class BackgroundResponse:
    """A response in the background and its stream, which goes on where it was cut.

    The server is asked for the events behind the newest one; as often as that brings any, and else a few times. Where
    it numbers none, or has no stream of the response, it is asked how the response is until that is over.
    """

    def __init__(self, call: Call, url: str) -> None:
        self._call = call
        self._url = url
        self._fold = ResponseFold(self._job)
        self._tries = 0

    def _job(self, id_: str, last: int | None) -> tuple[Job, Request]:
        state = {"stream": "true", **({} if last is None else {"starting_after": str(last)})}
        return job_of(self._call, id_, **state), cancelling(self._url, id_)

    def created(self, request: Request) -> Stream[ResponseStreamEvent, ModelResponse]:
        """The step that begins the response."""
        return stream_of(request, self._fold, rejoin=self._rejoin)

    def resumed(self, job: Job) -> Flow[ModelResponse]:
        """What goes on with a response that was begun before, behind the event that its job names."""
        after = job.state.get("starting_after", "")
        self._fold.last = int(after) if after.isdigit() else None
        yield OnCancel(cancelling(self._url, job.id))
        if "stream" not in job.state:
            return (yield from self.watched(job))
        yield Emit(Submitted(job))
        self._fold.id = job.id
        return (yield from self._followed())

    def watched(self, job: Job) -> Flow[ModelResponse]:
        """The response once it is over; how it is meanwhile is handed over."""
        self._fold.id = job.id
        yield Emit(Submitted(job))
        return (yield from self._polled(tells=True))

    def _rejoin(self, fold: Any) -> Flow[ModelResponse] | None:
        """What goes on with a stream that was cut, where anything is known of its response."""
        self._tries += 1
        is_hopeless = self._tries > _MOST_TRIES and not self._fold.is_over
        return None if is_hopeless or not self._fold.id else self._rejoined()

    def _rejoined(self) -> Flow[ModelResponse]:
        if self._fold.is_over:  # nothing was cut but the connection behind it
            return self._fold.result()
        yield OnCancel(cancelling(self._url, self._fold.id))
        if self._tries > 1:
            yield Sleep(_PAUSE_SECONDS * 2**self._tries)
        try:
            if self._fold.last is None:
                return (yield from self._polled())
            return (yield from self._followed())
        except HeadwaterError as error:
            yield OnCancel(None)  # it goes on, and may be taken up again
            error.partial = error.partial or self._fold.result()
            raise

    def _followed(self) -> Flow[ModelResponse]:
        """The events behind the newest one; what the server sends of those before it is passed over."""
        last = self._fold.last
        query = (("stream", "true"), *((("starting_after", str(last)),) if last is not None else ()))
        request = Request(
            method="GET", url=_place(self._url, self._fold.id, query=query), headers={"accept": EVENT_STREAM}
        )
        step = stream_of(request, self._fold, rejoin=self._rejoin)
        try:
            answer: ModelResponse = yield msgspec.structs.replace(step, decode=partial(self._decode_following, last))
        except UnexpectedContentError:  # there is none behind the newest one
            return (yield from self._polled())
        except ProviderError as refused:
            if refused.status not in _NO_STREAM:
                raise
            return (yield from self._polled())
        return answer

    def _decode_following(self, last: int | None, frame: Frame) -> ResponseStreamEvent | End | None:
        event = decode_response_event(self._fold, frame)
        if event is None or isinstance(event, End):
            return event
        number = event.sequence_number
        if last is not None and number is not None and number <= last:
            return None
        self._tries = 0
        return event

    def _polled(self, *, tells: bool = False) -> Flow[ModelResponse]:
        """The response once it is over. `tells`: hand over how it is meanwhile."""
        told = None
        while True:
            response = read_response((yield Send(get(_place(self._url, self._fold.id), auth="provider"))))
            if response.is_over:
                yield OnCancel(None)
                return check_status(response)
            if tells and response.status != told:
                told = response.status
                yield Emit(Queued() if told == "queued" else Started())
            yield Sleep(_POLL_SECONDS)


_MOST_TRIES: Final = 5
"""How often in a row a stream is taken up again that brings no event."""
_PAUSE_SECONDS: Final = 0.25
_POLL_SECONDS: Final = 1.0
_NO_STREAM: Final = frozenset({400, 405, 422, 501})
"""What servers say that do not stream a response anew, or not this one."""


def resumed_response(call: Call, url: str, job: Job) -> Flow[ModelResponse]:
    """A response in the background that was begun before, watched to its end."""
    return BackgroundResponse(call, url).resumed(job)


def watched_response(call: Call, url: str, id_: str) -> Flow[ModelResponse]:
    """A response by its id, once it is over: its states are told meanwhile. Leaving this does not end it."""
    return BackgroundResponse(call, url).watched(job_of(call, id_))


def cancelling(url: str, id_: str) -> Request:
    """The request that ends a response in the background."""
    return Request(method="POST", url=_place(url, id_, "cancel"), headers={"accept": "application/json"})


_EVENTS: Final = {"accept": EVENT_STREAM}


def _place(url: str, id_: str, *more: str, query: tuple[tuple[str, str], ...] = ()) -> str:
    """The URL of a response, and of what belongs to it; the query of the server's own URL stays."""
    parts = urlsplit(url)
    path = "/".join([parts.path, segment(id_), *more])
    asked = "&".join(filter(None, [parts.query, urlencode(query)]))
    return urlunsplit(parts._replace(path=path, query=asked))
