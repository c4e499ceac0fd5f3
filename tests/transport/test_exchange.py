"""One request and its answer on a raw socket: framings, cuts, limits, refusals half-way, TLS."""

from __future__ import annotations

import os
import ssl
import threading
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
import trustme

from headwater.errors import (
    ConnectError,
    ConnectionLostError,
    InputError,
    InvalidParameterError,
    ProtocolError,
    ResponseTooLargeError,
    TLSError,
)
from headwater.protocol.transport import TransportRequest
from headwater.protocol.url import parse_url
from headwater.transport import tls
from headwater.transport.pool import Pool

pytestmark = pytest.mark.anyio

OK = b"HTTP/1.1 200 OK\r\n"


def say(*data: bytes) -> Any:
    def script(peer: Any) -> None:
        peer.request()
        for piece in data:
            peer.send(piece)

    return script


def open_connections(pool: Pool) -> int:
    return pool.counts().open


def active(pool: Pool) -> int:
    return pool.counts().active


async def test_a_body_that_ends_with_the_connection(serve: Any, read: Any) -> None:
    pool = Pool()
    answer = await pool.send(serve(say(OK + b"\r\nhel", b"lo")).outgoing())
    assert (await read(answer), await answer.receive()) == (b"hello", b"")
    assert (open_connections(pool), active(pool)) == (0, 0)


@pytest.mark.parametrize("head", [b"Content-Length: 50\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n5\r\n"])
async def test_a_body_that_is_cut(serve: Any, read: Any, head: bytes) -> None:
    pool = Pool()
    answer = await pool.send(serve(say(OK + head + b"hello")).outgoing())
    assert await answer.receive() == b"hello"
    for _ in range(2):
        with pytest.raises(ConnectionLostError, match="in the middle of the answer"):
            await answer.receive()
    assert (open_connections(pool), active(pool)) == (0, 0)


async def test_a_reset_in_the_body(serve: Any, read: Any) -> None:
    heard = threading.Event()

    def script(peer: Any) -> None:
        peer.request()
        peer.send(OK + b"\r\nhello")
        assert heard.wait(20)
        peer.reset()

    answer = await Pool().send(serve(script).outgoing())
    assert await answer.receive() == b"hello"
    heard.set()
    with pytest.raises(ConnectionLostError):
        await answer.receive()


@pytest.mark.parametrize("data", [b"<html>\r\n\r\n", OK + b"X: a\r\n b\r\n\r\n", b"HTTP/1.1 101 No\r\n\r\n"])
async def test_a_head_that_is_not_http(serve: Any, data: bytes) -> None:
    pool = Pool()
    with pytest.raises(ProtocolError):
        await pool.send(serve(say(data)).outgoing())
    assert (open_connections(pool), active(pool)) == (0, 0)


