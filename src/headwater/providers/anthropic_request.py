"""A chat's request in Anthropic's words: the half of the translation that goes out. Pure.

    chat                                           Messages
    system and developer messages                  `system`, all of them in their order
    user: text, image_url, file                    text, image and document blocks
    assistant: content, tool_calls                 text and tool_use blocks; its own blocks, where it has them
    tool                                           tool_result blocks, those of one turn in one message of the user's
    tools, tool_choice, parallel_tool_calls        tools, tool_choice with disable_parallel_tool_use
    max_completion_tokens, max_tokens              max_tokens, which must be said: `MAX_TOKENS` where nobody does
    reasoning_effort                               thinking, and output_config.effort
    response_format                                output_config.format
    stop, temperature, top_p                       stop_sequences, temperature, top_p
    user or safety_identifier, service_tier        metadata.user_id, service_tier

Whatever else says something is refused by its name before anything is sent; what says what holds anyway (`n=1`, a
penalty of 0) is left out. https://platform.claude.com/docs/en/api/messages/create
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ..errors import InvalidParameterError
from ..protocol.flow import Call
from ..protocol.json_value import encoded
from ..schema.rules import ANTHROPIC, NamedSchema, SchemaRules, fitted
from .anthropic_conversation import conversation_of
from .anthropic_parts import unsupported
from .bodies import model_of, parameters

MAX_TOKENS: Final = 8192
"""Tokens of an answer where nobody says how many: Anthropic has no default, and wants to be told."""
BUDGETS: Final = {"minimal": 1024, "low": 2048, "medium": 4096, "high": 8192, "xhigh": 16384, "max": 32768}
"""Tokens of thinking for each effort, for models that think by a budget, of at least 1,024."""
_LEAST_BUDGET: Final = 1024
_VERSION: Final = re.compile(r"claude-(?:[a-z]+-)?([0-9]+)(?:[.-]([0-9]{1,2}))?(?![0-9])")
_ADAPTIVE_FROM: Final = (4, 6)
"""The first version of Claude that decides itself how much it thinks; those from 4.7 take no budget any more:
https://platform.claude.com/docs/en/build-with-claude/adaptive-thinking"""
_TIERS: Final = {"auto": "auto", "default": "standard_only", "standard_only": "standard_only"}
_SAYS_NOTHING: Final[dict[str, tuple[Any, ...]]] = {
    "audio": (),
    "frequency_penalty": (0,),
    "logit_bias": ({}, []),
    "logprobs": (False,),
    "modalities": (["text"],),
    "n": (1,),
    "prediction": (),
    "presence_penalty": (0,),
    "prompt_cache_key": (),
    "seed": (),
    "store": (False,),
    "stream_options": (),
    "tool_prompt": (),
    "top_logprobs": (0,),
    "verbosity": (),
    "web_search_options": (),
}
"""What Messages have no word for, with the values that ask for nothing."""


_KNOWN: Final = frozenset(
    {
        *_SAYS_NOTHING,
        *("max_completion_tokens", "max_tokens", "messages", "metadata", "parallel_tool_calls", "reasoning_effort"),
        *("response_format", "safety_identifier", "service_tier", "stop", "temperature", "tool_choice", "tools"),
        *("top_p", "user"),
    }
)
_ANY_MEMBERS: Final = msgspec.structs.replace(ANTHROPIC, strict=False)
"""For schemas that somebody has written: members that may be left out stay so."""


def message_body(call: Call, rules: SchemaRules) -> dict[str, Any]:
    """The body of the message that is this chat. Raises `UnsupportedParameterError` for what cannot be said."""
    given = parameters(call)
    check_sayable(given)
    body: dict[str, Any] = {"model": model_of(call), "max_tokens": _max_tokens(given)}
    system, messages = conversation_of(given["messages"])
    body |= {**({"system": system} if system else {}), "messages": messages}
    body |= {name: given[name] for name in ("temperature", "top_p") if name in given}
    if stop := given.get("stop"):
        body["stop_sequences"] = [stop] if isinstance(stop, str) else stop
    _add_tools(given, body)
    _add_format(given, body, rules)
    _add_thinking(given, body)
    _add_labels(given, body)
    body["stream"] = call.stream
    body.update(call.extra)
    return body


def check_sayable(given: Mapping[str, Any]) -> None:
    """Raise `UnsupportedParameterError`, which names all parameters that Messages have no word for."""
    named = [
        name
        for name, nothing in _SAYS_NOTHING.items()
        if name in given and name != "stream_options" and given[name] not in nothing
    ]
    unknown = sorted(given.keys() - _KNOWN)
    if named or unknown:
        raise unsupported(", ".join([*named, *unknown]))
    if given.get("temperature", 0) > 1:
        raise unsupported("temperature over 1")


def _max_tokens(given: Mapping[str, Any]) -> int:
    asked = given.get("max_completion_tokens", given.get("max_tokens"))
    return MAX_TOKENS if asked is None else int(asked)


def _add_tools(given: Mapping[str, Any], body: dict[str, Any]) -> None:
    if tools := given.get("tools"):
        body["tools"] = [_tool(_plain(tool), f"tools[{number}]") for number, tool in enumerate(tools)]
    choice = _choice(given.get("tool_choice"))
    if given.get("parallel_tool_calls") is False and tools and (choice or {}).get("type") != "none":
        choice = {**(choice or {"type": "auto"}), "disable_parallel_tool_use": True}
    if choice is not None:
        body["tool_choice"] = choice


