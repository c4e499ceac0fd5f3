"""Faults of a body: its length, where it is cut, its compression, and JSON that is broken or hostile.

Refuses nothing: what a fault does is its line in the table of `faults`. No bomb is ever held unpacked.
"""

import gzip
import json
import struct
import threading
import zlib
from functools import lru_cache

from headwater.emulator.fault_server.answers import JSON, answer
from headwater.emulator.fault_server.wire import FaultConnection, Request

MIB = 1024 * 1024
_PACKING = threading.Lock()


def _send(conn: FaultConnection, request: Request, body: bytes, *lengths: int) -> None:
    """The body under one or more Content-Length headers, true or not."""
    fields = [("Content-Length", str(length)) for length in lengths]
    conn.send(conn.head(200, answer(request).content_type, *fields) + body)


# length


def length_too_long(conn: FaultConnection, request: Request, by: int = 100) -> None:
    body = answer(request).body
    _send(conn, request, body, len(body) + by)
    conn.close()


def length_too_short(conn: FaultConnection, request: Request) -> None:
    """The whole body is sent, and the connection stays open: the rest must not pass for the next answer."""
    body = answer(request).body
    _send(conn, request, body, len(body) // 2)


def length_short_by_one(conn: FaultConnection, request: Request) -> None:
    body = answer(request).body
    _send(conn, request, body, len(body) - 1)


def length_twice(conn: FaultConnection, request: Request) -> None:
    body = answer(request).body
    _send(conn, request, body, len(body), len(body) // 2)


def cut(conn: FaultConnection, request: Request, at: int = 100, framing: str = "chunked") -> None:
    """The first `at` bytes of the right body.

    framing: chunked (no last chunk), chunked_end (with one), length (the whole body's), eof (none).
    """
    body, kind = answer(request).body, answer(request).content_type
    if framing == "length":
        _send(conn, request, body[:at], len(body))
    elif framing == "eof":
        conn.send(conn.head(200, kind, ("Connection", "close")) + body[:at])
    else:
        conn.start_chunks(200, kind)
        conn.chunk(body[:at])
        if framing == "chunked_end":
            conn.end_chunks()
    conn.close()


# gzip


def gzip_bomb(conn: FaultConnection, request: Request, mb: int = 1024) -> None:
    _send_gzip(conn, 200, answer(request).content_type, bomb(mb))


def gzip_bomb_error(conn: FaultConnection, request: Request, mb: int = 1024) -> None:
    _send_gzip(conn, 400, JSON, bomb(mb))


def gzip_truncated(conn: FaultConnection, request: Request) -> None:
    packed = gzip.compress(answer(request).body)
    _send_gzip(conn, 200, answer(request).content_type, packed[: len(packed) // 2])


def gzip_corrupt(conn: FaultConnection, request: Request) -> None:
    """The first byte of the deflate data announces a block of a type that does not exist."""
    packed = bytearray(gzip.compress(answer(request).body))
    packed[10] |= 0b110
    _send_gzip(conn, 200, answer(request).content_type, bytes(packed))


def _send_gzip(conn: FaultConnection, status: int, content_type: str, packed: bytes) -> None:
    conn.reply(status, content_type, packed, ("Content-Encoding", "gzip"))


def bomb(mb: int) -> bytes:
    """`mb` MiB of zeros in gzip, packed once even when many ask at once: 1 GB takes half a second."""
    with _PACKING:
        return _packed_zeros(mb)


@lru_cache(maxsize=2)
def _packed_zeros(mb: int) -> bytes:
    """`mb` MiB of zeros as one gzip member (RFC 1952) of about `mb` KiB.

    A flush that forgets its history makes every block alike, so one is compressed and repeated.
    """
    zeros, check = bytes(MIB), 0
    for _ in range(mb):
        check = zlib.crc32(zeros, check)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = deflate.compress(zeros) + deflate.flush(zlib.Z_FULL_FLUSH)
    trailer = struct.pack("<II", check, mb * MIB & 0xFFFFFFFF)
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + block * mb + deflate.flush() + trailer


# JSON


def big_json(conn: FaultConnection, request: Request, mb: int = 210) -> None:
    """A right whole answer with a list of `mb` MiB in an unknown field; never held here."""
    head, tail = json.dumps({**_object(request), "padding": ["@"]}).encode().split(b'"@"')
    block = b"0," * (MIB // 2)
    conn.start_chunks(200, JSON)
    conn.chunk(head)
    for _ in range(mb):
        conn.chunk(block)
    conn.chunk(b"0" + tail)
    conn.end_chunks()


def _object(request: Request) -> dict[str, object]:
    """The right whole answer where it is a JSON object, else an empty one."""
    right = answer(request)
    found = json.loads(right.body) if right.content_type == JSON else {}
    return found if isinstance(found, dict) else {}


def deep_json(conn: FaultConnection, request: Request, depth: int = 100_000) -> None:
    _graft(conn, request, b'"deep":' + b"[" * depth + b"]" * depth)


def big_int(conn: FaultConnection, request: Request, digits: int = 200_000) -> None:
    """In `created`, which clients read as a number; the right value follows."""
    _graft(conn, request, b'"created":' + b"7" * digits)


def _graft(conn: FaultConnection, request: Request, member: bytes) -> None:
    """The right answer with `member` as the first of its first object (of its first event, in a stream)."""
    right = answer(request)
    if right.streamed or right.body.startswith(b"{"):
        grafted = right.body.replace(b"{", b"{" + member + b",", 1)
        conn.reply(200, right.content_type, grafted)
    else:
        conn.reply(200, JSON, b"{" + member + b"}")


def json_truncated(conn: FaultConnection, request: Request) -> None:
    right = answer(request)
    conn.reply(200, right.content_type, right.body[: len(right.body) // 2])


def json_wrong_types(conn: FaultConnection, request: Request) -> None:
    wrong = {"id": 7, "object": [], "choices": "none", "usage": [], "generated_text": 7, "data": "none"}
    conn.reply(200, JSON, json.dumps(wrong).encode())
