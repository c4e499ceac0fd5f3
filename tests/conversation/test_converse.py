"""A conversation whose model calls tools, on every driver, against an emulator whose turns are written here.

The emulator refuses what OpenAI refuses: a call that no message answers, an answer that no call waits for.
"""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import anyio
import msgspec
import pydantic
import pytest
from support.drivers import Driver, on_one_loop

from headwater import (
    ChatCompletionStreamOutput,
    ConversationLimitError,
    ConversationState,
    InferenceTimeoutError,
    InvalidAnswerError,
    InvalidParameterError,
    Timeout,
    Tool,
    ToolCalled,
    ToolContent,
    ToolError,
    ToolReturned,
    TurnEnded,
    tool,
)
from headwater.emulator.server import Emulator

pytestmark = pytest.mark.anyio
ASKED = [{"role": "user", "content": "What is 1 + 2, and 3 * 4?"}]
BOTH = [("add", {"a": 1, "b": 2}), ("multiply", {"a": 3, "b": 4})]


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@tool
async def multiply(a: int, b: int) -> dict[str, int]:
    """Multiply two numbers."""
    await anyio.lowlevel.checkpoint()
    return {"product": a * b}


@tool
def fails(a: int) -> int:
    """Fail."""
    raise ValueError(f"{a} is no good")


@tool
def complains() -> int:
    """Fail in words that are meant for the model."""
    raise ToolError("ask for another city")


@tool
async def hangs() -> None:
    """Never return."""
    await anyio.sleep_forever()


@tool(timeout=0.05)
async def is_late() -> None:
    """Never return, and be given up."""
    await anyio.sleep_forever()


def script(url: Emulator, *turns: Any) -> str:
    """A model of its own for the test, with these turns."""
    name = f"m{abs(hash(json.dumps(turns)))}"
    url.script(name, *turns)
    return name


def asks(url: Emulator, driver: Driver) -> Any:
    return driver.client(base_url=f"{url}/v1", retries=0)


def refused(url: Emulator, transcript: list[dict[str, Any]]) -> Any:
    """What the emulator has against a transcript."""
    import httpx

    asked = [*transcript, {"role": "user", "content": "And then?"}]
    answer = httpx.post(f"{url}/v1/chat/completions", json={"model": "m", "messages": asked}, trust_env=False)
    return None if answer.status_code == 200 else answer.text


async def test_a_conversation_hands_over_chunks_calls_results_and_turns(
    driver: Driver, headwater_emulator: Emulator
) -> None:
    model = script(headwater_emulator, {"content": "Let me see.", "tool_calls": BOTH}, "It is 3, and 12.")
    async with asks(headwater_emulator, driver) as client:
        run = client.converse(ASKED, tools=[add, multiply], model=model)
        async with run:
            events = [event async for event in run]
            result = await run.result()
    others = [event for event in events if not isinstance(event, ChatCompletionStreamOutput)]
    kinds = [type(event) for event in others]
    assert kinds == [ToolCalled, ToolCalled, ToolReturned, ToolReturned, TurnEnded, TurnEnded]
    assert [event.arguments for event in others[:2]] == [{"a": 1, "b": 2}, {"a": 3, "b": 4}]
    assert [(e.value, e.content, e.outcome, e.is_error) for e in others[2:4]] == [
        (3, "3", "returned", False),
        ({"product": 12}, '{"product":12}', "returned", False),
    ]
    text = "".join(e.choices[0].delta.content or "" for e in events if hasattr(e, "choices") and e.choices)
    assert text == "Let me see.It is 3, and 12."
    assert (result.text, result.ended, run.outcome) == ("It is 3, and 12.", "answered", "answered")
    assert [(turn.number, turn.facts.model, len(turn.facts.attempts)) for turn in result.turns] == [
        (1, model, 1),
        (2, model, 1),
    ]
    assert result.usage.total_tokens == sum(turn.usage.total_tokens for turn in result.turns)
    roles = [message["role"] for message in result.transcript]
    assert roles == ["user", "assistant", "tool", "tool", "assistant"]
    assert json.loads(json.dumps(result.transcript)) == result.transcript
    assert refused(headwater_emulator, result.transcript) is None


