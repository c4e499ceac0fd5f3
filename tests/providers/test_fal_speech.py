"""fal's speech, both ways, which does not queue: the exact requests, and what comes of the answers."""

from __future__ import annotations

from typing import Any

import pytest
from support.fal_cases import ROUTER, STORED, data, run, sent_in
from support.flow_player import reply
from support.pipeline_cases import FLAC

from headwater import errors as e
from headwater.media.media import Media
from headwater.protocol.flow import Loaded

SOUNDS = [
    ("audio/wav", "audio/x-wav"),
    ("audio/x-wav", "audio/x-wav"),
    ("audio/webm", "video/webm"),
    ("video/webm", "video/webm"),
    ("audio/mpeg", "audio/mpeg"),
    ("audio/flac", "audio/mpeg"),
    ("audio/mp4", "audio/mpeg"),
]
CHUNK = {"timestamp": [0.0, 4.08], "text": " Sir, I exist.", "speaker": None}


@pytest.mark.parametrize("routed", [False, True])
@pytest.mark.parametrize(("found", "sent"), SOUNDS)
def test_a_sound_goes_under_a_type_that_is_taken(found: str, sent: str, routed: bool) -> None:
    for loaded, url in (
        (Loaded(mime_type=found, data=b"x"), data(sent, b"x")),
        (Loaded(mime_type="audio/mpeg", url=data(found, b"x")), data(sent, b"x")),
        (Loaded(mime_type="audio/mpeg", url="https://a.example/x,;y"), "https://a.example/x,;y"),
    ):
        facts = {"model": "fal-ai/whisper", "parameters": {"audio": b"x"}, "routed": routed}
        played = run(loaded, reply({"text": "t"}), task="automatic-speech-recognition", **facts)
        assert played.body == {"audio_url": url}
        host = ROUTER if routed else "https://fal.run"
        assert (played.request.url, played.request.resend) == (f"{host}/fal-ai/whisper", True)


@pytest.mark.parametrize(
    ("answer", "chunks"),
    [
        ({"text": "t", "chunks": [CHUNK], "inferred_languages": ["en"]}, [(" Sir, I exist.", [0.0, 4.08])]),
        ({"output": "t", "segments": [{"text": "t", "start": 1, "end": 2}]}, [("t", [1, 2])]),
        ({"text": "t", "chunks": []}, None),
    ],
)
def test_transcripts(answer: Any, chunks: Any) -> None:
    loaded = Loaded(mime_type="audio/mpeg", data=b"x")
    played = run(loaded, reply(answer), task="automatic-speech-recognition", parameters={"audio": b"x"})
    said = played.result
    assert said.text == "t" and said.raw == answer
    assert (said.chunks and [(chunk.text, chunk.timestamp) for chunk in said.chunks]) == chunks


@pytest.mark.parametrize(("asked", "level"), [(True, "segment"), ("word", "word"), (False, None)])
def test_timestamps(asked: Any, level: str | None) -> None:
    loaded = Loaded(mime_type="audio/mpeg", data=b"x")
    given = {"audio": b"x", "return_timestamps": asked}
    played = run(loaded, reply({"text": "t"}), task="automatic-speech-recognition", parameters=given)
    assert played.body.get("chunk_level") == level and "return_timestamps" not in played.body


def test_what_speech_recognition_does_not_take() -> None:
    loaded = Loaded(mime_type="audio/mpeg", data=b"x")
    given = {"audio": b"x", "return_timestamps": "char", "generation_parameters": {"top_k": 1}}
    with pytest.warns(UserWarning, match="left out") as warned:
        run(loaded, reply({"text": "t"}), task="automatic-speech-recognition", parameters=given)
    assert len(warned) == 2
    with pytest.raises(e.DecodeError, match="no result"):
        run(loaded, reply({"chunks": []}), task="automatic-speech-recognition", parameters={"audio": b"x"})


@pytest.mark.parametrize("routed", [False, True])
def test_speech(routed: bool) -> None:
    facts = {"model": "fal-ai/kokoro", "parameters": {"text": "Hi"}, "extra": {"voice": "v"}, "routed": routed}
    played = run(reply({"audio": STORED}), Media(FLAC, "audio/flac"), task="text-to-speech", **facts)
    said, fetched = played.requests
    assert said.url == f"{ROUTER if routed else 'https://fal.run'}/fal-ai/kokoro" and fetched.url == STORED["url"]
    assert sent_in(said) == {"text": "Hi", "voice": "v"}
    assert played.result == FLAC and played.events == [] and played.cancels == []


def test_a_sound_that_is_none() -> None:
    with pytest.raises(e.UnexpectedContentError, match="text/csv, not audio"):
        run(reply({"audio": STORED}), Media(b"a,b", "text/csv"), task="text-to-speech", parameters={"text": "Hi"})
