"""Answers and arguments that are a little odd and mean something all the same: nothing is lost of them."""

from __future__ import annotations

import json
from typing import Any

import numpy
import pytest
from support.drivers import Driver
from support.provider_task_pairs import ARGUMENTS

from headwater import DecodeError, UnexpectedContentError
from headwater.testing import EVENT_STREAM, MemoryTransport, ScriptedResponse

pytestmark = [pytest.mark.anyio, pytest.mark.dealt]

MESSAGES = [{"role": "user", "content": "hi"}]
PARTS = [
    {"type": "thinking", "thinking": [{"type": "text", "text": "well, "}, {"type": "text", "text": "well"}]},
    {"type": "text", "text": "a"},
    {"type": "reference", "reference_ids": [1]},
    {"type": "text", "text": "b"},
]


def whole(content: str) -> bytes:
    return b'{"id":"1","choices":[{"index":0,"message":{"content":%b},"finish_reason":"stop"}]}' % content.encode()


def stream(*contents: str) -> bytes:
    chunks = [b'data: {"id":"1","choices":[{"index":0,"delta":{"content":%b}}]}\n\n' % c.encode() for c in contents]
    end = b'data: {"id":"1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    return b"".join([*chunks, end, b"data: [DONE]\n\n"])


def answering(body: bytes, content_type: str = "application/json") -> MemoryTransport:
    return MemoryTransport(lambda _: ScriptedResponse(body, content_type=content_type))


async def both(driver: Driver, content: str) -> list[Any]:
    """The message of a plain answer with this content, and of a streamed one."""
    options = {"base_url": "http://127.0.0.1:9/v1"}
    async with driver.client(transport=answering(whole(content)), **options) as client:
        plain = await client.chat_completion(MESSAGES)
    async with driver.client(transport=answering(stream(content), EVENT_STREAM), **options) as client:
        streamed = await client.chat_completion.stream(MESSAGES).result()
    return [plain.choices[0].message, streamed.choices[0].message]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (r'"a\ud83d"', "a\ufffd"),
        (r'"\uDE00b"', "\ufffdb"),
        (r'"\ud83dx\ud83d\ude00\ude00"', "\ufffdx😀\ufffd"),
        (r'"\\ud83d"', r"\ud83d"),
        (r'"\\\ud83d"', "\\\ufffd"),
    ],
)
async def test_half_a_character(driver: Driver, content: str, text: str) -> None:
    """Of which JSON's escapes can tell, and UTF-8 cannot."""
    assert [message.content for message in await both(driver, content)] == [text, text]


async def test_half_a_character_of_a_text_generation_server(driver: Driver) -> None:
    event = b'data: {"token":{"id":1,"text":"\\ud83d","special":false},"generated_text":"\\ud83d"}\n\n'
    async with driver.client(base_url="http://127.0.0.1:9", transport=answering(event, EVENT_STREAM)) as client:
        assert await client.text_generation.stream("hi").result() == "\ufffd"


async def test_content_in_parts(driver: Driver) -> None:
    for message in await both(driver, json.dumps(PARTS)):
        assert (message.content, message.reasoning) == ("ab", "well, well")
    for message in await both(driver, json.dumps(PARTS[:1])):
        assert (message.content, message.reasoning) == (None, "well, well")


async def test_numbers_of_numpy(driver: Driver) -> None:
    transport = answering(whole('"a"'))
    async with driver.client(base_url="http://127.0.0.1:9/v1", transport=transport) as client:
        given = {"temperature": numpy.float32(0.5), "max_tokens": numpy.int64(3), "logprobs": numpy.bool_(True)}
        await client.chat_completion(MESSAGES, **given)
    sent = json.loads(transport.requests[0].body)
    assert (sent["temperature"], sent["max_tokens"], sent["logprobs"]) == (0.5, 3, True)


@pytest.mark.parametrize("body", [b'{"id":"1","choices":[]}', b'{"id":"1","choices":null}'])
async def test_an_answer_without_choices_is_none(driver: Driver, body: bytes) -> None:
    async with driver.client(base_url="http://127.0.0.1:9/v1", transport=answering(body)) as client:
        with pytest.raises(UnexpectedContentError, match="choice") as caught:
            await client.chat_completion(MESSAGES)
    assert caught.value.body == body
    assert len(caught.value.attempts) == 1


EMPTY: dict[str, tuple[str, ...]] = {
    "audio-classification": ("[]", "[[]]"),
    "audio-to-audio": ("[]",),
    "document-question-answering": ("[]",),
    "fill-mask": ("[]",),
    "image-classification": ("[]",),
    "image-segmentation": ("[]",),
    "object-detection": ("[]", "[[]]"),
    "question-answering": ("[]",),
    "text-classification": ("[]", "[[]]"),
    "token-classification": ("[]",),
    "video-classification": ("[]",),
    "visual-question-answering": ("[]",),
    "zero-shot-classification": ("[]", '{"labels": [], "scores": []}'),
    "zero-shot-image-classification": ("[]",),
    "zero-shot-object-detection": ("[]",),
}


@pytest.mark.dealt
@pytest.mark.parametrize(("task", "body"), [(task, body) for task, bodies in EMPTY.items() for body in bodies])
async def test_an_empty_list_has_no_elements_to_hand_over(driver: Driver, task: str, body: str) -> None:
    method = task.replace("-", "_")
    async with driver.client(base_url="http://127.0.0.1:9", transport=answering(body.encode())) as client:
        async with getattr(client, method).stream(**ARGUMENTS[task]) as run:
            assert [event async for event in run] == []
            assert await run.result() == []
        assert await getattr(client, method)(**ARGUMENTS[task]) == []


@pytest.mark.parametrize(
    ("path", "task", "body", "event"),
    [
        ("", "text-generation", '{"generated_text": ""}', ""),
        ("/v1", "text-generation", '{"choices": [{"text": "", "finish_reason": "stop"}]}', ""),
        ("", "automatic-speech-recognition", '{"text": ""}', None),
        ("/v1", "automatic-speech-recognition", '{"text": "", "segments": []}', None),
        ("/v1", "audio-translation", '{"text": ""}', None),
        ("", "image-to-text", '[{"generated_text": ""}]', None),
        ("", "translation", '[{"translation_text": ""}]', None),
        ("/v1", "chat-completion", '{"choices": [{"message": {"content": ""}, "finish_reason": "stop"}]}', None),
    ],
)
async def test_a_stream_of_an_empty_text_hands_it_over(
    driver: Driver, path: str, task: str, body: str, event: str | None
) -> None:
    at = f"http://127.0.0.1:9{path}"
    async with driver.client(base_url=at, model="m", transport=answering(body.encode())) as client:
        async with getattr(client, task.replace("-", "_")).stream(**ARGUMENTS[task]) as run:
            assert len([each async for each in run]) == 1
        if event is not None:
            async with await client.text_generation("a", stream=True) as run:
                assert [each async for each in run] == [event]


@pytest.mark.parametrize("body", ['{"data": []}', "[]", "[[]]", '{"data": [{"embedding": []}]}', '{"embeddings": []}'])
async def test_no_vector_for_a_text_is_no_answer(driver: Driver, body: str) -> None:
    for path, names in (("", ["feature_extraction"]), ("/v1", ["feature_extraction", "create_embedding"])):
        at = f"http://127.0.0.1:9{path}"
        async with driver.client(base_url=at, model="m", transport=answering(body.encode())) as client:
            for ask in [getattr(client, name) for name in names]:
                for asked in ("a", ["a"]):
                    with pytest.raises(DecodeError):
                        await ask(asked)
