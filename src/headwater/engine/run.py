"""One call, as its caller sees it: a context manager, an iterator of events, a result, and what is known of it.

A run is read by one task at a time. Leaving it in any way closes its socket. How it advances is `pulling`'s.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, cast

from ..errors import Attempt, HeadwaterError
from ..protocol.events import Transferred
from ..protocol.flow import END
from .driver import process
from .facts import Timings
from .hedging import Hedged
from .save import SavedFile

E = TypeVar("E")
R = TypeVar("R")


class AsyncRun(Hedged, Generic[E, R]):
    """A call under way: a context manager, and an iterator of its events.

    `async for event in run` hands over events as they come; `await run.result()` reads to the end and returns what the
    plain call returns. `run.partial` is what came so far. Leaving the `async with` before the end cancels the call at
    the far side.

    A read of an event that is cancelled, by a deadline of the caller's own for one, loses nothing: the next read goes
    on with what came meanwhile. Where it cannot (the request was on its way, and would have to be paid for twice) the
    run is left, and reading it is a `ClosedError`, as it is after `close()`; it never looks like an end.
    """

    # -- what is known about it

    @property
    def provider(self) -> str:
        """The provider that was asked."""
        return self._plan.provider

    @property
    def model(self) -> str | None:
        """The model, as the caller named it."""
        return self._plan.model

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """Every try so far."""
        return tuple(self._exchange.attempts)

    @property
    def headers(self) -> dict[str, str]:
        """The newest answer's headers, by lower-case name."""
        return self._exchange.headers

    @property
    def status(self) -> int:
        """The newest answer's HTTP status; 0 before there is one."""
        return self._exchange.status

    @property
    def upload(self) -> Transferred | None:
        """How much of a large body has been sent; None where the newest request has none."""
        body = self._exchange.upload
        return None if body is None else Transferred("upload", body.sent, body.length)

    @property
    def request_id(self) -> str | None:
        """The server's name for the newest request."""
        return self._exchange.request_id

    @property
    def timings(self) -> Timings:
        """Seconds from the call's start to what has happened so far."""
        return self._exchange.timings(self._first_at, self._ended_at)

    @property
    def bytes(self) -> int:
        """Decoded bytes received for the newest answer."""
        return self._exchange.size if self._events is None else self._events.size

    @property
    def partial(self) -> R | None:
        """What has come so far, folded as the result would be; None before the first event of a stream."""
        if self._state == "done":
            return cast("R", self._value())
        if self._events is None or not self._events.count:
            return None
        return cast("R", self._events.fold.result())

    # -- reading it

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> E:
        event = None if self._events is None or self._waiting else self._events.take()
        if event is None:
            event = await self._pull()
            if event is END:
                raise StopAsyncIteration
        shown: E = event if self._show is None else self._show(event)
        return shown

    async def result(self) -> R:
        """Read to the end and return what the plain call returns; events not yet handed over are not any more.

        Cancelled, it leaves the run: it is the call, and nobody may be there to read on.
        """
        while await self._pulled() is not END:
            if self._events is not None:
                while self._events.take() is not None:
                    pass
        return cast("R", self._value())

    async def save(self, path: str | os.PathLike[str], *, each: Callable[[E], object] | None = None) -> Path:
        """Read to the end with the result written to a file, and return its path.

        A result that is downloaded goes straight to the disk, however large: the file is written beside its place and
        renamed when it is whole. Events that come meanwhile go to `each`, in the event loop's thread.

        Raises `InputError` where the file cannot be written, and `InvalidParameterError` for a result that is no
        image, sound or video.
        """
        async with SavedFile(path) as file:
            self._file = file
            try:
                async for event in self:
                    if each is not None:
                        each(event)
            except BaseException:
                await self.close()
                raise
            finally:
                self._file = None
            return await file.keep(await self.result())

    async def _pulled(self) -> Any:
        try:
            return await self._pull()
        except HeadwaterError:
            raise
        except BaseException:
            await self.close()
            raise

    async def drain(self) -> list[E]:
        """At least one event, and all others that are there already; [] at the end."""
        event = await self._pull()
        if event is END:
            return []
        events = [event, *self._waiting]
        self._waiting.clear()
        while self._events is not None and (event := self._events.take()) is not None:
            events.append(event)
        return events if self._show is None else [self._show(event) for event in events]

    async def start(self) -> Self:
        """Wait until there is an event to hand over, or the end; an early failure is raised here.

        Cancelled, it leaves the run.
        """
        event = await self._pulled()
        if event is not END:
            self._waiting.insert(0, event)
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __del__(self) -> None:
        exchange = getattr(self, "_exchange", None)
        events = getattr(self, "_events", None) or getattr(exchange, "opened", None)
        mine = self._process is process()
        if events is not None and mine and self._state == "open" and not events.over:
            events.incoming.drop()
            warnings.warn(
                f"a stream of {self._task} was dropped before its end; use it as a context manager",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )
