"""OpenAI's objects between a client and our tasks: `client.images`, `.audio`, `.completions` and `.models`.

Each calls a task with its arguments under other names; `openai_types` knows those.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, Unpack, overload

from anyio import create_task_group

from ..errors import InvalidParameterError
from ..protocol.flow import Wanted
from ..providers.media_results import DecodedImages
from ..tasks import audio, image_generation, text
from . import hub
from .bound_task import Asynchronous, Blocking, CoroutineFunction, DualMethod, RawResponses
from .call_options import RequestOptions, moved, options_of
from .core import core_of
from .openai_types import (
    CompletionOutput,
    ImagesResponse,
    SpeechOutput,
    completion,
    completion_arguments,
    completion_chunk,
    edit_arguments,
    image_arguments,
    image_count,
    speech_arguments,
    transcription,
    transcription_arguments,
    translation_arguments,
)

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..blocking.run import Run
    from ..engine.run import AsyncRun
    from ..media.media import Media
    from ..media.source import File
    from ..protocol.events import JobEvent
    from ..tasks.image_generation import Images, ImageStreamOutput

    OpenAIFile: TypeAlias = tuple[str | None, Any] | tuple[str | None, Any, str | None]


_AT_ONCE: Final = 8
"""Requests for further images that are made at the same time."""


class _Namespace(RawResponses):
    """One of the objects between a client and OpenAI's names."""

    def __init__(self, client: Any) -> None:
        self._core: Any = getattr(client, "_core", client)  # not the client, which has this object


async def _generate(
    namespace: _Namespace,
    /,
    prompt: str,
    *,
    model: str | None = None,
    n: int | None = None,
    size: str | None = None,
    stream: bool = False,
    extra_body: dict[str, Any] | None = None,
    **more: Any,
) -> Any:
    """`text_to_image` in OpenAI's words; `size` is "1024x768", and what else there is goes to the server.

    Of a server that makes fewer than `n` images with one request the others are asked for at once, eight requests at
    most; where one of them fails the others are given up, and its error is raised. `response_format` is sent where it
    is given, to servers of OpenAI's dialect; the answer has each image in all its forms. With `stream=True` the call's
    run: `partial_images` events on the way, and the image.
    """
    options = moved(more)
    form = more.pop("response_format", None)
    if stream:
        more.setdefault("partial_images", 0)
    arguments = options | image_arguments(prompt, model, None, size, extra_body, more)
    task = image_generation.text_to_image
    return await (_image_run(namespace, task, arguments, n) if stream else _images(namespace, task, arguments, n, form))


async def _edit(
    namespace: _Namespace,
    /,
    *,
    image: Any,
    prompt: str,
    model: str | None = None,
    n: int | None = None,
    stream: bool = False,
    extra_body: dict[str, Any] | None = None,
    **more: Any,
) -> Any:
    """`edit_image` in OpenAI's words: of one image or several, with a `mask` where only a part is to change.

    A file may be (name, content), too. `n` images are made as `images.generate` does. With `stream=True` the call's
    run: `partial_images` events on the way, and the image.
    """
    options = moved(more)
    form = more.pop("response_format", None)
    if stream:
        more.setdefault("partial_images", 0)
    arguments = options | edit_arguments(image, prompt, model, extra_body, more)
    task = image_generation.edit_image
    return await (_image_run(namespace, task, arguments, n) if stream else _images(namespace, task, arguments, n, form))


async def _image_run(namespace: _Namespace, task: Any, arguments: dict[str, Any], n: Any) -> Any:
    if image_count(n) != 1:
        raise InvalidParameterError(f"{task.method}: a stream has one image: n must be 1")
    return await core_of(namespace).stream(task, (), arguments).start()


async def _images(
    namespace: _Namespace, task: Any, arguments: dict[str, Any], n: Any, form: str | None
) -> ImagesResponse:
    """As many images as are wanted, in as many requests as that takes."""
    core = core_of(namespace)

    async def made(count: int) -> Any:
        given = {**task.bind((), arguments), "wanted": Wanted(count, form)}
        return await core.start(task, given, stream=False).result()

    wanted = image_count(n)
    answers = [await made(wanted)]
    several = max(1, _number_of(answers))
    while (left := wanted - _number_of(answers)) > 0:
        counts = [min(several, left - start) for start in range(0, left, several)][:_AT_ONCE]
        answers += await _at_once([partial(made, count) for count in counts])
    return ImagesResponse(answers)


def _number_of(answers: Sequence[Any]) -> int:
    """How many images there are in these answers."""
    return sum(len(answer.images) if isinstance(answer, DecodedImages) else 1 for answer in answers)


async def _at_once(calls: Sequence[Callable[[], Coroutine[Any, Any, Any]]]) -> list[Any]:
    """What these come to, in their order; the error of the first that fails, when the others are given up."""
    found: list[Any] = [None] * len(calls)
    failures: list[Exception] = []

    async def perform(place: int) -> None:
        try:
            found[place] = await calls[place]()
        except Exception as error:  # noqa: BLE001 - it is raised below, alone
            failures.append(error)
            group.cancel_scope.cancel()

    async with create_task_group() as group:
        for place in range(len(calls)):
            group.start_soon(perform, place)
    if failures:
        raise failures[0]
    return found


