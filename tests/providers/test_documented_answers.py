"""Answers of the vendors that Hugging Face does not route to, in the shapes that they document, whole and in pieces."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from support.flow_player import call, play, reply

from headwater.protocol.framing import Frame
from headwater.providers import flow_for, provider
from headwater.providers.openai_chat import decode_chunk
from headwater.tasks.chat_fold import ChatFold
from headwater.tasks.chat_types import ChatCompletionStreamOutput

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
TEXT = "Oslo"


def chat(message: dict[str, Any], choice: dict[str, Any] | None = None, **members: Any) -> dict[str, Any]:
    """A vendor's whole answer, with what it has beside OpenAI's members."""
    whole = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop", **(choice or {})}
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [whole],
        "usage": USAGE,
        **members,
    }


ANSWERS = {
    # https://ai.google.dev/gemini-api/docs/thought-signatures
    "google": chat({"content": TEXT, "extra_content": {"google": {"thought_signature": "c2ln"}}}),
    # https://docs.mistral.ai/capabilities/reasoning
    "mistral": chat(
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "Norway"}]},
                {"type": "text", "text": TEXT},
            ]
        }
    ),
    # https://api-docs.deepseek.com/guides/reasoning_model
    "deepseek": chat(
        {"content": TEXT, "reasoning_content": "Norway"},
        usage={**USAGE, "prompt_cache_hit_tokens": 0, "prompt_cache_miss_tokens": 3},
    ),
    # https://docs.x.ai/docs/guides/reasoning
    "xai": chat(
        {"content": TEXT, "reasoning_content": "Norway", "refusal": None},
        usage={**USAGE, "num_sources_used": 0},
        system_fingerprint="fp_1",
    ),
    # https://openrouter.ai/docs/api-reference/overview
    "openrouter": chat(
        {"content": TEXT, "reasoning": "Norway", "reasoning_details": [{"type": "reasoning.text", "text": "Norway"}]},
        {"native_finish_reason": "STOP"},
        provider="Groq",
    ),
    # https://platform.moonshot.ai/docs/guide/use-kimi-k2-thinking-model
    "moonshot": chat({"content": TEXT, "reasoning_content": "Norway"}),
    # https://docs.perplexity.ai/api-reference/chat-completions-post
    "perplexity": chat(
        {"content": TEXT},
        citations=["https://example.org/oslo"],
        search_results=[{"title": "Oslo", "url": "https://example.org/oslo", "date": None}],
    ),
    # https://platform.minimax.io/docs/api-reference/text-openai-api
    "minimax": chat({"content": TEXT, "name": "MiniMax AI"}, base_resp={"status_code": 0, "status_msg": ""}),
    # https://www.alibabacloud.com/help/en/model-studio/compatibility-of-openai-with-dashscope
    "dashscope": chat({"content": TEXT}, {"logprobs": None}, system_fingerprint=None),
    # https://docs.github.com/en/rest/models/inference
    "github": chat(
        {"content": TEXT},
        {"content_filter_results": {"hate": {"filtered": False, "severity": "safe"}}},
        prompt_filter_results=[{"prompt_index": 0, "content_filter_results": {}}],
    ),
    # https://vercel.com/docs/ai-gateway/openai-compat
    "vercel": chat({"content": TEXT, "provider_metadata": {"gateway": {"cost": "0.0001"}}}),
    # https://docs.ollama.com/api/openai-compatibility
    "ollama": chat({"content": TEXT, "reasoning": "Norway"}, {"finish_reason": None}, system_fingerprint="fp_ollama"),
    # https://lmstudio.ai/docs/developer/openai-compat
    "lmstudio": chat({"content": TEXT, "tool_calls": []}, {"logprobs": None}, stats={}),
    # https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md
    "llamacpp": chat({"content": TEXT}, timings={"predicted_per_second": 41.5}, system_fingerprint="b7000"),
    # https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html
    "vllm": chat({"content": TEXT, "tool_calls": []}, {"stop_reason": None}, prompt_logprobs=None),
    # https://huggingface.co/docs/text-generation-inference/messages_api
    "tgi": chat({"content": TEXT}, {"logprobs": None}, system_fingerprint="3.3.4-native"),
    # https://learn.microsoft.com/azure/ai-foundry/openai/reference
    "azure": chat(
        {"content": TEXT, "refusal": None, "annotations": []},
        {"content_filter_results": {"hate": {"filtered": False, "severity": "safe"}}},
        prompt_filter_results=[{"prompt_index": 0, "content_filter_results": {}}],
        system_fingerprint="fp_1",
    ),
    # https://developers.cloudflare.com/workers-ai/configuration/open-ai-compatibility
    "cloudflare": chat({"content": TEXT, "tool_calls": []}, usage={**USAGE, "prompt_tokens_details": {}}),
    # https://docs.databricks.com/aws/en/machine-learning/model-serving/score-foundation-models
    "databricks": chat({"content": [{"type": "reasoning", "summary": []}, {"type": "text", "text": TEXT}]}),
    # https://docs.sglang.ai/basic_usage/openai_api_completions.html
    "sglang": chat({"content": TEXT, "reasoning_content": None}, {"matched_stop": 2}, metadata={"weight_version": "1"}),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_a_vendors_answer(name: str) -> None:
    asked = call("chat-completion", name, base=provider(name).base, model="m")
    played = play(flow_for(name, "chat-completion")(asked), reply(ANSWERS[name]))
    output = played.result
    assert output.choices[0].message.content == TEXT and output.usage.total_tokens == 5
    assert output.raw == ANSWERS[name]


@pytest.mark.parametrize("name", ANSWERS)
def test_the_same_in_pieces(name: str) -> None:
    """Each in two chunks, the second with the end and what stands beside the choices."""
    answer = ANSWERS[name]
    whole = answer["choices"][0]
    beside = {key: value for key, value in answer.items() if key not in {"choices", "usage"}}
    first = {**beside, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": whole["message"]}]}
    ending = {**{key: value for key, value in whole.items() if key != "message"}, "delta": {}}
    last = {**beside, "object": "chat.completion.chunk", "choices": [ending], "usage": answer["usage"]}
    fold = ChatFold(1, frozenset({"fp_ollama"}))
    for event in first, last:
        chunk = decode_chunk(Frame(msgspec.json.encode(event)))
        assert isinstance(chunk, ChatCompletionStreamOutput)
        fold.add(chunk)
    output = fold.result()
    assert output.usage is not None and output.usage.total_tokens == 5
    assert output.choices[0].message.content == TEXT


def test_mistrals_name_of_a_seed() -> None:
    asked = call("chat-completion", "mistral", parameters={"seed": 7}, base=provider("mistral").base, model="m")
    body = play(flow_for("mistral", "chat-completion")(asked), reply(ANSWERS["mistral"])).body
    assert body["random_seed"] == 7 and "seed" not in body


@pytest.mark.parametrize("name", ["mistral", "deepseek", "perplexity"])
def test_the_limit_of_tokens_has_one_name(name: str) -> None:
    """Mistral refuses the other with a 422, and a server that passes it over would write on and on."""
    asked = call("chat-completion", name, parameters={"max_completion_tokens": 7}, base=provider(name).base, model="m")
    body = play(flow_for(name, "chat-completion")(asked), reply(ANSWERS[name])).body
    assert body["max_tokens"] == 7 and "max_completion_tokens" not in body


def test_what_mistral_refuses_of_a_stream_and_of_another_servers_answer() -> None:
    told = {"content": TEXT, "reasoning_content": "Norway", "refusal": None}
    answer = (
        play(flow_for("xai", "chat-completion")(call("chat-completion", "xai", model="m")), reply(chat(told)))
        .result.choices[0]
        .message
    )
    given = {"messages": [answer], "stream_options": {"include_usage": True}, "store": False}
    asked = call("chat-completion", "mistral", parameters=given, base=provider("mistral").base, model="m")
    body = play(flow_for("mistral", "chat-completion")(asked), reply(ANSWERS["mistral"])).body
    assert body["messages"] == [{"role": "assistant", "content": TEXT}]
    assert body.keys() == {"model", "messages", "stream"}


@pytest.mark.parametrize(
    ("name", "switch"),
    [
        *((name, {"thinking": {"type": "disabled"}}) for name in ("deepseek", "minimax", "moonshot")),
        ("dashscope", {"enable_thinking": False}),
        ("xai", {"reasoning_effort": "none"}),
    ],
)
def test_how_each_is_told_not_to_think(name: str, switch: dict[str, Any]) -> None:
    for effort, wanted in (("none", switch), ("high", {"reasoning_effort": "high"})):
        given = {"reasoning_effort": effort}
        asked = call("chat-completion", name, parameters=given, base=provider(name).base, model="m")
        body = play(flow_for(name, "chat-completion")(asked), reply(ANSWERS[name])).body
        assert {key: value for key, value in body.items() if key not in {"messages", "model", "stream"}} == wanted
