"""OpenAI's spellings of our tasks: `client.images.generate` and its like, each the task under another name.

The tasks that they map onto say what can be asked; what only OpenAI's client knows goes to the server as
`extra_body`. Nothing is sent from here.

https://platform.openai.com/docs/api-reference
"""

from __future__ import annotations

import binascii
import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from .errors import InvalidParameterError
from .media import encode_image
from .tasks.output import Output
from .tasks.text import TextGenerationOutput, TextGenerationStreamOutput

if TYPE_CHECKING:
    from PIL.Image import Image

_SIZE: Final = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})\Z")


class GeneratedImage:
    """An image as OpenAI's client has it, and as a PIL image: `image`."""

    url: None = None
    revised_prompt: None = None

    def __init__(self, image: Image) -> None:
        self.image = image

    @property
    def b64_json(self) -> str:
        """The image as a PNG or JPEG in base64, encoded now."""
        return binascii.b2a_base64(encode_image(self.image)[0], newline=False).decode()


class ImagesResponse:
    """What `images.generate` gives: `data`, a list of one image, and `created` in epoch seconds."""

    def __init__(self, image: Image) -> None:
        self.created = int(time.time())
        self.data = [GeneratedImage(image)]


class CompletionChoice(Output):
    """A text, or in a stream a piece of it."""

    text: str
    index: int = 0
    finish_reason: str | None = None
    logprobs: None = None


class CompletionUsage(Output):
    """What a completion cost, in tokens; None where the server did not say."""

    completion_tokens: int | None = None
    prompt_tokens: int | None = None
    total_tokens: int | None = None


class CompletionOutput(Output):
    """What `completions.create` gives, whole or a chunk of a stream."""

    choices: list[CompletionChoice]
    model: str = ""
    id: str = ""
    created: int = 0
    object: str = "text_completion"
    usage: CompletionUsage | None = None


def image_arguments(
    prompt: str, model: str | None, n: int | None, size: str | None, extra_body: dict[str, Any] | None, more: Any
) -> dict[str, Any]:
    """`images.generate`'s arguments as those of `text_to_image`."""
    if n not in (None, 1):
        raise InvalidParameterError("images.generate: n must be 1; ask once for each image")
    given: dict[str, Any] = {"prompt": prompt, "model": model}
    if size is not None and size != "auto":
        found = _SIZE.match(size)
        if not found:
            raise InvalidParameterError(f"images.generate: size must be like '1024x768', not {size[:40]!r}")
        given |= {"width": int(found[1]), "height": int(found[2])}
    more.pop("response_format", None)  # the answer has both: the image, and its base64
    return _with_extra(given, more, extra_body)


def speech_arguments(
    input: str,  # noqa: A002 - OpenAI's name
    model: str | None,
    voice: str | None,
    extra_body: dict[str, Any] | None,
    more: dict[str, Any],
) -> dict[str, Any]:
    """`audio.speech.create`'s arguments as those of `text_to_speech`."""
    return _with_extra({"text": input, "model": model}, {"voice": voice, **more}, extra_body)


def transcription_arguments(
    file: Any,
    model: str | None,
    timestamp_granularities: Sequence[str] | None,
    extra_body: dict[str, Any] | None,
    more: dict[str, Any],
) -> dict[str, Any]:
    """`audio.transcriptions.create`'s arguments as those of `automatic_speech_recognition`."""
    given: dict[str, Any] = {"audio": file, "model": model}
    if timestamp_granularities:
        given["return_timestamps"] = "word" if "word" in timestamp_granularities else True
    more.pop("response_format", None)  # the task asks for what it can read
    return _with_extra(given, more, extra_body)


def completion_arguments(prompt: str, given: dict[str, Any]) -> dict[str, Any]:
    """`completions.create`'s arguments as those of `text_generation`."""
    if not isinstance(prompt, str):
        raise InvalidParameterError("completions.create: prompt must be one text; ask once for each")
    if given.pop("n", None) not in (None, 1):
        raise InvalidParameterError("completions.create: n must be 1; ask once for each text")
    stop = given.pop("stop", None)
    arguments = {
        "prompt": prompt,
        "details": True,
        "max_new_tokens": given.pop("max_tokens", None),
        "stop": [stop] if isinstance(stop, str) else stop,
        "return_full_text": given.pop("echo", None),
    }
    known = ("model", "frequency_penalty", "seed", "temperature", "top_p", "best_of")
    arguments |= {name: given.pop(name) for name in known if name in given}
    return _with_extra(arguments, given, given.pop("extra_body", None))


def _with_extra(given: dict[str, Any], more: dict[str, Any], extra_body: dict[str, Any] | None) -> dict[str, Any]:
    extra = {name: value for name, value in more.items() if value is not None} | (extra_body or {})
    return {**given, "extra_body": extra} if extra else given


def completion(output: TextGenerationOutput, model: str | None) -> CompletionOutput:
    """A generated text as OpenAI's client has it."""
    details = output.details
    tokens = details.generated_tokens if details else None
    choice = CompletionChoice(text=output.generated_text, finish_reason=details.finish_reason if details else None)
    usage = None if tokens is None else CompletionUsage(completion_tokens=tokens)
    return CompletionOutput(choices=[choice], model=model or "", created=int(time.time()), usage=usage)


def completion_chunk(event: TextGenerationStreamOutput) -> CompletionOutput:
    """A token of a streamed text as OpenAI's client has it."""
    finish = event.details.finish_reason if event.details else None
    text = "" if event.token.special else event.token.text
    return CompletionOutput(choices=[CompletionChoice(text=text, finish_reason=finish)])
