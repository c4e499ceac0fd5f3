"""The fault server: its table, its log, the right answers, connections and heads, and how it stops.

Refuses to test any client of ours: these are the faults themselves.
"""

import contextlib
import gc
import json
import re
import socket
import sys
import threading

import httpx
import pytest
from support.emulator_client import ended
from support.fault_client import PATH, SOON, asked, datas, post, read, text_in

from headwater.emulator import faults
from headwater.emulator.fault_server.answers import PNG, TEXT, WORDS

SECTION_4 = """
ok reset_before_response reset_first fin_before_response stale_keepalive hang_before_headers slow_headers
reset_after_headers huge_headers endless_headers endless_1xx garbage_head s401 s500 s500_burst
s429_seconds s429_date s429_absurd s429_nan s503_loading s502_html s200_html s200_empty s200_error_json
s500_endless_body redirect_other redirect_port redirect_loop redirect_file sse_reset sse_stall
sse_slow_bytes sse_keepalives sse_trunc_chunk sse_no_last_chunk sse_clean_end_early sse_eof_framed_early
sse_cut_mid_event sse_no_done sse_done_left_open length_too_long length_too_short length_twice
sse_bad_utf8 sse_split_utf8 sse_crlf sse_cr sse_mixed_eol sse_bom sse_crlf_split sse_unicode_breaks
sse_nospace sse_multiline_data sse_fields sse_no_final_blank sse_big_line sse_endless_line
sse_endless_event sse_error_object sse_error_string sse_error_event sse_error_then_done sse_bad_json
sse_wrong_types sse_usage_tail sse_duplicates sse_after_done gzip_bomb gzip_bomb_error gzip_truncated
gzip_corrupt big_json deep_json big_int json_truncated json_wrong_types echo_token_error sse_flood
sse_forever
"""
MORE = """
sse_role_null sse_no_done_no_finish ollama_null_finish early_413 length_short_by_one cut s408 s409 s425
s529
"""


# the table


def test_describe_lists_every_fault() -> None:
    listed = [line.split()[0].split("~")[0] for line in faults.describe().splitlines()]
    assert len(SECTION_4.split()) == 79
    assert {*SECTION_4.split(), *MORE.split()} <= set(listed)
    assert listed == list(faults.FAULTS)
    assert "sse_reset~n=3 " in faults.describe()


def test_unknown_faults_and_parameters_are_refused(server: faults.FaultServer, http: httpx.Client) -> None:
    unknown = post(http, server.url + "/nonsense")
    assert unknown.status_code == 404
    assert "sse_reset" in unknown.text
    assert post(http, server.at("sse_reset", words=3)).status_code == 400
    assert post(http, server.at("sse_reset", n="three")).status_code == 400
    with pytest.raises(ValueError, match="nonsense"):
        server.at("nonsense")
    assert server.requests == []


def test_foreign_host_names_are_refused(server: faults.FaultServer, http: httpx.Client) -> None:
    assert post(http, server.at("ok"), headers={"Host": "example.org"}).status_code == 421


# the right answers


def test_chat(server: faults.FaultServer, http: httpx.Client) -> None:
    unary = post(http, server.at("ok")).json()
    assert unary["choices"][0] == {
        "index": 0,
        "message": {"role": "assistant", "content": TEXT},
        "finish_reason": "stop",
    }
    stream = post(http, server.at("ok"), stream=True)
    assert stream.headers["content-type"] == "text/event-stream"
    assert text_in(stream.content) == TEXT == "w0 w1 w2 w3 w4 w5 w6 w7 w8 w9 "
    *words, finish, done = datas(stream.content)
    assert len(words) == len(WORDS)
    assert json.loads(finish)["choices"][0]["finish_reason"] == "stop"
    assert done == "[DONE]"


def test_other_dialects(server: faults.FaultServer, http: httpx.Client) -> None:
    base = server.at("ok")
    assert http.post(base, json={"inputs": "hi"}).json()["generated_text"] == TEXT
    tokens = [json.loads(data) for data in datas(http.post(base, json={"inputs": "hi", "stream": True}).content)]
    assert "".join(one["token"]["text"] for one in tokens if not one["token"]["special"]) == TEXT
    assert tokens[-1]["generated_text"] == TEXT
    rows = http.post(base + "/v1/embeddings", json={"input": ["a", "b"]}).json()["data"]
    assert [row["embedding"] for row in rows] == [[0.25, -0.5, 1.0]] * 2
    packed = http.post(base + "/v1/embeddings", json={"input": "a", "encoding_format": "base64"}).json()
    assert packed["data"][0]["embedding"] == "AACAPgAAAL8AAIA/"
    assert http.post(base + "/pipeline/feature-extraction", json={"inputs": "a"}).json() == [[0.25, -0.5, 1.0]]
    picture = http.post(base, json={"inputs": "a cat"}, headers={"Accept": "image/png"})
    assert picture.headers["content-type"] == "image/png"
    assert picture.content == PNG == http.post(base, content=b"bytes").content


