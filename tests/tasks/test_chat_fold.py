"""A folded chat is what the plain call would have returned, however the server cuts and spells it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.protocol.framing import Frame
from headwater.providers.openai_chat import decode_chunk
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
    "usage whose details are not told again": (
        [
            chunk(part(content="Hi"), usage={**USAGE, "prompt_tokens_details": {"cached_tokens": 1}}),
            chunk(part(finish_reason="stop")),
            chunk(usage={**USAGE, "completion_tokens": 9, "prompt_tokens_details": None}),
        ],
        plain(
            message(content="Hi"),
            usage={**USAGE, "completion_tokens": 9, "prompt_tokens_details": {"cached_tokens": 1}},
        ),
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
        plain(message(content="Hi")),
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


# Out of a stream's bytes


def heard(*events: Any, choices: int = 1) -> tuple[ChatCompletionOutput, list[ChatCompletionStreamOutput]]:
    """The answer of a stream with these events, dicts or JSON, and its chunks as the caller sees them."""
    fold, shown = ChatFold(choices), []
    for event in events:
        text = event if isinstance(event, str) else json.dumps({"id": "c", "model": "m", **event})
        decoded = decode_chunk(Frame(text.encode()))
        assert isinstance(decoded, ChatCompletionStreamOutput)
        fold.add(decoded)
        msgspec.json.encode(decoded.to_dict())
        shown.append(decoded)
    assert fold.complete()
    msgspec.json.encode(fold.result().to_dict())
    return fold.result(), shown


def said(*choices: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, **choice} for choice in choices], **fields}


def text(content: Any, finish_reason: str | None = None, **more: Any) -> dict[str, Any]:
    return said({"delta": {"content": content}, "finish_reason": finish_reason}, **more)


LAST = said({"delta": {}, "finish_reason": "stop"})
CITED = ["https://a.example", "https://b.example"]

BESIDE: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "in every chunk": (
        [text("a", citations=CITED), text("b", citations=CITED), LAST],
        {"citations": CITED},
    ),
    "in one chunk among many": (
        [text("a"), text("b"), text("c", citations=CITED), text("d"), LAST],
        {"citations": CITED},
    ),
    "in the last chunk alone": ([text("a"), text("b"), {**LAST, "citations": CITED}], {"citations": CITED}),
    "in a chunk without choices": (
        [text("a"), LAST, {"choices": [], "timings": {"ms": 1.5}}],
        {"timings": {"ms": 1.5}},
    ),
    "that grow": ([text("a", citations=CITED[:1]), text("b", citations=CITED), LAST], {"citations": CITED}),
    "in parts": ([text("a", x_groq={"id": "r"}), {**LAST, "x_groq": {"seed": 1}}], {"x_groq": {"id": "r", "seed": 1}}),
    "null after it": ([text("a", provider="P"), text("b", provider=None), LAST], {"provider": "P"}),
    "of a choice": (
        [
            said({"delta": {"content": "a"}, "token_ids": [1]}),
            said({"delta": {"content": "b"}, "token_ids": [2]}),
            LAST,
        ],
        {"choices": [{"token_ids": [1, 2]}]},
    ),
    "of a choice, once": (
        [text("a"), text("b"), said({"delta": {"content": "c"}, "stop_reason": 7}), text("d"), LAST],
        {"choices": [{"stop_reason": 7}]},
    ),
    "of a message": (
        [text("a"), text("b"), said({"delta": {"content": "c", "images": [1]}}), text("d"), LAST],
        {"choices": [{"message": {"images": [1]}}]},
    ),
}


@pytest.mark.parametrize("name", BESIDE)
def test_members_that_no_field_holds(name: str) -> None:
    events, beside = BESIDE[name]
    answer, _ = heard(*events)
    for view in (answer.raw, answer.to_dict(), json.loads(answer.to_json()), answer):
        found, wanted = view, beside
        while "choices" in wanted or "message" in wanted:
            key = "choices" if "choices" in wanted else "message"
            found, wanted = (found[key][0], wanted[key][0]) if key == "choices" else (found[key], wanted[key])
        assert {key: found[key] for key in wanted} == wanted
    assert answer.raw["choices"][0]["message"]["content"] == answer.choices[0].message.content
    assert answer.to_dict().keys() >= set(ChatCompletionOutput.__struct_fields__)


@given(st.lists(st.text(max_size=6), min_size=4), st.data())
def test_a_member_is_found_in_whatever_chunk_it_comes(texts: list[str], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(texts) - 1))
    where = data.draw(st.sampled_from(["chunk", "choice", "delta"]))
    ascii_only = data.draw(st.booleans())
    events = []
    for number, each in enumerate(texts):
        event = text(each)
        at = {"chunk": event, "choice": event["choices"][0], "delta": event["choices"][0]["delta"]}[where]
        if number == place:
            at["surprise"] = [7]
        events.append(json.dumps({"id": "c", **event}, ensure_ascii=ascii_only))
    answer, shown = heard(*events, LAST)
    found: Any = {"chunk": answer, "choice": answer.choices[0], "delta": answer.choices[0].message}[where]
    assert found["surprise"] == [7]
    assert answer.choices[0].message.content == "".join(texts)
    assert [event.choices[0].delta.content for event in shown[:-1]] == texts


EMOJI, FAMILY = "\U0001f600", "\U0001f469\u200d\U0001f466"


@pytest.mark.parametrize(
    ("pieces", "whole", "shown"),
    [
        (["\ud83d", "\ude00"], EMOJI, ["", EMOJI]),
        (["a\ud83d", "\ude00b"], f"a{EMOJI}b", ["a", f"{EMOJI}b"]),
        (["a", "\ud83d", "", "\ude00"], f"a{EMOJI}", ["a", "", "", EMOJI]),
        (["\ud83d", "x"], "\ufffdx", ["", "\ufffdx"]),
        (["\ude00x"], "\ufffdx", ["\ufffdx"]),
        (["x\ud83d"], "x\ufffd", ["x"]),
        (["\ud83d", "\ud83d", "\ude00"], f"\ufffd{EMOJI}", ["", "\ufffd", EMOJI]),
        (["\ud83d\udc69\u200d\ud83d", "\udc66"], FAMILY, ["\U0001f469\u200d", "\U0001f466"]),
        (["\ufffd", "\ud83d", "\ude00"], f"\ufffd{EMOJI}", ["\ufffd", "", EMOJI]),
    ],
)
@pytest.mark.parametrize("member", ["content", "reasoning", "reasoning_content", "refusal", "arguments"])
def test_a_character_in_two_halves(member: str, pieces: list[str], whole: str, shown: list[str]) -> None:
    def event(piece: str) -> dict[str, Any]:
        called = [{"index": 0, "function": {"arguments": piece}}]
        return said({"delta": {"tool_calls": called} if member == "arguments" else {member: piece}})

    def of(message: Any) -> Any:
        return message.tool_calls[0].function.arguments if member == "arguments" else message[member]

    answer, events = heard(*map(event, pieces), LAST)
    assert of(answer.choices[0].message) == whole
    assert [of(each.choices[0].delta) for each in events[:-1]] == shown
    assert events[0].raw["id"] == "c"


def test_halves_are_joined_choice_by_choice() -> None:
    answer, _ = heard(
        said({"delta": {"content": "\ud83d"}}, {"index": 1, "delta": {"content": "\ud83d"}}),
        said({"index": 1, "delta": {"content": "\ude01"}, "finish_reason": "stop"}),
        said({"delta": {"content": "\ude00"}, "finish_reason": "stop"}),
        choices=2,
    )
    assert [choice.message.content for choice in answer.choices] == ["\U0001f600", "\U0001f601"]


USED = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


@pytest.mark.parametrize(
    "last",
    [
        said({"delta": {}, "finish_reason": "stop", "usage": USED}),
        {**LAST, "x_groq": {"id": "r", "usage": {**USED, "queue_time": 0.1}}},
        {**LAST, "usage": USED},
    ],
)
def test_the_usage_wherever_it_is(last: dict[str, Any]) -> None:
    answer, events = heard(text("a"), last)
    assert answer.usage is not None and events[-1].usage is not None
    assert answer.usage.to_dict() | USED == answer.usage.to_dict() == events[-1].usage.to_dict()


def test_an_index_that_counts_tokens_is_one_choice() -> None:
    pieces = ["H", "e", "y", "!"]
    for start in (0, 1):
        events = [said({"index": n, "delta": {"role": "assistant", "content": c}}) for n, c in enumerate(pieces, start)]
        last = said({"index": start + 4, "delta": {"role": "assistant", "content": ""}, "finish_reason": "stop"})
        answer, _ = heard(*events, last, {"choices": [], "usage": USED})
        assert [(choice.index, choice.message.content) for choice in answer.choices] == [(0, "Hey!")]


def test_two_choices_that_nobody_asked_for_are_two() -> None:
    begin = [said({"index": n, "delta": {"role": "assistant", "content": ""}}) for n in (0, 1)]
    rest = [said({"index": n, "delta": {"content": c}, "finish_reason": "stop"}) for n, c in ((1, "b"), (0, "a"))]
    answer, _ = heard(*begin, *rest)
    assert [choice.message.content for choice in answer.choices] == ["a", "b"]


WHOLE = {
    "object": "chat.completion",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Hi", "reasoning": "Hm"}, "finish_reason": "stop"}
    ],
    "usage": USED,
}


def test_a_whole_answer_is_an_event() -> None:
    answer, (event,) = heard(WHOLE)
    assert (event.choices[0].delta.content, event.choices[0].delta.reasoning) == ("Hi", "Hm")
    assert answer == plain(
        message(content="Hi", reasoning="Hm"), usage=USED, id="c", created=None, system_fingerprint=None
    )


def test_a_whole_answer_after_its_pieces_adds_nothing() -> None:
    answer, events = heard(text("H"), text("i"), WHOLE)
    assert answer.choices[0].message.content == "Hi"
    assert [event.choices[0].delta.content for event in events] == ["H", "i", ""]


def test_messages_that_grow_show_what_is_new() -> None:
    grown = [said({"message": {"role": "assistant", "content": "Hello"[:n]}}) for n in (1, 3, 3, 5)]
    answer, events = heard(*grown, LAST)
    assert answer.choices[0].message.content == "Hello"
    assert [event.choices[0].delta.content for event in events[:-1]] == ["H", "el", "", "lo"]


def test_a_message_beside_a_delta_is_passed_over() -> None:
    both = [said({"delta": {"content": c}, "message": {"content": "Hi"[: n + 1]}}) for n, c in enumerate("Hi")]
    answer, _ = heard(*both, LAST)
    assert answer.choices[0].message.content == "Hi"


def test_calls_of_a_whole_message() -> None:
    whole = said({"message": {"content": None, "tool_calls": calls(("a", "f", "{}"))}, "finish_reason": "tool_calls"})
    for before in ([], [said({"delta": {"tool_calls": [NAMED]}})]):
        answer, events = heard(*before, whole)
        found = answer.choices[0].message.tool_calls or []
        assert [(call.id, call.function.name, call.function.arguments) for call in found] == [("a", "f", "{}")]
    assert events[0].choices[0].delta.tool_calls is not None


def test_a_text_in_place_of_a_delta() -> None:
    answer, events = heard(said({"text": "H"}), said({"text": "i", "delta": None}), LAST)
    assert answer.choices[0].message.content == "Hi"
    assert [event.choices[0].delta.content for event in events[:-1]] == ["H", "i"]
    both = [said({"text": c, "delta": {"content": c, "token_id": n}}) for n, c in enumerate("Hi")]
    answer, _ = heard(*both, LAST)
    assert (answer.choices[0].message.content, "text" in answer.choices[0]) == ("Hi", False)
