"""The Responses dialect, step by step: what is sent, every event typed and folded, and every end told as it is."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from support.flow_player import Played, call, play, reply
from support.response_events import ASKED, MESSAGE, RESPONSE, delta, emulated, ended, event, written

from headwater import (
    ContentRefusedError,
    InvalidRequestError,
    JobFailedError,
    MalformedEventError,
    ModelResponse,
    NotFoundError,
    OverloadedError,
    ProviderError,
    RateLimitError,
    ResponseFunctionToolCall,
    ResponseOtherEvent,
    ResponseOtherItem,
    ResponseOutputItem,
    ResponseOutputMessage,
    ResponseReasoningItem,
    ResponseStreamEvent,
    ServerError,
    UnexpectedContentError,
)
from headwater.protocol.flow import Stream
from headwater.protocol.framing import SSEFraming
from headwater.providers.openai_responses import response_flow
from headwater.tasks.response_events import KINDS

URL = "https://it.example/v1/responses"
EVENTS = "text/event-stream"
BEGUN = event("response.created", response=RESPONSE, sequence_number=0)


def asked(stream: bool = False, **parameters: Any) -> Any:
    return response_flow(call("responses", model="m", stream=stream, parameters={"input": "Hi", **parameters}), URL)


def streamed(*frames: bytes) -> Played:
    return play(asked(stream=True), reply(b"".join(frames), content_type=EVENTS))


def whole(**members: Any) -> ModelResponse:
    found: ModelResponse = play(asked(), reply({**RESPONSE, "status": "completed", **members})).result
    return found


# -- what is sent


def test_a_request_has_what_was_given_and_no_more() -> None:
    played = play(asked(temperature=0, tools=[]), reply(RESPONSE))
    assert played.body == {"model": "m", "input": "Hi", "temperature": 0, "tools": []}
    assert played.request.resend
    assert streamed(BEGUN, ended()).body == {"model": "m", "input": "Hi", "stream": True}


@pytest.mark.parametrize("stream", [False, True])
def test_what_goes_on_in_the_background_is_submitted_once(stream: bool) -> None:
    answer = reply(BEGUN + ended(), content_type=EVENTS) if stream else reply({**RESPONSE, "status": "queued"})
    assert not play(asked(stream=stream, background=True), answer).request.resend


def test_items_go_back_with_all_that_the_server_gave() -> None:
    output = [
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA", "new": {"x": None}},
        {**MESSAGE, "phase": "final_answer", "content": [{**MESSAGE["content"][0], "new": 1}]},
        {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}", "async": True},
        {"type": "hologram_call", "id": "h_1", "action": {"beam": None}},
    ]
    for response in (whole(output=output), streamed(BEGUN, ended("completed", *output)).result):
        answer = {"type": "function_call_output", "call_id": "c", "output": "3"}
        played = play(asked(input=[*response.output, answer]), reply(RESPONSE))
        assert played.body["input"] == [*output, answer]


def test_nulls_of_an_item_are_the_servers_own() -> None:
    """Of the members that it did not send none goes back, and those that it sent as null do so."""
    items: list[dict[str, Any]] = [
        {"type": "code_interpreter_call", "id": "ci_1", "code": "1", "container_id": "c", "outputs": None},
        {"type": "reasoning", "id": "rs_1", "summary": [], "content": None},
        {**MESSAGE, "content": [{**MESSAGE["content"][0], "logprobs": None}]},
    ]
    for response in (whole(output=items), streamed(BEGUN, *(item_done(n, one) for n, one in enumerate(items))).result):
        assert play(asked(input=response.output), reply(RESPONSE)).body["input"] == items


def item_done(index: int, item: dict[str, Any]) -> bytes:
    return event("response.output_item.done", output_index=index, item=item)


# -- whole answers


def test_a_whole_answer_has_its_items_by_their_types() -> None:
    response = whole(
        output=[MESSAGE, {"type": "reasoning", "summary": []}, {"type": "beam"}], usage={"input_tokens": 3}
    )
    assert [type(item) for item in response.output] == [
        ResponseOutputMessage,
        ResponseReasoningItem,
        ResponseOtherItem,
    ]
    assert (response.output_text, response.usage and response.usage.input_tokens) == ("Hello", 3)
    assert response["temperature"] == 1.0 and response.raw["temperature"] == 1.0
    assert response.is_over and response.reason is None and response.refusal is None


ODD = [
    ({"output": None}, ""),
    ({"output": [{**MESSAGE, "content": "Hello"}]}, "Hello"),
    ({"output": [{**MESSAGE, "content": [{"text": "Hello"}]}, None, "?"]}, "Hello"),
    ({"output": [{**MESSAGE, "role": None, "status": 7}], "created_at": "now"}, "Hello"),
    ({"output": [{"type": "message", "content": 3}]}, ""),
]


@pytest.mark.parametrize(("members", "text"), ODD)
def test_odd_members_are_read_as_far_as_they_can_be(members: dict[str, Any], text: str) -> None:
    response = whole(**members)
    assert response.output_text == text
    assert json.loads(response.to_json())["id"] == "resp_1"


def test_an_incomplete_response_says_so() -> None:
    response = whole(status="incomplete", incomplete_details={"reason": "max_output_tokens"}, output=[MESSAGE])
    assert (response.status, response.reason, response.output_text) == ("incomplete", "max_output_tokens", "Hello")


ERRORS: list[tuple[Any, type[ProviderError]]] = [
    ({"code": "server_error", "message": "x"}, ServerError),
    ({"code": "rate_limit_exceeded", "message": "x"}, RateLimitError),
    ({"code": "invalid_prompt", "message": "x"}, InvalidRequestError),
    ({"code": "image_content_policy_violation", "message": "x"}, ContentRefusedError),
    ({"code": "bio_policy", "message": "x"}, ContentRefusedError),
    ({"code": "misalignment_policy_violation", "message": "x"}, ContentRefusedError),
    ({"code": "image_too_large", "message": "x"}, InvalidRequestError),
    ({"code": "empty_image_file", "message": "x"}, InvalidRequestError),
    ({"code": "image_file_not_found", "message": "x"}, InvalidRequestError),
    ({"code": "failed_to_download_image", "message": "x"}, InvalidRequestError),
    ({"code": "vector_store_timeout", "message": "x"}, ServerError),
    ({"code": "overloaded", "message": "x"}, OverloadedError),
    (None, ServerError),
]


@pytest.mark.parametrize(("said", "kind"), ERRORS)
def test_a_failed_response_is_the_error_of_its_code(said: Any, kind: type[ProviderError]) -> None:
    with pytest.raises(kind) as caught:
        whole(status="failed", error=said, output=[MESSAGE])
    assert caught.value.partial.output_text == "Hello"
    assert caught.value.code == (said["code"] if said else "server_error")


def test_a_cancelled_response_is_no_answer() -> None:
    with pytest.raises(JobFailedError, match="cancelled"):
        whole(status="cancelled")


@pytest.mark.parametrize("answer", [{}, {"choices": []}, {"output": []}, {"id": 3}])
def test_what_is_no_response_is_refused(answer: Any) -> None:
    with pytest.raises(UnexpectedContentError):
        play(asked(), reply(answer))


def test_an_answer_that_nobody_wanted_streamed_is_read() -> None:
    body = BEGUN + delta("Hello") + ended("completed", MESSAGE)
    assert play(asked(), reply(body, content_type=EVENTS)).result.output_text == "Hello"
    with pytest.raises(RateLimitError) as caught:
        failed = ended("failed", error={"code": "rate_limit_exceeded", "message": "x"})
        play(asked(), reply(BEGUN + delta("Hel") + failed, content_type=EVENTS))
    assert caught.value.partial.output_text == "Hel"


# -- events


def test_every_event_that_is_documented_is_typed_and_folded() -> None:
    told = emulated()
    played = play(asked(stream=True), reply(written(*told), content_type=EVENTS))
    assert [one.type for one in played.events] == [one["type"] for one in told]
    assert not any(isinstance(one, ResponseOtherEvent) for one in played.events)
    for one, sent in zip(played.events, told, strict=True):
        assert isinstance(one, KINDS[sent["type"]]) and one.raw == sent
        assert one.sequence_number == sent["sequence_number"]
    assert played.result.to_dict()["output"] == play(asked(), reply(told[-1]["response"])).result.to_dict()["output"]


@pytest.mark.parametrize("model", ["m", "m-refuse"])
@pytest.mark.parametrize("numbers", ["all", "none", "no ids"])
@pytest.mark.parametrize("named", [True, False])
def test_the_fold_of_all_events_but_the_last_is_what_that_has(model: str, numbers: str, named: bool) -> None:
    for asked_for in (ASKED, {"input": "a b"}, {"input": "Say it", "reasoning": {"effort": "low"}}):
        told = emulated(f"{model}-unnumbered" if numbers == "none" else model, **asked_for)
        if numbers == "no ids":
            told = [{name: value for name, value in one.items() if name != "item_id"} for one in told]
        body = written(*told[:-1], named=named)
        kept = play(asked(stream=True), reply(body, content_type=EVENTS)).result
        end = play(asked(), reply(told[-1]["response"])).result
        assert kept.to_dict()["output"] == end.to_dict()["output"]


def test_the_fold_is_right_before_anything_is_whole() -> None:
    """Of pieces alone: no event that has something whole."""
    told = [one for one in emulated() if not one["type"].endswith(".done")][:-1]
    kept = play(asked(stream=True), reply(written(*told), content_type=EVENTS)).result
    whole_one = play(asked(), reply(emulated()[-1]["response"])).result
    for part, end in zip(kept.output, whole_one.output, strict=True):
        assert part.type == end.type
        for name in ("arguments", "input", "code"):
            assert part.get(name) == end.get(name)
        assert [p.text for p in part.get("summary") or []] == [p.text for p in end.get("summary") or []]


def test_a_stream_without_items_or_indexes_is_put_together() -> None:
    frames = [
        event("response.reasoning_text.delta", item_id="r", delta="Hm"),
        event("response.reasoning_text.delta", item_id="r", delta="m"),
        event("response.output_text.delta", item_id="m", delta="Hel"),
        event("response.output_text.delta", item_id="m", delta="lo"),
        event("response.function_call_arguments.delta", item_id="f", delta='{"a":'),
        event("response.function_call_arguments.done", item_id="f", arguments='{"a": 1}', name="f"),
    ]
    reasoning, message, function = streamed(*frames).result.output
    assert isinstance(reasoning, ResponseReasoningItem) and reasoning.content and reasoning.content[0].text == "Hmm"
    assert isinstance(message, ResponseOutputMessage) and message.text == "Hello"
    assert isinstance(function, ResponseFunctionToolCall) and function.arguments == '{"a": 1}'


def test_parallel_calls_are_told_apart_however_they_are_mixed() -> None:
    def piece(item: str, index: int, text: str) -> bytes:
        return event("response.function_call_arguments.delta", item_id=item, output_index=index, delta=text)

    def begin(item: str, index: int) -> bytes:
        made = {"type": "function_call", "id": item, "call_id": f"c{index}", "name": f"f{index}", "arguments": ""}
        return event("response.output_item.added", output_index=index, item=made)

    for name in ("", "same", None):
        ids = ["a", "b"] if name is None else [name, name]
        frames = [begin(ids[0], 0), begin(ids[1], 1), piece(ids[1], 1, "[2"), piece(ids[0], 0, "[1")]
        frames += [piece(ids[0], 0, "]"), piece(ids[1], 1, "]")]
        found = streamed(*frames).result.output
        assert [(one.name, one.arguments) for one in found] == [("f0", "[1]"), ("f1", "[2]")]


def test_an_unknown_event_is_passed_on() -> None:
    played = streamed(BEGUN, event("response.hologram.beam", beam={"x": 1}, error={"code": "no"}), ended())
    assert isinstance(other := played.events[1], ResponseOtherEvent)
    assert (other.type, other["beam"], other.raw["error"]) == ("response.hologram.beam", {"x": 1}, {"code": "no"})


ODD_EVENTS = [
    b'data: {"type": "response.output_text.delta", "delta": "Hello"}\n\n',
    b'event: response.output_text.delta\ndata: {"delta": "Hello", "item_id": 7, "output_index": "0"}\n\n',
    b'event: message\ndata: {"type": "response.output_text.delta", "delta": "Hello", "logprobs": "none"}\n\n',
    b'event: response.created\ndata: {"type": "response.output_text.delta", "delta": "Hello", "item_id": null}\n\n',
    b'data: {"type": "response.output_text.delta", "delta": "Hello", "sequence_number": "x"}\n\n',
    event("response.output_item.added", item={"id": "m", "type": "message", "content": [[{}]]}) + delta("Hello"),
    event("response.output_item.added", item={"id": "m", "type": "message", "content": [[1, 2], 7]}) + delta("Hello"),
    b": still here\n\ndata: {}\n\n" + delta("Hello"),
    b'event: ping\ndata: {"at": 1}\n\n' + delta("Hello"),
]


@pytest.mark.parametrize("frames", ODD_EVENTS)
def test_odd_events_are_read_as_far_as_they_can_be(frames: bytes) -> None:
    assert streamed(BEGUN, frames, ended()).result.output_text == "Hello"


def test_halves_of_a_character_meet() -> None:
    frames = [
        b'data: {"type":"response.output_text.delta","item_id":"m","delta":"a\\ud83d"}\n\n',
        b'data: {"type":"response.output_text.delta","item_id":"m","delta":"\\ude00b"}\n\n',
    ]
    played = streamed(*frames)
    assert "".join(one.delta for one in played.events) == played.result.output_text == "a😀b"


@pytest.mark.parametrize("data", [b"{", b"[1]", b'{"type": "response.output_text.delta"}', b"<html>"])
def test_an_event_that_nobody_can_read_is_an_error(data: bytes) -> None:
    with pytest.raises(MalformedEventError):
        streamed(BEGUN, b"event: response.output_text.delta\ndata: " + data + b"\n\n", ended())


# -- ends


def fold_of(*frames: bytes) -> tuple[Any, list[Any]]:
    """The fold of a stream, and its events, as the engine gathers them."""
    step = next(asked(stream=True))
    assert isinstance(step, Stream)
    fold, events, framing = step.fold(), [], SSEFraming()
    for frame in [*framing.feed(b"".join(frames)), *framing.finish()]:
        one = step.decode(frame)
        if one is not None:
            fold.add(one)
            events.append(one)
    return fold, events


@pytest.mark.parametrize("status", ["completed", "incomplete"])
def test_an_end_that_is_one(status: str) -> None:
    fold, _ = fold_of(BEGUN, delta("Hello"), ended(status, MESSAGE))
    assert fold.complete() and fold.failure is None
    assert (fold.result().status, fold.result().output_text) == (status, "Hello")


def test_the_last_event_may_have_no_output() -> None:
    fold, _ = fold_of(BEGUN, delta("Hello"), ended(usage={"output_tokens": 1}))
    assert fold.result().output_text == "Hello" and fold.result().usage.output_tokens == 1
    assert fold.result().status == "completed" and fold.result()["temperature"] == 1.0


@pytest.mark.parametrize(("said", "kind"), ERRORS)
def test_a_stream_that_fails_is_the_error_of_its_code(said: Any, kind: type[ProviderError]) -> None:
    fold, events = fold_of(BEGUN, delta("Hel"), ended("failed", error=said))
    assert isinstance(fold.failure, kind) and events[-1].type == "response.failed"
    assert (fold.result().status, fold.result().output_text) == ("failed", "Hel")


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_an_event_tells_the_end_whatever_its_response_says(status: str) -> None:
    fold, _ = fold_of(BEGUN, event(f"response.{status}", response=RESPONSE))
    assert fold.failure is not None and fold.result().status == status


ERROR_EVENTS: list[tuple[bytes, type[ProviderError]]] = [
    (event("error", code="rate_limit_exceeded", message="x", param=None), RateLimitError),
    (event("error", error={"type": "server_error", "message": "x"}), ServerError),
    (b'data: {"type": "error", "code": "not_found", "message": "x"}\n\n', NotFoundError),
    (b'event: error\ndata: {"message": "x", "code": "server_error"}\n\n', ServerError),
    (b'data: {"error": {"code": 429, "message": "x"}}\n\n', RateLimitError),
]


@pytest.mark.parametrize(("frame", "kind"), ERROR_EVENTS)
def test_an_error_in_the_stream_is_raised(frame: bytes, kind: type[ProviderError]) -> None:
    with pytest.raises(kind):
        streamed(BEGUN, delta("Hel"), frame)


@pytest.mark.parametrize("marker", [b"", b"data: [DONE]\n\n"])
def test_an_end_marker_alone_is_no_end(marker: bytes) -> None:
    fold, _ = fold_of(BEGUN, delta("Hello"))
    assert not fold.complete(marked=bool(marker))


def test_the_types_cover_each_other() -> None:
    assert set(KINDS.values()) == set(get_args(ResponseStreamEvent)) - {ResponseOtherEvent}
    assert ResponseOtherItem in get_args(ResponseOutputItem)


def test_a_cut_at_every_byte_is_none_in_silence() -> None:
    told = emulated("words-3", input="add it", tools=ASKED["tools"][:2], reasoning={"effort": "minimal"})
    body = written(*({**one, "response": RESPONSE} if "response" in one else one for one in told))
    end = body.rindex(b"event: response.completed")
    whole_one, _ = fold_of(body)
    for at in range(len(body)):
        fold, events = fold_of(body[:at])
        assert [one.type for one in events] == [one["type"] for one in told[: len(events)]]
        assert fold.complete() == (len(events) == len(told)) and (at > end or not fold.complete())
        assert fold.failure is None and len(fold.result().output) <= len(whole_one.result().output)
