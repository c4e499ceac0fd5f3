"""What the clients have beside tasks: `post`, jobs taken up again, the Hub's and servers' facts, OpenAI's spellings.

Each runs as any call does, under the client's deadline, retries and credentials.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

import msgspec

from . import hub
from .call_options import ALL, RequestOptions, options_of
from .custom import CUSTOM, posting
from .errors import InvalidParameterError
from .events import Job
from .methods import Asynchronous, Blocking, Method, names
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
    from .engine.deadlines import Timeout
    from .engine.run import AsyncRun
    from .media import File
    from .providers import Flows
    from .tasks.declare import CallOptions


async def get_endpoint_info(
    client: Client, *, model: str | None = None, **options: Unpack[RequestOptions]
) -> dict[str, Any]:
    """What a text-generation server says of itself at `/info`; `model` is its URL, or a model of hf-inference."""
    info: dict[str, Any] = await client._custom("endpoint-info", model, hub.endpoint_info, options_of(options)).result()
    return info


async def health_check(client: Client, model: str | None = None, **options: Unpack[RequestOptions]) -> bool:
    """Whether the server at this URL (default: the client's) answers `/health` with 2xx; it is asked once."""
    once = client.with_options(retries=0)
    healthy: bool = await once._custom("health-check", model, hub.health, options_of(options)).result()
    return healthy


async def get_model_status(
    client: Client, model: str | None = None, *, timeout: float | Timeout | None = None
) -> hub.ModelStatus:
    """Whether some provider serves this model of the Hub now, and which."""
    own = {"timeout": timeout}
    status: hub.ModelStatus = await client._custom("model-status", model, hub.model_status, own, at_hub=True).result()
    return status


async def list_deployed_models(
    client: Client,
    frameworks: str | Sequence[str] | None = None,
    *,
    task: str | None = None,
    timeout: float | Timeout | None = None,
) -> dict[str, list[str]]:
    """The models that are served now, by task.

    `frameworks`: only those of these libraries ("transformers", ...); "all" and None do not choose. `task`: only this
    one. https://huggingface.co/docs/hub/api
    """
    chosen = [frameworks] if isinstance(frameworks, str) else list(frameworks or ())
    flow = partial(hub.deployed, frameworks=[] if chosen == ["all"] else chosen, task=task)
    own = {"timeout": timeout}
    found: dict[str, list[str]] = await client._custom("deployed-models", None, flow, own, at_hub=True).result()
    return found


async def get_recommended_model(client: Client, task: str, *, timeout: float | Timeout | None = None) -> str:
    """The model that the Hub recommends for a task, which hf-inference takes where none is named."""
    model: str = await client._custom(task, None, recommended, {"timeout": timeout}, at_hub=True).result()
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

    @names
    def images(self) -> AsyncImages:
        """OpenAI's spelling: `client.images.generate(...)` is `text_to_image`."""
        return AsyncImages(self)

    @names
    def audio(self) -> AsyncAudio:
        """OpenAI's spelling: `client.audio.speech.create(...)` and `client.audio.transcriptions.create(...)`."""
        return AsyncAudio(self)

    @names
    def completions(self) -> AsyncCompletions:
        """OpenAI's spelling: `client.completions.create(...)` is `text_generation`."""
        return AsyncCompletions(self)

    @names
    def models(self) -> AsyncModels:
        """OpenAI's spelling: `client.models.list()` says which models there are."""
        return AsyncModels(self)

    def resume(self, job: Job | str | bytes, *, timeout: float | Timeout | None = None) -> AsyncRun[Any, Any]:
        """A job that was submitted before, by its `Job` or that one's JSON, as a run: its result is the task's.

        Raises `UnsupportedTaskError` for a job that cannot be taken up again, `InvalidCredentialError` where it was
        submitted with another kind of key.
        """
        return self._resume(_job(job), {"timeout": timeout})  # type: ignore[no-any-return]

    @overload
    async def post(
        self,
        *,
        json: Any = ...,
        data: File | None = ...,
        model: str | None = ...,
        task: str | None = ...,
        stream: Literal[False] = ...,
        **options: Unpack[CallOptions],
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
        **options: Unpack[CallOptions],
    ) -> AsyncStreamedResponse: ...
    async def post(
        self,
        *,
        json: Any = None,
        data: File | None = None,
        model: str | None = None,
        task: str | None = None,
        stream: bool = False,
        **options: Unpack[CallOptions],
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
            options: `timeout`, `extra_headers`, `extra_query` of this call alone; `extra_body`: fields over json's.

        Returns:
            A `Response` with `content`, `json()`, `text`, `headers`, `status`; with `stream` a context manager.

        Raises:
            InvalidParameterError: An argument is wrong; nothing was sent.
            ProviderError: The server refused; the subclass says why.
            TransportError: The network failed.
            InferenceTimeoutError: A deadline passed.
            UnexpectedContentError: With `stream`: the answer is empty.
        """
        flow, own = _posting(json, data, stream, options)
        run = self._custom(task or CUSTOM, model, flow, own)
        return AsyncStreamedResponse(await run.start()) if stream else await run.result()


class SyncExtras(Facts, Blocking):
    """As `InferenceClient` has it."""

    if TYPE_CHECKING:
        _custom: Any
        _resume: Any

    @names
    def images(self) -> SyncImages:
        """OpenAI's spelling: `client.images.generate(...)` is `text_to_image`."""
        return SyncImages(self)

    @names
    def audio(self) -> SyncAudio:
        """OpenAI's spelling: `client.audio.speech.create(...)` and `client.audio.transcriptions.create(...)`."""
        return SyncAudio(self)

    @names
    def completions(self) -> SyncCompletions:
        """OpenAI's spelling: `client.completions.create(...)` is `text_generation`."""
        return SyncCompletions(self)

    @names
    def models(self) -> SyncModels:
        """OpenAI's spelling: `client.models.list()` says which models there are."""
        return SyncModels(self)

    def resume(self, job: Job | str | bytes, *, timeout: float | Timeout | None = None) -> Run[Any, Any]:
        """A job that was submitted before, by its `Job` or that one's JSON, as a run: its result is the task's.

        Raises `UnsupportedTaskError` for a job that cannot be taken up again, `InvalidCredentialError` where it was
        submitted with another kind of key.
        """
        return Run(self._resume(_job(job), {"timeout": timeout}))

    @overload
    def post(
        self,
        *,
        json: Any = ...,
        data: File | None = ...,
        model: str | None = ...,
        task: str | None = ...,
        stream: Literal[False] = ...,
        **options: Unpack[CallOptions],
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
        **options: Unpack[CallOptions],
    ) -> StreamedResponse: ...
    def post(
        self,
        *,
        json: Any = None,
        data: File | None = None,
        model: str | None = None,
        task: str | None = None,
        stream: bool = False,
        **options: Unpack[CallOptions],
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
            options: `timeout`, `extra_headers`, `extra_query` of this call alone; `extra_body`: fields over json's.

        Returns:
            A `Response` with `content`, `json()`, `text`, `headers`, `status`; with `stream` a context manager.

        Raises:
            InvalidParameterError: An argument is wrong; nothing was sent.
            ProviderError: The server refused; the subclass says why.
            TransportError: The network failed.
            InferenceTimeoutError: A deadline passed.
            UnexpectedContentError: With `stream`: the answer is empty.
        """
        flow, own = _posting(json, data, stream, options)
        run = self._custom(task or CUSTOM, model, flow, own)
        return StreamedResponse(Run(run).start()) if stream else call(run.result)


def _posting(json: Any, data: Any, stream: bool, given: Mapping[str, Any]) -> tuple[Flows, dict[str, Any]]:
    """The flow of a `post`, and the call's options."""
    options = options_of(given, (*ALL, "extra_body"))
    extra = options.pop("extra_body", None)
    if extra is not None:
        if not isinstance(json, Mapping) or not isinstance(extra, Mapping):
            raise InvalidParameterError("post: extra_body is a dict of fields over those of json, which is one, too")
        json = {**json, **extra}
    return posting(json, data, stream), options


def _job(given: Job | str | bytes) -> Job:
    if isinstance(given, Job):
        return given
    try:
        return Job.from_json(given)
    except (msgspec.MsgspecError, TypeError, UnicodeDecodeError):
        raise InvalidParameterError("resume takes a Job, or the JSON that job.to_json() gave") from None