def _tool(tool: Any, place: str) -> dict[str, Any]:
    """A function as a tool; a tool of Anthropic's own, which has its name outside, as it is."""
    function = tool.get("function")
    if not isinstance(function, Mapping):
        if isinstance(tool.get("name"), str) and "function" not in tool:
            return dict(tool)
        raise unsupported(f"{place} of type {tool.get('type')!r}")
    schema = function.get("parameters") or function.get("arguments") or {"type": "object", "properties": {}}
    if "type" not in schema and "properties" not in schema and not schema.keys() - {"$schema", "description"}:
        schema = {**schema, "type": "object"}
    made = {"name": function.get("name"), "description": function.get("description"), "input_schema": schema}
    if function.get("strict"):
        made |= {"strict": True, "input_schema": _closed(schema, place)}
    if tool.get("cache_control"):
        made["cache_control"] = tool["cache_control"]
    return {name: value for name, value in made.items() if value is not None}


def _choice(choice: Any) -> dict[str, Any] | None:
    if choice is None:
        return None
    if isinstance(choice, str):
        if choice not in _CHOICES:
            raise InvalidParameterError(f"tool_choice must be 'auto', 'none', 'required' or a dict, not {choice!r}")
        return dict(_CHOICES[choice])
    plain = _plain(choice)
    function = plain.get("function")
    if isinstance(function, Mapping) and isinstance(function.get("name"), str):
        return {"type": "tool", "name": function["name"]}
    if plain.get("type") in {"any", "auto", "none", "tool"}:  # Anthropic's own
        return dict(plain)
    raise unsupported(f"tool_choice of type {plain.get('type')!r}")


_CHOICES: Final[dict[str, dict[str, Any]]] = {
    "auto": {"type": "auto"},
    "none": {"type": "none"},
    "required": {"type": "any"},
    "any": {"type": "any"},
}


def _add_format(given: Mapping[str, Any], body: dict[str, Any], rules: SchemaRules) -> None:
    wanted = given.get("response_format")
    if wanted is None:
        return
    if isinstance(wanted, NamedSchema):
        schema = wanted.fitted(rules).schema
    else:
        plain = _plain(wanted)
        kind = plain.get("type")
        if kind == "text":
            return
        part = plain.get("json_schema")
        found = part.get("schema") if isinstance(part, Mapping) else None
        if kind != "json_schema" or not isinstance(found, Mapping):
            raise unsupported(f"response_format of type {kind!r}; it has 'json_schema'")
        schema = _closed(found, "response_format")
    body["output_config"] = {"format": {"type": "json_schema", "schema": schema}}


def _closed(schema: Mapping[str, Any], place: str) -> dict[str, Any]:
    """A caller's schema in the keywords that Anthropic promises to follow; bounds are told in the description."""
    found = fitted(schema, _ANY_MEMBERS, place)
    return dict(schema) if found.wrapped else found.schema


def _add_thinking(given: Mapping[str, Any], body: dict[str, Any]) -> None:
    effort = given.get("reasoning_effort")
    if effort is None:
        return
    if effort == "none":
        body["thinking"] = {"type": "disabled"}
    elif _is_adaptive(body["model"]):
        body["thinking"] = {"type": "adaptive"}
        body["output_config"] = {**body.get("output_config", {}), "effort": "low" if effort == "minimal" else effort}
    elif _may_think(body["messages"]):
        body["thinking"] = {"type": "enabled", "budget_tokens": _budget(given, body, effort)}


def _is_adaptive(model: str) -> bool:
    if "claude" not in model:
        return False  # whoever else speaks Messages has learnt the older word
    found = _VERSION.search(model)
    return found is None or (int(found[1]), int(found[2] or 0)) >= _ADAPTIVE_FROM


def _may_think(messages: list[dict[str, Any]]) -> bool:
    """Whether a model may think by a budget here: not where the turn whose tools are answered began without a thought,
    as another provider's does, and its own before it was asked to think.

    https://platform.claude.com/docs/en/build-with-claude/extended-thinking#extended-thinking-with-tool-use
    """
    last = messages[-1]["content"]
    if len(messages) < 2 or isinstance(last, str) or last[0].get("type") != "tool_result":
        return True
    before = messages[-2]["content"]
    return not isinstance(before, str) and before[0].get("type") in {"thinking", "redacted_thinking"}


def _budget(given: Mapping[str, Any], body: dict[str, Any], effort: str) -> int:
    """The tokens to think with: half of the answer's at most, which may be more where nobody says how many."""
    budget = BUDGETS.get(effort)
    if budget is None:
        raise unsupported(f"reasoning_effort {effort!r} for this model")
    if "max_tokens" not in given and "max_completion_tokens" not in given:
        body["max_tokens"] = MAX_TOKENS + budget
        return budget
    most = int(body["max_tokens"])
    if most <= _LEAST_BUDGET:
        raise unsupported(f"reasoning_effort within {most} tokens: thinking has at least {_LEAST_BUDGET}")
    return max(_LEAST_BUDGET, min(budget, most // 2))


def _add_labels(given: Mapping[str, Any], body: dict[str, Any]) -> None:
    metadata = given.get("metadata") or {}
    if others := sorted(metadata.keys() - {"user_id"}):
        raise unsupported(", ".join(f"metadata.{name}" for name in others))
    user = given.get("user") or given.get("safety_identifier") or metadata.get("user_id")
    if user is not None:
        body["metadata"] = {"user_id": user}
    if (tier := given.get("service_tier")) is not None:
        if tier not in _TIERS:
            raise unsupported(f"service_tier {tier!r}")
        body["service_tier"] = _TIERS[tier]


def _plain(value: Any) -> Any:
    """A dict of the caller's, or of one of our types, as a dict that can be read."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, msgspec.Struct):
        return _without_nulls(msgspec.to_builtins(value))
    return msgspec.json.decode(encoded(value))


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(item) for name, item in value.items() if item is not None}
    return value
