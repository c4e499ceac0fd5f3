"""The emulator's TGI, TEI and hf-inference dialects, and the Hub's lookups."""

from __future__ import annotations

from typing import Any

import pytest
from support.emulator_client import client, events, unary

TGI = {"inputs": "a b", "parameters": {"max_new_tokens": 3, "details": True}}


def test_a_list_at_the_root_and_an_object_at_generate(headwater_emulator: str) -> None:
    (listed,) = unary(headwater_emulator, "/", TGI).raise_for_status().json()
    plain = unary(headwater_emulator, "/generate", TGI).raise_for_status().json()
    (hosted,) = unary(headwater_emulator, "/hf-inference/models/org/base", TGI).raise_for_status().json()
    assert listed == plain == hosted
    assert plain["generated_text"] == " a b a"
    assert plain["details"]["finish_reason"] == "length" and plain["details"]["generated_tokens"] == 3
    assert [token["text"] for token in plain["details"]["tokens"]] == [" a", " b", " a"]


@pytest.mark.parametrize(
    ("parameters", "text", "finish"),
    [
        ({}, " a b" * 8, "eos_token"),
        ({"stop": ["b"]}, " a b", "stop_sequence"),
        ({"max_new_tokens": 1, "return_full_text": True}, "a b a", "length"),
    ],
)
def test_why_a_text_ends(headwater_emulator: str, parameters: dict[str, Any], text: str, finish: str) -> None:
    body = {"inputs": "a b", "parameters": parameters | {"details": True}}
    answer = unary(headwater_emulator, "/generate", body).json()
    assert answer["generated_text"] == text and answer["details"]["finish_reason"] == finish
    assert answer["details"]["tokens"][-1]["special"] is (finish == "eos_token")


def test_a_stream_of_tokens(headwater_emulator: str) -> None:
    answer = unary(headwater_emulator, "/models/m", TGI | {"stream": True}).raise_for_status()
    assert answer.text.startswith('data:{"index":1,')
    *steps, last = events(answer.text)
    assert all(step["generated_text"] is None and step["details"] is None for step in steps)
    assert last["generated_text"] == "".join(step["token"]["text"] for step in [*steps, last]) == " a b a"
    assert last["details"] == {
        "finish_reason": "length",
        "generated_tokens": 3,
        "seed": None,
        "input_length": 2,
    }
    assert unary(headwater_emulator, "/generate_stream", TGI).text == answer.text


def test_more_details(headwater_emulator: str) -> None:
    parameters = {"decoder_input_details": True, "top_n_tokens": 2, "best_of": 2, "max_new_tokens": 2}
    body = {"inputs": "a b", "parameters": parameters}
    details = unary(headwater_emulator, "/generate", body).json()["details"]
    assert [token["text"] for token in details["prefill"]] == ["a", "b"] and details["prefill"][0]["logprob"] is None
    assert [len(top) for top in details["top_tokens"]] == [2, 2]
    assert [other["generated_text"] for other in details["best_of_sequences"]] == [" b a"]


def test_a_grammar_is_obeyed(headwater_emulator: str) -> None:
    schema = {"type": "object", "properties": {"x": {"type": "boolean"}}}
    for grammar in ({"type": "json", "value": schema}, {"type": "json_schema", "value": {"schema": schema}}):
        body = {"inputs": "a", "parameters": {"grammar": grammar}}
        assert unary(headwater_emulator, "/generate", body).json() == {"generated_text": '{"x":true}'}
    body = {"inputs": "a", "parameters": {"grammar": {"type": "regex", "value": "a+"}}}
    assert unary(headwater_emulator, "/generate", body).status_code == 422


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"inputs": 5},
        {"inputs": "a", "parameters": 5},
        {"inputs": "a", "parameters": {"max_new_tokens": "3"}},
        {"inputs": "a", "parameters": {"details": 1}},
    ],
)
def test_what_tgi_cannot_read_it_refuses_in_plain_text(headwater_emulator: str, body: Any) -> None:
    answer = unary(headwater_emulator, "/generate", body)
    assert answer.status_code == 422 and answer.text.startswith("Failed to deserialize the JSON body")
    assert answer.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    ("parameters", "word"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens"),
        ({"temperature": 0}, "temperature"),
        ({"top_p": 1}, "top_p"),
        ({"typical_p": 0}, "typical_p"),
        ({"stop": ["a"] * 5}, "stop"),
    ],
)
def test_what_tgi_rejects(headwater_emulator: str, parameters: Any, word: str) -> None:
    answer = unary(headwater_emulator, "/generate", {"inputs": "a", "parameters": parameters})
    assert answer.status_code == 422 and answer.json()["error_type"] == "validation"
    assert word in answer.json()["error"]