def test_chunked_request_bodies_are_read(server: faults.FaultServer, http: httpx.Client) -> None:
    http.post(server.at("ok") + PATH, content=iter([b"one ", b"two"]))
    assert server.requests[0].body == b"one two"


# the log


def test_the_log(server: faults.FaultServer, http: httpx.Client) -> None:
    post(http, server.at("ok", id=1), headers={"Authorization": "Bearer canary"})
    post(http, server.at("s401"))
    assert server.wait_requests(2, SOON)
    first, second = server.requests
    assert (first.fault, second.fault) == ("ok~id=1", "s401")
    assert (first.method, first.rest, json.loads(first.body)["model"]) == ("POST", PATH, "m")
    assert first.headers["authorization"] == "Bearer canary"
    assert "canary" not in repr(first)
    assert first.connection == second.connection == server.connections[0].id
    assert first.time < second.time
    assert server.open_count() == 1
    http.close()
    assert server.wait_closed(1, SOON)
    record = server.connections[0]
    assert record.closed_by == "client"
    assert record.closed is not None and record.closed >= second.time > record.opened
    assert record.sent > 2 * len(TEXT)
    server.reset()
    assert (server.requests, server.connections, server.open_count()) == ([], [], 0)


def test_waiting_for_what_does_not_come_says_so(server: faults.FaultServer) -> None:
    assert not server.wait_closed(1, 0.01)
    assert not server.wait_requests(1, 0.01)


def test_pipelined_requests_are_answered_in_turn(server: faults.FaultServer) -> None:
    first = b"GET /s401/ HTTP/1.1\r\nHost: localhost\r\n\r\n"
    second = b"GET /s500/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), SOON) as sock:
        sock.sendall(first + second)
        got, end = read(sock)
    assert re.findall(rb"HTTP/1.1 (\d+)", got) == [b"401", b"500"]
    assert end == "fin"


# the connection and the head


@pytest.mark.parametrize(
    ("fault", "end", "pattern"),
    [
        ("reset_before_response", "rst", rb""),
        ("reset_first", "rst", rb""),
        ("fin_before_response", "fin", rb""),
        ("fin_after_response", "fin", rb"HTTP/1.1 200 .*\[DONE\]\n\n\r\n0\r\n\r\n"),
        ("reset_after_headers", "rst", rb"HTTP/1.1 200 OK\r\n.*\r\n\r\n"),
        ("garbage_head", "fin", rb"\x16\x03.*"),
        ("sse_reset", "rst", rb".*w2 [^w]*"),
        ("sse_trunc_chunk", "fin", rb".*1000\r\ndata: \{"),
        ("sse_no_last_chunk", "fin", rb".*w2 [^w]*\n\n\r\n"),
        ("sse_eof_framed_early", "fin", rb".*Connection: close\r\n.*w2 [^w]*\n\n"),
        ("length_too_long", "fin", rb".*\[DONE\]\n\n"),
        ("early_413", "(fin|rst)", rb"(HTTP/1.1 413 .*)?"),
    ],
)
def test_how_the_connection_ends(server: faults.FaultServer, fault: str, end: str, pattern: bytes) -> None:
    with asked(server, server.at(fault)) as sock:
        got, ended = read(sock)
    assert re.fullmatch(pattern, got, re.DOTALL)
    assert re.fullmatch(end, ended)
    assert server.wait_closed(1, SOON)
    assert server.connections[0].closed_by == "server"
    assert server.connections[0].sent >= len(got)
    assert (server.requests[0].body == b"") == (fault == "early_413")


def test_stale_keepalive_closes_a_reused_connection_once(server: faults.FaultServer, http: httpx.Client) -> None:
    base = server.at("stale_keepalive")
    assert post(http, base).is_success
    with pytest.raises(httpx.RemoteProtocolError):
        post(http, base)
    assert [post(http, base).status_code for _ in range(2)] == [200, 200]
    assert [request.connection for request in server.requests] == [1, 1, 2, 2]


ENDLESS = "endless_headers endless_1xx sse_endless_line sse_endless_event sse_flood sse_forever s500_endless_body"
SILENT = "hang_before_headers slow_headers sse_stall sse_slow_bytes sse_keepalives sse_done_left_open"


@pytest.mark.parametrize("fault", [*ENDLESS.split(), *SILENT.split()])
def test_faults_without_an_end_stop_when_the_client_leaves(server: faults.FaultServer, fault: str) -> None:
    with asked(server, server.at(fault)) as sock:
        assert server.wait_requests(1, SOON)
        if fault in ENDLESS:
            assert read(sock, 150)[1] == "open"
        assert server.open_count() == 1
    assert server.wait_closed(1, SOON)
    assert server.connections[0].closed_by == "client"


def test_slow_headers_end(server: faults.FaultServer, http: httpx.Client) -> None:
    assert text_in(post(http, server.at("slow_headers", pause=0.001), stream=True).content) == TEXT


