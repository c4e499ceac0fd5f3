"""An agent as Hugging Face's tiny agents write it down: `agent.json`, and `PROMPT.md` or `AGENTS.md` beside it.

https://huggingface.co/docs/huggingface_hub/package_reference/mcp and https://huggingface.co/datasets/tiny-agents/tiny-agents
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from ..errors import InputError, InvalidParameterError
from .servers import McpServer

FILE: Final = "agent.json"
PROMPTS: Final = ("PROMPT.md", "AGENTS.md")
_PLACE: Final = re.compile(r"\$\{input:([^}]*)\}")
_KINDS: Final = {"stdio": "stdio", "http": "http", "sse": "sse", "streamable-http": "http"}


class AgentInput(msgspec.Struct, frozen=True, kw_only=True):
    """A value that an agent wants from whoever runs it; a `password` is not shown while it is typed."""

    id: str
    type: str = "promptString"
    description: str = ""
    password: bool = False

    @property
    def variable(self) -> str:
        """The environment variable that has it."""
        return self.id.replace("-", "_").upper()


class AgentFile(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What `agent.json` says, and the prompt beside it."""

    model: str | None = None
    provider: str | None = None
    api_key: str | None = None
    endpoint_url: str | None = None
    inputs: list[AgentInput] = []
    servers: list[dict[str, Any]] = []
    prompt: str | None = None

    def __repr__(self) -> str:
        return f"AgentFile(model={self.model!r}, servers={len(self.servers)})"  # its key is nobody's to see


def load_agent(path: str | os.PathLike[str], ask: Callable[[AgentInput], str] | None = None) -> AgentFile:
    """The agent of a folder, or of a file. `${input:id}` in it is filled from the environment (ID in capitals, dashes
    as underscores), else by `ask`.

    Raises `InputError` where there is none, `InvalidParameterError` for what is no agent, and for an input that nobody
    gives.
    """
    place = Path(path)
    file = place / FILE if place.is_dir() else place
    try:
        text = file.read_bytes()
    except OSError as error:
        raise InputError(f"no agent can be read at {file}: {error.strerror}") from None
    try:
        found = msgspec.json.decode(text, type=AgentFile)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise InvalidParameterError(f"{file} is no agent: {error}") from None
    prompt = next((folder for folder in (file.parent / name for name in PROMPTS) if folder.is_file()), None)
    values = {wanted.id: _value(wanted, ask) for wanted in found.inputs if f"${{input:{wanted.id}}}".encode() in text}
    filled = _filled(msgspec.to_builtins(found), values)
    agent = msgspec.convert(filled, AgentFile)
    return msgspec.structs.replace(agent, prompt=prompt.read_text(encoding="utf-8") if prompt else agent.prompt)


def _value(wanted: AgentInput, ask: Callable[[AgentInput], str] | None) -> str:
    value = os.environ.get(wanted.variable, "") or (ask(wanted) if ask is not None else "")
    if not value:
        raise InvalidParameterError(f"the agent wants {wanted.id!r} ({wanted.description}): set {wanted.variable}")
    return value


def _filled(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _PLACE.sub(lambda found: values.get(found[1], found[0]), value)
    if isinstance(value, dict):
        return {name: _filled(item, values) for name, item in value.items()}
    return [_filled(item, values) for item in value] if isinstance(value, list) else value


def server_of(given: Mapping[str, Any]) -> McpServer:
    """A server of an agent, or of `MCPClient.add_mcp_server`: its type, and that one's parameters.

    Raises `InvalidParameterError` for what is none.
    """
    parameters = {**given, **(given.get("config") or given.get("options") or {})}
    kind = _KINDS.get(str(parameters.get("type")))
    if kind is None:
        raise InvalidParameterError("a server's type is 'stdio', 'http' or 'sse'")
    name, allow = parameters.get("name"), parameters.get("allowed_tools")
    if kind == "stdio":
        if not isinstance(parameters.get("command"), str):
            raise InvalidParameterError("a server of type 'stdio' has a command")
        command = [parameters["command"], *(parameters.get("args") or [])]
        return McpServer(command, name=name, env=parameters.get("env"), cwd=parameters.get("cwd"), allow=allow)
    if not isinstance(parameters.get("url"), str):
        raise InvalidParameterError(f"a server of type {kind!r} has a url")
    return McpServer(parameters["url"], name=name, headers=parameters.get("headers"), allow=allow, kind=kind)  # type: ignore[arg-type]
