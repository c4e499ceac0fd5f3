"""JSON as servers write it, and its reading by types: strict, then as far as it goes, and never by accident."""

from __future__ import annotations

import json
import math
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.errors import HeadwaterError
from headwater.protocol.json_text import UNREADABLE, dumps, is_json, is_list, loads, opening
from headwater.responses.json_decoder import KEPT, NEEDED, UNNEEDED, convert, decode_json
from headwater.tasks.audio import AutomaticSpeechRecognitionOutput
from headwater.tasks.chat_types import ChatCompletionOutput, ChatCompletionStreamOutput
from headwater.tasks.embeddings import CreateEmbeddingResponse
from headwater.tasks.language import FillMaskOutputElement, TokenClassificationOutputElement
from headwater.tasks.multimodal import VisualQuestionAnsweringOutputElement
from headwater.tasks.passages import QuestionAnsweringOutputElement
from headwater.tasks.tabular import TableQuestionAnsweringOutputElement
from headwater.tasks.text import TextGenerationOutput, TextGenerationStreamOutput
from headwater.tasks.vision import DepthEstimationOutput, ImageSegmentationOutputElement, ObjectDetectionOutputElement

BOM = "\ufeff"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        (BOM + '{"a": 1}', {"a": 1}),
        (f" \n{BOM}[1]\r\n", [1]),
        ("[NaN, -Infinity, Infinity]", [math.nan, -math.inf, math.inf]),
        ("[nan, -inf, +inf, -nan, inf]", [math.nan, -math.inf, math.inf, math.nan, math.inf]),
        ("[1e999, -1e999]", [math.inf, -math.inf]),
        ('["NaN", NaN, "-Infinity \\" nan"]', ["NaN", math.nan, '-Infinity " nan']),
        ('["nan", nan, "x\\\\", inf]', ["nan", math.nan, "x\\", math.inf]),
        ('["a\tb\nc"]', ["a\tb\nc"]),
        ('{"a": [1, {"b": ",}"}, ], "c": [NaN,\n],\t}', {"a": [1, {"b": ",}"}], "c": [math.nan]}),
        (r'["\ud83d", "\ude00", "\ud83d\ude00", "\\ud83d"]', ["\ufffd", "\ufffd", "😀", r"\ud83d"]),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_what_servers_write_is_read_as_it_was_meant(text: str, value: Any, encoding: str) -> None:
    data = text.encode(encoding)
    assert repr(loads(data)) == repr(value)
    assert is_json(data)
    assert is_list(data) == isinstance(value, list)


@pytest.mark.parametrize("data", [b"", b"{", b"nana", b"[NaNa]", b"\xff", b'{"a": "\xff"}', b'"inf', b"[" * 100_000])
def test_what_is_no_json_is_none(data: bytes) -> None:
    with pytest.raises(UNREADABLE):
        loads(data)
    assert not is_json(data)


@pytest.mark.parametrize("data", [b'{"\x80a": 1}', b'{"a": {"b": "\xff"}}', b'["\xf4\x80", NaN]', b'"\xed\xa0\x80"'])
def test_bytes_that_are_no_unicode_are_read_where_nobody_needs_them(data: bytes) -> None:
    assert repr(loads(data, replace=True)) == repr(loads(data.decode(errors="replace").encode()))
    with pytest.raises(UNREADABLE):
        loads(data)


@pytest.mark.parametrize(("data", "first"), [(b"", ""), (b" \n{", "{"), (b"\xef\xbb\xbf [", "["), (b"\xff\xff", "")])
def test_the_character_that_it_begins_with(data: bytes, first: str) -> None:
    assert opening(data) == first


@given(st.text())
def test_a_text_is_never_touched(text: str) -> None:
    text = text.encode(errors="replace").decode()
    assert loads(b'{"x": NaN, "text": %b}' % json.dumps(text).encode())["text"] == text
    assert loads(BOM.encode() + json.dumps(text, ensure_ascii=False).encode()) == text


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=10))
def test_what_is_written_is_read_again(value: Any) -> None:
    assert repr(loads(dumps(value))) == repr(value)


@given(st.binary())
def test_no_bytes_break_it(data: bytes) -> None:
    try:
        loads(data)
    except UNREADABLE:
        assert not is_json(data)
    else:
        assert is_json(data)


# Types


class Inner(msgspec.Struct):
    """A part of it."""

    name: str
    size: int | None = None


class Whole(msgspec.Struct, rename={"kind": "the-kind"}):
    """One member of each sort."""

    name: str | None
    count: int | None = None
    share: float | None = None
    kind: Annotated[str, UNNEEDED] = "?"
    text: Annotated[str | None, NEEDED] = None
    word: Annotated[str | None, KEPT] = None
    plain: str = ""
    inner: Inner | None = None
    parts: list[Inner] | None = None
    numbers: list[float | None] | None = None
    by_name: dict[str, Inner] | None = None
    flag: bool | None = None


@pytest.mark.parametrize("more", [b"", b', "z": "%b"' % (b"z" * 70_000)], ids=["small", "large"])
def test_bytes_that_are_no_unicode_are_refused_in_what_the_type_reads_alone(more: bytes) -> None:
    found = decode_json(
        b'{"name": "a", "count": "7", "x\xff": "\x80", "inner": {"name": "b", "y": "\xff"}%b}' % more, Whole
    )
    assert (found.name, found.count, found.inner) == ("a", 7, Inner("b"))
    for wrong in (b'"inner": {"name": "\xff"}', b'"text": "\xff"', b'"by_name": {"\xff": {"name": "b"}}'):
        with pytest.raises(UNREADABLE):
            decode_json(b'{"name": "a", "count": "7", %b%b}' % (wrong, more), Whole)


