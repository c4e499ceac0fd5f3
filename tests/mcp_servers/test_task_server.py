"""The tasks as tools of an MCP server: what is described, what is called, and who may."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jsonschema
import mcp
import pytest
import uvicorn
from support.drivers import on_one_loop

import headwater
from headwater import AsyncInferenceClient, InvalidParameterError, ToolError, mcp_tools
from headwater.emulator.server import Emulator
from headwater.mcp.server import HttpServer, task_server
from headwater.mcp.task_schema import declarations, input_schema

pytestmark = pytest.mark.anyio
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
ASKED = [{"role": "user", "content": "one two three"}]


@pytest.mark.parametrize("name", declarations())
def test_every_task_has_a_schema_with_words(name: str) -> None:
    task = declarations()[name]
    schema = input_schema(task)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert set(schema["properties"]) == set(task.parameters.__struct_fields__) - {"stream"}
    assert set(schema["required"]) == {p.name for p in task.signature.parameters.values() if p.default is p.empty} - {
        "stream"
    } - ({"parameters"} if task.takes_more else set())
    assert all(member.get("description") for member in schema["properties"].values())


def client(url: Emulator, **options: Any) -> AsyncInferenceClient:
    return AsyncInferenceClient(base_url=f"{url}/v1", model="words-3", **options)


@on_one_loop("trio")
async def test_tasks_are_called(headwater_emulator: Emulator) -> None:
    async with mcp.Client(task_server(client(headwater_emulator))) as caller:
        assert {tool.name for tool in (await caller.list_tools()).tools} == set(declarations())
        chat: Any = await caller.call_tool("chat_completion", {"messages": ASKED})
        assert (chat.content[0].text, chat.is_error) == ("one two three", False)
        assert chat.structured_content["choices"][0]["finish_reason"] == "stop"
        text: Any = await caller.call_tool("text_generation", {"prompt": "one"})
        assert text.content[0].type == "text", text
        image: Any = await caller.call_tool("text_to_image", {"prompt": "a", "model": "m"})
        assert (image.content[0].type, image.content[0].mime_type) == ("image", "image/png"), image
        sound: Any = await caller.call_tool("text_to_speech", {"text": "a", "extra_body": {"voice": "alloy"}})
        assert sound.content[0].type == "audio", sound


@pytest.mark.parametrize("image", [PIXEL, f"data:image/png;base64,{PIXEL}"])
@on_one_loop("asyncio")
async def test_a_file_is_base64_or_a_data_url(headwater_emulator: Emulator, image: str) -> None:
    here = AsyncInferenceClient(
        "some/image-classification", token="hf_test", transport=headwater.emulator.rewriting(headwater_emulator)
    )
    async with here, mcp.Client(task_server(here, ["image-classification"])) as caller:
        found: Any = await caller.call_tool("image_classification", {"image": image})
    assert not found.is_error, found


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("image_classification", {"image": str(Path(__file__))}, "neither"),
        ("chat_completion", {"messages": ASKED, "model": "https://other.example/v1"}, "model"),
        ("chat_completion", {"messages": ASKED, "stream": True}, "stream"),
        ("chat_completion", {"messages": []}, "messages"),
        ("chat_completion", {"messages": ASKED, "model": "missing"}, "NotFoundError"),
        ("text_to_image", {"prompt": "a"}, "no tool"),
    ],
)
@on_one_loop("trio")
async def test_what_a_caller_may_not_do_is_an_error_of_the_call(
    headwater_emulator: Emulator, name: str, arguments: dict[str, Any], words: str
) -> None:
    server = task_server(client(headwater_emulator, retries=0), ["chat-completion", "image_classification"])
    async with mcp.Client(server) as caller:
        found: Any = await caller.call_tool(name, arguments)
    assert found.is_error
    assert words in found.content[0].text


def test_a_task_that_there_is_not_cannot_be_allowed(headwater_emulator: Emulator) -> None:
    with pytest.raises(InvalidParameterError, match="no-such-task"):
        task_server(client(headwater_emulator), ["no-such-task"])


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "host.example"])
def test_nobody_serves_others_without_a_key(headwater_emulator: Emulator, host: str) -> None:
    with pytest.raises(InvalidParameterError, match="needs a key"):
        HttpServer(task_server(client(headwater_emulator)), host, None)


@contextmanager
def serving(app: Any) -> Iterator[str]:
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1, ws="none"))
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
    server.should_exit = True
    thread.join(20)


def called(url: Emulator, tools: Any) -> str:
    """What a conversation is told whose model asks this server's."""
    with headwater.InferenceClient(base_url=f"{url}/v1") as caller:
        url.script("asks", [("chat_completion", {"messages": ASKED})], "Done.")
        result = caller.converse(ASKED, tools=list(tools), model="asks").result()
    content: str = result.turns[0].returned[0].content
    return content


def test_it_is_served_over_http_to_who_has_the_key(headwater_emulator: Emulator) -> None:
    app = HttpServer(task_server(client(headwater_emulator), ["chat-completion"]), "127.0.0.1", "key-of-ours")
    with serving(app) as url:
        with mcp_tools(url, headers={"authorization": "Bearer key-of-ours"}) as tools:
            assert called(headwater_emulator, tools) == "one two three"
        for wrong in ({"authorization": "Bearer key-of-theirs"}, {"authorization": "Basic key-of-ours"}, None):
            with pytest.raises(ToolError), mcp_tools(url, headers=wrong, connect_timeout=10):
                pytest.fail("it has no key")


def test_the_command_serves_its_standard_streams(headwater_emulator: Emulator) -> None:
    source = str(Path(headwater.__file__).parents[1])
    command = [sys.executable, "-m", "headwater", "mcp", "--base-url", f"{headwater_emulator}/v1"]
    command += ["--model", "words-3", "--allow", "chat-completion"]
    with mcp_tools(command, env={"PYTHONPATH": source}) as tools:
        assert called(headwater_emulator, tools) == "one two three"
