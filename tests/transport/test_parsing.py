"""The parser's rules, for every way of cutting the same bytes."""

from __future__ import annotations

import pytest

from headwater.errors import HeadwaterError, ProtocolError, ResponseTooLargeError
from headwater.transport.response_parser import MAX_HEAD_BYTES, ResponseParser

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def parse(*pieces: bytes, method: str = "GET") -> tuple[ResponseParser, bytes]:
    parser, body = ResponseParser(), b""
    parser.expect(method)
    for piece in pieces:
        body += parser.feed(piece)
        if parser.failure or parser.complete:
            break
    return parser, body


WHOLE = {
    "length": (OK + b"Content-Length: 5\r\n\r\nhello", "length", b"hello", True),
    "chunked": (CHUNKED + b"3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nAfter: 1\r\n\r\n", "chunked", b"hello", True),
    "to be closed": (OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nok", "length", b"ok", False),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "length", b"ok", False),
    "nothing": (b"HTTP/1.1 204 No Content\r\n\r\n", "length", b"", True),
    "not modified": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", "length", b"", True),
    "after interim": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: a\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nok",
        "length",
        b"ok",
        True,
    ),
    "empty lines first": (b"\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nok", "length", b"ok", True),
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "length", b"", True),
}


@pytest.mark.parametrize("name", WHOLE)
def test_whole_answers_in_every_two_pieces(name: str) -> None:
    data, framed, body, reusable = WHOLE[name]
    for cut in range(len(data)):
        parser, got = parse(data[:cut], data[cut:])
        assert (parser.complete, parser.failure, parser.surplus) == (True, None, False), cut
        assert (got, parser.framed, parser.reusable) == (body, framed, reusable), cut
        assert "link" not in parser.headers and "after" not in parser.headers


def test_headers() -> None:
    parser, _ = parse(
        OK + b"X-One:  a b \r\nx-two: 1\r\nX-Two: 2\r\nX-None:\r\nX-Latin: \xe9\r\nContent-Length: 0\r\n\r\n"
    )
    assert parser.headers == {
        "x-one": "a b", "x-two": "1, 2", "x-none": "", "x-latin": "é", "content-length": "0",
    }  # fmt: skip


def test_head_has_no_body() -> None:
    parser, body = parse(OK + b"Content-Length: 100\r\n\r\n", method="HEAD")
    assert (parser.complete, parser.status, parser.reusable, body) == (True, 200, False, b"")


def test_a_body_without_a_frame_ends_with_the_connection() -> None:
    parser, body = parse(OK + b"\r\n", b"hel", b"lo")
    assert (body, parser.framed, parser.complete, parser.reusable) == (b"hello", "close", False, False)
    assert parser.end()
    assert not parse(OK + b"Content-Length: 5\r\n\r\nhell")[0].end()
    assert not parse(CHUNKED + b"5\r\nhello\r\n")[0].end()
    assert not parse(OK + b"X: ")[0].end()


@pytest.mark.parametrize("more", [b" world", OK + b"Content-Length: 3\r\n\r\nbad", b"\0"])
def test_what_comes_after_the_end_is_no_part_of_it(more: bytes) -> None:
    for head in (b"Content-Length: 5\r\n\r\n", b"Connection: close\r\nContent-Length: 5\r\n\r\n"):
        parser, body = parse(OK + head + b"hello" + more)
        assert (body, parser.complete, parser.surplus, parser.failure) == (b"hello", True, True, None)
        assert parser.status == 200


