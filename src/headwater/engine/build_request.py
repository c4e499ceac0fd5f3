"""Turns a flow's request into what goes out: the client's headers, and credentials on their own origins only."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from .. import __version__
from ..auth.credentials import Credentials
from ..protocol.flow import EVENT_HEADERS, JSON_HEADERS, Request
from ..protocol.framing import EVENT_STREAM
from ..protocol.lazy import lazy_modules
from ..protocol.transport import RequestHead, TransportRequest

if TYPE_CHECKING:
    from . import multipart  # noqa: TC004 - loaded when it is used, below
else:
    globals().update(lazy_modules(__package__, "multipart"))

AGENT: Final = f"headwater/{__version__} python/{sys.version.partition(' ')[0]}"


_MOST_HEADS: Final = 64
"""Heads that are kept for one set of credentials, which has one or two."""


def build_request(request: Request, credentials: Credentials, connect_timeout: float | None) -> TransportRequest:
    """The request as the transport takes it. Raises `InvalidParameterError` for a URL that is none."""
    given = request.body
    body, content_type = (given, None) if isinstance(given, bytes) else multipart.request_body(given)
    if content_type is None and (request.headers is JSON_HEADERS or request.headers is EVENT_HEADERS):
        head = _shared_head(request, credentials)  # as nearly all have
    else:
        head = _head(request, credentials, content_type)
    return TransportRequest(
        method=request.method,
        url=head.url,
        headers=head.headers,
        body=body,
        length=None if isinstance(body, bytes) else body.length,
        connect_timeout=connect_timeout,
        resend=request.resend,
        head=head,
    )


def _shared_head(request: Request, credentials: Credentials) -> RequestHead:
    key = request.method, request.url, request.auth, request.headers["accept"]
    head = credentials.heads.get(key)
    if head is None:
        if len(credentials.heads) >= _MOST_HEADS:
            credentials.heads.clear()
        head = credentials.heads[key] = _head(request, credentials, None)
    return head


def _head(request: Request, credentials: Credentials, content_type: str | None) -> RequestHead:
    url = credentials.url(request)
    headers = {
        "user-agent": AGENT,
        "accept": "*/*",
        "accept-encoding": "identity" if request.headers.get("accept") == EVENT_STREAM else "gzip, deflate",
        **({"content-type": content_type} if content_type else {}),
        **credentials.usual_for(request, url.origin),
        **request.headers,
        **credentials.for_request(request, url.origin),
    }
    return RequestHead(url, list(headers.items()))
