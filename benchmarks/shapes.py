"""The typed replies that the hand-written clients decode into, and the bytes that they send.

They are headwater's own Structs, so that the limit decodes into the very same types. Refuses to do I/O.
"""

import struct
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import msgspec
import numpy as np

from benchmarks import wire
from headwater import ChatCompletionOutput, ChatCompletionStreamOutput


class _Embedding(msgspec.Struct):
    embedding: bytes  # msgspec reads base64 into bytes


class _Embeddings(msgspec.Struct):
    data: list[_Embedding]


decode_chunk = msgspec.json.Decoder(ChatCompletionStreamOutput).decode
decode_chat = msgspec.json.Decoder(ChatCompletionOutput).decode
decode_nested = msgspec.json.Decoder(list[list[float]]).decode
decode_packed = msgspec.json.Decoder(_Embeddings).decode
encode = msgspec.json.Encoder().encode


class Events:
    """Server-sent events cut at blank lines: all that the load server needs, and no more of the standard."""

    def __init__(self) -> None:
        self.rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads that these bytes complete."""
        blocks = (self.rest + data).split(b"\n\n")
        self.rest = blocks.pop()
        return [block[6:] for block in blocks if block != b"data: [DONE]"]


def texts_of(payloads: list[bytes]) -> list[str]:
    """Decode each payload into a typed chunk and take its text."""
    return [decode_chunk(payload).choices[0].delta.content or "" for payload in payloads]


def hand_over(payloads: list[bytes], take: Callable[[str], object]) -> None:
    """Decode each payload into a typed chunk and hand its text over, one after another."""
    for payload in payloads:
        take(decode_chunk(payload).choices[0].delta.content or "")


def text_of(body: bytes) -> str:
    """Decode a typed chat completion and take its text."""
    return decode_chat(body).choices[0].message.content or ""


def matrix_of(body: bytes, *, packed: bool) -> Any:
    """A float32 array out of a nested list of numbers, or out of OpenAI's answer in base64."""
    if packed:
        blobs = [item.embedding for item in decode_packed(body).data]
        return np.frombuffer(b"".join(blobs), dtype="<f4").reshape(len(blobs), -1)
    rows = decode_nested(body)
    # struct turns a list of Python floats into float32 at three times the speed of numpy.
    pack = struct.Struct(f"<{len(rows[0])}f").pack
    return np.frombuffer(b"".join([pack(*row) for row in rows]), dtype="<f4").reshape(len(rows), -1)


def chat_request(*, stream: bool, max_tokens: int = wire.MAX_TOKENS) -> bytes:
    """The JSON body of a chat completion."""
    return encode({"model": wire.MODEL, "messages": wire.MESSAGES, "max_tokens": max_tokens, "stream": stream})


def embed_request(texts: list[str], *, packed: bool) -> bytes:
    """The JSON body of an embeddings request, OpenAI's when packed and hf-inference's when not."""
    if packed:
        return encode({"model": wire.MODEL, "input": texts, "encoding_format": "base64"})
    return encode({"inputs": texts})


def post(url: str, body: bytes) -> bytes:
    """A whole HTTP/1.1 request with the headers that such clients send."""
    parts = urlsplit(url)
    head = (
        f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\nuser-agent: bench\r\naccept: */*\r\n"
        "authorization: Bearer bench\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