WRONG = {
    "not HTTP": b"<html>\r\n\r\n",
    "another protocol": b"ICY 200 OK\r\n\r\n",
    "yet another protocol": b"RTSP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "no status": b"HTTP/1.1 OK\r\n\r\n",
    "too long a status": b"HTTP/1.1 2000 OK\r\n\r\n",
    "too low a status": b"HTTP/1.1 099 OK\r\n\r\n",
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "folded": OK + b"X: a\r\n b\r\n\r\n",
    "a space before the colon": OK + b"Content-Length : 5\r\n\r\nhello",
    "no colon": OK + b"what\r\n\r\n",
    "no name": OK + b": x\r\n\r\n",
    "NUL": OK + b"X: a\0b\r\n\r\n",
    "length twice": OK + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "two lengths": OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "a list of lengths": OK + b"Content-Length: 5, 5\r\n\r\nhello",
    "negative length": OK + b"Content-Length: -1\r\n\r\n",
    "signed length": OK + b"Content-Length: +5\r\n\r\nhello",
    "endless length": OK + b"Content-Length: 99999999999999999999999\r\n\r\n",
    "length and chunks": OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": OK + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "gzip in transfer": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked, not last": OK + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "an upgrade": b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nhello",
    "101 alone": b"HTTP/1.1 101 Switching\r\n\r\n",
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_not_http(name: str) -> None:
    data = WRONG[name]
    for cut in range(len(data)):
        parser, _ = parse(data[:cut], data[cut:])
        assert isinstance(parser.failure, ProtocolError), cut
        assert not parser.head_done and not parser.complete


def test_sixteen_interim_answers_are_taken() -> None:
    assert parse(b"HTTP/1.1 102 Wait\r\n\r\n" * 16 + OK + b"Content-Length: 0\r\n\r\n")[0].complete


def test_a_seventeenth_is_one_too_many() -> None:
    parser, _ = parse(b"HTTP/1.1 102 Wait\r\n\r\n" * 17)
    assert isinstance(parser.failure, ResponseTooLargeError)
    assert not parser.failure.retryable


def test_a_wrong_chunk_comes_after_what_was_right() -> None:
    parser, body = parse(CHUNKED + b"5\r\nhello\r\nzz\r\n")
    assert (body, parser.head_done, type(parser.failure)) == (b"hello", True, ProtocolError)


def fed(start: bytes, piece: bytes) -> tuple[HeadwaterError | None, int]:
    parser = ResponseParser()
    parser.feed(start)
    count = 0
    while parser.failure is None and count < 10 * MAX_HEAD_BYTES:
        parser.feed(piece)
        count += len(piece)
    return parser.failure, count


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (OK, b"X: " + b"y" * 1000 + b"\r\n"),
        (OK + b"X: ", b"y" * 1000),
        (OK, b"y" * 1000),
        (b"HTTP/1.1 200 ", b"y" * 1000),
        (b"HTTP/1.1 100 C\r\nX: " + b"y" * 90_000 + b"\r\n\r\n" + OK, b"X: " + b"y" * 1000 + b"\r\n"),
        (CHUNKED + b"5\r\nhello\r\n0\r\n", b"X: " + b"y" * 1000 + b"\r\n"),
        (CHUNKED + b"5\r\nhello\r\n0\r\nX: ", b"y" * 1000),
        (CHUNKED + b"5;", b"y" * 1000),
    ],
)
def test_heads_trailers_and_extensions_must_end(start: bytes, piece: bytes) -> None:
    failure, count = fed(start, piece)
    assert isinstance(failure, ResponseTooLargeError)
    assert (failure.limit, count <= MAX_HEAD_BYTES + 2000) == (MAX_HEAD_BYTES, True)


def test_a_head_under_the_limit_is_taken() -> None:
    head = OK + (b"X: " + b"y" * 995 + b"\r\n") * 100 + b"Content-Length: 0\r\n\r\n"
    assert parse(*(head[i : i + 65536] for i in range(0, len(head), 65536)))[0].complete


def test_one_parser_reads_many_answers() -> None:
    parser = ResponseParser()
    for number in range(3):
        parser.expect("POST")
        assert parser.feed(OK + b"X: %d\r\nContent-Length: 1\r\n\r\n%d" % (number, number)) == b"%d" % number
        assert parser.headers == {"x": str(number), "content-length": "1"}
        assert parser.reusable and not parser.surplus
