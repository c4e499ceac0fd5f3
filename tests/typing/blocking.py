"""The types of the sync client's calls, checked by mypy and pyright; nothing here is run."""

from __future__ import annotations

from typing import assert_type

import numpy
from numpy.typing import NDArray

from headwater import (
    ChatCompletionOutput,
    ChatCompletionStreamOutput,
    CreateEmbeddingResponse,
    InferenceClient,
    Run,
    TextGenerationOutput,
    TextGenerationStreamOutput,
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
