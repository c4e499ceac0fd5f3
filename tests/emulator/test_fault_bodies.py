"""The bodies that the fault server sends: streams and their traits, lengths, cuts, bombs, JSON.

Refuses to test any client of ours: these are the faults themselves.
"""

import json
import re
import struct
import zlib

import httpx
import pytest
from support.fault_client import asked, post, read, text_in

from headwater.emulator import faults
from headwater.emulator.fault_server.answers import TEXT
from headwater.emulator.fault_server.bodies import bomb

WHOLE = [name for name, fault in faults.FAULTS.items() if name.startswith("sse_") and "whole" in fault.line]


# streams


@pytest.mark.parametrize("fault", [*WHOLE, "ollama_null_finish"])
def test_whole_streams(server: faults.FaultServer, fault: str) -> None:
    with asked(server, server.at(fault)) as sock:
        got, _ = read(sock, 1)
        while b"\r\n0\r\n\r\n" not in got and not (fault == "sse_done_left_open" and b"[DONE]\n\n\r\n" in got):
            got += read(sock, 1)[0]
    head, _, chunks = got.partition(b"\r\n\r\n")
    assert b"text/event-stream" in head
    assert text_in(unchunked(chunks)) == faults.text_of(fault)


def unchunked(data: bytes) -> bytes:
    body = bytearray()
    while data:
        size, _, data = data.partition(b"\r\n")
        body += data[: int(size, 16)]
        data = data[int(size, 16) + 2 :]
    return bytes(body)


@pytest.mark.parametrize(
    ("fault", "trait"),
    [
        ("sse_crlf", rb"\}\r\n\r\ndata"),
        ("sse_cr", rb"\}\r\rdata"),
        ("sse_mixed_eol", rb"\}\n\r\ndata.*\}\r\n\rdata.*\}\r\r\ndata"),
        ("sse_bom", rb"^\xef\xbb\xbfdata"),
        ("sse_nospace", rb"^data:\{"),
        ("sse_multiline_data", rb"^data: \{\ndata: "),
        ("sse_fields", rb"\nid: 7\n"),
        ("sse_no_final_blank", rb"\[DONE\]$"),
        ("sse_unicode_breaks", "w0\u2028\u2029\x85 ".encode()),
        ("sse_role_null", rb'"role":null'),
        ("sse_usage_tail", rb'"choices":\[\],"usage"'),
        ("sse_after_done", rb"\[DONE\].*w1"),
        ("sse_no_done", rb'"finish_reason":"stop"\}\]\}\n\n$'),
        ("sse_no_done_no_finish", rb'w9 "\},"finish_reason":null\}\]\}\n\n$'),
        ("sse_clean_end_early", rb'w2 "\},"finish_reason":null\}\]\}\n\n$'),
        ("sse_cut_mid_event", rb"w2 .*\n\ndata: [^\n]+[^}\n]$"),
        ("sse_bad_utf8", rb"w3\xff "),
        ("sse_bad_json", rb"w2 .*\[\{\]\n\n.*w3 "),
        ("sse_wrong_types", rb'"delta":"text"'),
        ("sse_error_object", rb'data: \{"error":\{"message"[^\n]*\n\n$'),
        ("sse_error_string", rb'"error_type":"generation"\}\n\n$'),
        ("sse_error_event", rb"event: error\ndata: \{[^\n]*\n\n$"),
        ("sse_error_then_done", rb'"error":.*\[DONE\]'),
        ("sse_error_beside_choices", rb'"choices".*"error":\{'),
        ("sse_finish_error", rb'"finish_reason":"error"'),
        ("sse_big_line~mb=1", rb"a{1000}"),
    ],
)
def test_traits_of_streams(server: faults.FaultServer, http: httpx.Client, fault: str, trait: bytes) -> None:
    answer = post(http, f"{server.url}/{fault}", stream=True)
    assert re.search(trait, answer.content, re.DOTALL)
    assert answer.headers["content-type"] == "text/event-stream"


def test_splits_fall_inside_characters_and_line_ends(server: faults.FaultServer) -> None:
    for fault, border in (
        ("sse_split_utf8", rb"\xe2\r\n1\r\n\x82\r\n"),
        ("sse_crlf_split", rb"\r\r\n2\r\n\n\r\r\n"),
    ):
        with asked(server, server.at(fault, pause=0)) as sock:
            got = read(sock, 2000)[0]
        assert re.search(border, got)


# bodies


@pytest.mark.parametrize("stream", [False, True])
def test_lengths(server: faults.FaultServer, http: httpx.Client, stream: bool) -> None:
    whole = post(http, server.at("ok"), stream=stream).content
    for fault, lengths in {
        "length_too_long": [len(whole) + 100],
        "length_too_short": [len(whole) // 2],
        "length_short_by_one": [len(whole) - 1],
        "length_twice": [len(whole), len(whole) // 2],
    }.items():
        with asked(server, server.at(fault), stream=stream) as sock:
            head, _, body = read(sock, len(whole) + 80)[0].partition(b"\r\n\r\n")
            body += read(sock, len(whole) - len(body))[0]
        assert [int(n) for n in re.findall(rb"Content-Length: (\d+)", head)] == lengths
        assert body == whole


@pytest.mark.parametrize("framing", ["chunked", "chunked_end", "length", "eof"])
@pytest.mark.parametrize("at", [0, 1, 57])
def test_cuts(server: faults.FaultServer, http: httpx.Client, framing: str, at: int) -> None:
    whole = post(http, server.at("ok"), stream=True).content
    with asked(server, server.at("cut", at=at, framing=framing)) as sock:
        got, end = read(sock)
    head, _, rest = got.partition(b"\r\n\r\n")
    assert end == "fin"
    assert (b"chunked" in head, b"Content-Length" in head) == (
        framing.startswith("chunked"),
        framing == "length",
    )
    assert rest.endswith(b"0\r\n\r\n") == (framing == "chunked_end")
    assert (unchunked(rest) if b"chunked" in head else rest) == whole[:at]


def test_a_bomb_is_small_and_right() -> None:
    unpacked = zlib.decompressobj(zlib.MAX_WBITS | 16)
    assert unpacked.decompress(bomb(3)) == bytes(3 * 1024 * 1024)
    assert unpacked.eof
    assert len(bomb(1024)) < 2 * 1024 * 1024
    assert struct.unpack("<I", bomb(1024)[-4:]) == (1 << 30,)


def test_gzip(server: faults.FaultServer, http: httpx.Client) -> None:
    assert post(http, server.at("gzip_bomb", mb=2)).content == bytes(2 * 1024 * 1024)
    assert post(http, server.at("gzip_bomb_error", mb=1)).status_code == 400
    with pytest.raises(httpx.DecodingError):
        post(http, server.at("gzip_corrupt"), stream=True)
    cut_short = post(http, server.at("gzip_truncated"), stream=True)
    assert TEXT not in cut_short.text


def test_json(server: faults.FaultServer, http: httpx.Client) -> None:
    assert len(post(http, server.at("big_json", mb=2)).json()["padding"]) == 1024 * 1024 + 1
    deep = post(http, server.at("deep_json", depth=20)).json()
    assert deep["choices"][0]["message"]["content"] == TEXT
    assert json.dumps(deep["deep"]) == "[" * 20 + "]" * 20
    assert text_in(post(http, server.at("deep_json", depth=20), stream=True).content) == TEXT
    with pytest.raises(ValueError, match="digits"):
        post(http, server.at("big_int")).json()
    with pytest.raises(json.JSONDecodeError):
        post(http, server.at("json_truncated")).json()
    assert post(http, server.at("json_wrong_types")).json()["choices"] == "none"
