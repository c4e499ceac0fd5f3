"""Servers of this machine: each is recognised by what it answers, and what is not understood is said."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from support.drivers import Driver, in_thread

from headwater import InvalidParameterError, LocalServer, async_local_servers, local_servers
from headwater.cli import local as command
from headwater.cli.app import run_command

pytestmark = [pytest.mark.anyio, pytest.mark.dealt]


def models(owner: str, *names: str) -> dict[str, Any]:
    return {"object": "list", "data": [{"id": name, "object": "model", "owned_by": owner} for name in names]}


SERVERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    # https://github.com/ollama/ollama/blob/main/docs/api.md#version
    "ollama": (
        {"/v1/models": models("library", "llama3.2:3b", "qwen3:8b"), "/api/version": {"version": "0.12.6"}},
        {"name": "ollama", "version": "0.12.6", "models": ["llama3.2:3b", "qwen3:8b"]},
    ),
    "ollama without a model": (
        {"/v1/models": {"object": "list", "data": None}, "/api/version": {"version": "0.12.6"}},
        {"name": "ollama", "version": "0.12.6", "models": []},
    ),
    # https://lmstudio.ai/docs/developer/openai-compat, which tells no version
    "lmstudio": (
        {"/v1/models": models("organization_owner", "qwen/qwen3-4b")},
        {"name": "lmstudio", "models": ["qwen/qwen3-4b"]},
    ),
    # https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md
    "llamacpp": (
        {"/v1/models": models("llamacpp", "model.gguf"), "/props": {"build_info": "b7000-abc", "n_ctx": 512}},
        {"name": "llamacpp", "version": "b7000-abc", "models": ["model.gguf"]},
    ),
    # https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html
    "vllm": (
        {"/v1/models": models("vllm", "Qwen/Qwen3-8B"), "/version": {"version": "0.11.0"}},
        {"name": "vllm", "version": "0.11.0", "models": ["Qwen/Qwen3-8B"]},
    ),
    # https://docs.sglang.ai/basic_usage/native_api.html
    "sglang": (
        {"/v1/models": models("sglang", "Qwen/Qwen3-8B"), "/get_server_info": {"version": "0.5.3", "tp_size": 1}},
        {"name": "sglang", "version": "0.5.3", "models": ["Qwen/Qwen3-8B"]},
    ),
    # https://huggingface.github.io/text-generation-inference/
    "tgi": (
        {
            "/v1/models": models("HuggingFaceH4/zephyr-7b-beta", "HuggingFaceH4/zephyr-7b-beta"),
            "/info": {"model_id": "HuggingFaceH4/zephyr-7b-beta", "version": "3.3.4", "max_input_tokens": 4095},
        },
        {"name": "tgi", "version": "3.3.4", "models": ["HuggingFaceH4/zephyr-7b-beta"]},
    ),
    # https://huggingface.github.io/text-embeddings-inference/
    "tei": (
        {"/info": {"model_id": "BAAI/bge-m3", "version": "1.8.2", "model_type": {"embedding": {"pooling": "cls"}}}},
        {"name": "text-embeddings-inference", "version": "1.8.2", "models": ["BAAI/bge-m3"]},
    ),
    "another of the dialect": (
        {"/v1/models": models("me", "m")},
        {"name": None, "models": ["m"], "note": "it speaks OpenAI's dialect, and does not say what it is"},
    ),
    "another": ({}, {"name": None, "note": "it answers with 404, and was not understood"}),
    "a page": (
        {"/v1/models": b"<html>Grafana</html>"},
        {"name": None, "note": "it answers with something else than a list of models, and was not understood"},
    ),
    "a list of something else": (
        {"/v1/models": ["a"]},
        {"name": None, "note": "it answers with something else than a list of models, and was not understood"},
    ),
    "one that wants a key": ({"/v1/models": 401}, {"name": None, "note": "it wants a key: give api_key="}),
}


@contextmanager
def serving(answers: dict[str, Any]) -> Iterator[tuple[int, list[Any]]]:
    """A server on loopback, its port, and the paths and credentials that it was asked with."""
    asked: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers.get("authorization")))
            answer = answers.get(self.path, 404)
            status = answer if isinstance(answer, int) else 200
            body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "text/html" if isinstance(answer, bytes) else "application/json")
            self.send_header("content-length", str(len(body)))
            self.send_header("connection", "close")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02))
    thread.start()
    try:
        yield server.server_address[1], asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def refusing() -> Iterator[int]:
    """A port at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        yield free.getsockname()[1]