async def test_whole_answers_are_asked_for_where_a_server_cannot_stream(
    driver: Driver, headwater_emulator: Emulator
) -> None:
    model = script(headwater_emulator, BOTH, "Done.", "x")
    async with asks(headwater_emulator, driver) as client:
        result = await client.converse(ASKED, tools=[add, multiply], model=model, stream=False).result()
    assert (result.text, len(result.turns)) == ("Done.", 2)
    assert all(not request.json["stream"] for request in headwater_emulator.requests[-2:])


WRONG = [
    ("fails", {"a": 7}, "failed", "Error: ValueError: 7 is no good"),
    ("complains", {}, "failed", "Error: ask for another city"),
    ("nobody", {}, "invalid", "there is no tool 'nobody'"),
    ("add", {"a": 1}, "invalid", "b"),
    ("add", {"a": "x", "b": 2}, "invalid", "int"),
    ("add", '{"a": 1, "b"', "invalid", "not valid JSON"),
    ("add", "[1, 2]", "invalid", "JSON object"),
    ("is_late", {}, "timed out", "0.05 s"),
]


async def test_what_fails_is_an_answer_and_spares_the_others(driver: Driver, headwater_emulator: Emulator) -> None:
    calls = [(name, arguments) for name, arguments, _, _ in WRONG]
    model = script(headwater_emulator, [*calls, ("add", {"a": 1, "b": 2})], "Sorry.")
    tools = [add, multiply, fails, complains, is_late]
    async with asks(headwater_emulator, driver) as client:
        result = await client.converse(ASKED, tools=tools, model=model).result()
    returned = result.turns[0].returned
    assert returned[-1].value == 3
    for found, (name, _, outcome, text) in zip(returned, WRONG, strict=False):
        assert (found.name, found.outcome, found.is_error) == (name, outcome, True)
        assert text in found.content
    assert refused(headwater_emulator, result.transcript) is None


async def test_a_tool_that_raises_what_ends_a_program_ends_it(headwater_emulator: Emulator) -> None:
    @tool
    async def leaves() -> None:
        raise SystemExit(3)

    model = script(headwater_emulator, [("leaves", {}), ("hangs", {})], "Never.")
    async with (
        asks(headwater_emulator, Driver("any")) as client,
        client.converse(ASKED, tools=[leaves, hangs], model=model) as run,
    ):
        with pytest.raises(SystemExit):
            await run.result()
    assert refused(headwater_emulator, run.transcript) is None


