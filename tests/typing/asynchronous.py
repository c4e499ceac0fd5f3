"""The types of the async client's calls, checked by mypy and pyright; nothing here is run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_type

import numpy
from numpy.typing import NDArray

from headwater import (
    AsyncChatCompletionStream,
    AsyncInferenceClient,
    AsyncRun,
    ChatCompletionInputMessage,
    ChatCompletionOutput,
    ChatCompletionStreamEvent,
    ChatCompletionStreamOutput,
    CreateEmbeddingResponse,
    Facts,
    MapResult,
    ModelInfo,
    ModelList,
    ModelResponse,
    ResponseTextDeltaEvent,
    TextGenerationOutput,
    TextGenerationStreamOutput,
    Timeout,
)

MESSAGES = [{"role": "user", "content": "hi"}]


async def chat(client: AsyncInferenceClient, flag: bool) -> None:
    out = await client.chat_completion(MESSAGES, model="m", max_tokens=5)
    assert_type(out, ChatCompletionOutput)
    assert_type(out.choices[0].message.content, str | None)
    assert_type(await client.chat_completion(MESSAGES, stream=False), ChatCompletionOutput)

    chunks = await client.chat_completion(MESSAGES, stream=True)
    assert_type(chunks, AsyncRun[ChatCompletionStreamOutput, ChatCompletionOutput])
    async for chunk in chunks:
        assert_type(chunk, ChatCompletionStreamOutput)
        assert_type(chunk.choices[0].delta.content, str | None)

    either = await client.chat_completion(MESSAGES, stream=flag)
    assert_type(either, ChatCompletionOutput | AsyncRun[ChatCompletionStreamOutput, ChatCompletionOutput])


async def chat_run(client: AsyncInferenceClient) -> None:
    async with client.chat_completion.stream(MESSAGES, temperature=0.5) as run:
        assert_type(run, AsyncRun[ChatCompletionStreamOutput, ChatCompletionOutput])
        async for chunk in run:
            assert_type(chunk, ChatCompletionStreamOutput)
        assert_type(await run.result(), ChatCompletionOutput)
        assert_type(run.partial, ChatCompletionOutput | None)
        assert_type(run.request_id, str | None)
        assert_type(run.facts, Facts)
        assert_type(await run.start(), AsyncRun[ChatCompletionStreamOutput, ChatCompletionOutput])
        await run.close()


async def messages(client: AsyncInferenceClient, out: ChatCompletionOutput) -> None:
    typed = [ChatCompletionInputMessage(role="user", content="hi")]
    await client.chat_completion(typed)
    await client.chat_completion([*typed, out.choices[0].message, {"role": "user", "content": [{"type": "text"}]}])
    mapping: Mapping[str, object] = {"role": "user", "content": "hi"}
    await client.chat_completion((mapping,))


async def openai(client: AsyncInferenceClient) -> None:
    assert_type(await client.chat.completions.create(MESSAGES, model="m"), ChatCompletionOutput)
    async with client.chat.completions.stream(messages=MESSAGES, model="m") as stream:
        async for event in stream:
            assert_type(event, ChatCompletionStreamEvent)
        assert_type(await stream.get_final_completion(), ChatCompletionOutput)
    assert_type(stream, AsyncChatCompletionStream)
    assert_type(await client.models.retrieve("m"), ModelInfo)
    chunks = await client.chat.completions.create(messages=MESSAGES, stream=True)
    assert_type(chunks, AsyncRun[ChatCompletionStreamOutput, ChatCompletionOutput])
    made = await client.embeddings.create(input=["a"], model="m")
    assert_type(made, CreateEmbeddingResponse)
    assert_type(made.data[0].embedding, list[float] | str)


async def text(client: AsyncInferenceClient) -> None:
    assert_type(await client.text_generation("hi"), str)
    assert_type(await client.text_generation("hi", details=True), TextGenerationOutput)
    assert_type(await client.text_generation("hi", stream=True), AsyncRun[str, str | TextGenerationOutput])
    tokens = await client.text_generation("hi", details=True, stream=True, max_new_tokens=5)
    assert_type(tokens, AsyncRun[TextGenerationStreamOutput, str | TextGenerationOutput])
    async for piece in await client.text_generation("hi", stream=True):
        assert_type(piece, str)
    async with client.text_generation.stream("hi") as run:
        async for token in run:
            assert_type(token.token.text, str)


async def vectors(client: AsyncInferenceClient) -> None:
    assert_type(await client.feature_extraction("text"), NDArray[numpy.float32])
    assert_type(await client.feature_extraction(["a", "b"], normalize=True), NDArray[numpy.float32])
    async with client.feature_extraction.stream("text") as run:
        async for event in run:
            assert_type(event, NDArray[numpy.float32])
        assert_type(await run.result(), NDArray[numpy.float32])


async def many(client: AsyncInferenceClient) -> None:
    async with client.map(client.chat_completion, [MESSAGES], timeout=60) as results:
        async for result in results:
            print(result.index, result.error or result.value.choices[0].message.content)
            assert_type(result, MapResult[ChatCompletionOutput])
    async with client.map(client.feature_extraction, ["a"]) as vectors:
        async for vector in vectors:
            assert_type(vector.value, NDArray[numpy.float32])


async def options(client: AsyncInferenceClient) -> None:
    more: dict[str, str] = {"X-A": "b"}
    await client.chat_completion(MESSAGES, timeout=Timeout(total=5), extra_headers=more, extra_query={"a": 1})
    await client.fill_mask("a [MASK]", timeout=5, extra_headers=more, extra_query={"a": 1}, extra_body={"b": 2})
    await client.text_to_image("a cat", timeout=5, extra_headers=more, extra_query={"a": 1})
    await client.images.generate("a cat", timeout=5, extra_headers=more)
    await client.post(json={}, timeout=5, extra_headers=more)
    await client.get_endpoint_info(timeout=5, extra_query={"a": 1})
    assert_type(client.model, str | None)
    assert_type(client.timeout, float | Timeout | None)
    assert_type(client.headers, Mapping[str, str])
    client.model = "other"
    client.max_retries = 3
    assert_type(await client.models.list(), ModelList)
    async for model in client.models.list(timeout=5):
        assert_type(model, ModelInfo)


async def clients(client: AsyncInferenceClient) -> None:
    assert_type(client.with_options(timeout=Timeout(total=5), retries=0), AsyncInferenceClient)
    async with AsyncInferenceClient("m", provider="together", timeout=5) as entered:
        assert_type(entered, AsyncInferenceClient)
    assert_type(await client.close(), None)


async def mistakes(client: AsyncInferenceClient) -> None:
    """Each must be an error: an ignore that is not needed is one itself."""
    await client.chat_completion(MESSAGES, temprature=1)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await client.chat_completion("hi")  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await client.chat_completion(MESSAGES, max_tokens="5")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await client.text_generation(5)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await client.feature_extraction(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await client.feature_extraction("a", normalise=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    print(client.chat_completion(MESSAGES).choices)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    AsyncInferenceClient(modle="m")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def responses(client: AsyncInferenceClient) -> None:
    assert_type(await client.responses.create("Hi"), ModelResponse)
    run = client.responses.stream("Hi", background=True)
    assert_type(await run.result(), ModelResponse)
    async for event in run:
        if event.type == "response.output_text.delta":
            assert_type(event, ResponseTextDeltaEvent)
    assert_type(await client.responses.retrieve("r"), ModelResponse)
    assert_type(await (await client.responses.retrieve("r", stream=True, starting_after=1)).result(), ModelResponse)
    assert_type(await client.responses.wait("r").result(), ModelResponse)
