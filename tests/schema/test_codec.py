"""Types as schemas, and JSON as their values: every kind of type, every server's rules, and what is wrong said by its
place."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Annotated, Any, ClassVar, NamedTuple, NotRequired, TypedDict

import attrs
import msgspec
import pytest
from msgspec import Meta
from support.typed_cases import (
    CASES,
    Bounded,
    Cat,
    Dog,
    Invoice,
    Line,
    Movie,
    Node,
    Numbers,
    Page,
    Pair,
    Person,
    Point,
    Renamed,
    expected,
)

from headwater.errors import DecodeError, InvalidParameterError
from headwater.schema.arguments import arguments_of
from headwater.schema.codec import codec_of
from headwater.schema.rules import (
    ANTHROPIC,
    CEREBRAS,
    COHERE,
    DATABRICKS,
    DESCRIBED,
    FIREWORKS,
    GEMINI,
    LOCAL,
    PERPLEXITY,
    PLAIN_STRICT,
    STRICT,
    TGI,
    XAI,
    fitted,
)

RULES = {
    "strict": STRICT,
    "plain strict": PLAIN_STRICT,
    "anthropic": ANTHROPIC,
    "gemini": GEMINI,
    "cohere": COHERE,
    "fireworks": FIREWORKS,
    "tgi": TGI,
    "local": LOCAL,
    "cerebras": CEREBRAS,
    "described": DESCRIBED,
    "perplexity": PERPLEXITY,
    "xai": XAI,
    "databricks": DATABRICKS,
}
STRUCTURE = {
    "$defs",
    "$ref",
    "additionalProperties",
    "anyOf",
    "description",
    "enum",
    "items",
    "properties",
    "required",
    "type",
}
IDS = [f"{number}-{codec_of(kind).name}" for number, (kind, _, _) in enumerate(CASES)]


def schemas_in(schema: Any) -> Iterator[dict[str, Any]]:
    """The schema and all schemas in it."""
    yield schema
    inner = [*schema.get("$defs", {}).values(), *schema.get("properties", {}).values(), *schema.get("anyOf", [])]
    inner += schema.get("prefixItems", [])
    inner += [schema[name] for name in ("items", "additionalProperties") if isinstance(schema.get(name), dict)]
    for each in inner:
        yield from schemas_in(each)


@pytest.mark.parametrize(("kind", "text", "value"), CASES, ids=IDS)
def test_json_is_the_value(kind: Any, text: str, value: Any) -> None:
    codec = codec_of(kind)
    wanted = expected(kind, text, value)
    assert codec.decode(text) == wanted
    assert type(codec.decode(text)) is type(wanted)
    assert codec.decode(f"\n {text} ".encode()) == wanted
    assert codec.convert(json.loads(text)) == wanted
    assert codec_of(kind) is codec
    assert codec.schema is codec.schema


@pytest.mark.parametrize(("kind", "text", "value"), CASES, ids=IDS)
def test_a_root_in_an_object_is_read_as_well(kind: Any, text: str, value: Any) -> None:
    codec = codec_of(kind)
    assert codec.fitted(STRICT).wrapped is not codec.is_object
    if codec.fitted(STRICT).wrapped:
        assert codec.decode(f'{{"value": {text}}}') == expected(kind, text, value)
        assert codec.fitted(STRICT).schema["required"] == ["value"]
    assert codec.fitted(STRICT).schema["type"] == "object"


@pytest.mark.parametrize(("kind", "text", "value"), CASES, ids=IDS)
def test_a_schema_has_what_the_server_knows(kind: Any, text: str, value: Any) -> None:
    codec = codec_of(kind)
    for rules in RULES.values():
        before = json.dumps(codec.schema)
        try:
            found = codec.fitted(rules)
        except InvalidParameterError as error:
            assert (not rules.recursion and "contains itself" in str(error)) or (
                not (rules.maps and rules.unions) and "has no place" in str(error).replace("have", "has")
            )
            continue
        assert json.dumps(codec.schema) == before
        assert codec.fitted(rules) is found
        for schema in schemas_in(found.schema):
            assert schema.keys() <= STRUCTURE | rules.keywords | rules.unpromised
            assert "$ref" not in schema or schema.keys() == {"$ref"}
            assert rules.unions or "anyOf" not in schema
            assert schema.get("format") is None or schema["format"] in rules.formats
            if "$ref" in schema:
                assert rules.refs
                assert schema["$ref"].removeprefix("#/$defs/") in found.schema["$defs"]
            if "properties" in schema:
                assert schema["additionalProperties"] is False
                if rules.strict:
                    assert schema["required"] == list(schema["properties"])
            if found.strict:
                assert schema.get("additionalProperties", False) is False
                assert schema


def test_what_others_say_of_a_member_is_in_the_schema() -> None:
    members = codec_of(Bounded).fitted(STRICT).schema["properties"]
    assert members["age"] == {"type": "integer", "minimum": 18, "description": "In years."}
    assert (members["names"]["minItems"], members["names"]["maxItems"]) == (1, 2)
    assert members["note"]["description"] == "For the kitchen."
    assert "made" not in members
    assert codec_of(Bounded).decode('{"age":20,"names":["a"],"made":7}').made == 3


def test_a_member_that_may_be_null_is_said_without_a_choice_where_there_is_none() -> None:
    members = codec_of(Line).fitted(DATABRICKS).schema["properties"]
    assert members["colour"] == {"type": ["string", "null"], "enum": ["blue", "red", None]}
    when = codec_of(Invoice).fitted(DATABRICKS).schema["properties"]["when"]
    assert when["type"] == ["string", "null"]
    with pytest.raises(InvalidParameterError, match="one of several kinds"):
        codec_of(Line | Point).fitted(DATABRICKS)


@pytest.mark.parametrize("zone", [None, True, False])
def test_times_are_said_to_be_times(zone: bool | None) -> None:
    kind: Any = Annotated[datetime.datetime, Meta(tz=zone)] | None
    said = codec_of(kind).schema["anyOf"][0]
    assert (said.get("format"), "without a time zone" in said.get("description", "")) == (
        (None, True) if zone is False else ("date-time", False)
    )


def test_what_no_schema_can_promise_is_not_promised() -> None:
    assert codec_of(Invoice).fitted(STRICT).strict
    assert not codec_of(dict[str, int]).fitted(STRICT).strict
    assert not codec_of(list[Any]).fitted(STRICT).strict
    assert not codec_of(Invoice).fitted(GEMINI).strict


def test_a_schema_says_what_the_type_says() -> None:
    assert codec_of(Line).fitted(STRICT).schema == {
        "type": "object",
        "description": "One line of an invoice.",
        "properties": {
            "what": {"type": "string"},
            "amount": {"type": "number", "minimum": 0, "description": "In euros."},
            "colour": {"anyOf": [{"type": "string", "enum": ["blue", "red"]}, {"type": "null"}]},
        },
        "required": ["what", "amount", "colour"],
        "additionalProperties": False,
    }
    assert codec_of(Line).schema["$defs"]["Line"]["required"] == ["what", "amount"]
    told = codec_of(Line).fitted(ANTHROPIC).schema["properties"]["amount"]
    assert told == {"type": "number", "description": "In euros. (minimum: 0)"}
    assert list(codec_of(Renamed).fitted(STRICT).schema["properties"]) == ["firstName", "lastName"]
    assert codec_of(Cat | Dog).fitted(LOCAL).wrapped
    assert codec_of(Cat).fitted(STRICT).schema["properties"]["type"] == {"type": "string", "enum": ["Cat"]}
    person = codec_of(Person).fitted(STRICT).schema
    assert person["properties"]["friends"]["items"] == {"$ref": "#/$defs/Person"}
    assert person["properties"]["address"]["anyOf"][0]["required"] == ["street", "no"]


def test_a_pattern_is_sent_where_it_is_understood() -> None:
    @dataclasses.dataclass
    class Codes:
        loose: Annotated[str, Meta(pattern="[A-Z]{3}")]
        whole: Annotated[str, Meta(pattern="^[A-Z]{3}$")]

    members = fitted(codec_of_local(Codes), LOCAL).schema["properties"]
    assert members["loose"] == {"type": "string", "description": "(pattern: [A-Z]{3})"}
    assert members["whole"] == {"type": "string", "pattern": "^[A-Z]{3}$"}
    assert fitted(codec_of_local(Codes), STRICT).schema["properties"]["loose"]["pattern"] == "[A-Z]{3}"


def codec_of_local(kind: Any) -> dict[str, Any]:
    """The schema of a class in a function, whose annotations are resolved here."""
    hints = {"loose": Annotated[str, Meta(pattern="[A-Z]{3}")], "whole": Annotated[str, Meta(pattern="^[A-Z]{3}$")]}
    kind.__annotations__ = hints
    return codec_of(kind).schema


@pytest.mark.parametrize(
    ("kind", "text", "path"),
    [
        (Invoice, '{"number":"1","lines":[{"what":"a","amount":-2}]}', "$.lines[0].amount"),
        (Invoice, '{"number":"","lines":[]}', "$.number"),
        (Invoice, '{"number":"1"}', "$"),
        (Invoice, '{"number":"1","lines":[{"what":"a"}]}', "$.lines[0]"),
        (Invoice, '{"number":"1","lines":[', "$"),
        (Invoice, "I cannot do that.", "$"),
        (Invoice, "", "$"),
        (list[Line], '{"value":[{"what":"a","amount":"1"}]}', "$[0].amount"),
        (Person, '{"name":"N","address":{"street":"S","no":0}}', "$.address.no"),
        (list[Person], '[{"name":"N"},{"name":1}]', "$[1].name"),
        (Pair, '{"left":"1"}', "$.left"),
        (Line | Point, '{"x":"1"}', "$.x"),
        (dict[str, Point], '{"a":{"x":null}}', "$['a'].x"),
        (dict[str, Pair], '{"a":{"left":null}}', "$['a'].left"),
        (Renamed, '{"firstName":"A","nick":"B"}', "$"),
        (Movie, "{}", "$"),
        (tuple[int, Pair], '[1,{"left":1},3]', "$"),
        (Pair, '[1,"b",3]', "$"),
        (Cat | Dog, '{"lives":1}', "$"),
        (Page[float], '{"items":[1,NaN],"more":false}', "$.items[1]"),
        (Page[float], '{"items":[1e400],"more":false}', "$.items[0]"),
        (Numbers, '{"value":["a"]}', "$[0]"),
        (Bounded, '{"age":17,"names":["a"]}', "$.age"),
        (Bounded, '{"age":20,"names":[]}', "$.names"),
        (Annotated[dict[str, Pair], Meta(min_length=1)], "{}", "$"),
        (Node, '{"name":"a","below":[{"name":"b","below":[{"name":3}]}]}', "$.below[0].below[0].name"),
    ],
)
def test_what_is_wrong_is_said_by_its_place(kind: Any, text: str, path: str) -> None:
    with pytest.raises(DecodeError) as caught:
        codec_of(kind).decode(text)
    assert caught.value.path == path
    assert path in str(caught.value)
    assert caught.value.body == text.encode()


LEAF = '{"number":1,"below":[{"number":2}]}'


@pytest.mark.parametrize("kind", ["struct", "dataclass", "attrs", "typed dict", "named tuple"])
def test_a_class_within_a_function_names_itself_and_its_neighbours(kind: str) -> None:
    class Number(msgspec.Struct):
        of: int

    class Structured(msgspec.Struct):
        number: int
        below: list[Structured] = []
        size: Number | None = None

    @dataclasses.dataclass
    class Data:
        number: int
        below: list[Data] = dataclasses.field(default_factory=list)
        size: Number | None = None

    @attrs.define
    class WithAttrs:
        number: int
        below: list[WithAttrs] = attrs.Factory(list)
        size: Number | None = None

    class Plain(TypedDict):
        number: int
        below: NotRequired[list[Plain]]  # type: ignore[misc]  # within a function
        size: NotRequired[Number]

    class Named(NamedTuple):
        number: int
        below: list[Named] = []  # type: ignore[misc]  # noqa: RUF012
        size: Number | None = None

    kinds: dict[str, Any] = {
        "struct": Structured,
        "dataclass": Data,
        "attrs": WithAttrs,
        "typed dict": Plain,
        "named tuple": Named,
    }
    made = kinds[kind]
    codec = codec_of(made)
    inner = {"number": 2} if made is Plain else made(2)
    assert codec.decode(LEAF) == made(number=1, below=[inner])
    assert codec.partial().read(LEAF) == codec.decode(LEAF)
    assert codec.schema["$defs"].keys() == {made.__name__, "Number"}

    def weigh(item: Structured, times: int = 1) -> int:
        return item.number * times

    assert arguments_of(weigh).decode('{"item":{"number":3}}')["item"] == Structured(3)


def test_what_only_the_making_of_a_dataclass_takes_is_a_member() -> None:
    codec = codec_of(Salted)
    assert codec.schema["$defs"]["Salted"]["required"] == ["word", "salt"]
    assert codec.decode('{"word":"a","salt":"b"}') == Salted("a", "b")
    assert codec.decode('{"word":"a","salt":"b"}').salted == "ab"


@dataclasses.dataclass
class Salted:
    word: str
    salt: dataclasses.InitVar[str]
    kinds: ClassVar[int] = 2

    def __post_init__(self, salt: str) -> None:
        self.salted = self.word + salt


ALIASES = """
type Whole = list[Whole] | int
type Pair[A, B] = tuple[A, B]
type Tree[T] = dict[str, T | Tree[T]]
"""


@pytest.mark.skipif(sys.version_info < (3, 12), reason="aliases have a statement since 3.12")
@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("Whole", "[[1],2]", [[1], 2]),
        ("Pair[int, str]", '[1,"a"]', (1, "a")),
        ("Tree[int]", '{"a":{"b":1}}', {"a": {"b": 1}}),
        ("list[Pair[Tree[int], Whole]]", '[[{"a":1},[2]]]', [({"a": 1}, [2])]),
    ],
)
def test_an_alias_is_what_it_stands_for(kind: str, text: str, value: Any) -> None:
    names: dict[str, Any] = {}
    exec(ALIASES, names)
    codec = codec_of(eval(kind, names))
    assert codec.decode(text) == value
    reader = codec.partial()
    for end in range(len(text)):
        reader.read(text[:end])
    assert reader.read(text) == value
    with pytest.raises(InvalidParameterError, match="Whole contains itself"):
        codec_of(names["Whole"]).fitted(XAI)


def test_a_whole_number_may_be_written_with_a_point() -> None:
    """It is an integer to JSON Schema: https://json-schema.org/understanding-json-schema/reference/numeric#integer"""
    assert codec_of(Point).decode('{"x":1.0,"y":-2e0}') == Point(1, -2)
    assert arguments_of(scale).convert({"n": 2.0, "factor": 3}) == {"n": 2, "factor": 3}
    with pytest.raises(DecodeError):
        codec_of(Point).decode('{"x":1.5}')


