"""A label that is wrong is not believed against the content: streams, whole answers and refusals under any of them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from PIL import Image
from support.drivers import Driver

from headwater import (
    DecodeError,
    HeadwaterError,
    IncompleteStreamError,
    InvalidRequestError,
    RateLimitError,
    UnexpectedContentError,
)
from headwater.testing import EVENT_STREAM, MemoryTransport, ScriptedResponse

pytestmark = [pytest.mark.anyio, pytest.mark.dealt]

MESSAGES = [{"role": "user", "content": "hi"}]
DONE = "data: [DONE]\n\n"
WRONG = (
    "application/json",
    "text/plain; charset=utf-8",
    "application/octet-stream",
    "",
    "text/html",
    "application/x-ndjson",
    f"{EVENT_STREAM}, {EVENT_STREAM}",
    f"{EVENT_STREAM}; charset=utf-8, {EVENT_STREAM}; charset=utf-8",
    "application/json, application/json",
)
BASES = {"chat": "/v1", "completions": "/v1", "tgi": ""}


def events(kind: str) -> list[str]:
    if kind == "chat":
        return [
            json.dumps({"id": "1", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]})
            for text, finish in (("a", None), ("b", "stop"))
        ]
    if kind == "completions":
        return [
            json.dumps({"id": "1", "choices": [{"index": 0, "text": text, "finish_reason": finish}]})
            for text, finish in (("a", None), ("b", "stop"))
        ]
    first: dict[str, Any] = {"index": 1, "token": {"id": 1, "text": "a", "logprob": -0.1, "special": False}}
    return [json.dumps(first), json.dumps({**first, "token": {**first["token"], "text": "b"}, "generated_text": "ab"})]


def whole(kind: str) -> str:
    if kind == "chat":
        message = {"role": "assistant", "content": "ab"}
        return json.dumps({"id": "1", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
    if kind == "completions":
        return json.dumps({"id": "1", "choices": [{"index": 0, "text": "ab", "finish_reason": "stop"}]})
    return json.dumps({"generated_text": "ab"})


def data(*pieces: str) -> str:
    return "".join(f"data: {one}\n\n" for one in pieces)


def client_of(driver: Driver, kind: str, body: str | bytes, content_type: str, status: int = 200) -> Any:
    packed = body.encode() if isinstance(body, str) else body
    pieces = [packed[i : i + 7] for i in range(0, len(packed), 7)]
    transport = MemoryTransport(lambda _: ScriptedResponse(*pieces, content_type=content_type, status=status))
    return driver.client(base_url=f"http://127.0.0.1:9{BASES[kind]}", transport=transport, retries=0)


def text_of(result: Any) -> str:
    text: str = result if isinstance(result, str) else result.choices[0].message.content
    return text


async def streamed(client: Any, kind: str) -> str:
    stream = client.chat_completion.stream(MESSAGES) if kind == "chat" else client.text_generation.stream("hi")
    async with stream as run:
        return text_of(await run.result())


async def plain(client: Any, kind: str) -> str:
    return text_of(await (client.chat_completion(MESSAGES) if kind == "chat" else client.text_generation("hi")))


@pytest.mark.parametrize("label", WRONG)
@pytest.mark.parametrize("kind", BASES)
async def test_a_stream_under_any_label(driver: Driver, kind: str, label: str) -> None:
    forms = [
        data(*events(kind)) + DONE,
        "\n\n: ping\n\nevent: message\n" + data(*events(kind)) + DONE,
        "\n".join(f"data: {event}" for event in events(kind)) + "\n",
        "\n".join(events(kind)) + "\n",
    ]
    for body in forms:
        async with client_of(driver, kind, body, label) as client:
            assert await streamed(client, kind) == "ab"


@pytest.mark.parametrize("label", [*WRONG, EVENT_STREAM])
@pytest.mark.parametrize("kind", ["chat", "completions"])
async def test_a_whole_answer_to_a_stream(driver: Driver, kind: str, label: str) -> None:
    pretty = json.dumps(json.loads(whole(kind)), indent=2)
    for body in (whole(kind), pretty, whole(kind) + "\n\n" + DONE, data(whole(kind)) + DONE):
        async with client_of(driver, kind, body, label) as client:
            assert await streamed(client, kind) == "ab"


@pytest.mark.parametrize("label", [*WRONG, EVENT_STREAM])
@pytest.mark.parametrize("kind", BASES)
async def test_a_plain_call_that_is_answered_by_a_stream(driver: Driver, kind: str, label: str) -> None:
    forms = [
        whole(kind),
        whole(kind) + "\n\n" + DONE,
        whole(kind) + "\ndata: [DONE]",
        data(whole(kind)),
        data(whole(kind)) + DONE,
        data(*events(kind)) + DONE,
        data(*events(kind)),
        "\n".join(f"data: {event}" for event in events(kind)),
        "\n".join(events(kind)),
    ]
    for body in forms:
        async with client_of(driver, kind, body, label) as client:
            assert await plain(client, kind) == "ab", body


@pytest.mark.parametrize("kind", BASES)
async def test_a_plain_call_that_is_answered_by_half_a_stream(driver: Driver, kind: str) -> None:
    first = data(events(kind)[0])
    limit = json.dumps({"error": {"code": 429, "message": "slow down"}})
    cases: list[tuple[str, type[HeadwaterError]]] = [
        (first + DONE, IncompleteStreamError),
        (first + data("{}") + first, IncompleteStreamError),
        (first + data(limit), RateLimitError),
        (first + f"error: {limit}\n\n", RateLimitError),
        (f"event: error\n{data(limit)}", RateLimitError),
        (data(limit), RateLimitError),
    ]
    if kind == "completions":
        cases.pop(0)  # that is a whole completion's shape
    for body, wanted in cases:
        async with client_of(driver, kind, body, EVENT_STREAM) as client:
            with pytest.raises(wanted):
                await plain(client, kind)


@pytest.mark.parametrize("label", [*WRONG, EVENT_STREAM])
async def test_other_tasks_in_an_event(driver: Driver, label: str) -> None:
    labels = '[{"label":"cat","score":0.5}]'
    for body in (labels + "\n\n" + DONE, data(labels), data(labels) + DONE):
        async with client_of(driver, "tgi", body, label) as client:
            assert (await client.text_classification("hi"))[0].label == "cat"
    vectors = '{"data":[{"index":0,"embedding":[1,2]}],"model":"m"}'
    for body in (vectors + "\n\n" + DONE, data(vectors) + DONE):
        async with client_of(driver, "chat", body, label) as client:
            assert (await client.feature_extraction("hi")).tolist()[0] == [1, 2]


@pytest.mark.parametrize("reason", [None, ""])
async def test_a_whole_answer_that_does_not_say_why_it_ended(driver: Driver, reason: str | None) -> None:
    answer = json.dumps({"id": "1", "choices": [{"message": {"content": "ab"}, "finish_reason": reason}]})
    async with client_of(driver, "chat", answer, "application/json") as client:
        assert await streamed(client, "chat") == "ab"
    async with client_of(
        driver, "chat", data(answer), EVENT_STREAM
    ) as client:  # more of its kind may have been to come
        with pytest.raises(IncompleteStreamError):
            await streamed(client, "chat")


@pytest.mark.parametrize("label", [*WRONG, EVENT_STREAM])
async def test_what_is_heard(driver: Driver, label: str) -> None:
    heard = '{"text":"ab"}'
    deltas = [{"type": "transcript.text.delta", "delta": "ab"}, {"type": "transcript.text.done", "text": "ab"}]
    for body in (heard, data(heard) + DONE, data(*map(json.dumps, deltas))):
        async with client_of(driver, "chat", body, label) as client:
            assert (await client.automatic_speech_recognition.stream(b"RIFF").result()).text == "ab"


WAVE = b"RIFF\x24\0\0\0WAVEfmt " + bytes(range(256))


@pytest.mark.parametrize("label", ["audio/wav", "application/json", "text/plain", "text/html", "", "application/x"])
async def test_a_sound_under_any_label(driver: Driver, label: str) -> None:
    async with client_of(driver, "chat", WAVE, label) as client:
        assert await client.text_to_speech.stream("hi").result() == WAVE
    refused = json.dumps({"error": {"message": "no such voice", "code": 400}})
    async with client_of(driver, "chat", refused, label) as client:
        with pytest.raises(InvalidRequestError, match="no such voice"):
            await client.text_to_speech.stream("hi").result()
    async with client_of(driver, "chat", "<!doctype html><title>No</title>", label) as client:
        with pytest.raises(UnexpectedContentError):
            await client.text_to_speech.stream("hi").result()


@pytest.mark.parametrize("label", ["text/html", "text/plain", "", "application/octet-stream", EVENT_STREAM])
@pytest.mark.parametrize("kind", BASES)
async def test_what_is_no_stream(driver: Driver, kind: str, label: str) -> None:
    for body, words in (("<!doctype html><title>No</title>", ""), ("Unauthorized access", "Unauthorized access")):
        async with client_of(driver, kind, body, label) as client:
            with pytest.raises(UnexpectedContentError) as caught:
                await streamed(client, kind)
            assert words in str(caught.value)
            assert "<" not in str(caught.value)


MP4 = b"\0\0\0\x20ftypisom" + bytes(64)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)


@pytest.mark.parametrize(
    ("task", "label", "head"),
    [
        ("chat", "video/mp4", MP4),
        ("chat", "application/octet-stream", bytes(range(256))),
        ("chat", "text/html", b"<!doctype html><title>Login</title>"),
        ("image", "text/html", b"<!doctype html><title>Login</title>"),
        ("image", "video/mp4", MP4),
        ("image", "image/png", WAVE),
        ("depicted", "application/json", MP4),
        ("sound", "image/png", PNG),
        ("video", "video/mp4", PNG),
        ("labels", "audio/wav", WAVE),
    ],
)
async def test_an_answer_of_another_kind_is_given_up_at_its_head(
    driver: Driver, task: str, label: str, head: bytes
) -> None:
    transport = MemoryTransport(lambda _: ScriptedResponse(head, *[bytes(65536)] * 50, content_type=label))
    calls: dict[str, Callable[[Any], Any]] = {
        "chat": lambda client: client.chat_completion(MESSAGES),
        "depicted": lambda client: client.image_to_image(PNG, prompt="hi"),
        "image": lambda client: client.text_to_image("hi"),
        "labels": lambda client: client.text_classification("hi"),
        "sound": lambda client: client.text_to_speech("hi"),
        "video": lambda client: client.text_to_video("hi"),
    }
    async with driver.client(base_url="http://127.0.0.1:9/v1", transport=transport, retries=0) as client:
        with pytest.raises(UnexpectedContentError):
            await calls[task](client)
    assert transport.responses[0].closed
    assert not transport.responses[0].whole


@pytest.mark.parametrize("label", ["application/json", "text/plain", "text/html", ""])
async def test_an_image_is_one_whatever_it_is_called(driver: Driver, label: str) -> None:
    file = io.BytesIO()
    Image.new("RGB", (3, 2)).save(file, "png")
    transport = MemoryTransport(lambda _: ScriptedResponse(file.getvalue(), content_type=label))
    async with driver.client(base_url="http://127.0.0.1:9/v1", transport=transport, retries=0) as client:
        made = await client.text_to_image("hi")
        assert made.size == (3, 2)
        found = await client.depth_estimation(file.getvalue())
        assert found.depth.size == (3, 2)


def answer_with(body: bytes, kind: str, _request: object) -> ScriptedResponse:
    return ScriptedResponse(body, content_type=kind)


async def test_an_answer_that_nobody_knows_is_quoted_without_its_secrets(driver: Driver) -> None:
    said = b'{"verdict": "no quota for key hw-quoted-8f2c71"}'
    for kind, body in (("application/json", said), ("text/event-stream", b"data: " + said + b"\n\n")):
        transport = MemoryTransport(partial(answer_with, body, kind))
        async with driver.client(
            base_url="http://127.0.0.1:9/v1", model="m", api_key="hw-quoted-8f2c71", transport=transport, retries=0
        ) as client:
            with pytest.raises(DecodeError, match="no quota for key") as plain:
                await client.chat_completion(MESSAGES)
            with pytest.raises(DecodeError, match="no quota for key") as streaming:
                await client.chat_completion.stream(MESSAGES).result()
        assert "8f2c71" not in f"{plain.value}{streaming.value}{plain.value.body!r}{streaming.value.body!r}"
