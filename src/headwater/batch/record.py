"""One line of a batch's output: how it is encoded, and how a whole one is told from any other bytes.

A line is one JSON object. It ends with what the runner knows of the record, and a checksum of all bytes before it:

    {"id":..,"custom_id":..,"response":..,"error":..,"headwater":{"index":0,..},"crc":"0f1e2d3c"}

The checksum is zlib's CRC-32. CRC-32C is told to be better, and is for what hardware has an instruction for: both find
every burst of up to 32 bits, which is what a torn or damaged line is, and miss one other damage in 2**32; zlib's comes
with Python. It guards against disks, not against people. Nothing is read or written here.
"""

from __future__ import annotations

from typing import Final
from zlib import crc32

import msgspec

START: Final = b'{"id":"batch_req_'
"""How every line begins."""
_CRC_LENGTH: Final = len(b',"crc":"01234567"}\n')
_META: Final = b',"headwater":'


class RecordMeta(msgspec.Struct, kw_only=True, gc=False):
    """What a line says of its record, as `headwater`.

    `index`: the input line's number, from 0. `input`: that line's CRC-32 in hexadecimal. `error`: the error's class,
    None for a success. `started`: epoch seconds. `seconds`, `answered`, `first_event`: seconds since then. `attempts`:
    how many requests it took. `in_flight`, `limit`: records under way, and how many might be, when it was done.
    `synced`: how many bytes of the file were known to be on the disk when this line was written. `run`: when the run
    that it is of began, epoch seconds, so that runs can be told from each other. `spend`: what the record cost, where
    the run was told prices.
    """

    index: int
    input: str
    error: str | None = None
    started: float = 0.0
    seconds: float = 0.0
    answered: float | None = None
    first_event: float | None = None
    attempts: int = 0
    provider: str | None = None
    model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    in_flight: int = 0
    limit: int = 0
    synced: int = 0
    run: float | None = None
    spend: float | None = None


_decoder: Final = msgspec.json.Decoder(RecordMeta)


def encode_record(members: bytes, meta: RecordMeta) -> bytes:
    """A whole line: `members` is the object's beginning, from its brace on and without the one that ends it."""
    body = members + _META + msgspec.json.encode(meta)
    return b'%b,"crc":"%08x"}\n' % (body, crc32(body))


def decode_record(line: bytes) -> RecordMeta | None:
    """What a line says of its record; None for a line that is torn or damaged."""
    at = len(line) - _CRC_LENGTH
    if at < 0 or line[at:] != b',"crc":"%08x"}\n' % crc32(line[:at]):
        return None
    start = line.rfind(_META, 0, at)  # quotes inside JSON texts have a backslash, so the last one is ours
    try:
        return _decoder.decode(line[start + len(_META) : at])
    except msgspec.MsgspecError:
        return None
