"""Tools of MCP servers: processes that work and that break, a server over HTTP, on every driver."""

from __future__ import annotations

import json
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from support.drivers import Driver, in_thread, on_one_loop

from headwater import (
    InferenceClient,
    InsecureCredentialError,
    InvalidParameterError,
    McpServer,
    ToolCalled,
    ToolContent,
    ToolError,
    mcp_tools,
    tool,
)
from headwater.emulator.server import Emulator
from headwater.mcp.tool_names import plain_name, unique_names

pytestmark = pytest.mark.anyio
PROGRAM = str(Path(__file__).parents[1] / "support" / "mcp_server.py")
COMMAND = [sys.executable, "-S", PROGRAM]
ASKED = [{"role": "user", "content": "Go."}]
ALL = ["add", "env", "picture", "parts", "fails", "dies", "hangs", "floods", "child", "add_twice"]


@asynccontextmanager
async def entered(driver: Driver, *servers: Any, **options: Any) -> AsyncIterator[Any]:
    made = mcp_tools(*servers, **options)
    if not driver.blocking:
        async with made as tools:
            yield tools
        return
    tools = await in_thread(made.__enter__)
    try:
        yield tools
    finally:
        await in_thread(made.__exit__, None, None, None)


def by_name(tools: Any) -> dict[str, Any]:
    return {tool.name: tool for tool in tools}


async def test_a_model_calls_the_tools_of_a_process(driver: Driver, headwater_emulator: Emulator) -> None:
    @tool
    def local(a: int) -> int:
        return a

    calls = [("add", {"a": 1, "b": 2}), ("picture", {}), ("parts", {}), ("fails", {}), ("local", {"a": 5})]
    headwater_emulator.script("mcp", calls, "Done.")
    async with (
        driver.client(base_url=f"{headwater_emulator}/v1") as client,
        entered(driver, COMMAND) as tools,
    ):
        assert [made.name for made in tools] == ALL
        result = await client.converse(ASKED, tools=[*tools, local], model="mcp").result()
    returned = result.turns[0].returned
    assert [found.outcome for found in returned] == ["returned", "returned", "returned", "failed", "returned"]
    assert (returned[0].content, returned[0].value.structured_content) == ("3", {"sum": 3})
    assert returned[2].content == (
        "a\nfile:///b:\nb\nfile:///c: (an image)\nd: https://d.example/\n(audio/wav, 3 bytes)"
    )
    assert returned[3].content == "Error: no good"
    shown = [part["type"] for part in result.transcript[-2]["content"]]
    assert shown == ["text", "image_url", "text", "image_url"]


@on_one_loop("trio")
async def test_its_process_sees_what_it_was_given_and_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_API_KEY", "not yours")
    async with mcp_tools(COMMAND, env={"SECRET_KEY": "the-servers-own"}, allow=["env"]) as tools:
        content = await by_name(tools)["env"]()
    seen = json.loads(content.text)
    assert seen["SECRET_KEY"] == "the-servers-own"
    assert "OTHER_API_KEY" not in seen
    assert "PATH" in seen


# what breaks


@on_one_loop("asyncio")
async def test_a_server_that_dies_is_an_error_of_its_calls_without_its_secret(headwater_emulator: Emulator) -> None:
    headwater_emulator.script("dies", [("dies", {}), ("local", {})], [("add", {"a": 1, "b": 2})], "Done.")

    @tool
    async def local() -> str:
        return "here"

    client = Driver("any").client(base_url=f"{headwater_emulator}/v1")
    async with client, mcp_tools(COMMAND, env={"SECRET_KEY": "abcdefgh"}) as tools:
        result = await client.converse(ASKED, tools=[*tools, local], model="dies").result()
    died, spared = result.turns[0].returned
    assert (died.outcome, spared.content) == ("failed", "here")
    assert "its process has ended; it wrote: my key is ***" in died.content
    assert "its process has ended" in result.turns[1].returned[0].content


@pytest.mark.parametrize(("name", "words"), [("hangs", "Timed out|timed out"), ("floods", "more than 16777216 bytes")])
@on_one_loop("trio")
async def test_a_server_that_hangs_or_floods_is_a_bounded_error(name: str, words: str) -> None:
    async with mcp_tools(COMMAND, timeout=None if name == "floods" else 0.2) as tools:
        with pytest.raises(ToolError, match=words):
            await by_name(tools)[name]()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [("dies-at-start", "no such module: mine"), ("no-answer", "within 0.3 s"), ("endless-list", "has no end")],
)
@on_one_loop("asyncio")
async def test_a_server_that_does_not_begin_is_a_bounded_error(arguments: str, words: str) -> None:
    seconds = 0.3 if arguments == "no-answer" else 20
    with pytest.raises(ToolError, match=words):
        async with mcp_tools([*COMMAND, arguments], connect_timeout=seconds):
            pytest.fail("there is no server")