async def test_what_was_right_is_delivered_before_what_is_wrong(serve: Any) -> None:
    pool = Pool()
    server = serve(say(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n"))
    answer = await pool.send(server.outgoing())
    assert await answer.receive() == b"hello"
    with pytest.raises(ProtocolError):
        await answer.receive()
    assert (open_connections(pool), active(pool)) == (0, 0)


async def test_an_endless_head(serve: Any) -> None:
    def script(peer: Any) -> None:
        peer.request()
        peer.send(OK)
        while True:
            peer.send(b"X: " + b"y" * 1000 + b"\r\n")

    with pytest.raises(ResponseTooLargeError):
        await Pool().send(serve(script).outgoing())


async def test_endless_interim_answers(serve: Any) -> None:
    def script(peer: Any) -> None:
        peer.request()
        while True:
            peer.send(b"HTTP/1.1 102 Wait\r\n\r\n")

    with pytest.raises(ResponseTooLargeError, match="over 16 interim answers"):
        await Pool().send(serve(script).outgoing())


async def test_more_than_was_announced(serve: Any, read: Any) -> None:
    server, pool = serve(say(OK + b"Content-Length: 5\r\n\r\nhello world")), Pool()
    answer = await pool.send(server.outgoing())
    assert (await read(answer), answer.surplus, open_connections(pool)) == (b"hello", True, 0)


async def test_more_than_was_announced_behind_a_full_read(serve: Any, read: Any) -> None:
    sent = threading.Event()

    def script(peer: Any) -> None:
        peer.request()
        head = OK + b"Content-Length: %06d\r\n\r\n"
        body = b"x" * (65536 - len(head % 0))
        peer.send(head % len(body) + body + OK + b"Content-Length: 3\r\n\r\nbad")
        sent.set()
        peer.gone()

    server, pool = serve(script), Pool()
    answer = await pool.send(server.outgoing())
    assert len(await read(answer)) > 60_000
    await anyio.to_thread.run_sync(sent.wait, 10)
    answer = await pool.send(server.outgoing(resend=False))
    assert len(await read(answer)) > 60_000
    assert server.accepted == 2


@pytest.mark.parametrize("head", [b"Connection: close\r\nContent-Length: 2\r\n\r\n", b"Content-Length: 2\r\n\r\n"])
async def test_connection_close_is_kept(serve: Any, read: Any, head: bytes) -> None:
    def script(peer: Any) -> None:
        while peer.request():
            peer.send((OK if b"close" in head else b"HTTP/1.0 200 OK\r\n") + head + b"ok")

    server, pool = serve(script), Pool()
    for number in range(2):
        answer = await pool.send(server.outgoing())
        assert (await read(answer), server.accepted) == (b"ok", number + 1)


async def test_answers_without_a_body(serve: Any, read: Any) -> None:
    def script(peer: Any) -> None:
        while request := peer.request():
            method = request.split()[0]
            status = {b"HEAD": b"200 OK", b"GET": b"304 Not Modified", b"POST": b"204 No Content"}[method]
            peer.send(b"HTTP/1.1 " + status + (b"\r\n\r\n" if method == b"POST" else b"\r\nContent-Length: 7\r\n\r\n"))

    server, pool = serve(script), Pool()
    for method, status, connections in (("POST", 204, 1), ("GET", 304, 1), ("HEAD", 200, 1), ("GET", 304, 2)):
        answer = await pool.send(server.outgoing(method, b""))
        assert (answer.status, answer.ready(), await read(answer)) == (status, True, b"")
        assert server.accepted == connections


async def _pieces(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def test_bodies_in_pieces(serve: Any, echo: Any, read: Any) -> None:
    server, pool = serve(echo), Pool()
    got = await read(await pool.send(server.outgoing(body=_pieces(b"hel", b"", b"lo"), length=5)))
    assert got == b"hello"
    got = await read(await pool.send(server.outgoing(body=_pieces(b"hel", b"lo"))))
    assert got == b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
    large = os.urandom(3_000_000)
    assert await read(await pool.send(server.outgoing(body=large))) == large
    assert server.accepted == 1


@pytest.mark.parametrize("length", [3, 9])
async def test_bodies_of_another_length(serve: Any, length: int) -> None:
    pool = Pool()
    with pytest.raises(InputError):
        await pool.send(serve(lambda peer: peer.gone()).outgoing(body=_pieces(b"hel", b"lo"), length=length))
    assert (open_connections(pool), active(pool)) == (0, 0)


async def test_the_callers_own_error_comes_back(serve: Any) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise LookupError("mine")

    pool = Pool()
    with pytest.raises(LookupError, match="mine"):
        await pool.send(serve(lambda peer: peer.gone()).outgoing(body=broken()))
    assert (open_connections(pool), active(pool)) == (0, 0)


@pytest.mark.parametrize("size", [1_000, 20_000_000])
async def test_a_refusal_before_the_body_was_read(serve: Any, read: Any, size: int) -> None:
    def script(peer: Any) -> None:
        peer.sock.recv(500)
        peer.answer(b"too large", status="413 Content Too Large")
        # Closed with the rest unread: the client's sending fails.

    pool = Pool()
    answer = await pool.send(serve(script).outgoing(body=b"x" * size))
    assert answer.status == 413
    if size > 1_000:
        await answer.aclose()
    else:
        assert await read(answer) == b"too large"
    assert open_connections(pool) == 0 or size == 1_000


async def test_no_answer_to_a_large_body(serve: Any) -> None:
    pool = Pool()
    with pytest.raises(ConnectionLostError):
        await pool.send(serve(lambda peer: peer.sock.recv(500)).outgoing(body=b"x" * 20_000_000))
    assert (open_connections(pool), active(pool)) == (0, 0)


@pytest.mark.parametrize("value", ["a\r\nX: b", "a\nb", "a\0b", "snow \u2603"])
async def test_headers_that_cannot_be_sent(serve: Any, echo: Any, value: str) -> None:
    server, pool = serve(echo), Pool()
    outgoing = server.outgoing()
    outgoing.headers.append(("Authorization", value))
    with pytest.raises(InvalidParameterError) as caught:
        await pool.send(outgoing)
    assert value not in str(caught.value) and caught.value.__cause__ is None
    assert (open_connections(pool), active(pool)) == (0, 0)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_context(authority: trustme.CA, name: str = "localhost") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


async def test_tls(serve: Any, echo: Any, read: Any, authority: trustme.CA) -> None:
    server = serve(echo, server_context(authority))
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    pool = Pool(ssl_context=trusting)
    for _ in range(3):
        assert await read(await pool.send(server.outgoing())) == b"hello"
        assert server.accepted == 1
    large = os.urandom(1_000_000)
    assert await read(await pool.send(server.outgoing(body=large))) == large
    assert server.accepted == 1


async def test_tls_answers_nobody_asked_for(serve: Any, read: Any, authority: trustme.CA) -> None:
    def script(peer: Any) -> None:
        peer.request()
        peer.answer()
        peer.answer(b"bad")  # a record of its own, which may be read from the socket along with the first
        sent.set()
        peer.gone()

    sent = threading.Event()
    server = serve(script, server_context(authority))
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    pool = Pool(ssl_context=trusting)
    assert await read(await pool.send(server.outgoing())) == b"ok"
    await anyio.to_thread.run_sync(sent.wait, 10)
    assert await read(await pool.send(server.outgoing(resend=False))) == b"ok"
    assert server.accepted == 2


async def test_a_certificate_that_nobody_vouches_for(serve: Any, echo: Any, authority: trustme.CA) -> None:
    server, pool = serve(echo, server_context(authority)), Pool()
    with pytest.raises(TLSError, match=r"authority that is not known .*verify code 20.*verify=") as caught:
        await pool.send(server.outgoing())
    assert not caught.value.retryable
    assert (open_connections(pool), active(pool)) == (0, 0)


async def test_a_certificate_for_somebody_else(serve: Any, echo: Any, authority: trustme.CA) -> None:
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with pytest.raises(TLSError, match=r"for other hosts .*look at the URL's host"):
        await Pool(ssl_context=trusting).send(serve(echo, server_context(authority, "other.example")).outgoing())


async def test_no_tls_at_the_other_end(serve: Any) -> None:
    server = serve(lambda peer: peer.sock.recv(10))
    outgoing = TransportRequest(method="GET", url=parse_url(f"https://127.0.0.1:{server.port}/"), headers=[])
    with pytest.raises(ConnectError, match="TLS"):
        await Pool().send(outgoing)
    speaking = serve(lambda peer: (peer.sock.recv(10), peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")))
    outgoing.url = parse_url(f"https://127.0.0.1:{speaking.port}/")
    with pytest.raises(TLSError, match="is it http://"):
        await Pool().send(outgoing)


async def test_the_handshake_is_bounded_and_cancellable(serve: Any) -> None:
    asked, gone = threading.Event(), threading.Event()

    def script(peer: Any) -> None:
        peer.sock.recv(1)
        asked.set()
        gone.set() if peer.gone() else None

    server = serve(script)
    outgoing = TransportRequest(method="GET", url=parse_url(f"https://127.0.0.1:{server.port}/"), headers=[])
    async with anyio.create_task_group() as group:
        group.start_soon(Pool().send, outgoing)
        assert await anyio.to_thread.run_sync(asked.wait, 20)
        group.cancel_scope.cancel()
    assert await anyio.to_thread.run_sync(gone.wait, 20)
    outgoing.connect_timeout = 0.1
    with pytest.raises(TimeoutError, match=r"within 0\.1 s"):
        await Pool().send(outgoing)


def test_the_environment_names_certificates(
    authority: trustme.CA, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = tls.default_context.__wrapped__()
    assert context.cert_store_stats()["x509_ca"] > 1  # beside the system's
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "nothing.pem"))
    with pytest.raises(TLSError, match="SSL_CERT_FILE"):
        tls.default_context.__wrapped__()


def test_a_system_without_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    monkeypatch.setattr(tls, "has_certificates", lambda context: False)
    assert tls.default_context.__wrapped__().cert_store_stats()["x509_ca"] > 50
