"""Text to speech in OpenAI's dialect: the sound whole, or in pieces as the server makes them.

Where a provider departs is a `SpeechDialect`, which is data. It asks for no format: the server's own default holds.

https://platform.openai.com/docs/api-reference/audio/createSpeech
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ..media.media import Media
from ..media.mime import LARGEST
from ..protocol.flow import Call, Flow
from ..tasks.parameters import GenerationParameters
from . import media_results
from .bodies import arguments, model_of, names_model, post

GENERATION: Final[frozenset[str]] = frozenset(GenerationParameters.__annotations__)
"""Parameters that draw tokens, which only servers of models that speak in tokens have."""


class SpeechDialect(msgspec.Struct, frozen=True, kw_only=True):
    """Where a provider departs: the parameters that are `dropped`, with a warning; `voices`: the voice where none is
    named, by a word in the model's name ("" is in all), for servers that want one."""

    dropped: frozenset[str] = frozenset()
    voices: Mapping[str, str] = {}


def text_to_speech(call: Call, url: str, dialect: SpeechDialect) -> Flow[Media]:
    """A text, read out, from this URL."""
    request = post(url, _body(call, dialect))
    headers = {**request.headers, "accept": "*/*"}
    request = msgspec.structs.replace(request, headers=headers, limit=LARGEST)
    return (yield from media_results.request_sound(call, request))


def _body(call: Call, dialect: SpeechDialect) -> dict[str, Any]:
    given = arguments(call, dropped=dialect.dropped)
    text = given.pop("text")
    model = model_of(call)
    body = {"model": model, "input": text, **given}
    if not names_model(call):
        del body["model"]  # a server of one model; one of several would look for the placeholder
    voice = next((voice for word, voice in dialect.voices.items() if word in model.lower()), None)
    if voice is not None:
        body.setdefault("voice", voice)
    return body
