"""Every recorded chat, text and embedding answer is read, and every recorded stream folds to an answer."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest

from headwater.tasks.chat_fold import ChatFold
from headwater.tasks.chat_types import ChatCompletionOutput, ChatCompletionStreamOutput
from headwater.tasks.embeddings import decode_vectors
from headwater.tasks.text import TextFold, TextGenerationOutput, TextGenerationStreamOutput

FOLDER = os.environ.get("HEADWATER_RECORDED")

pytestmark = pytest.mark.skipif(FOLDER is None, reason="HEADWATER_RECORDED names no folder of recorded exchanges")


@cache
def bodies() -> list[tuple[str, str, str]]:
    """URL, media type and text of every recorded answer that is a success."""
    lines = (Path(FOLDER or "") / "exchanges.jsonl").read_text(encoding="utf-8").splitlines()
    exchanges = [json.loads(line) for line in lines]
    return [
        (each["url"], each["response_headers"].get("content-type") or "", each["response_body"]["text"])
        for each in exchanges
        if each["status"] == 200 and (each["response_body"] or {}).get("text")
    ]


def answers() -> Iterator[tuple[str, Any, str]]:
    for url, media_type, text in bodies():
        if "event-stream" not in media_type and text[:1] in "[{":
            yield url, json.loads(text), text


def events(text: str) -> list[bytes]:
    lines = [line[5:].strip() for line in text.splitlines() if line.startswith("data:")]
    return [line.encode() for line in lines if line != "[DONE]"]


def streams(key: str) -> Iterator[list[bytes]]:
    for _, media_type, text in bodies():
        if "event-stream" in media_type and key in json.loads(events(text)[0]):
            yield events(text)


def test_chat_answers() -> None:
    found = 0
    for _, answer, text in answers():
        if isinstance(answer, dict) and "choices" in answer and "message" in answer["choices"][0]:
            read = msgspec.json.decode(text, type=ChatCompletionOutput)
            message, sent = read.choices[0].message, answer["choices"][0]["message"]
            assert message.content == sent.get("content")
            assert len(message.tool_calls or []) == len(sent.get("tool_calls") or [])
            assert read.usage is not None
            found += 1
    assert found > 10


def test_chat_streams() -> None:
    found = 0
    for chunks in streams("choices"):
        fold, texts = ChatFold(), []
        for chunk in chunks:
            fold.add(msgspec.json.decode(chunk, type=ChatCompletionStreamOutput))
            texts += [choice["delta"].get("content") or "" for choice in json.loads(chunk)["choices"]]
        assert fold.complete()
        assert fold.result().choices[0].message.content == "".join(texts)
        found += 1
    assert found > 5


def test_text_answers() -> None:
    found = 0
    for _, answer, _ in answers():
        first = answer[0] if isinstance(answer, list) and answer else answer
        if isinstance(first, dict) and "generated_text" in first:
            assert msgspec.convert(first, TextGenerationOutput).generated_text == first["generated_text"]
            found += 1
    assert found > 10


def test_text_streams() -> None:
    found = 0
    for chunks in streams("token"):
        fold = TextFold(details=False)
        for chunk in chunks:
            if b'"error"' not in chunk:
                fold.add(msgspec.json.decode(chunk, type=TextGenerationStreamOutput))
        if fold.complete():
            assert fold.result() == json.loads(chunks[-1])["generated_text"]
            found += 1
    assert found > 5


def test_vectors() -> None:
    found = 0
    for url, answer, text in answers():
        if "feature-extraction" in url:
            assert decode_vectors(text.encode()).size == len(answer)
            found += 1
    assert found > 3
