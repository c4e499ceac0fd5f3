"""Reranking in every server's form: what is sent, what is read, and what is no ranking of the documents."""

from __future__ import annotations

from typing import Any

import pytest
from support.flow_player import Played, call, play, reply

from headwater.errors import DecodeError, InvalidParameterError, NotFoundError, ProviderError
from headwater.providers import flow_for, provider
from headwater.tasks.passages import rerank

DOCUMENTS = ["a hill", "a river", "a lake"]
GIVEN = {"query": "water", "documents": DOCUMENTS}
COHERE = {  # https://docs.cohere.com/reference/rerank
    "id": "07734bd2",
    "results": [{"index": 2, "relevance_score": 0.99}, {"index": 1, "relevance_score": 0.5}],
    "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}},
}
VLLM = {  # https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html#re-rank-api
    "id": "rerank-1",
    "model": "BAAI/bge-reranker-base",
    "usage": {"total_tokens": 56},
    "results": [
        {"index": 1, "document": {"text": "a river"}, "relevance_score": 0.9},
        {"index": 0, "document": {"text": "a hill"}, "relevance_score": 0.0005},
    ],
}
TOGETHER = {  # https://docs.together.ai/reference/rerank
    "object": "rerank",
    "id": "9dfa1a09",
    "model": "Salesforce/Llama-Rank-v1",
    "results": [{"index": 0, "relevance_score": 0.29, "document": {"text": '{"name":"a hill"}'}}],
    "usage": {"prompt_tokens": 1837, "completion_tokens": 0, "total_tokens": 1837},
}
FIREWORKS = {  # https://docs.fireworks.ai/api-reference/rerank-documents
    "object": "list",
    "model": "fireworks/qwen3-reranker-8b",
    "data": [{"index": 1, "relevance_score": 0.9, "document": "a river"}],
    "usage": {"prompt_tokens": 5, "total_tokens": 5, "completion_tokens": 0},
}
LLAMACPP = {  # https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md, which gives logits
    "model": "m",
    "object": "list",
    "usage": {"prompt_tokens": 9, "total_tokens": 9},
    "results": [{"index": 0, "relevance_score": -11.4}, {"index": 1, "relevance_score": 2.5}],
}
SGLANG = [{"score": 0.8, "document": "a lake", "index": 2, "meta_info": {"prompt_tokens": 3}}]
TEI = [{"index": 1, "score": 0.97, "text": "a river"}, {"index": 0, "score": 0.02, "text": "a hill"}]


def ranked(name: str, answer: Any, given: dict[str, Any] = GIVEN, **facts: Any) -> Played:
    asked = call("rerank", name, base=provider(name).base, model=facts.pop("model", "m"), parameters=given, **facts)
    return play(flow_for(name, "rerank")(asked), reply(answer))


def at_url(url: str, *answers: Any, **given: Any) -> Played:
    asked = call("rerank", "url", url=url, base=url, parameters={**GIVEN, **given})
    return play(flow_for("url", "rerank")(asked), *answers)


@pytest.mark.parametrize(
    ("name", "url", "answer", "order", "documents"),
    [
        ("cohere", "https://api.cohere.com/v2/rerank", COHERE, [2, 1], [None, None]),
        ("jina", "https://api.jina.ai/v1/rerank", VLLM, [1, 0], ["a river", "a hill"]),
        ("together", "https://api.together.xyz/v1/rerank", TOGETHER, [0], ['{"name":"a hill"}']),
        ("fireworks-ai", "https://api.fireworks.ai/inference/v1/rerank", FIREWORKS, [1], ["a river"]),
        ("vllm", "http://127.0.0.1:8000/v1/rerank", VLLM, [1, 0], ["a river", "a hill"]),
        ("llamacpp", "http://127.0.0.1:8080/v1/rerank", LLAMACPP, [1, 0], [None, None]),
        ("sglang", "http://127.0.0.1:30000/v1/rerank", SGLANG, [2], ["a lake"]),
    ],
)
def test_a_documented_answer(name: str, url: str, answer: Any, order: list[int], documents: list[Any]) -> None:
    played = ranked(name, answer)
    assert (played.request.url, played.body) == (url, {"model": "m", **GIVEN})
    assert [result.index for result in played.result.results] == order
    assert [result.document for result in played.result.results] == documents
    assert played.result.raw == answer
    assert rerank.elements(played.result) == played.result.results


