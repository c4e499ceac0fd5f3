"""The rows: what follows from each for its URLs and its key, what the vendors document, and names that are not there.

A new row is tested by what every row must do, and needs no line here.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from support.flow_player import Played, call, play, reply

from headwater.auth.credentials import BEARER, KeyHeader
from headwater.auth.hosts import ROUTER_URL, is_loopback
from headwater.errors import MissingModelError, UnknownProviderError, UnsupportedTaskError
from headwater.protocol.url import parse_url
from headwater.providers import flow_for, provider
from headwater.providers.pipeline import AT_URL
from headwater.providers.registry import ROWS, SERVER

CHAT, TEXT, FEATURES, CREATE = "chat-completion", "text-generation", "feature-extraction", "embeddings"
DOCUMENTED = {
    "baseten": "https://inference.baseten.co/v1/chat/completions",
    "cerebras": "https://api.cerebras.ai/v1/chat/completions",
    "clarifai": "https://api.clarifai.com/v2/ext/openai/v1/chat/completions",
    "cohere": "https://api.cohere.com/compatibility/v1/chat/completions",
    "deepinfra": "https://api.deepinfra.com/v1/openai/chat/completions",
    "featherless-ai": "https://api.featherless.ai/v1/chat/completions",
    "fireworks-ai": "https://api.fireworks.ai/inference/v1/chat/completions",
    "groq": "https://api.groq.com/openai/v1/chat/completions",
    "hf-inference": "https://router.huggingface.co/hf-inference/models/org/m/v1/chat/completions",
    "hyperbolic": "https://api.hyperbolic.xyz/v1/chat/completions",
    "nebius": "https://api.studio.nebius.ai/v1/chat/completions",
    "novita": "https://api.novita.ai/v3/openai/chat/completions",
    "nscale": "https://inference.api.nscale.com/v1/chat/completions",
    "nvidia": "https://integrate.api.nvidia.com/v1/chat/completions",
    "openai": "https://api.openai.com/v1/chat/completions",
    "ovhcloud": "https://oai.endpoints.kepler.ai.cloud.ovh.net/v1/chat/completions",
    "publicai": "https://api.publicai.co/v1/chat/completions",
    "sambanova": "https://api.sambanova.ai/v1/chat/completions",
    "scaleway": "https://api.scaleway.ai/v1/chat/completions",
    "together": "https://api.together.xyz/v1/chat/completions",
    "zai-org": "https://api.z.ai/api/paas/v4/chat/completions",
    "auto": "https://router.huggingface.co/v1/chat/completions",
    "google": "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions",
    "mistral": "https://api.mistral.ai/v1/chat/completions",
    "deepseek": "https://api.deepseek.com/chat/completions",
    "xai": "https://api.x.ai/v1/chat/completions",
    "openrouter": "https://openrouter.ai/api/v1/chat/completions",
    "moonshot": "https://api.moonshot.ai/v1/chat/completions",
    "perplexity": "https://api.perplexity.ai/chat/completions",
    "minimax": "https://api.minimax.io/v1/chat/completions",
    "dashscope": "https://dashscope-intl.aliyuncs.com/compatible-mode/v1/chat/completions",
    "github": "https://models.github.ai/inference/chat/completions",
    "vercel": "https://ai-gateway.vercel.sh/v1/chat/completions",
    "ollama": "http://127.0.0.1:11434/v1/chat/completions",
    "lmstudio": "http://127.0.0.1:1234/v1/chat/completions",
    "llamacpp": "http://127.0.0.1:8080/v1/chat/completions",
    "vllm": "http://127.0.0.1:8000/v1/chat/completions",
    "sglang": "http://127.0.0.1:30000/v1/chat/completions",
    "tgi": "http://127.0.0.1:8080/v1/chat/completions",
    "azure": "https://RESOURCE.openai.azure.com/openai/v1/chat/completions",
    "cloudflare": "https://api.cloudflare.com/client/v4/accounts/ACCOUNT/ai/v1/chat/completions",
    "databricks": "https://WORKSPACE.cloud.databricks.com/serving-endpoints/chat/completions",
}
"""Where a chat goes by the vendors' documentation, which the rows link to."""
RESPONSES_AT = {
    "auto": "https://router.huggingface.co/v1/responses",
    "azure": "https://RESOURCE.openai.azure.com/openai/v1/responses",
    "cloudflare": "https://api.cloudflare.com/client/v4/accounts/ACCOUNT/ai/v1/responses",
    "dashscope": "https://dashscope-intl.aliyuncs.com/compatible-mode/v1/responses",
    "databricks": "https://WORKSPACE.cloud.databricks.com/serving-endpoints/responses",
    "deepseek": "https://api.deepseek.com/responses",
    "llamacpp": "http://127.0.0.1:8080/v1/responses",
    "lmstudio": "http://127.0.0.1:1234/v1/responses",
    "minimax": "https://api.minimax.io/v1/responses",
    "ollama": "http://127.0.0.1:11434/v1/responses",
    "openai": "https://api.openai.com/v1/responses",
    "openrouter": "https://openrouter.ai/api/v1/responses",
    "perplexity": "https://api.perplexity.ai/v1/responses",
    "sglang": "http://127.0.0.1:30000/v1/responses",
    "vercel": "https://ai-gateway.vercel.sh/v1/responses",
    "vllm": "http://127.0.0.1:8000/v1/responses",
    "xai": "https://api.x.ai/v1/responses",
}
"""Who has OpenAI's Responses, and where, by the same."""
ROUTES = {
    CHAT: {"chat/completions"},
    TEXT: {"completions", "chat/completions"},
    FEATURES: {"embeddings"},
    CREATE: {"embeddings"},
}
"""The end of a URL in OpenAI's dialect; a prompt may go as a chat."""
KEY_HEADERS = {
    "anthropic": KeyHeader("x-api-key", ""),
    "azure": KeyHeader("api-key", ""),
    "black-forest-labs": KeyHeader("x-key", ""),
    "clarifai": KeyHeader("authorization", "Key"),
    "fal-ai": KeyHeader("authorization", "Key"),
    "together": KeyHeader("authorization", "Bearer"),
}
"""How a provider's own key is sent by the vendors' documentation."""

