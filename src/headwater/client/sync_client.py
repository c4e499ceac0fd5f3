"""The client for blocking code: the async client's calls, made through the shared event loop of `blocking.portal`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType, UnionType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, Unpack, overload

from ..blocking.portal import call, let_go
from ..blocking.run import Run
from ..tasks.type_hints import hinted
from .bound_task import Blocking, SyncTask, namespace
from .constructor import BaseClient
from .core import core_of
from .task_table import elements_reader

if TYPE_CHECKING:
    from ..conversation.parameters import ConversationParameters, TypedConversationParameters
    from ..conversation.state import ConversationState
    from ..conversation.sync_run import Conversation, ParsedConversation
    from ..conversation.tool import AnyTool
    from ..cost.budget import Budget
    from ..mapper.sync_map import SyncMap
    from ..media.source import File
    from ..protocol.events import Job
    from ..protocol.timeout import Timeout
    from ..tasks import embeddings, moderation
    from ..tasks.chat import Messages
    from ..tasks.declaration import CallOptions
    from .chat_task import SyncChat
    from .create_namespace import Chat, CreateNamespace
    from .endpoints import SyncEndpoints
    from .messages import SyncMessages
    from .openai import SyncAudio, SyncCompletions, SyncImages, SyncModels
    from .post import Response, StreamedResponse
    from .responses import SyncResponses

R = TypeVar("R")
T = TypeVar("T")


@hinted("converse", "map", "post", "resume")
class InferenceClient(BaseClient, Blocking):
    """The same client for blocking code, safe from several threads; every call runs on one shared event loop."""

    @namespace
    def chat(self) -> Chat[SyncChat]:
        """OpenAI's spelling: `client.chat.completions.create(...)` is `chat_completion`."""
        from .create_namespace import Chat

        return Chat(self.chat_completion)

    @namespace
    def embeddings(
        self,
    ) -> CreateNamespace[SyncTask[..., embeddings.EmbeddingOutput, embeddings.CreateEmbeddingResponse]]:
        """OpenAI's spelling: `client.embeddings.create(...)` is `create_embedding`."""
        from .create_namespace import CreateNamespace

        return CreateNamespace(self.create_embedding)

    @namespace
    def moderations(
        self,
    ) -> CreateNamespace[SyncTask[..., moderation.ModerationOutput, moderation.CreateModerationResponse]]:
        """OpenAI's spelling: `client.moderations.create(...)` is `create_moderation`."""
        from .create_namespace import CreateNamespace

        return CreateNamespace(self.create_moderation)

    @namespace
    def images(self) -> SyncImages:
        """OpenAI's spelling: `client.images.generate(...)` is `text_to_image`."""
        from .openai import SyncImages

        return SyncImages(self)

    @namespace
    def audio(self) -> SyncAudio:
        """OpenAI's spelling: `client.audio.speech.create(...)` and `client.audio.transcriptions.create(...)`."""
        from .openai import SyncAudio

        return SyncAudio(self)

    @namespace
    def completions(self) -> SyncCompletions:
        """OpenAI's spelling: `client.completions.create(...)` is `text_generation`."""
        from .openai import SyncCompletions

        return SyncCompletions(self)

    @namespace
    def models(self) -> SyncModels:
        """OpenAI's spelling: `client.models.list()` says which models there are."""
        from .openai import SyncModels

        return SyncModels(self)

    @namespace
    def responses(self) -> SyncResponses:
        """OpenAI's spelling: `client.responses.create(...)` is `create_response`; `.retrieve`, `.cancel`, ..."""
        from .responses import SyncResponses

        return SyncResponses(self, self.create_response)

    @namespace
    def messages(self) -> SyncMessages:
        """Anthropic's spelling: `client.messages.create(...)`, `.stream(...)`, `.count_tokens(...)`."""
        from .messages import SyncMessages

        return SyncMessages(self.create_message, self.count_message_tokens)

    @namespace
    def beta(self) -> Self:
        """The client itself: `client.beta.chat.completions.parse(...)`, `client.beta.messages.create(...)`."""
        return self

    @namespace
    def endpoints(self) -> SyncEndpoints[Self]:
        """Inference Endpoints: `client.endpoints.get("namespace/name")`, `.deploy(...)`, `.running(...)`."""
        from .endpoints import SyncEndpoints

        return SyncEndpoints(self)

    def resume(self, job: Job | str | bytes, *, timeout: float | Timeout | None = None) -> Run[Any, Any]:
        """A job that was submitted before, by its `Job` or that one's JSON, as a run: its result is the task's.

        Raises `UnsupportedTaskError` for a job that cannot be taken up again, `InvalidCredentialError` where it was
        submitted with another kind of key.
        """
        return Run(core_of(self).resume(job, timeout, elements_reader))

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
        from .post import CUSTOM, StreamedResponse, request_flow_and_options

        flow, own = request_flow_and_options(json, data, stream, options)
        run = core_of(self).custom(task or CUSTOM, model, flow, own)
        return StreamedResponse(Run(run).start()) if stream else call(run.result)

    @overload
    def map(
        self,
        call: Callable[..., Run[Any, R]],
        inputs: Iterable[Any],
        *,
        concurrency: int | Literal["auto"] = ...,
        ordered: bool = ...,
        on_error: Literal["collect", "raise"] = ...,
        parameters: Mapping[str, Any] = ...,
        requests_per_minute: float | None = ...,
        tokens_per_minute: float | None = ...,
        timeout: Timeout | float | None = ...,
        budget: Budget | int | None = ...,
    ) -> SyncMap[R]: ...
    @overload
    def map(
        self,
        call: Callable[..., R],
        inputs: Iterable[Any],
        *,
        concurrency: int | Literal["auto"] = ...,
        ordered: bool = ...,
        on_error: Literal["collect", "raise"] = ...,
        parameters: Mapping[str, Any] = ...,
        requests_per_minute: float | None = ...,
        tokens_per_minute: float | None = ...,
        timeout: Timeout | float | None = ...,
        budget: Budget | int | None = ...,
    ) -> SyncMap[R]: ...
    def map(
        self,
        call: Any,
        inputs: Iterable[Any],
        *,
        concurrency: int | Literal["auto"] = "auto",
        ordered: bool = False,
        on_error: Literal["collect", "raise"] = "collect",
        parameters: Mapping[str, Any] = {},
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        timeout: Timeout | float | None = None,
        budget: Budget | int | None = None,
    ) -> SyncMap[Any]:
        """Make this call for each input, many at once: `with client.map(...) as results: for r in results`.

        The inputs are read in the caller's thread; otherwise it is `AsyncInferenceClient.map`.
        """
        from ..mapper.async_map import AsyncMap
        from ..mapper.item import work_of
        from ..mapper.sync_map import SyncMap
        from ..throttle.settings import ThrottleSettings, fails_fast

        work = work_of(call, parameters, timeout, budget, asynchronous=self.asynchronous)
        settings = ThrottleSettings(concurrency, requests_per_minute, tokens_per_minute, parameters)
        fast = fails_fast(on_error)
        return SyncMap(lambda feed: AsyncMap(work, feed, settings, ordered=ordered, fails_fast=fast), inputs)

    @overload
    def converse(
        self,
        messages: Messages | ConversationState | str | bytes,
        *,
        tools: Sequence[AnyTool] = ...,
        **parameters: Unpack[ConversationParameters],
    ) -> Conversation: ...
    @overload
    def converse(
        self,
        messages: Messages | ConversationState | str | bytes,
        *,
        response_format: type[T],
        tools: Sequence[AnyTool] = ...,
        **parameters: Unpack[TypedConversationParameters],
    ) -> ParsedConversation[T]: ...
    @overload
    def converse(
        self,
        messages: Messages | ConversationState | str | bytes,
        *,
        response_format: UnionType,
        tools: Sequence[AnyTool] = ...,
        **parameters: Unpack[TypedConversationParameters],
    ) -> ParsedConversation[Any]: ...
    def converse(
        self,
        messages: Messages | ConversationState | str | bytes,
        *,
        tools: Sequence[AnyTool] = (),
        **parameters: Any,
    ) -> Conversation:
        """Hold a conversation in which the model may call tools, until it has answered: a run.

        It is `AsyncInferenceClient.converse`. Synchronous tools, and `approve`, run in threads of their own.
        """
        from ..conversation.async_run import AsyncParsedConversation, conversation
        from ..conversation.sync_run import Conversation, ParsedConversation

        run = conversation(core_of(self), messages, tools, parameters)
        return ParsedConversation(run) if isinstance(run, AsyncParsedConversation) else Conversation(run)

    def close(self) -> None:
        """Give back the idle connections."""
        let_go(core_of(self).aclose)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
