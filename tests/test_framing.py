"""Framings against the WHATWG event-stream rules, for every way of cutting the same bytes.

The reference is a slow, literal transcription of the standard's steps. It refuses nothing and has no limit.
"""

import itertools
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import httpx
import httpx_sse
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headwater.errors import ResponseTooLargeError
from headwater.protocol.framing import BodyFraming, Frame, Framing, JSONLinesFraming, SSEFraming

BOM = b"\xef\xbb\xbf"


# The reference


class Standard:
    """Sections 9.2.5 and 9.2.6 of the HTML standard, over a decoded stream, one character at a time."""

    def __init__(self, stream: bytes) -> None:
        self.data = ""
        self.event_type = ""
        self.last_event_id = ""
        self.retry: int | None = None
        self.fields = False
        self.frames: list[Frame] = []
        lines, self.rest = self.lines(stream.removeprefix(BOM).decode("utf-8", "replace"))
        for line in lines:
            if line:
                self.line(line)
            else:
                self.dispatch()

    @staticmethod
    def lines(text: str) -> tuple[list[str], str]:
        lines = []
        line = ""
        for position, character in enumerate(text):
            if character == "\n" and position and text[position - 1] == "\r":
                continue
            if character in "\r\n":
                lines.append(line)
                line = ""
            else:
                line += character
        return lines, line

    def line(self, line: str) -> None:
        if line[0] == ":":
            return
        self.fields = True
        if ":" in line:
            colon = line.index(":")
            value = line[colon + 1 :]
            self.field(line[:colon], value[1:] if value[:1] == " " else value)
        else:
            self.field(line, "")

    def field(self, name: str, value: str) -> None:
        if name == "event":
            self.event_type = value
        if name == "data":
            self.data += value + "\n"
        if name == "id" and "\0" not in value:
            self.last_event_id = value
        if name == "retry" and value and all(digit in "0123456789" for digit in value):
            self.retry = int(value) if len(value) <= 18 else self.retry

    def dispatch(self) -> None:
        if self.data:
            data = self.data[:-1].encode()
            self.frames.append(Frame(data, self.event_type, self.last_event_id, self.retry))
        self.data = self.event_type = ""
        self.retry = None
        self.fields = False

    def finish(self) -> bool:
        """The documented departure from the standard, which drops what is left. True if it was dropped."""
        if self.rest:
            self.line(self.rest)
        data = self.data[:-1]
        if self.data and (data == "[DONE]" or whole_json(data)):
            self.dispatch()
        return self.fields


def whole_json(text: str) -> bool:
    if text[-1:] in tuple("0123456789"):
        return False
    try:
        json.loads(text, parse_constant=lambda name: json.loads(""))
    except ValueError:
        return False
    return True


def readable(frame: Frame) -> Frame:
    """The frame as the reference gives it: decoded as the standard decodes, and back."""
    return Frame(frame.data.decode("utf-8", "replace").encode(), frame.event, frame.id, frame.retry)


def expected(stream: bytes) -> tuple[list[Frame], bool]:
    standard = Standard(stream)
    pending = standard.finish()
    return standard.frames, pending


def largest(stream: bytes) -> int:
    """The bytes of the largest event, its line ends not counted."""
    lines = re.split(rb"\r\n|\r|\n", stream.removeprefix(BOM))
    sizes = [0]
    for line in lines:
        sizes[-1] += len(line)
        if not line:
            sizes.append(0)
    return max(sizes)


# Cutting


def bare(data: bytes, event: str = "") -> Frame:
    """An event of JSON that no field's name stands before."""
    return Frame(data, event, bare=True)


def pieces(stream: bytes, cuts: tuple[int, ...]) -> list[bytes]:
    return [stream[start:end] for start, end in itertools.pairwise((0, *sorted(cuts), len(stream)))]


def cuttings(stream: bytes) -> Iterator[list[bytes]]:
    """Whole, a byte at a time, and in three at every two places."""
    yield [stream]
    yield [stream[i : i + 1] for i in range(len(stream))]
    for cuts in itertools.combinations_with_replacement(range(len(stream) + 1), 2):
        yield pieces(stream, cuts)


def run(framing: Framing, parts: list[bytes]) -> tuple[list[Frame], bool]:
    frames = [frame for part in parts for frame in framing.feed(part)]
    frames += framing.finish()
    return frames, framing.pending


