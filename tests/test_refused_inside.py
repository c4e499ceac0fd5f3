"""Refusals inside a 200 that have no member `error`: of every task, whole and as an event of its stream."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from support.drivers import Driver
from support.result_url_providers import VENDORS, Vendor

from headwater import errors as e
from headwater.responses.refusal import error_in_place_of_answer
from headwater.testing import EVENT_STREAM, MemoryTransport, ScriptedResponse

pytestmark = [pytest.mark.anyio, pytest.mark.dealt]

URL = "http://127.0.0.1:9"
MESSAGES = [{"role": "user", "content": "hi"}]
GOOGLE = {
    "error": {
        "code": 429,
        "message": "out of it",
        "status": "RESOURCE_EXHAUSTED",
        "details": [{"@type": "x"}, {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "33s"}],
    }
}

REFUSED: list[tuple[Any, type[e.ProviderError], int | None, str, bool]] = [
    ({"detail": "Rate limit exceeded"}, e.RateLimitError, 429, "Rate limit exceeded", True),
    ({"detail": "Not authenticated"}, e.AuthenticationError, 401, "Not authenticated", False),
    ({"detail": "Not Found"}, e.NotFoundError, 404, "Not Found", False),
    ({"detail": "Internal Server Error"}, e.ServerError, 500, "Internal Server Error", True),
    ({"detail": "the dog ate it"}, e.UnknownError, None, "the dog ate it", False),
    (
        {"detail": [{"loc": ["body", "top_k"], "msg": "too large", "type": "value_error"}]},
        e.InvalidRequestError,
        422,
        "body.top_k: too large",
        False,
    ),
    ({"detail": {"error": {"message": "no key", "code": 401}}}, e.AuthenticationError, 401, "no key", False),
    ({"error": 429, "message": "slow"}, e.RateLimitError, 429, "slow", True),
    ({"error": '{"error": {"message": "no key", "code": 401}}'}, e.AuthenticationError, 401, "no key", False),
    ({"errors": {"Model": ["is required"]}}, e.UnknownError, None, "Model: is required", False),
    ({"code": 0, "data": {"error": {"message": "slow", "code": 429}}}, e.RateLimitError, 429, "slow", True),
    ({"statusCode": 503, "body": '{"error": {"message": "later"}}'}, e.ServerError, 503, "later", True),
    ({"detail": {"message": "busy", "code": "overloaded"}}, e.OverloadedError, 529, "busy", True),
    ({"code": "Throttling.RateQuota", "message": "slow", "request_id": "r"}, e.RateLimitError, 429, "slow", True),
    ({"code": "InvalidApiKey", "message": "no key"}, e.AuthenticationError, 401, "no key", False),
    ({"code": "DataInspectionFailed", "message": "unsafe"}, e.ContentRefusedError, 400, "unsafe", False),
    ({"code": "InvalidParameter", "message": "bad"}, e.InvalidRequestError, 400, "bad", False),
    ({"code": "Model.AccessDenied", "message": "no"}, e.PermissionDeniedError, 403, "no", False),
    ({"code": 503, "message": "come later"}, e.ServerError, 503, "come later", True),
    ({"code": "429", "message": "slow"}, e.RateLimitError, 429, "slow", True),
    ([GOOGLE], e.RateLimitError, 429, "out of it", True),
    ([{"error": {"code": 404, "message": "gone"}}], e.NotFoundError, 404, "gone", False),
    ({"base_resp": {"status_code": 1002, "status_msg": "rate limit"}}, e.RateLimitError, 429, "rate limit", True),
    (
        {"id": "x", "choices": None, "base_resp": {"status_code": 1004, "status_msg": "login fail"}},
        e.AuthenticationError,
        401,
        "login fail",
        False,
    ),
    (
        {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}},
        e.PaymentRequiredError,
        402,
        "insufficient balance",
        False,
    ),
    ({"base_resp": {"status_code": 1027, "status_msg": "output"}}, e.ContentRefusedError, 400, "output", False),
    (
        {"base_resp": {"status_code": 2042, "status_msg": "not your voice"}},
        e.PermissionDeniedError,
        403,
        "voice",
        False,
    ),
    ({"base_resp": {"status_code": 9999, "status_msg": "odd"}}, e.UnknownError, None, "odd", False),
    (
        {"success": False, "errors": [{"code": 10000, "message": "Authentication error"}], "result": None},
        e.AuthenticationError,
        401,
        "Authentication error",
        False,
    ),
    (
        {"success": False, "errors": [{"code": 3040, "message": "no room"}], "messages": [], "result": None},
        e.RateLimitError,
        429,
        "no room",
        True,
    ),
    ({"error_code": 18, "error_msg": "qps limit"}, e.RateLimitError, 429, "qps limit", True),
    ({"error_code": 110, "error_msg": "token invalid"}, e.AuthenticationError, 401, "token invalid", False),
    ({"error_code": 336100, "error_msg": "try later"}, e.OverloadedError, 529, "try later", True),
    ({"errors": [{"message": "broken"}]}, e.UnknownError, None, "broken", False),
    ({"errors": ["Too many requests"]}, e.RateLimitError, 429, "Too many requests", True),
    ({"status": "error", "message": "broken"}, e.UnknownError, None, "broken", False),
    ({"status": "error", "message": "Service Unavailable"}, e.ServerError, 503, "Service Unavailable", True),
    ({"title": "Forbidden", "detail": "not you", "status": 403}, e.PermissionDeniedError, 403, "not you", False),
    (
        {"object": "error", "message": "no such model", "type": "NotFoundError", "param": None, "code": 404},
        e.NotFoundError,
        404,
        "no such model",
        False,
    ),
    (
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "r"},
        e.OverloadedError,
        529,
        "Overloaded",
        True,
    ),
    (
        {"Response": {"Error": {"Code": "RequestLimitExceeded", "Message": "slow"}, "RequestId": "r"}},
        e.RateLimitError,
        429,
        "slow",
        True,
    ),
    ({"__type": "ThrottlingException", "message": "slow"}, e.RateLimitError, 429, "slow", True),
    ({"message": "API rate limit exceeded"}, e.RateLimitError, 429, "API rate limit exceeded", True),
    ({"status": "fail", "error_message": "broken"}, e.UnknownError, None, "broken", False),
    ({"status": 429, "message": "slow"}, e.RateLimitError, 429, "slow", True),
    ({"status": "FAILED", "fail_reason": "broken"}, e.UnknownError, None, "broken", False),
    ({"errcode": 401, "errmsg": "no key"}, e.AuthenticationError, 401, "no key", False),
    ({"err_code": 429, "err_msg": "slow"}, e.RateLimitError, 429, "slow", True),
    ({"retCode": "500", "retMsg": "broken"}, e.ServerError, 500, "broken", True),
    ({"httpStatusCode": 503, "message": "come later"}, e.ServerError, 503, "come later", True),
    # https://docs.aws.amazon.com/lambda/latest/dg/python-exceptions.html
    ({"errorMessage": "it took long", "errorType": "Sandbox.Timedout"}, e.ServerError, 504, "it took long", True),
    # https://docs.apigee.com/api-platform/troubleshoot/runtime/429-policies-ratelimit-quotaviolation
    (
        {"fault": {"faultstring": "used up", "detail": {"errorcode": "policies.ratelimit.QuotaViolation"}}},
        e.RateLimitError,
        429,
        "used up",
        True,
    ),
    ({"header": {"code": 10013, "message": "unsafe", "sid": "s"}}, e.UnknownError, None, "unsafe", False),
    ({"exception": "ValueError: broken"}, e.UnknownError, None, "broken", False),
    # https://docs.bigmodel.cn/cn/api/api-code
    ({"error": {"code": "1302", "message": "slow"}}, e.RateLimitError, 429, "slow", True),
    ({"error": {"code": "1113", "message": "no money"}}, e.PaymentRequiredError, 402, "no money", False),
    ({"error": {"code": "1301", "message": "unsafe"}}, e.ContentRefusedError, 400, "unsafe", False),
    ({"error": "slow", "error_type": "rate_limit_exceeded"}, e.RateLimitError, 429, "slow", True),
    # https://github.com/anomalyco/opencode/issues/23960
    ({"code": "InternalError", "message": "cut", "request_id": "r"}, e.ServerError, 500, "cut", True),
]

CALLS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "chat": ("/v1", lambda client: client.chat_completion(MESSAGES)),
    "completions": ("/v1", lambda client: client.text_generation("hi")),
    "responses": ("/v1", lambda client: client.create_response("hi")),
    "messages": ("/v1", lambda client: client.create_message(MESSAGES, max_tokens=9)),
    "tgi": ("/x", lambda client: client.text_generation("hi")),
    "tgi-details": ("/x", lambda client: client.text_generation("hi", details=True)),
    "embeddings": ("/v1", lambda client: client.feature_extraction("hi")),
    "create-embedding": ("/v1", lambda client: client.embeddings.create(input="hi")),
    "tei": ("/x", lambda client: client.feature_extraction("hi")),
    "text-classification": ("/x", lambda client: client.text_classification("hi")),
    "fill-mask": ("/x", lambda client: client.fill_mask("hi [MASK]")),
    "zero-shot": ("/x", lambda client: client.zero_shot_classification("hi", ["a", "b"])),
    "question-answering": ("/x", lambda client: client.question_answering("who", "me")),
    "summarization": ("/x", lambda client: client.summarization("hi")),
    "sentence-similarity": ("/x", lambda client: client.sentence_similarity("a", ["b"])),
    "tabular": ("/x", lambda client: client.tabular_regression({"a": [1]})),
    "object-detection": ("/x", lambda client: client.object_detection(b"\xff\xd8\xff")),
    "depth": ("/x", lambda client: client.depth_estimation(b"\xff\xd8\xff")),
    "hear": ("/x", lambda client: client.automatic_speech_recognition(b"RIFF....WAVE")),
    "transcribe": ("/v1", lambda client: client.automatic_speech_recognition(b"RIFF....WAVE")),
    "draw": ("/x", lambda client: client.text_to_image("hi")),
    "draw-openai": ("/v1", lambda client: client.text_to_image("hi")),
    "speak": ("/x", lambda client: client.text_to_speech("hi")),
    "film": ("/x", lambda client: client.text_to_video("hi")),
}
STREAMS: dict[str, tuple[str, Callable[[Any], Any], bytes]] = {
    "chat": (
        "/v1",
        lambda client: client.chat_completion.stream(MESSAGES),
        b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n',
    ),
    "completions": (
        "/v1",
        lambda client: client.text_generation.stream("hi"),
        b'data: {"choices":[{"index":0,"text":"a"}]}\n\n',
    ),
    "tgi": (
        "/x",
        lambda client: client.text_generation.stream("hi"),
        b'data: {"token":{"id":1,"text":"a","special":false}}\n\n',
    ),
    "responses": (
        "/v1",
        lambda client: client.create_response.stream("hi"),
        b'data: {"type":"response.output_text.delta","delta":"a"}\n\n',
    ),
    "messages": (
        "/v1",
        lambda client: client.create_message.stream(MESSAGES, max_tokens=9),
        b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}\n\n',
    ),
}


def whole(body: Any) -> ScriptedResponse:
    return ScriptedResponse(json.dumps(body).encode())


def events(*data: bytes) -> ScriptedResponse:
    return ScriptedResponse(b"".join(data), content_type=EVENT_STREAM)


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_TEST_MODE", "1")


@pytest.mark.parametrize(("body", "kind", "status", "words", "again"), REFUSED)
def test_it_is_what_its_code_says(
    body: Any, kind: type[e.ProviderError], status: int | None, words: str, again: bool
) -> None:
    error = error_in_place_of_answer(json.dumps(body).encode())
    assert error is not None
    assert (type(error), error.status, error.retryable) == (kind, status, again)
    assert words in (error.server_message or "")


@pytest.mark.parametrize("task", CALLS)
async def test_a_whole_answer(driver: Driver, task: str) -> None:
    path, ask = CALLS[task]
    for body, kind, status, words, again in REFUSED if task == "chat" else REFUSED[:: 4 if driver.blocking else 2]:
        transport = MemoryTransport(lambda _, body=body: whole(body))  # type: ignore[misc]
        async with driver.client(base_url=URL + path, transport=transport, retries=1) as client:
            with pytest.raises(e.ProviderError) as caught:
                await ask(client)
        error = caught.value
        assert (type(error), error.status) == (kind, status), body
        assert words in (error.server_message or ""), body
        assert len(transport.requests) == (2 if again else 1), body
        assert not transport.unfinished()


@pytest.mark.parametrize("task", STREAMS)
async def test_a_refusal_that_was_written_into_an_event(driver: Driver, task: str) -> None:
    """https://github.com/Wei-Shaw/sub2api/issues/1471"""
    path, ask, first = STREAMS[task]
    refusal = b'{"type":"error","error":{"code":502,"message":"upstream read error"}}'
    for between in (b"\n", b"\ndata: ", b"data: "):
        event = b'data: {"id":"x","model":"m' + between + refusal + b"\n\n"
        transport = MemoryTransport(lambda _, event=event: events(first, event))  # type: ignore[misc]
        async with driver.client(base_url=URL + path, transport=transport) as client:
            with pytest.raises(e.ServerError) as caught:
                await ask(client).result()
        assert (caught.value.status, caught.value.server_message) == (502, "upstream read error"), between
        assert caught.value.partial is not None


