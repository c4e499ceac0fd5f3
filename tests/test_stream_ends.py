"""How streams end that do not end well, or not as the standard has it: each says so, with its words and what came."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.drivers import Driver

from headwater import (
    HeadwaterError,
    IncompleteStreamError,
    InvalidRequestError,
    MalformedEventError,
    RateLimitError,
    Route,
    UnexpectedContentError,
    UnknownError,
)
from headwater.testing import EVENT_STREAM, MemoryTransport, ScriptedResponse

pytestmark = [pytest.mark.anyio, pytest.mark.dealt]

MESSAGES = [{"role": "user", "content": "hi"}]
WORDS = "the request exceeds the available context size"
ERROR = json.dumps({"code": 400, "message": WORDS, "type": "invalid_request_error"})
LIMIT = json.dumps({"error": {"code": 429, "message": "slow down"}})
DONE = "data: [DONE]\n\n"
KINDS = {"chat": "/v1", "completions": "/v1", "tgi": ""}


def piece(kind: str, text: str, finish: str | None = None, **more: Any) -> str:
    """One event's JSON, in the dialect of this kind."""
    if kind == "chat":
        return json.dumps(
            {"id": "1", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}], **more}
        )
    if kind == "completions":
        return json.dumps({"id": "1", "choices": [{"index": 0, "text": text, "finish_reason": finish}], **more})
    whole = {"generated_text": "ab", "details": None} if finish else {}
    return json.dumps({"index": 1, "token": {"id": 1, "text": text, "logprob": -0.1, "special": False}, **whole})


def data(*pieces: str) -> str:
    return "".join(f"data: {one}\n\n" for one in pieces)


async def outcome(
    driver: Driver, kind: str, body: str, content_type: str = EVENT_STREAM, **options: Any
) -> tuple[str, HeadwaterError | None]:
    """The text that came, and the error; the result and the partial result are held against the text."""
    transport = MemoryTransport(lambda _: ScriptedResponse(body.encode(), content_type=content_type))
    text = ""
    options = {"base_url": f"http://127.0.0.1:9{KINDS[kind]}"} | options
    async with driver.client(transport=transport, retries=0, **options) as client:
        stream = client.chat_completion.stream(MESSAGES) if kind == "chat" else client.text_generation.stream("hi")
        async with stream as run:
            try:
                async for event in run:
                    text += (event.choices[0].delta.content or "") if kind == "chat" else event.token.text
                assert text_of(await run.result()) == text
            except HeadwaterError as error:
                assert text_of(error.partial) == text
                return text, error
    return text, None


def text_of(result: Any) -> str:
    if result is None or isinstance(result, str):
        return result or ""
    text: str = result.choices[0].message.content
    return text


@pytest.mark.parametrize("done", ["", DONE], ids=["", "done"])
@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        (f"error: {ERROR}\n\n", InvalidRequestError, WORDS),
        (f"error: {ERROR}\n", InvalidRequestError, WORDS),
        (f"{LIMIT}\n\n", RateLimitError, "slow down"),
        (f"{LIMIT}\n", RateLimitError, "slow down"),
        (json.dumps(json.loads(LIMIT), indent=2) + "\n\n", RateLimitError, "slow down"),
        (f"event: error\n{LIMIT}\n\n", RateLimitError, "slow down"),
        (f"event: error\ndata: {ERROR}\n\n", InvalidRequestError, WORDS),
        ("event: error\ndata: out of memory\n\n", UnknownError, "out of memory"),
        ("event: error\ndata: first\ndata: second\n\n", UnknownError, "first second"),
        ("error: out of memory\n\n", UnknownError, "out of memory"),
        ("event: error\nout of memory\n\n", UnknownError, "out of memory"),
    ],
)
@pytest.mark.parametrize("before", [0, 1, 2], ids=["first", "after one", "after two"])
@pytest.mark.parametrize("dialect", KINDS)
async def test_an_error_in_whatever_form(
    driver: Driver, dialect: str, before: int, said: str, kind: type[HeadwaterError], words: str, done: str
) -> None:
    came = "ab"[:before]
    text, error = await outcome(driver, dialect, data(*(piece(dialect, c) for c in came)) + said + done)
    assert type(error) is kind, error
    assert words in str(error)
    assert text == came