async def _speak(
    namespace: _Namespace,
    /,
    *,
    input: str,  # noqa: A002 - OpenAI's name
    model: str | None = None,
    voice: str | None = None,
    extra_body: dict[str, Any] | None = None,
    **more: Any,
) -> SpeechOutput:
    """`text_to_speech` in OpenAI's words; the sound is bytes, with `.mime_type`, `.write_to_file(path)` and others."""
    options = moved(more)
    arguments = options | speech_arguments(input, model, voice, extra_body, more)
    sound: Media = await core_of(namespace).call(audio.text_to_speech, (), arguments)
    spoken = SpeechOutput(sound, sound.mime_type)
    vars(spoken).update(vars(sound))
    return spoken


async def _transcribe(
    namespace: _Namespace,
    /,
    *,
    file: File,
    model: str | None = None,
    response_format: str | None = None,
    timestamp_granularities: Sequence[str] | None = None,
    stream: bool = False,
    extra_body: dict[str, Any] | None = None,
    **more: Any,
) -> Any:
    """`automatic_speech_recognition` in OpenAI's words; with `stream=True` its run.

    `response_format`: "text", "srt" and "vtt" give a text of that form (in a run, the `text` of its result),
    "verbose_json" a `TranscriptionVerbose`; anything else goes to the server, and gives what the task gives.
    """
    options = moved(more)
    more["response_format"] = response_format
    arguments = options | transcription_arguments(file, model, timestamp_granularities, extra_body, more)
    if stream:
        return await core_of(namespace).stream(audio.automatic_speech_recognition, (), arguments).start()
    heard = await core_of(namespace).call(audio.automatic_speech_recognition, (), arguments)
    return transcription(heard, response_format)


async def _translate(
    namespace: _Namespace,
    /,
    *,
    file: File,
    model: str | None = None,
    response_format: str | None = None,
    extra_body: dict[str, Any] | None = None,
    **more: Any,
) -> Any:
    """`audio_translation` in OpenAI's words: what is said, in English.

    `response_format`: "text", "srt" and "vtt" give a text of that form, "verbose_json" a `TranscriptionVerbose`;
    anything else what the task gives.
    """
    options = moved(more)
    more["response_format"] = response_format
    arguments = options | translation_arguments(file, model, extra_body, more)
    heard = await core_of(namespace).call(audio.audio_translation, (), arguments)
    return transcription(heard, response_format)


async def _complete(
    namespace: _Namespace, /, *, prompt: str, stream: bool = False, **parameters: Any
) -> CompletionOutput | AsyncRun[CompletionOutput, Any]:
    """`text_generation` in OpenAI's words; with `stream=True` a run of chunks."""
    declaration = text.text_generation
    options = moved(parameters)
    given = declaration.bind((), options | completion_arguments(prompt, parameters))
    if stream:
        run: AsyncRun[CompletionOutput, Any] = core_of(namespace).start(
            declaration, given, stream=True, show=completion_chunk
        )
        return await run.start()
    whole = core_of(namespace).start(declaration, given, stream=False)
    return completion(await whole.result(), whole.model)


async def _list_models(namespace: _Namespace, /, **options: Unpack[RequestOptions]) -> hub.ModelList:
    """The models that the client's server, provider or router has: `data`, or to be gone through."""
    found: hub.ModelList = await core_of(namespace).custom("models", None, hub.models, options_of(options)).result()
    return found


async def _retrieve_model(namespace: _Namespace, /, model: str, **options: Unpack[RequestOptions]) -> hub.ModelInfo:
    """What the client's server, provider or router says of the model of this id. `NotFoundError` where it has none."""
    if not isinstance(model, str) or not model.strip():
        raise InvalidParameterError(f"model must be a model's id, not {model!r}")
    found: hub.ModelInfo = (
        await core_of(namespace)
        .custom("models", None, partial(hub.model, model_id=model), options_of(options))
        .result()
    )
    return found


class PendingModels(Coroutine[Any, Any, hub.ModelList]):
    """What `await` makes a list of models, and `async for` goes through."""

    def __init__(self, coroutine: Coroutine[Any, Any, hub.ModelList]) -> None:
        self._coroutine = coroutine

    def __await__(self) -> Generator[Any, Any, hub.ModelList]:
        return self._coroutine.__await__()

    async def __aiter__(self) -> AsyncIterator[hub.ModelInfo]:
        for model in await self._coroutine:
            yield model

    def send(self, value: Any) -> Any:
        """As a coroutine does."""
        return self._coroutine.send(value)

    def throw(self, *error: Any) -> Any:
        """Throw into the coroutine."""
        return self._coroutine.throw(*error)

    def close(self) -> None:
        """Close the coroutine."""
        self._coroutine.close()


