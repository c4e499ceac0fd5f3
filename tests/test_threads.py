"""What several threads share: whatever one does in the middle of what another does, neither sees a part of it."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from functools import cache
from itertools import count
from typing import Any

import anyio
import pytest
from support.interleaving import with_another_between

from headwater import InferenceClient
from headwater.auth.secret import Secret, live_secrets
from headwater.blocking.portal import LoopThread
from headwater.engine.look_ups import MAX_ENTRIES, LookUps
from headwater.protocol.transport import TransportRequest
from headwater.protocol.url import parse_url
from headwater.tasks.type_hints import LazyAnnotations
from headwater.testing import cassette
from headwater.testing.recorder import LiveExchange
from headwater.testing.scrubber import Scrubber
from headwater.transport import interposer
from headwater.transport.transports import Transports

URL = parse_url("https://acme.example/")

Case = tuple[Callable[[], Any], Callable[[], Any], Callable[[Any, Any], bool]]
"""What one thread does, what another one does meanwhile, and what must hold of what both have got."""


def is_same(one: Any, other: Any) -> bool:
    return one is other


def namespaces() -> Case:
    client = InferenceClient(base_url="https://acme.example")
    return lambda: client.chat, lambda: client.chat, is_same


def tasks() -> Case:
    client = InferenceClient(base_url="https://acme.example")
    return lambda: client.chat_completion, lambda: client.chat_completion, is_same


def pools() -> Case:
    transports = Transports(trust_env=False)
    return lambda: transports.for_url(URL), lambda: transports.for_url(URL), is_same


def routes() -> Case:
    def of_route() -> Transports:
        return transports.for_route("http://proxy.example:3128", None, None)

    transports = Transports(trust_env=False)
    return of_route, of_route, is_same


def loops() -> Case:
    dead = LoopThread()
    dead.dead = True
    return dead.successor, dead.successor, is_same


def hints() -> Case:
    found = LazyAnnotations(lambda: {"name": str})
    return lambda: dict(found), lambda: dict(found), lambda one, other: one == other == {"name": str}


def secrets() -> Case:
    kept = [Secret(f"canary-{number}-0123456789") for number in range(2)]

    def make() -> bool:
        kept.append(Secret("canary-of-another-0123456789"))
        return True

    return lambda: set(kept[:2]) <= set(live_secrets()), make, lambda one, other: one and other


def blocks() -> Case:
    """A client is made while another thread's cassette ends."""
    block, theirs = cassette("none.jsonl", "passthrough"), Context()
    theirs.run(block.__enter__)

    def end() -> None:
        theirs.run(block.__exit__, None, None, None)

    return interposer.interposer, end, lambda one, _: one in (None, block)


def pieces() -> Case:
    """A recording is written while another thread's client reads on."""
    exchange = LiveExchange(TransportRequest(method="GET", url=URL, headers=[]), b"", None)

    def read() -> bool:
        exchange.piece(b"two")
        exchange.whole(surplus=False)
        return True

    def right(one: Any, _: Any) -> bool:
        written = b"".join(bytes(piece.data) for piece in one.pieces)
        return (written, one.end) in {(b"one", "left"), (b"onetwo", "left"), (b"onetwo", "whole")}

    exchange.piece(b"one")
    return lambda: exchange.written(Scrubber(())), read, right


def look_ups() -> Case:
    """Two threads' event loops remember one more than is kept."""
    known, number = full_look_ups(), next(NUMBERS)
    one, other = f"one {number}", f"other {number}"
    return lambda: looked_up(known, one), lambda: looked_up(known, other), lambda *both: both == (one, other)


@cache
def full_look_ups() -> LookUps:
    known = LookUps()
    for number in range(MAX_ENTRIES):
        looked_up(known, str(number))
    return known


def looked_up(known: LookUps, key: str) -> Any:
    async def ask() -> str:
        return key

    try:
        known.get(key, 60.0, lambda: 0.0, ask).send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError


NUMBERS = count()


@pytest.mark.parametrize("case", [namespaces, tasks, pools, routes, loops, hints, secrets, blocks, pieces, look_ups])
def test_at_whichever_instruction_another_thread_comes_in(case: Callable[[], Case]) -> None:
    async def main() -> int:
        for step in count():
            act, other, holds = case()
            found = with_another_between(act, other, step)
            if found is None:
                return step
            assert holds(*found), f"wrong where another thread comes in at instruction {step}: {found}"
        raise AssertionError

    assert anyio.run(main) > 0