@pytest.mark.parametrize("task", STREAMS)
async def test_an_event_of_a_stream(driver: Driver, task: str) -> None:
    path, ask, first = STREAMS[task]
    for body, kind, status, words, again in REFUSED:
        event = b"data: " + json.dumps(body).encode() + b"\n\n"
        transport = MemoryTransport(lambda _, event=event: events(event))  # type: ignore[misc]
        async with driver.client(base_url=URL + path, transport=transport, retries=1) as client:
            with pytest.raises(e.ProviderError) as caught:
                await ask(client).result()
            assert (type(caught.value), caught.value.status) == (kind, status), body
            assert words in (caught.value.server_message or ""), body
            assert len(transport.requests) == (2 if again else 1), body
        transport = MemoryTransport(lambda _, event=event: events(first, event))  # type: ignore[misc]
        async with driver.client(base_url=URL + path, transport=transport) as client:
            with pytest.raises(e.ProviderError) as caught:
                await ask(client).result()
        assert (type(caught.value), caught.value.status) == (kind, status), body
        assert caught.value.events_received == 1 and caught.value.partial, body
        assert len(transport.requests) == 1


@pytest.mark.parametrize("name", ["Error", "exception", "stream_failed", "api.error"])
@pytest.mark.parametrize("task", STREAMS)
async def test_an_event_whose_name_says_so(driver: Driver, task: str, name: str) -> None:
    path, ask, first = STREAMS[task]
    last = f'event: {name}\ndata: {{"message": "slow", "status": 429}}\n\n'.encode()
    transport = MemoryTransport(lambda _: events(first, last))
    async with driver.client(base_url=URL + path, transport=transport) as client:
        with pytest.raises(e.RateLimitError, match="slow"):
            await ask(client).result()


