"""Every row: its URLs direct and routed, its auth; and the answers to names that are not there."""

from __future__ import annotations

from typing import Any

import pytest
from support.flow_player import call, play, reply

from headwater.errors import MissingModelError, UnknownProviderError, UnsupportedTaskError
from headwater.protocol.url import parse_url
from headwater.providers import PROVIDERS, flow_for, provider, registry
from headwater.providers.pipeline import AT_MODEL, AT_URL
from headwater.providers.registry import ROUTER, ROWS, SERVER

CHAT, TEXT, FEATURES, CREATE = "chat-completion", "text-generation", "feature-extraction", "embeddings"

URLS = [
    ("baseten", CHAT, "https://inference.baseten.co/v1/chat/completions"),
    ("cerebras", CHAT, "https://api.cerebras.ai/v1/chat/completions"),
    ("clarifai", CHAT, "https://api.clarifai.com/v2/ext/openai/v1/chat/completions"),
    ("cohere", CHAT, "https://api.cohere.com/compatibility/v1/chat/completions"),
    ("deepinfra", CHAT, "https://api.deepinfra.com/v1/openai/chat/completions"),
    ("deepinfra", TEXT, "https://api.deepinfra.com/v1/openai/completions"),
    ("deepinfra", FEATURES, "https://api.deepinfra.com/v1/openai/embeddings"),
    ("deepinfra", CREATE, "https://api.deepinfra.com/v1/openai/embeddings"),
    ("featherless-ai", CHAT, "https://api.featherless.ai/v1/chat/completions"),
    ("featherless-ai", TEXT, "https://api.featherless.ai/v1/completions"),
    ("fireworks-ai", CHAT, "https://api.fireworks.ai/inference/v1/chat/completions"),
    ("groq", CHAT, "https://api.groq.com/openai/v1/chat/completions"),
    ("groq", TEXT, "https://api.groq.com/openai/v1/chat/completions"),
    ("hyperbolic", CHAT, "https://api.hyperbolic.xyz/v1/chat/completions"),
    ("hyperbolic", TEXT, "https://api.hyperbolic.xyz/v1/chat/completions"),
    ("nebius", CHAT, "https://api.studio.nebius.ai/v1/chat/completions"),
    ("nebius", TEXT, "https://api.studio.nebius.ai/v1/completions"),
    ("nebius", FEATURES, "https://api.studio.nebius.ai/v1/embeddings"),
    ("nebius", CREATE, "https://api.studio.nebius.ai/v1/embeddings"),
    ("novita", CHAT, "https://api.novita.ai/v3/openai/chat/completions"),
    ("novita", TEXT, "https://api.novita.ai/v3/openai/completions"),
    ("nscale", CHAT, "https://inference.api.nscale.com/v1/chat/completions"),
    ("nvidia", CHAT, "https://integrate.api.nvidia.com/v1/chat/completions"),
    ("openai", CHAT, "https://api.openai.com/v1/chat/completions"),
    ("openai", TEXT, "https://api.openai.com/v1/completions"),
    ("openai", FEATURES, "https://api.openai.com/v1/embeddings"),
    ("openai", CREATE, "https://api.openai.com/v1/embeddings"),
    ("ovhcloud", CHAT, "https://oai.endpoints.kepler.ai.cloud.ovh.net/v1/chat/completions"),
    ("ovhcloud", TEXT, "https://oai.endpoints.kepler.ai.cloud.ovh.net/v1/completions"),
    ("publicai", CHAT, "https://api.publicai.co/v1/chat/completions"),
    ("sambanova", CHAT, "https://api.sambanova.ai/v1/chat/completions"),
    ("sambanova", FEATURES, "https://api.sambanova.ai/v1/embeddings"),
    ("sambanova", CREATE, "https://api.sambanova.ai/v1/embeddings"),
    ("scaleway", CHAT, "https://api.scaleway.ai/v1/chat/completions"),
    ("scaleway", TEXT, "https://api.scaleway.ai/v1/completions"),
    ("scaleway", FEATURES, "https://api.scaleway.ai/v1/embeddings"),
    ("scaleway", CREATE, "https://api.scaleway.ai/v1/embeddings"),
    ("together", CHAT, "https://api.together.xyz/v1/chat/completions"),
    ("together", TEXT, "https://api.together.xyz/v1/completions"),
    ("together", FEATURES, "https://api.together.xyz/v1/embeddings"),
    ("together", CREATE, "https://api.together.xyz/v1/embeddings"),
    ("zai-org", CHAT, "https://api.z.ai/api/paas/v4/chat/completions"),
    ("hf-inference", CHAT, "https://router.huggingface.co/hf-inference/models/org/m/v1/chat/completions"),
    ("hf-inference", TEXT, "https://router.huggingface.co/hf-inference/models/org/m"),
    ("hf-inference", FEATURES, f"{ROUTER}/hf-inference/models/org/m/pipeline/feature-extraction"),
    ("auto", CHAT, "https://router.huggingface.co/v1/chat/completions"),
]

