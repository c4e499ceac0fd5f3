"""Proxies that refuse: the error is theirs and says so; their passwords are seen nowhere; and who needs none."""

from __future__ import annotations

import base64
import logging
import os
import traceback
from typing import Any
from urllib.parse import quote

import pytest
from support.drivers import Driver
from support.proxy_server import proxying

from headwater import AsyncInferenceClient, InferenceClient, Route
from headwater.errors import (
    ConnectError,
    HeadwaterError,
    InvalidParameterError,
    ProviderError,
    ProxyError,
    TransportError,
)
from headwater.protocol.transport import RequestHead, TransportRequest
from headwater.protocol.url import parse_url
from headwater.telemetry import BreakerMoved
from headwater.transport.proxies import proxy_for
from headwater.transport.proxy import Proxy

pytestmark = [pytest.mark.anyio, pytest.mark.dealt]

MESSAGES = [{"role": "user", "content": "hi"}]
PASSWORD = "pr0xy/passw@rd of mine"
WHOLE = b'{"choices": [{"index": 0, "finish_reason": "stop", "message": {"content": "yes"}}]}'
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


@pytest.mark.parametrize("quoted", ["w%C3%B6rd", "w%F6rd", os.fsdecode(b"w\xf6rd")])
@pytest.mark.parametrize("coding", ["utf-8", "latin-1"])
async def test_a_password_beyond_ascii(driver: Driver, serve: Any, coding: str, quoted: str) -> None:
    """However a proxy repeats it: nothing is left of it, nor of its beginning."""

    def script(peer: Any) -> None:
        peer.request()
        told = "wörd-of-mine".encode(coding)
        peer.send(b"HTTP/1.1 403 no %b %b %b\r\n\r\n" % (told, quote(told).encode(), base64.b64encode(told)))

    server = serve(script)
    proxy = f"http://user:{quoted}-of-mine@127.0.0.1:{server.port}"
    async with driver.client(base_url="https://far.example/v1", proxies=proxy) as client:
        with pytest.raises(ProxyError, match=r"refused: 403 no \[secret\] \[secret\]"):
            await client.chat_completion(MESSAGES)


async def test_a_refusal_says_nothing_of_the_provider(driver: Driver, serve: Any) -> None:
    """No breaker opens for it; another provider may be one that the proxy lets through."""

    def refuse(peer: Any) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 403 No\r\n\r\n")

    def answer(peer: Any) -> None:
        while peer.request():
            peer.answer(WHOLE, "Content-Type: application/json")

    proxy, server = serve(refuse), serve(answer)
    told: list[Any] = []
    blocked = Route(base_url="https://far.example/v1", proxy=f"http://127.0.0.1:{proxy.port}")
    async with driver.client(provider=[blocked, Route(base_url=f"{server.url}v1")], observer=told.append) as client:
        for number in range(5):  # the client stays with what has served a model
            out = await client.chat_completion(MESSAGES, model=f"model-{number}")
            assert out.choices[0].message.content == "yes" and len(out.facts.attempts) == 2
    assert proxy.accepted == 5 and not any(isinstance(each, BreakerMoved) for each in told)


async def test_a_proxy_that_answers_nothing_in_the_absolute_form(driver: Driver, serve: Any) -> None:
    for said in (b"", b"HTTP/1.1 200 O", b"SSH-2.0-other\r\n\r\n"):

        def script(peer: Any, said: bytes = said) -> None:
            if peer.request():
                peer.sock.sendall(said)

        server = serve(script)
        async with driver.client(base_url="http://127.0.0.1:9/v1", proxies=proxy_at(server), retries=0) as client:
            with pytest.raises(TransportError, match=rf"through the proxy 127.0.0.1:{server.port}\)") as caught:
                await client.chat_completion(MESSAGES)
        assert secrets_of(seen_in(caught.value)) == []


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
        ("münchen.example", "http://xn--mnchen-3ya.example/", True),
        ("*.münchen.example:80", "http://a.xn--mnchen-3ya.example/", True),
        (f"{'ü' * 80}.example, a.example", "http://a.example/", True),
        ("a.example:443", "https://a.example/", True),
        ("https://a.example", "https://a.example/", True),
        ("https://a.example", "http://a.example/", False),
        ("all://a.example", "http://a.example/", True),
        ("http://a.example:81/", "http://a.example:81/", True),
        ("http://[2001:db8::1]:81/v1", "http://[2001:db8::1]:81/", True),
        ("a.example/", "https://a.example/", True),
        ("a.example:443/", "https://a.example/", True),
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


def test_this_machine_needs_none() -> None:
    for host in (
        "localhost",
        "localhost.",
        "127.0.0.1",
        "0.0.0.0",
        "[::]",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
    ):
        assert proxy_for(parse_url(f"http://{host}:11434/v1"), {"ALL_PROXY": PROXY}) is None, host


