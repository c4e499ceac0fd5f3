"""Requests of the caller's own: `post`, as flows.

A path, a model id or a URL says where to. Nothing of the answer is interpreted.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import msgspec

from .errors import InvalidParameterError, MissingModelError
from .flow import Call, Flow, Load, Loaded, Request, Send, Stream
from .framing import Frame
from .media import LARGEST
from .providers.hf_inference import recommended
from .providers.urls import at_model
from .responses import Response

PIPELINES: Final = frozenset({"feature-extraction", "sentence-similarity"})
"""Tasks that a model of hf-inference may have beside its own, at a route of theirs."""


def post(call: Call, *, json: Any, data: Any, stream: bool) -> Flow[Response | None]:
    """Send this, and read the answer whole, or hand it over in pieces."""
    url = yield from _url(call)
    body, content_type = yield from _body(json, data)
    headers = {"accept": "*/*"}
    if content_type is not None:
        headers["content-type"] = content_type
    if not stream:
        request = Request(method="POST", url=url, headers=headers, body=body, limit=LARGEST, opaque=True)
        reply = yield Send(request)
        return Response(status=reply.status, headers=reply.headers, content=reply.body)
    headers |= {"accept": "text/event-stream, */*", "accept-encoding": "identity"}
    request = Request(method="POST", url=url, headers=headers, body=body)
    nothing: None = yield Stream(request=request, framing="bytes", decode=_piece, fold=Forgetful, finish="closed")
    return nothing


def _url(call: Call) -> Flow[str]:
    named = call.hub_id
    if named is not None and named.startswith("/"):
        return at_path(call.base if call.url is None else call.url, named)
    if call.url is not None:
        return call.url
    if call.provider != "hf-inference":
        raise InvalidParameterError(
            f"post to {call.provider} wants a path of its API as model, such as model='/v1/rerank', or no provider and"
            " a URL as model; which path a model has is for its tasks to know"
        )
    if named is None:
        if call.task == CUSTOM:
            raise MissingModelError("post wants to know where to: pass model=... or task=...")
        named = yield from recommended(call)
    return at_model(call.base, "/models/", named, f"/pipeline/{call.task}" if call.task in PIPELINES else "")


def at_path(base: str, path: str) -> str:
    """This path of the server's: below its URL, whose version is not said twice where the path begins with one."""
    parts = urlsplit(base)
    above = parts.path.rstrip("/")
    version = above.rpartition("/")[2]
    if version and path.startswith(f"/{version}/"):
        above = above.removesuffix(f"/{version}")
    return urlunsplit(parts._replace(path=above + path))


def _body(json: Any, data: Any) -> Flow[tuple[bytes | Loaded, str | None]]:
    if data is None:
        try:
            return msgspec.json.encode(json), "application/json"
        except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
            raise InvalidParameterError(f"post: json cannot be sent as JSON: {error}") from None
    read: Loaded = yield Load(source=data, streamed=True)
    return read, None


CUSTOM: Final = "post"


class Forgetful:
    """The fold of a stream that is handed over and not kept."""

    def add(self, event: bytes) -> None:
        """Take the next piece."""

    def complete(self, *, marked: bool = False) -> bool:
        """Its end is the body's."""
        return False

    def result(self) -> None:
        """Nothing."""


def _piece(frame: Frame) -> bytes:
    return frame.data


def posting(json: Any, data: Any, stream: bool) -> Callable[[Call], Flow[Response | None]]:
    """The flow of one `post`. Raises `InvalidParameterError` unless exactly one of `json` and `data` is given."""
    if (json is None) == (data is None):
        raise InvalidParameterError("post: give json=... or data=..., one of them")
    return partial(post, json=json, data=data, stream=stream)
