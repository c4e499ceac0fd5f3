"""URLs: where a server's routes are, and that no model id moves a request."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headwater.errors import InvalidParameterError
from headwater.protocol.url import parse_url
from headwater.providers.urls import (
    CHAT,
    COMPLETIONS,
    EMBEDDINGS,
    at_model,
    has_path,
    model_path,
    openai_url,
    speaks_openai,
)

HOST = "http://h:8000"


@pytest.mark.parametrize(
    ("url", "there"),
    [
        ("", "/v1/chat/completions"),
        ("/", "/v1/chat/completions"),
        ("/v1", "/v1/chat/completions"),
        ("/v1/", "/v1/chat/completions"),
        ("/v1//", "/v1/chat/completions"),
        ("/v1?api-version=2", "/v1/chat/completions?api-version=2"),
        ("/v1/?a=b/v1", "/v1/chat/completions?a=b/v1"),
        ("?x=1", "/v1/chat/completions?x=1"),
        ("/v1/chat/completions", "/v1/chat/completions"),
        ("/v1/chat/completions/", "/v1/chat/completions"),
        ("/proxy/chat/completions?x=1", "/proxy/chat/completions?x=1"),
        ("/models/org/name", "/models/org/name/v1/chat/completions"),
        ("/api/paas/v4", "/api/paas/v4/chat/completions"),
        ("/openai/v1", "/openai/v1/chat/completions"),
        ("/v3/openai", "/v3/openai/chat/completions"),
        ("/v1beta/openai/", "/v1beta/openai/chat/completions"),
        ("/openai", "/openai/v1/chat/completions"),
        ("/v1/embeddings", "/v1/chat/completions"),
        ("/v1/completions", "/v1/chat/completions"),
    ],
)
def test_where_a_server_takes_chats(url: str, there: str) -> None:
    assert openai_url(HOST + url, CHAT) == HOST + there


@pytest.mark.parametrize("route", [CHAT, COMPLETIONS, EMBEDDINGS])
@pytest.mark.parametrize("path", ["", "/v1", "/v1/chat/completions", "/v1/completions/", "/v1/embeddings"])
def test_every_route_is_found_from_every_other(path: str, route: str) -> None:
    assert openai_url(HOST + path, route) == f"{HOST}/v1/{route}"


def test_what_a_path_tells() -> None:
    assert not speaks_openai(HOST) and not speaks_openai(f"{HOST}/models/m") and speaks_openai(f"{HOST}/v1/")
    assert speaks_openai(f"{HOST}/x/embeddings")
    assert not has_path(f"{HOST}/") and has_path(f"{HOST}/x")


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gpt2", "gpt2"),
        ("org/name-1.0_x", "org/name-1.0_x"),
        ("@cf/meta/llama", "@cf/meta/llama"),
        ("org/name:fastest", "org/name:fastest"),
        ("a/b/c/d/e/f", "a/b/c/d/e/f"),
    ],
)
def test_a_models_path(model: str, path: str) -> None:
    assert model_path(model) == path


BAD = [
    "",
    "/",
    "a/",
    "/a",
    "a//b",
    "..",
    "a/..",
    "a/../b",
    "../../x",
    "a/.",
    ".hidden/x",
    "a?b",
    "a#b",
    "a b",
    "a%2e%2e",
    "a\\b",
    "a\n",
    "a:",
    "a:b:c",
    "a:b/c",
    "a/b/c/d/e/f/g",
    "é",
    "x" * 97,
    "https://evil.example/x",
    "//evil.example",
    "user@evil.example:80/..",
]


@pytest.mark.parametrize("model", BAD)
def test_what_is_no_model_id(model: str) -> None:
    with pytest.raises(InvalidParameterError, match="is not a model id"):
        model_path(model)


@given(st.text() | st.from_regex(r"[@a-z./:?#%\\-]{1,12}", fullmatch=True))
@example("..")
@example("a/..;/b")
def test_no_model_id_moves_a_request(model: str) -> None:
    base = "https://router.example/hf-inference"
    try:
        url = at_model(base, "/models/", model, "/v1/chat/completions")
    except InvalidParameterError:
        return
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("https", "router.example", "", "")
    assert parts.path.startswith("/hf-inference/models/") and parts.path.endswith("/v1/chat/completions")
    assert ".." not in parts.path.split("/") and "" not in parts.path.split("/")[1:]
    assert str(parse_url(url)) == url
