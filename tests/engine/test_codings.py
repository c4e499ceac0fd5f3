"""Content codings: all members are unpacked on every path, no label is believed against the bytes."""

from __future__ import annotations

import gzip
import json
import random
import sys
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import brotli  # type: ignore[import-untyped]
import httpx
import pytest
from support.drivers import Driver

from headwater import DecodeError, HeadwaterError, InvalidRequestError, ResponseTooLargeError, TransportError
from headwater.engine.codings import BARREN_BYTES, DECODED_PIECE_BYTES, coding_of, unpacker
from headwater.errors import ConnectionLostError, UnexpectedContentError
from headwater.testing import EVENT_STREAM, MemoryTransport, ScriptedResponse

MESSAGES = [{"role": "user", "content": "hi"}]
WAVE = b"RIFF\x24\0\0\0WAVEfmt " + bytes(range(256)) * 40
CHAT = b'{"id":"1","choices":[{"index":0,"message":{"content":"hello"},"finish_reason":"stop"}]}'
CHUNKS = (
    b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"hel"}}]}\n\n',
    b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"lo"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
)
Pack = Callable[[bytes], bytes]


def headless(data: bytes) -> bytes:
    """deflate without zlib's header, as some servers send it."""
    packing = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packing.compress(data) + packing.flush()


PACKS: dict[str, tuple[str, Pack]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("X-GZip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "deflate without a header": ("deflate", headless),
    "gzip under deflate's name": ("deflate", gzip.compress),
    "deflate under gzip's name": ("gzip", zlib.compress),
    "gzip twice": ("gzip, gzip", lambda data: gzip.compress(gzip.compress(data))),
    "gzip once, named twice": ("gzip, x-gzip", gzip.compress),
    "deflate in gzip": ("deflate, identity, gzip", lambda data: gzip.compress(zlib.compress(data))),
}
if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd
PACKS["zstd"] = ("zstd", zstd.compress)
packs = pytest.mark.parametrize("pack", PACKS.values(), ids=PACKS)


def unpack(coding: str, *pieces: bytes, shows_end: bool = False) -> bytes:
    """All that these pieces yield, driven as a body is."""
    unpacking, out = unpacker(coding_of(coding), shows_end=shows_end), []
    for piece in pieces:
        left = piece
        while packed := unpacking.packed or left:
            left = b"" if packed is left else left
            out.append(unpacking.more(packed))
    while data := unpacking.end():
        out.append(data)
    return b"".join(out)


@pytest.mark.parametrize("padding", [b"", b"\0", b"\r\n", bytes(700)])
@pytest.mark.parametrize(
    "members", [[b"{}"], [b"a" * 1000, b"b"], [b"", b"{}", b""], [b"x" * 600_000, b"1"]], ids=[*"abcd"]
)
@packs
def test_all_members_however_they_are_cut(pack: tuple[str, Pack], members: list[bytes], padding: bytes) -> None:
    if pack[1] is headless:
        padding = padding.strip()  # a block may begin so
    coding, packed = pack[0], b"".join(map(pack[1], members)) + padding
    rand = random.Random(7)
    cuttings = [[], [1], [len(packed) - 1], *(sorted(rand.choices(range(len(packed)), k=5)) for _ in range(20))]
    for cuts in cuttings:
        pieces = [packed[a:b] for a, b in zip([0, *cuts], [*cuts, len(packed)], strict=True)]
        assert unpack(coding, *pieces) == b"".join(members), cuts


@packs
def test_a_cut_anywhere_is_no_whole(pack: tuple[str, Pack]) -> None:
    first, second = pack[1](b"first, " * 9), pack[1](b"second")
    for at in range(1, len(first + second)):
        if at == len(first):
            continue
        with pytest.raises(ConnectionLostError):
            unpack(pack[0], (first + second)[:at])
    assert unpack(pack[0], first) == b"first, " * 9


@pytest.mark.parametrize("pack", [PACKS["gzip"], PACKS["deflate"]], ids=["gzip", "deflate"])
def test_what_is_no_member_at_the_end(pack: tuple[str, Pack]) -> None:
    """JSON shows that nothing is lost to it, as gzip(1) and browsers take it to be; a sound does not."""
    packed = pack[1](b"abc") + b"rubbish" * 9
    assert unpack(pack[0], packed, shows_end=True) == b"abc"
    with pytest.raises(DecodeError):
        unpack(pack[0], packed)


@pytest.mark.parametrize("barren", [bytes(64 * 1024), gzip.compress(b"") * 3000], ids=["zeros", "empty members"])
def test_what_yields_nothing_ends(barren: bytes) -> None:
    pieces = [barren] * (BARREN_BYTES // len(barren) + 2)
    with pytest.raises(DecodeError):
        unpack("gzip", gzip.compress(b"a"), *pieces)


@pytest.mark.parametrize(
    ("header", "coding"),
    [
        *((name, "") for name in (None, "", '""', "none", "None", "utf-8", "UTF-8", "identity,identity", "identity, ")),
        *((name, "gzip") for name in ("gzip", "GZIP", "x-gzip", "identity, gzip", "utf-8,gzip")),
        *((name, name) for name in ("br", "zstd", "gzip, deflate", "gzip, gzip")),
    ],
)
def test_the_coding_that_a_header_names(header: str | None, coding: str) -> None:
    assert coding_of(header) == coding


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "secret", "gzip, br"])
@pytest.mark.parametrize("body", [CHAT, b"Unauthorized", "überfüllt: später".encode(), WAVE], ids=[*"abcd"])
def test_a_body_that_is_not_packed_comes_as_it_is(coding: str, body: bytes) -> None:
    assert unpack(coding, body) == body
    assert unpack(coding, *(body[i : i + 1] for i in range(len(body)))) == body