def sse(parts: list[bytes]) -> tuple[list[Frame], bool]:
    frames, pending = run(SSEFraming(), parts)
    return [readable(frame) for frame in frames], pending


TOKENS = [
    *(b"data: ", b"data:", b"data", b"data: x\n\n", b"data: {}\n\n", b"\n\n", b"\n", b"\r", b"\r\n", b"\r\r"),
    *(
        b"id: 1",
        b"id:\0",
        b"id",
        b"event: e",
        b"event",
        b"retry: 5",
        b"retry: ",
        b": c",
        b":",
        b" ",
        b"\n\ndata: ",
    ),
    *(BOM, b"\xef", b"\xbb", b"\xbf", b"\xff", "\u2028".encode(), b"\xe2\x80", b"\0", b"x", b"1", b"\n\n\n"),
    *(b"{}", b"[DONE]", b'{"a":', b'"a"', b"}", b"[1]", b"null", b"tru"),
]
streams = st.lists(st.sampled_from(TOKENS), max_size=24).map(b"".join)


LINE_ENDS = st.sampled_from([b"\n"] * 6 + [b"\r\n", b"\r"])
LINES = st.sampled_from(
    [b"data: x"] * 4 + [b"data:y", b"data", b"id: 1", b"id", b"event: e", b"retry: 5", b": c", b"z"]
)


@st.composite
def blocks(draw: st.DrawFn) -> bytes:
    """Events that are mostly one line of data with LF ends: what the fast path must tell apart."""
    lines = [*draw(st.lists(LINES, max_size=2)), *draw(st.sampled_from([[b""], [b""], [b"", b""], []]))]
    return b"".join(line + draw(LINE_ENDS) for line in lines)


block_streams = st.lists(blocks(), max_size=8).map(b"".join)


@st.composite
def cut_streams(draw: st.DrawFn, source: st.SearchStrategy[bytes] = streams | block_streams) -> list[bytes]:
    stream = draw(source)
    return pieces(stream, tuple(draw(st.lists(st.integers(0, len(stream)), max_size=8))))


# Event streams: named vectors. The names are those of the Web Platform Tests whose rule each one covers.

