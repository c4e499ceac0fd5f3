"""OpenAI's object between a client and the Responses API: `client.responses`.

`create` is the task `create_response`; the other methods are about responses that the server keeps.
https://platform.openai.com/docs/api-reference/responses
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

from ..errors import InvalidParameterError
from ..protocol.flow import Call, Flow, TaskFlow
from ..providers import flow_for, provider
from ..providers.urls import RESPONSES, openai_url
from .bound_task import Asynchronous, Blocking, DualMethod, RawResponses
from .call_options import RequestOptions, options_of
from .core import core_of

if TYPE_CHECKING:
    from ..blocking.run import Run
    from ..engine.run import AsyncRun
    from ..protocol.events import JobEvent
    from ..tasks.model_response import ModelResponse, ResponseItemList
    from ..tasks.response_events import ResponseStreamEvent
    from .overloads import AsyncCreateResponse, SyncCreateResponse

_TASK = "responses"
Query = tuple[tuple[str, str], ...]


def _at(flow: Callable[..., Flow[Any]], *given: Any) -> TaskFlow:
    """The flow at the place where the call's server has its responses."""

    def at_url(call: Call, url: str) -> Flow[Any]:
        return flow(call, url, *given)

    def placed(call: Call) -> Flow[Any]:
        if call.url is not None:
            return at_url(call, openai_url(call.url, RESPONSES))
        flow_for(call.provider, _TASK)
        row = provider(call.provider)
        route = row.responses or f"{row.prefix}/{RESPONSES}"
        return at_url(call, call.base + route) if row.at is None else row.at(route, at_url)(call)

    return placed


def _run(responses: _Kept, flow: TaskFlow, options: RequestOptions, task: str = "fetch-response") -> AsyncRun[Any, Any]:
    return core_of(responses).custom(task, None, flow, options_of(options))


def _checked(response_id: str) -> str:
    if not isinstance(response_id, str) or not response_id.strip():
        raise InvalidParameterError(f"response_id must be a response's id, not {response_id!r}")
    return response_id


def _query(**given: Any) -> Query:
    """What was given as a query, lists as OpenAI's client writes them."""
    found: list[tuple[str, str]] = []
    for name, value in given.items():
        if isinstance(value, bool):
            found.append((name, str(value).lower()))
        elif isinstance(value, str | int):
            found.append((name, str(value)))
        elif value is not None:
            found += [(f"{name}[]", str(each)) for each in value]
    return tuple(found)


async def _retrieve(
    responses: _Responses,
    /,
    response_id: str,
    *,
    stream: bool = False,
    starting_after: int | None = None,
    include: Sequence[str] | None = None,
    include_obfuscation: bool | None = None,
    **options: Unpack[RequestOptions],
) -> Any:
    """The response of this id, as it is now; one that failed as well, with its `status` and `error`.

    With `stream=True` the events of a response that was created in the background and as a stream: all of them, or with
    `starting_after` those behind that `sequence_number`. The result is the whole response either way, for the last
    event has it. Leaving such a run ends the watching, and not the response.
    """
    from ..providers import openai_responses

    query = _query(include=include, include_obfuscation=include_obfuscation, starting_after=starting_after)
    if stream:
        flow = _at(openai_responses.retrieve_events, _checked(response_id), query)
        return await _run(responses, flow, options).start()
    if starting_after is not None:
        raise InvalidParameterError("starting_after is for stream=True")
    return await _run(responses, _at(openai_responses.retrieve, _checked(response_id), query), options).result()


async def _cancel(responses: _Responses, /, response_id: str, **options: Unpack[RequestOptions]) -> ModelResponse:
    """End a response that was created in the background. Returns the response as it is then."""
    from ..providers import openai_responses

    found: ModelResponse = await _run(
        responses, _at(openai_responses.cancel, _checked(response_id)), options, "cancel-response"
    ).result()
    return found


def _wait(responses: _Responses, response: ModelResponse | str, options: RequestOptions) -> AsyncRun[Any, Any]:
    from ..providers import openai_responses

    id_ = _checked(response if isinstance(response, str) else response.id)
    return _run(responses, _at(openai_responses.watched_response, id_), options, _TASK)


async def _delete(responses: _Responses, /, response_id: str, **options: Unpack[RequestOptions]) -> None:
    """Have the server forget a response."""
    from ..providers import openai_responses

    await _run(responses, _at(openai_responses.delete, _checked(response_id)), options, "delete-response").result()


