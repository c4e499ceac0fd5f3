"""fal's speech, at once and without its queue: a text read out, and what is said in a sound.

https://fal.ai/models/fal-ai/whisper/api
"""

from __future__ import annotations

from typing import Final

from ..flow import Call, Flow
from ..media import Media
from ..tasks.audio import AutomaticSpeechRecognitionOutput
from .arguments import arguments, take_form, warn
from .fal_results import ask, heard, transcript
from .requests import model_of, post
from .sounds import audio_url
from .urls import at_model

_AUDIO: Final = {"audio/wav": "audio/x-wav", "audio/x-wav": "audio/x-wav"} | dict.fromkeys(
    ("audio/webm", "video/webm"), "video/webm"
)
"""fal refuses data URLs of other types (400 "Unsupported data URL", recorded)."""
_OTHER_AUDIO: Final = "audio/mpeg"
"""FLAC by this name is recorded to be taken: the label is checked, not the bytes."""
_LEVELS: Final = {True: "segment", "word": "word"}
"""Whisper's `chunk_level` for `return_timestamps`, https://fal.ai/models/fal-ai/whisper/api."""


def heard_url(call: Call) -> Flow[str]:
    """The call's sound as a URL, under a type that fal takes."""
    return (yield from audio_url(call, _OTHER_AUDIO, _AUDIO, _OTHER_AUDIO))


def text_to_speech(call: Call) -> Flow[Media]:
    """A text, read out; without a queue."""
    reply = yield from ask(post(at_model(call.base, "/", model_of(call)), arguments(call)))
    return (yield from heard(reply))


def automatic_speech_recognition(call: Call) -> Flow[AutomaticSpeechRecognitionOutput]:
    """What is said; without a queue."""
    take_form(call)
    url = yield from heard_url(call)
    given = arguments(call, dropped=frozenset({"generation_parameters"}))
    del given["audio"]
    asked = given.pop("return_timestamps", False)
    if asked in _LEVELS:
        given.setdefault("chunk_level", _LEVELS[asked])
    elif asked:
        warn(call, [f"return_timestamps={asked!r}"])
    request = post(at_model(call.base, "/", model_of(call)), {"audio_url": url, **given})
    return transcript((yield from ask(request)))
