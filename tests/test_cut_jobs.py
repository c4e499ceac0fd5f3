"""A queued job, every one of whose answers is cut at every byte: it is whole, or a typed error says what is wrong.

A question that is cut is asked again; a submission never is, for it would be paid for twice. Through the pool and its
parser, without sockets.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from support.drivers import Driver
from support.scripted_stream import END, FarSide, Step, chunks, head

from headwater import DecodeError, HeadwaterError, TransportError
from headwater.transport.pool import Pool

pytestmark = pytest.mark.anyio

EVERY = {"uvloop": 1, "trio": 11, "asyncio": 17, "sync": 17}
JSON = "application/json"
FILE = b"\x00\x00\x00\x18ftypisom" + bytes(range(60))
FILE_URL = "https://8.8.8.8/out.mp4"
LENGTH, CHUNKED, CLOSE = "Content-Length: {}", "Transfer-Encoding: chunked", "Connection: close"


class Vendor(NamedTuple):
    """A job's answers in the order in which they come; the first is the submission's."""

    provider: str
    answers: tuple[dict[str, Any], ...]


FAL = Vendor(
    "fal-ai",
    (
        {"request_id": "r1", "response_url": "https://queue.fal.run/org/m/requests/r1", "status": "IN_QUEUE"},
        {"status": "IN_QUEUE", "queue_position": 2},
        {"status": "IN_PROGRESS", "logs": [{"message": "half way"}]},
        {"status": "COMPLETED", "logs": [{"message": "half way"}, {"message": "done"}]},
        {"video": {"url": FILE_URL, "content_type": "video/mp4"}},
    ),
)
REPLICATE = Vendor(
    "replicate",
    (
        {"id": "p1", "status": "starting", "urls": {"get": "https://api.replicate.com/v1/predictions/p1"}},
        {"id": "p1", "status": "processing", "logs": "50%|", "output": None},
        {"id": "p1", "status": "succeeded", "logs": "50%|100%|", "output": FILE_URL},
    ),
)


class Place(NamedTuple):
    """Where one answer is cut: after `at` bytes of the body as it is on the wire."""

    answer: int
    framing: str
    at: int


class Far:
    """Gives a job's answers in turn, one of them cut the first time that it is given."""

    def __init__(self, vendor: Vendor) -> None:
        self.vendor = vendor
        self.side = FarSide(self.script)
        self.cut: Place | None = None
        self.turn = 0
        self.asked: Counter[str] = Counter()

    def again(self, cut: Place | None) -> None:
        self.cut, self.turn = cut, 0
        self.asked.clear()

    def script(self, request: bytes) -> Iterator[Step]:
        method = request.partition(b" ")[0].decode()
        is_file = b"Host: 8.8.8.8" in request
        self.asked["file" if is_file else method] += 1
        if method not in {"POST", "GET"} or request.startswith(b"POST /v1/predictions/p1/cancel"):
            yield head(JSON, LENGTH.format(2)) + b"{}"
            return
        turn = len(self.vendor.answers) if is_file else self.turn
        body = FILE if is_file else json.dumps(self.vendor.answers[turn]).encode()
        cut, kind = self.cut, "video/mp4" if is_file else JSON
        if cut is None or cut.answer != turn:
            self.turn += not is_file
            yield head(kind, LENGTH.format(len(body))) + body
            return
        self.cut = None
        yield head(kind, cut.framing.format(len(body))) + on_the_wire(body, cut.framing)[: cut.at]
        yield END


def on_the_wire(body: bytes, framing: str) -> bytes:
    return chunks(body, 23) if framing == CHUNKED else body


def places(vendor: Vendor) -> Iterator[Place]:
    """Every byte of every answer; a file whose end nothing tells may be cut anywhere."""
    bodies = [*(json.dumps(answer).encode() for answer in vendor.answers), FILE]
    for answer, body in enumerate(bodies):
        for framing in (LENGTH, CHUNKED, CLOSE):
            if framing != CLOSE or body is not FILE:
                for at in range(len(on_the_wire(body, framing))):
                    yield Place(answer, framing, at)


async def judge(client: Any, far: Far, place: Place) -> str:
    """How the job ended."""
    far.again(place)
    run = client.text_to_video.stream("waves")
    error: HeadwaterError | None = None
    async with run:
        try:
            assert bytes(await run.result()) == FILE, place
        except HeadwaterError as raised:
            error = raised
    assert far.asked["POST"] - (far.vendor is REPLICATE and run.outcome == "cancelled") == 1, place
    assert (run.job is None) == (place.answer == 0 and error is not None), place
    if error is None:
        assert run.outcome == "complete"
        return "whole"
    assert isinstance(error, (TransportError, DecodeError)), (place, error)
    assert (error.provider, error.task) == (far.vendor.provider, "text-to-video")
    # who cut it said so: asked again, where asking costs nothing
    assert place.answer == 0 or place.framing == CLOSE, (place, error)
    assert error.attempts
    return "typed"


@pytest.mark.parametrize("vendor", [FAL, REPLICATE], ids=lambda vendor: vendor.provider)
async def test_cut_at_every_byte_of_every_answer(
    driver: Driver, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADWATER_TEST_MODE", "1")
    far = Far(vendor)
    monkeypatch.setattr("headwater.transport.pool.dial", far.side.dial)
    options = {"provider": vendor.provider, "api_key": "key-of-a-test", "model_mapping": {"org/m": "org/m"}}
    found, ends = list(places(vendor))[:: EVERY[driver.name]], Counter[str]()
    for start in range(0, len(found), 50):  # a client's quota of retries is for some hundred
        async with driver.client("org/m", transport=Pool(), **options) as client:
            ends.update([await judge(client, far, place) for place in found[start : start + 50]])
    assert ends.total() == len(found)
    assert min(ends["whole"], ends["typed"]) > 0