async def test_as_many_tools_run_at_once_as_may(driver: Driver, headwater_emulator: Emulator) -> None:
    running, most = 0, 0

    @tool
    async def counts(number: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        running -= 1
        return number

    model = script(headwater_emulator, [("counts", {"number": number}) for number in range(6)], "Done.")
    async with asks(headwater_emulator, driver) as client:
        result = await client.converse(ASKED, tools=[counts], model=model, tools_at_once=2).result()
    assert (most, [returned.value for returned in result.turns[0].returned]) == (2, list(range(6)))


async def test_synchronous_tools_run_beside_each_other_in_threads(driver: Driver, headwater_emulator: Emulator) -> None:
    together = threading.Barrier(2, timeout=10)

    @tool
    def meets(name: str) -> str:
        together.wait()
        return f"{name} {threading.current_thread() is threading.main_thread()}"

    model = script(headwater_emulator, [("meets", {"name": "a"}), ("meets", {"name": "b"})], "Done.")
    async with asks(headwater_emulator, driver) as client:
        result = await client.converse(ASKED, tools=[meets], model=model).result()
    assert [found.value for found in result.turns[0].returned] == ["a False", "b False"]


# limits


@pytest.mark.parametrize(("limit", "name"), [({"max_turns": 2}, "max_turns"), ({"budget": 1}, "budget")])
async def test_a_limit_ends_it_with_all_that_there_is(
    driver: Driver, headwater_emulator: Emulator, limit: dict[str, int], name: str
) -> None:
    model = script(headwater_emulator, BOTH, BOTH, BOTH, "At last.")
    async with asks(headwater_emulator, driver) as client:
        with pytest.raises(ConversationLimitError) as caught:
            await client.converse(ASKED, tools=[add, multiply], model=model, **limit).result()
        so_far = caught.value.partial
        assert (caught.value.limit, len(so_far.turns)) == (name, limit.get("max_turns", 1))
        assert refused(headwater_emulator, so_far.transcript) is None
        result = await client.converse(so_far.state.to_json(), tools=[add, multiply], model=model).result()
    assert result.text == "At last."
    assert result.state.turns == 4
    assert result.state.usage["total_tokens"] > result.usage.total_tokens


async def test_the_deadline_is_the_whole_conversations(driver: Driver, headwater_emulator: Emulator) -> None:
    model = script(headwater_emulator, [("hangs", {}), ("add", {"a": 1, "b": 2})], "Never.")
    limits = Timeout(total=1)
    async with asks(headwater_emulator, driver) as client:
        run = client.converse(ASKED, tools=[add, hangs], model=model, timeout=limits)
        async with run:
            with pytest.raises(InferenceTimeoutError) as caught:
                await run.result()
    assert caught.value.phase == "total"
    assert [returned.outcome for returned in caught.value.partial.turns[0].returned] == ["cancelled", "returned"]
    assert refused(headwater_emulator, run.transcript) is None


# approval


@pytest.mark.parametrize("decided", ["async", "sync"])
async def test_calls_are_allowed_or_refused(driver: Driver, headwater_emulator: Emulator, decided: str) -> None:
    asked: list[str] = []

    def allow(call: ToolCalled) -> bool | str:
        asked.append(call.name)
        return True if call.name == "add" else "too dear"

    async def allow_later(call: ToolCalled) -> bool | str:
        await anyio.lowlevel.checkpoint()
        return allow(call)

    free = tool(name="free", approval=False)(lambda: "free")
    model = script(headwater_emulator, [*BOTH, ("free", {})], "Done.")
    async with asks(headwater_emulator, driver) as client:
        approve = allow if decided == "sync" else allow_later
        result = await client.converse(ASKED, tools=[add, multiply, free], model=model, approve=approve).result()
    assert asked == ["add", "multiply"]
    assert [found.outcome for found in result.turns[0].returned] == ["returned", "refused", "returned"]
    assert "too dear" in result.turns[0].returned[1].content


@on_one_loop("trio")
async def test_a_person_has_a_clock_of_their_own(headwater_emulator: Emulator) -> None:
    async def slow(call: ToolCalled) -> bool:
        await anyio.sleep(3.1)
        return True

    model = script(headwater_emulator, BOTH[:1], "Done.")
    async with asks(headwater_emulator, Driver("any")) as client:
        given: dict[str, Any] = {"tools": [add], "model": model, "approve": slow}
        waited = await client.converse(ASKED, timeout=3, **given).result()
        assert waited.turns[0].returned[0].outcome == "returned"
        late = await client.converse(ASKED, approval_timeout=0.05, **given).result()
    assert late.turns[0].returned[0].outcome == "refused"


async def test_an_undecided_call_pauses_it_and_another_process_goes_on(
    driver: Driver, headwater_emulator: Emulator
) -> None:
    model = script(headwater_emulator, BOTH, "Done.")
    async with asks(headwater_emulator, driver) as client:
        later = await client.converse(ASKED, tools=[add, multiply], model=model, approve=lambda call: None).result()
        assert (later.ended, [call.name for call in later.pending]) == ("paused", ["add", "multiply"])
        assert refused(headwater_emulator, later.transcript) is None
        state = ConversationState.from_json(later.state.to_json())
        state.decide(later.pending[0].id, True)
        state.decide(later.pending[1].id, "no")
        with pytest.raises(InvalidParameterError):
            state.decide(later.pending[1].id, True)
        result = await client.converse(state, tools=[add, multiply], model=model).result()
    assert result.text == "Done."
    assert [message["content"] for message in result.transcript[2:4]] == ["3", "Error: the call was not allowed: no."]


async def test_a_tool_that_must_be_allowed_waits_where_nobody_can_be_asked(
    driver: Driver, headwater_emulator: Emulator
) -> None:
    @tool(approval=True)
    def deletes() -> str:
        """Delete everything."""
        return "deleted"

    model = script(headwater_emulator, [("deletes", {})], "Done.")
    async with asks(headwater_emulator, driver) as client:
        paused = await client.converse(ASKED, tools=[deletes], model=model).result()
        assert paused.ended == "paused"
        result = await client.converse(paused.state, tools=[deletes], model=model, approve=lambda call: True).result()
    assert result.transcript[2]["content"] == "deleted"


@pytest.mark.parametrize("repeatable", [False, True])
async def test_a_call_that_had_begun_elsewhere_is_told_as_lost(
    driver: Driver, headwater_emulator: Emulator, repeatable: bool
) -> None:
    seen: list[str] = []

    @tool(repeatable=repeatable)
    async def keeps() -> str:
        """Keep where the conversation stands, as a process that ends just then would have."""
        seen.append(run.state.to_json())
        return "kept"

    model = script(headwater_emulator, [("keeps", {})], "Done.")
    async with asks(headwater_emulator, driver) as client:
        run = client.converse(ASKED, tools=[keeps], model=model)
        async with run:
            await run.result()
        result = await client.converse(seen[0], tools=[keeps], model=model).result()
    told = result.transcript[2]["content"]
    assert (told == "kept", "not known" in told) == (repeatable, not repeatable)


# results


async def test_what_a_tool_returns_is_told_and_shown(driver: Driver, headwater_emulator: Emulator) -> None:
    from PIL import Image

    @tool
    def draws() -> Any:
        """Draw."""
        return ["a dot", Image.new("RGB", (1, 1))]

    @tool
    def says() -> ToolContent:
        """Say something else to the model than to the program."""
        return ToolContent(text="short", value={"long": 1})

    @tool
    def nothing() -> None:
        """Return nothing."""

    model = script(headwater_emulator, [("draws", {}), ("says", {}), ("nothing", {})], "Done.")
    async with asks(headwater_emulator, driver) as client:
        result = await client.converse(ASKED, tools=[draws, says, nothing], model=model).result()
    told = [message["content"] for message in result.transcript[2:5]]
    assert told == ["a dot\n(an image)", "short", "(nothing)"]
    assert result.turns[0].returned[1].value == {"long": 1}
    shown = result.transcript[5]
    assert shown["role"] == "user"
    assert shown["content"][1]["image_url"]["url"].startswith("data:image/png;base64,")


async def test_a_demand_for_a_call_holds_for_the_first_turn(driver: Driver, headwater_emulator: Emulator) -> None:
    async with asks(headwater_emulator, driver) as client:
        result = await client.converse(
            [{"role": "user", "content": "hello"}], tools=[add], model="words-3", tool_choice="required"
        ).result()
    assert [len(turn.returned) for turn in result.turns] == [1, 0]


async def test_a_conversation_without_tools_is_a_chat(driver: Driver, headwater_emulator: Emulator) -> None:
    async with asks(headwater_emulator, driver) as client:
        result = await client.converse(ASKED, model="words-3").result()
    assert "tools" not in headwater_emulator.requests[-1].json
    assert (len(result.turns), len(result.transcript)) == (1, 2)


# what is wrong is said before anything is sent


def undescribed(a: object, *rest: int) -> None: ...


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "function"),
        ({"tools": [add, add]}, "'add'"),
        ({"tools": "add"}, "tools"),
        ({"tools": [lambda: 1]}, "name"),
        ({"tools": [undescribed]}, "undescribed"),
        ({"messages": []}, "messages"),
        ({"messages": "{}"}, "state"),
        ({"max_turns": 0}, "max_turns"),
        ({"budget": "x"}, "budget"),
        ({"tool_timeout": -1}, "tool_timeout"),
        ({"tools_at_once": True}, "tools_at_once"),
        ({"tool_mode": "magic"}, "tool_mode"),
        ({"n": 2}, "n must be 1"),
        ({"temprature": 1}, "temperature"),
    ],
)
async def test_what_is_wrong_is_said_at_once(
    driver: Driver, headwater_emulator: Emulator, changes: dict[str, Any], named: str
) -> None:
    before = len(headwater_emulator.requests)
    async with asks(headwater_emulator, driver) as client:
        with pytest.raises(InvalidParameterError, match=named):
            client.converse(**{"messages": ASKED, "model": "m", "tools": [add], **changes})
    assert len(headwater_emulator.requests) == before


