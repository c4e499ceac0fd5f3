"""Today's packages on headwater's pool: calls, streams that are left, calls that are cancelled at any moment.

Each is skipped where it is not installed: `nox -s parity` installs them.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from functools import partial
from typing import Any, NamedTuple

import anyio
import httpx2
import pytest
from support.mcp_http_server import McpHttpServer

from headwater import emulator
from headwater.integrations.httpx2 import PoolTransport
from headwater.transport.pool import Pool, PoolCounts

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.crowd,
    # The packages leave their own generators to the collector, as trio says: an answer of the pool's is closed before.
    pytest.mark.filterwarnings("ignore:Async generator '(httpx2|openai|anthropic|huggingface_hub)\\.:ResourceWarning"),
]

KEY = "key-of-a-server"
ASKED: list[dict[str, str]] = [{"role": "user", "content": "how deep is the river"}]
CONNECTIONS, CUT = 5, 40


class Servers(NamedTuple):
    chats: str
    tools: str


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    with emulator.running(api_keys=[KEY]) as chats, McpHttpServer() as tools:
        yield Servers(chats, tools.url)


class Used(NamedTuple):
    """A package at work. `ask`: a call, whole; `leave`: one that is left in the middle."""

    ask: Callable[[], Any]
    leave: Callable[[], Any]


def used(create: Callable[..., Any], text_of: Callable[[Any], str]) -> Used:
    """The calls of a package of which `create` makes one, and `text_of` reads the answer."""

    async def ask() -> None:
        assert text_of(await create())

    async def leave() -> None:
        async with await create(stream=True) as stream:
            async for _ in stream:
                return

    return Used(ask, leave)


@asynccontextmanager
async def openai(pool: Pool, servers: Servers) -> AsyncIterator[Used]:
    package = pytest.importorskip("openai", reason="openai is not installed")
    http = httpx2.AsyncClient(transport=PoolTransport(pool))
    async with package.AsyncOpenAI(
        api_key=KEY, base_url=f"{servers.chats}/v1", http_client=http, max_retries=0
    ) as client:
        create = partial(client.chat.completions.create, model="m", messages=ASKED)
        yield used(create, lambda answer: answer.choices[0].message.content)


@asynccontextmanager
async def anthropic(pool: Pool, servers: Servers) -> AsyncIterator[Used]:
    package = pytest.importorskip("anthropic", reason="anthropic is not installed")
    http = httpx2.AsyncClient(transport=PoolTransport(pool))
    async with package.AsyncAnthropic(api_key=KEY, base_url=servers.chats, http_client=http, max_retries=0) as client:
        create = partial(client.messages.create, model="m", max_tokens=100, messages=ASKED)
        yield used(create, lambda answer: answer.content[0].text)


@asynccontextmanager
async def huggingface_hub(pool: Pool, servers: Servers) -> AsyncIterator[Used]:
    package = pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")
    package.set_async_client_factory(lambda: httpx2.AsyncClient(transport=PoolTransport(pool)))
    client = package.AsyncInferenceClient(base_url=f"{servers.chats}/v1", api_key=KEY)

    async def ask() -> None:
        assert (await client.chat_completion(ASKED)).choices[0].message.content

    async def leave() -> None:
        async with aclosing(await client.chat_completion(ASKED, stream=True)) as stream:
            async for _ in stream:
                return

    yield Used(ask, leave)
    await client.close()


@asynccontextmanager
async def mcp(pool: Pool, servers: Servers) -> AsyncIterator[Used]:
    from mcp import ClientSession
    from mcp.client.streamable_http import streamable_http_client

    headers = {"Authorization": f"Bearer {KEY}"}
    async with (
        httpx2.AsyncClient(transport=PoolTransport(pool), headers=headers, timeout=60) as http,
        streamable_http_client(servers.tools, http_client=http) as streams,
        ClientSession(*streams) as session,
    ):
        await session.initialize()

        async def ask() -> None:
            answer = await session.call_tool("add", {"a": 1, "b": 2})
            assert [getattr(block, "text", "") for block in answer.content] == ["3"]

        async def leave() -> None:
            await session.call_tool("hangs", {})

        yield Used(ask, leave)


PACKAGES: list[Callable[[Pool, Servers], AbstractAsyncContextManager[Used]]] = [openai, anthropic, huggingface_hub, mcp]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
async def test_on_the_pool(package: Any, servers: Servers, anyio_backend: Any) -> None:
    rand = random.Random(3)
    pool = Pool(max_connections=None if package is mcp else CONNECTIONS)  # a session holds streams open

    async with package(pool, servers) as used:

        async def cancelled() -> None:
            with anyio.move_on_after(rand.random() * 0.1):
                await used.leave()

        await used.ask()
        for work, times in ((cancelled, CUT), (used.ask, 2 * CONNECTIONS)):
            async with anyio.create_task_group() as group:
                for _ in range(times):
                    group.start_soon(work)
    await pool.aclose()
    assert pool.counts() == PoolCounts(loops=1, active=0, waiting=0, open=0, idle=0)
