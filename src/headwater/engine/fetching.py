"""Downloads: inputs that are URLs, and results that a provider hands out by URL.

A GET may be redirected three times, each time judged anew. The credential goes to the provider's own origins alone,
and with an input nowhere. Every answer's status is checked, and an HTML page is neither an input nor a result.
"""

from __future__ import annotations

import io
from collections.abc import Awaitable
from typing import Final, Protocol

from anyio import current_time, to_thread

from ..errors import (
    HeadwaterError,
    InferenceTimeoutError,
    InputError,
    ProviderError,
    RedirectError,
    ResponseTooLargeError,
    TransportError,
    UnexpectedContentError,
)
from ..events import Transferred
from ..flow import MIB, Fetch, Load, Loaded, Request
from ..media import Media
from ..mime import mime_type_of
from ..refusals import in_band
from ..wire import Incoming
from . import loading
from .body import Body
from .exchange import Exchange
from .following import VAGUE, content_type, follow, is_page, place
from .refused import give_up

EVERY: Final = MIB
"""Bytes between two events of progress, or a 128th of the whole."""
_ERRORS: Final = frozenset({"application/json", "application/problem+json"})
_INPUTS: Final = "(inputs)"


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

    def __init__(self, exchange: Exchange, step: Fetch, sink: Sink | None = None) -> None:
        self._exchange = exchange
        self._step = step
        self._sink: Sink = sink or InMemory()
        self._limit = float("inf") if sink else exchange.engine.policy.limit
        self._incoming: Incoming | None = None
        self._body: Body | None = None
        self._head = b""
        self._total: int | None = None
        self._told = 0
        self._tries = 0
        self._over = False

    async def more(self) -> Transferred | None:
        """Read on, until there is progress to tell; None when it is whole."""
        while not self._over:
            started = current_time()
            try:
                return await self._read(self._body or await self._begin())
            except ResponseTooLargeError:
                await self.close()
                raise ResponseTooLargeError(
                    f"the result has more than {self._limit:.0f} bytes: save(path) of its run writes it straight to a"
                    " file, and InputPolicy(limit=...) raises the limit in memory",
                    limit=int(self._limit),
                ) from None
            except HeadwaterError as error:
                await self._again(error, started)
            except BaseException:
                await self.close()
                raise
        return None

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
        if self._incoming is not None:
            await give_up(self._incoming)

    async def _begin(self) -> Body:
        incoming = self._incoming = await follow(self._exchange, self._step.request, ours=True)
        self._body = Body(incoming, self._limit)
        length = incoming.headers.get("content-length", "")
        self._total = int(length[:20]) if length.isdigit() and self._body.plain else None
        self._told, self._head = 0, b""
        await self._sink.clear()
        return self._body

    async def _read(self, body: Body) -> Transferred | None:
        every = max(EVERY, (self._total or 0) // 128)
        while piece := await self._exchange.piece(body):
            if len(self._head) < loading.HEAD:
                self._head += piece[: loading.HEAD]
                self._check(piece)
            await self._sink.add(piece)
            if body.size - self._told >= every:
                return self._tell(body)
        body.check_end()
        if not body.size:
            raise UnexpectedContentError("the result is empty")
        self._over = True
        return self._tell(body) if body.size > self._told else None

    def _tell(self, body: Body) -> Transferred:
        self._told = body.size
        return Transferred("download", body.size, self._total)

    def _check(self, piece: bytes) -> None:
        assert self._incoming is not None
        kind = content_type(self._incoming)
        if kind in _ERRORS and (said := in_band(piece)):
            raise said
        if kind == "application/problem+json" or is_page(kind, piece):
            error = UnexpectedContentError(f"the result is no file but {kind or 'an HTML page'}")
            error.body = piece[:512]
            raise error

    async def _again(self, error: HeadwaterError, started: float) -> None:
        await self.close()
        self._tries += 1
        await self._exchange.wait_again(error, self._tries, self._step.request, started)


async def fetch(exchange: Exchange, step: Fetch) -> Media:
    """A result whole, its progress told to nobody."""
    download = Download(exchange, step)
    while await download.more() is not None:
        pass
    return await download.media()


async def load(exchange: Exchange, step: Load) -> Loaded:
    """An input, read or downloaded, before the call's deadline."""
    if not loading.is_download(step):
        return await exchange.within(loading.load(step, exchange.engine.policy))
    if not exchange.engine.policy.urls:
        raise InputError("URLs are not downloaded under this client's input_policy; pass bytes or an open file")
    tries = 0
    while True:
        tries += 1
        try:
            return await _input(exchange, step)
        except TransportError as error:
            await _as_input(step, exchange.wait_again(error, tries, _plain(step.source), quota=_INPUTS))
        except ProviderError as error:
            if isinstance(error, RedirectError):
                raise _no_input(step, error) from error
            await _as_input(step, exchange.wait_again(error, tries, _plain(step.source), quota=_INPUTS))


async def _as_input(step: Load, wait: Awaitable[None]) -> None:
    try:
        await wait
    except InferenceTimeoutError:
        raise
    except HeadwaterError as error:
        raise _no_input(step, error) from error


async def _input(exchange: Exchange, step: Load) -> Loaded:
    incoming = await follow(exchange, _plain(step.source), ours=False)
    limit = exchange.engine.policy.limit
    whole = io.BytesIO()
    try:
        body = Body(incoming, limit)
        while piece := await exchange.piece(body):
            if not whole.tell() and is_page(content_type(incoming), piece):
                raise InputError(f"{place(step.source)} is an HTML page, not a file; is it the file's own URL?")
            whole.write(piece)
    except ResponseTooLargeError:
        await give_up(incoming)
        raise InputError(f"{place(step.source)} has more than {limit} bytes, the client's limit for inputs") from None
    except BaseException:
        await give_up(incoming)
        raise
    declared = mime_type_of(b"", default=content_type(incoming))  # it goes into what is sent on: no odd characters
    name = step.source.partition("?")[0].partition("#")[0].rpartition("/")[2]
    found = loading.loaded(whole.getvalue(), step, name or place(step.source), limit)
    if found.mime_type == step.mime_type and declared not in VAGUE:
        return Loaded(mime_type=declared, data=found.data, name=name, size=found.size)
    return found


def _plain(url: str) -> Request:
    return Request(method="GET", url=url.partition("#")[0], auth="none")


def _no_input(step: Load, error: HeadwaterError) -> InputError:
    status = error.status if isinstance(error, ProviderError) else None
    why = f"it answered {status}" if status else error.message
    return InputError(f"{place(step.source)} cannot be downloaded: {why}")
