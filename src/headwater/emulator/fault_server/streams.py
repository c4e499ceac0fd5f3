"""Faults of event streams. They answer with `text/event-stream` whatever was asked, so a request for a whole
answer meets a wrong content type too.

The line rules that half of them probe: https://html.spec.whatwg.org/multipage/server-sent-events.html
Refuses nothing: what a fault does is its line in the table of `faults`.
"""

import json
import re
from itertools import count

from headwater.emulator.fault_server import answers as answers
from headwater.emulator.fault_server.answers import DONE, ending, event, events, finish, word_events, words
from headwater.emulator.fault_server.wire import FaultConnection, Request

MIB = 1024 * 1024
FILL = b"a" * (64 * 1024)
# A CR line end must not be followed by an LF of its own: together they would be one line end.
LINE_ENDS = (
    (b"\n", b"\r\n"),
    (b"\r\n", b"\r"),
    (b"\r", b"\r\n"),
    (b"\n", b"\r"),
    (b"\r\n", b"\n"),
    (b"\r", b"\r"),
)
ERROR = {"message": "the model broke", "type": "server_error", "code": 500}
SPLIT_SUFFIX = "é€😀"
BREAKS_SUFFIX = "\u2028\u2029\x85"


def _begin(conn: FaultConnection, request: Request, n: int) -> None:
    """An unfinished stream: the head and the first `n` words."""
    conn.start_chunks(200, answers.EVENT_STREAM)
    for part in word_events(request, n):
        conn.chunk(part)


# ends that are no end


def sse_reset(conn: FaultConnection, request: Request, n: int = 3) -> None:
    _begin(conn, request, n)
    conn.reset()


def sse_stall(conn: FaultConnection, request: Request, n: int = 3) -> None:
    _begin(conn, request, n)
    conn.hang()


def sse_slow_bytes(conn: FaultConnection, request: Request, pause: float = 1.0) -> None:
    body = b"".join(events(request))
    conn.stream((body[i : i + 1] for i in range(len(body))), pause)


def sse_keepalives(conn: FaultConnection, request: Request, n: int = 3, pause: float = 0.1) -> None:
    _begin(conn, request, n)
    while True:
        conn.chunk(b": keep-alive\n\n")
        conn.pause(pause)


def sse_trunc_chunk(conn: FaultConnection, request: Request, n: int = 3) -> None:
    _begin(conn, request, n)
    conn.send(b"1000\r\ndata: {")
    conn.close()


def sse_no_last_chunk(conn: FaultConnection, request: Request, n: int = 3) -> None:
    _begin(conn, request, n)
    conn.close()


def sse_clean_end_early(conn: FaultConnection, request: Request, n: int = 3) -> None:
    conn.stream(word_events(request, n))


def sse_eof_framed_early(conn: FaultConnection, request: Request, n: int = 3) -> None:
    conn.send(conn.head(200, answers.EVENT_STREAM, ("Connection", "close")))
    conn.send(b"".join(word_events(request, n)))
    conn.close()