# -- what a proxy's URL says, and what its answers mean


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("http://proxy.example:3128", "proxy.example:3128"),
        ("proxy.example:3128", "proxy.example:3128"),
        ("HTTP://proxy.example", "proxy.example:80"),
        ("http://proxy.example:", "proxy.example:80"),
        ("https://user:pw@proxy.example/", "proxy.example:443"),
        ("socks5://u:p/a@b#c?d@[::1]:9", "[::1]:9"),
        ("socks5h://proxy.example", "proxy.example:1080"),
    ],
)
def test_a_proxys_url(url: str, place: str) -> None:
    proxy = Proxy(url)
    assert proxy.place == place and repr(proxy).endswith(f"://{place})")


def test_who_logs_in() -> None:
    """Whatever the bytes are that a URL means, they are what is sent."""
    for login, sent in (
        ("u:p:q", b"u:p:q"),
        ("u%40x:p%3Aq%25", b"u@x:p:q%"),
        (":p-alone", b":p-alone"),
        ("u-alone", b"u-alone:"),
        ("u:", b"u:"),
        ("w\u00f6rd:w%C3%B6rd", "w\u00f6rd:w\u00f6rd".encode()),
        ("u:w%F6rd", b"u:w\xf6rd"),
        (os.fsdecode(b"u:w\xf6rd"), b"u:w\xf6rd"),
        ("u:p/a?b#c@d%zz", b"u:p/a?b#c@d%zz"),
    ):
        asked = played(f"http://{login}@p:1", "https://far.example/", [b"HTTP/1.1 200 OK\r\n\r\n"], 100)
        given = base64.b64decode(asked[0].split(b"Basic ")[1])
        assert given == sent, login
        user, _, password = sent.partition(b":")
        if user and password and b":" not in password:
            answers = [b"\5\2", b"\1\0", b"\5\0\0\1\0\0\0\0\0\0"]
            asked = played(f"socks5h://{login}@p:1", "https://far.example/", answers, 100)
            assert asked[1] == b"\1%c%b%c%b" % (len(user), user, len(password), password), login


NONE_OF_IT = ["http://", "gopher://u:hidden@p", "socks4://u:hidden@p", "http://u:hidden@p:port", "http://u:hidden@p:0"]
NONE_OF_IT += ["http://u:hidden@p q", "http://u:hidden", "socks5://:hidden@p", f"socks5://u:hidden{'x' * 250}@p"]


@pytest.mark.parametrize("url", NONE_OF_IT)
def test_what_is_no_proxys_url(url: str) -> None:
    for given in (url, {"all": url}, {"https://": url}):
        with pytest.raises(InvalidParameterError, match="prox") as caught:
            AsyncInferenceClient(proxies=given)
        ours = caught.tb.tb_next  # the first frame is this test's own
        assert "hidden" not in seen_in(caught.value.with_traceback(ours))


def test_a_proxys_name_beyond_ascii() -> None:
    with pytest.raises(InvalidParameterError, match="xn--"):
        Proxy("http://prüfung.example:3128")


def test_the_schemes_of_a_refusal_in_the_absolute_form() -> None:
    asked = {"proxy-authenticate": 'Digest realm="a b", nonce="c", qop="auth", NTLM'}
    error = Proxy(HTTP).refused_page(407, asked)
    assert error is not None and "asks for Digest, NTLM, and" in str(error)


def test_what_is_no_proxys_url_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "socks4://u:hidden@p")
    client = InferenceClient(base_url="https://far.example/v1", retries=0)
    with pytest.raises(InvalidParameterError, match=r"the environment's HTTPS_PROXY.*SOCKS4 is not spoken") as caught:
        client.chat_completion(MESSAGES)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("given", [7, ["http://p"], {"ftp": "http://p"}, {7: "http://p"}, {"all": 7}])
def test_what_are_no_proxies(given: Any) -> None:
    with pytest.raises(InvalidParameterError, match="prox"):
        AsyncInferenceClient(proxies=given)
    with pytest.raises(InvalidParameterError, match="prox"):
        Route("groq", proxy=given)


def test_the_proxy_of_a_route() -> None:
    """A URL, and no dict; an empty one is none, so that the client's is asked."""
    with pytest.raises(InvalidParameterError, match="Route: proxy must be"):
        Route("groq", proxy={"https": "http://p"})  # type: ignore[arg-type]
    assert Route("groq", proxy="") == Route("groq")


