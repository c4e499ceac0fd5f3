"""A chat's messages as Anthropic's: whose turn it is, what belongs to which use of a tool. Pure.

Messages of one role that follow each other become one, so that the results of a turn's tools stand together, before
whatever the user says next. Ids of calls are kept where Anthropic takes them, and else made unique, of letters, digits,
_ and -, in the call and in its result alike.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from ..errors import InvalidParameterError
from ..protocol.json_value import encoded, is_plain
from ..tasks.chat import wire_messages
from ..tasks.content_blocks import kept_blocks, plain_blocks, thoughts_of_message
from .anthropic_parts import blocks_of_user, unsupported

_OTHERS: Final = re.compile(r"[^a-zA-Z0-9_-]")
Blocks = list[dict[str, Any]]


def conversation_of(messages: Sequence[Any]) -> tuple[str | Blocks, list[dict[str, Any]]]:
    """What the system is told, and the turns. Raises `UnsupportedParameterError` for what has no place in either."""
    system: Blocks = []
    turns: list[tuple[str, Blocks]] = []
    ids = _CallIds()
    for number, message in enumerate(plain_messages(messages)):
        role, place = message.get("role"), f"messages[{number}]"
        _check(message, role, place)
        if role in {"system", "developer"}:
            system += _marked(blocks_of_user(message.get("content"), place), message)
            continue
        if role == "tool":
            blocks = [_result(message, ids, place)]
        elif role == "assistant":
            blocks = _blocks_of_assistant(message, ids, place)
        else:
            blocks = blocks_of_user(message.get("content"), place)
        blocks = _marked(blocks, message)
        speaker = "assistant" if role == "assistant" else "user"
        if turns and turns[-1][0] == speaker:
            turns[-1][1].extend(blocks)
        elif blocks or not turns or number == len(messages) - 1:
            turns.append((speaker, blocks))
    return _shortest(system), [{"role": role, "content": _shortest(blocks)} for role, blocks in turns]


def plain_messages(messages: Sequence[Any]) -> list[dict[str, Any]]:
    """The messages as plain dicts. Raises `InvalidParameterError` for what JSON cannot say."""
    wired = wire_messages(messages)
    if not is_plain(wired):
        wired = msgspec.json.decode(encoded(wired, "messages"))
    return wired


def _marked(blocks: Blocks, message: dict[str, Any]) -> Blocks:
    """The blocks of a message that is marked for the cache, the last of them so."""
    mark = message.get("cache_control")
    return [*blocks[:-1], {**blocks[-1], "cache_control": mark}] if blocks and isinstance(mark, dict) else blocks


def _check(message: dict[str, Any], role: Any, place: str) -> None:
    if role not in {"system", "developer", "user", "assistant", "tool"}:
        raise unsupported(f"{place} of the role {role!r}")
    if message.get("name") and role != "tool":  # which a tool's has beside its call's id
        raise unsupported(f"{place}.name")
    for name in ("audio", "function_call"):
        if message.get(name):
            raise unsupported(f"{place}.{name}")


def _shortest(blocks: Blocks) -> str | Blocks:
    """Blocks that are a text and nothing else as that text."""
    if not blocks:
        return ""
    only = blocks[0] if len(blocks) == 1 else {}
    return str(only["text"]) if only.keys() == {"type", "text"} and only["type"] == "text" else blocks


class _CallIds:
    """The ids of calls as Anthropic takes them."""

    def __init__(self) -> None:
        self._used: set[str] = set()
        self._of_turn: dict[str, str] = {}

    def begin(self) -> None:
        """Another turn of the assistant's: what is answered next are its calls."""
        self._of_turn = {}

    def keep(self, name: str) -> None:
        """This id goes as it is."""
        self._used.add(name)
        self._of_turn[name] = name

    def made(self, name: str) -> str:
        """The id of a call of this turn."""
        clean = found = _OTHERS.sub("_", name) or "call"
        number = 1
        while found in self._used:
            number += 1
            found = f"{clean}_{number}"
        self._used.add(found)
        self._of_turn[name] = found
        return found

    def of(self, name: str) -> str:
        """The id of the call that a result answers."""
        return self._of_turn.get(name) or _OTHERS.sub("_", name)


def _blocks_of_assistant(message: dict[str, Any], ids: _CallIds, place: str) -> Blocks:
    ids.begin()
    calls = [
        _call(call, f"{place}.tool_calls[{number}]") for number, call in enumerate(message.get("tool_calls") or ())
    ]
    kept = kept_blocks(message, calls)
    if kept is not None:
        for call in calls:
            ids.keep(call["id"])
        return kept
    said = blocks_of_user(_without_thoughts(message.get("content")), place)
    if not said and message.get("refusal"):
        said = [{"type": "text", "text": message["refusal"]}]
    uses = plain_blocks(None, [{**call, "id": ids.made(call["id"])} for call in calls])
    return [*thoughts_of_message(message), *said, *uses]


def _without_thoughts(content: Any) -> Any:
    """The content without what a model of another provider has thought, which is not Anthropic's."""
    if not isinstance(content, list):
        return content
    return [part for part in content if not (isinstance(part, dict) and part.get("type") in {"thinking", "reasoning"})]


def _call(call: Any, place: str) -> dict[str, Any]:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        kind = call.get("type") if isinstance(call, dict) else type(call).__name__
        raise unsupported(f"{place} of type {kind!r}")
    if not function.get("name"):
        raise InvalidParameterError(f"{place}.function has no name")
    return {"id": str(call.get("id") or ""), "name": function["name"], "arguments": function.get("arguments")}


def _result(message: dict[str, Any], ids: _CallIds, place: str) -> dict[str, Any]:
    content = _shortest(blocks_of_user(message.get("content"), place))
    result: dict[str, Any] = {"type": "tool_result", "tool_use_id": ids.of(str(message.get("tool_call_id") or ""))}
    if message.get("is_error"):
        result["is_error"] = True
    return {**result, "content": content} if content else result
