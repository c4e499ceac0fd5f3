"""What the fuzzer calls: functions of bytes that raise where headwater does what it must not.

Each lets `HeadwaterError` pass for an answer and nothing else, and checks more where more is promised. No fuzzer is
needed here: the ordinary tests run every target on its seeds.
"""

from __future__ import annotations

import json
import math
import pickle
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from headwater.auth.secret import Secret
from headwater.errors import HeadwaterError, ProviderError
from headwater.media import images as media
from headwater.media import mime
from headwater.media.media import Media
from headwater.protocol.flow import END, Reply
from headwater.protocol.framing import Frame, Framing, JSONLinesFraming, SSEFraming
from headwater.protocol.url import parse_url
from headwater.providers import openai_chat as openai
from headwater.providers import urls
from headwater.responses import refusal as refusals
from headwater.responses.decode import decode
from headwater.tasks.chat_fold import ChatFold
from headwater.tasks.chat_types import ChatCompletionOutput, ChatCompletionStreamOutput
from headwater.tasks.output import Output
from headwater.transport.response_parser import ResponseParser

CANARY = "sk-Canary/of+the~mine-0123456789"
SECRET = Secret(CANARY)
LARGE = 1 << 24
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
EVENTS = ("", "message", "error", "ping")
METHODS = ("GET", "HEAD", "POST")
TASK_TYPES: tuple[Any, ...] = (ChatCompletionOutput, list[float], list[list[float]], dict[str, Any])


class Target(NamedTuple):
    """`seeds`: inputs to start from, each of another kind."""

    run: Callable[[bytes], None]
    seeds: tuple[bytes, ...]


def pieces(data: bytes, step: int) -> Iterator[bytes]:
    """The data cut every `step` bytes; 0: at places that depend on the data alone."""
    rand = random.Random(data)
    start = 0
    while start < len(data):
        end = start + (step or rand.randint(1, 9))
        yield data[start:end]
        start = end


# framings


def framed(make: Callable[[], Framing], data: bytes, step: int) -> tuple[list[Frame], bool] | str:
    """The frames and whether something was pending; the error's name where there was one."""
    framing = make()
    try:
        frames = [frame for piece in pieces(data, step) for frame in framing.feed(piece)]
        return frames + framing.finish(), framing.pending
    except HeadwaterError as error:
        return type(error).__name__


def same_for_all_cuts(kind: Callable[..., Framing], data: bytes) -> None:
    limit = data[0] if data and data[0] < 64 else LARGE
    whole, bytewise, uneven = (framed(lambda: kind(limit), data[1:], step) for step in (LARGE, 1, 0))
    assert whole == bytewise == uneven, (whole, bytewise, uneven)


def sse(data: bytes) -> None:
    same_for_all_cuts(SSEFraming, data)


def json_lines(data: bytes) -> None:
    same_for_all_cuts(JSONLinesFraming, data)


# answers


def chat(data: bytes) -> None:
    """Lines as the events of one stream, folded."""
    fold = ChatFold()
    name = EVENTS[data[0] % len(EVENTS)] if data else ""
    for line in data[1:].split(b"\n"):
        with suppress(HeadwaterError):
            event = openai.decode_chunk(Frame(line, name))
            if event is END:
                break
            if isinstance(event, ChatCompletionStreamOutput):
                fold.add(event)
    fold.complete()
    result = fold.result()
    repr((result, result.raw))


def answers(data: bytes) -> None:
    """A whole answer as the types of tasks."""
    reply = Reply(status=200, headers={"content-type": "application/json"}, body=data, url="http://h/v1")
    for kind in TASK_TYPES:
        try:
            result = decode(reply, kind)
        except HeadwaterError:
            continue
        if isinstance(result, Output):
            repr((result.raw, result.to_dict()))
        repr(result)


