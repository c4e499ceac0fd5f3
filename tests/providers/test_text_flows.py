"""Text generation: TGI's dialect with its four shapes, completions, chats in their place, and the way between."""

from __future__ import annotations

from typing import Any

import pytest
from support.flow_player import call, events, play, reply

from headwater import errors as e
from headwater.protocol.flow import END
from headwater.protocol.framing import Frame
from headwater.providers import flow_for
from headwater.providers.openai_completions import decode_chat_chunk, decode_completion
from headwater.providers.tgi import decode_event
from headwater.tasks.text import TextGenerationOutput

TEXT = "text-generation"
URL = "https://tgi.example/generate"
UNUSED = {
    "error": "The following `model_kwargs` are not used by the model: ['watermark', 'stop', 'details']"
    " (note: typos in the generate arguments will also show up in this list)",
    "warnings": ["There was an inference error"],
}


def ask(name: str = "url", url: str | None = URL, **facts: Any) -> Any:
    facts.setdefault("model", "m")
    return flow_for(name, TEXT)(call(TEXT, name, url=url if name == "url" else None, **facts))


def token(text: str, **last: Any) -> dict[str, Any]:
    return {"index": 1, "token": {"id": 5, "text": text, "logprob": -0.5, "special": False}, **last}


END_OF_TEXT = {
    "generated_text": "Ho",
    "details": {"finish_reason": "length", "generated_tokens": 2, "seed": 7, "input_length": 1},
}


# TGI


def test_the_body_of_tgi() -> None:
    given = {"max_new_tokens": 5, "stop": ["."], "details": True, "seed": 0}
    played = play(ask(parameters=given, extra={"top_k": 2}), reply({"generated_text": "Ho"}))
    assert played.request.url == URL
    assert played.body == {"inputs": "Hi", "parameters": {**given, "top_k": 2}, "stream": False}


@pytest.mark.parametrize(
    "body",
    [{"generated_text": "Ho"}, [{"generated_text": "Ho"}], [[{"generated_text": "Ho"}, {"generated_text": "?"}]]],
)
def test_an_object_and_a_list_of_one_are_a_text(body: Any) -> None:
    assert play(ask(), reply(body)).result == "Ho"
    detailed = play(ask(parameters={"details": True}), reply(body)).result
    assert type(detailed) is TextGenerationOutput and detailed.generated_text == "Ho"


def test_details_are_kept() -> None:
    details = {"finish_reason": "length", "generated_tokens": 2, "tokens": [{"id": 1, "text": "Ho"}]}
    played = play(ask(parameters={"details": True}), reply({"generated_text": "Ho", "details": details}))
    assert played.result.details.tokens[0].text == "Ho"


@pytest.mark.parametrize("details", [None, False, True])
def test_a_stream_of_tokens(details: bool | None) -> None:
    given = {} if details is None else {"details": details}
    played = play(ask(stream=True, parameters=given), events(token("H"), token("o", **END_OF_TEXT)))
    assert played.body["stream"] is True and played.request.headers["accept"] == "text/event-stream"
    assert [event.token.text for event in played.events] == ["H", "o"]
    assert played.events[0].raw == token("H")
    if details:
        assert played.result.generated_text == "Ho" and played.result.details.seed == 7
    else:
        assert played.result == "Ho"


def test_input_details_without_details_are_left_out() -> None:
    with pytest.warns(UserWarning, match="decoder_input_details needs details=True"):
        played = play(ask(parameters={"decoder_input_details": True}), reply({"generated_text": "Ho"}))
    assert played.body["parameters"] == {}
    given = {"decoder_input_details": True, "details": True}
    assert play(ask(parameters=given), reply({"generated_text": "Ho"})).body["parameters"] == given


@pytest.mark.parametrize("body", [[], {}, [{"text": "Ho"}], "Ho", [["Ho"]]])
def test_an_answer_that_is_no_text(body: Any) -> None:
    with pytest.raises(e.DecodeError):
        play(ask(), reply(body))


@pytest.mark.parametrize("stream", [False, True])
def test_a_transformers_server_is_asked_again_without_what_it_does_not_know(stream: bool) -> None:
    given = {"watermark": True, "stop": ["."], "seed": 1}
    second = events(token("Ho", **END_OF_TEXT)) if stream else reply([{"generated_text": "Ho"}])
    with pytest.warns(UserWarning, match="does not know stop, watermark"):
        played = play(ask(parameters=given, stream=stream), reply(UNUSED, 400), second)
    assert played.result == "Ho" and len(played.requests) == 2
    assert played.body["parameters"] == {"seed": 1}


