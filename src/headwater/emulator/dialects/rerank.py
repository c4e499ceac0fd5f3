"""Reranking: ``*/v1/rerank`` and ``*/v2/rerank`` in Cohere's form, and Text Embeddings Inference's ``POST /rerank``.

A document's score is the part of the query's words that it has; of equal ones the first comes first. Refuses what the
vendors refuse: no query, no documents, a ``top_n`` below 1; at Cohere documents that are no texts.
https://docs.cohere.com/reference/rerank and https://huggingface.github.io/text-embeddings-inference/
"""

from __future__ import annotations

import re
from typing import Any

from ..wire import Dialect, DialectAnswer, DialectRequest, RefusedError, WholeAnswer, post
from . import checks, words
from .checks import FieldRule
from .openai import refuse
from .tgi import unreadable
from .vendors import vendor

FIELDS = {
    "model": checks.STRING,
    "query": checks.STRING,
    "documents": checks.ARRAY,
    "top_n": checks.POSITIVE,
    "return_documents": checks.BOOLEAN,
    "max_tokens_per_doc": checks.POSITIVE,
    "rank_fields": checks.ARRAY,
    "raw_scores": checks.BOOLEAN,
    "priority": FieldRule("integer", 0, 999),
}
TEI_FLAGS = ("raw_scores", "return_text", "truncate")
WORD = re.compile(r"\w+")


def rerank(call: DialectRequest) -> DialectAnswer:
    """The best ``top_n``, by their scores; documents where they are asked for."""
    given = checks.known(call, FIELDS)
    for name in ("query", "documents"):
        if not given.get(name):
            raise checks.missing(call, name)
    documents = given["documents"]
    is_cohere = vendor(call.path) == "cohere"
    for number, document in enumerate(documents):
        if not isinstance(document, str if is_cohere else (str, dict)):
            raise checks.wrong(call, f"Invalid 'documents[{number}]': expected a string.", "documents")
    ranked = best_first(given["query"], [str(document) for document in documents])[: given.get("top_n")]
    results: list[dict[str, Any]] = [{"index": place, "relevance_score": found} for place, found in ranked]
    if given.get("return_documents") and not is_cohere:
        for result in results:
            document = documents[result["index"]]
            result["document"] = {"text": document} if isinstance(document, str) else document
    if is_cohere:
        meta = {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}}
        return WholeAnswer({"id": call.digest("rerank"), "results": results, "meta": meta})
    spent = words.count(given["query"]) + sum(words.count(str(document)) for document in documents)
    usage = {"prompt_tokens": spent, "total_tokens": spent}
    return WholeAnswer({"id": call.digest("rerank"), "model": call.model, "usage": usage, "results": results})


def tei(call: DialectRequest) -> DialectAnswer:
    """A list of all texts, the best first; ``return_text`` gives them back, ``raw_scores`` scores above 1."""
    body = call.json
    for name in ("query", "texts"):
        if name not in body:
            raise unreadable(call, f"missing field `{name}`")
    texts = body["texts"]
    if not isinstance(body["query"], str) or not isinstance(texts, list) or not all(isinstance(t, str) for t in texts):
        raise unreadable(call, "invalid type: expected a string and a list of strings")
    for name in TEI_FLAGS:
        if not isinstance(body.get(name, False), bool):
            raise unreadable(call, f"{name}: invalid type, expected a boolean")
    if not texts:
        raise RefusedError(WholeAnswer({"error": "`texts` cannot be empty", "error_type": "Empty"}, 400))
    scale = 10 if body.get("raw_scores") else 1
    ranked = best_first(body["query"], texts)
    echoed = body.get("return_text")
    return WholeAnswer(
        [
            {"index": place, "score": found * scale, **({"text": texts[place]} if echoed else {})}
            for place, found in ranked
        ]
    )


def best_first(query: str, documents: list[str]) -> list[tuple[int, float]]:
    """The documents' places with their scores."""
    wanted = set(WORD.findall(query.lower()))
    scores = [
        (place, len(wanted & set(WORD.findall(document.lower()))) / max(1, len(wanted)))
        for place, document in enumerate(documents)
    ]
    return sorted(scores, key=lambda found: -found[1])


DIALECT = Dialect("rerank", (post(r"/v[12]/rerank$", rerank), post(r"^/(tei/)?rerank$", tei)), refuse)
