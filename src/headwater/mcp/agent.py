"""huggingface_hub's `MCPClient` and `Agent`, under their names: a thin bridge to `mcp_tools` and `converse`.

https://huggingface.co/docs/huggingface_hub/package_reference/mcp

New programs need neither: `client.converse(messages, tools=[*tools])` has limits, approval and a state besides.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Final, Self

from ..client.async_client import AsyncInferenceClient
from ..conversation.events import ToolReturned, TurnEnded
from ..conversation.tool import Tool
from ..errors import InvalidParameterError
from ..tasks.chat_input import ChatCompletionInputMessage
from ..tasks.chat_types import ChatCompletionStreamOutput
from .agent_file import server_of
from .mcp_tools import mcp_tools

MAX_TURNS: Final = 10
PROMPT: Final = """You are an agent: keep going until the user's task is done, and then end your turn, by calling
task_complete. If you lack what you need, ask_question. Use your tools to find out what you do not know; do not guess.
Plan before each call, and think about what it has brought."""
_NOTHING: Final = {"type": "object", "properties": {}}


class MCPClient:
    """A client of a model and of MCP servers: an async context manager, as huggingface_hub's is."""

    def __init__(
        self,
        *,
        model: str | None = None,
        provider: str | None = None,
        base_url: str | None = None,
        api_key: str | None = None,
    ) -> None:
        """Raises `InvalidParameterError` where neither a model nor a URL is given."""
        if model is None and base_url is None:
            raise InvalidParameterError("MCPClient wants a model, or the base_url of a server")
        self.client = AsyncInferenceClient(model=model, provider=provider, base_url=base_url, api_key=api_key)
        self.tools: list[Tool[..., Any]] = []
        self._stack = AsyncExitStack()

    @property
    def available_tools(self) -> list[dict[str, Any]]:
        """The tools as members of a request's `tools`."""
        return [tool.definition for tool in self.tools]

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.client)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    async def cleanup(self) -> None:
        """Leave all servers."""
        await self._stack.aclose()

    async def add_mcp_server(self, type: str, **params: Any) -> None:  # noqa: A002 - huggingface_hub's name
        """Connect to a server: "stdio" (command, args, env, cwd), "http" or "sse" (url, headers); `allowed_tools`.

        A tool whose name is taken already is left out, as it is there. Raises `ToolError` where it cannot be reached.
        """
        found = await self._stack.enter_async_context(mcp_tools(server_of({"type": type, **params})))
        known = {tool.name for tool in self.tools}
        self.tools += [tool for tool in found if tool.name not in known]

    async def process_single_turn_with_tools(
        self,
        messages: list[Any],
        exit_loop_tools: Sequence[Any] | None = None,
        exit_if_first_chunk_no_tool: bool = False,
    ) -> AsyncIterator[ChatCompletionStreamOutput | ChatCompletionInputMessage]:
        """One answer of the model, and the tools that it calls: chunks, and a message for each tool.

        The new messages are appended to `messages`. `exit_loop_tools` are called by nobody: their answer is empty.
        """
        own = {tool.name for tool in self.tools}
        ends = [made for made in map(_end_tool, exit_loop_tools or ()) if made.name not in own]
        before, chunks = len(messages), 0
        async with self.client.converse(messages, tools=[*ends, *self.tools]) as run:
            async for event in run:
                if isinstance(event, ChatCompletionStreamOutput):
                    yield event
                    chunks += bool(event.choices)
                    if exit_if_first_chunk_no_tool and chunks == 1 and not _calls(event):
                        return
                elif isinstance(event, ToolReturned):
                    yield ChatCompletionInputMessage(
                        role="tool", content=event.content, name=event.name, tool_call_id=event.id
                    )
                elif isinstance(event, TurnEnded):
                    break
        messages += _named(run.transcript[before:], run.turns[-1].returned)


def _calls(chunk: ChatCompletionStreamOutput) -> bool:
    return any(choice.delta.tool_calls for choice in chunk.choices)


def _named(messages: list[dict[str, Any]], returned: Sequence[ToolReturned]) -> list[dict[str, Any]]:
    """The messages with the names of the tools that answer."""
    names = {each.id: each.name for each in returned}
    return [
        {**message, "name": names[message["tool_call_id"]]} if message["role"] == "tool" else message
        for message in messages
    ]


def _end_tool(definition: Any) -> Tool[..., Any]:
    """A tool that ends a loop, by its definition: a dict, or an object with the same attributes."""
    function = definition["function"] if isinstance(definition, Mapping) else definition.function
    told = function if isinstance(function, Mapping) else vars(function)

    async def ends(**arguments: Any) -> str:
        return ""

    schema = told.get("parameters") or _NOTHING
    return Tool(ends, name=told["name"], description=told.get("description") or "", parameters=schema)


def _definition(name: str, description: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}


TASK_COMPLETE: Final = _definition("task_complete", "Call this when the user's task is done.", _NOTHING)
ASK_QUESTION: Final = _definition("ask_question", "Ask the user for what you need to go on.", _NOTHING)
END_TOOLS: Final = (TASK_COMPLETE, ASK_QUESTION)


class Agent(MCPClient):
    """A model, its servers and a conversation that goes on, as huggingface_hub's is: `async for item in
    agent.run("...")`."""

    def __init__(
        self,
        *,
        model: str | None = None,
        servers: Sequence[Mapping[str, Any]] = (),
        provider: str | None = None,
        base_url: str | None = None,
        api_key: str | None = None,
        prompt: str | None = None,
    ) -> None:
        super().__init__(model=model, provider=provider, base_url=base_url, api_key=api_key)
        self._servers = list(servers)
        self.messages: list[Any] = [{"role": "system", "content": prompt or PROMPT}]

    async def load_tools(self) -> None:
        """Connect to the servers."""
        for server in self._servers:
            await self.add_mcp_server(**server)

    async def run(
        self, user_input: str, *, abort_event: Any = None
    ) -> AsyncIterator[ChatCompletionStreamOutput | ChatCompletionInputMessage]:
        """Answer the user, turn by turn, until the model has no call to make, says that it is done, asks something, or
        has taken 10 turns. `abort_event` with `is_set()` true ends it before the next turn."""
        self.messages.append({"role": "user", "content": user_input})
        ends = {tool["function"]["name"] for tool in END_TOOLS}
        for _ in range(MAX_TURNS):
            if abort_event is not None and abort_event.is_set():
                return
            async for item in self.process_single_turn_with_tools(self.messages, exit_loop_tools=END_TOOLS):
                yield item
            last = self.messages[-1]
            if last.get("role") == "assistant" or last.get("name") in ends:
                return
