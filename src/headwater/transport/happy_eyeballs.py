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

KNOWN = 10.0
"""Seconds for which a look-up holds."""
PATIENCE = 1.0
"""Seconds in which an address that has answered must answer again, before all are tried."""
STAGGER = 0.25
"""Seconds that an address has before the next one is tried as well (RFC 8305, section 5)."""


def literal(host: str, port: int) -> Address | None:
    """The address that a host is, which is not to be looked up."""
    try:
        version = ip_address(host).version
    except ValueError:
        return None
    return Address(socket.AF_INET6 if version == 6 else socket.AF_INET, (host, port))


class Names:
    """The hosts that one event loop connects to."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], _Host] = {}

    async def connected(self, connect: Connect, host: str, port: int) -> socket.socket:
        """A connected socket; raises `OSError`, `UnicodeError`."""
        known = literal(host, port)
        if known is not None:
            return await connect(known, None)
        at = self._known.get((host, port))
        if at is None or at.until <= time.monotonic():
            self._known = {key: each for key, each in self._known.items() if each.until > time.monotonic()}
            at = self._known[host, port] = _Host()
        return await at.connected(connect, host, port)


class _Host:
    """One host, looked up by the first of those who want it at once; the others wait."""

    def __init__(self) -> None:
        self.until = time.monotonic() + KNOWN
        self._looking = Lock()
        self._places: list[Address] = []
        self._answered: Address | None = None

    async def connected(self, connect: Connect, host: str, port: int) -> socket.socket:
        if not self._places:
            async with self._looking:
                self._places = self._places or await addresses(host, port)
        if self._answered is not None:
            try:
                return await connect(self._answered, PATIENCE)
            except OSError:
                self._answered = None
        raw = await first_connected(connect, self._places)
        with suppress(OSError):  # it may be over already
            self._answered = Address(raw.family, raw.getpeername())
        return raw


async def addresses(host: str, port: int) -> list[Address]:
    """The host's addresses, families taking turns; raises `OSError`, `UnicodeError`."""
    known = literal(host, port)
    if known is not None:
        return [known]
    found = await look_up(host, port)
    return _taking_turns(list(dict.fromkeys(Address(family, place) for family, _, _, _, place in found)))


def _taking_turns(found: list[Address]) -> list[Address]:
    # The system has sorted them (RFC 6724): its favourite goes first, then one of the other family.
    first = [address for address in found if address.family == found[0].family]
    other = [address for address in found if address.family != found[0].family]
    return [address for pair in zip_longest(first, other) for address in pair if address is not None]


async def first_connected(connect: Connect, places: list[Address]) -> socket.socket:
    """A connected socket; raises the first attempt's `OSError` where all failed."""
    if len(places) == 1:
        return await connect(places[0], None)
    race = _Race(connect)
    try:
        await race.run(places)
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

    async def run(self, places: list[Address]) -> None:
        async with create_task_group() as group:
            for place in places:
                failed = Event()
                group.start_soon(self._attempt, place, failed, group.cancel_scope)
                with move_on_after(STAGGER):
                    await failed.wait()

    async def _attempt(self, place: Address, failed: Event, everybody: anyio.CancelScope) -> None:
        try:
            raw = await self._connect(place, None)
        except OSError as error:
            self.errors.append(error)
            failed.set()
            return
        if self.winner is None:
            self.winner = raw
            everybody.cancel()
        else:
            raw.close()
