"""How providers spell `response_format`, where they spell it otherwise than OpenAI.

Each rewriting takes the request's parameters, which are its own to change, and never changes what is in them:
that is the caller's. What is no JSON schema stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import msgspec

from ..protocol.json_value import encoded
from ..schema.rules import NamedSchema, SchemaRules

Rewrite: TypeAlias = Callable[[dict[str, Any]], None]


def _json_schema(body: dict[str, Any]) -> dict[str, Any] | None:
    """The `json_schema` part as a dict, where there is one."""
    given = body.get("response_format")
    plain = msgspec.to_builtins(given) if isinstance(given, msgspec.Struct) else given
    if not isinstance(plain, dict) or plain.get("type") != "json_schema":
        return None
    part = plain.get("json_schema")
    part = msgspec.to_builtins(part) if isinstance(part, msgspec.Struct) else part
    return part if isinstance(part, dict) else None


def json_schema_format(wanted: NamedSchema, rules: SchemaRules) -> dict[str, Any]:
    """A type as OpenAI's `response_format`, which the rewritings below take as they take any.

    https://platform.openai.com/docs/api-reference/chat/create#chat-create-response_format
    """
    found = wanted.fitted(rules)
    part: dict[str, Any] = {"name": wanted.name, "schema": found.schema, "strict": found.strict}
    return {"type": "json_schema", "json_schema": part}


def _as(kind: str, name: str) -> Rewrite:
    def rewrite(body: dict[str, Any]) -> None:
        part = _json_schema(body)
        if part is not None and part.get("schema") is not None:
            body["response_format"] = {"type": kind, name: part["schema"]}

    return rewrite


def guided_json(body: dict[str, Any]) -> None:
    """Nebius: the schema once more as vLLM's `guided_json`."""
    part = _json_schema(body)
    if part is not None and part.get("schema") is not None:
        body["guided_json"] = part["schema"]


def json_schema_beside(body: dict[str, Any]) -> None:
    """llama.cpp, for completions: the schema once more as `json_schema`.

    https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md#post-completion-given-a-prompt-it-returns-the-predicted-completion
    """
    part = _json_schema(body)
    if part is not None and part.get("schema") is not None:
        body["json_schema"] = part["schema"]


def not_strict(body: dict[str, Any]) -> None:
    """SambaNova refuses `strict`: https://docs.sambanova.ai/cloud/docs/capabilities/function-calling."""
    part = _json_schema(body)
    if part is not None and part.get("strict") is not False:
        body["response_format"] = {"type": "json_schema", "json_schema": {**part, "strict": False}}


json_object_value: Final = _as("json_object", "value")
"""hf-inference, as text-generation-inference has it."""
json_object_schema: Final = _as("json_object", "schema")
"""Cohere, Fireworks: https://docs.fireworks.ai/structured-responses/structured-response-formatting."""
json_schema_schema: Final = _as("json_schema", "schema")
"""Together: https://docs.together.ai/docs/json-mode."""


_DESCRIPTION: Final = "Answer with JSON that follows this JSON schema, and with nothing else:"


def described(body: dict[str, Any]) -> None:
    """A provider that promises JSON alone is told the schema in the prompt, as its documentation wants it.

    DeepSeek: https://api-docs.deepseek.com/guides/json_mode; a `json_schema` is "unavailable".
    Z.ai: https://docs.z.ai/guides/capabilities/struct-output.
    """
    part = _json_schema(body)
    if part is None:
        return
    body["response_format"] = {"type": "json_object"}
    if part.get("schema") is None:
        return
    text = f"{_DESCRIPTION}\n{encoded(part['schema'], 'response_format').decode()}"
    messages = list(body.get("messages", ()))
    place = next((n for n, each in enumerate(messages) if _role(each) not in ("system", "developer")), len(messages))
    body["messages"] = [*messages[:place], {"role": "system", "content": text}, *messages[place:]]


def _role(message: Any) -> Any:
    return message.get("role") if isinstance(message, Mapping) else getattr(message, "role", None)
