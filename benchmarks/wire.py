"""What the load server sends and what every client must have received, built once and shared by both.

Refuses to know sockets, clients or clocks. The parameters of a piece of work are in the URL's path, so that
any client can ask for it by its base URL: `/chat`, `/stream-2000`, `/paced-20ms-50`, `/embed-100x1024`.
"""

import array
import base64
import functools
import json
import random

Messages = list[dict[str, str]]

MODEL = "bench"
MAX_TOKENS = 100
MESSAGES: Messages = [
    {"role": "system", "content": "You are a helpful assistant."},
    {"role": "user", "content": "Where does a river begin, and how would one find the place on a map?"},
]
CHAT_TEXT = "A river begins at its headwater: a spring, a lake or the foot of a glacier. " * 4
WORDS = [" river", " the", " naïve", " 水", '\n"quoted"', " headwater", ",", " and", " so", " on"]


def token(index: int) -> str:
    """The content of chunk number `index` of every stream."""
    return WORDS[index % len(WORDS)]


@functools.cache
def stream_text(chunks: int) -> str:
    """The whole text of a stream of that many chunks."""
    return "".join(token(index) for index in range(chunks))


@functools.cache
def event(index: int, *, last: bool) -> bytes:
    """One server-sent event in the shape of OpenAI's `chat.completion.chunk`."""
    choice = {
        "index": 0,
        "delta": {"role": "assistant", "content": token(index)},
        "logprobs": None,
        "finish_reason": "stop" if last else None,
    }
    chunk = {
        "id": "chatcmpl-Bq1xvb3nQyZ0a7",
        "object": "chat.completion.chunk",
        "created": 1790000000,
        "model": MODEL,
        "system_fingerprint": "fp_3f2c",
        "choices": [choice],
    }
    return b"data: " + _json(chunk) + b"\n\n"


@functools.cache
def frames(chunks: int) -> list[bytes]:
    """The events of a stream, each as one chunk of a chunked HTTP body; the last one ends the body."""
    events = [event(index, last=index == chunks - 1) for index in range(chunks)]
    built = [_http_chunk(data) for data in events]
    built[-1] += stream_end()
    return built


STAMP = "0" * 19
"""In place of a text: nanoseconds of the machine's monotonic clock, always as many digits."""


@functools.cache
def stamped(*, last: bool) -> tuple[bytes, bytes]:
    """What comes before and behind the stamp of an event whose text is the time at which it was written."""
    before, _, behind = event(0, last=last).replace(_json(token(0)), b'"' + STAMP.encode() + b'"').partition(b"0" * 19)
    size = len(before) + len(STAMP) + len(behind)
    return b"%x\r\n%b" % (size, before), behind + b"\r\n"


@functools.cache
def stream_end() -> bytes:
    """The end marker, and the end of a body in chunks."""
    return _http_chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


@functools.cache
def chat_body() -> bytes:
    """A whole `chat.completion`."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": CHAT_TEXT},
        "logprobs": None,
        "finish_reason": "stop",
    }
    answer = {
        "id": "chatcmpl-Bq1xvb3nQyZ0a7",
        "object": "chat.completion",
        "created": 1790000000,
        "model": MODEL,
        "system_fingerprint": "fp_3f2c",
        "choices": [choice],
        "usage": {"prompt_tokens": 31, "completion_tokens": 72, "total_tokens": 103},
    }
    return _json(answer)


@functools.cache
def message_body() -> bytes:
    """The same in Anthropic's words."""
    answer = {
        "id": "msg_01Bq1xvb3nQyZ0a7",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": [{"type": "text", "text": CHAT_TEXT}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 31, "output_tokens": 72},
    }
    return _json(answer)


def mcp_body(request: bytes) -> bytes:
    """What an MCP server without sessions answers to this message; b"" to a notification."""
    asked = json.loads(request)
    tools = [{"name": "chat", "inputSchema": {"type": "object"}}]
    results = {
        "initialize": {
            "protocolVersion": asked.get("params", {}).get("protocolVersion"),
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "load", "version": "1"},
        },
        "tools/list": {"tools": tools},
        "tools/call": {"content": [{"type": "text", "text": CHAT_TEXT}], "isError": False},
    }
    if "id" not in asked:
        return b""
    return _json({"jsonrpc": "2.0", "id": asked["id"], "result": results[asked["method"]]})


@functools.cache
def vectors(count: int, width: int) -> list[list[float]]:
    """`count` embeddings of `width` floats, the same in every process.

    They are float32 written with a double's 16 or 17 digits, as servers that go through Python or C++ doubles
    send them.
    """
    source = random.Random(f"{count}x{width}")
    return [array.array("f", (source.gauss(0, 0.03) for _ in range(width))).tolist() for _ in range(count)]


@functools.cache
def native_embeddings(count: int, width: int) -> bytes:
    """The hf-inference and TEI answer: a bare nested list."""
    return _json(vectors(count, width))


@functools.cache
def openai_embeddings(count: int, width: int, *, packed: bool) -> bytes:
    """The OpenAI answer; `packed` is `encoding_format="base64"`: little-endian float32."""
    data = [
        {"object": "embedding", "index": index, "embedding": _packed(row) if packed else row}
        for index, row in enumerate(vectors(count, width))
    ]
    usage = {"prompt_tokens": count, "total_tokens": count}
    return _json({"object": "list", "data": data, "model": MODEL, "usage": usage})


def _packed(row: list[float]) -> str:
    return base64.b64encode(array.array("f", row).tobytes()).decode()


def _http_chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
