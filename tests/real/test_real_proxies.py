"""Real proxies on loopback, tinyproxy and squid, and nginx in front of a server: what `nox -s proxies` runs.

Each test skips where its program is not installed.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme
from support.drivers import Driver

from headwater import ProxyError

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.real,
    pytest.mark.timeout(300),
    pytest.mark.skipif("HEADWATER_PROXIES" not in os.environ, reason="the session `proxies` runs these"),
]

MESSAGES = [{"role": "user", "content": "hi"}]
USER, PASSWORD = "someone", "a-password-of-theirs"
PATIENCE = 20.0
CALLS, WORKERS = 5000, 150
GAPS = (0.0, 0.9, 0.99, 1.0, 1.01, 1.1)
"""Seconds between two calls of one worker, about nginx's own limit of 1 s."""


class Origin(BaseHTTPRequestHandler):
    """Chats; a stream sends a chunk, and then waits until the other side has gone."""

    protocol_version = "HTTP/1.1"
    left = threading.Event()

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if not asked.get("stream"):
            message = {"index": 0, "finish_reason": "stop", "message": {"content": "yes" * asked.get("max_tokens", 1)}}
            body = json.dumps({"choices": [message]}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("X-Accel-Buffering", self.headers.get("x-buffering", "no"))
        self.end_headers()
        self.close_connection = True
        event = json.dumps({"choices": [{"index": 0, "delta": {"content": "yes"}}]})
        with suppress(OSError):
            self.wfile.write(f"data: {event}\n\n".encode())
            self.wfile.flush()
            self.connection.settimeout(PATIENCE)
            if not self.connection.recv(1):
                Origin.left.set()

    def log_message(self, *_: object) -> None:
        """Nothing is said."""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The files of an authority, and of a key with its certificate for localhost."""
    folder, made = tmp_path_factory.mktemp("certificates"), trustme.CA()
    made.cert_pem.write_to_path(str(folder / "authority.pem"))
    made.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(folder / "identity.pem"))
    return folder / "authority.pem", folder / "identity.pem"


class OriginServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024  # with the usual 5 it would reset who comes with others


@contextmanager
def serving(identity: Path | None = None) -> Iterator[int]:
    server = OriginServer(("127.0.0.1", 0), Origin)
    if identity is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(identity)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


@contextmanager
def running(port: int, *command: str) -> Iterator[int]:
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            until = time.monotonic() + PATIENCE
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    if process.poll() is not None or time.monotonic() > until:
                        assert process.stderr is not None
                        raise AssertionError(f"{command[0]} does not start: {process.stderr.read().decode()}") from None
                    time.sleep(0.05)
            yield port
        finally:
            process.terminate()


def program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@contextmanager
def tinyproxy(folder: Path, login: bool) -> Iterator[int]:
    port = free_port()
    lines = [f"Port {port}", "Listen 127.0.0.1", "Allow 127.0.0.1", "MaxClients 600", "LogLevel Critical"]
    lines += [f"BasicAuth {USER} {PASSWORD}"] if login else []
    (folder / "tinyproxy.conf").write_text("\n".join(lines) + "\n")
    with running(port, program("tinyproxy"), "-d", "-c", str(folder / "tinyproxy.conf")) as found:
        yield found


@contextmanager
def squid(folder: Path, login: bool) -> Iterator[int]:
    port = free_port()
    helper = "/usr/lib/squid/basic_ncsa_auth"
    lines = [f"http_port 127.0.0.1:{port}", f"pid_filename {folder}/squid.pid", "access_log none"]
    lines += [
        f"cache_log {folder}/cache.log",
        "cache deny all",
        f"coredump_dir {folder}",
        "shutdown_lifetime 1 seconds",
    ]
    if login:
        hashed = subprocess.run(
            ["openssl", "passwd", "-apr1", PASSWORD], capture_output=True, text=True, check=True
        ).stdout.strip()
        (folder / "users").write_text(f"{USER}:{hashed}\n")
        (folder / "users").chmod(0o644)
        lines += [f"auth_param basic program {helper} {folder}/users", "auth_param basic children 2"]
        lines += ["acl known proxy_auth REQUIRED", "http_access allow known", "http_access deny all"]
    else:
        lines += ["http_access allow all"]
    for each in (folder, *list(folder.parents)[:2]):
        if os.geteuid() == 0 and each.is_relative_to(Path("/tmp")) and each != Path("/tmp"):
            each.chmod(0o777)
    (folder / "squid.conf").write_text("\n".join(lines) + "\n")
    with running(port, program("squid"), "-N", "-f", str(folder / "squid.conf")) as found:
        yield found


PROXIES: dict[str, Callable[[Path, bool], Any]] = {"tinyproxy": tinyproxy, "squid": squid}


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("login", [False, True], ids=["open", "password"])
@pytest.mark.parametrize("name", PROXIES)
async def test_a_real_proxy(
    driver: Driver, name: str, login: bool, secure: bool, authority: tuple[Path, Path], tmp_path: Path
) -> None:
    certificates, identity = authority
    with serving(identity if secure else None) as origin, PROXIES[name](tmp_path, login) as port:
        base = f"{'https' if secure else 'http'}://localhost:{origin}/v1"
        who = f"{USER}:{PASSWORD}@" if login else ""
        options: dict[str, Any] = {"base_url": base, "verify": certificates}
        async with driver.client(**options, proxies=f"http://{who}127.0.0.1:{port}") as client:
            for size in (1, 100_000, 1):
                out = await client.chat_completion(MESSAGES, max_tokens=size)
                assert out.choices[0].message.content == "yes" * size
            async with anyio.create_task_group() as group:
                for _ in range(30):
                    group.start_soon(client.chat_completion, MESSAGES)
            Origin.left.clear()
            async with client.chat_completion.stream(MESSAGES) as run:
                async for chunk in run:
                    assert chunk.choices[0].delta.content == "yes"
                    break
            assert await anyio.to_thread.run_sync(Origin.left.wait, PATIENCE)
        if login:
            for wrong in ("", f"{USER}:not-{PASSWORD}@"):
                async with driver.client(**options, proxies=f"http://{wrong}127.0.0.1:{port}") as client:
                    with pytest.raises(ProxyError) as caught:
                        await client.chat_completion(MESSAGES)
                assert caught.value.proxy == f"127.0.0.1:{port}" and PASSWORD not in str(caught.value)
                assert caught.value.status in (401, 407) and len(caught.value.attempts) == 1


@contextmanager
def nginx(folder: Path, origin: int, identity: Path, buffering: str) -> Iterator[int]:
    port = free_port()
    (folder / "nginx.conf").write_text(f"""
        daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; worker_processes 1;
        events {{ worker_connections 1024; }}
        http {{
            access_log off; keepalive_timeout 1s; gzip on; gzip_min_length 1; gzip_types application/json;
            gzip_proxied any; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
            fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
            keepalive_requests 100000;
            server {{
                listen 127.0.0.1:{port} ssl http2;
                ssl_certificate {identity}; ssl_certificate_key {identity};
                location / {{ proxy_pass http://127.0.0.1:{origin}; proxy_http_version 1.1;
                              proxy_buffering {buffering}; }}
            }}
        }}
    """)
    with running(port, program("nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf")) as found:
        yield found


@pytest.mark.parametrize("http2", [False, True], ids=["http11", "http2"])
@pytest.mark.parametrize("buffering", ["on", "off"])
async def test_behind_nginx(
    driver: Driver, buffering: str, http2: bool, authority: tuple[Path, Path], tmp_path: Path
) -> None:
    """TLS, gzip, HTTP/2 offered or chosen; the first token at once, and a stream that is left is seen upstream."""
    certificates, identity = authority
    with serving() as origin, nginx(tmp_path, origin, identity, buffering) as port:
        base_url = f"https://localhost:{port}/v1"
        async with driver.client(base_url=base_url, verify=certificates, http2=http2) as client:
            out = await client.chat_completion(MESSAGES, max_tokens=10_000)
            assert out.choices[0].message.content == "yes" * 10_000
            Origin.left.clear()
            async with client.chat_completion.stream(MESSAGES) as run:
                async for chunk in run:
                    assert chunk.choices[0].delta.content == "yes"
                    break
            assert await anyio.to_thread.run_sync(Origin.left.wait, PATIENCE)


@pytest.mark.crowd
@pytest.mark.parametrize("http2", [False, True], ids=["http11", "http2"])
async def test_nginx_closes_idle_connections(
    driver: Driver, http2: bool, authority: tuple[Path, Path], tmp_path: Path
) -> None:
    """Thousands of calls at gaps about the limit at which nginx closes: none fails, and none is tried again."""
    certificates, identity = authority
    rand = random.Random(11)
    left = iter(range(CALLS))
    with serving() as origin, nginx(tmp_path, origin, identity, "on") as port:
        base_url = f"https://localhost:{port}/v1"
        async with driver.client(base_url=base_url, verify=certificates, http2=http2, retries=0) as client:

            async def work() -> None:
                await anyio.sleep(rand.random() * 1.2)
                for _ in left:
                    assert (await client.chat_completion(MESSAGES)).choices[0].message.content == "yes"
                    await anyio.sleep(rand.choice(GAPS) if rand.random() < 0.5 else rand.random() * 1.2)

            async with anyio.create_task_group() as group:
                for _ in range(WORKERS):
                    group.start_soon(work)
