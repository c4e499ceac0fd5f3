"""One test body, every driver: the async client as it is, and the sync client behind the same words.

`Driver.client(...)` makes a client; what the test awaits runs on the event loop, or, for the sync driver, in a worker
thread that blocks as a script would.
"""

from __future__ import annotations

import functools
import sys
from asyncio import constants
from collections.abc import Callable, Collection
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self

import anyio
import anyio.to_thread

if sys.platform == "win32":
    from asyncio import ProactorEventLoop as EventLoop
else:
    from asyncio import SelectorEventLoop as EventLoop

if TYPE_CHECKING:
    from headwater import InferenceClient


class CheckedLoop(EventLoop):
    """asyncio's loop, to be run in its debug mode, with all that this mode checks: threads, callbacks, sockets.

    What asks the loop whether it debugs, futures, tasks and handles, only wants to know whether to keep the stack on
    which it was made. To make those stacks took half the time of all tests on this loop.
    """

    def get_debug(self) -> bool:
        return False


vars(constants)["DEBUG_STACK_DEPTH"] = 1
"""Of a coroutine that nobody awaited, the line that made it is told: to note ten of its callers took as long as all
else."""
LOOPS: dict[str, tuple[str, dict[str, Any]]] = {
    "asyncio": ("asyncio", {"loop_factory": CheckedLoop, "debug": True}),
    "uvloop": ("asyncio", {"use_uvloop": True}),
    "trio": ("trio", {}),
}
if sys.platform == "win32":  # there is no uvloop
    del LOOPS["uvloop"]

ENDED = object()


def drivers_for(fixtures: Collection[str]) -> list[str]:
    """The drivers that a test with these fixtures may run on."""
    return [*LOOPS, "sync"] if "driver" in fixtures else list(LOOPS)


async def in_thread(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return await anyio.to_thread.run_sync(lambda: function(*args, **kwargs), abandon_on_cancel=False)


class BlockingRun:
    """A sync `Run` that a test can await."""

    def __init__(self, run: Any) -> None:
        self.run = run

    def __getattr__(self, name: str) -> Any:
        return getattr(self.run, name)

    def __aiter__(self) -> BlockingRun:
        return self

    async def __anext__(self) -> Any:
        event = await in_thread(next, self.run, ENDED)
        if event is ENDED:
            raise StopAsyncIteration
        return event

    async def result(self) -> Any:
        return await in_thread(self.run.result)

    async def save(self, path: Any, **more: Any) -> Any:
        return await in_thread(self.run.save, path, **more)

    async def close(self) -> None:
        await in_thread(self.run.close)

    async def __aenter__(self) -> Self:
        await in_thread(self.run.__enter__)
        return self

    async def __aexit__(self, *args: object) -> None:
        await in_thread(self.run.__exit__, *args)


class BlockingTask:
    """A task of the sync client that a test can await."""

    def __init__(self, task: Any) -> None:
        self.task = task

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        result = await in_thread(self.task, *args, **kwargs)
        return BlockingRun(result) if kwargs.get("stream") else result

    def stream(self, *args: Any, **kwargs: Any) -> BlockingRun:
        return BlockingRun(self.task.stream(*args, **kwargs))

    def items(self, *args: Any, **kwargs: Any) -> BlockingRun:
        return BlockingRun(self.task.items(*args, **kwargs))


class BlockingLease:
    """A lease of the sync client that a test can enter."""

    def __init__(self, lease: Any) -> None:
        self.lease = lease

    def __getattr__(self, name: str) -> Any:
        return getattr(self.lease, name)

    async def __aenter__(self) -> Any:
        return BlockingClient(await in_thread(self.lease.__enter__))

    async def __aexit__(self, *args: object) -> None:
        await in_thread(self.lease.__exit__, *args)


class BlockingEndpoints:
    """`client.endpoints` of the sync client in the async client's words."""

    def __init__(self, endpoints: Any) -> None:
        self.endpoints = endpoints

    def __getattr__(self, name: str) -> Any:
        return BlockingTask(getattr(self.endpoints, name))

    def wait(self, *args: Any, **kwargs: Any) -> BlockingRun:
        return BlockingRun(self.endpoints.wait(*args, **kwargs))

    def running(self, *args: Any, **kwargs: Any) -> BlockingLease:
        return BlockingLease(self.endpoints.running(*args, **kwargs))


class BlockingResponses:
    """`client.responses` of the sync client in the async client's words."""

    def __init__(self, responses: Any) -> None:
        self.responses = responses

    def __getattr__(self, name: str) -> Any:
        return BlockingTask(getattr(self.responses, name))

    def stream(self, *args: Any, **kwargs: Any) -> BlockingRun:
        return BlockingRun(self.responses.stream(*args, **kwargs))

    def wait(self, *args: Any, **kwargs: Any) -> BlockingRun:
        return BlockingRun(self.responses.wait(*args, **kwargs))

    @property
    def input_items(self) -> Any:
        return SimpleNamespace(list=BlockingTask(self.responses.input_items.list))


class BlockingClient:
    """The sync client in the async client's words."""

    def __init__(self, client: InferenceClient) -> None:
        self.client = client

    def __getattr__(self, name: str) -> Any:
        return BlockingTask(getattr(self.client, name))

    def __repr__(self) -> str:
        return repr(self.client)

    def resume(self, job: Any) -> BlockingRun:
        return BlockingRun(self.client.resume(job))

    def converse(self, *args: Any, **kwargs: Any) -> BlockingRun:
        return BlockingRun(self.client.converse(*args, **kwargs))

    def with_options(self, **changes: Any) -> BlockingClient:
        return BlockingClient(self.client.with_options(**changes))

    @property
    def endpoints(self) -> BlockingEndpoints:
        return BlockingEndpoints(self.client.endpoints)

    @property
    def responses(self) -> BlockingResponses:
        return BlockingResponses(self.client.responses)

    @property
    def chat(self) -> Any:
        create = BlockingTask(self.client.chat.completions.create)
        return SimpleNamespace(completions=SimpleNamespace(create=create))

    @property
    def embeddings(self) -> Any:
        return SimpleNamespace(create=BlockingTask(self.client.embeddings.create))

    async def close(self) -> None:
        await in_thread(self.client.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *args: object) -> None:
        await in_thread(self.client.close)


def on_one_loop(name: str) -> Callable[[Callable[..., Any]], Callable[..., None]]:
    """Run an async test on this loop alone: what it is about is the same on all of them."""
    backend, options = LOOPS[name]

    def single(test: Callable[..., Any]) -> Callable[..., None]:
        @functools.wraps(test)
        def run(**given: Any) -> None:
            anyio.run(functools.partial(test, **given), backend=backend, backend_options=dict(options))

        return run

    return single


class Driver:
    """Makes clients of one kind; `name` is asyncio, uvloop, trio or sync."""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def blocking(self) -> bool:
        return self.name == "sync"

    def client(self, *args: Any, **kwargs: Any) -> Any:
        from headwater import AsyncInferenceClient, InferenceClient

        if self.blocking:
            return BlockingClient(InferenceClient(*args, **kwargs))
        return AsyncInferenceClient(*args, **kwargs)
