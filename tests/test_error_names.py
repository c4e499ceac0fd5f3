"""Errors under the names and attributes of other clients: Hugging Face's, OpenAI's, and Python's own."""

from __future__ import annotations

import pickle
from http import HTTPStatus
from typing import Any

import httpx
import pytest
from support.drivers import Driver

import headwater
from headwater import (
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    BadRequestError,
    CallError,
    HeadwaterError,
    HfHubHTTPError,
    InputError,
    InternalServerError,
    OpenAIError,
    ProviderError,
    RateLimitError,
    UnprocessableEntityError,
)

pytestmark = [pytest.mark.anyio, pytest.mark.dealt]

ASKED = [{"role": "user", "content": "Hi"}]


def answering(status: int, **answer: Any) -> Any:
    return httpx.MockTransport(lambda _: httpx.Response(status, **answer))


async def fails(driver: Driver, transport: Any, **arguments: Any) -> Any:
    async with driver.client(base_url="http://127.0.0.1:1/v1", transport=transport, retries=0) as client:
        with pytest.raises(HeadwaterError) as caught:
            await client.chat_completion(ASKED, **arguments)
    return caught.value


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadRequestError),
        (401, headwater.AuthenticationError),
        (403, headwater.PermissionDeniedError),
        (404, headwater.NotFoundError),
        (409, headwater.ConflictError),
        (422, UnprocessableEntityError),
        (429, RateLimitError),
        (500, InternalServerError),
        (503, InternalServerError),
    ],
)
async def test_a_refusal_has_what_other_clients_give(driver: Driver, status: int, kind: Any) -> None:
    said = {"message": "no such thing", "type": "invalid_request_error", "param": "messages", "code": "nothing"}
    answer = {"json": {"error": said}, "headers": {"X-Request-Id": "r-1", "Retry-After": "7"}}
    error = await fails(driver, answering(status, **answer))
    for e in (error, pickle.loads(pickle.dumps(error))):
        assert isinstance(e, kind) and isinstance(e, HfHubHTTPError) and isinstance(e, APIStatusError)
        assert isinstance(e, APIError) and isinstance(e, OpenAIError) and not isinstance(e, APIConnectionError)
        assert (e.status_code, e.status, e.response.status_code) == (status, status, status)
        assert e.body == said and e.response.json() == {"error": said}
        assert (e.type, e.param, e.code) == ("invalid_request_error", "messages", "nothing")
        assert e.request_id == "r-1" and "no such thing" in e.message and e.server_message == "no such thing"
        assert e.response.headers["X-Request-Id"] == e.response.headers["x-request-id"] == "r-1"
        assert e.response.headers.get("RETRY-AFTER") == "7" and "Retry-after" in e.response.headers
        assert (e.response.ok, e.response.is_error) == (False, True)
        assert e.response.reason == e.response.reason_phrase == HTTPStatus(status).phrase
        assert e.response.text.encode() == e.response.content and "no such thing" in e.text


@pytest.mark.parametrize(
    ("sent", "body"),
    [
        (b'{"error": "just words"}', {"error": "just words"}),
        (b'{"detail": [{"loc": ["body"], "msg": "bad"}]}', {"detail": [{"loc": ["body"], "msg": "bad"}]}),
        (b"[1]", [1]),
        (b"<html>Bad Gateway</html>", "<html>Bad Gateway</html>"),
        (b"", ""),
        (b"[" * 10_000, "[" * 10_000),
    ],
)
async def test_a_body_of_any_kind_is_what_it_says(driver: Driver, sent: bytes, body: Any) -> None:
    error = await fails(driver, answering(502, content=sent))
    assert error.body == body and error.text == sent.decode()
    assert (error.type, error.param) == (None, None)
    if isinstance(body, str):
        with pytest.raises(ValueError):
            error.response.json()


async def test_no_answer_is_a_connection_error_by_openais_name(driver: Driver) -> None:
    def gone(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("gone")

    def late(_: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("cut")

    for act in (gone, late):
        error = await fails(driver, httpx.MockTransport(act))
        assert isinstance(error, APIConnectionError) and not isinstance(error, APITimeoutError | ProviderError)
        assert error.response is None


async def test_a_timeout_is_one_by_every_name(driver: Driver) -> None:
    import anyio

    async def hang(_: httpx.Request) -> httpx.Response:
        await anyio.sleep_forever()
        raise AssertionError

    error = await fails(driver, httpx.MockTransport(hang), timeout=0.05)
    assert isinstance(error, APITimeoutError) and isinstance(error, APIConnectionError)
    assert isinstance(error, TimeoutError) and isinstance(error, headwater.InferenceTimeoutError)


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": "hot"},
        {"temprature": 1},
        {"extra_body": {"x": object()}},
        {"model": "http://x y/"},
        {"timeout": 0},
        {"extra_headers": {"a": "b\nc"}},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
async def test_a_wrong_argument_is_a_value_error(driver: Driver, wrong: dict[str, Any]) -> None:
    error = await fails(driver, answering(200), **wrong)
    assert isinstance(error, ValueError) and isinstance(error, CallError)


async def test_a_place_that_cannot_be_is_a_value_error(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError):
        driver.client(provider="nobody")
    async with driver.client(provider="groq", api_key="sk-000000000000") as client:
        with pytest.raises(ValueError):
            await client.text_to_image("a cat", model="m")
        with pytest.raises(ValueError):
            await client.chat_completion(ASKED)


async def test_an_input_that_cannot_be_read_is_none(driver: Driver) -> None:
    async with driver.client(base_url="http://127.0.0.1:1") as client:
        with pytest.raises(InputError, match="no file") as caught:
            await client.image_classification("/no/such/file.png")
    assert not isinstance(caught.value, ValueError)


def test_errors_are_made_as_other_clients_are() -> None:
    """Which tests of programs do, for what their mocks raise."""
    asked = httpx.Request("POST", "https://one.example/v1/chat/completions")
    refused = httpx.Response(429, request=asked, headers={"X-Request-ID": "r-1"}, json={"error": {"message": "slow"}})
    for error in (
        RateLimitError("slow down", response=refused, body={"message": "slow"}),
        HfHubHTTPError("slow down", response=refused),
    ):
        assert (error.message, error.status_code, error.response.status_code) == ("slow down", 429, 429)
        assert (error.body, error.request_id, error.response.is_success) == ({"message": "slow"}, "r-1", False)
        assert error.request is not None and error.request.method == "POST"
        assert pickle.loads(pickle.dumps(error)).status_code == 429
        error.append_to_message(", please")
        assert str(error) == "slow down, please"
    assert HfHubHTTPError("x", response=httpx.Response(500)).request is None
    for gone in (APIConnectionError(message="gone", request=asked), APITimeoutError(request=asked)):
        assert gone.message and gone.request is asked and pickle.loads(pickle.dumps(gone)).message == gone.message
    assert str(APIError("x", request=asked)) == "x"


async def test_an_error_names_its_request(driver: Driver) -> None:
    error = await fails(driver, answering(400), extra_query={"key": "0123456789abcdef"})
    assert (error.request.method, error.request.url) == ("POST", "http://127.0.0.1:1/v1/chat/completions")
    assert (await fails(driver, answering(200, json={}), n="x")).request is None

    def unreachable(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    assert (await fails(driver, httpx.MockTransport(unreachable))).request.method == "POST"
