"""An Inference Endpoint for the length of a `with` block: started if it does not run, and given back on every way out.

    look ──▶ runs already ───────────────────────▶ wait ──▶ the block ──▶ left as it was        "detached"
        ├──▶ paused, scaled to zero ──▶ resume ──▶ wait ──▶ the block ──▶ pause, scale to zero  "given-back"
        └──▶ not there ──▶ create ───────────────▶ wait ──▶ the block ──▶ delete, ...

From the moment in which something may have been started, every way out gives it back: the end of the block, an error, a
deadline, a cancellation, Ctrl-C, also while it is still being waited for, and where nobody knows whether the request
that started it arrived. Giving back takes `GIVE_BACK_SECONDS` at most, and no cancellation from outside ends it sooner.
What could not be done is a warning that names the endpoint and says how to stop it by hand, and the `outcome`.

It does not stop what it did not start: an endpoint that ran before stays, unless `always` says otherwise.
"""

from __future__ import annotations

import warnings
from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal, Protocol, TypeAlias

import anyio
from anyio import CancelScope, current_time, get_cancelled_exc_class

from ..errors import (
    HeadwaterError,
    InferenceTimeoutError,
    InvalidParameterError,
    InvalidRequestError,
    NotFoundError,
    ProviderError,
    TransportError,
)
from ..protocol.events import EndpointState
from .addresses import page_of
from .flows import may_be_taken
from .types import EndpointInfo

After: TypeAlias = Literal["pause", "scale-to-zero", "delete", "leave"]
LeaseOutcome: TypeAlias = Literal["given-back", "detached", "unknown"]
"""`given-back`: it costs nothing any more; `detached`: it goes on, and costs money; `unknown`: nobody said."""

AFTER: Final = ("pause", "scale-to-zero", "delete", "leave")
GIVE_BACK_SECONDS: Final = 10.0
LOOKS_AFTER_RESUMPTION: Final = 6
"""In so many looks the API may still show the state that the endpoint was asked to leave."""
_STOPPED: Final = frozenset({"paused", "scaledToZero", "failed"})
LOOK_SECONDS: Final = 1.0


class LeaseCalls(Protocol):
    """What a lease asks of the API; each takes the seconds that it may last, None for no limit."""

    async def get(self, seconds: float | None) -> EndpointInfo:
        """The endpoint as it is."""
        ...

    async def create(self, seconds: float | None) -> EndpointInfo:
        """Make it."""
        ...

    async def resume(self, seconds: float | None) -> EndpointInfo:
        """Start it."""
        ...

    async def knock(self, endpoint: EndpointInfo, seconds: float | None) -> None:
        """Wake it by a request."""
        ...

    async def give_back(self, after: After, seconds: float | None) -> None:
        """Stop it in that way."""
        ...

    def wait(self, seconds: float | None, before: str | None, looks: int) -> Any:
        """The run that waits until it is well."""
        ...