def counts() -> Iterator[int]:
    """Count."""
    yield from (1, 2)


async def counts_slowly() -> AsyncIterator[int]:
    """Count."""
    for each in (1, 2):
        yield each


def half() -> str:
    """Say half a character."""
    return "a\ud83d"


def opaque() -> object:
    """Return what has no form in JSON."""
    return Opaque()


class Opaque:
    def __str__(self) -> str:
        return "opaque"


class Adder:
    """An object that is called."""

    def __call__(self, a: Annotated[int, "The number."], b: Annotated[int, pydantic.Field(ge=2)] = 2) -> int:
        return a + b


@pytest.mark.dealt
@pytest.mark.parametrize(
    ("function", "arguments", "told"),
    [
        (counts, {}, "[1,2]"),
        (counts_slowly, {}, "[1,2]"),
        (half, {}, "a\ufffd"),
        (opaque, {}, "opaque"),
        (Adder(), {"a": 1}, "3"),
        (functools.partial(add.function, b=3), {"a": 1}, "4"),
    ],
)
async def test_odd_functions_are_tools(
    driver: Driver, headwater_emulator: Any, function: Any, arguments: dict[str, Any], told: str
) -> None:
    headwater_emulator.script("m", [(Tool(function).name, arguments)], "Done.")
    async with driver.client(base_url=f"{headwater_emulator}/v1") as client:
        result = await client.converse(ASKED, tools=[function], model="m").result()
    assert (result.turns[0].returned[0].content, result.text) == (told, "Done.")


