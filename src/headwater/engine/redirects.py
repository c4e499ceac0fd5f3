"""A GET to the end of its redirects, each hop judged anew, connected to an address that was judged.

The credential goes to the provider's own origins alone. No body is read here but a refusal's.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urljoin

from ..errors import (
    ConnectError,
    DecodeError,
    InferenceTimeoutError,
    InputError,
    InvalidParameterError,
    RedirectError,
    UnexpectedContentError,
)
from ..media.mime import UNKNOWN
from ..protocol.flow import Request
from ..protocol.transport import Transport, TransportRequest, TransportResponse, quoted_url
from ..protocol.url import parse_url
from .body import close_shielded
from .build_request import build_request
from .download_hosts import check_host, public_addresses
from .openings import media_type
from .requester import Requester

MAX_REDIRECTS: Final = 3
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
VAGUE: Final = frozenset({"", UNKNOWN, "binary/octet-stream", "text/plain", "application/json"})
"""Content types that say nothing about a file."""
SHOWN_CHARS: Final = 200
"""The most characters of a name or a URL in a message."""
_HTML: Final = (b"<!doctype html", b"<html")


class Redirects:
    """A request on its way to the answer at the end of its redirects.

    `is_result`: whether that is a result, and not an input. `answer` may be called again where it was cancelled, and
    goes on from where it was; `pending` says whether it waits for an answer that it has asked for.
    """

    def __init__(self, requester: Requester, request: Request, *, is_result: bool) -> None:
        self._requester = requester
        self._is_result = is_result
        self._request = _asking(request, _quoted(request.url, is_result=is_result), {**request.headers})
        self._hops = 0
        self._asked: TransportRequest | None = None

    @property
    def pending(self) -> bool:
        """Whether an answer is to come that was asked for."""
        return self._asked is not None

    async def answer(self) -> TransportResponse:
        """The answer at the end."""
        while True:
            request = self._request
            incoming = await self._requester.within(self._send(request))
            try:
                following = self._following(request, incoming)
                if following is None:
                    if not 200 <= incoming.status < 300:
                        raise await self._requester.refusal(request, incoming)
                    return incoming
            except BaseException:
                await close_shielded(incoming)
                raise
            self._hops, self._request = self._hops + 1, _asking(request, following, {})
            await close_shielded(incoming)

    def close(self) -> None:
        """Give up what is waited for. Idempotent."""
        asked, self._asked = self._asked, None
        if asked is not None and asked.pending is not None:
            asked.pending.close()

    def _following(self, request: Request, incoming: TransportResponse) -> str | None:
        location = incoming.headers.get("location")
        is_redirect = incoming.status in REDIRECTS and request.method == "GET" and self._hops < MAX_REDIRECTS
        return _next_url(request.url, location) if is_redirect and location else None

    async def _send(self, request: Request) -> TransportResponse:
        requester, going = self._requester, self._asked
        if going is not None:
            return await self._carried(requester.transport(going.url), going)
        going = build_request(request, requester.credentials, requester.deadlines.limits.connect)
        if requester.engine.counts_waits:
            going.lapse = requester.lapse
        transport = requester.transport(going.url)
        is_own = self._is_result and going.url.origin in requester.credentials.origins
        if is_own or requester.engine.policy.allow_private:
            return await self._carried(transport, going)
        try:
            if not getattr(transport, "dials", False):  # whoever carries it looks names up too
                check_host(going.url)
                return await self._carried(transport, going)
            addresses = await public_addresses(going.url)
        except InputError as error:
            if self._is_result:
                raise UnexpectedContentError(f"the result cannot be downloaded: {error.message}") from None
            raise
        for address in addresses[:-1]:
            going.address = address
            try:
                return await self._carried(transport, going)
            except (ConnectError, InferenceTimeoutError):
                continue
        going.address = addresses[-1]
        return await self._carried(transport, going)

    async def _carried(self, transport: Transport, going: TransportRequest) -> TransportResponse:
        going.kept, self._asked = self._is_result, None
        try:
            incoming = await transport.send(going)
        except BaseException:
            self._asked = going if going.pending is not None else None
            raise
        return self._requester.record_response(incoming)


def _quoted(url: str, *, is_result: bool) -> str:
    """The URL as it is asked for. Raises `DecodeError` where the server named a result at what is none: a call that was
    answered is not the caller's mistake."""
    quoted = quoted_url(url)
    if is_result:
        try:
            parse_url(quoted)
        except InvalidParameterError as wrong:
            raise DecodeError(f"the server names its result at what cannot be asked for: {wrong.message}") from None
    return quoted


def _asking(request: Request, url: str, headers: dict[str, str]) -> Request:
    """The request at this URL; unpacked, so that its length is the file's."""
    return Request(
        method=request.method,
        url=url,
        headers={**headers, "accept-encoding": "identity"},
        body=request.body,
        auth=request.auth,
        resend=request.resend,
        limit=request.limit,
    )


def _next_url(url: str, location: str) -> str:
    """Where a redirect leads; https never leads to http."""
    try:
        following = urljoin(url, quoted_url(location, "latin-1")).partition("#")[0]
        there = parse_url(following)
    except (InvalidParameterError, ValueError):
        raise RedirectError(f"{display_url(url)} redirects to what is no http(s) URL") from None
    if parse_url(url).scheme == "https" and there.scheme != "https":
        raise RedirectError(f"{display_url(url)} redirects from https to http, which is not followed")
    return following


def display_url(url: str) -> str:
    """A URL as a message shows it: its query may hold a secret."""
    return url.partition("?")[0].partition("#")[0][:SHOWN_CHARS]


def content_type(incoming: TransportResponse) -> str:
    """The media type alone, in lower case."""
    return media_type(incoming)


def is_page(kind: str, piece: bytes) -> bool:
    """Whether an answer of this media type that begins like this is an HTML page."""
    vague = kind in VAGUE and piece[:512].lstrip().lower().startswith(_HTML)
    return kind in {"text/html", "application/xhtml+xml"} or vague
