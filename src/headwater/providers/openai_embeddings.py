"""Embeddings in their two dialects: text-embeddings-inference's (TEI, hf-inference) and OpenAI's.

The vectors of a whole answer become one array in `decode_vectors`; nothing here reads numbers.

https://huggingface.github.io/text-embeddings-inference/ and
https://platform.openai.com/docs/api-reference/embeddings
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from ..errors import DecodeError
from ..protocol.flow import Call, Flow, Reply, Send
from ..responses.decode import decode, unreadable
from ..responses.envelope import DEEPEST, unwrapped
from ..responses.refusal import error_in_body
from ..tasks.embeddings import CreateEmbeddingResponse, decode_rows, decode_vectors, numbers_in
from .bodies import extra, model_of, parameters, post


def tei(call: Call, url: str) -> Flow[Any]:
    """TEI's dialect: the parameters stand beside the inputs."""
    given = parameters(call)
    body = {"inputs": given.pop("text"), **given, **call.extra}
    return _vectors((yield Send(post(url, body))), _count(body.get("inputs")))


def embed(call: Call, url: str, dropped: frozenset[str] = frozenset()) -> Flow[Any]:
    """OpenAI's dialect, as one array. `dropped`: the parameters that the provider refuses."""
    body = _body(call, dropped)
    return _vectors((yield Send(post(url, body))), _count(body.get("input")))


def create(call: Call, url: str, dropped: frozenset[str] = frozenset()) -> Flow[CreateEmbeddingResponse]:
    """OpenAI's own spelling, answered as it is."""
    body = _body(call, dropped)
    answer = _answer((yield Send(post(url, body))))
    _check(answer.data, _count(body.get("input")))
    if not all(row.embedding for row in answer.data):
        raise DecodeError("a vector without a number came")
    if body.get("encoding_format") != "base64":
        for row in answer.data:
            row.embedding = numbers_in(row.embedding) if isinstance(row.embedding, str) else row.embedding
    return answer


def _answer(reply: Reply) -> CreateEmbeddingResponse:
    """An answer in OpenAI's shape, or one that only has vectors."""
    try:
        return decode(reply, CreateEmbeddingResponse)
    except DecodeError:
        for body in _layers(reply.body):
            with suppress(DecodeError):
                answer = CreateEmbeddingResponse(data=decode_rows(body))
                vars(answer)["_body"] = reply.body
                return answer
        raise


def _layers(body: bytes) -> Iterator[bytes]:
    """The answer, and those that it may be in."""
    found: bytes | None = body
    for _ in range(DEEPEST):
        if found is not None:
            yield found
            found = unwrapped(found)


def _body(call: Call, dropped: frozenset[str]) -> dict[str, Any]:
    given = {name: value for name, value in parameters(call).items() if name not in dropped}
    inputs = given.pop("input") if "input" in given else given.pop("text")
    return {"model": model_of(call), "input": inputs, **given, **extra(call)}


def _count(inputs: Any) -> int | None:
    """How many inputs were sent in a list of them; a list of numbers is one input, in tokens."""
    return len(inputs) if isinstance(inputs, list) and not any(isinstance(each, int) for each in inputs[:1]) else None


def _check(vectors: Any, sent: int | None) -> None:
    """Refuse an answer that has another number of vectors, for nobody could tell whose they are; or none."""
    came = len(vectors)
    if came != sent and (sent is not None or not came):
        what = "an input was" if sent is None else f"{sent} inputs were"
        raise DecodeError(f"{what} sent, and {came} vectors came")


def _decoded(body: bytes) -> Any:
    try:
        return decode_vectors(body)
    except DecodeError:
        for inner in list(_layers(body))[1:]:
            with suppress(DecodeError):
                return decode_vectors(inner)
        raise


def _vectors(reply: Reply, sent: int | None) -> Any:
    body = reply.body
    if body[:1024].find(b'"error"') >= 0 and (error := error_in_body(body)) is not None:
        raise error
    try:
        found = _decoded(body)
        if not len(found) or hasattr(found[0], "__len__"):  # and not one vector alone
            _check(found, sent)
            if not len(found[0]):
                raise DecodeError("a vector without a number came")
        return found
    except DecodeError as failure:
        if "json" in reply.content_type and body.strip():
            raise
        raise unreadable(reply, failure) from None
