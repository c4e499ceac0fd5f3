"""The emulator's server: uvicorn in a daemon thread of its own, and the URL object that a test holds.

Refuses hosts that are not loopback: what it serves is for this machine's tests. It installs no signal
handlers and no logging, and leaves no thread, socket or connection behind.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import Context
from functools import partial
from typing import Any

import anyio.lowlevel
import uvicorn
from anyio.from_thread import run_sync
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from . import secrets
from .app import App
from .dialects import inference_endpoints
from .dialects.jobs import EmulatedJob
from .endpoint_lives import EmulatedEndpoint, Stage
from .traffic import RecordedRequest, Traffic

WAIT = 20.0
"""Seconds that a wait lasts unless told otherwise, and that starting and stopping may take."""


class Emulator(str):
    """The base URL of a running emulator, without a slash at its end; and what a test wants to know about it.

    The methods that wait block their thread: from async code call them by ``anyio.to_thread.run_sync``.
    """

    _traffic: Traffic
    _server: _Server
    _cdn: str

    @property
    def cdn(self) -> str:
        """The origin of the results that jobs link to: a port of its own, which refuses credentials."""
        return self._cdn

    @property
    def jobs(self) -> list[EmulatedJob]:
        """The jobs so far as they are now, oldest first: see `headwater.emulator.dialects.jobs.EmulatedJob`."""
        return self._traffic.jobs.copies()

    def job_cancelled(self, timeout: float = WAIT, *, count: int = 1) -> None:
        """Wait until ``count`` jobs have been cancelled by their clients; TimeoutError if not."""
        self._traffic.wait_for(
            lambda: sum(job.cancelled for job in self._traffic.jobs.copies()) >= count, timeout, "a job is cancelled"
        )

    def script(self, model: str, *turns: Any) -> None:
        """Have chats with this model say these turns, one after the other, and after them what they always say.

        A turn is a text, a list of calls of tools, ``[("add", {"a": 1, "b": 2})]``, or a dict with ``content`` and
        ``tool_calls``. Which turn it is says the conversation: as many are over as it has answers of the
        assistant's. Arguments that are text are sent as they are, whole JSON or not.
        """
        self._traffic.scripts.write(model, turns)

    @property
    def endpoints(self) -> list[EmulatedEndpoint]:
        """The Inference Endpoints as they are now, those that were deleted first: see
        `headwater.emulator.endpoint_lives.EmulatedEndpoint`."""
        return self._traffic.endpoints.copies()

    def endpoint(
        self,
        name: str,
        *life: Stage,
        resumed: Iterable[Stage] | None = None,
        unhealthy: int = 0,
        hangs: bool = False,
        cold: int | None = None,
        type: str = "authenticated",  # noqa: A002 - the API's own name
    ) -> str:
        """Have an Inference Endpoint of this name ("namespace/name"); its URL.

        ``life``: the stages that it goes through, one for every look at it (default: "pending", "initializing",
        "running"), and ``resumed`` those that follow a resumption. ``unhealthy``: how many health checks get a 503;
        ``hangs``: none is answered until ``url.open_gate("health of " + its name without the namespace)``. ``cold``:
        how many requests get a 503 while it wakes from having scaled to zero (default: none where they say by
        ``X-Scale-Up-Timeout`` how long they wait, else 2).
        """
        namespace, _, own = name.rpartition("/")
        made = EmulatedEndpoint(
            namespace or inference_endpoints.USER,
            own,
            {**inference_endpoints.USUAL, "name": own, "type": type},
            list(life),
            unhealthy=unhealthy,
            hangs=hangs,
            cold=cold,
        )
        if resumed is not None:
            made.resumed = tuple(resumed)
        self._traffic.endpoints.add(made)
        return f"{self}/at-endpoint/{made.id}"

    @property
    def requests(self) -> list[RecordedRequest]:
        """The requests so far, oldest first, the last 4,096 of them; credentials masked."""
        with self._traffic.changed:
            return list(self._traffic.requests)

    @property
    def connections(self) -> int:
        """How many connections are open now."""
        return self._traffic.connections

    @property
    def accepted(self) -> int:
        """How many connections there have been."""
        return self._traffic.accepted

    @property
    def disconnections(self) -> int:
        """How many clients went away before they had their whole answer."""
        return self._traffic.disconnected

    def disconnected(self, timeout: float = WAIT, *, count: int = 1) -> None:
        """Wait until ``count`` clients went away before they had their whole answer; TimeoutError if not."""
        done = "a client went away" if count == 1 else f"{count} clients went away"
        self._traffic.wait_for(lambda: self._traffic.disconnected >= count, timeout, done)

    def wait_for(self, condition: Callable[[], bool], timeout: float = WAIT) -> None:
        """Wait until ``condition()``, which is asked anew when anything changes here; TimeoutError if not.

        For instance ``url.wait_for(lambda: url.connections == 0)``.
        """
        self._traffic.wait_for(condition, timeout, "the condition holds")

    def open_gate(self, name: str) -> None:
        """Let the answers go that wait, or will wait, behind ``x-emulator-gate: name``."""
        self._server.call(lambda: self._traffic.gate(name).set())

    def forget(self) -> None:
        """Forget jobs, scripts, what was recorded and counted, which models have loaded, and which gates are open."""
        self._traffic.forget()


@contextmanager
def serve(*, host: str, port: int, api_keys: Iterable[str] | None) -> Iterator[Emulator]:
    """See `headwater.emulator.running`."""
    keys = None if api_keys is None else frozenset(map(secrets.digest, api_keys))
    if keys is not None and not keys:
        raise ValueError("api_keys is empty: no request could be answered; leave it out to need no key")
    listening = listener(host, port)
    try:
        results = listener(host, 0)
    except OSError:
        listening.close()
        raise
    traffic = Traffic()
    server = _Server(traffic, App(traffic, keys, origin(results)))
    run = partial(Context().run, server.run, [listening, results])  # free-threaded Python would inherit the caller's
    thread = threading.Thread(target=run, name="headwater-emulator", daemon=True)
    thread.start()
    try:
        server.wait_started()
        yield running_at(origin(listening), origin(results), traffic, server)
    finally:
        server.stop()
        thread.join(WAIT)


def listener(host: str, port: int) -> socket.socket:
    """A listening socket on a loopback address."""
    address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    if not address.is_loopback:
        raise ValueError(f"the emulator listens on loopback addresses only, not on {host}")
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    return socket.create_server((str(address), port), family=family, backlog=2048)


def origin(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def running_at(url: str, cdn: str, traffic: Traffic, server: _Server) -> Emulator:
    emulator = Emulator(url)
    emulator._traffic, emulator._server, emulator._cdn = traffic, server, cdn
    return emulator


class _Counted(HttpToolsProtocol):
    """A connection that reports its beginning and its end to ``traffic``."""

    def __init__(self, *args: Any, traffic: Traffic, **options: Any) -> None:
        super().__init__(*args, **options)
        self.traffic = traffic

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        connection: Any = transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else a second write waits 40 ms for an ACK
        self.traffic.connected()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.traffic.closed()


class _Server(uvicorn.Server):
    """uvicorn's server, with a way for other threads to know that it runs and to make it end."""

    def __init__(self, traffic: Traffic, app: App) -> None:
        config = uvicorn.Config(
            app,
            http=partial(_Counted, traffic=traffic),  # type: ignore[arg-type]
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=3600,
            timeout_graceful_shutdown=1,
        )
        super().__init__(config)
        self.traffic = traffic
        self.ready = threading.Event()
        self.token: anyio.lowlevel.EventLoopToken | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.token = anyio.lowlevel.current_token()
        self.ready.set()

    def wait_started(self) -> None:
        if not self.ready.wait(WAIT):
            raise RuntimeError(f"the emulator did not start within {WAIT} s")

    def call(self, function: Callable[[], object]) -> None:
        """Call ``function`` in the server's thread, and wait for it."""
        run_sync(function, token=self.token)

    def stop(self) -> None:
        """Drop all connections and end: a test that is over has no use for the rest of an answer."""
        self.traffic.stopping = True
        self.should_exit = True
        if self.token is not None:
            self.call(self.drop)

    def drop(self) -> None:
        for connection in list(self.server_state.connections):
            transport: Any = connection.transport
            transport.abort()
