"""Chats whose turns a test has written: what a model of this name says, turn by turn, and which tools it calls.

The turn is told by the request alone: as many answers of the assistant's as the conversation has, so many turns are
over. Equal requests have equal answers, whoever else asks meanwhile, and whatever is tried again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

CALLS = "tool_calls"


@dataclass(frozen=True, slots=True)
class ScriptedTurn:
    """What is said in a turn, and which tools are called: names, each with arguments, as an object or as text."""

    text: str = ""
    calls: tuple[tuple[str, Any], ...] = ()

    @property
    def finish(self) -> str:
        return CALLS if self.calls else "stop"


@dataclass(slots=True)
class Scripts:
    """The turns of each model that has a script."""

    turns: dict[str, tuple[ScriptedTurn, ...]] = field(default_factory=dict)

    def write(self, model: str, turns: Sequence[Any]) -> None:
        """Have this model say these turns. Raises ValueError for a turn that is none."""
        self.turns[model] = tuple(map(read, turns))

    def turn(self, model: str, asked: Sequence[Mapping[str, Any]]) -> ScriptedTurn | None:
        """The turn that answers these messages; None without a script, and where it is at its end."""
        turns = self.turns.get(model, ())
        over = sum(message["role"] == "assistant" for message in asked)
        return turns[over] if over < len(turns) else None


def read(turn: Any) -> ScriptedTurn:
    """A turn as a test writes it: a text, a list of calls, or a dict with "content" and "tool_calls".

    A call is a pair of a name and arguments, or a dict with "name" and "arguments".
    """
    if isinstance(turn, str):
        return ScriptedTurn(turn)
    if isinstance(turn, Mapping):
        return ScriptedTurn(turn.get("content") or "", tuple(map(pair, turn.get(CALLS) or ())))
    if isinstance(turn, Sequence):
        return ScriptedTurn("", tuple(map(pair, turn)))
    raise ValueError(f"a turn is a text, a list of calls or a dict, not {type(turn).__name__}")


def pair(call: Any) -> tuple[str, Any]:
    name, arguments = (call.get("name"), call.get("arguments", {})) if isinstance(call, Mapping) else call
    if not isinstance(name, str):
        raise ValueError("a call is a pair of a name and arguments")
    return name, arguments


def calls(call: Any, turn: ScriptedTurn, given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The calls of a turn as OpenAI has them; only the first where the request allows no more."""
    made = turn.calls[:1] if given.get("parallel_tool_calls") is False else turn.calls
    return [
        {"id": f"call_{call.digest(f'tool {number}')}", "type": "function", "function": function(*one)}
        for number, one in enumerate(made)
    ]


def function(name: str, arguments: Any) -> dict[str, Any]:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return {"name": name, "arguments": text}
