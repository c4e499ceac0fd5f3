"""Moderation in OpenAI's dialect and Mistral's: what is sent, what is read, and what is no answer."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from support.flow_player import Answer, Played, call, play, reply

from headwater.errors import DecodeError, InvalidParameterError
from headwater.protocol.flow import Loaded
from headwater.providers import flow_for, provider
from headwater.tasks.moderation import create_moderation

FOUND = {  # https://platform.openai.com/docs/api-reference/moderations/object
    "flagged": True,
    "categories": {"hate": False, "hate/threatening": True, "self-harm": False, "illicit": None},
    "category_scores": {"hate": 0.1, "hate/threatening": 0.98, "self-harm": 1e-07},
    "category_applied_input_types": {"hate": ["text"], "hate/threatening": ["text", "image"]},
    "severity": "high",
}
OPENAI = {"id": "modr-1", "model": "omni-moderation-latest", "results": [FOUND], "object": "moderation"}
MISTRAL = {  # https://docs.mistral.ai/capabilities/guardrailing, which says no `flagged`
    "id": "4d71ae51",
    "model": "mistral-moderation-latest",
    "results": [
        {"categories": {"sexual": False, "pii": False}, "category_scores": {"sexual": 9.6e-05, "pii": 0.001}},
        {"categories": {"sexual": False, "pii": True}, "category_scores": {"sexual": 9.6e-05, "pii": 0.99}},
    ],
}


def moderated(name: str, given: Any, *answers: Answer, **facts: Any) -> Played:
    asked = call("moderation", name, base=provider(name).base, parameters={"input": given}, **facts)
    return play(flow_for(name, "moderation")(asked), *answers)


def test_openais_answer() -> None:
    played = moderated("openai", "a threat", reply(OPENAI))
    assert played.request.url == "https://api.openai.com/v1/moderations" and played.body == {"input": "a threat"}
    output = played.result
    (found,) = output.results
    assert (output.id, output.model, output["object"]) == ("modr-1", "omni-moderation-latest", "moderation")
    assert found.flagged and found.categories["hate/threatening"] and found.categories.hate_threatening
    assert found.category_scores.self_harm == 1e-07 and "illicit" not in found.categories
    assert found.category_applied_input_types["hate/threatening"] == ["text", "image"]
    assert found.raw == FOUND and found["severity"] == "high" and found.to_dict()["severity"] == "high"
    assert create_moderation.elements(output) == [found]


def test_mistrals_answer() -> None:
    played = moderated("mistral", ["nice", "my number is"], reply(MISTRAL))
    assert played.request.url == "https://api.mistral.ai/v1/moderations"
    assert played.body == {"model": "mistral-moderation-latest", "input": ["nice", "my number is"]}
    assert [found.flagged for found in played.result.results] == [False, True]
    assert moderated("mistral", "a", reply({"results": MISTRAL["results"][:1]}), model="other").body["model"] == "other"


def test_texts_and_images_are_looked_at_together() -> None:
    image = Loaded(mime_type="image/png", data=b"png")
    url = Loaded(mime_type="image/png", url="https://h/a.png")
    part = {"type": "image_url", "image_url": {"url": "https://h/b.png"}}
    played = moderated("openai", ["look", b"png", part, b"https://h/a.png"], image, url, reply(OPENAI), model="m")
    assert played.body == {
        "model": "m",
        "input": [
            {"type": "text", "text": "look"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,cG5n"}},
            part,
            {"type": "image_url", "image_url": {"url": "https://h/a.png"}},
        ],
    }


def test_a_server_of_ones_own() -> None:
    asked = call("moderation", "url", url="http://h:1/v1", base="http://h:1/v1", parameters={"input": "a"})
    played = play(flow_for("url", "moderation")(asked), reply(OPENAI))
    assert played.request.url == "http://h:1/v1/moderations" and played.body == {"input": "a"}


@pytest.mark.parametrize(
    "given", ["a", ["a", "b", "c"], [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]]
)
def test_another_number_of_results(given: Any) -> None:
    with pytest.raises(DecodeError, match="inputs were sent, and 2 results came") as caught:
        moderated("openai", given, reply(MISTRAL))
    assert caught.value.body


@pytest.mark.parametrize(
    "result",
    [{}, {"category_scores": {"hate": 1.0}}, {"flagged": "maybe"}, {"categories": {"hate": "odd"}}, "hate"],
)
def test_a_result_that_says_nothing_is_no_all_clear(result: Any) -> None:
    with pytest.raises(DecodeError):
        moderated("openai", "a", reply({"results": [result]}))


def test_the_servers_word_is_over_the_categories() -> None:
    """A server may have thresholds of its own."""
    result = {"flagged": False, "categories": {"hate": True}}
    assert not moderated("openai", "a", reply({"results": [result]})).result.results[0].flagged
    assert moderated("openai", "a", reply({"results": [{"flagged": True}]})).result.results[0].categories == {}


def test_mistral_looks_at_texts_alone() -> None:
    with pytest.raises(InvalidParameterError, match="mistral moderates texts alone"):
        moderated("mistral", ["a", {"type": "text", "text": "b"}])


@pytest.mark.parametrize(("given", "words"), [([], "input"), (["a", 3], r"input\[1\]"), (3, "input")])
def test_what_is_no_input(given: Any, words: str) -> None:
    with pytest.raises(InvalidParameterError, match=words):
        create_moderation.bind((given,), {})


def test_categories_are_a_dict_that_can_be_kept() -> None:
    found = moderated("openai", "a threat", reply(OPENAI)).result.results[0]
    for again in (copy.deepcopy(found), pickle.loads(pickle.dumps(found)), copy.copy(found)):
        assert again.categories == found.categories and again.categories.hate_threatening is True
    with pytest.raises(AttributeError, match="no category 'sexual'"):
        _ = found.categories.sexual
