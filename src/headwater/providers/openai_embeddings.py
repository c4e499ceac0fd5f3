"""Embeddings in their two dialects: text-embeddings-inference's (TEI, hf-inference) and OpenAI's.

The vectors of a whole answer become one array in `decode_vectors`; nothing here reads numbers.

https://huggingface.github.io/text-embeddings-inference/ and
https://platform.openai.com/docs/api-reference/embeddings
"""

from __future__ import annotations

from typing import Any, Final

from ..errors import DecodeError, ProviderError
from ..protocol.flow import Call, Flow, Reply, Send
from ..responses.decode import decode, unreadable
from ..responses.refusal import in_band
from ..tasks.embeddings import CreateEmbeddingResponse, decode_vectors
from .bodies import extra, model_of, parameters, post
from .openai_chat import Flows
from .urls import EMBEDDINGS, has_path, openai_url, speaks_openai

_NO_SUCH_ROUTE: Final = frozenset({404, 405, 501})


def at_url(call: Call) -> Flow[Any]:
    """Vectors from a server's own URL: OpenAI's dialect where the URL says so, TEI's otherwise.

    A bare host may be either; where TEI's route is not there, OpenAI's is tried.
    """
    url = call.url or call.base
    if speaks_openai(url):
        return (yield from openai(call, openai_url(url, EMBEDDINGS)))
    try:
        return (yield from tei(call, url))
    except ProviderError as refused:
        if refused.status not in _NO_SUCH_ROUTE or has_path(url):
            raise
    return (yield from openai(call, openai_url(url, EMBEDDINGS)))


def at_route(route: str, *, dropped: frozenset[str] = frozenset()) -> Flows:
    """The flow of a provider that speaks OpenAI's dialect at this route of its base."""

    def flow(call: Call) -> Flow[Any]:
        return (yield from openai(call, call.base + route, dropped))

    return flow


def tei(call: Call, url: str) -> Flow[Any]:
    """TEI's dialect: the parameters stand beside the inputs."""
    given = parameters(call)
    body = {"inputs": given.pop("text"), **given, **call.extra}
    return _vectors((yield Send(post(url, body))))


def openai(call: Call, url: str, dropped: frozenset[str] = frozenset()) -> Flow[Any]:
    """OpenAI's dialect, as one array."""
    return _vectors((yield Send(post(url, _body(call, dropped)))))


def create_at_url(call: Call) -> Flow[CreateEmbeddingResponse]:
    """OpenAI's own spelling, answered as it is, from a server's own URL."""
    return (yield from _create(call, openai_url(call.url or call.base, EMBEDDINGS), frozenset()))


def create_at_route(route: str, *, dropped: frozenset[str] = frozenset()) -> Flows:
    """The flow of OpenAI's own spelling at a provider's route."""

    def flow(call: Call) -> Flow[CreateEmbeddingResponse]:
        return (yield from _create(call, call.base + route, dropped))

    return flow


def _create(call: Call, url: str, dropped: frozenset[str]) -> Flow[CreateEmbeddingResponse]:
    return decode((yield Send(post(url, _body(call, dropped)))), CreateEmbeddingResponse)


def _body(call: Call, dropped: frozenset[str]) -> dict[str, Any]:
    given = {name: value for name, value in parameters(call).items() if name not in dropped}
    inputs = given.pop("input") if "input" in given else given.pop("text")
    return {"model": model_of(call), "input": inputs, **given, **extra(call)}


def _vectors(reply: Reply) -> Any:
    body = reply.body
    if body[:1024].find(b'"error"') >= 0 and (error := in_band(body)) is not None:
        raise error
    try:
        return decode_vectors(body)
    except DecodeError as failure:
        if "json" in reply.content_type and body.strip():
            raise
        raise unreadable(reply, failure) from None