def sse_cut_mid_event(conn: FaultConnection, request: Request, n: int = 3) -> None:
    *whole, last = word_events(request, n + 1)
    conn.stream([*whole, last[: len(last) // 2]])


def sse_no_done(conn: FaultConnection, request: Request) -> None:
    conn.stream([*word_events(request), event(finish(request))])


def sse_no_done_no_finish(conn: FaultConnection, request: Request) -> None:
    conn.stream(word_events(request))


def sse_done_left_open(conn: FaultConnection, request: Request) -> None:
    conn.start_chunks(200, answers.EVENT_STREAM)
    for part in events(request):
        conn.chunk(part)
    conn.hang()


def ollama_null_finish(conn: FaultConnection, request: Request) -> None:
    """Ollama signs its chunks, and knows no reason why this one ended."""
    last = event({**answers.chat_chunk({}), "system_fingerprint": "fp_ollama"})
    conn.stream([*word_events(request), last, DONE])


# bytes and lines


def sse_bad_utf8(conn: FaultConnection, request: Request) -> None:
    conn.stream(part.replace(b"w3 ", b"w3\xff ") for part in events(request))


def sse_split_utf8(conn: FaultConnection, request: Request, pause: float = 0.002) -> None:
    """Every character of several bytes arrives in pieces."""
    body = b"".join([*map(event, words(request, suffix=SPLIT_SUFFIX)), *ending(request)])
    conn.stream(re.split(rb"(?=[\x80-\xbf])", body), pause)


def sse_unicode_breaks(conn: FaultConnection, request: Request) -> None:
    conn.stream([*map(event, words(request, suffix=BREAKS_SUFFIX)), *ending(request)])


def sse_crlf(conn: FaultConnection, request: Request) -> None:
    conn.stream(part.replace(b"\n", b"\r\n") for part in events(request))


def sse_cr(conn: FaultConnection, request: Request) -> None:
    conn.stream(part.replace(b"\n", b"\r") for part in events(request))


def sse_mixed_eol(conn: FaultConnection, request: Request) -> None:
    ends = [LINE_ENDS[i % len(LINE_ENDS)] for i in range(len(events(request)))]
    parts = zip(events(request), ends, strict=True)
    conn.stream(part.removesuffix(b"\n\n") + line + blank for part, (line, blank) in parts)


def sse_crlf_split(conn: FaultConnection, request: Request, pause: float = 0.002) -> None:
    body = b"".join(events(request)).replace(b"\n", b"\r\n")
    conn.stream(re.split(rb"(?<=\r)", body), pause)


def sse_bom(conn: FaultConnection, request: Request) -> None:
    conn.stream([b"\xef\xbb\xbf", *events(request)])


def sse_nospace(conn: FaultConnection, request: Request) -> None:
    conn.stream(part.replace(b"data: ", b"data:", 1) for part in events(request))


def sse_multiline_data(conn: FaultConnection, request: Request) -> None:
    conn.stream([*map(_lines, [*words(request), finish(request)]), *ending(request)[1:]])


def _lines(payload: answers.Payload) -> bytes:
    lines = json.dumps(payload, indent=1).split("\n")
    return "".join([*(f"data: {line}\n" for line in lines), "\n"]).encode()


def sse_fields(conn: FaultConnection, request: Request) -> None:
    """Comments, fields that say nothing of the text, and an event without data: it is not to be delivered."""
    extra = b": comment\nid: 7\nretry: 1000\nevent: message\nunknown: field\nnocolon\n"
    conn.stream([b": hello\n\n", b"event: ping\n\n", *(extra + part for part in events(request))])


def sse_no_final_blank(conn: FaultConnection, request: Request) -> None:
    *parts, last = events(request)
    conn.stream([*parts, last.rstrip(b"\n")])


# size


def sse_big_line(conn: FaultConnection, request: Request, mb: int = 64) -> None:
    head, tail = event(answers.chat_chunk({"content": "@"})).split(b"@")
    blocks = (FILL for _ in range(mb * MIB // len(FILL)))
    conn.stream(part for group in ([head], blocks, [tail], events(request)) for part in group)


def sse_endless_line(conn: FaultConnection, request: Request) -> None:
    conn.start_chunks(200, answers.EVENT_STREAM)
    conn.chunk(b"data: ")
    while True:
        conn.chunk(FILL)


def sse_endless_event(conn: FaultConnection, request: Request) -> None:
    conn.start_chunks(200, answers.EVENT_STREAM)
    while True:
        conn.chunk(b"data: aaaaaaaaaaaaaaaaaaaaaaaaa\n" * 2048)


def sse_flood(conn: FaultConnection, request: Request) -> None:
    conn.start_chunks(200, answers.EVENT_STREAM)
    block = b"".join(word_events(request)) * 40
    while True:
        conn.chunk(block)


def sse_forever(conn: FaultConnection, request: Request, pause: float = 0.05) -> None:
    conn.start_chunks(200, answers.EVENT_STREAM)
    parts = word_events(request)
    for i in count():
        conn.chunk(parts[i % len(parts)])
        conn.pause(pause)


# errors inside a stream


def sse_error_object(conn: FaultConnection, request: Request, n: int = 3) -> None:
    conn.stream([*word_events(request, n), event({"error": ERROR})])


def sse_error_string(conn: FaultConnection, request: Request, n: int = 3) -> None:
    error = {"error": "the model broke", "error_type": "generation"}
    conn.stream([*word_events(request, n), event(error)])


def sse_error_event(conn: FaultConnection, request: Request, n: int = 3) -> None:
    conn.stream([*word_events(request, n), b"event: error\n" + event(ERROR)])


def sse_error_then_done(conn: FaultConnection, request: Request, n: int = 3) -> None:
    conn.stream([*word_events(request, n), event({"error": ERROR}), DONE])


def sse_error_beside_choices(conn: FaultConnection, request: Request, n: int = 3) -> None:
    conn.stream([*word_events(request, n), event({**answers.chat_chunk({}), "error": ERROR}), DONE])


def sse_finish_error(conn: FaultConnection, request: Request, n: int = 3) -> None:
    conn.stream([*word_events(request, n), event(answers.chat_chunk({}, "error")), DONE])


# odd events


def sse_bad_json(conn: FaultConnection, request: Request, n: int = 3) -> None:
    parts = events(request)
    conn.stream([*parts[:n], b'data: {"choices": [{]\n\n', *parts[n:]])


def sse_wrong_types(conn: FaultConnection, request: Request, n: int = 3) -> None:
    parts = events(request)
    wrong = event({"id": 7, "choices": [{"index": "0", "delta": "text"}], "token": "text"})
    conn.stream([*parts[:n], wrong, *parts[n:]])


def sse_role_null(conn: FaultConnection, request: Request) -> None:
    first, *rest = answers.WORDS
    deltas = [{"role": "assistant", "content": first}, *({"role": None, "content": word} for word in rest)]
    conn.stream([*(event(answers.chat_chunk(delta)) for delta in deltas), *ending(request)])


def sse_usage_tail(conn: FaultConnection, request: Request) -> None:
    tail = {**answers.chat_chunk({}), "choices": [], "usage": answers.usage()}
    conn.stream([*word_events(request), event(finish(request)), event(tail), DONE])


def sse_duplicates(conn: FaultConnection, request: Request) -> None:
    conn.stream([*(part * 2 for part in word_events(request)), *ending(request)])


def sse_after_done(conn: FaultConnection, request: Request) -> None:
    conn.stream([*events(request), *word_events(request, 2)])