VECTORS: dict[str, tuple[bytes, list[Frame]]] = {
    "bom": (BOM + b"data: first\n\ndata: second\n\n", [Frame(b"first"), Frame(b"second")]),
    "bom-only-once": (BOM + BOM + b"data: first\n\ndata: second\n\n", [Frame(b"second")]),
    "bom-not-at-start": (b"data: a\n\n" + BOM + b"data: b\n\ndata: c\n\n", [Frame(b"a"), Frame(b"c")]),
    "comments": (b":\ndata: a\r:" + b"x" * 40 + b"\r\n: \0\ndata: b\n:end\n\n", [Frame(b"a\nb")]),
    "comments-only": (b": ping\n\n: ping\r\r:\r\n\r\n", []),
    "data-before-final-empty-line": (b"retry:1000\ndata:a\n\n", [Frame(b"a", retry=1000)]),
    "field-data": (b"data:\n\ndata\ndata\n\ndata: t\n\n", [Frame(b""), Frame(b"\n"), Frame(b"t")]),
    "field-event": (b"event:e\ndata:a\n\ndata:a\n\n", [Frame(b"a", "e"), Frame(b"a")]),
    "field-event-last-wins": (b"event: e\nevent: f\ndata: a\n\n", [Frame(b"a", "f")]),
    "field-event-spaces": (b"event:  e \nid:  1\ndata: a\n\n", [Frame(b"a", " e ", " 1")]),
    "field-event-empty": (b"event: e\nevent:\ndata:a\n\n", [Frame(b"a")]),
    "field-event-without-data": (b"event: e\n\ndata: a\n\n", [Frame(b"a")]),
    "field-id": (b"id: 1\ndata: a\n\ndata: b\n\n", [Frame(b"a", id="1"), Frame(b"b", id="1")]),
    "field-id-without-data": (
        b"id: 1\n\ndata: a\n\ndata: b\n\n",
        [Frame(b"a", id="1"), Frame(b"b", id="1")],
    ),
    "field-id-empty": (b"id: 1\ndata: a\n\nid\ndata: b\n\n", [Frame(b"a", id="1"), Frame(b"b")]),
    "field-id-null": (b"id: 1\nid: 2\0\ndata: a\n\n", [Frame(b"a", id="1")]),
    "field-parsing": (
        b"data:\0\ndata:  2\rData:1\ndata\0:2\ndata:5\r\0data:4\nda-ta:3\rdata:\r\n data:9\ndata:7\n\n",
        [Frame(b"\0\n 2\n5\n\n7")],
    ),
    "field-retry": (b"retry: 0300\ndata: a\n\ndata: b\n\n", [Frame(b"a", retry=300), Frame(b"b")]),
    "field-retry-bogus": (b"retry: 30\nretry: 40x\nretry: -5\ndata: a\n\n", [Frame(b"a", retry=30)]),
    "field-retry-empty": (b"retry: 30\nretry\nretry: \ndata: a\n\n", [Frame(b"a", retry=30)]),
    "field-retry-not-ascii": ("retry: ٣\nretry: ²\ndata: a\n\n".encode(), [Frame(b"a")]),
    "field-retry-huge": (b"retry: " + b"9" * 19 + b"\ndata: a\n\n", [Frame(b"a")]),
    "field-unknown": (b"data: a\n data: b\ndata\xff: c\ndatas: d\n:data: e\n\n", [Frame(b"a")]),
    "leading-space": (b"data:\ta\rdata: \ndata:  b\ndata:c\n\n", [Frame(b"\ta\n\n b\nc")]),
    "leading-spaces": (b"data:  a\n\ndata:  b\n\ndata:  c\n\n:", [*map(Frame, (b" a", b" b", b" c"))]),
    "newlines": (
        b"data: a\r\ndata: b\ndata: c\r\rdata: d\r\n\rdata: e\n\r\n",
        [*map(Frame, (b"a\nb\nc", b"d", b"e"))],
    ),
    "cr-then-lf": (b"data: a\rdata: b\n\ndata: c\rid: 1\n\n", [Frame(b"a\nb"), Frame(b"c", id="1")]),
    "crlf-then-lf": (b"data: a\r\n\ndata: b\r\n\n", [Frame(b"a"), Frame(b"b")]),
    "crlf": (b"data: a\r\n\r\ndata: b\r\n\r\n", [Frame(b"a"), Frame(b"b")]),
    "cr": (b"data: a\r\rdata: b\r\r", [Frame(b"a"), Frame(b"b")]),
    "many-empty-lines": (b"\n\n\ndata: a\n\n\n\r\r\ndata: b\n\n\n\n", [Frame(b"a"), Frame(b"b")]),
    "null-character": (b"data: a\0b\n\n\n\n", [Frame(b"a\0b")]),
    "utf-8": ("event: é\nid: ż\ndata: ok…\n\n".encode(), [Frame("ok…".encode(), "é", "ż")]),
    "utf-8-invalid": (b"event: \xe2\x80\nid: \xff\ndata: \xe2\x80\n\n", [Frame(b"\xe2\x80", "�", "�")]),
    "line-separators": (
        '\u2028\ndata: {"a":"\u2028\u2029\x85\v\f\x1c"}\n\n'.encode(),
        [Frame('{"a":"\u2028\u2029\x85\v\f\x1c"}'.encode())],
    ),
    "empty": (b"", []),
}


@pytest.mark.parametrize(("stream", "frames"), VECTORS.values(), ids=list(VECTORS))
def test_vector_is_the_same_for_all_cuts(stream: bytes, frames: list[Frame]) -> None:
    for parts in cuttings(stream):
        assert run(SSEFraming(), parts) == (frames, False), parts


@pytest.mark.parametrize("stream", [stream for stream, _ in VECTORS.values()], ids=list(VECTORS))
def test_vector_is_what_the_standard_gives(stream: bytes) -> None:
    assert sse([stream]) == expected(stream)


# Event streams: what servers send that is none by the standard

