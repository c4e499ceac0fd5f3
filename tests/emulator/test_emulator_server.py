"""The emulator as a server: starting, stopping, what it refuses, what it records, and how it keeps the pace."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from support.emulator_client import CHAT, asking, client, ended, unary

from headwater import emulator


def test_the_url_is_a_str_and_nothing_is_left_behind() -> None:
    before = set(threading.enumerate())  # a set: a thread of an earlier test may end meanwhile
    for _ in range(3):
        with emulator.running() as url, client(url) as http:
            assert isinstance(url, str) and url.startswith("http://127.0.0.1:")
            http.get(url + "/health").raise_for_status()
            assert url.connections == 1
        assert ended(before)
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", urlsplit(url).port)) != 0


def test_two_run_at_once_and_a_port_can_be_chosen() -> None:
    with emulator.running() as first, emulator.running() as second:
        assert first != second
        unary(first, CHAT, asking())
        assert len(first.requests) == 1 and second.requests == []
        port = urlsplit(first).port
        assert port is not None
        with pytest.raises(OSError, match="in use"), emulator.running(port=port):
            pass


def test_it_ends_although_a_client_is_in_the_middle_of_a_stream() -> None:
    with ExitStack() as after:  # the client is closed when the server has ended
        with emulator.running() as url:
            http = after.enter_context(client(url, headers={"x-emulator-gate": "g"}))
            failed: list[Exception] = []

            def call() -> None:
                try:
                    http.post(CHAT, json=asking(stream=True))
                except httpx.HTTPError as error:
                    failed.append(error)

            thread = threading.Thread(target=call)
            thread.start()
            url.wait_for(lambda: len(url.requests) == 1)
            with_open_stream = url.connections
        thread.join(20)
    assert with_open_stream == 1 and failed and url.disconnections == 0


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])
def test_only_loopback(host: str) -> None:
    with pytest.raises(ValueError, match=r"loopback|does not appear"), emulator.running(host=host):
        pass


def test_no_keys_is_an_error() -> None:
    with pytest.raises(ValueError, match="api_keys is empty"), emulator.running(api_keys=[]):
        pass


@pytest.mark.parametrize("missing", ["starlette", "uvicorn"])
def test_without_the_extra_the_error_says_what_to_install(missing: str) -> None:
    code = f"""
import sys
sys.modules[{missing!r}] = None
from headwater import emulator
import headwater.emulator.fixtures
assert "headwater.client" not in sys.modules
try:
    emulator.running()
except ImportError as error:
    print(error)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=240)
    assert 'pip install "headwater[emulator]"' in ran.stdout and missing in ran.stdout


def test_the_plugin_imports_no_server() -> None:
    servers = "{'uvicorn', 'starlette', 'anyio', 'httpx'}"
    code = f"import sys, headwater.emulator.fixtures; print({servers} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=240)
    assert ran.stdout.strip() == "set()"


def test_the_command_prints_its_url_and_ends_on_ctrl_c() -> None:
    command = [sys.executable, "-W", "error", "-m", "headwater.emulator"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        url = process.stdout.readline().strip()
        unary(url, CHAT, asking()).raise_for_status()
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(20) == 0 and process.stderr.read() == ""


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "", "127.0.0.1.evil.example"])
def test_a_foreign_host_header_is_refused(headwater_emulator: str, host: str) -> None:
    with client(headwater_emulator) as http:
        assert http.post(CHAT, json=asking(), headers={"host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost", "localhost:1", "127.0.0.1", "[::1]", "[::1]:80"])
def test_loopbacks_names_are_accepted(headwater_emulator: str, host: str) -> None:
    with client(headwater_emulator) as http:
        http.post(CHAT, json=asking(), headers={"host": host}).raise_for_status()


