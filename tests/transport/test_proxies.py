"""Proxies that refuse: the error is theirs and says so; their passwords are seen nowhere; and who needs none."""

from __future__ import annotations

import base64
import logging
import traceback
from typing import Any

import pytest
from support.drivers import Driver

from headwater.errors import HeadwaterError, ProviderError, ProxyError
from headwater.protocol.url import parse_url
from headwater.transport.proxies import proxy_for

pytestmark = pytest.mark.anyio

MESSAGES = [{"role": "user", "content": "hi"}]
PASSWORD = "pr0xy/passw@rd of mine"
QUOTED = "pr0xy%2Fpassw%40rd%20of%20mine"
BASIC = base64.b64encode(f"user:{PASSWORD}".encode()).decode()
REFUSALS = ["407 Proxy Authentication Required", "403 Forbidden", "502 Bad Gateway", "503 No", "302 Elsewhere"]


def secrets_of(text: str) -> list[str]:
    return [each for each in (PASSWORD, QUOTED, BASIC) if each in text]


def proxy_at(server: Any) -> str:
    """Its URL, which no frame of a test may keep: that is looked at as well."""
    return f"http://user:{QUOTED}@127.0.0.1:{server.port}"


def seen_in(error: BaseException) -> str:
    """All that a log of this error could show, its locals as well."""
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join([*told.format(), repr(vars(error)), repr(getattr(error, "attempts", ""))])


def echoing(peer: Any, status: str) -> None:
    """A proxy that repeats the password in all places that it has."""
    body = f"<html><title>no {PASSWORD} {QUOTED}</title>{BASIC}</html>".encode()
    peer.answer(body, f"X-Got: {QUOTED}", f"Proxy-Authenticate: Basic {BASIC}", status=f"{status} {QUOTED}")


@pytest.mark.parametrize("status", REFUSALS)
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_refusal_to_connect(
    driver: Driver, serve: Any, status: str, streamed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[bytes] = []

    def script(peer: Any) -> None:
        asked.append(peer.request().split(b"\r\n")[0])
        echoing(peer, status)

    caplog.set_level(logging.DEBUG)
    server = serve(script)
    async with driver.client(
        base_url="https://far.example/v1", api_key="sk-0123456789", proxies=proxy_at(server)
    ) as client:
        with pytest.raises(ProxyError) as caught:
            await (client.chat_completion.stream(MESSAGES).result() if streamed else client.chat_completion(MESSAGES))
        assert secrets_of(repr(client)) == []
    error = caught.value
    assert asked == [b"CONNECT far.example:443 HTTP/1.1"]
    assert (error.proxy, error.status, error.retryable) == (f"127.0.0.1:{server.port}", int(status[:3]), False)
    assert f"the proxy 127.0.0.1:{server.port} refused: {status}" in str(error)
    assert len(error.attempts) == 1 and not isinstance(error, ProviderError)
    assert secrets_of(seen_in(error)) == secrets_of(caplog.text) == []


async def test_a_proxy_that_is_asked_in_the_absolute_form(
    driver: Driver, serve: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bytes] = []

    def script(peer: Any) -> None:
        asked.append(peer.request().split(b"\r\n")[0])
        echoing(peer, "407 Proxy Authentication Required")

    caplog.set_level(logging.DEBUG)
    server = serve(script)
    monkeypatch.setenv("http_proxy", proxy_at(server))
    async with driver.client(base_url="http://far.example/v1") as client:
        with pytest.raises(ProxyError, match="refused: 407") as caught:
            await client.chat_completion(MESSAGES)
    assert asked == [b"POST http://far.example/v1/chat/completions HTTP/1.1"]
    assert (caught.value.proxy, caught.value.status) == (f"127.0.0.1:{server.port}", 407)
    assert secrets_of(seen_in(caught.value)) == secrets_of(caplog.text) == []


async def test_a_password_that_comes_back_in_an_answer(driver: Driver, serve: Any) -> None:
    """Whose page it is nobody can tell: it is a refusal as any other, without the password."""

    def script(peer: Any) -> None:
        peer.request()
        echoing(peer, "502 Bad Gateway")

    server = serve(script)
    async with driver.client(base_url="http://far.example/v1", proxies=proxy_at(server), retries=0) as client:
        with pytest.raises(ProviderError) as caught:
            await client.chat_completion(MESSAGES)
    assert caught.value.status == 502 and "no [secret]" in str(caught.value)
    assert secrets_of(seen_in(caught.value)) == []


async def test_a_proxy_that_is_not_there(driver: Driver, serve: Any) -> None:
    server = serve(lambda peer: None)
    server.stop()
    async with driver.client(base_url="https://far.example/v1", proxies=proxy_at(server), retries=0) as client:
        with pytest.raises(HeadwaterError, match=f"proxy 127.0.0.1:{server.port}") as caught:
            await client.chat_completion(MESSAGES)
    assert caught.value.retryable and secrets_of(seen_in(caught.value)) == []


PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("names", "url", "direct"),
    [
        ("10.0.0.0/8", "http://10.1.2.3/", True),
        ("10.0.0.0/8", "http://11.1.2.3/", False),
        ("10.1.2.3/8", "https://10.9.9.9:8443/", True),
        ("10.0.0.0/8", "http://10.example/", False),
        ("a.example 10.0.0.0/8", "http://10.1.2.3/", True),
        ("192.168.1.1", "http://192.168.1.1/", True),
        ("192.168.1.1", "http://192.168.1.10/", False),
        ("192.168.*", "http://192.168.1.1/", True),
        ("192.168.1.1:80", "http://192.168.1.1/", True),
        ("192.168.1.1:80", "http://192.168.1.1:81/", False),
        ("10.0.0.0/8:81", "http://10.1.2.3:81/", True),
        ("10.0.0.0/8:81", "http://10.1.2.3/", False),
        ("fd00::/8", "http://[fd12::1]:8080/", True),
        ("[fd00::]/8", "http://[fd12::1]/", True),
        ("fd00::/8", "http://[fe12::1]/", False),
        ("2001:db8::1", "http://[2001:DB8:0::1]/", True),
        ("[2001:db8::1]", "http://[2001:db8::1]/", True),
        ("[2001:db8::1]:80", "http://[2001:db8::1]/", True),
        ("[2001:db8::1]:80", "http://[2001:db8::1]:81/", False),
        ("10.0.0.0/8", "http://[::ffff:10.1.2.3]/", True),
        ("0.0.0.0/0", "http://[2001:db8::1]/", False),
        ("10.0.0.0/99", "http://10.1.2.3/", False),
        (".Example.com", "http://a.example.com/", True),
        (".example.com", "http://example.com/", True),
        ("*.example.com", "http://a.b.example.com/", True),
        ("*example.com", "http://myexample.com/", True),
        ("example.com.", "http://a.example.com./", True),
        ("example.com", "http://myexample.com/", False),
        ("a.*.com", "http://a.b.com/", True),
        ("a.example:443", "https://a.example/", True),
        ("https://a.example", "https://a.example/", True),
        (" , ,a.example,", "https://a.example/", True),
        ("*", "https://a.example/", True),
        ("", "https://a.example/", False),
        (",", "https://a.example/", False),
        (".", "https://a.example/", False),
        (":80", "http://a.example/", False),
        ("[", "http://a.example/", False),
    ],
)
def test_who_needs_no_proxy(names: str, url: str, direct: bool) -> None:
    assert proxy_for(parse_url(url), {"ALL_PROXY": PROXY, "NO_PROXY": names}) == (None if direct else PROXY)
