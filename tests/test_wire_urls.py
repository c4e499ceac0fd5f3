"""One reading of a URL: what is taken, in which parts, and what is refused without being repeated."""

from __future__ import annotations

import pytest

from headwater.errors import InvalidParameterError
from headwater.protocol.url import Url, parse_url


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://h", Url("http", "h", 80, "/")),
        ("https://h", Url("https", "h", 443, "/")),
        ("https://h/", Url("https", "h", 443, "/")),
        ("http://h:443/v1", Url("http", "h", 443, "/v1")),
        ("HTTPS://H.Example:8443/V1?a=b&c=d", Url("https", "h.example", 8443, "/V1?a=b&c=d")),
        ("http://h?a=b", Url("http", "h", 80, "/?a=b")),
        ("http://h/a?b?c", Url("http", "h", 80, "/a?b?c")),
        ("http://h/a#fragment", Url("http", "h", 80, "/a")),
        ("http://[::1]:8000/v1", Url("http", "::1", 8000, "/v1")),
        ("http://[::1]/", Url("http", "::1", 80, "/")),
        ("http://127.0.0.1:1/", Url("http", "127.0.0.1", 1, "/")),
        ("http://h:65535/", Url("http", "h", 65535, "/")),
        ("http://a_b-c.d~e/", Url("http", "a_b-c.d~e", 80, "/")),
        ("http://h/%20%C3%A9/!$&'()*+,;=:@~{}", Url("http", "h", 80, "/%20%C3%A9/!$&'()*+,;=:@~{}")),
    ],
)
def test_the_parts(text: str, url: Url) -> None:
    assert parse_url(text) == url


@pytest.mark.parametrize(
    ("text", "origin", "authority"),
    [
        ("http://h/x", "http://h", "h"),
        ("http://h:80/x", "http://h", "h"),
        ("https://h:443/x", "https://h", "h"),
        ("https://h:80/x", "https://h:80", "h:80"),
        ("http://[::1]/x", "http://[::1]", "[::1]"),
        ("http://[::1]:81/x", "http://[::1]:81", "[::1]:81"),
    ],
)
def test_the_origin(text: str, origin: str, authority: str) -> None:
    url = parse_url(text)
    assert (url.origin, url.authority, str(url)) == (origin, authority, f"{origin}/x")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is not an http or https URL"),
        ("h/x", "is not an http or https URL"),
        ("//h/x", "is not an http or https URL"),
        ("ftp://h/", "is not an http or https URL"),
        ("file:///etc/passwd", "is not an http or https URL"),
        ("http://", "is not an http or https URL"),
        ("http:///x", "is not an http or https URL"),
        ("http://:80/x", "is not an http or https URL"),
        ("http://h:65536/", "is not a URL"),
        ("http://h:x/", "is not a URL"),
        ("http://[::1/", "is not a URL"),
        ("http://u@h/", "user name or password"),
        ("http://u:secret@h/", "user name or password"),
        ("http://@h/", "user name or password"),
        ("http://h:0/", "characters that a URL cannot have"),
        ("http://h/a b", "characters that a URL cannot have"),
        ('http://h/a"b', "characters that a URL cannot have"),
        ("http://h/é", "characters that a URL cannot have"),
        ("http://h/?é", "characters that a URL cannot have"),
        ("http://ü/", "characters that a URL cannot have"),
        ("http://h h/", "characters that a URL cannot have"),
        ("http://h\\@evil/", "user name or password"),
        ("http://h\\evil/", "characters that a URL cannot have"),
        ("http://h%2eevil/", "characters that a URL cannot have"),
        ("http://h/\x7f", "characters that a URL cannot have"),
        ("http://h/\0", "characters that a URL cannot have"),
    ],
)
def test_what_is_refused(text: str, says: str) -> None:
    with pytest.raises(InvalidParameterError, match=says):
        parse_url(text)


@pytest.mark.parametrize("text", ["http://u:canary@h/a b", "http://h/a b?canary", "ftp://u:canary@h/?x=canary"])
def test_a_refusal_repeats_no_secret(text: str) -> None:
    with pytest.raises(InvalidParameterError) as found:
        parse_url(text)
    assert "canary" not in str(found.value)


def test_a_refusal_repeats_the_beginning_alone() -> None:
    with pytest.raises(InvalidParameterError) as found:
        parse_url("http://h/ " + "x" * 1000)
    assert str(found.value).startswith(f"'http://h/ {'x' * 190}' has")