def test_a_body_over_the_limit_is_refused(headwater_emulator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headwater.emulator.app.MAX_BODY", 1000)
    body = json.dumps(asking()).encode()
    with client(headwater_emulator) as http:
        http.post(CHAT, content=body.ljust(1000)).raise_for_status()
        assert http.post(CHAT, content=body.ljust(1001)).status_code == 413


@pytest.mark.parametrize(("method", "path", "status"), [("GET", CHAT, 405), ("POST", "/nothing", 404)])
def test_what_nobody_serves(headwater_emulator: str, method: str, path: str, status: int) -> None:
    with client(headwater_emulator) as http:
        answer = http.request(method, path, json={})
    assert answer.status_code == status and path in answer.json()["error"]


REAL = "hf_" + "a1B2" * 9


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"authorization": f"Bearer {REAL}"}, ""),
        ({"x-api-key": "sk-" + "x" * 48}, ""),
        ({"x-other": REAL}, ""),
        ({}, f"?token={REAL}"),
    ],
)
def test_credentials_that_look_real_are_refused_and_not_kept(headers: dict[str, str], query: str) -> None:
    with emulator.running() as url:
        answer = unary(url, CHAT + query, asking(), **headers)
        assert answer.status_code == 400 and "look real" in answer.json()["error"]
        assert "hf_a1" not in answer.text and url.requests == []


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        (CHAT, 401, {"error": dict}),
        ("/cohere/compatibility/v1/chat/completions", 401, {"message": str}),
        ("/fireworks-ai/inference/v1/chat/completions", 403, {"error": str}),
        ("/v3/openai/chat/completions", 401, {"code": int, "reason": str, "message": str, "metadata": dict}),
        ("/models/m", 401, {"error": str}),
        ("/tei", 401, {"error": str}),
    ],
)
def test_keys(path: str, status: int, body: dict[str, type]) -> None:
    with emulator.running(api_keys=["hf_good", "sk-good"]) as url:
        sent = asking("a") | {"inputs": "a"}
        for headers in ({}, {"authorization": "Bearer bad"}, {"authorization": "Basic sk-good"}):
            answer = unary(url, path, sent, **headers)
            assert answer.status_code == status
            assert {name: type(value) for name, value in answer.json().items()} == body
        unary(url, path, sent, authorization="Bearer sk-good").raise_for_status()
        with client(url) as http:
            http.get("/health").raise_for_status()


def test_sambanova_refuses_a_key_in_plain_text() -> None:
    with emulator.running(api_keys=["good"]) as url:
        answer = unary(url, "/sambanova/v1/chat/completions", asking())
    assert answer.status_code == 401 and answer.headers["content-type"].startswith("text/plain")


def test_requests_are_recorded_without_credentials() -> None:
    with emulator.running() as url:
        unary(url, CHAT + "?x=1", asking(), authorization="Bearer hf_test", cookie="a=b")
        (request,) = url.requests
        assert (request.method, request.path, request.query) == ("POST", CHAT, {"x": "1"})
        assert request.json == asking()
        assert request.headers["authorization"] == "Bearer ***" and request.headers["cookie"] == "***"
        assert request.carries("hf_test") and not request.carries("hf_other")
        assert "hf_test" not in repr(request) and "hf_test" not in repr(url.__dict__)
        url.forget()
        assert url.requests == []


def test_a_model_that_is_loading_answers_the_second_time() -> None:
    with emulator.running() as url:
        for path, model in ((CHAT, "a-loading"), ("/models/b-loading", "b-loading")):
            body = asking() | {"model": model, "inputs": "x"}
            first = unary(url, path, body)
            message = f"Model {model} is currently loading"
            assert first.status_code == 503 and first.json() == {"error": message, "estimated_time": 0.2}
            unary(url, path, body).raise_for_status()


def test_a_missing_model(headwater_emulator: str) -> None:
    answer = unary(headwater_emulator, CHAT, asking() | {"model": "missing"})
    assert answer.status_code == 404 and answer.json()["error"]["code"] == "model_not_found"
    answer = unary(headwater_emulator, "/models/missing", {"inputs": "x"})
    assert answer.status_code == 404 and isinstance(answer.json()["error"], str)


