"""Downloads: inputs that are URLs, and results that a provider hands out by URL.

A GET may be redirected three times, each time judged anew. The credential goes to the provider's own origins alone,
and with an input nowhere. Every answer's status is checked, and an HTML page is neither an input nor a result.
"""

from __future__ import annotations

import io
from typing import Final, Protocol

from anyio import current_time, to_thread

from ..errors import (
    HeadwaterError,
    ResponseTooLargeError,
    UnexpectedContentError,
)
from ..media.media import Media
from ..media.mime import mime_type_of
from ..protocol.events import Transferred
from ..protocol.flow import MIB, Fetch
from ..protocol.transport import TransportResponse
from ..responses.refusal import error_in_body
from . import load
from .body import ResponseBody, close_shielded
from .event_loop import is_cancellation
from .openings import other_media
from .redirects import VAGUE, Redirects, content_type, is_page
from .requester import MOST_UNANSWERED, Requester

PROGRESS_BYTES: Final = MIB
"""Bytes between two events of progress, or a 128th of the whole."""
_ERROR_TYPES: Final = frozenset({"application/json", "application/problem+json"})


class Sink(Protocol):
    """Where a download goes."""

    async def add(self, piece: bytes) -> None:
        """Take the next piece."""
        ...

    async def clear(self) -> None:
        """Forget what came: it begins anew."""
        ...

    async def media(self, mime_type: str) -> Media:
        """What the flow gets."""
        ...


class InMemory:
    """A download into memory."""

    def __init__(self) -> None:
        self._whole = io.BytesIO()

    async def add(self, piece: bytes) -> None:
        """Take the next piece."""
        self._whole.write(piece)

    async def clear(self) -> None:
        """Forget what came."""
        self._whole = io.BytesIO()

    async def media(self, mime_type: str) -> Media:
        """All of it."""
        if self._whole.tell() > MIB:
            return await to_thread.run_sync(Media, self._whole.getbuffer(), mime_type)
        return Media(self._whole.getbuffer(), mime_type)


class Download:
    """A result on its way, a piece of it at a time: it is begun anew where it was cut, as far as retries go."""

    def __init__(self, requester: Requester, step: Fetch, sink: Sink | None = None) -> None:
        self._exchange = requester
        self._step = step
        self._sink: Sink = sink or InMemory()
        self._limit = float("inf") if sink else requester.engine.policy.limit
        self._incoming: TransportResponse | None = None
        self._body: ResponseBody | None = None
        self._head = b""
        self._total: int | None = None
        self._way: Redirects | None = None
        self._told = 0
        self._tries = self._left = 0
        self._over = False

    async def more(self) -> Transferred | None:
        """Read on, until there is progress to tell; None when it is whole."""
        while not self._over:
            started = current_time()
            try:
                progress = await self._read(self._body or await self._begin())
                self._left = 0
                return progress
            except ResponseTooLargeError as error:
                await self.close()
                self._exchange.fail_attempt(error)
                raise ResponseTooLargeError(
                    f"the result has more than {self._limit:.0f} bytes: save(path) of its run writes it straight to a"
                    " file, and InputPolicy(limit=...) raises the limit in memory",
                    limit=int(self._limit),
                ) from None
            except HeadwaterError as error:
                await self._again(error, started)
            except BaseException as error:
                if not (is_cancellation(error) and self._lasts()):
                    self._left += 1
                    await self.close()
                raise
        return None

    @property
    def resumes(self) -> bool:
        """Whether `more` may be called again after it was cancelled: it goes on from where it was, or begins anew."""
        return self._left < MOST_UNANSWERED

    async def media(self) -> Media:
        """What came of it."""
        assert self._incoming is not None
        declared = content_type(self._incoming)
        name = self._step.request.url.partition("?")[0].rpartition("/")[2]
        kind = mime_type_of(self._head, name, self._step.mime_type if declared in VAGUE else declared)
        return await self._sink.media(kind)

    async def close(self) -> None:
        """Give up, or let go of what is whole."""
        self._body = None
        if self._way is not None:
            self._way.close()
            self._way = None
        if self._incoming is not None:
            await close_shielded(self._incoming)

    def _lasts(self) -> bool:
        """Whether a cancelled read has lost nothing."""
        return hasattr(self._incoming, "kept") if self._body is not None else self._way is None or self._way.pending

    async def _begin(self) -> ResponseBody:
        self._exchange.begin_attempt(self._step.request, "download")
        way = self._way = self._way or Redirects(self._exchange, self._step.request, is_result=True)
        incoming = self._incoming = await way.answer()
        self._way = None
        lasts = hasattr(incoming, "kept")
        if lasts:
            incoming.kept = True  # type: ignore[attr-defined]
        self._body = ResponseBody(incoming, self._limit)
        length = incoming.headers.get("content-length", "")
        self._total = int(length[:20]) if length.isdigit() and self._body.plain else None
        self._told, self._head = 0, b""
        await self._sink.clear()
        return self._body

    async def _read(self, body: ResponseBody) -> Transferred | None:
        every = max(PROGRESS_BYTES, (self._total or 0) // 128)
        while piece := await self._exchange.piece(body):
            if len(self._head) < load.SNIFFED_BYTES:
                self._head += piece[: load.SNIFFED_BYTES]
                self._check(piece)
            await self._sink.add(piece)
            if body.size - self._told >= every:
                return self._tell(body)
        body.check_end()
        if not body.size:
            raise UnexpectedContentError("the result is empty")
        self._over = True
        self._exchange.end_attempt()
        return self._tell(body) if body.size > self._told else None

    def _tell(self, body: ResponseBody) -> Transferred:
        self._told = body.size
        return Transferred("download", body.size, self._total)

    def _check(self, piece: bytes) -> None:
        assert self._incoming is not None
        kind = content_type(self._incoming)
        if kind in _ERROR_TYPES and (said := error_in_body(piece)):
            raise said
        if kind == "application/problem+json" or is_page(kind, piece):
            error = UnexpectedContentError(f"the result is no file but {kind or 'an HTML page'}")
            error.body = piece[:512]
            raise error
        if other := other_media(self._step.request.family, self._head):
            error = UnexpectedContentError(f"the result is {other}")
            error.body = piece[:512]
            raise error

    async def _again(self, error: HeadwaterError, started: float) -> None:
        await self.close()
        self._tries += 1
        await self._exchange.wait_again(error, self._tries, self._step.request, started)


async def fetch(requester: Requester, step: Fetch) -> Media:
    """A result whole, its progress told to nobody."""
    download = Download(requester, step)
    try:
        while await download.more() is not None:
            pass
    except BaseException:
        await download.close()
        raise
    return await download.media()
