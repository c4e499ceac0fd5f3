"""The right answer to a request, which every fault spoils: ten words, in the dialect that the request speaks.

Chat and /embeddings are OpenAI's (https://platform.openai.com/docs/api-reference/chat-streaming), "inputs" is
answered as TGI does (https://huggingface.github.io/text-generation-inference/), all else gets a 1 x 1 PNG.
Refuses nothing: a body that is no JSON object counts as an empty one.
"""

import base64
import json
import struct
import zlib
from typing import Any, NamedTuple

from headwater.emulator.fault_server.wire import Request

WORDS = tuple(f"w{i} " for i in range(10))
TEXT = "".join(WORDS)
DONE = b"data: [DONE]\n\n"
VECTOR = (0.25, -0.5, 1.0)
JSON = "application/json"
EVENT_STREAM = "text/event-stream"

Payload = dict[str, Any]


class SoundAnswer(NamedTuple):
    """A right answer: the whole body is the parts joined; a stream has one part per event."""

    content_type: str
    parts: tuple[bytes, ...]

    @property
    def body(self) -> bytes:
        return b"".join(self.parts)

    @property
    def streamed(self) -> bool:
        return self.content_type == EVENT_STREAM


def payload_of(request: Request) -> Payload:
    try:
        payload = json.loads(request.body)
    except (ValueError, RecursionError):
        return {}
    return payload if isinstance(payload, dict) else {}


def speaks_tgi(request: Request) -> bool:
    return "/chat/completions" not in request.path and "inputs" in payload_of(request)


def wants_image(request: Request) -> bool:
    """Text to image and text generation send the same body: the Accept header or the path tells which."""
    return request.headers.get("accept", "").startswith("image/") or "-to-image" in request.path


def answer(request: Request) -> SoundAnswer:
    payload = payload_of(request)
    if "/chat/completions" in request.path:
        return stream_answer(request) if payload.get("stream") is True else json_answer(completion())
    if request.path.endswith("/embeddings"):
        return json_answer(embeddings(payload))
    if "/feature-extraction" in request.path:
        return json_answer(vectors(payload.get("inputs")))
    if wants_image(request) or "inputs" not in payload:
        return SoundAnswer("image/png", (PNG,))
    return stream_answer(request) if payload.get("stream") is True else json_answer(generation())


def stream_answer(request: Request) -> SoundAnswer:
    return SoundAnswer(EVENT_STREAM, tuple(events(request)))


def json_answer(payload: object) -> SoundAnswer:
    return SoundAnswer(JSON, (encode(payload),))


def encode(payload: object) -> bytes:
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


def event(payload: object) -> bytes:
    return b"data: " + encode(payload) + b"\n\n"


# one stream, as payloads and as events


def words(request: Request, n: int = len(WORDS), suffix: str = "") -> list[Payload]:
    """The first `n` words as payloads; `suffix` stands between a word and its blank."""
    texts = [f"{word.rstrip()}{suffix} " for word in WORDS[:n]]
    if speaks_tgi(request):
        return [token(index, text) for index, text in enumerate(texts)]
    first, *rest = [{"content": text} for text in texts] or [{}]
    return [chat_chunk({"role": "assistant", **first}), *(chat_chunk(delta) for delta in rest)][:n]


def word_events(request: Request, n: int = len(WORDS)) -> list[bytes]:
    return [event(payload) for payload in words(request, n)]


def finish(request: Request) -> Payload:
    """What says that the stream is whole: a finish reason, in TGI with the text and the details."""
    if not speaks_tgi(request):
        return chat_chunk({}, "stop")
    return {**token(len(WORDS), "</s>", special=True), **generation()}


def ending(request: Request) -> list[bytes]:
    """The finish event and the [DONE] that TGI does not send."""
    last = event(finish(request))
    return [last] if speaks_tgi(request) else [last, DONE]


def events(request: Request) -> list[bytes]:
    return [*word_events(request), *ending(request)]


def chat_chunk(delta: object, finish_reason: str | None = None) -> Payload:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {**_stamp("chat.completion.chunk"), "choices": [choice]}


def token(index: int, text: str, *, special: bool = False) -> Payload:
    one = {"id": index, "text": text, "logprob": -0.5, "special": special}
    return {"index": index, "token": one, "generated_text": None, "details": None}


# whole answers


def usage() -> Payload:
    return {"prompt_tokens": 3, "completion_tokens": len(WORDS), "total_tokens": 3 + len(WORDS)}


def completion() -> Payload:
    message = {"role": "assistant", "content": TEXT}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {**_stamp("chat.completion"), "choices": [choice], "usage": usage()}


def generation() -> Payload:
    tokens = [token(index, text)["token"] for index, text in enumerate(WORDS)]
    details = {"finish_reason": "eos_token", "generated_tokens": len(WORDS), "input_length": 3, "seed": None}
    return {"generated_text": TEXT, "details": {**details, "prefill": [], "tokens": tokens}}


def embeddings(payload: Payload) -> Payload:
    """Vectors as lists, or as base64 of little-endian float32 when the request asks for that."""
    row: object = list(VECTOR)
    if payload.get("encoding_format") == "base64":
        row = base64.b64encode(struct.pack(f"<{len(VECTOR)}f", *VECTOR)).decode()
    count = len(vectors(payload.get("input")))
    rows = [{"object": "embedding", "index": index, "embedding": row} for index in range(count)]
    return {
        "object": "list",
        "model": "fault",
        "data": rows,
        "usage": {"prompt_tokens": 3, "total_tokens": 3},
    }


def vectors(texts: object) -> list[list[float]]:
    return [list(VECTOR) for _ in (texts if isinstance(texts, list) else [texts])]


def _stamp(kind: str) -> Payload:
    return {"id": "chatcmpl-fault", "object": kind, "created": 1_700_000_000, "model": "fault"}


def _png() -> bytes:
    """One grey pixel (https://www.w3.org/TR/png-3/)."""

    def section(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = section(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + section(b"IDAT", zlib.compress(b"\0\x80")) + section(b"IEND", b"")


PNG = _png()