def test_what_annotations_say_of_a_parameter_is_told() -> None:
    members = Tool(Adder()).parameters["properties"]
    assert members["a"] == {"type": "integer", "description": "The number."}
    assert members["b"] == {"type": "integer", "minimum": 2, "default": 2}


class Weather(msgspec.Struct):
    city: str
    degrees: float


@pytest.mark.parametrize("stream", [False, True])
async def test_the_last_answer_is_a_value_of_a_type(driver: Driver, headwater_emulator: Any, stream: bool) -> None:
    """What the model says beside its calls need be none."""
    said = {"content": "I add first.", "tool_calls": [("add", {"a": 1, "b": 2})]}
    headwater_emulator.script("m", said, '{"city": "Rome", "degrees": 3}')
    async with driver.client(base_url=f"{headwater_emulator}/v1") as client:
        run = client.converse(ASKED, tools=[add], model="m", response_format=Weather, stream=stream)
        parts = []
        async with run:
            async for _ in run:
                parts.append(run.partial.parsed)
            result = await run.result()
    assert result.parsed == Weather("Rome", 3.0)
    assert result.message.parsed == result.parsed
    assert result.transcript[-1] == {"role": "assistant", "content": '{"city": "Rome", "degrees": 3}'}
    assert parts[-1] == result.parsed
    assert headwater_emulator.requests[-1].json["response_format"]["json_schema"]["name"] == "Weather"


async def test_a_last_answer_that_is_none_is_asked_for_again_and_counted(
    driver: Driver, headwater_emulator: Any
) -> None:
    headwater_emulator.script("m", [("add", {"a": 1, "b": 2})], "rain", '{"city": "Rome", "degrees": 3}')
    async with driver.client(base_url=f"{headwater_emulator}/v1") as client:
        options = {"tools": [add], "model": "m", "response_format": Weather, "stream": False}
        result = await client.converse(ASKED, on_invalid="ask again", **options).result()
        assert result.parsed.city == "Rome"
        assert result.usage.total_tokens > sum(turn.usage.total_tokens for turn in result.turns)
        headwater_emulator.script("m", [("add", {"a": 1, "b": 2})], "rain")
        with pytest.raises(InvalidAnswerError) as caught:
            await client.converse(ASKED, **options).result()
    assert caught.value.partial.transcript[-1]["role"] == "tool"
    assert caught.value.text == "rain"