ANSWER = {
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Ho"}, "text": "Ho", "finish_reason": "stop"}],
    "data": [{"embedding": [1.0, 2.0], "index": 0}],
}
IN_OPENAI = [
    (row.name, task)
    for row in map(provider, ROWS)
    if row.name not in {"anthropic", "hf-inference"}
    for task in ROUTES
    if task in row.tasks and (row.name, task) != ("tgi", TEXT)  # which is its own dialect's
]
AT_HF_INFERENCE = [
    (TEXT, "", {"generated_text": "Ho"}),
    (FEATURES, "/pipeline/feature-extraction", [[1.0, 2.0]]),
]


def asked(name: str, task: str, base: str, answer: Any = ANSWER, **facts: Any) -> Played:
    """What the provider's flow asks for at this base, and is answered with."""
    return play(flow_for(name, task)(call(task, name, base=base, model="org/m", **facts)), reply(answer))


def check_post(played: Played, url: str) -> None:
    request = played.request
    assert (request.method, request.url, request.auth, request.resend) == ("POST", url, "provider", True)
    assert request.headers == {"content-type": "application/json", "accept": "application/json"}


@pytest.mark.parametrize("name", DOCUMENTED)
def test_a_chat_goes_where_the_vendor_documents_it(name: str) -> None:
    check_post(asked(name, CHAT, provider(name).base), DOCUMENTED[name])


@pytest.mark.parametrize("name", RESPONSES_AT)
def test_a_response_goes_where_the_vendor_documents_it(name: str) -> None:
    answer = {"object": "response", "status": "completed", "output": []}
    check_post(asked(name, "responses", provider(name).base, answer), RESPONSES_AT[name])


