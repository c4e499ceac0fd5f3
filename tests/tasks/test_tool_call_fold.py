"""Which piece of a stream belongs to which tool call, in every dialect that servers have for it."""

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
from headwater.tasks.chat_types import ChatCompletionOutputToolCall, ChatCompletionStreamOutput

OSLO, ROME = '{"city":"Oslo"}', '{"city":"Rome"}'


def piece(
    arguments: Any = None,
    name: str | None = None,
    id: Any = None,  # noqa: A002 - the member's name
    index: Any = None,
    **more: Any,
) -> dict[str, Any]:
    """A piece with the members that are given."""
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    named = {"index": index, "id": id, "function": function or None}
    return {key: value for key, value in named.items() if value is not None} | more


def folded(*chunks: Any) -> list[ChatCompletionOutputToolCall]:
    """The calls of a stream with these chunks: lists of pieces, or a piece."""
    fold = ChatFold()
    for pieces in [*chunks, None]:
        calls = [pieces] if isinstance(pieces, dict) else pieces
        delta = {"tool_calls": calls} if calls else {}
        choice = {"index": 0, "delta": delta, "finish_reason": None if calls else "tool_calls"}
        event = decode_chunk(Frame(msgspec.json.encode({"id": "c", "choices": [choice]})))
        assert isinstance(event, ChatCompletionStreamOutput)
        fold.add(event)
    return fold.result().choices[0].message.tool_calls or []


def told(*chunks: Any) -> list[tuple[str, str, Any]]:
    return [(call.id, call.function.name, call.function.arguments) for call in folded(*chunks)]


def f(*arguments: Any) -> list[tuple[str, str, Any]]:
    return [("", "f", each) for each in arguments]


