"""Agents as Hugging Face writes them down, its two classes for them, and the command."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from support.drivers import on_one_loop

from headwater import Agent, ChatCompletionInputMessage, InputError, InvalidParameterError, MCPClient
from headwater.cli.app import run_command
from headwater.emulator.server import Emulator
from headwater.mcp.agent_file import AgentInput, load_agent, server_of

pytestmark = pytest.mark.anyio
PROGRAM = str(Path(__file__).parents[1] / "support" / "mcp_server.py")
SERVER: dict[str, Any] = {
    "type": "stdio",
    "command": sys.executable,
    "args": ["-S", PROGRAM],
    "allowed_tools": ["add", "fails"],
}
CALL = [("add", {"a": 1, "b": 2})]


def written(folder: Path, prompt: str = "", **members: Any) -> Path:
    (folder / "agent.json").write_text(json.dumps(members), encoding="utf-8")
    if prompt:
        (folder / "PROMPT.md").write_text(prompt, encoding="utf-8")
    return folder


# what is written down


def test_an_agent_is_read_with_its_inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = [{"id": "my-token", "description": "a token", "password": True}, {"id": "place"}, {"id": "unused"}]
    server = {"type": "http", "url": "https://a.example/mcp", "headers": {"authorization": "Bearer ${input:my-token}"}}
    written(tmp_path, "Be brief.", model="m", provider="together", inputs=inputs, servers=[server], place="")
    agent_json = json.loads((tmp_path / "agent.json").read_text())
    agent_json["endpointUrl"] = "https://${input:place}.example/v1"
    (tmp_path / "agent.json").write_text(json.dumps(agent_json))
    monkeypatch.setenv("MY_TOKEN", "secret-of-mine")
    asked: list[AgentInput] = []

    def ask(wanted: AgentInput) -> str:
        asked.append(wanted)
        return "here"

    agent = load_agent(tmp_path, ask)
    assert (agent.model, agent.provider, agent.prompt) == ("m", "together", "Be brief.")
    assert agent.endpoint_url == "https://here.example/v1"
    assert [wanted.id for wanted in asked] == ["place"]
    found = server_of(agent.servers[0])
    assert found.headers == (("authorization", "Bearer secret-of-mine"),)
    assert "secret-of-mine" not in repr(agent) + repr(found)
    assert load_agent(tmp_path / "agent.json", ask).model == "m"


def test_what_is_no_agent_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        load_agent(tmp_path)
    (tmp_path / "agent.json").write_text("[]")
    with pytest.raises(InvalidParameterError):
        load_agent(tmp_path)
    written(tmp_path, inputs=[{"id": "key"}], model="${input:key}")
    with pytest.raises(InvalidParameterError, match="set KEY"):
        load_agent(tmp_path)


@pytest.mark.parametrize(
    "given", [{}, {"type": "smoke"}, {"type": "stdio"}, {"type": "http"}, {"type": "http", "url": "file:///a"}]
)
def test_what_is_no_server_is_said(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameterError):
        server_of(given)


def test_the_form_of_old_has_a_config() -> None:
    found = server_of({"type": "stdio", "config": {"command": "npx", "args": ["-y", "@a/files"], "env": {"A": "b"}}})
    assert (found.command, found.name, found.env) == (("npx", "-y", "@a/files"), "files", {"A": "b"})


# huggingface_hub's classes


@on_one_loop("asyncio")
async def test_the_client_takes_a_turn(headwater_emulator: Emulator) -> None:
    headwater_emulator.script("bridge", CALL, "It is 3.")
    messages: list[Any] = [{"role": "user", "content": "1 + 2?"}]
    async with MCPClient(model="bridge", base_url=f"{headwater_emulator}/v1") as client:
        await client.add_mcp_server(**SERVER)
        await client.add_mcp_server(**SERVER)
        assert [told["function"]["name"] for told in client.available_tools] == ["add", "fails"]
        first = [item async for item in client.process_single_turn_with_tools(messages)]
        second = [item async for item in client.process_single_turn_with_tools(messages)]
        third = [item async for item in client.process_single_turn_with_tools(messages, None, True)]
    assert isinstance(first[-1], ChatCompletionInputMessage)
    assert (first[-1].role, first[-1].name, first[-1].content) == ("tool", "add", "3")
    assert all(hasattr(item, "choices") for item in second)
    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "assistant"]
    assert (messages[2]["name"], messages[3]["content"]) == ("add", "It is 3.")
    assert len(third) == 1
    with pytest.raises(InvalidParameterError):
        MCPClient()


async def test_an_agent_goes_on_until_it_has_done_its_task(headwater_emulator: Emulator) -> None:
    headwater_emulator.script("agent", CALL, [("task_complete", {})], CALL, "Done.", "never")
    async with Agent(model="agent", base_url=f"{headwater_emulator}/v1", servers=[SERVER], prompt="Add.") as agent:
        await agent.load_tools()
        told = [item async for item in agent.run("1 + 2?") if isinstance(item, ChatCompletionInputMessage)]
        again = [item async for item in agent.run("and again?")]
    assert [item.name for item in told] == ["add", "task_complete"]
    assert any(isinstance(item, ChatCompletionInputMessage) for item in again)
    assert agent.messages[0] == {"role": "system", "content": "Add."}
    assert agent.messages[-1]["content"] == "Done."


@on_one_loop("trio")
async def test_an_agent_is_stopped_between_two_turns(headwater_emulator: Emulator) -> None:
    import threading

    stop = threading.Event()
    headwater_emulator.script("agent", CALL, CALL, "never")
    async with Agent(model="agent", base_url=f"{headwater_emulator}/v1", servers=[SERVER]) as agent:
        await agent.load_tools()
        async for item in agent.run("1 + 2?", abort_event=stop):
            if isinstance(item, ChatCompletionInputMessage):
                stop.set()
    assert [message["role"] for message in agent.messages] == ["system", "user", "assistant", "tool"]


# the command


@pytest.fixture
def folder(tmp_path: Path, headwater_emulator: Emulator) -> Path:
    headwater_emulator.script("cli", CALL, "It is 3.", "And done.")
    url = f"{headwater_emulator}/v1"
    return written(tmp_path, "Be brief.", model="cli", endpointUrl=url, servers=[SERVER])


def test_the_command_answers_one_question(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["agent", str(folder), "--question", "1 + 2?", "--yes"]) == 0
    shown = capsys.readouterr()
    assert shown.out.strip() == "It is 3."
    assert 'add {"a":1,"b":2}' in shown.err
    assert "add: 3" in shown.err


def test_the_command_asks_nobody_where_there_is_nobody(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("1 + 2?\n\nWell?\n"))
    assert run_command(["agent", str(folder)]) == 0
    shown = capsys.readouterr()
    assert "It is 3." in shown.out
    assert "And done." in shown.out
    assert "there is nobody to ask" in shown.err


def test_the_command_asks_before_a_call(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = io.StringIO("a\n")
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stdin", terminal)
    assert run_command(["agent", str(folder), "--question", "1 + 2?"]) == 0
    shown = capsys.readouterr()
    assert "allow it?" in shown.err
    assert "add: 3" in shown.err


@pytest.mark.parametrize("arguments", [["agent", "/no/such/folder"], ["agent"]])
def test_wrong_usage_is_said(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(arguments) == 2
    assert capsys.readouterr().err
