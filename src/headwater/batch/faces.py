"""`map` on both clients: its signatures and its documentation. What does it is imported by the first map."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

if TYPE_CHECKING:
    from ..engine.deadlines import Timeout
    from ..engine.run import AsyncRun
    from ..portal import Run
    from .blocking import SyncMap
    from .mapping import AsyncMap

R = TypeVar("R")


class AsyncMaps:
    """`map` of `AsyncInferenceClient`."""

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
        (default: the client's).

        When a provider refuses or is away, all workers wait for it together. Results are `MapResult`s.
        Raises `InvalidParameterError` for an argument that is wrong; a wrong input is that item's error.
        """
        from .mapping import AsyncMap
        from .performing import work_of
        from .settings import Pacing, fails_fast

        work = work_of(self, call, parameters, timeout)
        pacing = Pacing(concurrency, requests_per_minute, tokens_per_minute, parameters)
        return AsyncMap(work, inputs, pacing, ordered=ordered, fails_fast=fails_fast(on_error))


class SyncMaps:
    """`map` of `InferenceClient`."""

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
    ) -> SyncMap[Any]:
        """Make this call for each input, many at once: `with client.map(...) as results: for r in results`.

        The inputs are read in the caller's thread; otherwise it is `AsyncInferenceClient.map`.
        """
        from .blocking import SyncMap
        from .mapping import AsyncMap
        from .performing import work_of
        from .settings import Pacing, fails_fast

        work = work_of(self, call, parameters, timeout)
        pacing = Pacing(concurrency, requests_per_minute, tokens_per_minute, parameters)
        fast = fails_fast(on_error)
        return SyncMap(lambda feed: AsyncMap(work, feed, pacing, ordered=ordered, fails_fast=fast), inputs)