def test_it_is_asked_again_once_and_only_for_that() -> None:
    with pytest.warns(UserWarning, match="watermark"), pytest.raises(e.InvalidRequestError):
        play(ask(parameters={"watermark": True}), reply(UNUSED, 400), reply(UNUSED, 400))
    for body in (UNUSED, {"error": "no"}):
        with pytest.raises(e.InvalidRequestError):
            play(ask(parameters={"seed": 1}), reply(body, 400))


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b'{"error": "m", "error_type": "overloaded"}', e.OverloadedError),
        (b'{"error": "m", "error_type": "incomplete_generation"}', e.IncompleteGenerationError),
        (b'{"token": {"text": 7}}', e.MalformedEventError),
        (b'{"token": null}', e.MalformedEventError),
    ],
)
def test_events_that_are_no_tokens(data: bytes, kind: type[Exception]) -> None:
    with pytest.raises(kind) as caught:
        decode_event(Frame(data))
    assert type(caught.value) is kind


# The way to completions


@pytest.mark.parametrize("base", ["https://h.example/v1", "https://h.example/v1/chat/completions"])
def test_an_openai_url_gets_completions(base: str) -> None:
    played = play(ask(url=base, model=None), reply({"choices": [{"text": "Ho"}]}))
    assert played.request.url == "https://h.example/v1/completions"
    assert (played.body["model"], played.result) == ("dummy", "Ho")


@pytest.mark.parametrize("status", [404, 405, 501])
def test_a_bare_host_may_speak_either(status: int) -> None:
    refusal = reply({"detail": "Not Found"}, status)
    played = play(ask(url="https://h.example/"), refusal, reply({"choices": [{"text": "Ho"}]}))
    assert [request.url for request in played.requests] == ["https://h.example/", "https://h.example/v1/completions"]
    assert play(ask(url="https://h.example"), reply({"generated_text": "Ho"})).result == "Ho"


def test_a_path_that_is_not_there_is_not_guessed_at() -> None:
    with pytest.raises(e.NotFoundError):
        play(ask(), reply({}, 404))
    with pytest.raises(e.ServerError):
        play(ask(url="https://h.example"), reply({}, 500))


# Completions


def complete(name: str = "together", **facts: Any) -> Any:
    return ask(name, **facts)


@pytest.mark.parametrize("name", ["together", "novita", "deepinfra", "featherless-ai", "groq", "hyperbolic"])
def test_max_new_tokens_is_max_tokens_everywhere(name: str) -> None:
    answer = {"choices": [{"text": "Ho", "message": {"content": "Ho"}}]}
    played = play(complete(name, parameters={"max_new_tokens": 5}), reply(answer))
    assert played.body["max_tokens"] == 5 and "max_new_tokens" not in played.body
    assert "max_tokens" not in play(complete(name), reply(answer)).body
    assert played.result == "Ho"


def test_the_body_of_a_completion() -> None:
    given = {"stop": ["."], "repetition_penalty": 1.1, "top_k": 3, "details": False, "do_sample": False}
    played = play(complete(parameters=given, extra={"echo": True, "model": "no"}), reply({"choices": [{"text": ""}]}))
    assert played.body == {
        "model": "no",
        "prompt": "Hi",
        "stop": ["."],
        "repetition_penalty": 1.1,
        "top_k": 3,
        "stream": False,
        "echo": True,
    }
    assert played.result == ""


def test_what_completions_lack_is_left_out_with_a_warning() -> None:
    given = {"watermark": True, "truncate": 5, "grammar": {"type": "json", "value": {}}, "seed": 1}
    with pytest.warns(UserWarning, match="together's completions have no grammar, truncate, watermark"):
        played = play(complete(parameters=given), reply({"choices": [{"text": "Ho"}]}))
    assert set(played.body) == {"model", "prompt", "stream", "seed"}


def test_the_details_of_a_completion() -> None:
    answer = {
        "choices": [{"text": "Ho", "finish_reason": "length", "seed": 7, "logprobs": None}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 10},
    }
    played = play(complete(parameters={"details": True}), reply(answer))
    details = played.result.details
    assert (details.finish_reason, details.seed, details.generated_tokens) == ("length", 7, 10)
    assert played.result.raw == answer


