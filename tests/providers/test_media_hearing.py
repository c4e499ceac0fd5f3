"""Speech recognition in OpenAI's dialect: forms that carry a file, whole answers, and streams of segments."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from typing import Any

import pytest
from support.flow_player import Played, call, play, reply
from support.media_cases import FLAC, HEAR, SOUND

from headwater import errors as e
from headwater.auth.hosts import ROUTER_URL
from headwater.protocol.flow import Call, Loaded, Part, Reply
from headwater.protocol.framing import SSEFraming
from headwater.providers import flow_for, provider
from headwater.providers.openai_transcription import Transcript

TRANSCRIBING = {
    "deepinfra": "/v1/openai/audio/transcriptions",
    "groq": "/openai/v1/audio/transcriptions",
    "openai": "/v1/audio/transcriptions",
    "together": "/v1/audio/transcriptions",
}

WORDS = [{"word": "Hi", "start": 0.0, "end": 0.4}, {"word": "there", "start": 0.5, "end": 0.9}]
SEGMENTS = [
    {"id": 0, "text": " Hi there.", "start": 0.0, "end": 0.9, "tokens": [1]},
    {"id": 1, "text": " Bye.", "start": 1, "end": 2},
]
VERBOSE = {"task": "transcribe", "text": "Hi there. Bye.", "segments": SEGMENTS, "words": WORDS}


def ask(name: str = "openai", **facts: Any) -> Call:
    parameters = {"audio": FLAC, **facts.pop("parameters", {})}
    if name != "url":
        facts.setdefault("base", provider(name).base)
        facts.setdefault("model", "org/m")
    return call(HEAR, name, parameters=parameters, **facts)


def hear(asked: Call, answer: Reply, loaded: Loaded = SOUND) -> Played:
    return play(flow_for(asked.provider, HEAR)(asked), loaded, answer)


def fields(played: Played) -> list[tuple[str, str]]:
    """The form's fields but for the file."""
    body = played.request.body
    assert isinstance(body, tuple)
    return [(part.name, part.data.decode()) for part in body if isinstance(part.data, bytes)]


def sent_file(played: Played) -> Part:
    body = played.request.body
    assert isinstance(body, tuple)
    return body[0]


# forms


@pytest.mark.parametrize("routed", [False, True])
@pytest.mark.parametrize("name", TRANSCRIBING)
def test_a_form_with_the_file(name: str, routed: bool) -> None:
    base = f"{ROUTER_URL}/{name}" if routed else provider(name).base
    extra = {"language": "en", "diarize": True, "beam_size": 2, "options": {"a": [1]}, "model": "not-this"}
    asked = ask(name, base=base, routed=routed, extra=extra)
    played = hear(asked, reply({"text": "Hi", "x_groq": {"id": "r"}}))
    request = played.request
    assert (request.method, request.url, request.resend) == ("POST", base + TRANSCRIBING[name], True)
    assert request.headers == {"accept": "application/json"}
    assert sent_file(played) == Part(name="file", data=SOUND, filename="audio.flac", mime_type="audio/flac")
    assert fields(played) == [
        ("language", "en"),
        ("diarize", "true"),
        ("beam_size", "2"),
        ("options", '{"a":[1]}'),
        ("model", "not-this"),
    ]
    assert (played.result.text, played.result.chunks, played.result.raw["x_groq"]) == ("Hi", None, {"id": "r"})
    assert played.loads[0].streamed and not played.loads[0].keep_url


TIMES = "timestamp_granularities"


@pytest.mark.parametrize(
    ("name", "given", "sent"),
    [
        ("openai", {"return_timestamps": True}, [("response_format", "verbose_json"), (f"{TIMES}[]", "segment")]),
        ("groq", {"return_timestamps": "word"}, [("response_format", "verbose_json"), (f"{TIMES}[]", "word")]),
        ("together", {"return_timestamps": "word"}, [("response_format", "verbose_json"), (TIMES, '["word"]')]),
        ("deepinfra", {"return_timestamps": False}, []),
        ("deepinfra", {"generation_parameters": {"temperature": 0.5}}, [("temperature", "0.5")]),
    ],
)
def test_timestamps_and_temperature(name: str, given: dict[str, Any], sent: list[tuple[str, str]]) -> None:
    played = hear(ask(name, parameters=given), reply({"text": "Hi"}))
    assert fields(played) == [*sent, ("model", "org/m")]