def scale(n: int, factor: int) -> int:
    return n * factor


class OfFunctions(msgspec.Struct):
    ok: int
    inner: list[dict[str, Callable[[], int]]]


@dataclasses.dataclass
class OfOddBounds:
    count: Annotated[str, Meta(ge=3)]


@dataclasses.dataclass
class OfNobody:
    who: Nobody  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        (list[complex], "list[complex][]"),
        (OfFunctions, "OfFunctions.inner[][...]"),
        (dict[str, OfFunctions], "dict[str, OfFunctions][...].inner[][...]"),
        (OfOddBounds, "OfOddBounds.count"),
        (OfNobody, "OfNobody"),
        (object, "object"),
    ],
)
def test_what_has_no_schema_is_named(kind: Any, place: str) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        codec_of(kind)
    assert str(caught.value).startswith(f"{place}: ")


def test_what_a_provider_cannot_say_is_named() -> None:
    with pytest.raises(InvalidParameterError, match=r"^Node\.below\[\]: Node contains itself"):
        codec_of(Node).fitted(XAI)


def test_a_function_is_called_with_values_of_its_types() -> None:
    def book(city: str, nights: Annotated[int, Meta(ge=1)] = 2, *, lines: list[Line] | None = None) -> str:
        """Book a room.

        At once.

        Args:
            city: Where,
                in one word.
            nights (int): How many.

        Returns:
            Its number.
        """
        return f"{city} {nights} {lines}"

    book.__annotations__ |= {"city": str, "nights": Annotated[int, Meta(ge=1)], "lines": list[Line] | None}
    found = arguments_of(book)
    assert (found.name, found.description) == ("book", "Book a room.\n\nAt once.")
    assert found.schema["required"] == ["city"]
    assert found.schema["properties"]["city"] == {"type": "string", "description": "Where, in one word."}
    assert found.schema["properties"]["nights"]["description"] == "How many."
    assert found.decode('{"city":"Rome","lines":[{"what":"a","amount":1}]}') == {
        "city": "Rome",
        "lines": [Line("a", 1.0)],
    }
    assert found.fitted(STRICT).strict
    with pytest.raises(DecodeError) as caught:
        found.decode('{"city":"Rome","nights":0}')
    assert caught.value.path == "$.nights"
    for wrong in ('{"city":"Rome","night":1}', "[]", "{", ""):
        with pytest.raises(DecodeError):
            found.decode(wrong)
    assert found.convert({"city": "Rome"}) == {"city": "Rome"}
    assert arguments_of(book, frozenset({"city"})).decode("") == {}