def refusal(data: bytes) -> None:
    """Any status, header and body; the body and a header hold a secret that was sent."""
    status = 300 + int.from_bytes(data[:2], "big") % 300
    head, _, body = data[2:].partition(b"\n\n")
    headers = dict(header(line) for line in head.split(b"\n") if b":" in line)
    headers["x-request-id"] = f"{headers.get('x-request-id', '')}{CANARY}"
    body = body.replace(b"$", CANARY.encode())
    reply = Reply(status=status, headers=headers, body=body, url="https://h.example/v1/chat/completions")
    error = refusals.error_from_response(reply, provider="p", model="m", redact=SECRET.redact, now=1.7e9)
    no_secret(error)
    sensible(error.retry_after)
    sensible(refusals.retry_after(headers, body, 1.7e9))
    sensible(refusals.retry_after(headers, body))


def header(line: bytes) -> tuple[str, str]:
    name, _, value = line.decode("latin-1").partition(":")
    return name.lower(), value.strip()


def in_band(data: bytes) -> None:
    event = EVENTS[data[0] % len(EVENTS)] if data else ""
    error = refusals.error_in_body(data[1:].replace(b"$", CANARY.encode()), event=event, redact=SECRET.redact)
    if error is not None:
        no_secret(error)
        sensible(error.retry_after)


def no_secret(error: ProviderError) -> None:
    shown = "\n".join([str(error), repr(error), error.text, repr(error.__dict__)])
    assert CANARY not in shown
    assert CANARY[-8:] not in shown
    assert CANARY[:12] not in shown
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def sensible(seconds: float | None) -> None:
    assert seconds is None or (seconds >= 0 and math.isfinite(seconds)), seconds


# HTTP


def parsed(method: str, data: bytes, step: int) -> tuple[object, ...]:
    """What a connection would see of an answer that comes in such pieces, then closes."""
    parser = ResponseParser()
    parser.expect(method)
    body = b""
    for piece in pieces(data, step):
        body += parser.feed(piece)
        if parser.failure is not None or parser.complete:
            break
    if parser.failure is not None:
        return type(parser.failure).__name__, body if parser.head_done else b""
    parser.end()
    return parser.status, parser.headers, parser.framed, parser.complete, body


def http(data: bytes) -> None:
    method = METHODS[data[0] % len(METHODS)] if data else "GET"
    whole, bytewise, uneven = (parsed(method, data[1:], step) for step in (LARGE, 1, 0))
    assert whole == bytewise == uneven, (whole, bytewise, uneven)


# media


def image(data: bytes) -> None:
    with suppress(HeadwaterError):
        media.open_image(data).close()
    repr(Media(data))


def sniffing(data: bytes) -> None:
    text = data.decode("latin-1")
    assert "/" in mime.mime_type_of(data, text, text)
    with suppress(HeadwaterError):
        mime.from_base64(data)
    with suppress(HeadwaterError):
        content, kind = mime.from_data_url(text)
        assert len(content) <= len(text.encode())
        assert "/" in kind


# URLs


def url(data: bytes) -> None:
    """What is accepted reads the same again, and has one host for every reader."""
    text = data.decode(errors="surrogateescape")
    with suppress(HeadwaterError):
        found = parse_url(text)
        assert parse_url(str(found)) == found
        parts = urlsplit(str(found))
        assert (parts.scheme, parts.hostname, parts.username) == (found.scheme, found.host, None)
        assert not any(c in found.target for c in "\r\n #"), found
        for route in (urls.CHAT, urls.EMBEDDINGS):
            assert parse_url(urls.openai_url(str(found), route)).origin == found.origin
        urls.speaks_openai(text)


def model(data: bytes) -> None:
    """No model id moves a request."""
    text = data.decode(errors="surrogateescape")
    base = "https://h.example:8443/prefix"
    with suppress(HeadwaterError):
        found = parse_url(urls.at_model(base, "/models/", text, "/end"))
        assert found.origin == "https://h.example:8443"
        assert found.target == f"/prefix/models/{text}/end"
        assert not {".", "..", ""} & set(found.target[1:].split("/"))


