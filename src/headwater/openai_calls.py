"""OpenAI's objects between a client and our tasks: `client.images`, `.audio`, `.completions` and `.models`.

Each calls a task with its arguments under other names; `openai_names` knows those.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from . import hub
from .methods import Asynchronous, Blocking, Method
from .openai_names import (
    CompletionOutput,
    ImagesResponse,
    completion,
    completion_arguments,
    completion_chunk,
    image_arguments,
    speech_arguments,
    transcription_arguments,
)
from .tasks import audio, generation, text

if TYPE_CHECKING:
    from .engine.run import AsyncRun
    from .media import File, Media


class _Names:
    """One of the objects between a client and OpenAI's names."""

    def __init__(self, client: Any) -> None:
        self._client = client


async def _generate(
    names: _Names,
    /,
    prompt: str,
    *,
    model: str | None = None,
    n: int | None = None,
    size: str | None = None,
    extra_body: dict[str, Any] | None = None,
    **more: Any,
) -> ImagesResponse:
    """`text_to_image` in OpenAI's words; `size` is "1024x768", and what else there is goes to the server."""
    arguments = image_arguments(prompt, model, n, size, extra_body, more)
    return ImagesResponse(await names._client._call(generation.text_to_image, (), arguments))


async def _speak(
    names: _Names,
    /,
    *,
    input: str,  # noqa: A002 - OpenAI's name
    model: str | None = None,
    voice: str | None = None,
    extra_body: dict[str, Any] | None = None,
    **more: Any,
) -> Media:
    """`text_to_speech` in OpenAI's words; the sound is bytes, with `.mime_type` and `.save(path)`."""
    arguments = speech_arguments(input, model, voice, extra_body, more)
    sound: Media = await names._client._call(audio.text_to_speech, (), arguments)
    return sound


async def _transcribe(
    names: _Names,
    /,
    *,
    file: File,
    model: str | None = None,
    timestamp_granularities: Sequence[str] | None = None,
    stream: bool = False,
    extra_body: dict[str, Any] | None = None,
    **more: Any,
) -> Any:
    """`automatic_speech_recognition` in OpenAI's words; with `stream=True` its run."""
    arguments = transcription_arguments(file, model, timestamp_granularities, extra_body, more)
    if stream:
        return await names._client._run(audio.automatic_speech_recognition, (), arguments).start()
    return await names._client._call(audio.automatic_speech_recognition, (), arguments)


async def _complete(
    names: _Names, /, *, prompt: str, stream: bool = False, **parameters: Any
) -> CompletionOutput | AsyncRun[CompletionOutput, Any]:
    """`text_generation` in OpenAI's words; with `stream=True` a run of chunks."""
    declaration = text.text_generation
    given = declaration.bind((), completion_arguments(prompt, parameters))
    if stream:
        run: AsyncRun[CompletionOutput, Any] = names._client._start(
            declaration, given, stream=True, show=completion_chunk
        )
        return await run.start()
    whole = names._client._start(declaration, given, stream=False)
    return completion(await whole.result(), whole.model)


async def _list_models(names: _Names, /) -> hub.ModelList:
    """The models that the client's server, provider or router has."""
    found: hub.ModelList = await names._client._custom("models", None, hub.models).result()
    return found


class _Images(_Names):
    generate = Method(_generate)


class _Speech(_Names):
    create = Method(_speak)


class _Transcriptions(_Names):
    create = Method(_transcribe)


class _Completions(_Names):
    create = Method(_complete)


class _Models(_Names):
    list = Method(_list_models)


class AsyncImages(_Images, Asynchronous):
    """`client.images`."""


class AsyncSpeech(_Speech, Asynchronous):
    """`client.audio.speech`."""


class AsyncTranscriptions(_Transcriptions, Asynchronous):
    """`client.audio.transcriptions`."""


class AsyncCompletions(_Completions, Asynchronous):
    """`client.completions`."""


class AsyncModels(_Models, Asynchronous):
    """`client.models`."""


class AsyncAudio(_Names):
    """`client.audio`."""

    @property
    def speech(self) -> AsyncSpeech:
        """`text_to_speech`."""
        return AsyncSpeech(self._client)

    @property
    def transcriptions(self) -> AsyncTranscriptions:
        """`automatic_speech_recognition`."""
        return AsyncTranscriptions(self._client)


class SyncImages(_Images, Blocking):
    """`client.images`."""


class SyncSpeech(_Speech, Blocking):
    """`client.audio.speech`."""


class SyncTranscriptions(_Transcriptions, Blocking):
    """`client.audio.transcriptions`."""


class SyncCompletions(_Completions, Blocking):
    """`client.completions`."""


class SyncModels(_Models, Blocking):
    """`client.models`."""


class SyncAudio(_Names):
    """`client.audio`."""

    @property
    def speech(self) -> SyncSpeech:
        """`text_to_speech`."""
        return SyncSpeech(self._client)

    @property
    def transcriptions(self) -> SyncTranscriptions:
        """`automatic_speech_recognition`."""
        return SyncTranscriptions(self._client)
