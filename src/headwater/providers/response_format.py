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
_STRICT_AT_GROQ: Final = frozenset({"openai/gpt-oss-20b", "openai/gpt-oss-120b", "qwen/qwen3.8-27b"})


def in_words(body: dict[str, Any]) -> None:
    """A provider that holds its models to no schema: the model is told it in the prompt, and the server of nothing."""
    part = _json_schema(body)
    if part is None:
        return
    del body["response_format"]
    if part.get("schema") is None:
        return
    text = f"{_DESCRIPTION}\n{encoded(part['schema'], 'response_format').decode()}"
    if "prompt" in body:
        body["prompt"] = f"{text}\n\n{body['prompt']}"
        return
    messages = list(body.get("messages", ()))
    place = next((n for n, each in enumerate(messages) if _role(each) not in ("system", "developer")), len(messages))
    body["messages"] = [*messages[:place], {"role": "system", "content": text}, *messages[place:]]


def described(body: dict[str, Any]) -> None:
    """A provider that promises JSON alone is told the schema in the prompt, as its documentation wants it.

    DeepSeek: https://api-docs.deepseek.com/guides/json_mode; a `json_schema` is "unavailable".
    Z.ai: https://docs.z.ai/guides/capabilities/struct-output.
    Moonshot: https://platform.kimi.ai/docs/guide/use-json-mode-feature-of-kimi-api.
    DashScope: https://help.aliyun.com/en/model-studio/qwen-structured-output.
    """
    if _json_schema(body) is not None:
        in_words(body)
        body["response_format"] = {"type": "json_object"}


def groq(body: dict[str, Any]) -> None:
    """Groq, where some models follow a schema, and none beside tools or in a stream: "Streaming and tool use are not
    currently supported with Structured Outputs", https://console.groq.com/docs/structured-outputs.

    In a stream it refuses any `response_format`: https://github.com/langchain-ai/langchain/issues/23629
    """
    if body.get("stream") or body.get("tools"):
        in_words(body)
    elif body.get("model") not in _STRICT_AT_GROQ:
        described(body)


def cloudflare(body: dict[str, Any]) -> None:
    """Workers AI, where the `json_schema` is the schema itself; "JSON Mode currently doesn't support streaming".

    https://developers.cloudflare.com/workers-ai/features/json-mode/
    """
    part = _json_schema(body)
    if body.get("stream"):
        in_words(body)
    elif part is not None and part.get("schema") is not None:
        body["response_format"] = {"type": "json_schema", "json_schema": part["schema"]}


def minimax(body: dict[str, Any]) -> None:
    """MiniMax, where one model follows a schema, and others pass over it in silence.

    https://platform.minimax.io/docs/api-reference/text-post, https://github.com/MiniMax-AI/MiniMax-M2.5/issues/4
    """
    if body.get("model") != "MiniMax-Text-01":
        in_words(body)


def _role(message: Any) -> Any:
    return message.get("role") if isinstance(message, Mapping) else getattr(message, "role", None)
