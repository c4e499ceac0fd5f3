"""Which provider serves which model: the Hub's mapping, recommended models, the router, and refusals that tell."""

from __future__ import annotations

from typing import Any

import pytest
from support.flow_player import Played, call, events, play, reply

from headwater import errors as e
from headwater.providers import flow_for

CHAT, FEATURES = "chat-completion", "feature-extraction"
ANSWER = {"choices": [{"message": {"content": "Ho"}}]}
LOOKUP = "https://huggingface.co/api/models/org/m?expand=inferenceProviderMapping"


def entry(name: str, status: str = "live", task: str = "conversational") -> dict[str, str]:
    return {"provider": name, "providerId": f"{name}-m", "status": status, "task": task}


def mapping(*entries: dict[str, str], listed: bool = True) -> Any:
    found = list(entries) if listed else {row["provider"]: {**row, "provider": ""} for row in entries}
    return reply({"_id": "1", "id": "org/m", "inferenceProviderMapping": found})


def ask(name: str = "together", task: str = CHAT, hub_id: str | None = "org/m", **facts: Any) -> Any:
    return flow_for(name, task)(call(task, name, hub_id=hub_id, **facts))


@pytest.mark.parametrize("listed", [True, False])
def test_a_model_is_looked_up_once_and_by_the_hubs_token(listed: bool) -> None:
    played = play(ask(), mapping(entry("groq"), entry("together"), listed=listed), reply(ANSWER))
    lookup = played.requests[0]
    assert (lookup.method, lookup.url, lookup.auth) == ("GET", LOOKUP, "hub")
    assert played.keys == [("mapping", "org/m")]
    assert played.body["model"] == "together-m"


def test_a_model_given_by_hand_is_not_looked_up() -> None:
    assert play(ask(model="mine"), reply(ANSWER)).body["model"] == "mine"
    assert play(ask("openai", hub_id="gpt-5"), reply(ANSWER)).body["model"] == "gpt-5"


def test_the_answer_is_streamed_after_the_lookup() -> None:
    chunk = {"choices": [{"delta": {"content": "Ho"}, "finish_reason": "stop"}]}
    played = play(ask(stream=True), mapping(entry("together")), events(chunk))
    assert played.result.choices[0].message.content == "Ho"


@pytest.mark.parametrize("status", ["staging", "error"])
def test_a_model_that_is_not_live_warns(status: str) -> None:
    with pytest.warns(UserWarning, match=f"status '{status}'"):
        play(ask(), mapping(entry("together", status)), reply(ANSWER))


def test_a_model_served_for_another_task() -> None:
    with pytest.raises(e.UnsupportedTaskError, match="for 'text-to-image', not for 'conversational'"):
        play(ask(), mapping(entry("together", task="text-to-image")))


@pytest.mark.parametrize("found", [None, {}, [], {"other": entry("x", task="text-to-image")}])
def test_a_model_that_nobody_serves(found: Any) -> None:
    with pytest.raises(e.UnsupportedModelError, match=r"no provider does.*model_mapping=\{'org/m': "):
        play(ask(), reply({"inferenceProviderMapping": found}))


def test_a_model_that_others_serve() -> None:
    with pytest.raises(e.UnsupportedModelError, match=r"together does not serve org/m .*these do: groq, novita. If"):
        play(ask(), mapping(entry("novita"), entry("groq"), entry("fal-ai", task="text-to-image")))


def test_a_model_that_the_hub_does_not_know() -> None:
    with pytest.raises(e.UnsupportedModelError, match=r"knows no model 'org/m'.*model_mapping=\{'org/m': 'org/m'\}"):
        play(ask(), reply({"error": "Repository not found"}, 404))


def test_a_hub_that_fails_says_so() -> None:
    with pytest.raises(e.ServerError):
        play(ask(), reply({}, 500))
    with pytest.raises(e.DecodeError):
        play(ask(), reply({"inferenceProviderMapping": [{"provider": "together"}]}))


def test_a_model_that_was_renamed_is_followed_on_the_hub_alone() -> None:
    there = "/api/models/org/new?expand=inferenceProviderMapping"
    played = play(ask(), reply(b"", 307, location=there), mapping(entry("together")), reply(ANSWER))
    assert played.requests[1].url == f"https://huggingface.co{there}"
    away = ["https://evil.example/api/models/org/m", "//evil.example/api/models/m", "/login", "", "/api/models/../../x"]
    for location in [
        *away,
        "https://huggingface.co.evil.example/api/models/m",
        "https://u@huggingface.co/api/models/m",
    ]:
        with pytest.raises(e.RedirectError):
            play(ask(), reply(b"", 307, location=location))
    with pytest.raises(e.RedirectError):
        play(ask(), reply(b"", 307, location=there), reply(b"", 307, location=there))


@pytest.mark.parametrize("suffix", ["fastest", "cheapest", "preferred", "together"])
def test_a_suffix_that_agrees_is_dropped(suffix: str) -> None:
    played = play(ask(hub_id=f"org/m:{suffix}"), mapping(entry("together")), reply(ANSWER))
    assert played.requests[0].url == LOOKUP


def test_a_suffix_that_names_another_provider_is_refused() -> None:
    with pytest.raises(e.InvalidParameterError, match="names the provider 'groq', and the call 'together'"):
        play(ask(hub_id="org/m:groq"))