ERROR = [Frame(b'{"code":400}', "error")]
A, B, DONE = b'{"a": 1}', b'{"b": [2]}', b"[DONE]"
PRETTY = b'{\n  "a": {\n    "b": [\n      1\n    ]\n  },\n  "data": null\n}'
DEPARTURES: dict[str, tuple[bytes, list[Frame]]] = {
    "single line feeds": (b"data: %b\ndata:%b\r\ndata: %b\n" % (A, B, A), [Frame(A), Frame(B), Frame(A)]),
    "single line feeds, whole": (b"data: %b\ndata: %b\n\n" % (A, DONE), [Frame(A), Frame(DONE)]),
    "single line feeds, named": (
        b"event: e\ndata: %b\nevent: f\ndata: %b\ndata: %b\n\n" % (A, B, A),
        [Frame(A, "e"), Frame(B, "f"), Frame(A)],
    ),
    "single line feeds, numbered": (b"id: 1\ndata: %b\ndata: %b\n" % (A, B), [Frame(A, id="1"), Frame(B, id="1")]),
    "one event of several lines": (b'data: {"a":\ndata: 1}\n\n', [Frame(b'{"a":\n1}')]),
    "one event with JSON in it": (b"data: a\ndata: {}\n\n", [Frame(b"a\n{}")]),
    "one event of JSON and text": (b"data: {}\ndata: a\n\n", [Frame(b"{}\na")]),
    "a field after the data": (b"data: %b\nevent: e\n\n" % A, [Frame(A, "e")]),
    "an error line": (b'data: %b\n\nerror: {"code":400}\n\ndata: [DONE]\n\n' % A, [Frame(A), *ERROR, Frame(DONE)]),
    "an error line first": (b'error: {"code":400}\n\ndata: [DONE]\n\n', [*ERROR, Frame(DONE)]),
    "an error line in an event": (
        b'data: %b\nerror: {"code":400}\ndata: %b\n\n' % (A, B),
        [Frame(A), *ERROR, Frame(B)],
    ),
    "an error line in half an event": (b'data: {"a":\nerror: {"code":400}\n\n', ERROR),
    "an error line of text": (b"Error: out of memory\n\n", [Frame(b"out of memory", "error")]),
    "an error line without words": (b"error:\nerror\ndata: a\n\n", [Frame(b"a")]),
    "another name": (b"data: %b\n\nexception: %b\n\n" % (A, B), [Frame(A), Frame(B, "exception")]),
    "a bare line": (b"data: %b\n\n%b\n\ndata: [DONE]\n\n" % (A, B), [Frame(A), bare(B), Frame(DONE)]),
    "a bare line in an event": (b"data: %b\n%b\n\ndata: [DONE]\n\n" % (A, B), [Frame(A), bare(B), Frame(DONE)]),
    "bare lines": (b"%b\n%b\r\n\n%b\n" % (A, B, A), [bare(A), bare(B), bare(A)]),
    "a bare line of a named event": (b"event: error\n%b\n\n" % A, [bare(A, "error")]),
    "a line of text of an error": (b"event: error\nno healthy upstream\n\n", [Frame(b"no healthy upstream", "error")]),
    "over several lines": (PRETTY + b"\n\ndata: [DONE]\n\n", [bare(PRETTY), Frame(DONE)]),
    "over several lines, no blank one": (PRETTY + b"\ndata: [DONE]\n\n", [bare(PRETTY), Frame(DONE)]),
    "data over several lines": (b"data: " + PRETTY + b"\n\ndata: [DONE]\n\n", [Frame(PRETTY), Frame(DONE)]),
    "text": (b"data: %b\n\nno healthy upstream\n\ndata: [DONE]\n\n" % A, [Frame(A), Frame(DONE)]),
}


@pytest.mark.parametrize(("stream", "frames"), DEPARTURES.values(), ids=list(DEPARTURES))
@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["lf", "crlf"])
def test_a_departure_is_the_same_for_all_cuts(stream: bytes, frames: list[Frame], end: bytes) -> None:
    lines = stream.replace(b"\r\n", b"\n").replace(b"\n", end)
    for parts in [
        [lines],
        pieces(lines, tuple(range(len(lines)))),
        *(pieces(lines, (at,)) for at in range(len(lines))),
    ]:
        assert run(SSEFraming(), parts) == (frames, False), parts


def test_events_between_single_line_feeds_come_as_they_end() -> None:
    framing = SSEFraming()
    assert framing.feed(b"data: {}\n") == []  # more of it may follow
    assert framing.feed(b"data: [1]\n") == [Frame(b"{}"), Frame(b"[1]")]
    assert framing.feed(b"data: [2]\n") == [Frame(b"[2]")]
    assert framing.feed(b'data: {"a":\n') == []
    assert framing.feed(b"data: 1}\n\n") == [Frame(b'{"a":\n1}')]


