"""What servers of OpenAI's dialect are known to do beside the standard, and what comes of it in every kind of call."""

from __future__ import annotations

import json
from typing import Any

import numpy
import pytest
from support.drivers import Driver

from headwater import DecodeError, IncompleteStreamError, RedirectError, ServerError, UnexpectedContentError
from headwater.testing import EVENT_STREAM, MemoryTransport, ScriptedResponse

pytestmark = pytest.mark.anyio

AT = {"base_url": "http://127.0.0.1:9/v1", "model": "m", "retries": 0}
MESSAGES = [{"role": "user", "content": "hi"}]
USAGE = {"prompt_tokens": 1, "completion_tokens": 2}
PIECE = "chat.completion.chunk"


def chunk(delta: Any = None, finish: str | None = None, **frame: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": {} if delta is None else delta, "finish_reason": finish}
    return {"id": "x", "choices": [choice], **frame}


def text(words: str | None, finish: str | None = None) -> dict[str, Any]:
    return chunk({"content": words}, finish)


def call(id_: str | None = None, name: str | None = None, arguments: str | None = None, **more: Any) -> dict[str, Any]:
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    return {**({} if id_ is None else {"id": id_}), **({"function": function} if function else {}), **more}


def tools(*calls: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return chunk({"tool_calls": list(calls)}, finish)


STOP = chunk(finish="stop")
OSLO, ROME = '{"city":"Oslo"}', '{"city":"Rome"}'
SIGNED = {"google": {"thought_signature": "s"}}

# the events; the text; the calls, by id, name and arguments; the reason; the tokens; what was thought
HABITS: dict[str, tuple[list[Any], str | None, list[tuple[str, str, str]], str, int | None, str | None]] = {
    "calls without an index, whole, and a role at the end": (
        [tools(call("a", "w", OSLO, extra_content=SIGNED), call("b", "w", ROME)), chunk({"role": "assistant"}, "stop")],
        None, [("a", "w", OSLO), ("b", "w", ROME)], "stop", None, None,
    ),
    "the same call of two ids": (
        [tools(call("a", "w", OSLO)), tools(call("b", "w", OSLO)), STOP],
        None, [("a", "w", OSLO), ("b", "w", OSLO)], "stop", None, None,
    ),
    "pieces of a call that have no function": (
        [
            tools(call("a", "w", "", index=0)),
            tools({"index": 0}),
            tools({"index": 0, "function": None}),
            tools(call(None, None, OSLO, index=0)),
            tools({"index": 0, "id": "a", "function": {}}),
            chunk(finish="tool_calls"),
        ],
        None, [("a", "w", OSLO)], "tool_calls", None, None,
    ),
    "pieces whose index is null": (
        [
            tools(call("a", "w", "", index=None)),
            tools(call(None, None, OSLO[:5], index=None)),
            tools(call(None, None, OSLO[5:], index=None)),
            STOP,
        ],
        None, [("a", "w", OSLO)], "stop", None, None,
    ),
    "calls counted from 1": (
        [tools(call("a", "w", "", index=1)), tools(call(None, None, OSLO, index=1)),
         tools(call("b", "v", ROME, index=2)), STOP],
        None, [("a", "w", OSLO), ("b", "v", ROME)], "stop", None, None,
    ),
    "a stop after the reason that there are calls": (
        [tools(call("a", "w", OSLO, index=0), finish="tool_calls"), STOP],
        None, [("a", "w", OSLO)], "tool_calls", None, None,
    ),
    "the reason before the arguments": (
        [tools(call("a", "w", "", index=0), finish="tool_calls"), tools(call(None, None, OSLO, index=0))],
        None, [("a", "w", OSLO)], "tool_calls", None, None,
    ),
    "a reason twice, the first beside text": ([text("a", "stop"), STOP, STOP], "a", [], "stop", None, None),
    "a reason with every piece of what is thought": (
        [chunk({"reasoning_content": "h"}, "stop"), chunk({"reasoning_content": "m"}, "stop"), text("a"), STOP],
        "a", [], "stop", None, "hm",
    ),
    "what is thought under both names": (
        [chunk({"reasoning": "h", "reasoning_content": "h"}), chunk({"reasoning": "m", "reasoning_content": "m"}),
         text("a", "stop")],
        "a", [], "stop", None, "hm",
    ),
    "facts about the answer in chunks without choices": (
        [
            {"id": "x", "choices": [], "grounding": [{"q": 1}]},
            text("a"),
            {"id": "x", "object": PIECE, "citations": ["https://a.example"]},
            {"id": "x", "choices": None, "object": PIECE},
            text("b"),
            STOP,
        ],
        "ab", [], "stop", None, None,
    ),
    "usage after the end, in a chunk that knows no choices": (
        [text("a"), STOP, {"id": "x", "object": PIECE, "model": "m", "usage": USAGE}],
        "a", [], "stop", 2, None,
    ),
    "usage in an empty chunk that nobody asked for": (
        [text("a"), STOP, {"id": "x", "choices": [], "usage": USAGE}], "a", [], "stop", 2, None,
    ),
    "pieces whose content is null": ([chunk({"role": "assistant", "content": None}), text("a"), text(None), STOP],
                                     "a", [], "stop", None, None),
}  # fmt: skip


def events(*sent: Any, done: bool = True) -> MemoryTransport:
    lines = [f"data: {json.dumps(event)}\n\n" for event in sent] + (["data: [DONE]\n\n"] if done else [])
    return MemoryTransport(lambda _: ScriptedResponse("".join(lines).encode(), content_type=EVENT_STREAM))


def said(answer: Any) -> tuple[Any, ...]:
    message, usage = answer.choices[0].message, answer.usage
    calls = [(made.id, made.function.name, made.function.arguments) for made in message.tool_calls or []]
    tokens = usage.completion_tokens if usage else None
    return message.content, calls, answer.choices[0].finish_reason, tokens, message.reasoning


async def test_a_comment_that_a_proxy_made_data_is_no_event(driver: Driver) -> None:
    lines = "data: : OPENROUTER PROCESSING\n\ndata: :\n\n", f"data: {json.dumps(text('a', 'stop'))}\n\n"
    transport = MemoryTransport(lambda _: ScriptedResponse("".join(lines).encode(), content_type=EVENT_STREAM))
    async with driver.client(transport=transport, **AT) as client:
        assert said(await client.chat_completion.stream(MESSAGES).result())[0] == "a"


async def test_what_no_field_of_the_usage_holds(driver: Driver) -> None:
    """OpenRouter's `cost`, beside the counts of a chunk or of a choice, streamed and plain."""
    priced = {**USAGE, "cost": 0.5, "cost_details": {"upstream": 1}}
    whole = {"choices": [{"index": 0, "message": {"content": "a"}, "finish_reason": "stop"}], "usage": priced}
    ends: list[Any] = [chunk(finish="stop", usage=priced), {"id": "x", "choices": [], "usage": priced}]
    beside = chunk(finish="stop")
    beside["choices"][0]["usage"] = priced
    plain = MemoryTransport(lambda _: ScriptedResponse(json.dumps(whole).encode()))
    async with driver.client(transport=plain, **AT) as client:
        found = [(await client.chat_completion(MESSAGES)).usage]
    for last in [*ends, beside]:
        async with driver.client(transport=events(text("a"), STOP, last), **AT) as client:
            found.append((await client.chat_completion.stream(MESSAGES).result()).usage)
    for usage in found:
        assert (usage["cost"], usage.to_dict()["cost_details"], usage.completion_tokens) == (0.5, {"upstream": 1}, 2)


@pytest.mark.parametrize("habit", HABITS)
async def test_what_a_stream_comes_to(driver: Driver, habit: str) -> None:
    """Read as a stream, by a plain call of a server that always streams, and in a map."""
    sent, *expected = HABITS[habit]
    async with driver.client(transport=events(*sent), **AT) as client:
        found = [await client.chat_completion.stream(MESSAGES).result(), await client.chat_completion(MESSAGES)]
        if not driver.blocking:
            async with client.map(client.chat_completion, [MESSAGES]) as answers:
                found += [each.value async for each in answers]
    assert [list(said(answer)) for answer in found] == [expected] * len(found)


async def test_facts_about_the_answer_are_kept(driver: Driver) -> None:
    sent, *_ = HABITS["facts about the answer in chunks without choices"]
    async with driver.client(transport=events(*sent), **AT) as client:
        answer = await client.chat_completion.stream(MESSAGES).result()
    assert (answer["citations"], answer["grounding"]) == (["https://a.example"], [{"q": 1}])


async def test_calls_without_any_reason(driver: Driver) -> None:
    """They are the error's partial; where the caller knows the server they are the answer."""
    sent = [tools(call("a", "w", OSLO, index=0))]
    async with driver.client(transport=events(*sent), **AT) as client:
        with pytest.raises(IncompleteStreamError) as caught:
            await client.chat_completion.stream(MESSAGES).result()
        assert said(caught.value.partial)[1] == [("a", "w", OSLO)]
    async with driver.client(transport=events(*sent), **AT, done_ends_stream=True) as client:
        assert said(await client.chat_completion.stream(MESSAGES).result())[1] == [("a", "w", OSLO)]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(("status", "kind"), [(500, ServerError), (200, UnexpectedContentError)])
async def test_a_routers_own_words(driver: Driver, status: int, kind: type[Exception], streamed: bool) -> None:
    words = "proxy error: Failed to read connection"
    answer = MemoryTransport(lambda _: ScriptedResponse(words.encode(), status=status, content_type="text/plain"))
    async with driver.client(transport=answer, **AT) as client:
        with pytest.raises(kind, match=words):
            await (client.chat_completion.stream(MESSAGES).result() if streamed else client.chat_completion(MESSAGES))


async def test_a_move_that_has_the_frame_of_an_answer(driver: Driver) -> None:
    moved = {"id": "", "model": "", "choices": [], "created": 0, "object": ""}
    headers = {"location": "https://other.example/v1"}
    answer = MemoryTransport(lambda _: ScriptedResponse.json(moved, status=307, headers=headers))
    async with driver.client(transport=answer, **AT) as client:
        with pytest.raises(RedirectError, match=r"other\.example"):
            await client.chat_completion(MESSAGES)


ROWS = [{"index": 1, "embedding": "AABAQAAAgEA="}, {"index": 0, "embedding": "AACAPwAAAEA="}]


@pytest.mark.parametrize("form", [{}, {"encoding_format": "base64"}])
async def test_vectors_in_the_form_that_was_not_asked_for(driver: Driver, form: dict[str, str]) -> None:
    for rows in (ROWS, [{**row, "embedding": [1, 2] if row["index"] == 0 else [3, 4]} for row in ROWS]):
        answer = MemoryTransport(lambda _, rows=rows: ScriptedResponse.json({"data": rows}))  # type: ignore[misc]
        async with driver.client(transport=answer, **AT) as client:
            vectors = await client.feature_extraction(["a", "b"], **form)
        assert numpy.array_equal(vectors, [[1, 2], [3, 4]])


# https://github.com/langroid/langroid/pull/922, https://github.com/abetlen/llama-cpp-python/issues/1588
ONE = [1.0, 2.0]
ALONE: list[Any] = [
    {"embedding": ONE},
    {"embedding": [ONE]},
    [{"index": 0, "embedding": ONE}],
    [{"index": 0, "embedding": [ONE]}],
    {"data": [{"embedding": [ONE]}]},
    {"data": {"embedding": ONE}},
]


@pytest.mark.dealt
@pytest.mark.parametrize("sent", ALONE)
async def test_a_vector_however_it_is_wrapped(driver: Driver, sent: Any) -> None:
    answer = MemoryTransport(lambda _: ScriptedResponse.json(sent))
    async with driver.client(transport=answer, **AT) as client:
        assert numpy.array_equal(await client.feature_extraction("a"), [ONE])
        if isinstance(sent, dict) and isinstance(sent.get("data"), list):
            assert (await client.embeddings.create(input="a")).data[0].embedding == ONE


@pytest.mark.dealt
@pytest.mark.parametrize("more", [b"data: [DONE]\n\n", b"[DONE]", b"\n\ndata: [DONE]", b"\0\0", b"\n\0"])
async def test_a_marker_behind_a_whole_answer(driver: Driver, more: bytes) -> None:
    whole = {"choices": [{"index": 0, "message": {"content": "a"}, "finish_reason": "stop"}]}
    answer = MemoryTransport(lambda _: ScriptedResponse(json.dumps(whole).encode() + more))
    async with driver.client(transport=answer, **AT) as client:
        assert said(await client.chat_completion(MESSAGES))[0] == "a"


@pytest.mark.parametrize("rows", [ROWS[:1], [*ROWS, {"index": 2, "embedding": "AACAPwAAAEA="}], []])
async def test_more_or_fewer_vectors_than_texts_are_no_answer(driver: Driver, rows: list[Any]) -> None:
    answer = MemoryTransport(lambda _: ScriptedResponse.json({"data": rows}))
    async with driver.client(transport=answer, **AT) as client:
        for ask in (client.feature_extraction(["a", "b"]), client.embeddings.create(input=["a", "b"])):
            with pytest.raises(DecodeError):
                await ask
