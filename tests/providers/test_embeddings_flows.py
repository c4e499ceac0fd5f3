"""Embeddings in TEI's dialect and OpenAI's: bodies, shapes, base64, and answers that are none."""

from __future__ import annotations

import base64
import struct
from typing import Any

import pytest
from support.flow_player import call, play, reply

from headwater import errors as e
from headwater.providers import flow_for
from headwater.tasks.embeddings import CreateEmbeddingResponse

FEATURES = "feature-extraction"
BASE64 = base64.b64encode(struct.pack("<2f", 1.0, 2.0)).decode()


def ask(name: str = "together", task: str = FEATURES, **facts: Any) -> Any:
    facts.setdefault("model", "m")
    return flow_for(name, task)(call(task, name, **facts))


def vectors(result: Any) -> Any:
    return result.tolist() if hasattr(result, "tolist") else result


def test_the_bodies_of_both_dialects() -> None:
    given = {"normalize": True, "dimensions": 2}
    rows = {"data": [{"embedding": [1, 2], "index": 0}]}
    tei = play(ask("hf-inference", parameters=given, extra={"x": 1}), reply([[1, 2]]))
    assert tei.body == {"inputs": ["Hi"], "normalize": True, "dimensions": 2, "x": 1}
    openai = play(ask(parameters=given, extra={"x": 1, "model": "no"}), reply(rows))
    assert openai.body == {"model": "no", "input": ["Hi"], "normalize": True, "dimensions": 2, "x": 1}
    nebius = play(ask("nebius", parameters=given), reply(rows))
    assert nebius.body == {"model": "m", "input": ["Hi"], "dimensions": 2}


@pytest.mark.parametrize("shape", [[1.0, 2.0], [[1.0, 2.0]], [[[1.0, 2.0], [3.0, 4.0]]]])
def test_nested_lists_keep_their_shape(shape: Any) -> None:
    assert vectors(play(ask("hf-inference"), reply(shape)).result) == shape


def test_rows_come_in_the_order_of_their_index_as_numbers_or_base64() -> None:
    rows = [{"embedding": [3, 4], "index": 1}, {"embedding": [1, 2], "index": 0}]
    assert vectors(play(ask(parameters={"text": ["a", "b"]}), reply({"data": rows})).result) == [[1, 2], [3, 4]]
    played = play(ask(parameters={"encoding_format": "base64"}), reply({"data": [{"embedding": BASE64, "index": 0}]}))
    assert played.body["encoding_format"] == "base64" and vectors(played.result) == [[1, 2]]


def test_openais_own_spelling_is_answered_as_it_is() -> None:
    answer = {"data": [{"embedding": BASE64, "index": 0}], "model": "m", "usage": {"prompt_tokens": 1}}
    played = play(ask(task="embeddings", parameters={"encoding_format": "base64"}), reply(answer))
    assert type(played.result) is CreateEmbeddingResponse and played.result.raw == answer
    assert played.body == {"model": "m", "input": ["Hi"], "encoding_format": "base64"}
    url = play(ask("url", "embeddings", url="http://h:1", model=None), reply(answer))
    assert (url.request.url, url.body["model"]) == ("http://h:1/v1/embeddings", "dummy")


def test_a_servers_own_url() -> None:
    rows = reply({"data": [{"embedding": [1, 2]}]})
    assert play(ask("url", url="http://h/v1"), rows).request.url == "http://h/v1/embeddings"
    assert play(ask("url", url="http://h/embed"), reply([[1, 2]])).request.url == "http://h/embed"
    played = play(ask("url", url="http://h"), reply({}, 404), rows)
    assert [request.url for request in played.requests] == ["http://h", "http://h/v1/embeddings"]
    with pytest.raises(e.NotFoundError):
        play(ask("url", url="http://h/embed"), reply({}, 404))
    with pytest.raises(e.ServerError):
        play(ask("url", url="http://h"), reply({}, 503))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reply({"error": {"message": "m", "code": 429}}), e.RateLimitError),
        (reply(b""), e.UnexpectedContentError),
        (reply(b"<html></html>", content_type="text/html"), e.UnexpectedContentError),
        (reply({"data": 1}), e.DecodeError),
        (reply([[1], [1, 2]]), e.DecodeError),
        (reply({"data": [{"embedding": "?"}]}), e.DecodeError),
        (reply(b"[[1, 2"), e.DecodeError),
    ],
)
@pytest.mark.parametrize("name", ["together", "hf-inference"])
def test_an_answer_that_is_none(name: str, answer: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind) as caught:
        play(ask(name), answer)
    assert type(caught.value) is kind