def played(proxy: str, url: str, answers: list[bytes], piece: int) -> list[bytes]:
    """What is said in a handshake in which the proxy answers so, so many bytes at once; b"" is its end."""
    handshake = Proxy(proxy).handshake(parse_url(url), None)
    assert handshake is not None
    said = [next(handshake)]
    for answer in [*answers, *([b""] if answers[-1] == b"" else [])]:  # an end stays one
        for start in range(0, max(len(answer), 1), piece):
            try:
                said += filter(None, [handshake.send(answer[start : start + piece])])
            except StopIteration:
                return said
    raise AssertionError("it still waits")


HTTP, SOCKS = "http://u:pw-pw@p:1", "socks5h://u:pw-pw@p:1"
CONNECTED = (
    b"CONNECT far.example:443 HTTP/1.1\r\nHost: far.example:443\r\nProxy-Authorization: Basic dTpwdy1wdw==\r\n\r\n"
)


@pytest.mark.parametrize("piece", [1, 3, 10_000])
def test_handshakes(piece: int) -> None:
    far = "https://far.example/"
    for answer in (
        b"HTTP/1.1 200 Connection established\r\n\r\n",
        b"HTTP/1.0 200\r\nX: y\r\n\r\n",
        b"HTTP/1.1 204 lines\n\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        b"\r\nhttp/1.1  200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n",
    ):
        assert played(HTTP, far, [answer], piece) == [CONNECTED]
    ask = b"\5\1\0\3\13far.example\1\xbb"
    for bound in (b"\1\0\0\0\0\0\0", b"\4" + bytes(18), b"\3\2ab\0\0"):
        answers = [b"\5\2", b"\1\0", b"\5\0\0" + bound]
        assert played(SOCKS, far, answers, piece) == [b"\5\2\0\2", b"\1\1u\5pw-pw", ask]
    assert played(SOCKS, far, [b"\5\0", b"\5\0\0\1\0\0\0\0\0\0"], piece) == [b"\5\2\0\2", ask]
    four, six = b"\5\1\0\1\1\2\3\4\0\x50", b"\5\1\0\4" + bytes(15) + b"\1\0\x51"
    for url, asked in (("http://1.2.3.4/", four), ("http://[::1]:81/", six)):
        assert played("socks5://p", url, [b"\5\0", b"\5\0\0\1\0\0\0\0\0\0"], piece) == [b"\5\1\0", asked]