@pytest.mark.parametrize("hub_id", ["../m", "org/m?x", "https://h/x"])
def test_no_id_moves_a_lookup(hub_id: str) -> None:
    with pytest.raises(e.InvalidParameterError):
        play(ask(hub_id=hub_id))


# hf-inference

HF = "https://router.huggingface.co/hf-inference"


def hf(task: str = CHAT, **facts: Any) -> Any:
    return ask("hf-inference", task, base=HF, **facts)


def test_hf_inference_takes_the_hubs_id() -> None:
    played = play(hf(hub_id="org/m:hf-inference"), reply(ANSWER))
    assert (played.request.url, played.body["model"]) == (f"{HF}/models/org/m/v1/chat/completions", "org/m")
    with pytest.raises(e.InvalidParameterError):
        play(hf(hub_id="../../x"))


@pytest.mark.parametrize(("task", "model"), [(CHAT, "chatty"), ("text-generation", "chatty"), (FEATURES, "vectorial")])
def test_a_recommended_model(task: str, model: str) -> None:
    tasks = {"text-generation": {"widgetModels": ["chatty", "b"], "x": 1}, FEATURES: {"widgetModels": ["vectorial"]}}
    answer = {CHAT: ANSWER, FEATURES: [[1]]}.get(task, {"generated_text": "Ho"})
    played = play(hf(task, hub_id=None), reply(tasks), reply(answer))
    first = played.requests[0]
    assert (first.url, first.auth) == ("https://huggingface.co/api/tasks", "none")
    assert f"/models/{model}" in played.request.url


@pytest.mark.parametrize("tasks", [{}, {"text-generation": {}}, {"text-generation": {"widgetModels": []}}])
def test_no_recommended_model(tasks: Any) -> None:
    with pytest.raises(e.MissingModelError, match="pass model="):
        play(hf(hub_id=None), reply(tasks))


@pytest.mark.parametrize(
    ("status", "words"),
    [(404, "Model org/m does not exist"), (400, "Model not supported by provider hf-inference"), (410, "no longer")],
)
def test_a_refused_model_is_told_with_who_serves_it(status: int, words: str) -> None:
    with pytest.raises(e.UnsupportedModelError, match=r"hf-inference does not serve org/m .*these do: groq") as caught:
        play(hf(), reply({"error": words}, status), mapping(entry("groq")))
    assert isinstance(caught.value.__cause__, e.ProviderError)


@pytest.mark.parametrize("second", [reply({}, 500), reply({}, 404), mapping(entry("hf-inference"))])
def test_a_lookup_that_does_not_help_leaves_the_refusal(second: Any) -> None:
    with pytest.raises(e.NotFoundError, match="does not exist"):
        play(hf(stream=True), reply({"error": "Model org/m does not exist"}, 404), second)


def test_another_refusal_asks_nobody() -> None:
    with pytest.raises(e.InvalidRequestError) as caught:
        play(hf(), reply({"error": "bad temperature"}, 400))
    played: Played = caught.value.__dict__["played"]
    assert len(played.requests) == 1


# auto


def auto(task: str = CHAT, **facts: Any) -> Any:
    return ask("auto", task, base="https://router.huggingface.co", **facts)


def test_the_router_gets_a_chats_model_with_its_suffix() -> None:
    played = play(auto(hub_id="org/m:cheapest"), reply(ANSWER))
    assert (played.request.url, played.body["model"]) == (
        "https://router.huggingface.co/v1/chat/completions",
        "org/m:cheapest",
    )


@pytest.mark.parametrize(
    ("hub_id", "url", "model"),
    [
        ("org/m", "https://router.huggingface.co/scaleway/v1/embeddings", "scaleway-m"),
        ("org/m:fastest", "https://router.huggingface.co/scaleway/v1/embeddings", "scaleway-m"),
        ("org/m:together", "https://router.huggingface.co/together/v1/embeddings", "together-m"),
        ("org/m:hf-inference", f"{HF}/models/org/m/pipeline/feature-extraction", None),
    ],
)
def test_other_tasks_go_to_the_first_provider_that_we_know_for_them(hub_id: str, url: str, model: str | None) -> None:
    names = ("unheard-of", "groq", "scaleway", "together", "hf-inference")
    entries = [entry("scaleway", task="fill-mask"), *(entry(name, task=FEATURES) for name in names)]
    answer = {"data": [{"embedding": [1]}]} if model else [[1]]
    played = play(auto(FEATURES, hub_id=hub_id), mapping(*entries), reply(answer))
    assert played.request.url == url and played.body.get("model") == model


def test_no_provider_for_another_task() -> None:
    with pytest.raises(e.UnsupportedModelError, match=r"auto does not serve org/m .*these do: unheard-of"):
        play(auto(FEATURES), mapping(entry("unheard-of", task=FEATURES)))
    with pytest.raises(e.UnsupportedModelError, match=r"novita does not serve org/m .*these do: together"):
        play(auto(FEATURES, hub_id="org/m:novita"), mapping(entry("together", task=FEATURES)))


def test_without_a_model_hf_inference_recommends_one() -> None:
    tasks = {"text-generation": {"widgetModels": ["chatty"]}}
    played = play(auto(hub_id=None), reply(tasks), reply(ANSWER))
    assert played.request.url == f"{HF}/models/chatty/v1/chat/completions"
    with pytest.raises(e.MissingModelError):
        play(auto("embeddings", hub_id=None))