async def found(driver: Driver, *ports: int, timeout: float = 10) -> list[LocalServer]:
    if driver.blocking:
        return list(await in_thread(local_servers, ports, timeout=timeout))
    return await async_local_servers(ports, timeout=timeout)


@pytest.mark.parametrize("name", SERVERS)
async def test_each_is_recognised(driver: Driver, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_of_a_test_000000")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    answers, expected = SERVERS[name]
    with serving(answers) as (port, asked):
        (server,) = await found(driver, port)
    told = {"name": server.name, "version": server.version, "models": server.models, "note": server.note}
    assert told == {"version": None, "models": [], "note": None, **expected}
    assert server.url == f"http://127.0.0.1:{port}" and {key for _, key in asked} == {None}
    if server.name == "text-embeddings-inference":
        assert server.use == f'InferenceClient(base_url="{server.url}")'
    elif server.models:
        assert server.use == f'InferenceClient(model="{server.models[0]}", base_url="{server.url}/v1")'
    elif server.name is None:
        assert server.use is None


async def test_a_port_without_anybody_and_one_that_does_not_answer(driver: Driver, refusing: int) -> None:
    with serving(SERVERS["vllm"][0]) as (port, _), socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        mute = silent.getsockname()[1]
        servers = await found(driver, refusing, mute, port, port, timeout=2)
    assert [server.name for server in servers] == [None, "vllm"]
    assert servers[0].note == "something listens, and did not answer in 2 s" and servers[0].use is None


async def test_something_that_speaks_another_protocol(driver: Driver) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()

        def greet() -> None:
            connection, _ = other.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

        thread = threading.Thread(target=greet)
        thread.start()
        (server,) = await found(driver, other.getsockname()[1])
        thread.join()
    assert server.note == "something listens that is no HTTP server"


@pytest.mark.parametrize("ports", [[0], [65536], ["80"], [True], list(range(1, 70))])
async def test_what_are_no_ports(driver: Driver, ports: list[Any]) -> None:
    with pytest.raises(InvalidParameterError, match="ports must be"):
        await found(driver, *ports)


def test_the_command(capsys: pytest.CaptureFixture[str], refusing: int) -> None:
    with serving(SERVERS["ollama"][0]) as (port, _):
        assert run_command(["local", "--port", str(port), "--port", str(refusing), "--timeout", "10"]) == 0
        head, line = capsys.readouterr().out.splitlines()
        assert head.split("\t") == ["server", "version", "url", "models", "use", "note"]
        assert line.split("\t")[:4] == ["ollama", "0.12.6", f"http://127.0.0.1:{port}", "llama3.2:3b,qwen3:8b"]
        assert run_command(["local", "--port", str(port), "--json", "--timeout", "10"]) == 0
        (row,) = json.loads(capsys.readouterr().out)
        assert row["models"] == ["llama3.2:3b", "qwen3:8b"] and row["use"].startswith("InferenceClient(model=")
    assert run_command(["local", "--port", str(refusing)]) == 0
    out, err = capsys.readouterr()
    assert out == "" and f"nothing answers on this machine at {refusing}" in err
    assert run_command(["local", "--port", str(refusing), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_a_table_of_80_columns(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for module in "local", "tables":
        monkeypatch.setattr(f"headwater.cli.{module}.is_terminal", lambda _: True)
    names = ["\x1b]0;title\x07odd", *(f"organisation-{n}/a-model-with-a-long-name-{n}-instruct-q4" for n in range(4))]
    found = [
        LocalServer(
            name="vllm", url="http://127.0.0.1:8000", version="0.11.0", models=names, use="InferenceClient(...)"
        ),
        LocalServer(name=None, url="http://127.0.0.1:3000", note="it answers with 404, and was not understood"),
    ]
    monkeypatch.setattr(command, "local_servers", lambda ports, *, timeout: found)
    assert run_command(["local"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80 and any("and 2 more" in line for line in lines)
    assert not any("\x1b]" in line for line in lines)
    assert lines[-2:] == [
        "InferenceClient(...)",
        "http://127.0.0.1:3000: it answers with 404, and was not understood",
    ]