@pytest.mark.parametrize(
    ("proxy", "answers", "words", "retryable"),
    [
        (HTTP, [b"HTTP/1.1 403 No\r\n\r\n"], "refused: 403 No$", False),
        (HTTP, [b"HTTP/1.1 407 Who\r\n\r\n"], "another one", False),
        (HTTP, [b"HTTP/1.0 401 Unauthorized\r\n\r\n"], "another one", False),
        ("http://p:1", [b"HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic\r\n\r\n"], "give its user name", False),
        (
            HTTP,
            [b"HTTP/1.1 407 Who\r\nproxy-authenticate: NTLM\r\nProxy-Authenticate:Negotiate\r\n\r\n"],
            "NTLM, N",
            False,
        ),
        (HTTP, [b'HTTP/1.1 407 Who\r\nProxy-Authenticate: Negotiate, Basic realm="x"\r\n\r\n'], "another one$", False),
        (
            HTTP,
            [b'HTTP/1.0 407 Who\r\nProxy-Authenticate: Digest realm = "a, Basic b", nonce="c"\r\n\r\n'],
            "asks for Digest, and",
            False,
        ),
        (HTTP, [b"SSH-2.0-x\r\n"], "is not HTTP", False),
        (HTTP, [b"HTTP/1.1 abc\r\n\r\n"], "is not HTTP", False),
        (HTTP, [b"HTTP/1.1 200 OK\r\n\r\nmore"], r"a page of its own in place of the connection \(200 OK\)", False),
        (HTTP, [b"HTTP/1.1 101 Switching\r\n\r\n"], "refused: 101", False),
        (HTTP, [b"HTTP/1.1 103 Early\r\n\r\n" * 4000], "is not HTTP", False),
        (HTTP, [b"\x15\3\1\0\2\2\x46"], "is it https://", False),
        (HTTP, [b"HTTX"], "is not HTTP", False),
        (HTTP, [b"HTTP/1.1 403 \x1b[31mno\r\n\r\n"], r"refused: 403  \[31mno$", False),
        (HTTP, [b"HTTP/1.1 403 " + b"x" * 9000 + b"\r\n\r\n"], "refused: 403 x{196}$", False),
        (HTTP, [b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000], "is not HTTP", False),
        (HTTP, [b"HTTP/1.1 2", b""], "closed the connection", True),
        (SOCKS, [b""], "closed the connection", True),
        (SOCKS, [b"\4\0"], "not SOCKS5", False),
        (SOCKS, [b"HTTP/1.1 400 Bad\r\n\r\n"], "not SOCKS5", False),
        (SOCKS, [b"\5\1"], "not SOCKS5", False),
        (SOCKS, [b"\5\xff"], "takes no user name", False),
        ("socks5h://p", [b"\5\xff"], "give them in its URL", False),
        ("socks5h://p", [b"\5\2"], "give them in its URL", False),
        ("socks5h://p", [b"\5\3"], "not SOCKS5", False),
        (SOCKS, [b"\5\2", b"\1\1"], "does not know this user name", False),
        (SOCKS, [b"\5\0", b"\5\2\0\1\0\0\0\0\0\0"], "rules do not allow", False),
        (SOCKS, [b"\5\0", b"\5\x63\0\1\0\0\0\0\0\0"], "unknown reason", False),
        (SOCKS, [b"\5\0", b"\5\5", b""], "the server refused", False),
        (SOCKS, [b"\5\0", b"\5\4\0\0"], "host cannot be reached", False),
        (SOCKS, [b"\5\0", b"\5\0\0\x09\0\0\0\0\0\0"], "not SOCKS5", False),
        (SOCKS, [b"\5\0", b"\5\0\0\1\0\0\0\0\0\0more"], "not SOCKS5", False),
        (SOCKS, [b"\5\0", b"\5\0\0\1\0", b""], "closed the connection", True),
    ],
)
def test_handshakes_that_fail(proxy: str, answers: list[bytes], words: str, retryable: bool) -> None:
    for piece in (1, 100_000):
        if piece == 1 and (b"more" in answers[-1] or len(answers[-1]) > 1000):
            continue  # it comes after the end, or for long
        with pytest.raises(ConnectError, match=words) as caught:
            played(proxy, "https://far.example/", answers, piece)
        assert caught.value.retryable is retryable is not isinstance(caught.value, ProxyError)
        assert "the proxy p:" in str(caught.value) and "pw-pw" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "headers", "is_its_own"),
    [
        (407, {}, True),
        (403, {"server": "squid/5.7", "x-squid-error": "ERR_ACCESS_DENIED 0"}, True),
        (503, {"x-squid-error": "ERR_DNS_FAIL 0"}, True),
        (403, {"server": "tinyproxy/1.11.1"}, True),
        (403, {"server": "nginx", "via": "1.1 squid"}, False),
        (403, {"server": "BlockerPro", "content-type": "text/html; charset=utf-8"}, True),
        (403, {"server": "nginx", "content-type": "text/html", "via": "1.1 proxy.example"}, False),
        (403, {"content-type": "application/json"}, False),
        (502, {"content-type": "text/html"}, False),
        (511, {}, True),
        (502, {}, False),
        (200, {"server": "squid/5.7"}, False),
    ],
)
def test_whose_page_it_is(status: int, headers: dict[str, str], is_its_own: bool) -> None:
    error = Proxy(HTTP).refused_page(status, headers)
    assert (error is not None) is is_its_own
    assert error is None or (error.proxy, error.status, error.retryable) == ("p:1", status, False)


def test_what_is_forwarded() -> None:
    """What requests share is made once for a proxy, and is no other one's."""
    url, headers = parse_url("http://far.example/v1?a=b"), [("X-Key", "of-nobody")]
    head = RequestHead(url, headers)
    one, other, none = Proxy(HTTP), Proxy("http://you:pw-pw@p:1"), Proxy("http://p:1")
    for proxy in (one, other, none, one):
        for shared in (head, None, RequestHead(url, [])):
            asked = TransportRequest(method="POST", url=url, headers=headers, body=b"x", head=shared)
            going = [proxy.forwarded(asked) for _ in range(2)]
            assert {str(each.url.target) for each in going} == {"http://far.example/v1?a=b"}
            own = [] if proxy is none else [("Proxy-Authorization", f"Basic {BASICS[proxy is one]}")]
            assert [each.headers for each in going] == [headers + own] * 2
            assert (going[0].head is going[1].head) is (shared is head)
            assert (asked.url, asked.headers, asked.head) == (url, headers, shared)


BASICS = [base64.b64encode(login).decode() for login in (b"you:pw-pw", b"u:pw-pw")]


async def test_a_socks_proxy_that_refuses(driver: Driver, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with proxying(("user", PASSWORD)) as server:
        server.hosts["far.example"] = "127.0.0.1"
        wrong = server.url("socks5h").replace("user", "another")
        for url, words in ((wrong, "does not know"), (server.url("socks5h"), "refused the connection")):
            async with driver.client(base_url="http://far.example:9/v1", proxies={"all": url}) as client:
                with pytest.raises(ProxyError, match=words) as caught:
                    await client.chat_completion(MESSAGES)
            assert caught.value.proxy == server.place and len(caught.value.attempts) == 1
            assert (
                secrets_of(repr(vars(caught.value))) == secrets_of(str(caught.value)) == secrets_of(caplog.text) == []
            )
