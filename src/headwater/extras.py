"""What the clients have beside tasks: `post`, jobs taken up again, the Hub's and servers' facts, OpenAI's spellings.

Each runs as any call does, under the client's deadline, retries and credentials.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, overload

import msgspec

from . import hub
from .custom import CUSTOM, posting
from .errors import InvalidParameterError
from .events import Job
from .methods import Asynchronous, Blocking, Method
from .openai_calls import (
    AsyncAudio,
    AsyncCompletions,
    AsyncImages,
    AsyncModels,
    SyncAudio,
    SyncCompletions,
    SyncImages,
    SyncModels,
)
from .portal import Run, call
from .providers.hf_inference import recommended
from .responses import AsyncStreamedResponse, Response, StreamedResponse

if TYPE_CHECKING:
    from .client import Client
    from .engine.run import AsyncRun
    from .media import File


async def get_endpoint_info(client: Client, *, model: str | None = None) -> dict[str, Any]:
    """What a text-generation server says of itself at `/info`; `model` is its URL, or a model of hf-inference."""
    info: dict[str, Any] = await client._custom("endpoint-info", model, hub.endpoint_info).result()
    return info


async def health_check(client: Client, model: str | None = None) -> bool:
    """Whether the server at this URL (default: the client's) answers `/health` with 2xx; it is asked once."""
    healthy: bool = await client.with_options(retries=0)._custom("health-check", model, hub.health).result()
    return healthy


async def get_model_status(client: Client, model: str | None = None) -> hub.ModelStatus:
    """Whether some provider serves this model of the Hub now, and which."""
    status: hub.ModelStatus = await client._custom("model-status", model, hub.model_status, at_hub=True).result()
    return status


async def list_deployed_models(
    client: Client, frameworks: str | Sequence[str] | None = None, *, task: str | None = None
) -> dict[str, list[str]]:
    """The models that are served now, by task.

    `frameworks`: only those of these libraries ("transformers", ...); "all" and None do not choose. `task`: only this
    one. https://huggingface.co/docs/hub/api
    """
    chosen = [frameworks] if isinstance(frameworks, str) else list(frameworks or ())
    flow = partial(hub.deployed, frameworks=[] if chosen == ["all"] else chosen, task=task)
    found: dict[str, list[str]] = await client._custom("deployed-models", None, flow, at_hub=True).result()
    return found


async def get_recommended_model(client: Client, task: str) -> str:
    """The model that the Hub recommends for a task, which hf-inference takes where none is named."""
    model: str = await client._custom(task, None, recommended, at_hub=True).result()
    return model


class Facts:
    """What both clients can ask about models and servers."""

    get_endpoint_info = Method(get_endpoint_info)
    health_check = Method(health_check)
    get_model_status = Method(get_model_status)
    list_deployed_models = Method(list_deployed_models)
    get_recommended_model = Method(get_recommended_model)


class AsyncExtras(Facts, Asynchronous):
    """As `AsyncInferenceClient` has it."""

    if TYPE_CHECKING:
        _custom: Any
        _resume: Any

    @property
    def images(self) -> AsyncImages:
        """OpenAI's spelling: `client.images.generate(...)` is `text_to_image`."""
        return AsyncImages(self)

    @property
    def audio(self) -> AsyncAudio:
        """OpenAI's spelling: `client.audio.speech.create(...)` and `client.audio.transcriptions.create(...)`."""
        return AsyncAudio(self)

    @property
    def completions(self) -> AsyncCompletions:
        """OpenAI's spelling: `client.completions.create(...)` is `text_generation`."""
        return AsyncCompletions(self)

    @property
    def models(self) -> AsyncModels:
        """OpenAI's spelling: `client.models.list()` says which models there are."""
        return AsyncModels(self)

    def resume(self, job: Job | str | bytes) -> AsyncRun[Any, Any]:
        """A job that was submitted before, by its `Job` or that one's JSON, as a run: its result is the task's.

        Raises `UnsupportedTaskError` for a job that cannot be taken up again, `InvalidCredentialError` where it was
        submitted with another kind of key.
        """
        return self._resume(_job(job))  # type: ignore[no-any-return]

    @overload
    async def post(
        self,
        *,
        json: Any = ...,
        data: File | None = ...,
        model: str | None = ...,
        task: str | None = ...,
        stream: Literal[False] = ...,
    ) -> Response: ...
    @overload
    async def post(
        self,
        *,
        json: Any = ...,
        data: File | None = ...,
        model: str | None = ...,
        task: str | None = ...,
        stream: Literal[True],
    ) -> AsyncStreamedResponse: ...
    async def post(
        self,
        *,
        json: Any = None,
        data: File | None = None,
        model: str | None = None,
        task: str | None = None,
        stream: bool = False,
    ) -> Any:
        """Send a request of your own, and have the answer as it is.

        https://huggingface.co/docs/huggingface_hub/guides/inference#custom-requests

        Args:
            json: What to send, as JSON; or
            data: a file to send as it is: bytes, a binary file, a path, an http(s) URL or a data URL.
            model: Where to: a model's id on hf-inference, a server's URL, or a path of the client's provider that
                begins with a slash ("/v1/rerank"); the client's model or URL where it is not given.
            task: Without a model: the task whose recommended model is asked. With one: "feature-extraction" or
                "sentence-similarity", where a model of hf-inference does more than one thing.
            stream: Hand the body over as it comes, with `iter_bytes()` or `iter_events()`.

        Returns:
            A `Response` with `content`, `json()`, `text`, `headers`, `status`; with `stream` a context manager.

        Raises:
            InvalidParameterError: An argument is wrong; nothing was sent.
            ProviderError: The server refused; the subclass says why.
            TransportError: The network failed.
            InferenceTimeoutError: A deadline passed.
            UnexpectedContentError: With `stream`: the answer is empty.
        """
        run = self._custom(task or CUSTOM, model, posting(json, data, stream))
        return AsyncStreamedResponse(await run.start()) if stream else await run.result()


class SyncExtras(Facts, Blocking):
    """As `InferenceClient` has it."""

    if TYPE_CHECKING:
        _custom: Any
        _resume: Any

    @property
    def images(self) -> SyncImages:
        """OpenAI's spelling: `client.images.generate(...)` is `text_to_image`."""
        return SyncImages(self)

    @property
    def audio(self) -> SyncAudio:
        """OpenAI's spelling: `client.audio.speech.create(...)` and `client.audio.transcriptions.create(...)`."""
        return SyncAudio(self)

    @property
    def completions(self) -> SyncCompletions:
        """OpenAI's spelling: `client.completions.create(...)` is `text_generation`."""
        return SyncCompletions(self)

    @property
    def models(self) -> SyncModels:
        """OpenAI's spelling: `client.models.list()` says which models there are."""
        return SyncModels(self)

    def resume(self, job: Job | str | bytes) -> Run[Any, Any]:
        """A job that was submitted before, by its `Job` or that one's JSON, as a run: its result is the task's.

        Raises `UnsupportedTaskError` for a job that cannot be taken up again, `InvalidCredentialError` where it was
        submitted with another kind of key.
        """
        return Run(self._resume(_job(job)))

    @overload
    def post(
        self,
        *,
        json: Any = ...,
        data: File | None = ...,
        model: str | None = ...,
        task: str | None = ...,
        stream: Literal[False] = ...,
    ) -> Response: ...
    @overload
    def post(
        self,
        *,
        json: Any = ...,
        data: File | None = ...,
        model: str | None = ...,
        task: str | None = ...,
        stream: Literal[True],
    ) -> StreamedResponse: ...
    def post(
        self,
        *,
        json: Any = None,
        data: File | None = None,
        model: str | None = None,
        task: str | None = None,
        stream: bool = False,
    ) -> Any:
        """Send a request of your own, and have the answer as it is.

        https://huggingface.co/docs/huggingface_hub/guides/inference#custom-requests

        Args:
            json: What to send, as JSON; or
            data: a file to send as it is: bytes, a binary file, a path, an http(s) URL or a data URL.
            model: Where to: a model's id on hf-inference, a server's URL, or a path of the client's provider that
                begins with a slash ("/v1/rerank"); the client's model or URL where it is not given.
            task: Without a model: the task whose recommended model is asked. With one: "feature-extraction" or
                "sentence-similarity", where a model of hf-inference does more than one thing.
            stream: Hand the body over as it comes, with `iter_bytes()` or `iter_events()`.

        Returns:
            A `Response` with `content`, `json()`, `text`, `headers`, `status`; with `stream` a context manager.

        Raises:
            InvalidParameterError: An argument is wrong; nothing was sent.
            ProviderError: The server refused; the subclass says why.
            TransportError: The network failed.
            InferenceTimeoutError: A deadline passed.
            UnexpectedContentError: With `stream`: the answer is empty.
        """
        run = self._custom(task or CUSTOM, model, posting(json, data, stream))
        return StreamedResponse(Run(run).start()) if stream else call(run.result)


def _job(given: Job | str | bytes) -> Job:
    if isinstance(given, Job):
        return given
    try:
        return Job.from_json(given)
    except (msgspec.MsgspecError, TypeError, UnicodeDecodeError):
        raise InvalidParameterError("resume takes a Job, or the JSON that job.to_json() gave") from None
