"""Reranking: Cohere's form, which Jina, Together, vLLM, llama.cpp and others share, and text-embeddings-inference's.

Where a provider departs is a `RerankDialect`, which is data. What every server's answer is brought to is a list of
results, the best first, each of which is one of the documents that were sent: anything else is an error.

https://docs.cohere.com/reference/rerank, https://jina.ai/reranker,
https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html#re-rank-api and
https://huggingface.github.io/text-embeddings-inference/
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, NoReturn

import msgspec

from ..errors import DecodeError, InvalidParameterError
from ..protocol.flow import Call, Flow, Reply, Send
from ..protocol.json_text import UNREADABLE, is_list
from ..responses.decode import decode
from ..responses.envelope import read_within
from ..responses.json_decoder import decode_json
from ..responses.refusal import EXCERPT_BYTES, error_in_place_of_answer
from ..tasks.lenient_types import Needed
from ..tasks.passages import RerankOutput, RerankOutputElement, RerankUsage
from .bodies import arguments, model_of, names_model, post


class RerankDialect(msgspec.Struct, frozen=True, kw_only=True):
    """Where a provider departs: how parameters are `renamed`; those that are `dropped`, with a warning; those that are
    `ours`, which it does not know and we do in its place; `texts_only`: whether a document may be no object; `model`:
    whether it is told one."""

    renamed: Mapping[str, str] = {}
    dropped: frozenset[str] = frozenset()
    ours: frozenset[str] = frozenset()
    texts_only: bool = False
    model: bool = True


EVERY_FIELD: Final = RerankDialect()
HOSTED_RANKS: Final = RerankDialect(dropped=frozenset({"raw_scores", "max_tokens_per_doc"}))
"""https://jina.ai/reranker, https://docs.together.ai/reference/rerank and
https://docs.fireworks.ai/api-reference/rerank-documents"""
COHERE_RANKS: Final = RerankDialect(
    dropped=frozenset({"raw_scores"}), ours=frozenset({"return_documents"}), texts_only=True
)
"""https://docs.cohere.com/reference/rerank: its second version sends no documents back."""
TEI_RANKS: Final = RerankDialect(
    renamed={"documents": "texts", "return_documents": "return_text"},
    dropped=frozenset({"max_tokens_per_doc"}),
    ours=frozenset({"top_n"}),
    texts_only=True,
    model=False,
)


class _Ranked(msgspec.Struct):
    """One result; `score` and `text` are text-embeddings-inference's and SGLang's words."""

    index: Needed[int]
    relevance_score: Needed[float | None] = None
    score: Needed[float | None] = None
    document: Any = None
    text: str | None = None


class _Billed(msgspec.Struct):
    search_units: float | None = None


class _Tokens(msgspec.Struct):
    prompt_tokens: int | None = None
    input_tokens: int | None = None
    total_tokens: int | None = None


class _Meta(msgspec.Struct):
    billed_units: _Billed | None = None
    tokens: _Tokens | None = None


class _Answer(msgspec.Struct):
    """`data` is Fireworks' and Voyage's word for the results."""

    results: Needed[list[msgspec.Raw] | None] = None
    data: Needed[list[msgspec.Raw] | None] = None
    model: str | None = None
    id: str | None = None
    usage: _Tokens | None = None
    meta: _Meta | None = None


def rerank(call: Call, url: str, dialect: RerankDialect = EVERY_FIELD) -> Flow[RerankOutput]:
    """The documents in order, from this URL."""
    sent = {name: value for name, value in call.parameters.items() if name not in dialect.ours}
    documents = call.parameters["documents"]
    if dialect.texts_only:
        sent["documents"] = [_text(call, number, document) for number, document in enumerate(documents)]
    body = arguments(msgspec.structs.replace(call, parameters=sent), renamed=dialect.renamed, dropped=dialect.dropped)
    if dialect.model and names_model(call):
        body = {"model": model_of(call), **body}
    return read_ranks((yield Send(post(url, body))), documents, call.parameters)


def _text(call: Call, number: int, document: Any) -> str:
    """A document for a server that takes texts alone; an object that is a text alone is one."""
    if isinstance(document, str):
        return document
    if document.keys() == {"text"} and isinstance(document["text"], str):
        return str(document["text"])
    raise InvalidParameterError(
        f"{call.provider} ranks texts alone, and documents[{number}] is an object: write it as a text, such as its"
        " fields one a line"
    )


def read_ranks(reply: Reply, documents: list[Any], given: Mapping[str, Any]) -> RerankOutput:
    """A whole answer, best first. Raises `DecodeError` for results that are not these documents, each once."""
    return read_within(lambda answer: _ranks(answer, documents, given), reply)


def _ranks(reply: Reply, documents: list[Any], given: Mapping[str, Any]) -> RerankOutput:
    answer = _answer(reply)
    pieces = answer.results if answer.results is not None else answer.data
    if pieces is None:
        raise error_in_place_of_answer(reply.body, sure=True) or _odd(reply, "the answer has no results")
    if not pieces:
        _refuse(reply, f"the answer ranks none of {len(documents)} documents")
    results = [_element(reply, number, bytes(piece)) for number, piece in enumerate(pieces) if bytes(piece) != b"null"]
    _check_indexes(reply, results, len(documents))
    results.sort(key=lambda result: result.score, reverse=True)
    del results[given.get("top_n", len(results)) :]
    if given.get("return_documents"):
        for result in results:
            if result.document is None:
                result.document = documents[result.index]
    output = RerankOutput(results=results, model=answer.model, id=answer.id, usage=_usage(answer))
    vars(output)["_body"] = reply.body
    return output


def _answer(reply: Reply) -> _Answer:
    if is_list(reply.body):
        return _Answer(results=decode(reply, list[msgspec.Raw]))
    return decode(reply, _Answer)


def _element(reply: Reply, number: int, piece: bytes) -> RerankOutputElement:
    try:
        found = decode_json(piece, _Ranked)
    except UNREADABLE as failure:
        _refuse(reply, f"result {number} of the answer cannot be read: {failure}")
    score = found.relevance_score if found.relevance_score is not None else found.score
    if score is None or not math.isfinite(score):
        _refuse(reply, f"result {number} of the answer has no score")
    document = found.document if found.document is not None else found.text
    if isinstance(document, dict) and document.keys() == {"text"}:
        document = document["text"]
    result = RerankOutputElement(index=found.index, score=score, document=document)
    vars(result)["_body"] = piece
    return result


def _check_indexes(reply: Reply, results: list[RerankOutputElement], count: int) -> None:
    seen: set[int] = set()
    for result in results:
        if not 0 <= result.index < count:
            _refuse(reply, f"the answer ranks document {result.index}, and {count} were sent (from 0)")
        if result.index in seen:
            _refuse(reply, f"the answer ranks document {result.index} twice")
        seen.add(result.index)


def _usage(answer: _Answer) -> RerankUsage | None:
    """What it cost, as any of them says it."""
    meta = answer.meta or _Meta()
    tokens, units = answer.usage or meta.tokens, meta.billed_units
    if tokens is None and units is None:
        return None
    tokens = tokens or _Tokens()
    into = tokens.prompt_tokens if tokens.prompt_tokens is not None else tokens.input_tokens
    return RerankUsage(
        prompt_tokens=into, total_tokens=tokens.total_tokens, search_units=units.search_units if units else None
    )


def _odd(reply: Reply, what: str) -> DecodeError:
    error = DecodeError(what)
    error.body = reply.body[:EXCERPT_BYTES]
    return error


def _refuse(reply: Reply, what: str) -> NoReturn:
    raise _odd(reply, what)
