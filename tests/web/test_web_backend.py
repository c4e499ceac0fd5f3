"""A run in a web backend reaches the browser as it comes, and ends at the model's server when the browser leaves."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from support.web_servers import PATIENCE, SERVERS, Browser, datas, serving

from headwater import AsyncInferenceClient
from headwater.emulator import faults
from headwater.examples.web_backend import application


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def upstream() -> Iterator[faults.FaultServer]:
    with faults.running() as running:
        yield running


def backend(upstream: faults.FaultServer, fault: str, **parameters: Any) -> Any:
    return application(AsyncInferenceClient(base_url=upstream.at(fault, **parameters), retries=0), "m")


def text_in(answer: str) -> str:
    return "".join(json.loads(data)["text"] for data in datas(answer) if data != "[DONE]")


def test_a_whole_answer(server: str, upstream: faults.FaultServer) -> None:
    with serving(backend(upstream, "ok"), server) as port, Browser(port) as browser:
        answer = browser.read_all()
    head, _, _ = answer.partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 200")
    assert "content-type: text/event-stream\r\n" in head
    assert "cache-control: no-store" in head
    assert text_in(answer) == faults.TEXT
    assert datas(answer)[-1] == "[DONE]"


def test_the_model_stops_when_the_browser_goes_away(server: str, upstream: faults.FaultServer) -> None:
    with serving(backend(upstream, "sse_forever", pause=0.01), server) as port:
        with Browser(port) as browser:
            browser.read_until("data: ", 5)
            assert upstream.open_count() == 1
        assert upstream.wait_closed(1, PATIENCE)
    assert upstream.connections[0].closed_by == "client"


@pytest.mark.parametrize("fault", ["hang_before_headers", "sse_stall"])
def test_a_silent_model_stops_as_well(server: str, upstream: faults.FaultServer, fault: str) -> None:
    """Nothing is being written that could fail: only listening to the browser tells."""
    with serving(backend(upstream, fault), server) as port:
        with Browser(port) as browser:
            assert upstream.wait_requests(1, PATIENCE)
            if fault == "sse_stall":
                browser.read_until("data: ", 3)
        assert upstream.wait_closed(1, PATIENCE)
    assert upstream.connections[0].closed_by == "client"


def test_many_browsers_come_and_go(server: str, upstream: faults.FaultServer) -> None:
    with serving(backend(upstream, "sse_forever", pause=0.05), server) as port:
        browsers = [Browser(port) for _ in range(40)]
        for browser in browsers:
            browser.read_until("data: ", 2)
        for browser in browsers[::2]:
            browser.close()
        assert upstream.wait_closed(20, PATIENCE)
        for browser in browsers[1::2]:
            seen = browser.text.count("data: ")
            browser.read_until("data: ", seen + 3)
        assert upstream.open_count() == 20
        for browser in browsers[1::2]:
            browser.close()
        assert upstream.wait_closed(40, PATIENCE)


@pytest.mark.parametrize(
    ("fault", "parameters", "status", "kind"),
    [
        ("s401", {}, 502, "AuthenticationError"),
        ("s429_seconds", {"n": 9, "after": 7}, 503, "RateLimitError"),
        ("status", {"code": 400}, 400, "InvalidRequestError"),
        ("s500", {}, 502, "ServerError"),
        ("reset_before_response", {}, 502, "ConnectionLostError"),
    ],
)
def test_an_early_failure_is_a_status(
    upstream: faults.FaultServer, fault: str, parameters: dict[str, Any], status: int, kind: str
) -> None:
    with serving(backend(upstream, fault, **parameters), "hypercorn-trio") as port, Browser(port) as browser:
        answer = browser.read_all()
    head, _, body = answer.partition("\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status}")
    assert json.loads(body[body.index("{") : body.rindex("}") + 1])["error"]["type"] == kind
    if kind == "RateLimitError":
        assert "retry-after: 7" in head


@pytest.mark.parametrize(
    ("fault", "kind"), [("sse_error_object", "ServerError"), ("sse_clean_end_early", "IncompleteStreamError")]
)
def test_a_late_failure_is_an_event(server: str, upstream: faults.FaultServer, fault: str, kind: str) -> None:
    with serving(backend(upstream, fault), server) as port, Browser(port) as browser:
        answer = browser.read_all()
    assert answer.startswith("HTTP/1.1 200")
    *words, last = datas(answer)
    assert [json.loads(word)["text"] for word in words] == ["w0 ", "w1 ", "w2 "]
    assert f"event: error\ndata: {last}\n\n" in answer
    assert json.loads(last)["error"]["type"] == kind
    assert "[DONE]" not in answer


def test_a_browser_may_name_its_letters(upstream: faults.FaultServer) -> None:
    kind = "application/json; charset=UTF-8"
    with serving(backend(upstream, "ok"), "uvicorn") as port, Browser(port, kind=kind) as browser:
        assert text_in(browser.read_all()) == faults.TEXT


def test_the_page_and_what_is_refused(upstream: faults.FaultServer) -> None:
    with serving(backend(upstream, "ok"), "uvicorn") as port:
        with Browser(port, {"messages": "no list"}) as browser:
            assert browser.read_all().startswith("HTTP/1.1 400")
        for head, status in {
            "GET / HTTP/1.1\r\nhost: 127.0.0.1": 200,
            "GET / HTTP/1.1\r\nhost: evil.example": 400,
            "POST /chat HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: text/plain\r\ncontent-length: 0": 415,
            "POST /chat HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/jsonx\r\ncontent-length: 0": 415,
        }.items():
            with socket.create_connection(("127.0.0.1", port), PATIENCE) as raw:
                raw.sendall(f"{head}\r\nconnection: close\r\n\r\n".encode())
                assert raw.recv(65536).startswith(f"HTTP/1.1 {status}".encode())
    assert not upstream.requests
