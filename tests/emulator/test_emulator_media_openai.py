"""OpenAI's pictures and sounds at the emulator, as each vendor that has them serves them."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest
from support.emulator_client import client, events

from headwater.emulator.dialects import media
from headwater.emulator.dialects.multipart import UnreadableError, parts
from headwater.emulator.server import Emulator

WAV = media.wav()
TRANSCRIPTIONS = {
    "openai": "/openai/v1/audio/transcriptions",
    "deepinfra": "/deepinfra/v1/openai/audio/transcriptions",
    "groq": "/groq/openai/v1/audio/transcriptions",
    "together": "/together/v1/audio/transcriptions",
}


def transcribe(url: str, path: str = "/v1/audio/transcriptions", name: str = "a.wav", **fields: str) -> httpx.Response:
    with client(url) as http:
        return http.post(path, data={"model": "whisper-1"} | fields, files={"file": (name, WAV, "audio/wav")})


@pytest.mark.parametrize("vendor", TRANSCRIPTIONS)
def test_transcriptions(headwater_emulator: Emulator, vendor: str) -> None:
    path = TRANSCRIPTIONS[vendor]
    plain = transcribe(headwater_emulator, path).json()
    full = transcribe(headwater_emulator, path, response_format="verbose_json", temperature="0.5").json()
    assert plain["text"] == full["text"] == " ".join(segment["text"] for segment in full["segments"])
    assert ("segments" in plain) == (vendor in ("deepinfra", "together"))


@pytest.mark.parametrize(("form", "start"), [("text", "the"), ("srt", "1\n00:"), ("vtt", "WEBVTT\n\n00:")])
def test_transcripts_as_text(headwater_emulator: Emulator, form: str, start: str) -> None:
    answer = transcribe(headwater_emulator, response_format=form)
    assert answer.headers["content-type"].startswith("text/plain")
    assert form == "text" or answer.text.startswith(start)
    assert transcribe(headwater_emulator).json()["text"] in answer.text


def test_a_transcript_is_streamed_by_models_that_can(headwater_emulator: Emulator) -> None:
    found = events(transcribe(headwater_emulator, model="gpt-4o-transcribe", stream="true").text)
    assert found[-1]["type"] == "transcript.text.done"
    assert "".join(one["delta"] for one in found[:-1]) == found[-1]["text"]
    assert transcribe(headwater_emulator, stream="true").json()["text"] == found[-1]["text"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"response_format": "xml"}, "response_format"),
        ({"temperature": "hot"}, "temperature"),
        ({"stream": "True"}, "stream"),
        ({"model": ""}, "model"),
        ({"name": "a.txt"}, "file"),
    ],
)
def test_what_a_transcription_refuses(headwater_emulator: Emulator, fields: dict[str, str], param: str) -> None:
    answer = transcribe(headwater_emulator, **fields)
    assert answer.status_code == 400 and answer.json()["error"]["param"] == param


def test_a_transcription_wants_a_file_in_a_form(headwater_emulator: Emulator) -> None:
    path = "/together/v1/audio/transcriptions"
    url, text = {"file": (None, b"https://a/b.mp3")}, {"file": ("a.wav", b"not a sound")}
    with client(headwater_emulator) as http:
        assert http.post(path, json={"model": "m"}).status_code == 400
        assert http.post(path, data={"model": "m"}).status_code == 400
        assert http.post(path, data={"model": "m"}, files=text).status_code == 400
        assert http.post(path, data={"model": "m"}, files=url).json()["text"]
        assert http.post("/v1/audio/transcriptions", data={"model": "m"}, files=url).status_code == 400


def test_speech_comes_as_bytes_or_as_events(headwater_emulator: Emulator) -> None:
    body = {"model": "tts-1", "input": "a river of words", "voice": "alloy", "response_format": "wav"}
    with client(headwater_emulator) as http:
        answer = http.post("/v1/audio/speech", json=body)
        assert answer.headers["content-type"] == "audio/wav" and media.is_audio(answer.content)
        found = events(http.post("/v1/audio/speech", json=body | {"stream_format": "sse"}).text)
    sound = b"".join(base64.b64decode(one["audio"]) for one in found[:-1])
    assert sound == answer.content and found[-1]["type"] == "speech.audio.done" and len(found) > 3


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/v1/audio/speech", {"model": "m", "input": "a"}, "voice"),
        ("/together/v1/audio/speech", {"model": "m", "input": "a"}, "voice"),
        ("/v1/audio/speech", {"model": "m", "voice": "v"}, "input"),
        ("/v1/audio/speech", {"input": "a", "voice": "v"}, "model"),
        ("/v1/audio/speech", {"model": "m", "input": "a", "voice": "v", "speed": 9}, "speed"),
        ("/v1/audio/speech", {"model": "m", "input": "a", "voice": "v", "response_format": "mod"}, "response_format"),
        ("/v1/images/generations", {"model": "m"}, "prompt"),
        ("/v1/images/generations", {"model": "m", "prompt": "a", "size": "big"}, "size"),
        (
            "/nscale/v1/images/generations",
            {"model": "m", "prompt": "a", "response_format": "base64"},
            "response_format",
        ),
        (
            "/together/v1/images/generations",
            {"model": "m", "prompt": "a", "response_format": "b64_json"},
            "response_format",
        ),
        ("/together/v1/images/generations", {"model": "m", "prompt": "a", "steps": "4"}, "steps"),
        ("/together/v1/images/generations", {"model": "m", "prompt": "a", "image_url": "x"}, "image_url"),
        (
            "/together/v1/images/generations",
            {"model": "flux.1-kontext", "prompt": "a", "reference_images": ["https://a/b"]},
            "reference_images",
        ),
        ("/v1/images/generations", {"model": "m", "prompt": "moderated"}, "prompt"),
    ],
)
def test_what_is_refused(headwater_emulator: Emulator, path: str, body: Any, param: str) -> None:
    with client(headwater_emulator) as http:
        answer = http.post(path, json=body)
    assert answer.status_code == 400 and answer.json()["error"]["param"] == param


def test_deepinfra_needs_no_voice_and_a_model_can_fail(headwater_emulator: Emulator) -> None:
    with client(headwater_emulator) as http:
        assert http.post("/deepinfra/v1/openai/audio/speech", json={"model": "m", "input": "a"}).is_success
        assert http.post("/deepinfra/v1/openai/audio/speech", json={"model": "fail", "input": "a"}).status_code == 500


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/nscale/v1/images/generations", "b64_json"),
        ("/together/v1/images/generations", "base64"),
        ("/v1/images/generations", "b64_json"),
    ],
)
def test_pictures(headwater_emulator: Emulator, path: str, form: str) -> None:
    body = {"model": "m", "prompt": "a", "response_format": form}
    size: dict[str, Any] = {"width": 64, "height": 32} if "together" in path else {"size": "64x32"}
    with client(headwater_emulator) as http:
        (found,) = http.post(path, json=body | size).json()["data"]
        assert media.size_of(base64.b64decode(found["b64_json"])) == (64, 32)
        (link,) = http.post(path, json=body | {"response_format": "url"}).json()["data"]
    assert httpx.URL(link["url"]).path.endswith(".png")


def test_hyperbolic_wants_dimensions(headwater_emulator: Emulator) -> None:
    path, body = "/hyperbolic/v1/images/generations", {"model_name": "SD2", "prompt": "a", "width": 128, "height": 130}
    with client(headwater_emulator) as http:
        picture = http.post(path, json=body).json()["images"][0]["image"]
        assert media.size_of(base64.b64decode(picture)) == (128, 130)
        missing = http.post(path, json={"prompt": "a"}).json()["detail"]
        assert [item["loc"][1] for item in missing] == ["model_name", "height", "width"]
        small = http.post(path, json=body | {"width": 32}).json()["detail"]
        assert [item["type"] for item in small] == ["greater_than_equal"]


FORM = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b--\r\n'


def test_a_form_is_read() -> None:
    (part,) = parts(FORM, "multipart/form-data; boundary=b")
    assert (part.name, part.text, part.filename) == ("a", "1", None)
    assert parts(FORM, 'multipart/form-data; boundary="b"') == [part]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (FORM, "multipart/form-data"),
        (FORM, "application/json"),
        (FORM, "multipart/form-data; boundary=c"),
        (FORM.replace(b"\r\n", b"\n"), "multipart/form-data; boundary=b"),
        (FORM.removesuffix(b"--\r\n"), "multipart/form-data; boundary=b"),
        (FORM.replace(b"name=", b"nom="), "multipart/form-data; boundary=b"),
        (b"", "multipart/form-data; boundary=b"),
    ],
)
def test_what_is_no_form(body: bytes, kind: str) -> None:
    with pytest.raises(UnreadableError):
        parts(body, kind)