def test_lines_that_are_no_part_of_an_event_are_kept() -> None:
    framing = SSEFraming()
    framing.feed(b"data: a\n\nno healthy upstream\n\nunknown: x\n: comment\n<html> x\n")
    assert framing.strays == b"no healthy upstream\n<html> x\n"
    framing.feed(b"x y" * 1000 + b"\n")
    assert len(framing.strays) < 1100


# Event streams: any bytes


def departs(stream: bytes) -> bool:
    """Whether there may be what the standard does not know: JSON, an error's line."""
    return any(sign in stream.lower() for sign in (b"{", b"[", b"error"))


@settings(max_examples=600)
@given(parts=cut_streams())
@example(parts=[b"id: 1\n\n", b"data: a\n\ndata: b\n\n", b"data: c\n\n"])
@example(parts=[b"data: a\n", b"\ndata: b\n\ndata: c\n\n"])
@example(parts=[b"data: a\n\ndata: ", b"\n\n"])
@example(parts=[b"data: a\r", b"\ndata: b\n\n", b"data: c\n\n"])
@example(parts=[b"data: a\n\ndata: b\nid: 1\n\ndata: c\n\ndata: d\n\n\n", b"\ndata: e\n\n"])
def test_any_stream_cut_anyhow_is_what_the_standard_gives(parts: list[bytes]) -> None:
    stream = b"".join(parts)
    assert sse(parts) == (sse([stream]) if departs(stream) else expected(stream))


@settings(max_examples=300)
@given(parts=cut_streams(st.binary(max_size=40)))
def test_any_bytes_are_read_as_the_standard_reads_them(parts: list[bytes]) -> None:
    stream = b"".join(parts)
    assert sse(parts) == (sse([stream]) if departs(stream) else expected(stream))


@settings(max_examples=200)
@given(stream=streams | block_streams)
def test_an_event_comes_with_the_first_byte_of_its_blank_line(stream: bytes) -> None:
    framing = SSEFraming()
    frames: list[Frame] = []
    for end in range(1, len(stream) + 1):
        frames += framing.feed(stream[end - 1 : end])
        if BOM.startswith(stream[:end]):
            continue
        if departs(stream[:end]):
            return
        assert [readable(frame) for frame in frames] == Standard(stream[:end]).frames


def test_a_cr_waits_for_no_lf() -> None:
    framing = SSEFraming()
    assert framing.feed(b"data: a\r\n\r") == [Frame(b"a")]
    assert framing.feed(b"\ndata: b\n") == []
    assert framing.feed(b"\r") == [Frame(b"b")]


EVENT_FIELDS = st.sampled_from([b"event: e", b"id: 7", b"id:", b"retry: 20", b": note", b"other: x", b"data"])
DATA_FIELD = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=8).map(
    lambda text: b"data: " + text.encode()
)


@st.composite
def regular_streams(draw: st.DrawFn) -> bytes:
    """Whole events with data, no BOM and good retries: where httpx-sse's decoder follows the standard."""
    end = draw(st.sampled_from([b"\n", b"\r\n", b"\r"]))
    events = st.tuples(st.lists(EVENT_FIELDS, max_size=3), DATA_FIELD, st.lists(DATA_FIELD, max_size=2))
    blocks = draw(st.lists(events, max_size=5))
    return b"".join(line + end for before, first, more in blocks for line in [*before, first, *more, b""])


@settings(max_examples=200)
@given(stream=regular_streams(), step=st.integers(1, 64))
def test_regular_streams_are_read_as_httpx_sse_reads_them(stream: bytes, step: int) -> None:
    response = httpx.Response(200, headers={"content-type": "text/event-stream"}, content=stream)
    peer = [
        Frame(event.data.encode(), "" if event.event == "message" else event.event, event.id, event.retry)
        for event in httpx_sse.EventSource(response).iter_sse()
    ]
    assert run(SSEFraming(), [stream[i : i + step] for i in range(0, len(stream), step)]) == (peer, False)


# Event streams: the end