def test_what_is_told_beside_the_results() -> None:
    output = ranked("cohere", COHERE).result
    assert (output.id, output.usage.search_units, output.usage.total_tokens) == ("07734bd2", 1, None)
    assert output["meta"]["api_version"] == {"version": "2"}
    output = ranked("together", TOGETHER).result
    assert (output.model, output.usage.prompt_tokens) == ("Salesforce/Llama-Rank-v1", 1837)
    first = ranked("sglang", SGLANG).result.results[0]
    assert first["meta_info"] == {"prompt_tokens": 3} and first.relevance_score == first.score == 0.8
    assert ranked("sglang", SGLANG).result.usage is None


@pytest.mark.parametrize(
    ("name", "given", "sent", "warned"),
    [
        ("cohere", {"top_n": 1, "return_documents": True}, {"top_n": 1}, None),
        ("cohere", {"max_tokens_per_doc": 9, "raw_scores": True}, {"max_tokens_per_doc": 9}, "raw_scores"),
        ("jina", {"return_documents": False, "top_n": 2}, {"return_documents": False, "top_n": 2}, None),
        ("together", {"max_tokens_per_doc": 9, "raw_scores": True}, {}, "max_tokens_per_doc, raw_scores"),
        ("vllm", {"max_tokens_per_doc": 9}, {"max_tokens_per_doc": 9}, None),
    ],
)
def test_each_takes_its_own_parameters(name: str, given: dict[str, Any], sent: Any, warned: str | None) -> None:
    answer = [{"index": 0, "score": 1}]
    if warned is None:
        played = ranked(name, answer, {**GIVEN, **given})
    else:
        with pytest.warns(UserWarning, match=f"{name} takes no {warned} for rerank"):
            played = ranked(name, answer, {**GIVEN, **given})
    assert played.body == {"model": "m", **GIVEN, **sent}


def test_further_fields_go_along() -> None:
    played = ranked("together", TOGETHER, extra={"rank_fields": ["name"], "model": "other"})
    assert played.body == {"model": "other", **GIVEN, "rank_fields": ["name"]}


def test_the_best_come_first_and_no_more_than_were_asked_for() -> None:
    answer = [{"index": 0, "score": 0.1}, {"index": 2, "score": 0.3}, {"index": 1, "score": 0.3}]
    output = ranked("vllm", answer).result
    assert [(result.index, result.score) for result in output.results] == [(2, 0.3), (1, 0.3), (0, 0.1)]
    output = ranked("vllm", answer, {**GIVEN, "top_n": 2}).result
    assert [result.index for result in output.results] == [2, 1] and output.raw == answer


def test_documents_that_are_asked_for_are_there() -> None:
    """The caller's own, of a server that sends none back."""
    objects = [{"title": "a"}, {"title": "b"}]
    output = ranked("vllm", LLAMACPP, {**GIVEN, "documents": objects, "return_documents": True}).result
    assert [result.document for result in output.results] == [{"title": "b"}, {"title": "a"}]