def test_a_gate_holds_a_stream_after_so_many_events() -> None:
    headers = {"x-emulator-gate": "g", "x-emulator-gate-after": "3"}
    with emulator.running() as url, client(url) as http:
        with http.stream("POST", CHAT, json=asking(stream=True), headers=headers) as answer:
            lines = answer.iter_lines()
            seen = [next(lines) for _ in range(6)]
            assert sum(line.startswith("data:") for line in seen) == 3
            url.open_gate("g")
            assert [line for line in lines if line][-1] == "data: [DONE]"
        assert url.disconnections == 0


def test_a_gate_holds_a_whole_answer() -> None:
    with emulator.running() as url:
        answers: list[httpx.Response] = []
        fields = {"x-emulator-gate": "g"}
        thread = threading.Thread(target=lambda: answers.append(unary(url, CHAT, asking(), **fields)))
        thread.start()
        url.wait_for(lambda: len(url.requests) == 1)
        assert answers == []
        url.open_gate("g")
        thread.join(20)
        assert answers[0].status_code == 200


@pytest.mark.parametrize(
    ("model", "headers"), [("slow", {}), ("m", {"x-emulator-delay": "0.05"})], ids=["model", "header"]
)
def test_a_pace_can_be_asked_for(headwater_emulator: str, model: str, headers: dict[str, str]) -> None:
    start = time.monotonic()
    body = asking(stream=True, max_tokens=2) | {"model": model}
    unary(headwater_emulator, CHAT, body, **headers).raise_for_status()
    assert time.monotonic() - start >= 0.2


@pytest.mark.parametrize("value", ["soon", "-1", "nan", "inf", "61"])
def test_a_pace_that_is_none(headwater_emulator: str, value: str) -> None:
    answer = unary(headwater_emulator, CHAT, asking(), **{"x-emulator-delay": value})
    assert answer.status_code == 400 and "x-emulator-delay" in answer.json()["error"]


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_goes_away_is_noticed(stream: bool) -> None:
    headers = {"x-emulator-gate": "never"} | ({"x-emulator-gate-after": "1"} if stream else {})
    body = json.dumps(asking(stream=stream)).encode()
    head = f"POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n"
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    with emulator.running() as url:
        parts = urlsplit(url)
        assert parts.port is not None
        with socket.create_connection(("127.0.0.1", parts.port)) as raw:
            raw.sendall(f"{head}{lines}\r\n".encode() + body)
            url.wait_for(lambda: len(url.requests) == 1 and url.connections == 1)
            if stream:
                assert raw.recv(100)
        url.disconnected()
        url.wait_for(lambda: url.connections == 0)
        assert url.disconnections == 1 and url.accepted == 1
        with pytest.raises(TimeoutError, match="2 clients went away"):
            url.disconnected(0.01, count=2)


def test_a_client_that_goes_away_in_its_request_is_noticed() -> None:
    with emulator.running() as url:
        port = urlsplit(url).port
        assert port is not None
        with socket.create_connection(("127.0.0.1", port)) as raw:
            raw.sendall(f"POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{{".encode())
            url.wait_for(lambda: url.connections == 1)
        url.disconnected()
        assert url.requests == []


def test_a_long_stream_is_whole_and_counts_as_no_disconnection() -> None:
    with emulator.running() as url:
        answer = unary(url, CHAT, asking(stream=True) | {"model": "words-2000"}).raise_for_status()
        assert answer.text.count("data: {") == 2002 and answer.text.endswith("data: [DONE]\n\n")
        assert url.disconnections == 0


def test_the_documentation_names_every_dialect() -> None:
    folder = Path(str(emulator.__file__)).parent
    names = [path.stem for path in folder.rglob("*.py") if "DIALECT = Dialect(" in path.read_text()]
    assert len(names) >= 6 and all(f"``{name}``" in str(emulator.__doc__) for name in names)