def test_huge_headers(server: faults.FaultServer) -> None:
    with asked(server, server.at("huge_headers", size=200_000)) as sock:
        assert b"a" * 1000 in read(sock, 200_000)[0]


# the status and redirects


@pytest.mark.parametrize("code", [401, 408, 409, 425, 500, 529])
def test_statuses(server: faults.FaultServer, http: httpx.Client, code: int) -> None:
    answers = [post(http, server.at(f"s{code}")), post(http, server.at("status", code=code))]
    assert [answer.status_code for answer in answers] == [code, code]
    assert answers[0].json()["error"]["code"] == code


@pytest.mark.parametrize(
    ("fault", "statuses"),
    [
        ("reset_first~n=0", [200]),
        ("s500_burst", [500, 500, 200]),
        ("s429_seconds", [429, 200]),
        ("s429_date~n=2", [429, 429, 200]),
        ("s429_header", [429, 200]),
        ("s503_loading", [503, 200]),
        ("s429_absurd", [429, 429]),
        ("s429_nan", [429, 429]),
    ],
)
def test_first_requests_are_counted_per_segment(
    server: faults.FaultServer, http: httpx.Client, fault: str, statuses: list[int]
) -> None:
    for base in (f"/{fault}", f"/{fault}~id=other"):
        assert [post(http, server.url + base).status_code for _ in statuses] == statuses
    server.reset()
    assert post(http, f"{server.url}/{fault}").status_code == statuses[0]


def test_hints_to_wait(server: faults.FaultServer, http: httpx.Client) -> None:
    assert post(http, server.at("s429_seconds", after=2)).headers["retry-after"] == "2"
    assert post(http, server.at("s429_date")).headers["retry-after"].endswith(" GMT")
    assert post(http, server.at("s429_absurd")).headers["retry-after"] == "86400"
    assert post(http, server.at("s429_nan")).headers["retry-after"] == "nan"
    limit = server.at("s429_header", name="ratelimit", value='"api";r=0;t=2')
    assert post(http, limit).headers["ratelimit"] == '"api";r=0;t=2'
    assert post(http, server.at("s503_loading", seconds=0.25)).json()["estimated_time"] == 0.25


def test_wrong_contents(server: faults.FaultServer, http: httpx.Client) -> None:
    assert post(http, server.at("s502_html")).headers["content-type"] == "text/html"
    assert post(http, server.at("s200_html")).text.startswith("<!doctype html>")
    assert post(http, server.at("s200_empty"), stream=True).content == b""
    assert "error" in post(http, server.at("s200_error_json")).json()
    echo = post(http, server.at("echo_token_error"), headers={"X-Api-Key": "canary"})
    assert "canary" in echo.json()["error"]["message"]
    assert "canary" in echo.headers["x-error-message"]


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_redirects(server: faults.FaultServer, http: httpx.Client, code: int) -> None:
    port = server.other_url.rpartition(":")[2]
    wanted = {
        "redirect_other": f"http://localhost:{port}{PATH}",
        "redirect_port": f"http://127.0.0.1:{port}{PATH}",
        "redirect_file": "file:///etc/passwd",
        "redirect_loop": f"/redirect_loop~code={code}{PATH}",
    }
    for fault, location in wanted.items():
        answer = post(http, server.at(fault, code=code))
        assert (answer.status_code, answer.headers["location"]) == (code, location)
    assert server.other_requests == []
    url = "http://example.org/a~b?c=d"
    assert post(http, server.at("redirect", code=code, to=url)).headers["location"] == url


def test_the_second_origin_sees_who_follows(server: faults.FaultServer, http: httpx.Client) -> None:
    assert post(http, server.at("redirect_port"), follow_redirects=True).is_success
    assert [request.path for request in server.other_requests] == [PATH]
    assert len(server.other_connections) == 1


# stopping


def test_stopping_ends_every_thread_and_socket() -> None:
    before = set(threading.enumerate())
    endless = ["ok", *ENDLESS.split(), *SILENT.split()]
    with contextlib.ExitStack() as sockets:
        with faults.running() as server:
            for fault in endless:
                sockets.enter_context(asked(server, server.at(fault)))
            assert server.wait_requests(len(endless), SOON)
        assert ended(before)
        assert server.open_count() == 0
        assert {record.closed_by for record in server.connections} == {"server"}
    gc.collect()  # a socket left open would warn here, and warnings are errors
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), SOON)


def test_a_refusing_port(server: faults.FaultServer, http: httpx.Client) -> None:
    with pytest.raises(httpx.ConnectError):
        post(http, server.refused_url)


@pytest.mark.skipif(sys.platform != "linux", reason="other kernels answer when the queue is full")
def test_a_silent_port(server: faults.FaultServer, http: httpx.Client) -> None:
    with pytest.raises(httpx.ConnectTimeout):
        post(http, server.silent_url, timeout=0.1)