def test_tgi_rejects_empty_inputs_and_the_best_of_a_stream(headwater_emulator: str) -> None:
    assert unary(headwater_emulator, "/generate", {"inputs": ""}).json()["error_type"] == "validation"
    body = {"inputs": "a", "stream": True, "parameters": {"best_of": 2}}
    assert "streaming" in unary(headwater_emulator, "/generate", body).json()["error"]


def test_info_and_health(headwater_emulator: str) -> None:
    with client(headwater_emulator) as http:
        assert http.get("/info").json()["model_id"] == "emulator/chat"
        assert http.get("/models/org/name/info").json()["model_id"] == "org/name"
        assert http.get("/health").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/models/m/pipeline/feature-extraction",
        "/hf-inference/models/org/name/pipeline/feature-extraction",
        "/pipeline/feature-extraction/org/name",
        "/models/org/embed-small",
        "/embed",
        "/tei",
    ],
)
def test_feature_extraction(headwater_emulator: str, path: str) -> None:
    one = unary(headwater_emulator, path, {"inputs": "a"}).raise_for_status().json()
    two = unary(headwater_emulator, path, {"inputs": ["a", "b"]}).raise_for_status().json()
    assert len(one) == 1 and len(one[0]) == 16 and two[0] == one[0] != two[1]
    assert abs(sum(n * n for n in one[0]) - 1) < 1e-6


def test_feature_extractions_options(headwater_emulator: str) -> None:
    def vector(**fields: Any) -> list[float]:
        found: list[list[float]] = unary(headwater_emulator, "/tei", {"inputs": "a", **fields}).json()
        return found[0]

    assert abs(sum(n * n for n in vector(normalize=False)) - 1) > 1e-3
    assert vector(prompt_name="query") != vector()
    assert len(vector(dimensions=7)) == 7
    assert vector(truncate=True, truncation_direction="Left") == vector()


def test_the_root_answers_as_tei_what_only_tei_reads(headwater_emulator: str) -> None:
    vectors = unary(headwater_emulator, "/", {"inputs": ["a"]}).json()
    assert (
        len(vectors[0]) == 16 and unary(headwater_emulator, "/", {"inputs": "a", "normalize": True}).json() == vectors
    )


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"inputs": 5}, 422),
        ({"inputs": [5]}, 422),
        ({"inputs": []}, 400),
        ({"inputs": ""}, 400),
        ({"inputs": "a", "normalize": "yes"}, 422),
        ({"inputs": "a", "truncation_direction": "up"}, 422),
        ({"inputs": "a", "dimensions": 0}, 413),
    ],
)
def test_what_tei_refuses(headwater_emulator: str, body: Any, status: int) -> None:
    answer = unary(headwater_emulator, "/tei", body)
    assert answer.status_code == status and answer.text


def test_sentence_similarity(headwater_emulator: str) -> None:
    path = "/models/m/pipeline/sentence-similarity"
    body = {"inputs": {"source_sentence": "a", "sentences": ["a", "b"]}}
    same, other = unary(headwater_emulator, path, body).raise_for_status().json()
    assert same == 1 and -1 <= other < 1
    assert unary(headwater_emulator, path, {"inputs": {"sentences": ["a"]}}).status_code == 422
    assert unary(headwater_emulator, path, {"inputs": {"source_sentence": "a"}}).status_code == 422


@pytest.mark.parametrize(
    ("model", "task", "tag"),
    [
        ("meta-llama/Llama-3.3-70B-Instruct", "conversational", "text-generation"),
        ("org/name-base", "text-generation", "text-generation"),
        ("intfloat/multilingual-e5-large", "feature-extraction", "feature-extraction"),
    ],
)
def test_the_hub_says_who_serves_a_model(headwater_emulator: str, model: str, task: str, tag: str) -> None:
    with client(headwater_emulator) as http:
        answer = http.get(f"/api/models/{model}", params={"expand": "inferenceProviderMapping"}).json()
        card = http.get(f"/api/models/{model}").json()
    mapping = answer["inferenceProviderMapping"]
    assert mapping["together"] == {"status": "live", "providerId": f"together/{model.lower()}", "task": task}
    assert mapping["hf-inference"]["providerId"] == answer["id"] == model
    assert card["pipeline_tag"] == tag and ("conversational" in card["tags"]) is (task == "conversational")


def test_the_hubs_tasks_and_a_model_that_is_not_there(headwater_emulator: str) -> None:
    with client(headwater_emulator) as http:
        tasks = http.get("/api/tasks").json()
        gone = http.get("/api/models/org/missing")
    assert tasks["feature-extraction"]["widgetModels"] == ["emulator/embed"]
    assert gone.status_code == 404 and gone.headers["x-error-code"] == "RepoNotFound"