async def _list_items(
    items: _InputItems,
    /,
    response_id: str,
    *,
    after: str | None = None,
    limit: int | None = None,
    order: Literal["asc", "desc"] | None = None,
    include: Sequence[str] | None = None,
    **options: Unpack[RequestOptions],
) -> ResponseItemList:
    """The items that a response was made of, newest first: a page of at most `limit`, behind the item `after`."""
    from ..providers import openai_responses

    query = _query(after=after, include=include, limit=limit, order=order)
    flow = _at(openai_responses.input_items, _checked(response_id), query)
    found: ResponseItemList = await _run(items, flow, options, "list-input-items").result()
    return found


class _Kept(RawResponses):
    """What has methods about responses that the server keeps."""

    def __init__(self, client: Any) -> None:
        self._core: Any = getattr(client, "_core", client)  # not the client, which has this object


class _Responses(_Kept):
    if not TYPE_CHECKING:
        retrieve = DualMethod(_retrieve)

    cancel = DualMethod(_cancel)
    delete = DualMethod(_delete)


class _InputItems(_Kept):
    list = DualMethod(_list_items)


class AsyncInputItems(_InputItems, Asynchronous):
    """`client.responses.input_items`."""


class SyncInputItems(_InputItems, Blocking):
    """`client.responses.input_items`."""


class AsyncResponses(_Responses, Asynchronous):
    """`client.responses`: `create`, `stream`, and what the server keeps."""

    def __init__(self, client: Any, create: AsyncCreateResponse) -> None:
        super().__init__(client)
        self.create = create
        """The task `create_response`."""
        self.parse = create
        """The same; OpenAI's name for it where `text_format` is a type."""
        self.stream = create.stream
        """`create_response.stream`: the response as a run of events."""
        self.input_items = AsyncInputItems(client)
        """What responses were made of."""

    def wait(
        self, response: ModelResponse | str, **options: Unpack[RequestOptions]
    ) -> AsyncRun[JobEvent, ModelResponse]:
        """A response that was created in the background, or its id, as a run that ends when it is over.

        It hands over `Queued` and `Started`; `run.job` can be taken up by another process, `client.resume(job)`.
        Leaving it ends the waiting, and not the response. Raises the error of a response that failed.
        """
        return _wait(self, response, options)

    if TYPE_CHECKING:

        @overload
        def retrieve(
            self,
            response_id: str,
            *,
            stream: Literal[False] = ...,
            include: Sequence[str] | None = ...,
            **options: Unpack[RequestOptions],
        ) -> Coroutine[Any, Any, ModelResponse]: ...
        @overload
        def retrieve(
            self,
            response_id: str,
            *,
            stream: Literal[True],
            starting_after: int | None = ...,
            include: Sequence[str] | None = ...,
            include_obfuscation: bool | None = ...,
            **options: Unpack[RequestOptions],
        ) -> Coroutine[Any, Any, AsyncRun[ResponseStreamEvent, ModelResponse]]: ...
        def retrieve(self, response_id: str, **given: Any) -> Any: ...


class SyncResponses(_Responses, Blocking):
    """`client.responses`: `create`, `stream`, and what the server keeps."""

    def __init__(self, client: Any, create: SyncCreateResponse) -> None:
        super().__init__(client)
        self.create = create
        """The task `create_response`."""
        self.parse = create
        """The same; OpenAI's name for it where `text_format` is a type."""
        self.stream = create.stream
        """`create_response.stream`: the response as a run of events."""
        self.input_items = SyncInputItems(client)
        """What responses were made of."""

    def wait(self, response: ModelResponse | str, **options: Unpack[RequestOptions]) -> Run[JobEvent, ModelResponse]:
        """A response that was created in the background, or its id, as a run that ends when it is over.

        It hands over `Queued` and `Started`; `run.job` can be taken up by another process, `client.resume(job)`.
        Leaving it ends the waiting, and not the response. Raises the error of a response that failed.
        """
        from ..blocking.run import Run

        return Run(_wait(self, response, options))

    if TYPE_CHECKING:

        @overload
        def retrieve(
            self,
            response_id: str,
            *,
            stream: Literal[False] = ...,
            include: Sequence[str] | None = ...,
            **options: Unpack[RequestOptions],
        ) -> ModelResponse: ...
        @overload
        def retrieve(
            self,
            response_id: str,
            *,
            stream: Literal[True],
            starting_after: int | None = ...,
            include: Sequence[str] | None = ...,
            include_obfuscation: bool | None = ...,
            **options: Unpack[RequestOptions],
        ) -> Run[ResponseStreamEvent, ModelResponse]: ...
        def retrieve(self, response_id: str, **given: Any) -> Any: ...
