"""Values of Python programs in requests: what says what JSON can say is sent as that, and nothing is altered."""

from __future__ import annotations

import dataclasses
import datetime
import json
import math
import types
import uuid
from collections import UserDict, UserList, deque
from decimal import Decimal
from enum import Enum, StrEnum
from pathlib import PurePosixPath
from typing import Any

import numpy
import pytest
from support.drivers import Driver, in_thread

from headwater.client.call_options import taken
from headwater.client.post import request_flow
from headwater.errors import InvalidParameterError
from headwater.protocol.json_value import encoded
from headwater.tasks.chat import chat_completion
from headwater.tasks.chat_input import ChatCompletionInputMessage
from headwater.tasks.embeddings import feature_extraction
from headwater.tasks.messages import create_message
from headwater.tasks.text import text_generation
from headwater.testing import MemoryTransport, ScriptedResponse


class Text(str):
    """A text of a class of its own."""

    __slots__ = ()

    def __str__(self) -> str:
        return "another"


class Role(StrEnum):
    """A member of an enum that is a text."""

    USER = "user"


class Plain(Enum):
    """A member of an enum that is none."""

    USER = "user"


@dataclasses.dataclass
class Message:
    """A message as a dataclass."""

    role: Any
    content: str
    name: str | None = None


class Model:
    """As pydantic's models are."""

    role = "user"
    content = "a"

    def model_dump(self, **how: Any) -> dict[str, Any]:
        """Its members."""
        assert how == {"exclude_unset": True}
        return {"role": "user", "content": "a"}


MESSAGE = {"role": "user", "content": "a"}


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (numpy.str_("a"), "a"),
        (Text("a"), "a"),
        (Role.USER, "user"),
        (Plain.USER, "user"),
        (numpy.float64(0.5), 0.5),
        (numpy.float32(0.5), 0.5),
        (numpy.int64(3), 3),
        (numpy.bool_(True), True),
        (numpy.array([[1, 2]]), [[1, 2]]),
        (numpy.array(3), 3),
        (types.MappingProxyType({"a": 1}), {"a": 1}),
        (UserDict({"a": Text("b")}), {"a": "b"}),
        ({numpy.str_("a"): 1, Role.USER: 2, numpy.int64(5): 3}, {"a": 1, "user": 2, "5": 3}),
        ((1, (2, None)), [1, [2, None]]),
        ({1}, [1]),
        (deque([1]), [1]),
        (range(2), [0, 1]),
        ({"a": 1}.values(), [1]),
        (PurePosixPath("a/b"), "a/b"),
        (datetime.date(2020, 1, 2), "2020-01-02"),
        (datetime.datetime(2020, 1, 2, tzinfo=datetime.UTC), "2020-01-02T00:00:00+00:00"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Message("user", "a"), MESSAGE),
        (Model(), MESSAGE),
        (ChatCompletionInputMessage(role="user", content="a"), MESSAGE),
        (10**30, 10**30),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_says_what_json_can_say_is_sent(value: Any, sent: Any) -> None:
    assert json.loads(encoded(value)) == sent
    assert json.loads(encoded({"a": [value]})) == {"a": [sent]}