class Lease:
    """One endpoint, started and given back. `enter` and `leave` once each; `leave` always, whatever came of `enter`.

    `endpoint`: as it was last seen. `before`: the state that it was found in, "" where it was not there. `outcome`: how
    it was left, None before that.
    """

    def __init__(
        self,
        calls: LeaseCalls,
        name: str,
        *,
        after: After | None,
        always: bool,
        creates: bool,
        timeout: float | None,
        each: Callable[[EndpointState], object] | None,
    ) -> None:
        if after is not None and after not in AFTER:
            raise InvalidParameterError(f"running: after is one of {', '.join(AFTER)}, not {str(after)[:40]!r}")
        if timeout is not None and (isinstance(timeout, bool) or not isinstance(timeout, int | float) or timeout <= 0):
            raise InvalidParameterError("running: timeout is a number of seconds above 0, or None")
        self.name = name
        self.endpoint: EndpointInfo | None = None
        self.before: str | None = None
        self.outcome: LeaseOutcome | None = None
        self._after: After | None = after
        self._calls, self._always, self._creates = calls, always, creates
        self._timeout, self._each = timeout, each
        self._may_run = self._is_answered = False
        self._until: float | None = None
        self._entering: anyio.Event | None = None
        self._leaving: anyio.Event | None = None

    # -- taking it

    async def enter(self) -> EndpointInfo:
        """The endpoint, once it runs and is well. Raises what starting it, or waiting for it, fails with."""
        if self._entering is not None:
            raise InvalidParameterError("a lease is entered once: ask for another one")
        self._entering = anyio.Event()
        try:
            self._until = None if self._timeout is None else current_time() + self._timeout
            looks = await self._start()
            self.endpoint = await self._wait(looks)
            return self.endpoint
        finally:
            self._entering.set()

    async def _start(self) -> int:
        """Have it running, or on its way there; how many looks may still show the state that it leaves."""
        try:
            found = self.endpoint = await self._calls.get(self._left())
        except NotFoundError:
            self.before = ""
            if not self._creates:
                raise
            self._may_run = True  # from here on nobody knows but by asking
            self.endpoint = await self._calls.create(self._left())
            self._is_answered = True
            return 0
        self.before = found.status
        if found.status not in {"paused", "scaledToZero"}:
            return 0
        self._may_run = True
        try:
            self.endpoint = await self._calls.resume(self._left())
        except InvalidRequestError:
            if found.status != "scaledToZero":
                raise
            await self._calls.knock(found, self._left())  # it wakes for whoever calls it
        self._is_answered = True
        return LOOKS_AFTER_RESUMPTION

    async def _wait(self, looks: int) -> EndpointInfo:
        async with self._calls.wait(self._left(), self.before, looks) as run:
            async for state in run:
                if self._each is not None:
                    self._each(state)
            endpoint: EndpointInfo = await run.result()
        return endpoint

    def _left(self) -> float | None:
        return None if self._until is None else max(0.001, self._until - current_time())

    # -- giving it back

    @property
    def after(self) -> After:
        """How it is given back: as it was asked for, or else as it was found; what was made here is paused."""
        found: After = "scale-to-zero" if self.before == "scaledToZero" else "pause"
        return found if self._after is None else self._after

    @property
    def by_hand(self) -> str:
        """How to stop it by hand."""
        name = self.name if self.endpoint is None else self.endpoint.full_name
        command = {"delete": "rm", "leave": "pause"}.get(self.after, self.after)
        page = "" if self.endpoint is None else f", or at {page_of(self.endpoint.namespace, self.endpoint.name)}"
        method = {"delete": "delete", "scale-to-zero": "scale_to_zero"}.get(self.after, "pause")
        return f"stop it by `headwater endpoints {command} {name}`, client.endpoints.{method}({name!r}){page}"

    async def leave(self, error: BaseException | None = None) -> None:
        """Give it back, if that is to be done; `error` is what the block is left with, and is told what was not done.

        Whoever comes second waits for whoever was first.
        """
        if self._leaving is not None:
            await self._leaving.wait()
            return
        self._leaving = anyio.Event()
        pending: BaseException | None = None
        try:
            if self._entering is not None:
                with CancelScope(shield=True):
                    await self._entering.wait()
            if not (self._may_run or (self._always and self.before)) or self.after == "leave":
                self.outcome = "given-back" if self._is_known_to_stand() else "detached"
                return
            self.outcome = "unknown"
            pending = await self._shielded(self._give_back)
            self._say(error)
        finally:
            self._leaving.set()
        if pending is not None:
            raise pending

    def _is_known_to_stand(self) -> bool:
        """Whether nothing runs that was not started here: it failed before, or is not there."""
        return not self._may_run and (self.before is None or self.before == "" or self.before in _STOPPED)

    async def _shielded(self, work: Callable[[], Awaitable[None]]) -> BaseException | None:
        """Do this whatever is cancelled, within its time. A cancellation of asyncio's own kind, which no scope holds
        off, comes once: the work is begun again, and the cancellation is given back."""
        pending: BaseException | None = None
        until = current_time() + GIVE_BACK_SECONDS
        while True:
            with CancelScope(shield=True, deadline=until) as scope:
                try:
                    await work()
                except get_cancelled_exc_class() as cancelled:
                    if pending is not None or scope.cancel_called or current_time() >= until:
                        raise
                    pending = cancelled
                    continue
            return pending

    async def _give_back(self) -> None:
        try:
            await self._calls.give_back(self.after, GIVE_BACK_SECONDS)
            self.outcome = "given-back"
        except NotFoundError:
            await self._look_for_it()
        except InvalidRequestError:  # it may be stopped already
            found = await self._calls.get(GIVE_BACK_SECONDS)
            self.outcome = "given-back" if found.status in _STOPPED else "detached"
        except (TransportError, InferenceTimeoutError):
            self.outcome = "unknown"
        except ProviderError as refused:
            self.outcome = "unknown" if may_be_taken(refused) else "detached"
        except HeadwaterError:
            self.outcome = "unknown"

    async def _look_for_it(self) -> None:
        """It is not there. Where its creation was not answered it may still come to be, and is given back then."""
        if self._is_answered or self.before:
            self.outcome = "given-back"
            return
        while True:  # until the time is over
            await anyio.sleep(LOOK_SECONDS)
            try:
                await self._calls.give_back(self.after, GIVE_BACK_SECONDS)
                self.outcome = "given-back"
                return
            except NotFoundError:
                continue

    def _say(self, error: BaseException | None) -> None:
        """Say what was not done, and how to do it."""
        if self.outcome == "given-back":
            return
        name = self.name if self.endpoint is None else self.endpoint.full_name
        state = "goes on, and costs money" if self.outcome == "detached" else "may go on, and cost money: nobody said"
        words = f"the endpoint {name} {state}; {self.by_hand}"
        if error is not None:
            error.add_note(words)
        warnings.warn(words, UserWarning, stacklevel=2)
