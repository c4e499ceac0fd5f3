"""A folded chat is what the plain call would have returned, however the server cuts and spells it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.tasks.chat_fold import ChatFold
from headwater.tasks.chat_types import ChatCompletionOutput, ChatCompletionStreamOutput

FRAME = {"id": "c1", "created": 7, "model": "m", "system_fingerprint": "fp"}
NAMED = {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}


def chunk(*choices: dict[str, Any], **fields: Any) -> ChatCompletionStreamOutput:
    whole = {"object": "chat.completion.chunk", **FRAME, "choices": list(choices), **fields}
    return msgspec.convert(whole, ChatCompletionStreamOutput)


def part(index: int = 0, finish_reason: str | None = None, logprobs: Any = None, **delta: Any) -> dict[str, Any]:
    return {"index": index, "delta": delta, "finish_reason": finish_reason, "logprobs": logprobs}


def plain(*choices: dict[str, Any], **fields: Any) -> ChatCompletionOutput:
    whole = {"object": "chat.completion", **FRAME, "choices": list(choices), **fields}
    return msgspec.convert(whole, ChatCompletionOutput)


def message(index: int = 0, finish_reason: str = "stop", logprobs: Any = None, **fields: Any) -> dict[str, Any]:
    return {
        "index": index,
        "message": {"role": "assistant", "content": None, **fields},
        "finish_reason": finish_reason,
        "logprobs": logprobs,
    }


def folded(*chunks: ChatCompletionStreamOutput) -> ChatCompletionOutput:
    fold = ChatFold()
    for each in chunks:
        fold.add(each)
    assert fold.complete()
    return fold.result()


def tokens(*texts: str) -> dict[str, Any]:
    return {"content": [{"token": text, "logprob": -0.5, "bytes": None, "top_logprobs": []} for text in texts]}


def calls(*found: tuple[str, str, Any]) -> list[dict[str, Any]]:
    return [
        {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}
        for id_, name, arguments in found
    ]


def piece(**fields: Any) -> dict[str, Any]:
    return part(tool_calls=[fields])


END = part(finish_reason="tool_calls")
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}

PAIRS = {
    "text": (
        [
            chunk(part(role="assistant", content="")),
            chunk(part(content="He")),
            chunk(part(content="llo")),
            chunk(part(finish_reason="stop")),
        ],
        plain(message(content="Hello")),
    ),
    "usage in a chunk of its own": (
        [chunk(part(content="Hi", finish_reason="stop")), chunk(usage=USAGE)],
        plain(message(content="Hi"), usage=USAGE),
    ),
    "usage that grows, and null after it": (
        [chunk(part(content="Hi", finish_reason="stop"), usage={}), chunk(usage=USAGE), chunk(usage=None)],
        plain(message(content="Hi"), usage=USAGE),
    ),
    "an empty answer": (
        [chunk(part(role="assistant", content="")), chunk(part(finish_reason="stop"))],
        plain(message(content="")),
    ),
    "llama.cpp: null first, role null later": (
        [
            chunk(part(role="assistant", content=None)),
            chunk(part(role=None, content="Hi", finish_reason="stop")),
        ],
        plain(message(content="Hi")),
    ),
    "reasoning": (
        [
            chunk(part(reasoning="Let")),
            chunk(part(reasoning=" me")),
            chunk(part(content="4", finish_reason="stop")),
        ],
        plain(message(content="4", reasoning="Let me")),
    ),
    "reasoning_content": (
        [
            chunk(part(content=None, reasoning_content="Let")),
            chunk(part(content=None, reasoning_content=" me")),
            chunk(part(content="4", reasoning_content=None, finish_reason="stop")),
        ],
        plain(message(content="4", reasoning_content="Let me")),
    ),
    "a refusal": (
        [chunk(part(refusal="I ")), chunk(part(refusal="won't", finish_reason="stop"))],
        plain(message(refusal="I won't")),
    ),
    "log probabilities": (
        [
            chunk(part(content="a", logprobs=tokens("a"))),
            chunk(part(content="bc", finish_reason="stop", logprobs=tokens("b", "c"))),
        ],
        plain(message(content="abc", logprobs=tokens("a", "b", "c"))),
    ),
    "what is not known": (
        [chunk(part(content="Hi", audio={"id": 1}, finish_reason="stop")), chunk(surprise=1)],
        plain(message(content="Hi", audio={"id": 1})),
    ),
    "names in a later chunk only": (
        [chunk(id="", model="", created=0), chunk(part(content="Hi", finish_reason="stop"))],
        plain(message(content="Hi")),
    ),
    "a tool call": (
        [
            chunk(part(role="assistant", content="", tool_calls=[NAMED])),
            chunk(piece(index=0, function={"arguments": '{"x"'})),
            chunk(piece(index=0, function={"arguments": ":1}"})),
            chunk(END),
        ],
        plain(message(finish_reason="tool_calls", tool_calls=calls(("a", "f", '{"x":1}')))),
    ),
    "id and name in every piece": (
        [
            chunk(piece(index=0, id="a", function={"name": "f", "arguments": "{"})),
            chunk(piece(index=0, id="a", function={"name": "f", "arguments": "}"})),
            chunk(END),
        ],
        plain(message(finish_reason="tool_calls", tool_calls=calls(("a", "f", "{}")))),
    ),
    "id and name in every piece, no index": (
        [
            chunk(piece(id="a", function={"name": "f", "arguments": "{"})),
            chunk(piece(id="a", function={"name": "f", "arguments": "}"})),
            chunk(END),
        ],
        plain(message(finish_reason="tool_calls", tool_calls=calls(("a", "f", "{}")))),
    ),
    "a new id in every piece": (
        [
            chunk(piece(index=0, id="a", function={"name": "f"})),
            chunk(piece(index=0, id="z", function={"arguments": "{}"})),
            chunk(END),
        ],
        plain(message(finish_reason="tool_calls", tool_calls=calls(("a", "f", "{}")))),
    ),
    "two calls, interleaved and out of order": (
        [
            chunk(piece(index=1, id="b", function={"name": "g", "arguments": "["})),
            chunk(piece(index=0, id="a", function={"name": "f", "arguments": "{"})),
            chunk(piece(index=1, function={"arguments": "]"})),
            chunk(piece(index=0, function={"arguments": "}"})),
            chunk(END),
        ],
        plain(message(finish_reason="tool_calls", tool_calls=calls(("a", "f", "{}"), ("b", "g", "[]")))),
    ),
    "whole calls, no index": (
        [chunk(part(tool_calls=calls(("a", "f", "{}"), ("b", "f", "[]")))), chunk(END)],
        plain(message(finish_reason="tool_calls", tool_calls=calls(("a", "f", "{}"), ("b", "f", "[]")))),
    ),
    "whole calls, no index and no id": (
        [chunk(part(tool_calls=calls(("", "f", "{}"), ("", "f", "[]")))), chunk(END)],
        plain(message(finish_reason="tool_calls", tool_calls=calls(("", "f", "{}"), ("", "f", "[]")))),
    ),
    "a new call at the same index": (
        [
            chunk(piece(index=0, id="a", function={"name": "f", "arguments": "{}"})),
            chunk(piece(index=0, id="b", function={"name": "f", "arguments": "["})),
            chunk(piece(index=0, function={"arguments": "]"})),
            chunk(END),
        ],
        plain(message(finish_reason="tool_calls", tool_calls=calls(("a", "f", "{}"), ("b", "f", "[]")))),
    ),
    "arguments as an object": (
        [chunk(piece(index=0, id=0, function={"name": "f", "arguments": {"x": 1}})), chunk(END)],
        plain(message(finish_reason="tool_calls", tool_calls=calls(("0", "f", {"x": 1})))),
    ),
    "text-generation-inference 1.4: an index for every token": (
        [
            chunk(part(1, content="H"), object="text_completion"),
            chunk(part(2, content="i", finish_reason="eos_token"), object="text_completion"),
        ],
        plain(message(0, "eos_token", content="Hi"), object="text_completion"),
    ),
    "two choices, interleaved": (
        [
            chunk(part(1, content="B"), part(0, content="A")),
            chunk(part(0, content="a", finish_reason="length")),
            chunk(part(1, content="b", finish_reason="stop")),
        ],
        plain(message(0, "length", content="Aa"), message(1, content="Bb")),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_stream_folds_to_the_plain_answer(name: str) -> None:
    chunks, whole = PAIRS[name]
    assert folded(*chunks) == whole


@given(st.lists(st.text(max_size=5)), st.lists(st.text(max_size=5)))
def test_any_pieces_fold_to_the_text(first: list[str], second: list[str]) -> None:
    fold = ChatFold(choices=2)
    for index, texts in enumerate((first, second)):
        for text in texts:
            fold.add(chunk(part(index, content=text)))
        fold.add(chunk(part(index, content="", finish_reason="stop")))
    assert [choice.message.content for choice in fold.result().choices] == ["".join(first), "".join(second)]


@given(st.integers(0, 4), st.data())
def test_any_pieces_of_arguments_fold_to_the_calls(count: int, data: st.DataObject) -> None:
    texts = [data.draw(st.text(max_size=8)) for _ in range(count)]
    left = [(index, letter) for index, text in enumerate(texts) for letter in text]
    order = data.draw(st.permutations([index for index, _ in left]))
    letters = [iter(text) for text in texts]
    fold = ChatFold()
    for index in range(count):
        fold.add(chunk(piece(index=index, id=str(index), function={"name": "f", "arguments": ""})))
    for index in order:
        fold.add(chunk(piece(index=index, function={"arguments": next(letters[index])})))
    fold.add(chunk(END))
    found = fold.result().choices[0].message.tool_calls or []
    assert [call.function.arguments for call in found] == texts


def test_complete_wants_a_reason_from_every_choice() -> None:
    fold = ChatFold()
    assert not fold.complete()
    fold.add(chunk(usage=USAGE))
    assert not fold.complete()
    fold.add(chunk(part(0, content="a", finish_reason="")))
    assert not fold.complete()
    fold.add(chunk(part(0, finish_reason="stop")))
    assert fold.complete()
    fold.add(chunk(part(1, content="b")))
    assert not fold.complete()
    fold.add(chunk(part(1, finish_reason="length")))
    assert fold.complete()


def test_one_choice_of_a_server_that_ignores_n_is_complete_as_in_a_plain_answer() -> None:
    fold = ChatFold(choices=2)
    assert not fold.complete()
    fold.add(chunk(part(0, finish_reason="stop")))
    assert fold.complete()
    fold.add(chunk(part(1, content="b")))
    assert not fold.complete()


def test_a_result_in_the_middle_changes_nothing() -> None:
    chunks, whole = PAIRS["log probabilities"]
    fold = ChatFold()
    assert fold.result().choices == []
    fold.add(chunks[0])
    partial = fold.result()
    assert (partial.choices[0].message.content, partial.choices[0].finish_reason) == ("a", None)
    fold.add(chunks[1])
    assert fold.result() == fold.result() == whole
    assert partial.choices[0].message.content == "a"


def test_a_hundred_thousand_pieces() -> None:
    fold = ChatFold()
    one = chunk(part(content="ab"))
    for _ in range(100_000):
        fold.add(one)
    assert fold.result().choices[0].message.content == "ab" * 100_000