def test_nobody_else_has_responses() -> None:
    rows = [provider(name) for name in ROWS]
    assert {"auto", *(row.name for row in rows if "responses" in row.tasks)} == RESPONSES_AT.keys()
    assert {row.name for row in rows if "responses" in row.resume} == RESPONSES_AT.keys() - {"auto"}


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("/openai?api-version=2025-04-01-preview", "/openai/responses?api-version=2025-04-01-preview"),
        ("/openai/deployments/d?api-version=1", "/openai/responses?api-version=1"),
    ],
)
def test_azures_responses_are_the_resources(base: str, url: str) -> None:
    answer = {"object": "response", "status": "completed", "output": []}
    check_post(
        asked("azure", "responses", f"https://r.openai.azure.com{base}", answer), f"https://r.openai.azure.com{url}"
    )


@pytest.mark.parametrize(("task", "route", "answer"), AT_HF_INFERENCE)
def test_hf_inference_has_a_url_for_each_model(task: str, route: str, answer: Any) -> None:
    base = provider("hf-inference").base
    check_post(asked("hf-inference", task, base, answer), f"{ROUTER_URL}/hf-inference/models/org/m{route}")


@pytest.mark.parametrize(("name", "task"), IN_OPENAI)
def test_every_task_of_a_row_is_at_one_prefix(name: str, task: str) -> None:
    """Which is that of its chats, where those are documented; and at the router the same below its name."""
    row = provider(name)
    played = asked(name, task, row.base)
    prefix = DOCUMENTED[name].removesuffix("/chat/completions") if name in DOCUMENTED else row.base + row.prefix
    assert played.request.url.removeprefix(f"{prefix}/") in ROUTES[task]
    check_post(played, played.request.url)
    assert next(iter(played.body)) == "model" and played.body["model"] == "org/m"
    if row.place is not None:  # it is at no place of the router's
        return
    routed = asked(name, task, f"{ROUTER_URL}/{name}", routed=True)
    check_post(routed, f"{ROUTER_URL}/{name}{played.request.url.removeprefix(row.base)}")


@pytest.mark.parametrize("name", ROWS)
def test_a_row_is_sound(name: str) -> None:
    row = provider(name)
    base = parse_url(row.base)
    assert base.scheme == "https" or (row.keyless and is_loopback(base.host))
    assert not row.base.endswith("/") and not row.prefix.endswith("/") and row.prefix[:1] in {"", "/"}
    assert bool(row.keys) is not row.keyless and all(key.isupper() for key in row.keys)
    assert (row.place is not None) is bool(re.search(r"[A-Z]{5}", row.base))
    assert row.name == name and row.tasks and row.resume.keys() <= row.tasks.keys()
    assert row.key_header.name == row.key_header.name.lower()


@pytest.mark.parametrize("name", KEY_HEADERS)
def test_how_a_key_is_sent(name: str) -> None:
    assert provider(name).key_header == KEY_HEADERS[name]


def test_what_is_special_about_some() -> None:
    assert not provider("openai").routed and provider("together").routed and provider("hf-inference").routed
    assert provider("zai-org").headers == {"accept-language": "en-US,en", "x-source-channel": "hugging_face"}
    assert provider("together").headers == {} and provider("together").key_header == BEARER
    assert set(SERVER.tasks) == {
        *(CHAT, TEXT, FEATURES, CREATE, "audio-translation", "edit-image", "moderation", "rerank", "responses"),
        *("count-tokens", "messages"),
        *AT_URL,
    }


def test_a_name_that_is_none_gets_the_nearest_and_all() -> None:
    with pytest.raises(
        UnknownProviderError, match=r"'togehter'; did you mean 'together'\? There are .*auto, azure, base"
    ):
        provider("togehter")
    with pytest.raises(UnknownProviderError, match=r"'q'; there are"):
        flow_for("q", CHAT)


def test_a_task_that_is_not_done_says_who_does_it() -> None:
    with pytest.raises(
        UnsupportedTaskError, match=r"cohere does not do feature-extraction; these do: auto, .*deepinfra"
    ):
        flow_for("cohere", FEATURES)
    with pytest.raises(UnsupportedTaskError, match="a server's own URL does not do make-tea; no provider does"):
        flow_for("url", "make-tea")


@pytest.mark.parametrize(("name", "task"), IN_OPENAI)
def test_no_model_is_told_before_anything_is_sent(name: str, task: str) -> None:
    with pytest.raises(MissingModelError, match=f"{name} needs a model"):
        play(flow_for(name, task)(call(task, name)))