def test_a_streamed_completion() -> None:
    chunks: tuple[Any, ...] = (
        {"choices": [{"index": 0, "text": "H"}]},
        {"choices": [{"text": "", "finish_reason": None}]},
        {"choices": [{"text": "o", "finish_reason": "stop"}], "usage": {"completion_tokens": 2}},
        {"choices": [], "usage": {"completion_tokens": 2}},
    )
    played = play(complete(parameters={"details": True}, stream=True), events(*chunks))
    assert [event.token.text for event in played.events] == ["H", "o"] and played.ended
    assert played.result.generated_text == "Ho"
    assert (played.result.details.finish_reason, played.result.details.generated_tokens) == ("stop", 2)
    assert play(complete(stream=True), events(*chunks)).result == "Ho"


def test_a_chat_in_place_of_a_completion() -> None:
    answer = {"choices": [{"message": {"content": "Ho"}, "finish_reason": "stop"}], "usage": {"completion_tokens": 2}}
    played = play(complete("groq", parameters={"details": True}), reply(answer))
    assert played.body["messages"] == [{"role": "user", "content": "Hi"}] and "prompt" not in played.body
    assert (played.result.generated_text, played.result.details.generated_tokens) == ("Ho", 2)
    chunks: tuple[Any, ...] = (
        {"choices": [{"delta": {"role": "assistant"}}]},
        {"choices": [{"delta": {"content": "H"}}]},
        {"choices": [{"delta": {"content": "o"}, "finish_reason": "stop"}]},
        {"choices": []},
    )
    streamed = play(complete("groq", stream=True), events(*chunks))
    assert [event.token.text for event in streamed.events] == ["H", "o"]
    assert streamed.result == "Ho"


@pytest.mark.parametrize("name", ["together", "groq"])
@pytest.mark.parametrize("answer", [{"choices": []}, {"choices": [{"index": 0}]}, {}, {"choices": 1}])
def test_a_completion_without_a_text(name: str, answer: Any) -> None:
    with pytest.raises(e.DecodeError):
        play(complete(name), reply(answer))


@pytest.mark.parametrize("decode", [decode_completion, decode_chat_chunk])
def test_the_ends_and_errors_of_streamed_completions(decode: Any) -> None:
    assert decode(Frame(b"[DONE]")) is END
    with pytest.raises(e.RateLimitError):
        decode(Frame(b'{"error": {"message": "m", "code": 429}}'))
    with pytest.raises(e.ServerError, match="finish_reason"):
        decode(Frame(b'{"choices": [{"text": "", "delta": {}, "finish_reason": "error"}]}'))
    with pytest.raises(e.MalformedEventError):
        decode(Frame(b'{"choices": '))


HALVES = ["a\ud83d", "\ude00", "\ud83d", "b"]


@pytest.mark.parametrize("details", [False, True])
@pytest.mark.parametrize("name", ["url", "together", "groq"])
def test_a_character_in_two_halves(name: str, details: bool) -> None:
    def event(text: str) -> dict[str, Any]:
        choice = {"together": {"text": text}, "groq": {"delta": {"content": text}}}
        return token(text) if name == "url" else {"choices": [choice[name]]}

    last = {"details": {"finish_reason": "length"}} if name == "url" else {}
    end = (
        token("!", **last)
        if name == "url"
        else {"choices": [{"text": "!", "delta": {"content": "!"}, "finish_reason": "stop"}]}
    )
    played = play(ask(name, stream=True, parameters={"details": details}), events(*map(event, HALVES), end))
    text = played.result.generated_text if details else played.result
    assert text == "a\U0001f600\ufffdb!"
    assert [each.token.text for each in played.events] == ["a", "\U0001f600", "", "\ufffdb", "!"]


def test_a_chat_in_unusual_places_as_a_text() -> None:
    whole = {
        "choices": [{"message": {"content": "Ho"}, "finish_reason": "stop", "usage": {"completion_tokens": 2}}],
    }
    played = play(ask("groq", stream=True, parameters={"details": True}), events(whole))
    assert (played.result.generated_text, played.result.details.generated_tokens) == ("Ho", 2)
