"""The bridge from blocking code: one event loop in one daemon thread, shared by every sync client of the process.

A call is one hop into the loop (`call_soon_threadsafe`) and one out of it (a lock that is released): 68 us, where
anyio's own portal takes two hops and three scopes, and 301 us (`python -m benchmarks`, the sync client against
`raw-sync`). A stream is handed over in batches: each hop brings all the events that have come.

The only place that thinks about Ctrl-C, fork and interpreter exit. It holds no logic of any call.

Whoever waits is released whatever ends the work: its own end, a cancellation before its first step, the end of the
loop. An exception that comes out of a wait and is not the work's own (Ctrl-C, or what a signal handler raises) gives
the work up: it is cancelled, its socket is closed, and a run that was read is left. While the interpreter exits, after
the loop was stopped, a call runs in its caller's own thread; once modules are torn down it is a `ClosedError`. A forked
child begins a loop of its own with its first call; a stream of its parent's is a `ForkedClientError` there. While a
process forks, the loop stands between two steps: a lock that it held inside of one, such as that of a module which is
being imported, would be held in the child for ever.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from contextvars import Context
from functools import partial
from typing import Any, Generic, TypeVar

import anyio
from anyio import Event
from anyio.lowlevel import current_token

from ..engine.event_loop import is_cancellation
from ..errors import CallError, ClosedError, cancelled_elsewhere

try:
    from sniffio import current_async_library_cvar as _library
except ImportError:  # then anyio asks nobody which event loop runs
    _library = None  # type: ignore[assignment]


T = TypeVar("T")

START_SECONDS = 30.0
STOP_SECONDS = 1.0
FORK_SECONDS = 1.0
"""How long a fork waits for the loop to come to the end of a step."""
SIGNAL_SECONDS = 0.25
"""How often a waiting thread looks for signals. CPython looks before it waits for a lock and when a signal interrupts
the wait; one that comes in between is neither, and would be felt only when the lock is free."""


class _NoThreadError(Exception):
    """No thread can be started for the loop."""


class LoopThread:
    """The loop's thread, started by the first call; it lives once. `over`: the interpreter exits; `dead`: it ended."""

    def __init__(self) -> None:
        self._starting = threading.RLock()  # a signal handler may make a call while this one's is begun
        self._claim = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ident: int | None = None
        self._begun: Future[Any] = Future()
        self._native: Any = None
        self._over: Event
        self._idle: Event
        self._parked = threading.Event()
        self._forked: list[threading.Event] = []
        self._works: set[PortalCall[Any]] = set()
        self._successors: dict[None, LoopThread] = {}
        self.over = False
        self.dead = False

    def successor(self) -> LoopThread:
        """The one that takes its place once it has died: the same one for all who ask."""
        return self._successors.get(None) or self._successors.setdefault(None, LoopThread())

    def _start(self) -> Any:
        """asyncio's loop, running. A start that Ctrl-C has interrupted is taken up by the next call."""
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                # In a context of its own: free-threaded Python would give it the caller's, who may be another event
                # loop's task, and anyio would take this thread for that loop's.
                self._thread = threading.Thread(target=Context().run, args=(self._live,), name="headwater", daemon=True)
                try:
                    self._thread.start()
                except RuntimeError as error:  # the interpreter exits, or there are too many
                    raise _NoThreadError from error
        return self._begun.result(START_SECONDS)

    def _live(self) -> None:
        if not self._claim.acquire(blocking=False):
            return  # two were started, because one's start was interrupted
        self._ident = threading.get_ident()
        cause: BaseException | None = None
        try:
            anyio.run(self._serve)
        except BaseException as error:  # noqa: BLE001 - told to whoever waits
            cause = error
        self.dead = True
        self._native = None
        if not self._begun.done():
            self._begun.set_exception(cause or loop_ended())
        for work in list(self._works):
            work.abandon(cause)

    async def _serve(self) -> None:
        self._over, self._idle = Event(), Event()
        self._native = current_token().native_token
        self._begun.set_result(self._native)
        try:
            await self._over.wait()
        except BaseException:  # somebody has stopped it: nothing more is begun here
            self.dead, self._native = True, None
            raise
        for work in list(self._works):
            work.give_up()
        if self._works:
            await self._idle.wait()
        # Connections end with the loop's generators. The loop itself is not ended: that would need a thread for its
        # executor, and none can be started any more.
        await self._native.shutdown_asyncgens()
        self._parked.set()
        await anyio.sleep_forever()

    def do(self, work: PortalCall[Any]) -> None:
        """Have this begun in the loop, with the context variables of who asks."""
        try:  # a signal handler's exception may come out of the next line already
            self._works.add(work)
            (self._native or self._start()).call_soon_threadsafe(work.begin)
        except BaseException:
            self._works.discard(work)
            raise

    def tell(self, callback: Callable[[], object]) -> None:
        """Have this called in the loop, if there is one."""
        native = self._native
        if native is not None:
            try:
                native.call_soon_threadsafe(callback)
            except RuntimeError:  # it has ended
                return

    @property
    def running(self) -> bool:
        """Whether it was started, and has not ended."""
        return self._native is not None

    def task(self, work: Coroutine[Any, Any, None]) -> Any:
        """Start a task of the loop; in its own thread."""
        return self._native.create_task(work)

    def forget(self, work: PortalCall[Any]) -> None:
        """Let go of a call that is over; in the loop's thread."""
        self._works.discard(work)
        if self.over and not self._works:
            self._idle.set()

    def inside(self) -> bool:
        """Whether the caller runs in the loop's own thread."""
        return threading.get_ident() == self._ident and not self.dead

    def hold(self) -> None:
        """The process is about to fork: have the loop stand still, and none be started."""
        self._starting.acquire(timeout=FORK_SECONDS)
        if self._thread is None or self.dead or self.over or self.inside():
            return
        try:
            self._begun.result(FORK_SECONDS)
        except Exception:  # noqa: BLE001 - whoever waits for the start is told
            return
        stands, forked = threading.Event(), threading.Event()
        self._forked.append(forked)
        self.tell(partial(_stand, stands, forked))
        stands.wait(FORK_SECONDS)

    def go_on(self) -> None:
        """The process has forked."""
        while self._forked:
            self._forked.pop().set()
        with suppress(RuntimeError):  # it was not had in time
            self._starting.release()

    def stop(self) -> None:
        """The interpreter exits: what is still under way is cancelled, and connections are closed."""
        self.over = True
        if self._native is not None:
            self.tell(lambda: self._over.set())
            self._parked.wait(STOP_SECONDS)


