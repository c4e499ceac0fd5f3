"""A key is nowhere to be seen: not in an error, its chain, its traceback with locals, its pickle, a log, or a fact,
also where the server repeats it in every form and place."""

from __future__ import annotations

import copy
import json
import logging
import pickle
from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx
import msgspec
import pytest
from support.drivers import Driver
from support.key_echo_server import ALL, ECHOES, KEY, EchoServer, echoing, held, leaks

from headwater import (
    AsyncInferenceClient,
    CallError,
    HeadwaterError,
    InferenceClient,
    InvalidCredentialError,
    InvalidParameterError,
    Secret,
)
from headwater.auth.environment import hugging_face_token
from headwater.auth.secret import redact_all
from headwater.client.core import core_of
from headwater.protocol.url import parse_url

MESSAGES = [{"role": "user", "content": "the prompt"}]


@pytest.fixture(scope="module")
def server() -> Iterator[EchoServer]:
    with echoing() as running:
        yield running


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.NOTSET)
    for name in list(logging.root.manager.loggerDict):
        caplog.set_level(logging.DEBUG, name)
    return caplog


@pytest.mark.anyio
@pytest.mark.parametrize("way", ["token", "header", "httpx"])
async def test_what_a_server_repeats(
    driver: Driver, server: EchoServer, everything_logged: pytest.LogCaptureFixture, way: str
) -> None:
    options: dict[str, Any] = {"headers": {"X-Api-Key": KEY}} if way == "header" else {"token": KEY}
    if way == "httpx":
        if driver.name == "trio":
            pytest.skip("httpx leaves generators of its own unclosed there")
        options["transport"] = httpx.AsyncHTTPTransport()
    async with driver.client(base_url=server.url, retries=0, timeout=30, **options) as client:
        for case in ECHOES:
            server.case = case
            run = client.chat_completion.stream(MESSAGES)
            for call in (partial(client.chat_completion, MESSAGES), run.result):
                found: Any = None
                try:
                    found = (await call()).facts
                except HeadwaterError as error:
                    found = error
                    assert leaks(error) == [], case
                assert held(repr(found)) == [], case
            assert held(f"{run.headers} {run.facts!r} {run.request_id} {run.attempts!r}") == [], case
    assert held(everything_logged.text) == []
    assert all(held(f"{record.args!r} {record.msg!r}") == [] for record in everything_logged.records)


def refused(make: Any) -> HeadwaterError:
    with pytest.raises(HeadwaterError) as found:
        make()
    return found.value


BAD = f"{KEY}\nx"


@pytest.mark.parametrize("kind", [AsyncInferenceClient, InferenceClient])
@pytest.mark.parametrize(
    "options",
    [
        {"token": BAD},
        {"api_key": BAD},
        {"token": KEY.encode()},
        {"token": [KEY]},
        {"token": KEY, "api_key": KEY},
        {"token": KEY, "provider": "nobody"},
        {"token": KEY, "base_url": "ftp://one.example"},
        {"token": KEY, "retries": -1},
        {"token": KEY, "input_policy": 5},
        {"headers": {"x-api-key": BAD}},
        {"headers": {"x-api-key": KEY.encode()}},
        {"headers": {BAD: "x"}},
        {"headers": {5: KEY}},
        {"headers": [("x-api-key", KEY)]},
        {"headers": {"Host": KEY}},
        {"cookies": {"session": BAD}},
        {"cookies": [KEY]},
        {"proxies": f"http://user:{KEY.replace('/', '_')}@proxy.example", "retries": -1},
        {"proxies": 5, "token": KEY},
        {"base_url": f"https://user:{KEY.replace('/', '_')}@one.example"},
    ],
)
def test_a_client_that_cannot_be_made(kind: Any, options: dict[str, Any]) -> None:
    assert leaks(refused(lambda: kind(**options))) == []


