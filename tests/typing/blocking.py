"""The types of the sync client's calls, checked by mypy and pyright; nothing here is run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_type

import numpy
from numpy.typing import NDArray
from PIL.Image import Image

from headwater import (
    ChatCompletionOutput,
    ChatCompletionStream,
    ChatCompletionStreamEvent,
    ChatCompletionStreamOutput,
    CreateEmbeddingResponse,
    ImagesResponse,
    ImageStreamOutput,
    InferenceClient,
    JobEvent,
    MapResult,
    ModelInfo,
    ModelList,
    ModelResponse,
    ResponseTextDeltaEvent,
    Run,
    TextGenerationOutput,
    TextGenerationStreamOutput,
    Timeout,
)

MESSAGES = [{"role": "user", "content": "hi"}]


def chat(client: InferenceClient, flag: bool) -> None:
    out = client.chat_completion(MESSAGES, model="m")
    assert_type(out, ChatCompletionOutput)
    for chunk in client.chat_completion(MESSAGES, stream=True):
        assert_type(chunk, ChatCompletionStreamOutput)
    either = client.chat_completion(MESSAGES, stream=flag)
    assert_type(either, ChatCompletionOutput | Run[ChatCompletionStreamOutput, ChatCompletionOutput])
    with client.chat_completion.stream(MESSAGES) as run:
        assert_type(run, Run[ChatCompletionStreamOutput, ChatCompletionOutput])
        for chunk in run:
            assert_type(chunk, ChatCompletionStreamOutput)
        assert_type(run.result(), ChatCompletionOutput)
        assert_type(run.partial, ChatCompletionOutput | None)
        assert_type(run.close(), None)


def openai(client: InferenceClient) -> None:
    assert_type(client.chat.completions.create(MESSAGES), ChatCompletionOutput)
    with client.chat.completions.stream(messages=MESSAGES, model="m") as stream:
        for event in stream:
            assert_type(event, ChatCompletionStreamEvent)
        assert_type(stream.get_final_completion(), ChatCompletionOutput)
    assert_type(stream, ChatCompletionStream)
    assert_type(client.models.retrieve("m"), ModelInfo)
    chunks = client.chat.completions.create(MESSAGES, stream=True)
    assert_type(chunks, Run[ChatCompletionStreamOutput, ChatCompletionOutput])
    assert_type(client.embeddings.create(input="a"), CreateEmbeddingResponse)


def text(client: InferenceClient) -> None:
    assert_type(client.text_generation("hi"), str)
    assert_type(client.text_generation("hi", details=True), TextGenerationOutput)
    assert_type(client.text_generation("hi", stream=True), Run[str, str | TextGenerationOutput])
    tokens = client.text_generation("hi", details=True, stream=True)
    assert_type(tokens, Run[TextGenerationStreamOutput, str | TextGenerationOutput])


def vectors(client: InferenceClient) -> None:
    assert_type(client.feature_extraction("text"), NDArray[numpy.float32])
    with client.feature_extraction.stream("text") as run:
        for event in run:
            assert_type(event, NDArray[numpy.float32])


def many(client: InferenceClient) -> None:
    with client.map(client.chat_completion, [MESSAGES], timeout=60) as results:
        for result in results:
            print(result.index, result.error or result.value.choices[0].message.content)
            assert_type(result, MapResult[ChatCompletionOutput])
    with client.map(client.feature_extraction, ["a"]) as vectors:
        for vector in vectors:
            assert_type(vector.value, NDArray[numpy.float32])


def options(client: InferenceClient) -> None:
    more: dict[str, str] = {"X-A": "b"}
    client.chat_completion(MESSAGES, timeout=Timeout(total=5), extra_headers=more, extra_query={"a": 1})
    client.fill_mask("a [MASK]", timeout=5, extra_headers=more, extra_query={"a": 1}, extra_body={"b": 2})
    client.text_to_image("a cat", timeout=5, extra_headers=more, extra_query={"a": 1})
    client.images.generate("a cat", timeout=5, extra_headers=more)
    client.post(json={}, timeout=5, extra_headers=more)
    client.get_endpoint_info(timeout=5, extra_query={"a": 1})
    assert_type(client.model, str | None)
    assert_type(client.timeout, float | Timeout | None)
    assert_type(client.headers, Mapping[str, str])
    client.model = "other"
    client.max_retries = 3
    assert_type(client.models.list(), ModelList)


def clients(client: InferenceClient) -> None:
    assert_type(client.with_options(retries=0), InferenceClient)
    with InferenceClient("m") as entered:
        assert_type(entered, InferenceClient)
    assert_type(client.close(), None)


def mistakes(client: InferenceClient) -> None:
    """Each must be an error: an ignore that is not needed is one itself."""
    client.chat_completion(MESSAGES, temprature=1)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    client.text_generation("hi", max_tokens=5)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    InferenceClient(modle="m")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def images(client: InferenceClient) -> None:
    assert_type(client.images.generate("a cat", n=2), ImagesResponse)
    assert_type(client.images.edit(image=[b"PNG"], prompt="a cat"), ImagesResponse)
    for event in client.images.edit(image=("a.png", b"PNG"), prompt="a cat", stream=True, partial_images=2):
        assert_type(event, ImageStreamOutput | Image | JobEvent)
    ranked = client.rerank("a", ["b"], top_n=1)
    assert_type(ranked.results[0].score, float)
    found = client.moderations.create("a").results[0]
    assert_type(found.categories.hate_threatening, bool)


def responses(client: InferenceClient) -> None:
    assert_type(client.responses.create("Hi"), ModelResponse)
    for event in client.responses.create("Hi", stream=True):
        if event.type == "response.output_text.delta":
            assert_type(event, ResponseTextDeltaEvent)
    assert_type(client.responses.stream("Hi").result(), ModelResponse)
    assert_type(client.responses.retrieve("r"), ModelResponse)
    assert_type(client.responses.wait("r").result(), ModelResponse)
    assert_type(client.responses.cancel("r"), ModelResponse)