ENDS: dict[bytes, tuple[list[Frame], bool]] = {
    b"data: [DONE]": ([Frame(b"[DONE]")], False),
    b"data: [DONE]\n": ([Frame(b"[DONE]")], False),
    b"data:[DONE]\r": ([Frame(b"[DONE]")], False),
    b'data: {"a": 1}': ([Frame(b'{"a": 1}')], False),
    b'event: e\nid: 4\ndata: {"a":\r\ndata: 1}\r\n': ([Frame(b'{"a":\n1}', "e", "4")], False),
    b"data: {}\nevent: e": ([Frame(b"{}", "e")], False),
    b"data: {}\n: half a comm": ([Frame(b"{}")], False),
    b'data: {"a": 1': ([], True),
    b"data: {} {}": ([], True),
    b"data: [DONE": ([], True),
    b"data: [DONE] ": ([], True),
    b"data: {}\ndata: [DONE]": ([Frame(b"{}"), Frame(b"[DONE]")], False),
    b'{"a": 1}': ([bare(b'{"a": 1}')], False),
    b'{"a":\n 1}\n': ([bare(b'{"a":\n 1}')], False),
    b'{"a": 1': ([], True),
    b"error: no": ([Frame(b"no", "error")], False),
    b"data: 12": ([], True),
    b"data: 12\n": ([], True),
    b"data: hello\n": ([], True),
    b"data:": ([], True),
    b"data: " + b"[" * 100_000: ([], True),
    b"dat": ([], True),
    b"event: e\n": ([], True),
    b"\xef\xbb": ([], True),
    BOM: ([], False),
    b": half a comm": ([], False),
    b": ping\n": ([], False),
    b"\r": ([], False),
}


@pytest.mark.parametrize("end", ENDS, ids=lambda end: repr(end[:24]))
@pytest.mark.parametrize("before", [b"", b"data: a\n\n", b"data: a\r\n\r\n"], ids=["alone", "lf", "crlf"])
def test_the_last_event_is_delivered_only_if_it_is_whole(before: bytes, end: bytes) -> None:
    frames, pending = ENDS[end]
    if before and end.startswith(b"\xef"):
        pending = True  # no BOM here: the beginning of a field's name
    first = [Frame(b"a")] if before else []
    stream = before + end
    for parts in [[stream], [before, end], pieces(stream, tuple(range(1, min(len(stream), 60))))]:
        assert run(SSEFraming(), parts) == (first + frames, pending)


def test_pending_is_false_until_the_end() -> None:
    framing = SSEFraming()
    framing.feed(b'data: {"a"')
    assert framing.pending is False
    framing.finish()
    assert framing.pending is True


# Event streams: the limit


@settings(max_examples=400)
@given(parts=cut_streams(), limit=st.integers(3, 40))
def test_the_limit_holds_for_every_event_however_cut(parts: list[bytes], limit: int) -> None:
    stream = b"".join(parts)
    framing = SSEFraming(limit)
    if departs(stream):
        with suppress(ResponseTooLargeError):
            assert run(framing, parts) == run(SSEFraming(), parts)
    elif largest(stream) > limit:
        with pytest.raises(ResponseTooLargeError) as caught:
            run(framing, parts)
        assert caught.value.limit == limit
    else:
        assert run(framing, parts) == run(SSEFraming(), parts)


@pytest.mark.parametrize("event", [b"data: 89", b": 234567", b"data:\nx:8", b"id: 5\n:78", b"01234567"])
def test_a_byte_above_the_limit_is_refused_without_waiting_for_the_line_to_end(event: bytes) -> None:
    framing = SSEFraming(limit=8)
    for byte in event:
        framing.feed(bytes([byte]))
    with pytest.raises(ResponseTooLargeError, match="larger than 8 bytes"):
        framing.feed(b"x")


def test_many_events_in_one_piece_may_exceed_the_limit_together() -> None:
    for end in (b"\n", b"\r\n"):
        assert SSEFraming(limit=8).feed((b"data: ab" + end * 2) * 100) == [Frame(b"ab")] * 100


def test_the_default_limit_is_64_mib() -> None:
    mebibyte = b"x" * 2**20
    for framing in (SSEFraming(), JSONLinesFraming()):
        for _ in range(64):
            assert framing.feed(mebibyte) == []
        with pytest.raises(ResponseTooLargeError):
            framing.feed(b"x")


# JSON lines

