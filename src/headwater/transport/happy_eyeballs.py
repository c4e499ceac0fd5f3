"""TCP connections: a host's addresses, and the first of them that answers (Happy Eyeballs, RFC 8305).

A thousand connections at once look a host up once, and go where the last one was answered. Refuses nothing: who may
be connected to was decided before.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from ipaddress import ip_address
from itertools import zip_longest

import anyio
from anyio import Event, Lock, create_task_group, move_on_after

from ..resolver import look_up
from .sockets import Address

Connect = Callable[[Address, float | None], Awaitable[socket.socket]]
"""Connects to an address, within so many seconds: raises `OSError`, of which `TimeoutError` is one."""

LOOK_UP_SECONDS = 10.0
"""Seconds for which a look-up holds."""
REPEAT_SECONDS = 1.0
"""Seconds in which an address that has answered must answer again, before all are tried."""
ATTEMPT_DELAY_SECONDS = 0.25
"""Seconds that an address has before the next one is tried as well (RFC 8305, section 5)."""


def literal(host: str, port: int) -> Address | None:
    """The address that a host is, which is not to be looked up."""
    try:
        version = ip_address(host).version
    except ValueError:
        return None
    return Address(socket.AF_INET6 if version == 6 else socket.AF_INET, (host, port))


class HostCache:
    """The addresses of the hosts that one event loop connects to, each kept for `LOOK_UP_SECONDS`."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], _HostAddresses] = {}

    async def connect(self, connect: Connect, host: str, port: int) -> socket.socket:
        """A connected socket; raises `OSError`, `UnicodeError`."""
        known = literal(host, port)
        if known is not None:
            return await connect(known, None)
        at = self._known.get((host, port))
        if at is None or at.until <= time.monotonic():
            self._known = {key: each for key, each in self._known.items() if each.until > time.monotonic()}
            at = self._known[host, port] = _HostAddresses()
        return await at.connect(connect, host, port)


class _HostAddresses:
    """One host, looked up by the first of those who want it at once; the others wait."""

    def __init__(self) -> None:
        self.until = time.monotonic() + LOOK_UP_SECONDS
        self._look_up_lock = Lock()
        self._addresses: list[Address] = []
        self._last_connected: Address | None = None

    async def connect(self, connect: Connect, host: str, port: int) -> socket.socket:
        if not self._addresses:
            async with self._look_up_lock:
                self._addresses = self._addresses or await addresses(host, port)
        if self._last_connected is not None:
            try:
                return await connect(self._last_connected, REPEAT_SECONDS)
            except OSError:
                self._last_connected = None
        raw = await first_connected(connect, self._addresses)
        with suppress(OSError):  # it may be over already
            self._last_connected = Address(raw.family, raw.getpeername())
        return raw


async def addresses(host: str, port: int) -> list[Address]:
    """The host's addresses, families taking turns; raises `OSError`, `UnicodeError`."""
    known = literal(host, port)
    if known is not None:
        return [known]
    found = await look_up(host, port)
    return interleaved(list(dict.fromkeys(Address(family, address) for family, _, _, _, address in found)))


def interleaved(found: list[Address]) -> list[Address]:
    # The system has sorted them (RFC 6724): its favourite goes first, then one of the other family.
    first = [address for address in found if address.family == found[0].family]
    other = [address for address in found if address.family != found[0].family]
    return [address for pair in zip_longest(first, other) for address in pair if address is not None]


async def first_connected(connect: Connect, candidates: list[Address]) -> socket.socket:
    """A connected socket; raises the first attempt's `OSError` where all failed."""
    if len(candidates) == 1:
        return await connect(candidates[0], None)
    race = _Race(connect)
    try:
        await race.run(candidates)
    except BaseException:
        if race.winner is not None:  # cancelled in the very moment in which it was won
            race.winner.close()
        raise
    if race.winner is None:
        raise race.errors[0]
    return race.winner


class _Race:
    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self.winner: socket.socket | None = None
        self.errors: list[OSError] = []

    async def run(self, candidates: list[Address]) -> None:
        async with create_task_group() as group:
            for address in candidates:
                failed = Event()
                group.start_soon(self._attempt, address, failed, group.cancel_scope)
                with move_on_after(ATTEMPT_DELAY_SECONDS):
                    await failed.wait()

    async def _attempt(self, address: Address, failed: Event, everybody: anyio.CancelScope) -> None:
        try:
            raw = await self._connect(address, None)
        except OSError as error:
            self.errors.append(error)
            failed.set()
            return
        if self.winner is None:
            self.winner = raw
            everybody.cancel()
        else:
            raw.close()