CASES: dict[str, tuple[list[Any], list[tuple[str, str, Any]]]] = {
    "a name after the arguments": (
        [piece(OSLO, None, "1", 0), piece(None, "f", None, 0)],
        [("1", "f", OSLO)],
    ),
    "a number among the arguments, without its quotes": (
        [piece('{"city":', "f", "1", 0), piece(7, None, None, 0), piece("", None, None, 0), piece("}", None, None, 0)],
        [("1", "f", '{"city":7}')],
    ),
    "parameters in pieces": (
        [
            {"index": 0, "id": "1", "function": {"name": "f", "parameters": OSLO[:5]}},
            {"index": 0, "function": {"parameters": OSLO[5:]}},
        ],
        [("1", "f", OSLO)],
    ),
    "two at index 0 with empty ids": (
        [piece(OSLO, "f", "", 0), piece(ROME, "f", "", 0)],
        f(OSLO, ROME),
    ),
    "arguments that grow": (
        [piece(OSLO[:3], "f", "", 0), piece(OSLO[:9], index=0), piece(OSLO, index=0), piece(OSLO, index=0)],
        f(OSLO),
    ),
    "arguments that begin, and then come whole": (
        [piece("", "f", "", 0), piece(OSLO[:1], index=0), piece(OSLO, index=0)],
        f(OSLO),
    ),
    "arguments that break off, and then come whole": (
        [piece(OSLO[:4], "f", "", 0), piece(OSLO[4:7], index=0), piece(OSLO, index=0)],
        f(OSLO),
    ),
    "two at index 0 with empty ids, in one chunk": (
        [[piece(OSLO, "f", "", 0), piece(ROME, "f", "", 0)]],
        f(OSLO, ROME),
    ),
    "two at index 0 without names after the first": (
        [piece(OSLO, "f", "", 0), piece(ROME, None, "", 0)],
        f(OSLO, ROME),
    ),
    "two at index 0 with empty ids, in pieces": (
        [
            piece("", "f", "", 0),
            piece(OSLO[:5], index=0),
            piece(OSLO[5:], index=0),
            piece("", "f", "", 0),
            piece(ROME[:5], index=0),
            piece(ROME[5:], index=0),
        ],
        f(OSLO, ROME),
    ),
    "two at index 0 with ids": (
        [piece(OSLO, "f", "a", 0), piece(OSLO, "f", "b", 0)],
        [("a", "f", OSLO), ("b", "f", OSLO)],
    ),
    "two the same in one chunk": ([[piece("{}", "f"), piece("{}", "f")]], f("{}", "{}")),
    "two the same under two indexes": ([piece("{}", "f", index=0), piece("{}", "f", index=1)], f("{}", "{}")),
    "two without arguments in one chunk": ([[piece("", "f"), piece("", "g")]], [("", "f", ""), ("", "g", "")]),
    "one under two indexes with one id": ([piece(OSLO, "f", "a", 0), piece(OSLO, "f", "a", 1)], [("a", "f", OSLO)]),
    "one under two indexes with one id, in pieces": (
        [
            piece("", "f", "a", 0),
            piece("", "f", "a", 1),
            piece(OSLO[:5], index=0),
            piece(OSLO[:5], index=1),
            piece(OSLO[5:], index=0),
            piece(OSLO[5:], index=1),
        ],
        [("a", "f", OSLO)],
    ),
    "one that goes on under another index": (
        [piece("", "f", "a", 0), piece(OSLO[:5], None, "a", 1), piece(OSLO[5:], None, "a", 2)],
        [("a", "f", OSLO)],
    ),
    "an index for every piece": (
        [piece("", "f", "a", 0), piece(OSLO[:5], index=1), piece(OSLO[5:], index=2)],
        [("a", "f", OSLO)],
    ),
    "told twice": ([piece(OSLO, "f", "a", 0), piece(OSLO, "f", "a", 0)], [("a", "f", OSLO)]),
    "told twice without an id": ([piece(OSLO, "f", index=0), piece(OSLO, "f", index=0)], f(OSLO)),
    "told twice without anything": ([piece(OSLO, "f"), piece(OSLO)], f(OSLO)),
    "told once more, in other words": (
        [piece("", "f", "a", 0), piece('{"x": 1, "y": 2}', index=0), piece('{"y":2,"x":1}', "f", "a", 0)],
        [("a", "f", '{"x": 1, "y": 2}')],
    ),
    "whole once more after its pieces": (
        [piece("", "f", "a", 0), piece(OSLO[:5], index=0), piece(OSLO[5:], index=0), piece(OSLO, index=0)],
        [("a", "f", OSLO)],
    ),
    "in pieces once more": (
        [piece(OSLO[:5], "f", index=0), piece(OSLO[5:], index=0), piece(OSLO[:5], index=0), piece(OSLO[5:], index=0)],
        f(OSLO),
    ),
    "an object told twice": ([piece({"x": 1}, "f", "a", 0), piece({"x": 1}, "f", "a", 0)], [("a", "f", {"x": 1})]),
    "objects": ([piece({"x": 1}, "f", "", 0), piece({"x": 2}, "f", "", 0)], f({"x": 1}, {"x": 2})),
    "an object that grows": (
        [piece({"x": 1}, "f", "a", 0), piece({"x": 1, "y": 2}, None, "a", 0)],
        [("a", "f", {"x": 1, "y": 2})],
    ),
    "{} that holds a place": (
        [piece("{}", "f", "a", 0), piece(OSLO[:5], index=0), piece(OSLO[5:], index=0)],
        [("a", "f", OSLO)],
    ),
    "a name in pieces": (
        [
            piece(name="get_", id="a", index=0),
            piece(name="wea", index=0),
            piece("", "ther", index=0),
            piece(OSLO, index=0),
        ],
        [("a", "get_weather", OSLO)],
    ),
    "a name in pieces, the last with arguments": (
        [piece(name="get_", id="a", index=0), piece(OSLO, "weather", index=0)],
        [("a", "get_weather", OSLO)],
    ),
    "a name in every piece": ([piece(each, "f", index=0) for each in OSLO], f(OSLO)),
    "a name in every piece and no index": ([piece(each, "f") for each in OSLO], f(OSLO)),
    "a name, an id and an index in every piece": ([piece(each, "f", "a", 0) for each in OSLO], [("a", "f", OSLO)]),
    "a name after an empty one": (
        [piece("", "", "a", 0), piece("", "f", "", 0), piece("{}", "", "", 0)],
        [("a", "f", "{}")],
    ),
    "another name at the same index": (
        [piece(OSLO, "f", "", 0), piece("", "g", "", 0), piece(ROME, index=0)],
        [("", "f", OSLO), ("", "g", ROME)],
    ),
    "interleaved ids without an index": (
        [
            piece("", "f", "a"),
            piece("", "g", "b"),
            piece(OSLO[:5], id="a"),
            piece(ROME[:5], id="b"),
            piece(OSLO[5:], id="a"),
            piece(ROME[5:], id="b"),
        ],
        [("a", "f", OSLO), ("b", "g", ROME)],
    ),
    "interleaved ids, all at index 0": (
        [
            piece(OSLO[:5], "f", "a", 0),
            piece(ROME[:5], "f", "b", 0),
            piece(OSLO[5:], None, "a", 0),
            piece(ROME[5:], None, "b", 0),
        ],
        [("a", "f", OSLO), ("b", "f", ROME)],
    ),
    "an id that comes late": ([piece(OSLO[:5], "f", index=0), piece(OSLO[5:], None, "a", 0)], [("a", "f", OSLO)]),
    "an id that comes with the call once more": ([piece(OSLO, "f"), piece(OSLO, "f", "a")], [("a", "f", OSLO)]),
    "an id first": ([piece(id="a", type="function"), piece("", "f", "a"), piece(OSLO, id="a")], [("a", "f", OSLO)]),
    "an id first, of the second call": (
        [piece(OSLO, "f", "a"), piece(id="b"), piece("", "g", "b"), piece(ROME)],
        [("a", "f", OSLO), ("b", "g", ROME)],
    ),
    "a new id in every piece": (
        [piece(each, None if n else "f", f"id{n}", 0) for n, each in enumerate(OSLO)],
        [("id0", "f", OSLO)],
    ),
    "a new id and the name in every piece": (
        [piece(each, "f", f"id{n}", 0) for n, each in enumerate(OSLO)],
        [("id0", "f", OSLO)],
    ),
    "null, then pieces": (
        [piece(None, "f", "a", 0), piece(OSLO[:5], index=0), piece(OSLO[5:], index=0)],
        [("a", "f", OSLO)],
    ),
    "one id for two calls": (
        [piece(OSLO, "f", "f", 0), piece(ROME, "f", "f", 1)],
        [("f", "f", OSLO), ("f", "f", ROME)],
    ),
    "numbers as ids": ([piece(OSLO, "f", 1, 0), piece(ROME, "f", 2, 1)], [("1", "f", OSLO), ("2", "f", ROME)]),
    "several in a chunk, in pieces": (
        [[piece("", "f", "a", 0), piece("", "g", "b", 1)], [piece(OSLO, index=0), piece(ROME, index=1)]],
        [("a", "f", OSLO), ("b", "g", ROME)],
    ),
    "out of order": ([piece(ROME, "g", "b", 1), piece(OSLO, "f", "a", 0)], [("a", "f", OSLO), ("b", "g", ROME)]),
    "braces in texts": (
        [piece('{"x":"}', "f", "a", 0), piece('{"}', index=0)],
        [("a", "f", '{"x":"}{"}')],
    ),
    "objects in objects": (
        [piece('{"x":', "f", index=0), piece('{"y":1}', "f", index=0), piece("}", "f", index=0)],
        f('{"x":{"y":1}}'),
    ),
    "what does not parse stays as it is": (
        [piece("{'x'", "f", "a", 0), piece(": 1}", index=0)],
        [("a", "f", "{'x': 1}")],
    ),
    "an empty call beside another": ([piece(OSLO, "f", "a", 0), piece("", None, "z", 0)], [("a", "f", OSLO)]),
}


