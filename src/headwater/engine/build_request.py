"""Turns a flow's request into what goes out: the client's headers, and credentials on their own origins only."""

from __future__ import annotations

import platform
from typing import Final

from .._version import __version__
from ..auth.credentials import Credentials
from ..protocol.flow import Request
from ..protocol.framing import EVENT_STREAM
from ..protocol.transport import TransportRequest
from .multipart import UploadBody, request_body

AGENT: Final = f"headwater/{__version__} python/{platform.python_version()}"


def build_request(request: Request, credentials: Credentials, connect_timeout: float | None) -> TransportRequest:
    """The request as the transport takes it. Raises `InvalidParameterError` for a URL that is none."""
    url = credentials.url(request)
    body, content_type = request_body(request.body)
    headers = {
        "user-agent": AGENT,
        "accept": "*/*",
        "accept-encoding": "identity" if request.headers.get("accept") == EVENT_STREAM else "gzip, deflate",
        **({"content-type": content_type} if content_type else {}),
        **request.headers,
        **credentials.for_request(request, url.origin),
    }
    return TransportRequest(
        method=request.method,
        url=url,
        headers=list(headers.items()),
        body=body,
        length=body.length if isinstance(body, UploadBody) else None,
        connect_timeout=connect_timeout,
        resend=request.resend,
    )