_CHUNK = {"id": "1", "choices": [{"index": 0, "delta": {"role": "assistant", "content": "é"}, "finish_reason": "stop"}]}
_CALL = {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":'}}
_TOOLS = {"choices": [{"index": 1, "delta": {"tool_calls": [_CALL]}}], "usage": {"prompt_tokens": 1}}
_WHOLE = {"id": "1", "choices": [{"index": 0, "message": {"role": "assistant", "content": "a"}}], "created": 1}


def _json(*values: object) -> bytes:
    return b"\n".join(json.dumps(value).encode() for value in values)


TARGETS = {
    "sse": Target(
        sse,
        (
            b"\xff\xef\xbb\xbfid: 1\r\nevent: a\rdata: {}\n\ndata:x\ndata\n\n: c\nretry: 12\n\ndata: [DONE]",
            b"\x0cdata: {}\n\ndata: 0123456789\n\n",
            b"\xffdata: a\n\ndata: b\n\ndata: c\n\nid\n\n",
        ),
    ),
    "json_lines": Target(json_lines, (b"\xff{}\n\r\n[1]\r\n \n{", b"\x04{}\n12345\n")),
    "chat": Target(
        chat,
        (
            b"\0" + _json(_CHUNK) + b"\n[DONE]",
            b"\0" + _json(_TOOLS, _TOOLS, _CHUNK),
            b"\2" + _json({"error": {"message": "m", "code": 429}}),
            b"\0" + _json({"choices": [{"index": 0, "delta": {"reasoning": "r"}, "logprobs": {"content": []}}]}),
        ),
    ),
    "answers": Target(answers, (_json(_WHOLE), b"[[1.5,2]]", _json({"error": "e", "error_type": "overloaded"}))),
    "refusal": Target(
        refusal,
        (
            b"\0\x81retry-after: Wed, 21 Oct 2026 07:28:00 GMT\nx-ratelimit-reset-tokens: 6m0s\n\n"
            + _json({"error": "$"}),
            b'\0\xcbcontent-type: text/html\nlocation: //$@h/\n\n<html><title>a $</title>{"estimated_time": 1}',
            b'\0\x64ratelimit: "default";r=0;t=30\n\n{"detail":[{"loc":["body"],"msg":"$"}],"error":{"code":1}}',
            b'\0\x64retry-after-ms: 12.5\n\n{"estimated_time": 1e3, "error": {"type": "rate_limit"}, "title": 1}',
        ),
    ),
    "in_band": Target(
        in_band, (b'\0{"error":{"message":"$","code":"429"}}', b"\2$", b'\0{"object":"error","status":500}')
    ),
    "http": Target(
        http,
        (
            b"\0HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            b"\0HTTP/1.1 103 E\r\n\r\nHTTP/1.1 200 OK\r\n" + CHUNKED + b"2;a=b\r\nhi\r\n0\r\nT: x\r\n\r\n",
            b"\0HTTP/1.0 404 No\r\nA: b\r\nA: c\r\n\r\nto the end",
            b"\1HTTP/1.1 204 No\r\nConnection: close\r\n\r\nmore",
        ),
    ),
    "image": Target(
        image,
        (
            b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\1\0\1\0\0\2\2D\1\0;",
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\0\0\0\0:~\x9bU",
            b"RIFF\x1a\0\0\0WEBPVP8L\r\0\0\0/\0\0\0\x10\x07\x10\x11\x11\x88\x88\xfe\x07\0",
            b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0\xff\xc0\0\x0b\x08\0\1\0\1\1\1\x11\0\xff\xd9",
        ),
    ),
    "sniffing": Target(
        sniffing, (b"data:image/png;base64,iVBORw0KGgo=", b"data:,a%20b", b"\0\0\0\x18ftypM4A ", b"aGk=")
    ),
    "url": Target(
        url, (b"https://h.example:8443/v1?a=b#c", b"http://[::1]:80/", b"http://u:p@h/%zz", "http://ü/".encode())
    ),
    "model": Target(model, (b"org/name:suffix", b"../..//x?y#z@h", b"@cf/a/b.c/d_e-f")),
}
