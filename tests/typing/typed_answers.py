"""The types of answers that are values of a type, checked by mypy and pyright; nothing here is run."""

from __future__ import annotations

import dataclasses
from typing import TypedDict, assert_type

import msgspec

from headwater import (
    AsyncInferenceClient,
    AsyncRun,
    ChatCompletionOutput,
    ChatCompletionStreamOutput,
    InferenceClient,
    Message,
    MessageStreamEvent,
    ModelResponse,
    ParsedChatCompletion,
    ParsedMessage,
    ParsedModelResponse,
    ParsedText,
    ParsedTextGeneration,
    Run,
    TextGenerationStreamOutput,
)

MESSAGES = [{"role": "user", "content": "hi"}]


class Invoice(msgspec.Struct):
    number: str


@dataclasses.dataclass
class Row:
    name: str


class Movie(TypedDict):
    title: str


async def asynchronous(client: AsyncInferenceClient) -> None:
    answer = await client.chat_completion(MESSAGES, response_format=Invoice, model="m", on_invalid="ask again")
    assert_type(answer, ParsedChatCompletion[Invoice])
    assert_type(answer.parsed, Invoice)
    assert_type(answer.parsed.number, str)
    assert_type(answer.choices[0].message.parsed, Invoice | None)
    assert_type((await client.chat_completion(MESSAGES, response_format=list[Row])).parsed, list[Row])
    assert_type((await client.chat_completion(MESSAGES, response_format=Movie)).parsed, Movie)
    assert_type((await client.chat_completion(MESSAGES, response_format={"type": "text"})), ChatCompletionOutput)
    assert_type((await client.chat.completions.parse(MESSAGES, response_format=Row)).parsed, Row)
    assert_type((await client.chat.completions.create(messages=MESSAGES, response_format=Row)).parsed, Row)
    chunks = await client.chat_completion(MESSAGES, response_format=Row, stream=True)
    assert_type(chunks, AsyncRun[ChatCompletionStreamOutput, ParsedChatCompletion[Row]])
    async with client.chat_completion.stream(MESSAGES, response_format=Row) as run:
        async for chunk in run:
            assert_type(chunk, ChatCompletionStreamOutput)
            if run.partial is not None:
                assert_type(run.partial.parsed, Row)
        assert_type((await run.result()).parsed, Row)
    async with client.chat_completion.items(MESSAGES, of=Row, temperature=0) as rows:
        async for row in rows:
            assert_type(row, Row)
        assert_type(await rows.result(), list[Row])
    text = await client.text_generation("hi", grammar=Row)
    assert_type(text, ParsedText[Row])
    assert_type(text.parsed, Row)
    assert_type(await client.text_generation("hi", grammar=Row, details=True), ParsedTextGeneration[Row])
    tokens = client.text_generation.stream("hi", grammar=Row)
    assert_type(tokens, AsyncRun[TextGenerationStreamOutput, ParsedText[Row]])


async def other_dialects(client: AsyncInferenceClient) -> None:
    response = await client.responses.parse("hi", text_format=Invoice, on_invalid="ask again")
    assert_type(response, ParsedModelResponse[Invoice])
    assert_type(response.output_parsed, Invoice)
    assert_type(response.parsed, Invoice)
    assert_type((await client.responses.create(input="hi", text_format=list[Row])).output_parsed, list[Row])
    assert_type(await client.responses.create("hi"), ModelResponse)
    async with client.responses.stream(input="hi", text_format=Row, temperature=0) as run:
        assert_type((await run.result()).output_parsed, Row)
    message = await client.messages.parse(max_tokens=9, messages=MESSAGES, output_format=Invoice)
    assert_type(message, ParsedMessage[Invoice])
    assert_type(message.parsed_output, Invoice)
    assert_type(await client.messages.create(max_tokens=9, messages=MESSAGES), Message)
    events = client.messages.stream(max_tokens=9, messages=MESSAGES, output_format=Row)
    assert_type(events, AsyncRun[MessageStreamEvent, ParsedMessage[Row]])


def other_dialects_blocking(client: InferenceClient) -> None:
    assert_type(client.responses.parse("hi", text_format=Row).output_parsed, Row)
    assert_type(client.messages.create(max_tokens=9, messages=MESSAGES, output_format=Movie).parsed, Movie)
    with client.responses.stream("hi", text_format=Row) as run:
        assert_type(run.result().output_parsed, Row)
    with client.messages.stream(max_tokens=9, messages=MESSAGES, output_format=Row) as others:
        assert_type(others, Run[MessageStreamEvent, ParsedMessage[Row]])


def blocking(client: InferenceClient) -> None:
    answer = client.chat_completion(MESSAGES, response_format=Invoice)
    assert_type(answer, ParsedChatCompletion[Invoice])
    assert_type(answer.parsed, Invoice)
    assert_type(client.chat.completions.parse(MESSAGES, response_format=Row).parsed, Row)
    with client.chat_completion.stream(MESSAGES, response_format=Row) as run:
        assert_type(run, Run[ChatCompletionStreamOutput, ParsedChatCompletion[Row]])
        assert_type(run.result().parsed, Row)
    with client.chat_completion.items(MESSAGES, of=Row) as rows:
        for row in rows:
            assert_type(row, Row)
    assert_type(client.text_generation("hi", grammar=Row).parsed, Row)
    print(client.chat_completion(MESSAGES, response_format=Invoice | Row).parsed)


def mistakes(client: InferenceClient) -> None:
    """Each must be an error: an ignore that is not needed is one itself."""
    client.chat_completion(MESSAGES, response_format=Invoice).parsed.total  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue] # noqa: B018
    client.chat_completion(MESSAGES, response_format=Invoice, on_invalid="again")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