def test_lists_are_a_field_an_item_for_openai() -> None:
    extra = {f"{TIMES}[]": ["word", "segment"], "include": ["logprobs"], "stream": False}
    played = hear(ask(extra=extra), reply({"text": "Hi"}))
    assert fields(played)[:4] == [
        (f"{TIMES}[]", "word"),
        (f"{TIMES}[]", "segment"),
        ("include[]", "logprobs"),
        ("stream", "false"),
    ]


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"generation_parameters": {"top_k": 2, "num_beams": 3, "temperature": 0}}, "num_beams, top_k"),
        ({"return_timestamps": "char"}, "return_timestamps='char'"),
    ],
)
def test_what_is_left_out_is_named(given: dict[str, Any], named: str) -> None:
    with pytest.warns(UserWarning, match=f"openai takes no {named}"):
        hear(ask(parameters=given), reply({"text": "Hi"}))


def test_together_reads_urls_itself() -> None:
    url = "https://a.example/talk.mp3"
    kept = Loaded(mime_type="application/octet-stream", url=url)
    played = hear(ask("together", parameters={"audio": url}), reply({"text": "Hi"}), kept)
    assert played.loads[0].keep_url
    assert fields(played) == [("file", url), ("model", "org/m")]


@pytest.mark.parametrize(
    ("name", "kind", "called"),
    [
        ("our plans.mp3", "audio/mpeg", "our plans.mp3"),
        ("our plans.mp3", "video/mp4", "our plans.mp4"),
        ("our plans.aiff", "audio/aiff", "our plans.aiff"),
        ("our plans.mp3", "audio/x-odd", "our plans.mp3"),
        (None, "audio/x-odd", "audio.wav"),
        (None, "audio/amr", "audio.amr"),
    ],
)
def test_a_file_goes_up_under_its_own_name(name: str | None, kind: str, called: str) -> None:
    loaded = Loaded(mime_type=kind, path="/home/me/our plans.mp3", name=name, size=5)
    file = sent_file(hear(ask(), reply({"text": "Hi"}), loaded))
    assert (file.filename, file.mime_type, file.data) == (called, kind, loaded)


# answers


@pytest.mark.parametrize(
    ("given", "chunks"),
    [
        ({}, [(" Hi there.", [0.0, 0.9]), (" Bye.", [1, 2])]),
        ({"return_timestamps": "word"}, [("Hi", [0.0, 0.4]), ("there", [0.5, 0.9])]),
    ],
)
def test_a_whole_answers_segments(given: dict[str, Any], chunks: list[Any]) -> None:
    result = hear(ask(parameters=given), reply(VERBOSE)).result
    assert result.text == "Hi there. Bye." and result.raw["task"] == "transcribe"
    assert [(chunk.text, chunk.timestamp) for chunk in result.chunks] == chunks


def test_an_answer_in_plain_text() -> None:
    srt = b"1\n00:00:00,000 --> 00:00:01,000\nHi\n"
    result = hear(ask(extra={"response_format": "srt"}), reply(srt, content_type="text/plain; charset=utf-8")).result
    assert result.text == srt.decode()


@pytest.mark.parametrize(
    ("body", "content_type", "stream"),
    [
        ({"words": []}, "application/json", False),
        ({"words": []}, "application/json", True),
        (b"", "application/json", False),
        (b"", "application/json", True),
        (b"<!doctype html><title>x</title>", "text/html", False),
        (b"<!doctype html><title>x</title>", "text/plain", True),
        (FLAC, "audio/flac", False),
    ],
)
def test_an_answer_that_is_none(body: Any, content_type: str, stream: bool) -> None:
    with pytest.raises(e.DecodeError):
        hear(ask(stream=stream), reply(body, content_type=content_type))


@pytest.mark.parametrize("stream", [False, True])
def test_an_error_inside_an_answer(stream: bool) -> None:
    with pytest.raises(e.RateLimitError, match="slow down"):
        hear(ask(stream=stream), reply({"error": {"message": "slow down", "code": "rate_limit"}}))


# streams


