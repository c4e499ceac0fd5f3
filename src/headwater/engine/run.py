"""One call, as its caller sees it: a context manager, an iterator of events, a result, and what is known of it.

A run is read by one task at a time. Leaving it in any way closes its socket. Its driver advances it.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, cast

from ..errors import Attempt, HeadwaterError
from ..protocol.flow import END
from ..protocol.under_way import not_copied
from .driver import CallDriver, another_reader, was_left
from .engine import Engine
from .facts import CallRequest, Facts, Outcome, Timings

if TYPE_CHECKING:
    from pathlib import Path

    from ..protocol.events import Job, Loading, Transferred
    from .hedge import Hedge
    from .watch import Watch

E = TypeVar("E")
R = TypeVar("R")


class AsyncRun(Generic[E, R]):
    """A call under way: a context manager, and an iterator of its events.

    `async for event in run` hands over events as they come; `await run.result()` reads to the end and returns what the
    plain call returns. `run.partial` is what came so far. Leaving the `async with` before the end cancels the call at
    the far side.

    A read of an event that is cancelled, by a deadline of the caller's own for one, loses nothing: the next read goes
    on with what came meanwhile. Where it cannot (the request was on its way, and would have to be paid for twice) the
    run is left, and reading it is a `ClosedError`, as it is after `close()`; it never looks like an end.
    """

    _hedge: Hedge | None = None
    _dropped = False
    __reduce_ex__ = not_copied

    def __init__(self, engine: Engine, request: CallRequest, watch: Watch | None = None) -> None:
        self._driver = CallDriver(engine, request, watch=watch)
        self._show = request.show
        if request.hedge_after is not None:
            from .hedge import Hedge

            self._hedge = Hedge(engine, request, self._driver)

    # -- what is known about it

    @property
    def facts(self) -> Facts:
        """What is known of the call, as a value that outlives the run."""
        return self._driver.facts

    @property
    def job(self) -> Job | None:
        """The provider's job, once it was taken."""
        return self._driver.job

    @property
    def outcome(self) -> Outcome | None:
        """How the run ended; None before that."""
        return self._driver.outcome

    @property
    def provider(self) -> str:
        """The provider that was asked."""
        return self._driver.plan.provider

    @property
    def model(self) -> str | None:
        """The model, as the caller named it."""
        return self._driver.plan.model

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """Every try so far."""
        return tuple(self._driver.requester.attempts)

    @property
    def headers(self) -> dict[str, str]:
        """The newest answer's headers, by lower-case name."""
        return self._driver.requester.headers

    @property
    def status(self) -> int:
        """The newest answer's HTTP status; 0 before there is one."""
        return self._driver.requester.status

    @property
    def upload(self) -> Transferred | None:
        """How much of a large body has been sent; None where the newest request has none."""
        from ..protocol import events

        body = self._driver.requester.upload
        return None if body is None else events.Transferred("upload", body.sent, body.length)

    @property
    def request_id(self) -> str | None:
        """The server's name for the newest request."""
        return self._driver.requester.request_id

    @property
    def timings(self) -> Timings:
        """Seconds from the call's start to what has happened so far."""
        return self._driver.timings

    @property
    def bytes(self) -> int:
        """Decoded bytes received for the newest answer."""
        driver = self._driver
        return driver.requester.size if driver.events is None else driver.events.size

    @property
    def partial(self) -> R | None:
        """What has come so far, folded as the result would be; None before the first event of a stream."""
        driver = self._driver
        if driver.state == "done":
            return cast("R", driver.value())
        if driver.events is None or not driver.events.count:
            return None
        return cast("R", driver.events.fold.result())

    def watch(self, each: Callable[[Loading], object] | None) -> Self:
        """Have this called when the call waits for a cold model, as an Inference Endpoint is that scaled to zero.

        It is called in the event loop's thread, which it must not block. Returns the run itself.
        """
        self._driver.requester.watcher = each
        return self

    def redact(self, text: str) -> str:
        """The text with the call's credentials masked."""
        return self._driver.plan.credentials.redact(text)

    # -- reading it

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> E:
        driver = self._driver
        events = driver.events
        event = None if events is None or driver.waiting else events.take()
        if event is None:
            event = await (driver.next_event() if self._hedge is None else self._next_event())
            if event is END:
                raise StopAsyncIteration
        shown: E = event if self._show is None else self._show(event)
        return shown

    async def result(self) -> R:
        """Read to the end and return what the plain call returns; events not yet handed over are not any more.

        Cancelled, it leaves the run: it is the call, and nobody may be there to read on.
        """
        if self._hedge is not None:
            await self._next_or_leave()
        found: R = await self._driver.result()
        return found

    get_final_response = get_final_message = result
    """OpenAI's name, in its Responses, and Anthropic's."""

    async def save(self, path: str | os.PathLike[str], *, each: Callable[[E], object] | None = None) -> Path:
        """Read to the end with the result written to a file, and return its path.

        A result that is downloaded goes straight to the disk, however large: the file is written beside its place and
        renamed when it is whole. Events that come meanwhile go to `each`, in the event loop's thread.

        Raises `InputError` where the file cannot be written, and `InvalidParameterError` for a result that is no
        image, sound or video.
        """
        from .save import SavedFile

        async with SavedFile(path) as file:
            self._driver.file, self._hedge = file, None
            try:
                async for event in self:
                    if each is not None:
                        each(event)
            except BaseException:
                await self.close()
                raise
            finally:
                self._driver.file = None
            return await file.keep(await self.result())

    async def drain(self) -> list[E]:
        """At least one event, and all others that are there already; [] at the end."""
        event = await self._next_event()
        if event is END:
            return []
        driver = self._driver
        read = [event, *driver.waiting]
        driver.waiting.clear()
        while driver.events is not None and (event := driver.events.take()) is not None:
            read.append(event)
        return read if self._show is None else [self._show(event) for event in read]

    async def start(self) -> Self:
        """Wait until there is an event to hand over, or the end; an early failure is raised here.

        Cancelled, it leaves the run.
        """
        event = await self._next_or_leave()
        if event is not END:
            self._driver.put_back(event)
        return self

    async def _next_event(self) -> Any:
        """The next event, END at the end; the first one of a call that may be hedged is raced for."""
        hedge = self._hedge
        if hedge is not None:
            if hedge.running:
                raise another_reader()
            try:
                await hedge.run()
            finally:
                self._driver, self._hedge = hedge.winner, None
            if hedge.left:
                raise was_left()
        return await self._driver.next_event()

    async def _next_or_leave(self) -> Any:
        try:
            return await self._next_event()
        except HeadwaterError:
            raise
        except BaseException:
            await self.close()
            raise

    # -- leaving it

    async def close(self) -> None:
        """Leave the run: its socket is closed, and its job cancelled. Idempotent.

        In a forked child it does nothing: the run goes on in the parent.
        """
        if self._hedge is not None and not self._driver.is_forked:
            self._hedge.leave()
            self._driver, self._hedge = self._hedge.winner, None
        await self._driver.close()

    aclose = close

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __del__(self) -> None:
        self.drop()

    def drop(self) -> None:
        """Let go of it, from any thread or finalizer: nobody holds it any more. Its socket is shut, and who has dropped
        a stream is warned. Idempotent."""
        driver = None if self._dropped else getattr(self, "_driver", None)
        self._dropped = True
        if driver is not None and driver.state == "open" and not driver.is_forked:
            driver.requester.drop()
            driver.tell_of_end()
        events = None if driver is None else driver.events or driver.requester.opened
        if events is None or driver is None or driver.state != "open" or driver.is_forked or events.over:
            return
        events.incoming.drop()
        warnings.warn(
            f"a stream of {driver.plan.task} was dropped before its end; use it as a context manager",
            ResourceWarning,
            stacklevel=2,
            source=self,
        )
