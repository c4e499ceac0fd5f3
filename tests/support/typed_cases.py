"""Types of every kind that an answer may be of, each with JSON of it and the value that this is."""

from __future__ import annotations

import dataclasses
import datetime
import enum
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, NotRequired, TypedDict, TypeVar

import annotated_types
import attrs
import msgspec
import pydantic
from msgspec import Meta

T = TypeVar("T")
Euros = NewType("Euros", float)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Line(msgspec.Struct):
    """One line of an invoice."""

    what: str
    amount: Annotated[float, Meta(ge=0, description="In euros.")]
    colour: Colour | None = None


class Invoice(msgspec.Struct):
    number: Annotated[str, Meta(min_length=1, max_length=20)]
    lines: list[Line]
    paid: bool = False
    when: datetime.date | None = None


class Renamed(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    first_name: str
    last_name: str = ""


class Cat(msgspec.Struct, tag=True):
    lives: int


class Dog(msgspec.Struct, tag=True):
    tricks: list[str]


class Node(msgspec.Struct):
    name: str
    below: list[Node] = []


class Page(msgspec.Struct, Generic[T]):
    items: list[T]
    more: bool


@dataclasses.dataclass
class Point:
    x: int
    y: int = 3
    labels: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Box(Generic[T]):
    content: T


@attrs.define
class Crate:
    weight: float
    labels: list[str] = attrs.Factory(list)


class Movie(TypedDict):
    title: str
    year: NotRequired[int]


class Pair(NamedTuple):
    left: int
    right: str = "r"


class Holder(msgspec.Struct):
    pair: Pair
    either: Point | Crate


class Address(pydantic.BaseModel):
    street: str
    number: int = pydantic.Field(ge=1, alias="no")


class Person(pydantic.BaseModel):
    name: str
    address: Address | None = None
    friends: list[Person] = []


class Numbers(pydantic.RootModel[list[int]]):
    """A model that is no object."""


@dataclasses.dataclass
class Bounded:
    """Its bounds are said in another library's words, and some words are nobody's."""

    age: Annotated[int, pydantic.Field(ge=18, description="In years.")]
    names: Annotated[list[str], annotated_types.Len(1, 2)]
    note: Annotated[str, "For the kitchen."] = ""
    made: int = dataclasses.field(init=False, default=3)


@dataclasses.dataclass
class Mixed:
    person: Person
    points: dict[str, Point]


CASES: tuple[tuple[Any, str, Any], ...] = (
    (
        Invoice,
        (
            '{"number":"A\\n\\u00e9","lines":[{"what":"tea","amount":2.5,"colour":"red"},{"what":"\\"x\\"","amount":0,'
            '"colour":null}],"paid":true,"when":"2026-11-30"}'
        ),
        Invoice("A\né", [Line("tea", 2.5, Colour.RED), Line('"x"', 0.0)], True, datetime.date(2026, 11, 30)),
    ),
    (Renamed, '{"firstName":"Ada","lastName":"L"}', Renamed("Ada", "L")),
    (Cat | Dog, '{"type":"Dog","tricks":["sit"]}', Dog(["sit"])),
    (Node, '{"name":"a","below":[{"name":"b","below":[]}]}', Node("a", [Node("b")])),
    (Page[Line], '{"items":[{"what":"w","amount":1}],"more":false}', Page([Line("w", 1.0)], False)),
    (Point, '{"x":1,"y":2,"labels":["p"]}', Point(1, 2, ["p"])),
    (Box[int], '{"content":7}', Box(7)),
    (Crate, '{"weight":1.5,"labels":["a","b"]}', Crate(1.5, ["a", "b"])),
    (Movie, '{"title":"M","year":1931}', {"title": "M", "year": 1931}),
    (Pair, '{"left":1,"right":"b"}', Pair(1, "b")),
    (Holder, '{"pair":{"left":1},"either":{"weight":2}}', Holder(Pair(1), Crate(2.0))),
    (Person, '{"name":"N","address":{"street":"S","no":2},"friends":[{"name":"F"}]}', None),
    (Numbers, "[1,2]", Numbers([1, 2])),
    (Bounded, '{"age":20,"names":["a"],"note":"n"}', Bounded(20, ["a"], "n")),
    (Mixed, '{"person":{"name":"N"},"points":{"a":{"x":1}}}', Mixed(Person(name="N"), {"a": Point(1)})),
    (list[Line], '[{"what":"w","amount":1},{"what":"v","amount":2}]', [Line("w", 1.0), Line("v", 2.0)]),
    (list[Person], '[{"name":"N"}]', [Person(name="N")]),
    (tuple[int, str], '[1,"a"]', (1, "a")),
    (tuple[int, str], '{"0":1,"1":"a"}', (1, "a")),
    (tuple[int, ...], "[1,2,3]", (1, 2, 3)),
    (set[int], "[1,2]", {1, 2}),
    (frozenset[Colour], '["red"]', frozenset({Colour.RED})),
    (dict[str, Point], '{"a":{"x":1}}', {"a": Point(1)}),
    (dict[int, str], '{"1":"a"}', {1: "a"}),
    (Literal["a", "b"], '"b"', "b"),
    (Colour, '"red"', Colour.RED),
    (Line | Point | None, '{"x":1}', Point(1)),
    (Line | Point | None, "null", None),
    (Annotated[list[int], Meta(min_length=1)], "[1]", [1]),
    (Euros, "2.5", 2.5),
    (int | str, '"12"', "12"),
    (dict[str, Any], '{"a":[1,{"b":null}]}', {"a": [1, {"b": None}]}),
)
"""A type, JSON of it, and what that is; None where it is what the type's own reader makes of it."""


def expected(kind: Any, text: str, value: Any) -> Any:
    """The value of a case."""
    if value is None and hasattr(kind, "model_validate_json"):
        return kind.model_validate_json(text)
    return value
