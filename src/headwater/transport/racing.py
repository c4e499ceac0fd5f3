"""TCP connections: a host's addresses, and the first of them that answers (Happy Eyeballs, RFC 8305).

Refuses nothing: who may be connected to was decided before.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from itertools import zip_longest

import anyio
from anyio import Event, create_task_group, move_on_after

from .sockets import Address

Connect = Callable[[Address], Awaitable[socket.socket]]

STAGGER = 0.25
"""Seconds that an address has before the next one is tried as well (RFC 8305, section 5)."""


def literal(host: str, port: int) -> Address | None:
    """The address that a host is, which is not to be looked up."""
    try:
        version = ip_address(host).version
    except ValueError:
        return None
    return Address(socket.AF_INET6 if version == 6 else socket.AF_INET, (host, port))


async def addresses(host: str, port: int) -> list[Address]:
    """The host's addresses, families taking turns; raises `OSError`, `UnicodeError`."""
    known = literal(host, port)
    if known is not None:
        return [known]
    found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return _taking_turns(list(dict.fromkeys(Address(family, place) for family, _, _, _, place in found)))


def _taking_turns(found: list[Address]) -> list[Address]:
    # The system has sorted them (RFC 6724): its favourite goes first, then one of the other family.
    first = [address for address in found if address.family == found[0].family]
    other = [address for address in found if address.family != found[0].family]
    return [address for pair in zip_longest(first, other) for address in pair if address is not None]


async def first_connected(connect: Connect, places: list[Address]) -> socket.socket:
    """A connected socket; raises the first attempt's `OSError` where all failed."""
    if len(places) == 1:
        return await connect(places[0])
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
            raw = await self._connect(place)
        except OSError as error:
            self.errors.append(error)
            failed.set()
            return
        if self.winner is None:
            self.winner = raw
            everybody.cancel()
        else:
            raw.close()