def test_an_object_where_only_texts_are_ranked() -> None:
    played = ranked("cohere", COHERE, {**GIVEN, "documents": [{"text": "a"}, "b", "c"]})
    assert played.body["documents"] == ["a", "b", "c"]
    with pytest.raises(InvalidParameterError, match=r"cohere ranks texts alone, and documents\[1\] is an object"):
        ranked("cohere", COHERE, {**GIVEN, "documents": ["a", {"title": "b", "text": "c"}]})


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"results": [{"index": 3, "relevance_score": 1}]}, "document 3, and 3 were sent"),
        ({"results": [{"index": -1, "relevance_score": 1}]}, "document -1"),
        ({"results": [{"index": 1, "relevance_score": 1}, {"index": 1, "relevance_score": 0}]}, "document 1 twice"),
        ({"results": [{"index": 1}]}, "result 0 of the answer has no score"),
        ({"results": [{"index": 1, "relevance_score": None}]}, "has no score"),
        ([{"index": 0, "score": 1}, {"index": 1, "score": "high"}], "result 1 of the answer cannot be read"),
        (b'[{"index": 0, "score": NaN}]', "has no score"),
        ([{"score": 1}], "result 0 of the answer cannot be read: .*index"),
        ([{"index": None, "score": 1}], "cannot be read"),
        ([{"index": "one", "score": 1}], "cannot be read"),
        (["a"], "result 0"),
        ({"results": []}, "ranks none of 3 documents"),
        ([], "ranks none of 3 documents"),
        ({"id": "1"}, "no results"),
        ({"results": {"0": 1}}, "result 0 of the answer cannot be read"),
        ({"results": {"a": 1}}, "no results"),
        (b"[1, 2", "something else than this task's result"),
    ],
)
def test_what_is_no_ranking_of_the_documents(answer: Any, words: str) -> None:
    with pytest.raises(DecodeError, match=words) as caught:
        ranked("vllm", answer)
    assert caught.value.body


def test_an_error_in_place_of_the_results() -> None:
    with pytest.raises(ProviderError, match="no such model"):
        ranked("vllm", {"error": {"message": "no such model"}})


# at a URL


def test_a_server_with_cohere_s_form() -> None:
    played = at_url("http://h:1/v1", reply(VLLM), top_n=2)
    assert played.request.url == "http://h:1/v1/rerank" and played.body == {**GIVEN, "top_n": 2}
    assert at_url("http://h:1/v2/rerank", reply(VLLM)).request.url == "http://h:1/v2/rerank"


@pytest.mark.parametrize(
    ("url", "tei"), [("http://h:1", "http://h:1/rerank"), ("http://h/a?k=1", "http://h/a/rerank?k=1")]
)
@pytest.mark.parametrize("status", [404, 405])
def test_a_text_embeddings_inference_server(url: str, tei: str, status: int) -> None:
    played = at_url(url, reply(b"no", status), reply(TEI), top_n=1, return_documents=True, raw_scores=True)
    assert played.requests[0].url.partition("?")[0].endswith("/v1/rerank") and played.request.url == tei
    assert played.body == {"query": "water", "texts": DOCUMENTS, "return_text": True, "raw_scores": True}
    assert [(result.index, result.document) for result in played.result.results] == [(1, "a river")]


def test_its_own_route_is_asked_at_once() -> None:
    played = at_url("http://h:1/rerank", reply(TEI))
    assert len(played.requests) == 1 and "texts" in played.body


def test_a_route_that_is_missing_where_the_url_says_the_form() -> None:
    with pytest.raises(NotFoundError):
        at_url("http://h:1/v1", reply(b"no", 404))


def test_another_refusal_is_the_servers_word() -> None:
    with pytest.raises(ProviderError) as caught:
        at_url("http://h:1", reply(b"no", 422))
    assert caught.value.status == 422


# the declaration


@pytest.mark.parametrize(
    ("documents", "words"),
    [([], "documents"), (["a", 3], r"documents\[1\] is a int"), ("a", "documents"), ([None], r"documents\[0\]")],
)
def test_what_are_no_documents(documents: Any, words: str) -> None:
    with pytest.raises(InvalidParameterError, match=words):
        rerank.bind(("q", documents), {})


def test_a_model_is_asked_for_by_the_providers_own_name_with_its_own_key() -> None:
    """Hugging Face maps no models of rerankers; nothing is looked up but where its router takes the call."""
    played = ranked("together", TOGETHER, model=None, hub_id="Salesforce/Llama-Rank-v1")
    assert played.body["model"] == "Salesforce/Llama-Rank-v1" and not played.keys