class ModelLister(CoroutineFunction):
    """`client.models.list` of `AsyncInferenceClient`: what it gives is awaited, or gone through by `async for`."""

    __name__ = "list"

    def __init__(self, function: Callable[..., Coroutine[Any, Any, hub.ModelList]]) -> None:
        super().__init__()
        self._function = function
        self.__doc__ = function.__doc__
        self.__signature__ = inspect.signature(function)

    def __call__(self, **options: Unpack[RequestOptions]) -> PendingModels:
        return PendingModels(self._function(**options))


class _Images(_Namespace):
    if not TYPE_CHECKING:  # the types below say what each gives, with `stream` and without
        generate = DualMethod(_generate)
        edit = DualMethod(_edit)


class _Speech(_Namespace):
    create = DualMethod(_speak)


class _Transcriptions(_Namespace):
    create = DualMethod(_transcribe)


class _Translations(_Namespace):
    create = DualMethod(_translate)


class _Completions(_Namespace):
    create = DualMethod(_complete)


class AsyncImages(_Images, Asynchronous):
    """`client.images`."""

    if TYPE_CHECKING:

        @overload
        async def generate(self, prompt: str, *, stream: Literal[False] = ..., **more: Any) -> ImagesResponse: ...

        @overload
        async def generate(
            self, prompt: str, *, stream: Literal[True], **more: Any
        ) -> AsyncRun[ImageStreamOutput | Image | JobEvent, Image]: ...

        async def generate(self, *args: Any, **more: Any) -> Any: ...

        @overload
        async def edit(
            self,
            *,
            image: Images | OpenAIFile | list[OpenAIFile],
            prompt: str,
            stream: Literal[False] = ...,
            **more: Any,
        ) -> ImagesResponse: ...

        @overload
        async def edit(
            self, *, image: Images | OpenAIFile | list[OpenAIFile], prompt: str, stream: Literal[True], **more: Any
        ) -> AsyncRun[ImageStreamOutput | Image | JobEvent, Image]: ...

        async def edit(self, *args: Any, **more: Any) -> Any: ...


class AsyncSpeech(_Speech, Asynchronous):
    """`client.audio.speech`."""


class AsyncTranscriptions(_Transcriptions, Asynchronous):
    """`client.audio.transcriptions`."""


class AsyncTranslations(_Translations, Asynchronous):
    """`client.audio.translations`."""


class AsyncCompletions(_Completions, Asynchronous):
    """`client.completions`."""


class AsyncModels(_Namespace, Asynchronous):
    """`client.models`."""

    _list = DualMethod(_list_models)
    retrieve = DualMethod(_retrieve_model)

    @property
    def list(self) -> ModelLister:
        """The models that the client's server, provider or router has."""
        return ModelLister(self._list)


class AsyncAudio(_Namespace):
    """`client.audio`."""

    def __init__(self, client: Any) -> None:
        super().__init__(client)
        self.speech = AsyncSpeech(client)
        """`text_to_speech`."""
        self.transcriptions = AsyncTranscriptions(client)
        """`automatic_speech_recognition`."""
        self.translations = AsyncTranslations(client)
        """`audio_translation`."""


class SyncImages(_Images, Blocking):
    """`client.images`."""

    if TYPE_CHECKING:

        @overload
        def generate(self, prompt: str, *, stream: Literal[False] = ..., **more: Any) -> ImagesResponse: ...

        @overload
        def generate(
            self, prompt: str, *, stream: Literal[True], **more: Any
        ) -> Run[ImageStreamOutput | Image | JobEvent, Image]: ...

        def generate(self, *args: Any, **more: Any) -> Any: ...

        @overload
        def edit(
            self,
            *,
            image: Images | OpenAIFile | list[OpenAIFile],
            prompt: str,
            stream: Literal[False] = ...,
            **more: Any,
        ) -> ImagesResponse: ...

        @overload
        def edit(
            self, *, image: Images | OpenAIFile | list[OpenAIFile], prompt: str, stream: Literal[True], **more: Any
        ) -> Run[ImageStreamOutput | Image | JobEvent, Image]: ...

        def edit(self, *args: Any, **more: Any) -> Any: ...


class SyncSpeech(_Speech, Blocking):
    """`client.audio.speech`."""


class SyncTranscriptions(_Transcriptions, Blocking):
    """`client.audio.transcriptions`."""


class SyncTranslations(_Translations, Blocking):
    """`client.audio.translations`."""


class SyncCompletions(_Completions, Blocking):
    """`client.completions`."""


class SyncModels(_Namespace, Blocking):
    """`client.models`."""

    list = DualMethod(_list_models)
    retrieve = DualMethod(_retrieve_model)


class SyncAudio(_Namespace):
    """`client.audio`."""

    def __init__(self, client: Any) -> None:
        super().__init__(client)
        self.speech = SyncSpeech(client)
        """`text_to_speech`."""
        self.transcriptions = SyncTranscriptions(client)
        """`automatic_speech_recognition`."""
        self.translations = SyncTranslations(client)
        """`audio_translation`."""
