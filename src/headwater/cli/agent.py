"""`headwater agent DIR`: an agent that is written down in a folder, in the terminal.

Its answers go to stdout, what it calls and what that brings to stderr. Each call is asked about, unless `--yes` says
otherwise; where nobody can be asked it is refused.
"""

from __future__ import annotations

import getpass
import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Annotated, Any, Final

import msgspec
from cyclopts import Parameter

from ..client.sync_client import InferenceClient
from ..conversation.events import ToolCalled, ToolReturned
from ..conversation.tool import AnyTool
from ..mcp.agent_file import AgentInput, load_agent, server_of
from ..mcp.mcp_tools import mcp_tools
from ..tasks.chat_types import ChatCompletionStreamOutput
from .answer import answer, chat_piece, write_pieces
from .options import option
from .terminal import clean, is_terminal, say

LEFT_BY_CTRL_C: Final = 130
SHOWN_CHARACTERS: Final = 200
DEFAULT_MAX_TURNS: Final = 20
_FOLDER: Final = inspect.Parameter(
    "folder",
    inspect.Parameter.POSITIONAL_ONLY,
    annotation=Annotated[str, Parameter(name="DIR", help="The folder with agent.json and PROMPT.md, or the file.")],
)
_QUESTION: Final = option(
    "question", str, "What to ask, and end; without it questions are read line by line.", metavar="TEXT"
)
_OPTIONS: Final = (
    _QUESTION,
    option("yes", bool, "Let it call its tools without asking."),
    option(
        "max_turns", int, f"The most answers to one question, calls of tools counted; {DEFAULT_MAX_TURNS} if not given."
    ),
    option("timeout", float, "The most seconds of one question's answer."),
)


def agent_command() -> Callable[..., int]:
    """What the parser calls."""
    signature = inspect.Signature([_FOLDER, *_OPTIONS])

    def agent(*args: Any, **kwargs: Any) -> int:
        return run_agent(**signature.bind(*args, **kwargs).arguments)

    agent.__doc__ = run_agent.__doc__
    agent.__signature__ = signature  # type: ignore[attr-defined]
    return agent


def run_agent(folder: str, **given: Any) -> int:
    """Talk with an agent of Hugging Face's tiny agents: a folder with agent.json, and PROMPT.md (extra `mcp`).

    Its servers are started, their tools are the model's. Each call is asked about: y allows it, a all of this tool's.
    """
    agent = load_agent(folder, _ask)
    client = InferenceClient(
        model=agent.model, provider=agent.provider, base_url=agent.endpoint_url, api_key=agent.api_key
    )
    servers = [server_of(server) for server in agent.servers]
    messages: list[Any] = [{"role": "system", "content": agent.prompt}] if agent.prompt else []
    options: dict[str, Any] = {"approve": None if given.get("yes") else Approval()}
    options |= {"max_turns": given.get("max_turns") or DEFAULT_MAX_TURNS, "timeout": given.get("timeout")}
    try:
        with client, ExitStack() as stack:
            tools: Sequence[AnyTool] = stack.enter_context(mcp_tools(*servers)) if servers else ()
            for question in _questions(given.get("question")):
                messages.append({"role": "user", "content": question})
                messages = _answer(client, messages, tools, options)
    except KeyboardInterrupt:
        return LEFT_BY_CTRL_C
    return 0


def _questions(only: str | None) -> Iterator[str]:
    if only is not None:
        yield only
        return
    while True:
        if is_terminal(sys.stdin):
            print("> ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            return
        if line.strip():
            yield line.strip()


def _answer(
    client: InferenceClient, messages: list[Any], tools: Sequence[AnyTool], options: dict[str, Any]
) -> list[Any]:
    """Have one question answered; returns the conversation with it."""
    with client.converse(messages, tools=tools, **options) as run, answer() as (writer, aside):
        for event in run:
            if isinstance(event, ChatCompletionStreamOutput):
                write_pieces([chat_piece(event)], writer, aside)
            elif isinstance(event, ToolCalled) and options["approve"] is None:
                aside.end()
                say(shown_call(event))
            elif isinstance(event, ToolReturned):
                aside.end()
                say(f"{event.name}: {_beginning(event.content)}")
        transcript: list[Any] = run.transcript
        return transcript


class Approval:
    """Asks whoever sits at the terminal, for each call, until all of a tool's are allowed."""

    def __init__(self) -> None:
        self._allowed: set[str] = set()

    def __call__(self, call: ToolCalled) -> bool | str:
        """Whether the call is allowed."""
        if call.name in self._allowed:
            return True
        if not is_terminal(sys.stdin):
            return "there is nobody to ask; --yes would allow it"
        print(f"{shown_call(call)} - allow it? [y/N/a] ", end="", file=sys.stderr, flush=True)
        said = sys.stdin.readline().strip().lower()
        if said == "a":
            self._allowed.add(call.name)
        return said in ("y", "yes", "a") or "the user said no"


def shown_call(call: ToolCalled) -> str:
    """A call in one line, without what would move the cursor."""
    return f"{call.name} {_beginning(msgspec.json.encode(call.arguments).decode())}"


def _beginning(text: str) -> str:
    """The beginning of a text, in one line that a terminal may see."""
    line = clean(" ".join(text.split()))
    return line if len(line) <= SHOWN_CHARACTERS else f"{line[:SHOWN_CHARACTERS]}..."


def _ask(wanted: AgentInput) -> str:
    """A value that the agent wants, of whoever sits at the terminal."""
    if not is_terminal(sys.stdin):
        return ""
    prompt = f"{clean(wanted.description or wanted.id)}: "
    if wanted.password:
        return getpass.getpass(prompt)
    print(prompt, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()
