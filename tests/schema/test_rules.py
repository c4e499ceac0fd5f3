"""What each kind of server is told of a type, and what it is promised by."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import pydantic
import pytest
from msgspec import Meta
from support.typed_cases import Cat, Dog, Node

from headwater.errors import InvalidParameterError
from headwater.schema import rules
from headwater.schema.codec import codec_of
from headwater.schema.rules import SchemaRules, fitted


class Bounded(msgspec.Struct):
    text: Annotated[str, Meta(min_length=2)]
    many: Annotated[list[int], Meta(max_length=3)]
    count: Annotated[int, Meta(ge=1)]
    kind: Literal["a"]


class Square(msgspec.Struct):
    size: int


class Circle(msgspec.Struct):
    size: int
    filled: bool


class Sent(pydantic.BaseModel):
    text: str
    type: Literal["sent"]


class Received(pydantic.BaseModel):
    text: str
    type: Literal["received"]


class Needed(msgspec.Struct):
    name: str
    below: list[Node]


class Mailbox(pydantic.BaseModel):
    mails: list[Sent | Received]


@pytest.mark.parametrize(
    ("of", "known", "strict"),
    [
        (rules.STRICT, {"maxItems", "minimum"}, True),
        (rules.LOCAL, {"minLength", "maxItems", "minimum"}, False),
        (rules.PLAIN_STRICT, set(), True),
        (rules.CEREBRAS, set(), True),
        (rules.ANTHROPIC, {"const"}, True),
        (rules.XAI, {"const"}, True),
        (rules.GEMINI, {"maxItems", "minimum"}, False),
        (rules.COHERE, {"const"}, False),
        (rules.FIREWORKS, {"const", "minimum"}, False),
        (rules.TGI, {"minLength", "maxItems"}, False),
        (rules.PERPLEXITY, set(), False),
        (rules.DESCRIBED, {"minLength", "maxItems", "minimum"}, False),
    ],
)
def test_a_bound_is_a_keyword_where_it_is_known_and_else_a_description(
    of: SchemaRules, known: set[str], strict: bool
) -> None:
    found = codec_of(Bounded).fitted(of)
    assert found.strict is strict
    members = found.schema["properties"]
    said = {"minLength": "text", "maxItems": "many", "minimum": "count"}
    for word, name in said.items():
        assert (word in members[name]) == (word in known)
        assert (f"{word}: " in members[name].get("description", "")) == (word not in known)


@pytest.mark.parametrize(
    ("of", "says"),
    [
        (rules.STRICT, True),
        (rules.LOCAL, True),
        (rules.PLAIN_STRICT, True),
        (rules.GEMINI, True),
        (rules.XAI, False),
        (rules.CEREBRAS, False),
        (rules.ANTHROPIC, False),
        (rules.PERPLEXITY, False),
        (rules.COHERE, False),
        (rules.TGI, False),
    ],
)
def test_a_type_that_contains_itself(of: SchemaRules, says: bool) -> None:
    if says:
        below = codec_of(Node).fitted(of).schema["properties"]["below"]
        assert below["items"]["$ref"] == "#/$defs/Node"
    else:
        with pytest.raises(InvalidParameterError, match="contains itself"):
            codec_of(Node).fitted(of)


def test_where_only_members_that_may_be_left_out_lead_back_they_may_be_left_out() -> None:
    assert codec_of(Needed).fitted(rules.GEMINI).schema["required"] == ["name"]
    assert codec_of(Needed).fitted(rules.LOCAL).schema["required"] == ["name", "below"]


@pytest.mark.parametrize("kind", [dict[str, int], list[Any]])
def test_what_is_open_is_refused_where_no_schema_may_say_it(kind: Any) -> None:
    for of in (rules.ANTHROPIC, rules.PERPLEXITY):
        with pytest.raises(InvalidParameterError, match=r"ha(s|ve) no place"):
            codec_of(kind).fitted(of)
    assert not codec_of(kind).fitted(rules.STRICT).strict


def test_options_are_promised_where_their_first_members_tell_them_apart() -> None:
    assert codec_of(Cat | Dog).fitted(rules.STRICT).strict
    assert not codec_of(Square | Circle).fitted(rules.STRICT).strict
    assert codec_of(Square | Circle).fitted(rules.PLAIN_STRICT).strict
    found = codec_of(Mailbox).fitted(rules.STRICT)
    assert found.strict
    options = found.schema["properties"]["mails"]["items"]["anyOf"]
    assert [list(each["properties"]) for each in options] == [["type", "text"], ["type", "text"]]


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"in": schema}}
    return schema


def wide(members: int) -> dict[str, Any]:
    return {"type": "object", "properties": {f"m{n}": {"type": "integer"} for n in range(members)}}


@pytest.mark.parametrize(
    ("schema", "strict", "cerebras"),
    [
        (nested(10), True, True),
        (nested(11), False, False),
        (wide(500), True, True),
        (wide(501), True, False),
        (wide(5001), False, False),
        ({"type": "object", "properties": {"a": {"enum": list(range(501))}}}, True, False),
        ({"type": "object", "properties": {"a": {"enum": list(range(1001))}}}, False, False),
        ({"type": "object", "properties": {"a": {"enum": ["x" * 5001]}}}, True, False),
    ],
)
def test_what_is_too_large_for_the_promise_goes_without_it(
    schema: dict[str, Any], strict: bool, cerebras: bool
) -> None:
    assert fitted(schema, rules.STRICT).strict is strict
    assert fitted(schema, rules.CEREBRAS).strict is cerebras


def test_what_no_keyword_can_say_is_told() -> None:
    given = {
        "type": "object",
        "properties": {"a": {"type": "integer", "not": {"const": 3}, "title": "A", "default": 1}},
    }
    assert fitted(given, rules.STRICT).schema["properties"]["a"] == {
        "type": "integer",
        "description": '(not: {"const":3})',
    }
