"""The client for asyncio and trio: every task is a coroutine, and `.stream(...)` a run of events."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping, Sequence
from types import TracebackType, UnionType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, Unpack, overload

from ..engine.run import AsyncRun
from ..tasks.type_hints import hinted
from .bound_task import Asynchronous, AsyncTask, namespace
from .constructor import BaseClient
from .core import core_of
from .task_table import elements_reader

if TYPE_CHECKING:
    from ..conversation.async_run import AsyncConversation, AsyncParsedConversation
    from ..conversation.parameters import ConversationParameters, TypedConversationParameters
    from ..conversation.state import ConversationState
    from ..conversation.tool import AnyTool
    from ..cost.budget import Budget
    from ..mapper.async_map import AsyncMap
    from ..media.source import File
    from ..protocol.events import Job
    from ..protocol.timeout import Timeout
    from ..tasks import embeddings, moderation
    from ..tasks.chat import Messages
    from ..tasks.declaration import CallOptions
    from .chat_task import AsyncChat
    from .create_namespace import Chat, CreateNamespace
    from .endpoints import AsyncEndpoints
    from .messages import AsyncMessages
    from .openai import AsyncAudio, AsyncCompletions, AsyncImages, AsyncModels
    from .post import AsyncStreamedResponse, Response
    from .responses import AsyncResponses

R = TypeVar("R")
T = TypeVar("T")


@hinted("converse", "map", "post", "resume")
class AsyncInferenceClient(BaseClient, Asynchronous):
    """Runs inference on servers, from asyncio and trio; every task is a coroutine, and `.stream(...)` a run."""

    @namespace
    def chat(self) -> Chat[AsyncChat]:
        """OpenAI's spelling: `client.chat.completions.create(...)` is `chat_completion`."""
        from .create_namespace import Chat

        return Chat(self.chat_completion)

    @namespace
    def embeddings(
        self,
    ) -> CreateNamespace[AsyncTask[..., embeddings.EmbeddingOutput, embeddings.CreateEmbeddingResponse]]:
        """OpenAI's spelling: `client.embeddings.create(...)` is `create_embedding`."""
        from .create_namespace import CreateNamespace

        return CreateNamespace(self.create_embedding)

    @namespace
    def moderations(
        self,
    ) -> CreateNamespace[AsyncTask[..., moderation.ModerationOutput, moderation.CreateModerationResponse]]:
        """OpenAI's spelling: `client.moderations.create(...)` is `create_moderation`."""
        from .create_namespace import CreateNamespace

        return CreateNamespace(self.create_moderation)

    @namespace
    def images(self) -> AsyncImages:
        """OpenAI's spelling: `client.images.generate(...)` is `text_to_image`."""
        from .openai import AsyncImages

        return AsyncImages(self)

    @namespace
    def audio(self) -> AsyncAudio:
        """OpenAI's spelling: `client.audio.speech.create(...)` and `client.audio.transcriptions.create(...)`."""
        from .openai import AsyncAudio

        return AsyncAudio(self)

    @namespace
    def completions(self) -> AsyncCompletions:
        """OpenAI's spelling: `client.completions.create(...)` is `text_generation`."""
        from .openai import AsyncCompletions

        return AsyncCompletions(self)

    @namespace
    def models(self) -> AsyncModels:
        """OpenAI's spelling: `client.models.list()` says which models there are."""
        from .openai import AsyncModels

        return AsyncModels(self)

    @namespace
    def responses(self) -> AsyncResponses:
        """OpenAI's spelling: `client.responses.create(...)` is `create_response`; `.retrieve`, `.cancel`, ..."""
        from .responses import AsyncResponses

        return AsyncResponses(self, self.create_response)

    @namespace
    def messages(self) -> AsyncMessages:
        """Anthropic's spelling: `client.messages.create(...)`, `.stream(...)`, `.count_tokens(...)`."""
        from .messages import AsyncMessages

        return AsyncMessages(self.create_message, self.count_message_tokens)

    @namespace
    def beta(self) -> Self:
        """The client itself: `client.beta.chat.completions.parse(...)`, `client.beta.messages.create(...)`."""
        return self

    @namespace
    def endpoints(self) -> AsyncEndpoints[Self]:
        """Inference Endpoints: `client.endpoints.get("namespace/name")`, `.deploy(...)`, `.running(...)`."""
        from .endpoints import AsyncEndpoints

        return AsyncEndpoints(self)

    def resume(self, job: Job | str | bytes, *, timeout: float | Timeout | None = None) -> AsyncRun[Any, Any]:
        """A job that was submitted before, by its `Job` or that one's JSON, as a run: its result is the task's.

        Raises `UnsupportedTaskError` for a job that cannot be taken up again, `InvalidCredentialError` where it was
        submitted with another kind of key.
        """
        return core_of(self).resume(job, timeout, elements_reader)

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
        from .post import CUSTOM, AsyncStreamedResponse, request_flow_and_options

        flow, own = request_flow_and_options(json, data, stream, options)
        run = core_of(self).custom(task or CUSTOM, model, flow, own)
        return AsyncStreamedResponse(await run.start()) if stream else await run.result()

    def map(
        self,
        call: Callable[..., Awaitable[R] | AsyncRun[Any, R]],
        inputs: Iterable[Any] | AsyncIterable[Any],
        *,
        concurrency: int | Literal["auto"] = "auto",
        ordered: bool = False,
        on_error: Literal["collect", "raise"] = "collect",
        parameters: Mapping[str, Any] = {},
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        timeout: Timeout | float | None = None,
        budget: Budget | int | None = None,
    ) -> AsyncMap[R]:
        """Make this call for each input, many at once: `async with client.map(...) as results: async for r in results`.

        `call`: a task of the client (`client.chat_completion`), its `.stream`, or an async function. `inputs`: an
        iterable or async iterable, read only as fast as the work is done (a plain one in the event loop's thread); a
        mapping is keyword arguments, anything else the first argument. `parameters` go with every call.
        `concurrency`: "auto" finds how many at once the provider takes, by what it refuses, how long it takes and
        what its headers say; a number is the most, of which less is used only where the provider refuses. `ordered`:
        results in the order of the inputs, of which some more are kept then. `on_error`: "collect" gives a failed
        item as a result with an `error`; "raise" cancels the rest and raises it. `requests_per_minute` and
        `tokens_per_minute` are spent evenly, for each provider. `timeout`: of each item, from when it is begun
        (default: the client's). `budget`: a `Budget`, or a number of tokens, that the items spend besides the client's;
        once it is spent no more inputs are taken, what is in flight is delivered, and the map ends with
        `BudgetExceededError`.

        When a provider refuses or is away, all workers wait for it together. Results are `MapResult`s.
        Raises `InvalidParameterError` for an argument that is wrong; a wrong input is that item's error.
        """
        from ..mapper.async_map import AsyncMap
        from ..mapper.item import work_of
        from ..throttle.settings import ThrottleSettings, fails_fast

        work = work_of(call, parameters, timeout, budget, asynchronous=self.asynchronous)
        settings = ThrottleSettings(concurrency, requests_per_minute, tokens_per_minute, parameters)
        return AsyncMap(work, inputs, settings, ordered=ordered, fails_fast=fails_fast(on_error))

    @overload
    def converse(
        self,
        messages: Messages | ConversationState | str | bytes,
        *,
        tools: Sequence[AnyTool] = ...,
        **parameters: Unpack[ConversationParameters],
    ) -> AsyncConversation: ...
    @overload
    def converse(
        self,
        messages: Messages | ConversationState | str | bytes,
        *,
        response_format: type[T],
        tools: Sequence[AnyTool] = ...,
        **parameters: Unpack[TypedConversationParameters],
    ) -> AsyncParsedConversation[T]: ...
    @overload
    def converse(
        self,
        messages: Messages | ConversationState | str | bytes,
        *,
        response_format: UnionType,
        tools: Sequence[AnyTool] = ...,
        **parameters: Unpack[TypedConversationParameters],
    ) -> AsyncParsedConversation[Any]: ...
    def converse(
        self,
        messages: Messages | ConversationState | str | bytes,
        *,
        tools: Sequence[AnyTool] = (),
        **parameters: Any,
    ) -> AsyncConversation:
        """Hold a conversation in which the model may call tools, until it has answered: a run.

        Its events are the chunks of the model's answers, `ToolCalled`, `ToolReturned` and `TurnEnded`; its result, a
        `ConversationResult`, has the last message, the transcript, the summed usage and the facts of every turn. The
        tools of a turn run at the same time, and end before the next event is handed over: leaving the run, or
        cancelling who reads it, cancels them. Every call has an answer in `transcript`, whatever ended it.

        Args:
            messages: As for `chat_completion`; or a `ConversationState`, or its JSON, to go on from there.
            tools: What the model may call: functions with annotations, and what `@tool` and `mcp_tools` give.
            parameters: Those of `chat_completion` but `n`, `tools` and `stream_options` go with every call of the
                model. A `tool_choice` that demands a call holds for the first turn. `timeout` is that of the whole
                conversation; what somebody takes to allow a call is not counted. Besides:
                `max_turns`: the most answers of the model (8).
                `budget`: tokens, after which no further turn is begun; where the server counts none, one is counted
                for each 4 bytes of JSON (no limit). A `Budget` is spent besides the client's.
                `approve`: asked before each call, with its `ToolCalled`, sync or async: True allows it, False or a text
                that says why refuses it, None leaves it undecided, and the conversation pauses.
                `approval_timeout`: the seconds that this may take, after which the call is refused (no limit).
                `tool_timeout`: the seconds of each call of a tool that has no limit of its own (no limit).
                `tools_at_once`: how many may run at the same time (8).
                `tool_mode`: "native"; "prompted" for servers without tools, which are told of them in words;
                "constrained" the same, with a JSON schema that such an answer must follow ("native").
                `stream`: whether the answers come in chunks (True).
                A `response_format` that is a type makes the last message a value of it: `result.parsed`; `on_invalid`,
                `max_tries` and `token_budget` go with it.

        Raises:
            InvalidParameterError: A tool has no schema, or an argument is wrong; nothing was sent.
            ConversationLimitError: `max_turns` or `budget` is used up; `partial` is the result so far.
            BudgetExceededError: A budget is spent; `partial` is the result so far.
            HeadwaterError: A call of the model failed, as `chat_completion` does; `partial` is the result so far.
        """
        from ..conversation.async_run import conversation

        return conversation(core_of(self), messages, tools, parameters)

    async def close(self) -> None:
        """Give back the idle connections of the running event loop."""
        await core_of(self).aclose()

    aclose = close

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