@pytest.mark.parametrize(
    "value",
    [b"a", bytearray(b"a"), memoryview(b"a"), math.nan, math.inf, -math.inf, numpy.float32("nan"), Decimal("1.5"),
     numpy.array([1.0, math.inf]), numpy.bytes_(b"a"), iter([1]), object(), print, 1j, {1.5: 1}],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
@pytest.mark.parametrize("way", ["content", "text", "extra_body"])
def test_what_json_cannot_say_is_refused_with_its_place(value: Any, way: str) -> None:
    bodies: dict[str, tuple[Any, str]] = {
        "content": ({"messages": [{"content": value}]}, "messages[0].content"),
        "text": ({"messages": [{"content": [{"type": "text"}, {"text": value}]}]}, "messages[0].content[1].text"),
        "extra_body": ({"user": {"score": (0, value)}}, "user.score[1]"),
    }
    body, place = bodies[way]
    with pytest.raises(InvalidParameterError) as found:
        encoded(body)
    assert f" {place}" in str(found.value)


def test_a_value_in_itself_is_refused() -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(InvalidParameterError):
        encoded(circle)


def column(messages: list[Any]) -> Any:
    """As a table's column has them, and what is in them."""
    made = numpy.empty(len(messages), dtype=object)
    made[:] = messages
    return made


@pytest.mark.parametrize(
    "message",
    [MESSAGE, types.MappingProxyType(MESSAGE), UserDict(MESSAGE), Message(Role.USER, "a"), Model(),
     Message(Plain.USER, "a"), {"role": Role.USER, "content": numpy.str_("a")}],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
@pytest.mark.parametrize("many", [list, tuple, iter, deque, UserList, column], ids=lambda kind: kind.__name__)
def test_messages_of_any_type(message: Any, many: Any) -> None:
    given = chat_completion.bind((many([message]),), {"temperature": numpy.float64(0.5), "max_tokens": numpy.int64(3)})
    assert json.loads(encoded(given)) == {"messages": [MESSAGE], "temperature": 0.5, "max_tokens": 3}


@pytest.mark.parametrize("many", [list, tuple, deque, UserList, column], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("task", [chat_completion, create_message], ids=lambda task: task.name)
def test_parts_in_any_list(task: Any, many: Any) -> None:
    parts = [{"type": "text", "text": "a"}]
    given = task.bind(([{"role": "user", "content": many(parts)}],), {"model": "m", "max_tokens": 1})
    assert json.loads(encoded(given))["messages"] == [{"role": "user", "content": parts}]


@pytest.mark.parametrize(
    "texts",
    [numpy.array(["a", "b"]), column(["a", "b"]), UserList("ab"), ("a", "b"), iter(["a", "b"]),
     [numpy.str_("a"), Text("b")], {"a": 1, "b": 2}.keys()],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_texts_in_any_list(texts: Any) -> None:
    given = feature_extraction.bind((texts,), {"normalize": numpy.bool_(True)})
    assert json.loads(encoded(given)) == {"text": ["a", "b"], "normalize": True}


def test_parameters_of_any_type() -> None:
    given = text_generation.bind((Text("a"),), {"stop": {"b"}, "extra_body": types.MappingProxyType({"x": 1})})
    assert json.loads(encoded(given)) == {"prompt": "a", "stop": ["b"], "extra_body": {"x": 1}}


def test_a_query_of_any_type() -> None:
    given = {"a": numpy.int64(1), "b": numpy.array(["c", "d"]), "e": (numpy.bool_(True), Text("f")), "g": UserList([2])}
    assert taken({"extra_query": given}).query == (("a", "a=1"), ("b", "b=c&b=d"), ("e", "e=true&e=f"), ("g", "g=2"))


def test_a_posts_iterator_is_read_once_for_all_attempts() -> None:
    body = request_flow(iter([1, 2]), None, False).keywords["json"]  # type: ignore[attr-defined]
    assert body == [1, 2]


# the whole way, by every kind of call


def answering() -> MemoryTransport:
    said = {"choices": [{"index": 0, "message": {"content": "a"}, "finish_reason": "stop"}]}
    return MemoryTransport(lambda _: ScriptedResponse.json(said))


async def asked(driver: Driver, how: str, given: dict[str, Any]) -> list[Any]:
    """What is sent for a call with these arguments, made plainly, streamed or by a map."""
    transport = answering()
    async with driver.client(base_url="http://127.0.0.1:9/v1", transport=transport, retries=0) as client:
        messages = given.pop("messages")
        if how == "plain":
            await client.chat_completion(messages, **given)
        elif how == "streamed":
            await client.chat_completion.stream(messages, **given).result()
        elif driver.blocking:
            await in_thread(mapped, client.client, {"messages": messages, **given})
        else:
            async with client.map(client.chat_completion, [{"messages": messages, **given}]) as results:
                [result.result() async for result in results]
    return [request.json() for request in transport.requests]


def mapped(client: Any, given: dict[str, Any]) -> None:
    with client.map(client.chat_completion, [given]) as results:
        [result.result() for result in results]


@pytest.mark.anyio
@pytest.mark.parametrize("how", ["plain", "streamed", "map"])
async def test_values_of_every_kind_are_sent(driver: Driver, how: str) -> None:
    given = {
        "messages": (types.MappingProxyType({"role": Role.USER, "content": numpy.str_("a")}), Message("user", "b")),
        "temperature": numpy.float64(0.5),
        "max_tokens": numpy.int64(3),
        "stop": {Text("c")},
        "logprobs": numpy.bool_(True),
        "extra_body": UserDict({"x": numpy.array([1.5]), "when": datetime.date(2020, 1, 2)}),
    }
    (sent,) = await asked(driver, how, given)
    assert sent.pop("stream") is (how == "streamed")
    del sent["model"]
    assert sent == {
        "messages": [MESSAGE, {"role": "user", "content": "b"}],
        "temperature": 0.5,
        "max_tokens": 3,
        "stop": ["c"],
        "logprobs": True,
        "x": [1.5],
        "when": "2020-01-02",
    }


@pytest.mark.anyio
@pytest.mark.parametrize("how", ["plain", "streamed", "map"])
async def test_values_of_no_kind_are_refused_before_anything_is_sent(
    driver: Driver, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(MemoryTransport, "send", lambda *_: sent.append(1))
    for value in (b"a", math.inf, math.nan, Decimal("1.5"), numpy.float32("nan"), object()):
        for given in ({"messages": [{**MESSAGE, "content": value}]}, {"extra_body": {"x": [value]}}, {"top_p": value}):
            with pytest.raises(InvalidParameterError):
                await asked(driver, how, {"messages": [MESSAGE], **given})
    assert not sent