def stream_of(*events: Any, done: bool = False) -> Reply:
    lines = [f"data: {json.dumps(event)}\n\n" for event in events] + ["data: [DONE]\n\n"] * done
    return reply("".join(lines).encode(), content_type="text/event-stream")


def delta(text: str) -> dict[str, Any]:
    return {"type": "transcript.text.delta", "delta": text}


DONE = {"type": "transcript.text.done", "text": "Hi there.", "usage": {"type": "tokens", "total_tokens": 3}}


def texts(pieces: Sequence[Any]) -> list[str]:
    return [piece.text for piece in pieces]


@pytest.mark.parametrize("name", ["openai", "url"])
def test_openais_events(name: str) -> None:
    asked = ask(name, stream=True, **({"url": "http://h/v1", "hub_id": "w"} if name == "url" else {}))
    played = hear(asked, stream_of(delta("Hi"), {"type": "keep-alive"}, delta(" there."), DONE, done=True))
    assert texts(played.events) == ["Hi", " there."] and played.ended
    assert (played.result.text, played.result.chunks) == ("Hi there.", None)
    assert played.request.headers == {"accept": "text/event-stream"}
    assert ("stream", "true") in fields(played)


def test_openais_segments_with_speakers() -> None:
    segment = {
        "type": "transcript.text.segment",
        "id": "s",
        "text": "Hi there.",
        "speaker": "A",
        "start": 0.5,
        "end": 1,
    }
    played = hear(ask(stream=True), stream_of(segment, DONE))
    assert texts(played.events) == ["Hi there."] and played.ended
    assert played.result.chunks[0].timestamp == [0.5, 1.0]


def test_a_whole_text_alone() -> None:
    played = hear(ask(stream=True), stream_of(DONE))
    assert texts(played.events) == ["Hi there."] == [played.result.text]


@pytest.mark.parametrize(
    ("events", "text", "times"),
    [
        ([{"text": "Hi there."}, {"text": "Bye."}], "Hi there.Bye.", None),
        ([{"text": " Hi there."}, {"text": " Bye."}], "Hi there. Bye.", None),
        (
            [
                {"text": "Hi there.", "segments": [SEGMENTS[0]], "task": "transcribe"},
                {"text": "Bye.", "segments": [SEGMENTS[1]], "language": "en"},
            ],
            "Hi there. Bye.",
            [[0.0, 0.9], [1.0, 2.0]],
        ),
    ],
)
def test_bare_segments_of_faster_whisper_server(events: list[Any], text: str, times: Any) -> None:
    played = hear(ask("url", url="http://h/v1", hub_id="w", stream=True), stream_of(*events))
    assert texts(played.events) == [event["text"] for event in events]
    assert played.result.text == text
    assert times == (played.result.chunks and [chunk.timestamp for chunk in played.result.chunks])


@pytest.mark.parametrize("name", TRANSCRIBING)
@pytest.mark.parametrize("verbose", [False, True])
def test_a_server_that_does_not_stream(name: str, verbose: bool) -> None:
    played = hear(ask(name, stream=True), reply(VERBOSE if verbose else {"text": "Hi"}))
    (event,) = played.events
    assert event.text == played.result.text
    assert event.timestamp == ([0.0, 2.0] if verbose else [None, None])
    assert texts(played.result.chunks or ()) == ([" Hi there.", " Bye."] if verbose else [])
    assert (("stream", "true") in fields(played)) == (name == "openai")


def test_what_was_heard_before_a_cut() -> None:
    framing, transcript = SSEFraming(), Transcript(by_word=False)
    for frame in framing.feed(stream_of(delta("Hi"), delta(" the")).body):
        transcript.add(transcript.decode(frame))  # type: ignore[arg-type]
    assert transcript.result().text == "Hi the" and not transcript.complete()
    assert transcript.restart().result().text == ""


def test_an_error_inside_a_stream() -> None:
    with pytest.raises(e.ServerError, match="it broke"):
        hear(ask(stream=True), stream_of(delta("Hi"), {"type": "error", "error": {"message": "it broke", "code": 500}}))


def test_a_broken_event() -> None:
    with pytest.raises(e.MalformedEventError):
        hear(ask(stream=True), reply(b'data: {"delta": \n\n', content_type="text/event-stream"))


def test_no_warning_where_nothing_is_left_out() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        hear(ask(parameters={"return_timestamps": True}), reply(VERBOSE))
