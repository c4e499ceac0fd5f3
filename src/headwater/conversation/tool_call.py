"""The calls of an answer, in whatever way its server tells them, and what each of them came to.

OpenAI's `tool_calls` and, before there were several, `function_call`
(https://platform.openai.com/docs/guides/function-calling); its custom tools, whose input is a text; and
text-generation-inference's, whose arguments are an object, under `parameters` in its first versions, and whose ids are
numbers that repeat. Ids that are missing or not unique are given here, and written into the answer, so that it can be
sent again. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, TypeAlias

import msgspec

from ..tasks.chat_types import (
    ChatCompletionOutputFunctionDefinition,
    ChatCompletionOutputMessage,
    ChatCompletionOutputToolCall,
)

ToolOutcome: TypeAlias = Literal["returned", "failed", "invalid", "refused", "timed out", "cancelled", "not run"]
"""What came of a call: its function returned, or raised; the call was wrong; it was not allowed; its time was over; it
was given up while it ran, or before."""
Kind: TypeAlias = Literal["function", "custom", "legacy"]

MAX_PROBLEM: Final = 2000
"""Characters of an error that a model is told."""
_NAMELESS: Final = frozenset({"", "tools"})
"""What text-generation-inference 1.4 calls a function that it does not name."""


class ToolCallState(msgspec.Struct, kw_only=True):
    """One call of a tool and how far it is; plain JSON.

    `arguments` is the model's text. `problem` is what is wrong with the call itself. `decision`: True where it was
    allowed, else why not; None where nobody has decided. `begun`: whether its function was called. `content` is what
    the model is told, and `images` what it is shown: None and nothing before there is an answer.
    """

    id: str
    name: str
    arguments: str
    kind: Kind = "function"
    problem: str | None = None
    decision: bool | str | None = None
    begun: bool = False
    outcome: ToolOutcome | None = None
    content: str | None = None
    images: list[dict[str, Any]] = []

    @property
    def is_answered(self) -> bool:
        """Whether there is something to tell the model."""
        return self.content is not None

    def answer(self, outcome: ToolOutcome, content: str, images: Iterable[dict[str, Any]] = ()) -> None:
        """Say what came of it."""
        self.outcome, self.content, self.images = outcome, content, list(images)

    def given_up(self) -> None:
        """Say that it was given up, if it has no answer yet."""
        if self.is_answered:
            return
        if self.begun:
            self.answer("cancelled", "Error: cancelled before it had ended; it is not known what it did.")
        else:
            self.answer("not run", "Error: it was not run: the conversation was left before.")

    def message(self) -> dict[str, Any]:
        """The answer as a message; of a call without one, what would be said if the conversation were left now."""
        if not self.is_answered:
            here = msgspec.structs.replace(self)
            here.given_up()
            return here.message()
        if self.kind == "legacy":
            return {"role": "function", "name": self.name, "content": self.content}
        return {"role": "tool", "tool_call_id": self.id, "content": self.content}


def answers(calls: Iterable[ToolCallState]) -> list[dict[str, Any]]:
    """The messages that answer these calls. Images go into a message of the user's behind them: a tool's takes text."""
    told, shown = [], []
    for call in calls:
        told.append(call.message())
        if call.images:
            shown += [{"type": "text", "text": f"From the tool {call.name} ({call.id}):"}, *call.images]
    return [*told, {"role": "user", "content": shown}] if shown else told


def calls_of(message: ChatCompletionOutputMessage, tools: Mapping[str, Any], turn: int) -> list[ToolCallState]:
    """The calls that an answer makes; ids and arguments that no server would take back are mended in it.

    `tools` are the tools that there are, by name, each with its `parameters`.
    """
    if not message.tool_calls:
        return _legacy(message, tools, turn)
    found: list[ToolCallState] = []
    taken: set[str] = set()
    for number, call in enumerate(message.tool_calls):
        if not call.id or call.id in taken:
            call.id = f"call_{turn}_{number}_{call.id}".rstrip("_")
        taken.add(call.id)
        if call.function is None:
            found.append(_custom(call))
            continue
        if call.function.arguments in ("", None) and (given := _parameters(call)) is not None:
            call.function.arguments = given
        found.append(_function(call.id, call.function, tools))
    return found


def _parameters(call: ChatCompletionOutputToolCall) -> dict[str, Any] | None:
    """The arguments where text-generation-inference 1.4 has them."""
    sent = call.sent()
    told = sent.get("function") if isinstance(sent, dict) else call.function.held
    found = told.get("parameters") if isinstance(told, dict) else None
    return found if isinstance(found, dict) else None


def _legacy(message: ChatCompletionOutputMessage, tools: Mapping[str, Any], turn: int) -> list[ToolCallState]:
    if message.function_call is None or not (message.function_call.name or message.function_call.arguments):
        return []
    call = _function(f"call_{turn}", message.function_call, tools)
    call.kind = "legacy"
    return [call]


def _custom(call: ChatCompletionOutputToolCall) -> ToolCallState:
    told = call.custom if isinstance(call.custom, dict) else {}
    given = told.get("input")
    text = given if isinstance(given, str) else _text(given)
    return ToolCallState(id=call.id, name=str(told.get("name") or ""), arguments=text, kind="custom")


def _function(id_: str, function: ChatCompletionOutputFunctionDefinition, tools: Mapping[str, Any]) -> ToolCallState:
    arguments = function.arguments
    name = _known(function.name or "", arguments, tools)
    value, problem = _value(arguments)
    if problem is None:
        text = _text(value)
    else:
        text = arguments if isinstance(arguments, str) else _text(arguments)
        function.arguments = _text({"invalid_json": text})  # servers that read it would refuse the conversation
    return ToolCallState(id=id_, name=name, arguments=text, problem=problem)


def _known(name: str, arguments: Any, tools: Mapping[str, Any]) -> str:
    """The tool's name, less what gpt-oss and others put around it; of a call without one, the tool it fits alone."""
    if name in tools:
        return name
    bare = name.strip().partition("<|")[0].removeprefix("functions.")
    if bare in tools:
        return bare
    if name in _NAMELESS and isinstance(arguments, dict):
        fit = [known for known, tool in tools.items() if _fits(arguments, tool.parameters)]
        if len(fit) == 1:
            return fit[0]
    return name


def _fits(arguments: Mapping[str, Any], schema: Mapping[str, Any]) -> bool:
    known, needed = set(schema.get("properties", {})), set(schema.get("required", ()))
    return needed <= set(arguments) <= known


def _value(arguments: Any) -> tuple[Any, str | None]:
    """The arguments as an object, and what is wrong with them where they are none."""
    if isinstance(arguments, str):
        if not arguments.strip():
            return {}, None
        try:
            arguments = msgspec.json.decode(arguments)
            if isinstance(arguments, str):  # JSON in JSON
                arguments = msgspec.json.decode(arguments)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            return None, f"the arguments are not valid JSON: {error}"
    if arguments is None:
        return {}, None
    if not isinstance(arguments, dict):
        return None, f"the arguments must be a JSON object, not {_text(arguments)[:100]}"
    return arguments, None


def value_of(call: ToolCallState) -> dict[str, Any]:
    """The arguments of a call that has no problem."""
    value: dict[str, Any] = _value(call.arguments)[0]
    return value


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()