def _stand(stands: threading.Event, until: threading.Event) -> None:
    stands.set()
    until.wait(START_SECONDS)


_loop = LoopThread()


def shared_loop() -> LoopThread:
    """The process's loop; another one where it has died."""
    global _loop
    loop = _loop
    while loop.dead and not loop.over:
        loop = _loop = loop.successor()
    return loop


def is_shared(loop: LoopThread) -> bool:
    """Whether this is the loop that the process's calls go to: no forked child's parent's, and none that has died."""
    return loop is _loop


def loop_ended() -> ClosedError:
    """The error for a call that no loop can make any more."""
    return ClosedError("the event loop of the sync clients has ended")


def call(function: Callable[..., Awaitable[T]], *args: Any, left: Callable[[], object] | None = None) -> T:
    """Run an async function on the shared loop and wait for it.

    An exception that comes from elsewhere while it waits, Ctrl-C's or another signal handler's, comes out at once: the
    function is cancelled, and `left` is called.
    """
    loop = shared_loop()
    if loop.inside():
        raise CallError("a sync client was used inside its own event loop; use AsyncInferenceClient there")
    if loop.over:
        return _alone(function, args)
    work: PortalCall[T] = PortalCall(loop, function, args)
    try:
        loop.do(work)
        return work.result()
    except _NoThreadError:
        return _alone(function, args)
    except BaseException:
        if not work.told:
            work.leave()
            if left is not None:
                left()
        raise


def _alone(function: Callable[..., Awaitable[T]], args: tuple[Any, ...]) -> T:
    """Run in the caller's thread, while the interpreter exits and no other thread can be had."""
    if sys.is_finalizing() or _is_inside_a_loop():
        raise ClosedError("the interpreter is ending: no call can be made any more")

    found: list[T] = []

    async def run() -> None:
        found.append(await function(*args))

    try:
        anyio.run(run)
    except RuntimeError:  # a loop that has looked a name up cannot end without another thread
        if not found:
            raise
    return found[0]


def _is_inside_a_loop() -> bool:
    try:
        current_token()
    except RuntimeError:
        return False
    return True