DEFAULT: Any = object()


@pytest.mark.parametrize(
    ("member", "sent", "read"),
    [
        ("name", 5, "5"),
        ("name", True, "true"),
        ("name", ["a", "b"], "ab"),
        ("count", "7", 7),
        ("count", "18435558523380366744", 18435558523380366744),
        ("count", 7.0, 7),
        ("count", 12.5, 12.5),
        ("count", math.inf, DEFAULT),
        ("count", True, DEFAULT),
        ("count", "many", DEFAULT),
        ("share", "0.5", 0.5),
        ("share", "much", DEFAULT),
        ("share", math.inf, math.inf),
        ("the-kind", {}, DEFAULT),
        ("the-kind", None, DEFAULT),
        ("the-kind", 3, "3"),
        ("text", None, None),
        ("text", False, DEFAULT),
        ("word", {"a": 1}, {"a": 1}),
        ("word", [], DEFAULT),
        ("word", 5, "5"),
        ("plain", None, DEFAULT),
        ("inner", [], DEFAULT),
        ("inner", {"size": 1}, DEFAULT),
        ("inner", {"name": 1, "size": "x"}, Inner("1")),
        ("parts", [None, {"name": "a"}], [Inner("a")]),
        ("parts", ["x", {"name": "a"}], DEFAULT),
        ("parts", {}, DEFAULT),
        ("numbers", [1, "2", None, "x", math.nan], [1.0, 2.0, None, None, math.nan]),
        ("by_name", {"a": {"name": "b"}, "c": None}, {"a": Inner("b")}),
        ("by_name", [], DEFAULT),
        ("flag", 1, True),
        ("flag", "x", DEFAULT),
    ],
)
def test_a_member_is_read_as_far_as_it_can_be(member: str, sent: Any, read: Any) -> None:
    found = decode_json(dumps({"name": "n", member: sent}), Whole)
    name = "kind" if member == "the-kind" else member
    assert repr(getattr(found, name)) == repr(getattr(Whole("n"), name) if read is DEFAULT else read)


@pytest.mark.parametrize(
    ("sent", "path"),
    [
        ({}, "$"),
        ([], "$"),
        ({"name": {}}, "$.name"),
        ({"name": "n", "text": 5}, "$.text"),
        ({"name": "n", "text": {}}, "$.text"),
        ({"name": "n", "plain": {}}, "$.plain"),
    ],
)
def test_what_is_needed_must_be_there(sent: Any, path: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        decode_json(dumps(sent), Whole)
    assert str(caught.value).endswith(f"- at `{path}`")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
KINDS: list[type[msgspec.Struct]] = [
    AutomaticSpeechRecognitionOutput,
    ChatCompletionOutput,
    ChatCompletionStreamOutput,
    CreateEmbeddingResponse,
    DepthEstimationOutput,
    FillMaskOutputElement,
    ImageSegmentationOutputElement,
    ObjectDetectionOutputElement,
    QuestionAnsweringOutputElement,
    TableQuestionAnsweringOutputElement,
    TextGenerationOutput,
    TextGenerationStreamOutput,
    TokenClassificationOutputElement,
    VisualQuestionAnsweringOutputElement,
    Whole,
]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=50)
@given(data=st.data())
def test_whatever_is_read_is_a_result_or_refused(kind: type[msgspec.Struct], data: st.DataObject) -> None:
    names = [field.encode_name for field in msgspec.structs.fields(kind)]
    value = data.draw(st.dictionaries(st.sampled_from(names), json_values, max_size=6) | json_values)
    try:
        found = convert(value, kind)
    except (msgspec.ValidationError, HeadwaterError):
        return
    assert isinstance(found, kind)


@pytest.mark.parametrize(
    "member",
    [
        '"usage": {"prompt_tokens": "3", "completion_tokens": 12.5, "unknown": [PAD]}',
        '"usage": [PAD]',
        '"model": [PAD]',
        '"model": {"a": [PAD]}',
        '"choices": [{"message": {"content": ["a", "b"], "PAD": NaN}, "finish_reason": {"why": [PAD]}}]',
        '"choices": [null, {"message": {"content": [{"type": "text", "text": "PAD"}, "b"]}, "index": "0"}]',
        '"choices": [{"message": {"content": {"text": "PAD"}}, "logprobs": {"content": [{"logprob": -inf}]}}]',
        '"choices": [{"message": {"tool_calls": {"function": {"name": "f", "arguments": {"PAD": [NaN]}}}}}]',
        '"choices": [{"message": "PAD"}]',
        '"choices": [{"message": {}}, [PAD]]',
        '"choices": {"PAD": 1}',
        '"choices": "PAD"',
    ],
)
def test_a_large_answer_is_read_as_a_small_one(member: str) -> None:
    def told(pad: str, more: str) -> str:
        text = f'{{"id": null, "created": "x", "choices": [], {member}{more}}}'
        try:
            found = decode_json(text.replace("PAD", pad).encode(), ChatCompletionOutput)
        except UNREADABLE as error:
            return type(error).__name__
        return repr(found)

    more = f', "y": ["\t", NaN, "{"x" * 70_000}"]'
    assert told('"p"' if "[PAD]" in member else "p", "") == told('"p"' if "[PAD]" in member else "p", more)
    large = "p" * 70_000
    quoted = f'"{large}"' if "[PAD]" in member else large
    assert told(quoted, "").replace(large, "p") == told('"p"' if "[PAD]" in member else "p", "")
