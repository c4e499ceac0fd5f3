"""Typed answers of a real model, held to their schemas by llama.cpp's grammars: whole, in a stream, and as elements.

`nox -s real` runs these tests; alone they skip. A model of 135 million weights says nothing sensible: what it is held
to is the type, with every bound of it.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import pydantic
import pytest
from msgspec import Meta
from support.drivers import Driver

from headwater import InferenceClient, TruncatedAnswerError

if "HEADWATER_REAL" not in os.environ:
    pytest.skip("real servers are installed and run by `nox -s real`", allow_module_level=True)
pytestmark = [pytest.mark.anyio, pytest.mark.real]

ASKED = [{"role": "user", "content": "Two teas for Ada, please, at two euros each. Answer with JSON."}]
STABLE: dict[str, Any] = {"model": "gpt-4o", "max_tokens": 300, "temperature": 0.0, "seed": 1}


class Leaf(enum.Enum):
    GREEN = "green"
    BLACK = "black"


class Line(msgspec.Struct):
    """One line of an order."""

    what: Annotated[str, Meta(min_length=3, max_length=8)]
    leaf: Leaf
    cups: Annotated[int, Meta(ge=2, le=5)]


class Order(msgspec.Struct):
    number: Annotated[str, Meta(pattern="^[A-Z]{2}-[0-9]{3}$")]
    lines: Annotated[list[Line], Meta(min_length=1, max_length=2)]
    when: datetime.date
    paid: bool | None = None


@dataclasses.dataclass
class Cash:
    kind: Literal["cash"]
    euros: Annotated[float, Meta(ge=0)]


@dataclasses.dataclass
class Card:
    kind: Literal["card"]
    last: Annotated[str, Meta(pattern="^[0-9]{4}$")]


@dataclasses.dataclass
class Payment:
    by: Cash | Card
    tip: Literal[0, 1, 2]


class Place(NamedTuple):
    row: Annotated[int, Meta(ge=1, le=9)]
    seat: Literal["a", "b"]


class Guest(pydantic.BaseModel):
    name: str = pydantic.Field(min_length=2, max_length=12)
    age: int = pydantic.Field(ge=18, le=99)
    leaf: Leaf | None = None


class Step(msgspec.Struct):
    name: Annotated[str, Meta(max_length=6)]
    then: Annotated[list[Step], Meta(max_length=1)]


KINDS: list[Any] = [
    Order,
    Payment,
    Guest,
    Place,
    Annotated[list[Line], Meta(min_length=1, max_length=2)],
    tuple[Leaf, bool],
    Leaf,
    Line | None,
]


@pytest.mark.dealt
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", KINDS, ids=[getattr(kind, "__name__", str(kind))[:30] for kind in KINDS])
async def test_the_answer_is_a_value_with_all_its_bounds(driver: Driver, llama: str, kind: Any, stream: bool) -> None:
    async with driver.client(base_url=f"{llama}/v1", timeout=100) as client:
        if not stream:
            answer = await client.chat_completion(ASKED, response_format=kind, **STABLE)
        else:
            async with client.chat_completion.stream(ASKED, response_format=kind, **STABLE) as run:
                async for _ in run:
                    last = run.partial.parsed
                answer = await run.result()
            assert last == answer.parsed
    found = msgspec.to_builtins(answer.parsed) if not isinstance(answer.parsed, pydantic.BaseModel) else answer.parsed
    assert found is not None
    assert not answer.tries


def test_elements_come_before_the_answers_end(llama: str) -> None:
    """It may go on with elements until it is cut: those before are whole."""
    found = []
    with (
        InferenceClient(base_url=f"{llama}/v1", timeout=100) as client,
        client.chat_completion.items(ASKED, of=Line, **{**STABLE, "max_tokens": 150}) as rows,
    ):
        try:
            for row in rows:
                found.append(row)
        except TruncatedAnswerError as error:
            assert error.partial.parsed[: len(found)] == found
    assert found
    assert all(isinstance(row, Line) and 2 <= row.cups <= 5 for row in found)


def test_what_is_cut_is_said_to_be(llama: str) -> None:
    with InferenceClient(base_url=f"{llama}/v1", timeout=100) as client, pytest.raises(TruncatedAnswerError) as caught:
        client.chat_completion(ASKED, response_format=Order, **{**STABLE, "max_tokens": 12})
    assert isinstance(caught.value.partial.parsed, Order)
    assert caught.value.usage.completion_tokens == 12


def test_a_type_that_contains_itself(llama: str) -> None:
    with InferenceClient(base_url=f"{llama}/v1", timeout=100) as client:
        try:
            answer = client.chat_completion(ASKED, response_format=Step, **STABLE)
        except TruncatedAnswerError as error:  # it need not come to an end
            answer = error.partial
    assert isinstance(answer.parsed, Step)


def test_a_text_is_held_to_a_type(llama: str) -> None:
    with InferenceClient(base_url=f"{llama}/v1", timeout=100) as client:
        text = client.text_generation("The order as JSON:", grammar=Line, max_new_tokens=100, temperature=0.0)
    assert 2 <= text.parsed.cups <= 5


def test_the_command_prints_the_value_of_a_schema_file(llama: str, tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"cups": {"type": "integer", "minimum": 3, "maximum": 4}}}
    (tmp_path / "cups.json").write_text(json.dumps({**schema, "required": ["cups"]}))
    command = [sys.executable, "-m", "headwater", "chat", "--base-url", f"{llama}/v1", "--model", "m"]
    options = ["--max-tokens", "50", "--schema", "cups.json", "How many cups?"]
    done = subprocess.run([*command, *options], capture_output=True, timeout=100, cwd=tmp_path, check=True)
    assert json.loads(done.stdout)["cups"] in (3, 4)