@pytest.mark.parametrize("task", ["chat", "tei", "text-classification"])
async def test_one_more_try_may_do(driver: Driver, task: str) -> None:
    good = {
        "chat": {"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}]},
        "tei": [[0.5]],
        "text-classification": [{"label": "a", "score": 0.5}],
    }
    path, ask = CALLS[task]
    transport = MemoryTransport.in_turn(whole({"code": "Throttling.RateQuota", "message": "slow"}), whole(good[task]))
    async with driver.client(base_url=URL + path, transport=transport) as client:
        assert await ask(client) is not None
    assert len(transport.requests) == 2


ANSWERED = [
    {"detail": "nothing to say", "message": "fine"},
    {"detail": [{"loc": ["x"], "msg": "y"}]},
    {"code": 0, "message": "success", "success": True},
    {"code": "429", "status": "error", "success": False},
    {"base_resp": {"status_code": 0, "status_msg": ""}},
    {"base_resp": {"status_code": 1002, "status_msg": "odd"}},
    {"errors": ["a warning"], "error_code": 0},
    {"error": None, "error_code": 5},
    {"error": {}, "object": "x"},
    {"error": {"code": 0, "message": ""}},
    {"error": "success"},
]


@pytest.mark.parametrize("more", ANSWERED)
async def test_what_has_the_content_is_an_answer(driver: Driver, more: dict[str, Any]) -> None:
    said = {"choices": [{"index": 0, "message": {"content": "a"}, "finish_reason": "stop"}], **more}
    text = {"choices": [{"index": 0, "text": "a", "finish_reason": "stop"}], **more}
    labelled = [{"label": "a", "score": 0.5, **more}]
    piece = {"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}], **more}
    last = {"choices": [], "usage": {"prompt_tokens": 1}, **({} if "base_resp" in more else {"message": "fine"})}
    chunks = [b"data: " + json.dumps(event).encode() + b"\n\n" for event in (piece, last)]

    async def asked(path: str, answer: ScriptedResponse, ask: Callable[[Any], Any]) -> Any:
        async with driver.client(base_url=URL + path, transport=MemoryTransport.in_turn(answer)) as client:
            return await ask(client)

    answered = await asked("/v1", whole(said), CALLS["chat"][1])
    assert answered.choices[0].message.content == "a"
    assert await asked("/v1", whole(text), CALLS["completions"][1]) == "a"
    assert await asked("", whole({"generated_text": "a", **more}), CALLS["tgi"][1]) == "a"
    assert (await asked("/x", whole(labelled), CALLS["text-classification"][1]))[0].label == "a"
    assert (await asked("/x", whole({"text": "a", **more}), CALLS["hear"][1])).text == "a"
    streamed = await asked("/v1", events(*chunks), lambda client: client.chat_completion.stream(MESSAGES).result())
    assert streamed.choices[0].message.content == "a" and streamed.usage.prompt_tokens == 1


@pytest.mark.parametrize("body", [{"code": 0, "message": "success", "data": None}, {"msg": "OK"}])
def test_that_all_is_well_is_no_refusal(body: dict[str, Any]) -> None:
    assert error_in_place_of_answer(json.dumps(body).encode()) is None


async def test_an_error_of_a_message_that_says_nothing(driver: Driver) -> None:
    for said in ({"content": None, "error": {"message": "it broke"}}, {"content": "a", "error": {"message": "x"}}):
        choice = {"index": 0, "message": said, "finish_reason": "stop"}
        piece = {"index": 0, "delta": said, "finish_reason": "stop"}
        piece_event = b"data: " + json.dumps({"choices": [piece]}).encode() + b"\n\n"
        for answer, streamed in ((whole({"choices": [choice]}), False), (events(piece_event), True)):
            client = driver.client(base_url=f"{URL}/v1", transport=MemoryTransport.in_turn(answer), retries=0)
            async with client:
                asked = (
                    client.chat_completion.stream(MESSAGES).result() if streamed else client.chat_completion(MESSAGES)
                )
                if said["content"]:
                    assert (await asked).choices[0].message.content == "a"
                else:
                    with pytest.raises(e.ServerError, match="it broke"):
                        await asked


CHOICE_ERRORS = [
    ({"code": 502, "message": "Provider returned error"}, e.ServerError, 502, "Provider returned error"),
    ({"code": 429, "message": "slow"}, e.RateLimitError, 429, "slow"),
    ({"message": "it broke"}, e.ServerError, 502, "it broke"),
    ("it broke", e.ServerError, 502, "it broke"),
]


@pytest.mark.parametrize(("held", "kind", "status", "words"), CHOICE_ERRORS)
@pytest.mark.parametrize("finish", ["error", None])
async def test_an_error_of_a_choice(
    driver: Driver, held: Any, kind: type[e.ProviderError], status: int, words: str, finish: str | None
) -> None:
    """https://openrouter.ai/docs/api-reference/errors"""
    choice = {"index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": finish, "error": held}
    transport = MemoryTransport(lambda _: whole({"id": "x", "choices": [choice]}))
    async with driver.client(base_url=f"{URL}/v1", transport=transport, retries=0) as client:
        with pytest.raises(e.ProviderError) as caught:
            await client.chat_completion(MESSAGES)
        assert (type(caught.value), caught.value.status, caught.value.server_message) == (kind, status, words)
    transport = MemoryTransport(lambda _: whole({"id": "x", "choices": [choice]}))
    async with driver.client(base_url=f"{URL}/v1", transport=transport, retries=1) as client:
        with pytest.raises(kind):
            await client.chat_completion(MESSAGES)
    assert len(transport.requests) == 2
    piece = {"index": 0, "delta": {"content": ""}, "finish_reason": finish, "error": held}
    chunk = b"data: " + json.dumps({"id": "x", "choices": [piece]}).encode() + b"\n\n"
    transport = MemoryTransport(lambda _: events(STREAMS["chat"][2], chunk))
    async with driver.client(base_url=f"{URL}/v1", transport=transport) as client:
        with pytest.raises(e.ProviderError) as caught:
            await client.chat_completion.stream(MESSAGES).result()
    assert (type(caught.value), caught.value.status, caught.value.server_message) == (kind, status, words)
    assert caught.value.partial.choices[0].message.content == "a"


@pytest.mark.parametrize("finish", ["error", "stop"])
async def test_what_came_before_the_error_of_a_choice(driver: Driver, finish: str) -> None:
    """Half an answer is the error's partial, and asked for once; a whole one is an answer."""
    held = {"code": 502, "message": "Provider returned error"}
    choice = {"index": 0, "message": {"role": "assistant", "content": "half"}, "finish_reason": finish, "error": held}
    transport = MemoryTransport(lambda _: whole({"id": "x", "choices": [choice]}))
    async with driver.client(base_url=f"{URL}/v1", transport=transport) as client:
        if finish == "stop":
            assert (await client.chat_completion(MESSAGES)).choices[0].message.content == "half"
        else:
            with pytest.raises(e.ServerError, match="Provider returned error") as caught:
                await client.chat_completion(MESSAGES)
            assert caught.value.partial.choices[0].message.content == "half"
    assert len(transport.requests) == 1


@pytest.mark.parametrize("finish", ["stop", "content_filter", None])
async def test_nothing_said_and_a_code_for_it(driver: Driver, finish: str | None) -> None:
    """MiniMax has an empty choice beside its code; an empty answer without one is an answer."""
    choice = {"index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": finish}
    cases: list[tuple[dict[str, Any], type[e.HeadwaterError] | None]] = [
        ({"base_resp": {"status_code": 1027, "status_msg": "output"}}, e.ContentRefusedError),
        ({"base_resp": {"status_code": 1004, "status_msg": "login"}}, e.AuthenticationError),
        ({"base_resp": {"status_code": 0, "status_msg": ""}}, None),
        ({"detail": "x", "message": "y", "code": 0}, None),
    ]
    for more, kind in cases:
        transport = MemoryTransport.in_turn(whole({"id": "x", "choices": [choice], **more}))
        async with driver.client(base_url=f"{URL}/v1", transport=transport) as client:
            if kind is None:
                assert (await client.chat_completion(MESSAGES)).choices[0].message.content == ""
            else:
                with pytest.raises(kind):
                    await client.chat_completion(MESSAGES)


async def test_a_post_of_ones_own_is_not_interpreted(driver: Driver) -> None:
    body = {"code": 429, "message": "slow"}
    async with driver.client(base_url=f"{URL}/x", transport=MemoryTransport.in_turn(whole(body))) as client:
        assert (await client.post(json={})).json() == body


POLLED = [
    ({"detail": "Not authenticated"}, e.AuthenticationError),
    ({"code": 403, "message": "not you"}, e.PermissionDeniedError),
    ({"base_resp": {"status_code": 1004, "status_msg": "login fail"}}, e.AuthenticationError),
    ({"success": False, "errors": [{"code": 10000, "message": "no"}], "result": None}, e.AuthenticationError),
    ([{"error": {"code": 404, "message": "gone"}}], e.NotFoundError),
]
BUSY: list[Any] = [
    {"detail": "Rate limit exceeded"},
    {"code": "Throttling.RateQuota", "message": "slow"},
    {"code": 503, "message": "come later", "data": None},
    {"base_resp": {"status_code": 1002, "status_msg": "rate limit"}},
    [{"error": {"code": 429, "message": "slow"}}],
    {"error_code": 18, "error_msg": "qps limit"},
]


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_submission_or_a_question_of_a_job(driver: Driver, vendor: str) -> None:
    for turn in range(len(Vendor(vendor, "https://cdn.example/x").waiting)):
        for body, kind in POLLED:
            played = Vendor(vendor, "https://cdn.example/x")
            played.waiting[turn] = json.dumps(body).encode()
            with pytest.raises(kind):
                await played.ask(driver)
        for body in BUSY:
            played = Vendor(vendor, "https://cdn.example/x")
            played.waiting.insert(turn, json.dumps(body).encode())
            assert await played.ask(driver) is not None, body


@pytest.mark.parametrize("vendor", ["fal-ai", "fal-ai video", "fal-ai speech", "replicate speech", "openai"])
@pytest.mark.parametrize("content_type", ["application/json", "application/octet-stream", "video/mp4"])
async def test_in_place_of_a_file(driver: Driver, vendor: str, content_type: str) -> None:
    played = Vendor(vendor, "https://cdn.example/x")
    played.file = ScriptedResponse(json.dumps({"detail": "Not authenticated"}).encode(), content_type=content_type)
    with pytest.raises(e.AuthenticationError):
        await played.ask(driver)


async def test_in_place_of_a_sound_whatever_it_is_declared_as(driver: Driver) -> None:
    for content_type in ("audio/mpeg", "application/json", "application/octet-stream"):
        for body, kind, status, _, _ in REFUSED[::3]:
            transport = MemoryTransport(
                lambda _, body=body, kind=content_type: ScriptedResponse(  # type: ignore[misc]
                    json.dumps(body).encode(), content_type=kind
                )
            )
            async with driver.client(base_url=f"{URL}/v1", transport=transport, retries=0) as client:
                with pytest.raises(e.ProviderError) as caught:
                    await client.text_to_speech("hi")
                assert (type(caught.value), caught.value.status) == (kind, status)
                with pytest.raises(e.ProviderError) as caught:
                    await client.text_to_speech.stream("hi").result()
                assert (type(caught.value), caught.value.status) == (kind, status)


async def test_an_event_of_a_transcript(driver: Driver) -> None:
    first = b'data: {"type":"transcript.text.delta","delta":"a"}\n\n'
    for body, kind, status, _, _ in REFUSED[::3]:
        event = b"data: " + json.dumps(body).encode() + b"\n\n"
        for data in ((event,), (first, event)):
            transport = MemoryTransport(lambda _, data=data: events(*data))  # type: ignore[misc]
            async with driver.client(base_url=f"{URL}/v1", transport=transport, retries=0) as client:
                with pytest.raises(e.ProviderError) as caught:
                    await client.automatic_speech_recognition.stream(b"RIFF....WAVE").result()
            assert (type(caught.value), caught.value.status) == (kind, status), body


async def test_a_wait_by_the_clock_inside_an_answer(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine has the clock by which a point in time becomes a wait."""
    held = {"code": 429, "message": "slow", "metadata": {"headers": {"X-RateLimit-Reset": "32503680000000"}}}
    for answer in (whole({"error": held}), events(b"data: " + json.dumps({"error": held}).encode() + b"\n\n")):
        async with driver.client(base_url=f"{URL}/v1", transport=MemoryTransport.in_turn(answer)) as client:
            with pytest.raises(e.RateLimitError) as caught:
                await client.chat_completion.stream(MESSAGES).result()
        assert caught.value.retry_after is not None and caught.value.retry_after > 1e9
        assert len(caught.value.attempts) == 1, "nobody waits for a thousand years"