@on_one_loop("trio")
async def test_a_command_that_there_is_not_is_an_error() -> None:
    with pytest.raises(ToolError, match="no-such-command"):
        async with mcp_tools(["no-such-command-of-mine"]):
            pytest.fail("there is no server")


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and whom nobody waited for does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return status != "Z"


def processes() -> set[int]:
    return {int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()}


async def ends(pid: int) -> None:
    with anyio.fail_after(10):
        while is_alive(pid):
            await anyio.sleep(0.01)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are looked up in /proc")
@pytest.mark.parametrize("cancelled", [False, True])
async def test_nothing_of_a_server_is_left(driver: Driver, headwater_emulator: Emulator, cancelled: bool) -> None:
    headwater_emulator.script("child", [("child", {})], [("hangs", {})], "Never.")
    ours = processes()
    async with driver.client(base_url=f"{headwater_emulator}/v1") as client, entered(driver, COMMAND) as tools:
        run = client.converse(ASKED, tools=list(tools), model="child")
        async with run:
            called = 0
            async for event in run:
                called += isinstance(event, ToolCalled)
                if called == 2:
                    break
            if cancelled and not driver.blocking:
                with anyio.move_on_after(0.2):
                    await run.result()
        child = int(run.transcript[2]["content"])
        started = processes() - ours
        assert is_alive(child)
        transcript = run.transcript
    await ends(child)
    assert child in started
    body = {"model": "m", "messages": [*transcript, *ASKED]}
    assert httpx.post(f"{headwater_emulator}/v1/chat/completions", json=body, trust_env=False).status_code == 200


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are looked up in /proc")
def test_ctrl_c_in_a_call_leaves_nothing_of_its_server(headwater_emulator: Emulator) -> None:
    headwater_emulator.script("ctrl-c", [("hangs", {}), ("local", {})], "Never.")
    begun = threading.Event()

    @tool
    async def local() -> None:
        begun.set()
        await anyio.sleep_forever()

    def press() -> None:
        assert begun.wait(20)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    pressing = threading.Thread(target=press)
    before = processes()
    with (
        pytest.raises(KeyboardInterrupt),
        mcp_tools(COMMAND) as tools,
        InferenceClient(base_url=f"{headwater_emulator}/v1") as client,
    ):
        started = {pid for pid in processes() - before if PROGRAM in command_of(pid)}
        pressing.start()
        with client.converse(ASKED, tools=[*tools, local], model="ctrl-c") as run:
            run.result()
    pressing.join()
    assert started
    assert not any(map(is_alive, started))
    assert [message["role"] for message in run.transcript] == ["user", "assistant", "tool", "tool"]


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8")
    except OSError:
        return ""


# which tools, under which names


@on_one_loop("asyncio")
async def test_only_what_is_allowed_can_be_called() -> None:
    async with mcp_tools(COMMAND, allow=["add", "add.twice"]) as tools:
        assert [made.name for made in tools] == ["add", "add_twice"]
    with pytest.raises(InvalidParameterError, match="no tool subtract"):
        async with mcp_tools(COMMAND, allow=["add", "subtract"]):
            pytest.fail("there is no such tool")


@on_one_loop("trio")
async def test_names_that_collide_have_their_servers_before_them() -> None:
    servers = [McpServer(COMMAND, name="one"), McpServer(COMMAND, name="two")]
    async with mcp_tools(*servers, allow=["one_add", "two_add"]) as tools:
        assert [made.name for made in tools] == ["one_add", "two_add"]
        assert (await tools[1](a=1, b=1)).text == "2"


def test_every_tool_has_a_name_that_servers_take() -> None:
    assert unique_names([("a", "x"), ("b", "x"), ("b", "y")]) == ["a_x", "b_x", "y"]
    assert unique_names([("a", "x"), ("a", "x")]) == ["a_x", "a_x_2"]
    assert unique_names([("a", "x.y"), ("a", "x_y"), ("a", "")]) == ["a_x_y", "a_x_y_2", "tool"]
    assert len(plain_name("x" * 100)) == 64
    assert plain_name("x" * 100) != plain_name("x" * 101)