NUMPY = """Book a room.

Parameters
----------
city : str
    Where,
    in one word.
nights : int, optional
    How many: two by default.

Returns
-------
str
    Its number.
"""
SPHINX = """Book a room.

:param city: Where,
    in one word.
:param int nights: How many: two by default.
:type city: str
:returns: Its number.
"""
GOOGLE = """Book a room.

Arguments:
    city: Where,
        in one word.
    nights (int, optional): How many: two by default.

Returns:
    str: Its number.
"""


@pytest.mark.parametrize("docstring", [NUMPY, SPHINX, GOOGLE], ids=["numpy", "sphinx", "google"])
def test_docstrings_of_three_styles_say_what_arguments_are(docstring: str) -> None:
    def book(city: str, nights: int = 2) -> str:
        return f"{city} {nights}"

    book.__doc__ = docstring
    for made in (book, functools.partial(book, nights=3)):
        found = arguments_of(made)
        assert found.description == "Book a room."
        said = {name: each["description"] for name, each in found.schema["properties"].items()}
        assert said == {"city": "Where, in one word.", "nights": "How many: two by default."}


def test_a_function_that_no_call_can_be_written_for_is_refused() -> None:
    def of_places(a: int, /) -> None: ...
    def of_many(*a: int) -> None: ...
    def of_nothing(a) -> None: ...  # type: ignore[no-untyped-def]
    def of_functions(a: Callable[[], int]) -> None: ...

    for function in (of_places, of_many, of_nothing, of_functions):
        with pytest.raises(InvalidParameterError, match=rf"^{function.__name__}\.a: "):
            arguments_of(function)


def test_pydantic_is_not_imported() -> None:
    code = (
        "import sys, dataclasses\nfrom headwater.schema.codec import codec_of\n"
        "@dataclasses.dataclass\nclass P:\n    x: int\n"
        "codec_of(P).decode('{\"x\": 1}')\nprint(sorted({'pydantic', 'attrs', 'jiter'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=240)
    assert done.stdout.strip() == "[]"
