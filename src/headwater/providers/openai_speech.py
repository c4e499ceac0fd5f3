"""Text to speech in OpenAI's dialect: the sound whole, or in pieces as the server makes them.

Where a provider departs is a `Speaking`, which is data. It asks for no format: the server's own default holds.

https://platform.openai.com/docs/api-reference/audio/createSpeech
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import msgspec

from ..media.images import LARGEST
from ..media.media import Media
from ..protocol.flow import Call, Flow
from ..tasks.parameters import GenerationParameters
from . import media_results
from .bodies import arguments, model_of, names_model, post
from .openai_chat import Flows
from .urls import SPEECH, openai_url

_GENERATION: Final = frozenset(GenerationParameters.__annotations__)


class Speaking(msgspec.Struct, frozen=True, kw_only=True):
    """`route`; the parameters that are `dropped`, with a warning; `voices`: the voice where none is named, by a word
    in the model's name ("" is in all), for servers that want one."""

    route: str = "/v1/audio/speech"
    dropped: frozenset[str] = frozenset()
    voices: Mapping[str, str] = {}


OPENAI: Final = Speaking(dropped=_GENERATION, voices={"": "alloy"})
# https://console.groq.com/docs/text-to-speech: the voices are the models' own
GROQ: Final = Speaking(route="/openai/v1/audio/speech", dropped=_GENERATION)
# https://deepinfra.com/docs/openai_api
DEEPINFRA: Final = Speaking(route="/v1/openai/audio/speech")
# https://docs.together.ai/docs/text-to-speech: a voice is required
TOGETHER: Final = Speaking(voices={"kokoro": "af_alloy"})
SERVER: Final = Speaking()


def speaking(dialect: Speaking) -> Flows:
    """The flow of a provider with this dialect."""
    return partial(_at_provider, dialect=dialect)


def _at_provider(call: Call, dialect: Speaking) -> Flow[Media]:
    return (yield from _speak(call, call.base + dialect.route, dialect))


def speak_at_url(call: Call) -> Flow[Media]:
    """A sound from a server's own URL."""
    return (yield from _speak(call, openai_url(call.url or call.base, SPEECH), SERVER))


def _speak(call: Call, url: str, dialect: Speaking) -> Flow[Media]:
    request = post(url, _body(call, dialect))
    headers = {**request.headers, "accept": "*/*"}
    request = msgspec.structs.replace(request, headers=headers, limit=LARGEST)
    return (yield from media_results.sound(call, request))


def _body(call: Call, dialect: Speaking) -> dict[str, Any]:
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