SENT = {
    "black-forest-labs": ("", "x-key"),
    "clarifai": ("Key", "authorization"),
    "fal-ai": ("Key", "authorization"),
}
"""How a provider's own key is sent, where it is not as a bearer token."""

CHAT_ANSWER = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Ho"}, "finish_reason": "stop"}]}
VECTORS = {"data": [{"embedding": [1.0, 2.0], "index": 0}]}


def answer_of(name: str, task: str) -> Any:
    if task == CHAT or (name in {"groq", "hyperbolic"} and task == TEXT):
        return CHAT_ANSWER
    if task == TEXT:
        return {"generated_text": "Ho"} if name == "hf-inference" else {"choices": [{"text": "Ho"}]}
    return [[1.0, 2.0]] if name == "hf-inference" else VECTORS


def test_the_table_is_whole() -> None:
    """Rows of flows and rows of this table, but for auto's tasks that go on as another's."""
    there = {(name, task) for name, row in PROVIDERS.items() for task in row.tasks if name != "auto"}
    there -= {(name, task) for name, row in registry.TASKS.items() for task in row}  # in test_media_requests.py
    there -= {("hf-inference", task) for task in AT_MODEL}  # in test_hf_tasks.py
    there -= {(name, task) for name in ("fal-ai", "replicate") for task in PROVIDERS[name].tasks}  # in theirs
    assert there | {("auto", CHAT)} == {(name, task) for name, task, _ in URLS}


@pytest.mark.parametrize(("name", "task", "url"), URLS)
@pytest.mark.parametrize("routed", [False, True])
def test_every_task_goes_to_its_url(name: str, task: str, url: str, routed: bool) -> None:
    row = provider(name)
    base = row.base
    if routed and name not in {"auto", "hf-inference"}:
        base = f"{ROUTER}/{name}"
        url = base + url.removeprefix(row.base)
    played = play(
        flow_for(name, task)(call(task, name, base=base, model="org/m", routed=routed)),
        reply(answer_of(name, task)),
    )
    request = played.request
    assert (request.method, request.url, request.auth, request.resend) == ("POST", url, "provider", True)
    assert request.headers == {"content-type": "application/json", "accept": "application/json"}
    if name != "hf-inference" or task == CHAT:
        assert next(iter(played.body)) == "model" and played.body["model"] == "org/m"


@pytest.mark.parametrize("name", [row.name for row in ROWS])
def test_a_row_is_sound(name: str) -> None:
    row = provider(name)
    assert parse_url(row.base).scheme == "https" and not row.base.endswith("/")
    assert row.keys and all(key.isupper() for key in row.keys)
    assert row.name == name and row.tasks
    assert row.maps == (name not in {"openai", "hf-inference"})
    assert row.routed == (name != "openai")
    assert (row.scheme, row.header) == SENT.get(name, ("Bearer", "authorization"))


def test_who_needs_no_key_and_who_sends_more_headers() -> None:
    assert [row.name for row in PROVIDERS.values() if not row.key_required] == ["hf-inference"]
    assert [row.name for row in PROVIDERS.values() if row.headers] == ["zai-org"]
    assert provider("zai-org").headers == {"accept-language": "en-US,en", "x-source-channel": "hugging_face"}
    assert set(SERVER.tasks) == {CHAT, TEXT, FEATURES, CREATE, *AT_URL} and not SERVER.key_required


def test_a_name_that_is_none_gets_the_nearest_and_all() -> None:
    with pytest.raises(UnknownProviderError, match=r"'togehter'; did you mean 'together'\? There are auto, base"):
        provider("togehter")
    with pytest.raises(UnknownProviderError, match=r"'q'\? There are"):
        flow_for("q", CHAT)


def test_a_task_that_is_not_done_says_who_does_it() -> None:
    with pytest.raises(UnsupportedTaskError, match="cohere does not do feature-extraction; these do: auto, deepinfra"):
        flow_for("cohere", FEATURES)
    with pytest.raises(UnsupportedTaskError, match="a server's own URL does not do make-tea; no provider does"):
        flow_for("url", "make-tea")


@pytest.mark.parametrize(("name", "task"), [row[:2] for row in URLS if row[0] not in {"auto", "hf-inference"}])
def test_no_model_is_told_before_anything_is_sent(name: str, task: str) -> None:
    with pytest.raises(MissingModelError, match=f"{name} needs a model"):
        play(flow_for(name, task)(call(task, name)))