def let_go(function: Callable[..., Awaitable[object]]) -> None:
    """Run what lets something go; once the interpreter exits there is nothing left to let go."""
    if not _loop.over:
        call(function)


def spawn(function: Callable[..., Any], *args: Any, then: Callable[[], object] | None = None) -> PortalCall[Any]:
    """Start a function, async or not, on the shared loop without waiting for it; `then` is called at its end, there."""
    work: PortalCall[Any] = PortalCall(shared_loop(), function, args, then)
    if work.loop.over:
        raise loop_ended()
    work.loop.do(work)
    return work


class PortalCall(Generic[T]):
    """One function on the loop: whoever waits for it can give it up at any moment. `told`: its error was raised.

    A task and a lock, with one hop each way: anyio's own portal takes two hops and three scopes for each call.
    """

    __slots__ = (
        "_args",
        "_done",
        "_error",
        "_function",
        "_given_up",
        "_over",
        "_task",
        "_then",
        "_value",
        "loop",
        "told",
    )

    def __init__(
        self,
        loop: LoopThread,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        then: Callable[[], object] | None = None,
    ) -> None:
        self.loop = loop
        self._function = function
        self._args = args
        self._then = then
        self._done = threading.Lock()
        self._done.acquire()
        self._value: Any = None
        self._error: BaseException | None = None
        self._task: Any = None
        self._given_up = self._over = self.told = False

    def result(self) -> T:
        """Wait for what it returns, or raises; `ClosedError` where the loop has ended."""
        while not self._done.acquire(timeout=SIGNAL_SECONDS):
            pass  # a signal that came just before the wait began is felt now, and not when the work is done
        self._done.release()
        if self._error is not None:
            error, self._error = self._error, None  # the traceback holds this object
            self.told = True
            raise error
        value: T = self._value
        return value

    @property
    def failure(self) -> BaseException | None:
        """What it has failed with, where nobody was told."""
        return self._error

    def leave(self) -> None:
        """Nobody waits for it any more: cancel it. In any thread."""
        self._given_up = True
        self.loop.tell(self.give_up)

    # -- in the loop's thread

    def begin(self) -> None:
        """Start its task, unless it was left before."""
        if self._given_up:
            self._settle()
            return
        if _library is not None:
            _library.set("asyncio")  # the caller's context may be that of another event loop's task
        self._task = self.loop.task(self._run())
        self._task.add_done_callback(self._ended)

    async def _run(self) -> None:
        try:
            value = self._function(*self._args)
            self._value = await value if isinstance(value, Awaitable) else value
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for; a SystemExit would end the loop
            self._error = cancelled_elsewhere(error) if _is_cancelled(error) else error
        finally:
            self._settle()

    def _ended(self, task: Any) -> None:
        """The task is over, perhaps before its first line."""
        if not self._over:
            self._error = cancelled_elsewhere(None) if task.cancelled() else task.exception()
            self._settle()

    def abandon(self, cause: BaseException | None) -> None:
        """The loop has ended under it."""
        if not self._over:
            self._error = loop_ended()
            self._error.__cause__ = cause
            self._settle()

    def give_up(self) -> None:
        """Cancel it; what it has returned to nobody is closed."""
        self._given_up = True
        if self._task is not None:
            self._task.cancel()
        elif self._over and (aclose := getattr(self._value, "aclose", None)) is not None:
            closing: PortalCall[Any] = PortalCall(self.loop, aclose, ())
            self.loop.do(closing)

    def _settle(self) -> None:
        self._over, self._task = True, None
        self.loop.forget(self)
        if self._then is not None:
            self._then()
        if not self.loop.over:  # else only threads that die with the process wait, and would report it
            self._done.release()


def _is_cancelled(error: BaseException) -> bool:
    if isinstance(error, Exception | GeneratorExit):  # the latter's where its loop is gone, so that nobody can be asked
        return isinstance(error, GeneratorExit)
    return is_cancellation(error)


def _forget_after_fork() -> None:
    """A forked child has no loop thread: it starts its own with its first call."""
    global _loop
    _inherited.append(_loop)  # kept, so that the parent's sockets are not closed by the child's garbage collector
    _loop = LoopThread()


_inherited: list[LoopThread] = []
if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(
        before=lambda: _loop.hold(), after_in_parent=lambda: _loop.go_on(), after_in_child=_forget_after_fork
    )
atexit.register(lambda: _loop.stop())