@pytest.mark.parametrize("name", CASES)
def test_the_pieces_of_a_call(name: str) -> None:
    chunks, calls = CASES[name]
    assert told(*chunks) == calls


ARGUMENTS = st.dictionaries(
    st.text(max_size=4),
    st.one_of(
        st.none(), st.booleans(), st.integers(0, 99), st.text(max_size=6), st.just({"y": [{}]}), st.just([{"z": 1}])
    ),
    max_size=3,
)
CALLS = st.lists(st.tuples(st.sampled_from(["add", "get_weather", "f"]), ARGUMENTS), min_size=1, max_size=4)
DIALECTS = ["index", "id", "both", "id everywhere", "name everywhere", "all everywhere", "index 0", "one index less"]


def spelled(dialect: str, number: int, first: bool, name: str, arguments: str | None) -> dict[str, Any]:
    """A piece of the call of this number."""
    every = dialect in {"all everywhere", "name everywhere"}
    with_id = dialect != "index" and (first or dialect in {"id everywhere", "all everywhere"})
    with_index = dialect not in {"id", "id everywhere"}
    index = {"index 0": 0, "one index less": number // 2}.get(dialect, number)
    return piece(
        arguments, name if first or every else None, f"id{number}" if with_id else None, index if with_index else None
    )


@given(CALLS, st.sampled_from(DIALECTS), st.booleans(), st.booleans(), st.data())
def test_any_calls_in_any_dialect_cut_anywhere(
    calls: list[tuple[str, Any]], dialect: str, apart: bool, whole: bool, data: st.DataObject
) -> None:
    texts = [json.dumps(arguments, separators=(",", ":")) for _, arguments in calls]
    pieces = []
    for number, ((name, _), text) in enumerate(zip(calls, texts, strict=True)):
        cuts = [] if whole else sorted(data.draw(st.sets(st.integers(1, len(text) - 1), max_size=4)))
        parts = [text[start:end] for start, end in zip([0, *cuts], [*cuts, None], strict=True)]
        parts = ["", *parts] if apart else parts
        pieces.append([spelled(dialect, number, n == 0, name, part) for n, part in enumerate(parts)])
    if dialect in {"index", "both", "id everywhere", "all everywhere"}:  # these may be interleaved
        turns = data.draw(st.permutations([n for n, own in enumerate(pieces) for _ in own]))
        left = [iter(own) for own in pieces]
        order = [next(left[n]) for n in turns]
    else:
        order = [each for own in pieces for each in own]
    every = data.draw(st.integers(1, 3))
    chunks = [order[n : n + every] for n in range(0, len(order), every)]
    found = sorted(told(*chunks), key=lambda call: call[0]) if "index" not in dialect else told(*chunks)
    ids = [f"id{n}" if dialect != "index" else "" for n in range(len(calls))]
    assert found == [(id_, name, text) for id_, (name, _), text in zip(ids, calls, texts, strict=True)]


@given(CALLS, st.booleans())
def test_whole_calls_in_one_chunk_need_neither_index_nor_id(calls: list[tuple[str, Any]], as_objects: bool) -> None:
    arguments = [arguments if as_objects else json.dumps(arguments) for _, arguments in calls]
    pieces = [piece(each, name) for (name, _), each in zip(calls, arguments, strict=True)]
    assert told(pieces) == [("", name, each) for (name, _), each in zip(calls, arguments, strict=True)]


def test_members_that_no_field_holds_stay_with_their_call() -> None:
    signed = {"google": {"thought_signature": "c2ln"}}
    calls = folded(
        [piece(OSLO, "f", "a", 0, extra_content=signed, thought_signature="x")],
        [piece(ROME, "f", "b", 1)],
        [piece(index=1, extra_content={"google": {"thought_signature": "bGF0ZQ=="}})],
    )
    assert [call.extra_content for call in calls] == [signed, {"google": {"thought_signature": "bGF0ZQ=="}}]
    assert (calls[0]["thought_signature"], calls[0].to_dict()["thought_signature"]) == ("x", "x")
    assert "thought_signature" not in calls[1]


@pytest.mark.parametrize("indexed", [True, False])
def test_custom_tools(indexed: bool) -> None:
    def custom(number: int, **said: Any) -> dict[str, Any]:
        return piece(id=f"id{number}" if "name" in said else None, index=number if indexed else None, custom=said)

    calls = folded(
        custom(0, name="sh", input="") | {"type": "custom"},
        custom(0, input="ls"),
        custom(0, input=" /"),
        custom(1, name="sh", input="pwd") | {"type": "custom"},
    )
    assert [(call.id, call.type, call.custom) for call in calls] == [
        ("id0", "custom", {"name": "sh", "input": "ls /"}),
        ("id1", "custom", {"name": "sh", "input": "pwd"}),
    ]
    assert [call.function for call in calls] == [None, None]


def test_a_hundred_thousand_pieces_of_one_call_and_of_as_many() -> None:
    fold = ChatFold()
    one = msgspec.convert({"choices": [{"delta": {"tool_calls": [piece("}{", index=0)]}}]}, ChatCompletionStreamOutput)
    for _ in range(100_000):
        fold.add(one)
    assert len((fold.result().choices[0].message.tool_calls or [])[0].function.arguments) == 200_000
    fold = ChatFold()
    for number in range(20_000):
        calls = [piece("{}", "f", str(number % 3), number)]
        fold.add(msgspec.convert({"choices": [{"delta": {"tool_calls": calls}}]}, ChatCompletionStreamOutput))
    assert len(fold.result().choices[0].message.tool_calls or []) == 3
