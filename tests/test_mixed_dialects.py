"""Conversations and lists of providers in which OpenAI's dialect and Anthropic's are mixed, on every driver, at an
emulator that is as strict as both."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal

import msgspec
import pytest
from support.drivers import Driver

from headwater import (
    ChatCompletionOutput,
    InvalidRequestError,
    Message,
    Route,
    UnsupportedParameterError,
    emulator,
    tool,
)
from headwater.emulator.server import Emulator

pytestmark = pytest.mark.anyio

PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
TOOLS: list[dict[str, Any]] = [
    {
        "type": "function",
        "function": {
            "name": name,
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
    for name in ("weather_now", "weather_later")
]
OPENAI = Route("openai", model="gpt", api_key="key-of-a-test-1")
ANTHROPIC = Route("anthropic", model="claude-opus-4-6", api_key="key-of-a-test-2")
OLDER = Route("anthropic", model="claude-sonnet-4-5-redacted", api_key="key-of-a-test-2")


class Report(msgspec.Struct):
    city: str
    sky: Literal["clear", "grey"]


@pytest.fixture(scope="module")
def there() -> Iterator[Emulator]:
    with emulator.running() as url:
        yield url


def client_of(driver: Driver, there: Emulator, *routes: Route, **more: Any) -> Any:
    return driver.client(provider=list(routes), transport=emulator.rewriting(str(there)), **more)


async def chat(client: Any, messages: list[Any], *, stream: bool, **more: Any) -> ChatCompletionOutput:
    if not stream:
        plain: ChatCompletionOutput = await client.chat_completion(messages, **more)
        return plain
    run = client.chat_completion.stream(messages, **more)
    async with run:
        async for chunk in run:
            assert chunk.object == "chat.completion.chunk"
        answer: ChatCompletionOutput = await run.result()
    return answer


def answered(answer: ChatCompletionOutput, back: str) -> list[Any]:
    """The message of an answer and the results of its tools, as objects, as dicts, or out of a file."""
    message: Any = answer.choices[0].message
    calls = message.tool_calls or []
    kept = message if back == "objects" else message.to_dict() if back == "dicts" else json.loads(message.to_json())
    return [
        kept,
        *({"role": "tool", "tool_call_id": call.id, "content": f"{call.function.name}: rain"} for call in calls),
    ]


@pytest.mark.parametrize("back", ["objects", "dicts", "a file"])
@pytest.mark.parametrize(
    "routes", [(OPENAI, ANTHROPIC), (OPENAI, OLDER), (ANTHROPIC, OPENAI)], ids=["o-a", "o-older", "a-o"]
)
@pytest.mark.dealt
async def test_a_conversation_goes_on_in_the_other_dialect_and_back(
    driver: Driver, there: Emulator, routes: tuple[Route, Route], back: str
) -> None:
    """With pictures, several tools at once, and thinking with signatures, at which the emulator looks; whole and
    streamed."""
    first, second = (client_of(driver, there, route) for route in routes)
    messages: list[Any] = [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": [{"type": "text", "text": "the weather in Bern"}, PICTURE]},
    ]
    async with first, second:
        for turn, client in enumerate((first, second, first)):
            stream = turn % 2 == 0
            answer = await chat(client, messages, stream=stream, tools=TOOLS, reasoning_effort="low")
            calls = answer.choices[0].message.tool_calls or []
            assert len(calls) == 2 and answer.choices[0].finish_reason == "tool_calls"
            messages += answered(answer, back)
            other = second if client is first else first
            said = await chat(other, messages, stream=not stream, tools=TOOLS, reasoning_effort="low")
            assert said.choices[0].finish_reason == "stop" and "rain" in (said.choices[0].message.content or "")
            messages += answered(said, back)
            messages.append(
                {"role": "user", "content": [{"type": "text", "text": f"the weather, again {turn}"}, PICTURE]}
            )


async def test_a_list_of_providers_goes_from_one_dialect_to_the_other(driver: Driver, there: Emulator) -> None:
    """Where one is away, where one refuses, and where one has no word for a parameter."""
    away = Route("openai", model="missing", api_key="key-of-a-test-1")
    asked = [{"role": "user", "content": "the weather in Bern"}]
    for stream in (False, True):
        async with client_of(driver, there, away, ANTHROPIC, retries=0) as client:
            answer = await chat(client, asked, stream=stream, tools=TOOLS, max_tokens=50)
            assert answer.facts.provider == "anthropic" and len(answer.choices[0].message.tool_calls or []) == 2
        async with client_of(driver, there, ANTHROPIC, OPENAI, retries=0) as client:
            answer = await chat(client, asked, stream=stream, seed=7, max_tokens=50)
            assert answer.facts.provider == "openai"
    async with client_of(driver, there, ANTHROPIC) as client:
        with pytest.raises(UnsupportedParameterError, match="no seed"):
            await client.chat_completion(asked, seed=7)
        with pytest.raises(InvalidRequestError, match="final assistant content"):
            await client.chat_completion([*asked, {"role": "assistant", "content": "It is "}])


async def test_each_key_goes_to_its_own_provider(driver: Driver, there: Emulator) -> None:
    there.forget()
    away = Route("anthropic", model="missing", api_key="key-of-a-test-2")
    async with client_of(driver, there, away, OPENAI, retries=0) as client:
        await client.chat_completion([{"role": "user", "content": "a"}])
    first, second = there.requests
    assert first.path.startswith("/direct/anthropic/") or first.path == "/anthropic/v1/messages"
    assert first.carries("key-of-a-test-2") and not first.carries("key-of-a-test-1")
    assert second.carries("key-of-a-test-1") and not second.carries("key-of-a-test-2")


async def test_a_models_tools_are_run_at_anthropic(driver: Driver, there: Emulator) -> None:
    """`converse`, with thinking that goes back between the turns."""

    @tool
    def weather_now(city: str) -> str:
        """The weather."""
        return f"rain over {city[:4]}"

    for route in (ANTHROPIC, OLDER):
        async with client_of(driver, there, route) as client:
            run = client.converse(
                [{"role": "user", "content": "the weather in Bern"}], tools=[weather_now], reasoning_effort="low"
            )
            result = await run.result()
        assert "rain over" in result.text and len(result.turns) == 2


async def test_an_answer_of_a_type_at_anthropic(driver: Driver, there: Emulator) -> None:
    async with client_of(driver, there, ANTHROPIC) as client:
        asked = [{"role": "user", "content": "Bern"}]
        answer = await client.chat_completion(asked, response_format=Report)
        run = client.chat_completion.stream(asked, response_format=Report)
        assert isinstance(answer.parsed, Report) and (await run.result()).parsed == answer.parsed
    form = there.requests[-1].json["output_config"]["format"]
    assert form["type"] == "json_schema" and form["schema"]["additionalProperties"] is False


async def test_messages_fail_over_and_are_mapped(driver: Driver, there: Emulator) -> None:
    away = Route("anthropic", model="missing", api_key="key-of-a-test-2")
    asked = [{"role": "user", "content": "a b"}]
    async with client_of(driver, there, away, Route(base_url=str(there), model="m"), retries=0) as client:
        answer: Message = await client.create_message(asked, max_tokens=9)
        assert answer.stop_reason in {"end_turn", "max_tokens"} and answer.facts.provider == str(there)
        count = await client.count_message_tokens(asked)
        assert count.input_tokens == 2


async def test_the_models_of_anthropic_are_asked_for_with_a_version(driver: Driver, there: Emulator) -> None:
    there.forget()
    async with client_of(driver, there, ANTHROPIC) as client:
        if driver.blocking:
            client.client.models.list()
        else:
            await client.models.list()
    (request,) = there.requests
    assert request.headers["anthropic-version"] == "2023-06-01" and request.headers["x-api-key"] == "***"
