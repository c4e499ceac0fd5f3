"""URLs that servers name for results and polls: percent-encoded and asked for, or the server's mistake, never ours."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import pytest
from support.drivers import Driver
from support.result_url_providers import KEY, PNG, VENDORS, Vendor

from headwater import CallError, DecodeError, HeadwaterError, InputPolicy, ProviderError
from headwater.protocol.transport import quoted_url
from headwater.protocol.url import parse_url
from headwater.testing import MemoryTransport, ScriptedResponse, SentRequest

pytestmark = [pytest.mark.anyio, pytest.mark.dealt]

ODD = [
    ("https://cdn.example/a b.png", "https://cdn.example/a%20b.png"),
    ("https://cdn.example/bücher/ß.png?q=ü", "https://cdn.example/b%C3%BCcher/%C3%9F.png?q=%C3%BC"),
    ("https://cdn.example/%C3%BC b%20.png", "https://cdn.example/%C3%BC%20b%20.png"),
    ('https://cdn.example/"a".png', "https://cdn.example/%22a%22.png"),
    ("https://cdn.example/😀.png?a=1&b=2#end", "https://cdn.example/%F0%9F%98%80.png?a=1&b=2"),
    ("https://bücher.example/a.png", "https://xn--bcher-kva.example/a.png"),
    ("https://bücher.example:8443/a.png", "https://xn--bcher-kva.example:8443/a.png"),
    (" \thttps://cdn.example/a.png\n", "https://cdn.example/a.png"),
    ("https://cdn.example/a\n.png", "https://cdn.example/a.png"),
    ("HTTPS://CDN.example/a.png", "https://cdn.example/a.png"),
    ("https://cdn.example/\x7f\x01.png", "https://cdn.example/%7F%01.png"),
    ("https://cdn.example/a.png?sig=a+b/c=", "https://cdn.example/a.png?sig=a+b/c="),
]
WRONG = [
    "https://user:f0rest-w0rd@cdn.example/a.png",
    "https://cdn.example:99999/a.png",
    "https://cdn.example:0/a.png",
    "https://[::1/a.png",
    "https://cdn exa mple/a.png",
    "https:///a.png",
    "https://\udc80.example/a.png",
    "http://169.254.169.254/latest/meta-data",
    "http://localhost:8000/a.png",
    "http://10.0.0.1/a.png",
    "http://0x7f.1/a.png",
]


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_TEST_MODE", "1")


@pytest.mark.parametrize("vendor", VENDORS)
async def test_an_odd_url_is_asked_for(driver: Driver, vendor: str) -> None:
    for url, asked in ODD:
        played = Vendor(vendor, url)
        assert await played.ask(driver) is not None, url
        last = played.requests[-1]
        assert str(last.url) == asked
        assert KEY not in repr(last.headers)


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_url_that_is_none_is_the_servers_mistake(driver: Driver, vendor: str) -> None:
    for url in WRONG:
        played = Vendor(vendor, url)
        with pytest.raises(HeadwaterError) as caught:
            await played.ask(driver)
        assert isinstance(caught.value, DecodeError | ProviderError) and not isinstance(caught.value, CallError), url
        assert "f0rest-w0rd" not in str(caught.value) and not caught.value.retryable
        assert played.waiting == [] and all(urlsplit(request.url).path != "/a.png" for request in played.requests)


async def test_a_redirect_to_an_odd_url(driver: Driver) -> None:
    """As a header has it: its bytes are UTF-8's or latin-1's, and go back as they came."""
    for location, asked in [
        ("https://other.example/a b.png", "https://other.example/a%20b.png"),
        ("https://other.example/b\xc3\xbccher.png", "https://other.example/b%C3%BCcher.png"),
        ("https://other.example/b\xfccher.png", "https://other.example/b%FCcher.png"),
        ("https://b\xc3\xbccher.example/", "https://xn--bcher-kva.example/"),
        ("/b\xc3\xbcc her?x=\xff", "https://cdn.example/b%C3%BCc%20her?x=%FF"),
        ("/x//b\xc3\xbc c", "https://cdn.example/x//b%C3%BC%20c"),
        ("//other.example/\xfc", "https://other.example/%FC"),
        ("?\xe9", "https://cdn.example/start?%E9"),
    ]:
        played = Vendor("fal-ai", "https://cdn.example/start", [location])
        assert await played.ask(driver) is not None
        assert str(played.requests[-1].url) == asked


async def test_a_redirect_to_no_url_is_the_servers_mistake(driver: Driver) -> None:
    for location in (
        "https://user:f0rest-w0rd@x.example/",
        "https://[::1/",
        "ftp://x.example/",
        "http://127.0.0.1/",
        "https://x y/",
    ):
        played = Vendor("fal-ai", "https://cdn.example/start", [location])
        with pytest.raises(HeadwaterError) as caught:
            await played.ask(driver)
        assert isinstance(caught.value, DecodeError | ProviderError), location
        assert "f0rest-w0rd" not in str(caught.value)


async def test_a_place_to_ask_at_is_encoded_too(driver: Driver) -> None:
    played = Vendor("black-forest-labs", "https://cdn.example/x")
    played.waiting[0] = json.dumps({"id": "j", "polling_url": "https://api.eu1.bfl.ai/v1/get_result?id=ü j"}).encode()
    assert await played.ask(driver) is not None
    assert str(played.requests[1].url) == "https://api.eu1.bfl.ai/v1/get_result?id=%C3%BC%20j"
    for url in ("https://evil.example/v1/get_result", "https://bfl.ai:x/", "https://a@api.bfl.ai/", "", "nowhere"):
        played = Vendor("black-forest-labs", "https://cdn.example/x")
        played.waiting[0] = json.dumps({"id": "j", "polling_url": url}).encode()
        with pytest.raises(DecodeError):
            await played.ask(driver)
        assert len(played.requests) == 1


async def test_an_input_may_be_odd_as_well(driver: Driver) -> None:
    sent: list[SentRequest] = []

    def answer(asked: SentRequest) -> ScriptedResponse:
        sent.append(asked)
        return (
            ScriptedResponse(PNG, content_type="image/png")
            if asked.method == "GET"
            else ScriptedResponse(b'[{"label":"a","score":1}]')
        )

    policy = InputPolicy(allow_private=True)
    async with driver.client(
        base_url="http://127.0.0.1:9/x", transport=MemoryTransport(answer), input_policy=policy
    ) as client:
        assert await client.image_classification("https://cdn.example/a b/ü.png")
    assert str(sent[0].url) == "https://cdn.example/a%20b/%C3%BC.png"


@pytest.mark.parametrize(("url", "asked"), ODD)
def test_quoted(url: str, asked: str) -> None:
    assert str(parse_url(quoted_url(url))) == asked
    assert quoted_url(quoted_url(url)) == quoted_url(url)