@pytest.mark.parametrize("dialect", ["chat", "completions", "tgi"])
async def test_an_end_marker_without_a_finish_reason_is_no_whole_answer(driver: Driver, dialect: str) -> None:
    text, error = await outcome(driver, dialect, data(piece(dialect, "a"), piece(dialect, "b")) + DONE)
    assert text == "ab"
    assert type(error) is IncompleteStreamError
    assert error.events_received


@pytest.mark.parametrize("dialect", ["chat", "completions"])
async def test_but_for_the_servers_that_send_none(driver: Driver, dialect: str) -> None:
    chunks = [piece(dialect, c, system_fingerprint="fp_ollama") for c in "ab"]
    assert await outcome(driver, dialect, data(*chunks) + DONE) == ("ab", None)
    _, error = await outcome(driver, dialect, data(*chunks))
    assert type(error) is IncompleteStreamError


@pytest.mark.parametrize("dialect", KINDS)
@pytest.mark.parametrize("route", [False, True], ids=["client", "route"])
async def test_but_where_the_caller_knows_that_none_is_sent(driver: Driver, dialect: str, route: bool) -> None:
    url, body = f"http://127.0.0.1:9{KINDS[dialect]}", data(piece(dialect, "a"), piece(dialect, "b"))
    options: dict[str, Any] = {"done_ends_stream": True}
    if route:
        places = [Route(base_url=url, done_ends_stream=True), Route(base_url="http://127.0.0.1:8/v1")]
        options = {"provider": places, "base_url": None}
    assert await outcome(driver, dialect, body + DONE, **options) == ("ab", None)
    _, error = await outcome(driver, dialect, body, **options)
    assert type(error) is IncompleteStreamError


async def test_fewer_choices_than_were_asked_for(driver: Driver) -> None:
    """A server that ignores `n` has said that no more comes."""
    body = data(piece("chat", "ab", "stop")) + DONE
    transport = MemoryTransport(lambda _: ScriptedResponse(body.encode(), content_type=EVENT_STREAM))
    async with driver.client(base_url="http://127.0.0.1:9/v1", transport=transport) as client:
        answer = await client.chat_completion.stream(MESSAGES, n=2).result()
    assert [choice.message.content for choice in answer.choices] == ["ab"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
@pytest.mark.parametrize("dialect", KINDS)
async def test_events_between_single_line_feeds(driver: Driver, dialect: str, end: str) -> None:
    lines = [f"data: {piece(dialect, 'a')}", f"data: {piece(dialect, 'b', 'stop')}", "data: [DONE]"]
    for last in ("", end):
        assert await outcome(driver, dialect, end.join(lines) + last) == ("ab", None)


@pytest.mark.parametrize("dialect", KINDS)
async def test_json_lines(driver: Driver, dialect: str) -> None:
    lines = f"{piece(dialect, 'a')}\n{piece(dialect, 'b', 'stop')}\n"
    assert await outcome(driver, dialect, lines) == ("ab", None)
    text, error = await outcome(driver, dialect, f"{piece(dialect, 'a')}\n{LIMIT}\n")
    assert (text, type(error)) == ("a", RateLimitError)


@pytest.mark.parametrize("dialect", KINDS)
async def test_a_proxys_words(driver: Driver, dialect: str) -> None:
    """They tell what went wrong; where nothing did, they are heard all the same."""
    words = "upstream connect error or disconnect/reset before headers"
    text, error = await outcome(driver, dialect, data(piece(dialect, "a")) + f"{words}\n\n")
    assert (text, type(error)) == ("a", IncompleteStreamError)
    assert words in str(error)
    _, error = await outcome(driver, dialect, f"{words}\n\n")
    assert type(error) is UnexpectedContentError
    assert words in str(error)
    whole = data(piece(dialect, "a"), piece(dialect, "b", "stop")) + f"{words}\n\n" + DONE
    with pytest.warns(UserWarning, match="upstream connect error"):
        assert await outcome(driver, dialect, whole) == ("ab", None)


@pytest.mark.parametrize("dialect", KINDS)
async def test_data_that_is_no_json(driver: Driver, dialect: str) -> None:
    text, error = await outcome(driver, dialect, data(piece(dialect, "a"), "no healthy upstream") + DONE)
    assert (text, type(error)) == ("a", MalformedEventError)
    assert "no healthy upstream" in str(error)