BR = ("br", brotli.compress)
UNASKED = {"brotli": BR, "zstd": PACKS["zstd"]}
unasked = pytest.mark.parametrize("pack", UNASKED.values(), ids=UNASKED)


@unasked
@pytest.mark.parametrize("body", [b"", b"{}", CHAT, WAVE, bytes(3_000_000)], ids=[*"abcde"])
def test_what_is_not_asked_for_is_unpacked(pack: tuple[str, Pack], body: bytes) -> None:
    coding, packed = pack[0], pack[1](body)
    assert unpack(coding, packed) == body
    assert unpack(coding, *(packed[i : i + 7] for i in range(0, len(packed), 7))) == body
    for at in {1, len(packed) // 2, len(packed) - 1} - {0, len(packed)}:
        with pytest.raises(ConnectionLostError):
            unpack(coding, packed[:at])


def test_zstandard_by_its_other_package(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("zstandard")
    for name in ("compression.zstd", "backports.zstd"):
        monkeypatch.setitem(sys.modules, name, None)
    body = bytes(3_000_000) + WAVE
    packed = zstd.compress(body) + zstd.compress(b"more")
    assert unpack("zstd", packed) == body + b"more"
    assert max(map(len, pieces_of("zstd", packed))) < 4 * DECODED_PIECE_BYTES + 2_000_000


@unasked
def test_a_piece_is_bounded(pack: tuple[str, Pack]) -> None:
    assert max(map(len, pieces_of(pack[0], pack[1](bytes(20_000_000))))) <= 4 * DECODED_PIECE_BYTES


def pieces_of(coding: str, packed: bytes) -> list[bytes]:
    unpacking = unpacker(coding)
    pieces = [unpacking.more(packed)]
    while unpacking.packed or unpacking.held:
        pieces.append(unpacking.more(unpacking.packed))
    while data := unpacking.end():
        pieces.append(data)
    return pieces


@unasked
@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.anyio
async def test_without_a_package_the_error_names_the_extra(
    pack: tuple[str, Pack], status: int, anyio_backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("brotli", "brotlicffi", "compression.zstd", "backports.zstd", "zstandard"):
        monkeypatch.setitem(sys.modules, name, None)
    async with Driver("asyncio").client(
        base_url=BASE, transport=packed(pack, "text/plain", CHAT, status=status)
    ) as client:
        with pytest.raises(HeadwaterError) as caught:
            await client.chat_completion(MESSAGES)
    said = caught.value if status == 200 else caught.value.__cause__
    assert type(said) is UnexpectedContentError and "headwater[codings]" in str(said)


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "gzip, br", "gzip, gzip, gzip, gzip"])
def test_what_cannot_be_undone_is_an_error(coding: str) -> None:
    with pytest.raises((DecodeError, UnexpectedContentError, ConnectionLostError)):
        unpack(coding, b"\x8b\x02\x80\xff" * 9)


# On every path of a call.

BASE = "http://127.0.0.1:9/v1"


def packed(
    pack: tuple[str, Pack], content_type: str, *members: bytes, status: int = 200, tail: bytes = b""
) -> MemoryTransport:
    body = pack[1](b"".join(members)) if pack is BR else b"".join(map(pack[1], members)) + tail
    pieces = [body[i : i + 33] for i in range(0, len(body), 33)]
    headers = {"content-encoding": pack[0]}
    return MemoryTransport(
        lambda _: ScriptedResponse(*pieces, content_type=content_type, status=status, headers=headers)
    )


@pytest.mark.parametrize("pack", [*PACKS.values(), BR], ids=[*PACKS, "brotli"])
@pytest.mark.anyio
async def test_every_path_has_all_members(driver: Driver, pack: tuple[str, Pack], tmp_path: Path) -> None:
    halves = WAVE[:5000], WAVE[5000:], b""
    async with driver.client(base_url=BASE, transport=packed(pack, "audio/wav", *halves, tail=b"\0\0")) as client:
        assert await client.text_to_speech("hi") == WAVE
        pieces = [piece async for piece in client.text_to_speech.stream("hi")]
        assert b"".join(pieces) == WAVE
        saved = await client.text_to_speech.stream("hi").save(tmp_path / "a.wav")
        assert saved.read_bytes() == WAVE
    async with driver.client(base_url=BASE, transport=packed(pack, "application/json", CHAT[:40], CHAT[40:])) as client:
        assert (await client.chat_completion(MESSAGES)).choices[0].message.content == "hello"
    async with driver.client(base_url=BASE, transport=packed(pack, EVENT_STREAM, *CHUNKS)) as client:
        assert (await client.chat_completion.stream(MESSAGES).result()).choices[0].message.content == "hello"
    refused = packed(pack, "application/json", b'{"error":{"message":', b'"no such thing"}}', status=400)
    async with driver.client(base_url=BASE, transport=refused) as client:
        for call in (client.chat_completion(MESSAGES), client.chat_completion.stream(MESSAGES).result()):
            with pytest.raises(InvalidRequestError, match="no such thing"):
                await call


@packs
@pytest.mark.anyio
async def test_a_cut_in_the_second_member(driver: Driver, pack: tuple[str, Pack]) -> None:
    second = pack[1](WAVE[5000:])
    transport = packed(pack, "audio/wav", WAVE[:5000], tail=second[: len(second) // 2])
    async with driver.client(base_url=BASE, transport=transport, retries=0) as client:
        with pytest.raises(TransportError):
            await client.text_to_speech("hi")
        with pytest.raises(HeadwaterError):
            await client.text_to_speech.stream("hi").result()


@cache
def bomb() -> bytes:
    return gzip.compress(bytes(80 * 1024 * 1024), 1)


@pytest.mark.anyio
async def test_a_bomb_in_the_second_member(driver: Driver) -> None:
    transport = packed(PACKS["gzip"], "application/json", CHAT, tail=bomb())
    async with driver.client(base_url=BASE, transport=transport) as client:
        with pytest.raises(ResponseTooLargeError):
            await client.chat_completion(MESSAGES)


@packs
@pytest.mark.anyio
async def test_through_an_httpx_transport(driver: Driver, pack: tuple[str, Pack]) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        body = pack[1](CHAT[:40]) + pack[1](CHAT[40:])
        headers = {"content-type": "application/json", "content-encoding": pack[0]}
        return httpx.Response(200, headers=headers, stream=httpx.ByteStream(body))

    async with driver.client(base_url=BASE, transport=httpx.MockTransport(answer)) as client:
        assert (await client.chat_completion(MESSAGES)).choices[0].message.content == "hello"


@pytest.mark.parametrize("label", ["none", "utf-8", "identity,identity", "", '""', "br", "gzip", "deflate", "secret"])
@pytest.mark.anyio
@pytest.mark.dealt
async def test_a_label_of_no_coding_loses_no_word(driver: Driver, label: str) -> None:
    def client_of(body: bytes, content_type: str = "application/json", status: int = 200) -> Any:
        headers = {"content-encoding": label}
        answering = MemoryTransport(
            lambda _: ScriptedResponse(body, content_type=content_type, status=status, headers=headers)
        )
        return driver.client(base_url=BASE, transport=answering)

    async with client_of(CHAT) as client:
        assert (await client.chat_completion(MESSAGES)).choices[0].message.content == "hello"
    async with client_of(b"".join(CHUNKS), EVENT_STREAM) as client:
        assert (await client.chat_completion.stream(MESSAGES).result()).choices[0].message.content == "hello"
    async with client_of(json.dumps({"error": {"message": "too long"}}).encode(), status=400) as client:
        for call in (client.chat_completion(MESSAGES), client.chat_completion.stream(MESSAGES).result()):
            with pytest.raises(InvalidRequestError, match="too long"):
                await call
    async with client_of(WAVE, "audio/wav") as client:
        assert await client.text_to_speech("hi") == WAVE