JSON_LINES: dict[bytes, tuple[list[Frame], bool]] = {
    b'{"a":1}\n{"b":2}\r\n[3]\n': ([Frame(b'{"a":1}'), Frame(b'{"b":2}'), Frame(b"[3]")], False),
    b"\n\r\n  \n\t\r\n{}\n\n": ([Frame(b"{}")], False),
    '"\u2028\u2029\x85"\n{}\n'.encode(): ([Frame('"\u2028\u2029\x85"'.encode()), Frame(b"{}")], False),
    b"[1,\r2]\n\x0b{}\n": ([Frame(b"[1,\r2]"), Frame(b"\x0b{}")], False),
    b'{}\n{"a":1}': ([Frame(b"{}"), Frame(b'{"a":1}')], False),
    b"{}\n[]\r": ([Frame(b"{}"), Frame(b"[]")], False),
    b'{}\n{"a":': ([Frame(b"{}")], True),
    b"{}\n12": ([Frame(b"{}")], True),
    b"{}\n[DONE]": ([Frame(b"{}")], True),
    b"{}\n  \r": ([Frame(b"{}")], False),
    b"not json\n": ([Frame(b"not json")], False),
    b"": ([], False),
}


@pytest.mark.parametrize("stream", JSON_LINES, ids=repr)
def test_json_lines_are_the_same_for_all_cuts(stream: bytes) -> None:
    for parts in cuttings(stream):
        assert run(JSONLinesFraming(), parts) == JSON_LINES[stream], parts


@settings(max_examples=200)
@given(parts=cut_streams(), limit=st.integers(1, 40))
def test_the_limit_holds_for_every_json_line_however_cut(parts: list[bytes], limit: int) -> None:
    lines = b"".join(parts).split(b"\n")
    framing = JSONLinesFraming(limit)
    if max(map(len, lines)) > limit:
        with pytest.raises(ResponseTooLargeError, match="one line"):
            run(framing, parts)
    else:
        frames, _ = run(framing, parts)
        whole = [line.removesuffix(b"\r") for line in lines[:-1] if line.strip()]
        assert [frame.data for frame in frames][: len(whole)] == whole


# Whole bodies


def test_every_piece_of_a_body_is_a_frame() -> None:
    parts = [b"ID3\x04", b"\r\n\r\n", b"\xff\xfb"]
    assert run(BodyFraming(), parts) == ([Frame(part) for part in parts], False)


# Cost

N = 8_000
LOADS: dict[str, Callable[[int], list[bytes]]] = {
    "a line in n pieces": lambda n: [b"data: ", *[b"x" * 16] * n, b"\n\n"],
    "n data lines, a piece each": lambda n: [b"data: xxxx\n"] * n,
    "n data lines, a byte each piece": lambda n: list(map(bytes, zip(b"data: xxxx\n" * (n // 11), strict=True))),
    "n data lines in one piece": lambda n: [b"data: xxxx\n" * n],
    "n comments, a piece each": lambda n: [b": ping\n"] * n,
    "n comments in an open event": lambda n: [b"data: x\n", *[b": ping\r\n"] * n],
    "n ids in one piece": lambda n: [b"id: 5\n" * n],
    "n events, a piece each": lambda n: [b"data: {}\n\n"] * n,
    "n events in one piece": lambda n: [b"data: {}\n\n" * n],
    "n mixed events in one piece": lambda n: [b"data: {}\n\nid: 5\n\n" * n],
    "n blank lines": lambda n: [b"data: x\n\n" + b"\n" * n],
    "n data lines that are JSON": lambda n: [b"data: {}\n" * n],
    "n bare lines": lambda n: [b"{}\n" * n],
    "n lines of JSON": lambda n: [b"{\n" + b'"a":{\n}\n' * n],
    "n data lines of JSON": lambda n: [b"data: {\n" + b"data: }\n" * n],
    "n lines that are none": lambda n: [b"not found\n" * n],
    "n CRs": lambda n: [b"\r"] * n,
}


def cost(framing: Callable[[], Framing], parts: list[bytes]) -> float:
    """Seconds of processor time."""
    framed = framing()
    start = time.process_time()
    for part in parts:
        framed.feed(part)
    framed.finish()
    return time.process_time() - start


@pytest.mark.parametrize("framing", [SSEFraming, JSONLinesFraming])
@pytest.mark.parametrize("load", LOADS.values(), ids=list(LOADS))
def test_four_times_the_input_costs_about_four_times_as_much(
    load: Callable[[int], list[bytes]], framing: Callable[[], Framing]
) -> None:
    # Four is right and sixteen is quadratic; the machine's noise gets the room between, and ten tries.
    ratios = (cost(framing, load(4 * N)) / cost(framing, load(N)) for _ in range(10))
    assert any(ratio <= 8 for ratio in ratios)
