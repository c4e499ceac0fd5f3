"""What has come so far as a value of its type: from any prefix of any JSON of any type, read once and at any pace."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.typed_cases import CASES, Cat, Colour, Crate, Dog, Holder, Invoice, Line, Node, Page, Pair, Person, Point

from headwater.schema.codec import codec_of
from headwater.schema.elements import ElementReader

KINDS = [kind for kind, _, _ in CASES]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=4,
)


def values_of(schema: Mapping[str, Any], defs: Mapping[str, Any], depth: int = 0) -> st.SearchStrategy[Any]:
    """JSON values that a schema of ours allows."""
    if "$ref" in schema:
        return st.deferred(lambda: values_of(defs[schema["$ref"].rpartition("/")[2]], defs, depth + 1))
    if "anyOf" in schema:
        options = [each for each in schema["anyOf"] if depth < 3 or "$ref" not in each] or schema["anyOf"]
        return st.one_of([values_of(each, defs, depth) for each in options])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema.get("type"):
        case "object":
            return objects_of(schema, defs, depth)
        case "array":
            places = schema.get("prefixItems")
            if places:
                return st.tuples(*[values_of(each, defs, depth) for each in places]).map(list)
            least, most = schema.get("minItems", 0), 3 if depth < 3 else 0
            inner = values_of(schema["items"], defs, depth + 1)
            return st.lists(inner, min_size=least, max_size=min(max(least, most), schema.get("maxItems", most)))
        case "string" if schema.get("format") == "date":
            return st.dates().map(str)
        case "string":
            return st.text(
                st.characters(exclude_categories=["Cs"]),
                min_size=schema.get("minLength", 0),
                max_size=schema.get("maxLength", 20),
            )
        case "integer":
            return st.integers(schema.get("minimum", -(10**6)), 10**6)
        case "number":
            return st.floats(schema.get("minimum", -1e6), 1e6)
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
    return ANYTHING


def objects_of(schema: Mapping[str, Any], defs: Mapping[str, Any], depth: int) -> st.SearchStrategy[Any]:
    more = schema.get("additionalProperties")
    if "properties" not in schema and isinstance(more, Mapping):
        names = st.from_regex(r"-?[1-9][0-9]{0,3}", fullmatch=True) if schema is INTEGER_NAMES else TEXTS
        return st.dictionaries(names, values_of(more, defs, depth + 1), max_size=3)
    members = {name: values_of(each, defs, depth + 1) for name, each in schema["properties"].items()}
    needed = {name: each for name, each in members.items() if name in schema.get("required", [])}
    return st.fixed_dictionaries(needed, optional={k: v for k, v in members.items() if k not in needed})


INTEGER_NAMES = codec_of(dict[int, str]).schema


def values_for(kind: Any) -> st.SearchStrategy[Any]:
    schema = codec_of(kind).schema
    return values_of(schema, schema.get("$defs", {}))


ANY_CASE = st.sampled_from(KINDS).flatmap(lambda kind: st.tuples(st.just(kind), values_for(kind)))


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    case=ANY_CASE,
    spelling=st.sampled_from([{}, {"ensure_ascii": False}, {"indent": 1}, {"separators": (",", ":")}]),
    wrapped=st.booleans(),
    data=st.data(),
)
def test_any_prefix_of_any_json_of_any_type_is_a_partial(
    case: tuple[Any, Any], spelling: dict[str, Any], wrapped: bool, data: st.DataObject
) -> None:
    kind, value = case
    codec = codec_of(kind)
    if wrapped and not codec.is_object:
        value = {"value": value}
    text = json.dumps(value, **spelling)
    reader = codec.partial()
    at, found = 0, cast("Any", None)
    while at < len(text):
        at = min(len(text), at + data.draw(st.integers(1, 9)))
        found = reader.read(text[:at])
        assert repr(found) == repr(codec.partial().read(text[:at])), "how often it is asked changes nothing"
    parsed = codec.decode(text)
    assert found == parsed or (isinstance(parsed, float) and math.isclose(found, parsed))
    assert type(found) is type(parsed)


@pytest.mark.parametrize(
    ("kind", "text", "wanted"),
    [
        (Line, '{"what": "te', Line("te", None)),  # type: ignore[arg-type]
        (Line, '{"what": "tea", "amount": 12', Line("tea", None)),  # type: ignore[arg-type]
        (Line, '{"what": "tea", "amount": 12,', Line("tea", 12.0)),
        (Line, '{"what": "tea", "amount": 12, "colour": "re', Line("tea", 12.0)),
        (Line, '{"what": "a\\u00', Line("a", None)),  # type: ignore[arg-type]
        (Line, '{"what": "a\\ud83d', Line("a", None)),  # type: ignore[arg-type]
        (Line, '{"what": "a\\ud83d\\ude00', Line("a\U0001f600", None)),  # type: ignore[arg-type]
        (Line, '{"what": "a\\\\', Line("a\\", None)),  # type: ignore[arg-type]
        (Line, "", None),
        (Line, "{", Line(None, None)),  # type: ignore[arg-type]
        (list[Line], '[{"what": "a", "amount": 1}, {"wh', [Line("a", 1.0), Line(None, None)]),  # type: ignore[arg-type]
        (list[Line], '{"value": [{"what": "a', [Line("a", None)]),  # type: ignore[arg-type]
        (Page[Line], '{"items": [{"what"', Page([Line(None, None)], None)),  # type: ignore[arg-type]
        (Node, '{"name": "a", "below": [{"name": "b', Node("a", [Node("b")])),
        (Cat | Dog, '{"type": "Dog", "tricks": ["si', Dog(["si"])),
        (Pair, '{"left": 1, "right": "x', Pair(1, "x")),
        (Holder, '{"pair": {"left": 1}, "either": {"weight": 2.5', Holder(Pair(1), Crate(None))),  # type: ignore[arg-type]
        (dict[str, Point], '{"a": {"x": 1, ', {"a": Point(1)}),
        (tuple[int, str], "[1, ", (1, None)),
        (str, '"wor', "wor"),
        (Colour, '"re', None),
        (Invoice, '{"number": "1", "lines": 3, "paid": tr', Invoice("1", None)),  # type: ignore[arg-type]
    ],
)
def test_what_has_not_come_is_the_default_or_none(kind: Any, text: str, wanted: Any) -> None:
    found = codec_of(kind).partial().read(text)
    assert found == wanted
    assert isinstance(found, type(wanted))


def test_a_class_that_checks_itself_is_checked_when_it_is_whole() -> None:
    found = codec_of(Person).partial().read('{"name": "N", "address": {"street": "S", "no": 2, ')
    assert isinstance(found, Person)
    assert found.address is not None
    assert (found.name, found.address.street, found.address.number, found.friends) == ("N", "S", 2, [])


@settings(max_examples=50)
@given(st.text(max_size=25), st.sampled_from(KINDS))
def test_what_is_no_json_is_no_failure(text: str, kind: Any) -> None:
    reader = codec_of(kind).partial()
    for at in range(len(text) + 1):
        reader.read(text[:at])


@settings(max_examples=50)
@given(ANYTHING, st.sampled_from(KINDS))
def test_json_of_another_type_is_no_failure(value: Any, kind: Any) -> None:
    text = json.dumps(value)
    reader = codec_of(kind).partial()
    for at in range(len(text) + 1):
        reader.read(text[:at])


def test_json_that_is_nested_without_end_is_no_failure() -> None:
    assert codec_of(dict[str, Any]).partial().read('{"a":' * 20_000) is None
    assert codec_of(Node).partial().read('{"name":"a","below":[' * 20_000) is None


def test_another_text_is_read_anew() -> None:
    reader = codec_of(Line).partial()
    assert reader.read('{"what": "abc') == Line("abc", None)  # type: ignore[arg-type]
    assert reader.read('{"what": "x') == Line("x", None)  # type: ignore[arg-type]


@pytest.mark.parametrize("is_items", [False, True])
def test_what_is_asked_at_every_piece_grows_with_the_text_alone(is_items: bool) -> None:
    def calls(count: int) -> int:
        text = json.dumps([{"what": "tea", "amount": 1}] * count)
        partial, elements, seen = codec_of(list[Line]).partial(), ElementReader(codec_of(Line)), 0

        def note(frame: object, event: str, argument: object) -> None:
            nonlocal seen
            seen += event in ("call", "c_call")

        sys.setprofile(note)
        try:
            for at in range(0, len(text), 8):
                if is_items:
                    elements.feed(text[at : at + 8])
                else:
                    partial.read(text[: at + 8])
        finally:
            sys.setprofile(None)
        return seen

    calls(10)
    assert calls(400) < 4.4 * calls(100)