@pytest.mark.parametrize("kind", [AsyncInferenceClient, InferenceClient])
def test_what_a_client_shows_of_its_settings(kind: Any) -> None:
    client = kind(
        token=KEY,
        headers={"X-Api-Key": KEY, "X-Other": KEY},
        cookies={"session": KEY},
        proxies=f"http://user:{KEY.replace('/', '_')}@proxy.example",
        base_url="https://one.example/v1",
    )
    assert held(f"{client} {client!r} {vars(core_of(client))} {vars(core_of(copy.copy(client)))}") == []
    assert held(json.dumps(vars(core_of(client)), default=repr)) == []
    assert held(repr(copy.deepcopy(client))) == []  # a copy in this process keeps its key
    for write in (pickle.dumps, msgspec.json.encode, msgspec.msgpack.encode):
        with pytest.raises(TypeError) as found:
            write(client)
        assert held(repr(found.value)) == []
    assert leaks(refused(lambda: client.with_options(retries=-1))) == []
    assert leaks(refused(lambda: client.with_options(token=BAD))) == []
    assert held(f"{kind(base_url=f'https://one.example/v1?key={KEY}')!r}") == []
    again = client.with_options(retries=1)
    assert core_of(again).arguments["headers"].value == {"X-Api-Key": KEY, "X-Other": KEY}


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["HF_TOKEN", "TOGETHER_API_KEY", "HF_TOKEN_PATH"])
async def test_a_key_of_the_environment_that_cannot_be_sent(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, name: str
) -> None:
    (tmp_path / "token").write_text(BAD)
    monkeypatch.setenv(name, str(tmp_path / "token") if name == "HF_TOKEN_PATH" else BAD)
    provider = "together" if name == "TOGETHER_API_KEY" else None
    async with driver.client(provider=provider) as client:
        with pytest.raises(InvalidCredentialError) as found:
            await client.chat_completion(MESSAGES, model="org/model")
    assert leaks(found.value) == []


@pytest.mark.parametrize("name", ["HF_TOKEN", "HF_TOKEN_PATH"])
def test_so_where_the_environment_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Any, name: str) -> None:
    (tmp_path / "token").write_text(BAD)
    monkeypatch.setenv(name, str(tmp_path / "token") if name == "HF_TOKEN_PATH" else BAD)
    assert leaks(refused(hugging_face_token)) == []


def test_the_callers_own_error_is_left_alone(server: EchoServer) -> None:
    def fail(text: str) -> None:
        raise ValueError(text)

    server.case = "message"
    with InferenceClient(base_url=server.url, token=KEY, retries=0) as client:
        try:
            fail("theirs")
        except ValueError as theirs:
            with pytest.raises(HeadwaterError):
                client.chat_completion(MESSAGES)
            assert theirs.__traceback__ is not None
            assert theirs.__traceback__.tb_next is not None
            assert theirs.__traceback__.tb_next.tb_frame.f_locals == {"text": "theirs"}


def test_loggers_know_every_secret_that_is_alive() -> None:
    secret = Secret(KEY)
    assert held(redact_all(f"{ALL} {[secret]}")) == []
    del secret
    other = Secret("another-key-qzx81vbn4w")
    assert redact_all(f"another-key-qzx81vbn4w {other}") == "[secret] Secret([secret])"


@pytest.mark.parametrize("name", ["hpack.hpack", "hpack.table"])
def test_headers_that_are_compressed_are_not_logged(name: str, caplog: pytest.LogCaptureFixture) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200))
    core_of(AsyncInferenceClient(transport=transport)).transports.for_url(parse_url("https://one.example/"))
    caplog.set_level(logging.DEBUG, name)
    logging.getLogger(name).debug("Adding %s", (b"authorization", KEY))
    assert caplog.records == []
    logging.getLogger(name).warning("something else")
    assert len(caplog.records) == 1


def test_what_is_no_text_is_refused_as_before() -> None:
    with pytest.raises(InvalidParameterError, match="token must be a str, not bytes"):
        AsyncInferenceClient(token=b"sk-x")  # type: ignore[arg-type]  # pyright: ignore
    with pytest.raises(CallError, match="a dict"):
        AsyncInferenceClient(headers=[("a", "b")])  # type: ignore[arg-type]  # pyright: ignore