@pytest.mark.parametrize(
    ("servers", "options", "error"),
    [
        ([], {}, InvalidParameterError),
        ([[]], {}, InvalidParameterError),
        (["ftp://a.example"], {}, InvalidParameterError),
        (["https://a.example/mcp"], {"env": {"A": "b"}}, InvalidParameterError),
        ([["a"]], {"headers": {"A": "b"}}, InvalidParameterError),
        ([["a"], ["b"]], {"env": {"A": "b"}}, InvalidParameterError),
        ([["a"]], {"allow": "add"}, InvalidParameterError),
        (["http://a.example/mcp"], {"headers": {"authorization": "Bearer b"}}, InsecureCredentialError),
        (["http://a.example/mcp"], {"auth": httpx.BasicAuth("a", "b")}, InsecureCredentialError),
        (["https://a.example/mcp"], {"auth": "a-token"}, InvalidParameterError),
        ([["a"]], {"auth": httpx.BasicAuth("a", "b")}, InvalidParameterError),
    ],
)
def test_what_is_wrong_is_said_at_once(servers: Any, options: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        mcp_tools(*servers, **options)


# over HTTP


@pytest.fixture(scope="module")
def http_server() -> Iterator[Any]:
    from support.mcp_http_server import McpHttpServer

    with McpHttpServer() as server:
        yield server


KEY = {"authorization": "Bearer key-of-a-server"}


async def test_a_server_over_http(driver: Driver, headwater_emulator: Emulator, http_server: Any) -> None:
    headwater_emulator.script("http", [("add", {"a": 1, "b": 2}), ("picture", {})], "Done.")
    async with (
        driver.client(base_url=f"{headwater_emulator}/v1") as client,
        entered(driver, http_server.url, headers=KEY) as tools,
    ):
        assert next(iter(tools.versions.values())) >= "2026"
        result = await client.converse(ASKED, tools=list(tools), model="http").result()
    assert [found.content for found in result.turns[0].returned] == ["3", "(an image)"]
    assert all(headers["authorization"] == KEY["authorization"] for headers in http_server.seen[-3:])


async def test_a_call_over_http_is_cancelled_or_late(http_server: Any) -> None:
    async with mcp_tools(http_server.url, headers=KEY, timeout=2) as tools:
        found = by_name(tools)
        with pytest.raises(ToolError):
            await found["hangs"]()
        with anyio.move_on_after(0.1) as scope:
            await found["hangs"]()
        assert scope.cancelled_caught
        content: ToolContent = await found["add"](a=1, b=1)
        assert content.text == "2"


@pytest.mark.parametrize("headers", [None, {"authorization": "Bearer wrong-key-of-mine"}])
@on_one_loop("asyncio")
async def test_a_wrong_key_is_an_error_that_does_not_show_it(http_server: Any, headers: dict[str, str] | None) -> None:
    with pytest.raises(ToolError) as caught:
        async with mcp_tools(http_server.url, headers=headers, connect_timeout=5):
            pytest.fail("it has no key")
    assert "wrong-key-of-mine" not in str(caught.value)


@on_one_loop("trio")
async def test_a_server_that_is_not_there_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(ToolError, match=f"127.0.0.1:{port}"):
        async with mcp_tools(f"http://127.0.0.1:{port}/mcp", connect_timeout=5):
            pytest.fail("it is not there")


@pytest.mark.dealt
@pytest.mark.parametrize("kind", ["http", "sse"])
async def test_an_oauth_provider_asks_its_server_without_the_headers(
    driver: Driver, http_server: Any, kind: Any
) -> None:
    """mcp's own provider, through the pool; the old transport has no such server here, and is refused with the key."""
    from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
    from support.mcp_http_server import authorizing

    with authorizing() as server:
        http_server.authorization = server.url
        provider = ClientCredentialsOAuthProvider(
            http_server.url, Tokens(), "client-id", "client-secret", issuer=server.url
        )
        target = McpServer(http_server.url, headers={"x-own": "of the server alone"}, auth=provider, kind=kind)
        if kind == "sse":
            with pytest.raises(ToolError):
                async with entered(driver, target, connect_timeout=10):
                    pytest.fail("it speaks the newer transport alone")
        else:
            async with entered(driver, target, connect_timeout=20) as tools:
                assert [made.name for made in tools] == ["add", "picture", "hangs"]
        assert len(server.seen) == 2
        assert not any("x-own" in headers for headers in server.seen)
    assert http_server.seen[-1]["authorization"] == KEY["authorization"]
    assert http_server.seen[-1]["x-own"] == "of the server alone"


@on_one_loop("asyncio")
async def test_who_authorizes_is_asked_over_https_or_here() -> None:
    import httpx2

    from headwater.mcp.pool_transport import McpTransport
    from headwater.protocol.url import parse_url

    asked: list[str] = []

    def transport_for(url: Any) -> Any:
        asked.append(url.origin)
        raise LookupError

    for server, other, may in (
        ("https://a.test/mcp", "https://b.test/token", True),
        ("https://a.test/mcp", "http://b.test/token", False),
        ("https://a.test/mcp", "http://127.0.0.1:9/token", False),
        ("http://127.0.0.1:8/mcp", "http://127.0.0.1:9/token", True),
    ):
        for asks_others in (True, False):
            asked.clear()
            carrier = McpTransport(parse_url(server), [], transport_for, asks_others=asks_others)
            with pytest.raises((LookupError, httpx2.LocalProtocolError)):
                await carrier.handle_async_request(httpx2.Request("POST", other))
            assert bool(asked) is (may and asks_others)


class Tokens:
    """Keeps what a provider was given."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    async def get_tokens(self) -> Any:
        return self.kept.get("tokens")

    async def set_tokens(self, tokens: Any) -> None:
        self.kept["tokens"] = tokens

    async def get_client_info(self) -> Any:
        return self.kept.get("client")

    async def set_client_info(self, client_info: Any) -> None:
        self.kept["client"] = client_info
