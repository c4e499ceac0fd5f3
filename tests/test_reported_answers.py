"""What servers were reported to send, as wire bytes, and what comes of it streamed, plain and cut at every byte."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.drivers import Driver

from headwater import (
    ChatCompletionStreamOutput,
    DecodeError,
    HeadwaterError,
    IncompleteStreamError,
    MalformedEventError,
    UnexpectedContentError,
    UnknownError,
)
from headwater.protocol.framing import SSEFraming
from headwater.providers.openai_chat import decode_chunk
from headwater.tasks.chat import wire_messages
from headwater.tasks.chat_fold import ChatFold
from headwater.testing import EVENT_STREAM, MemoryTransport, ScriptedResponse

pytestmark = [pytest.mark.anyio, pytest.mark.dealt]

AT = {"base_url": "http://127.0.0.1:9/v1", "model": "m", "retries": 0}
MESSAGES = [{"role": "user", "content": "hi"}]
PICTURE = "data:image/png;base64,iVBORw0KGgo="
CALLED = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}


class Word(str):
    """An event that is no JSON."""

    __slots__ = ()


def chunk(delta: Any = None, finish: Any = None, **choice: Any) -> dict[str, Any]:
    """A chunk of a stream."""
    return {"id": "x", "choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish, **choice}]}


def text(words: str, finish: Any = None, **choice: Any) -> dict[str, Any]:
    return chunk({"content": words}, finish, **choice)


def whole(message: dict[str, Any], finish: Any = "stop", **choice: Any) -> dict[str, Any]:
    """A plain answer."""
    return {"id": "x", "choices": [{"index": 0, "message": message, "finish_reason": finish, **choice}]}


def called(arguments: str, **more: Any) -> dict[str, Any]:
    return chunk({"tool_calls": [{"index": 0, "function": {"arguments": arguments}, **more}]})


def body(events: list[Any] | dict[str, Any], *, done: bool = True) -> bytes:
    """A plain answer as it is, or the events of a stream."""
    if isinstance(events, dict):
        return json.dumps(events).encode()
    texts = [str(event) if isinstance(event, Word) else json.dumps(event) for event in events]
    return b"".join(b"data: %b\n\n" % each.encode() for each in texts) + b"data: [DONE]\n\n" * done


def answering(sent: bytes) -> MemoryTransport:
    kind = EVENT_STREAM if sent.startswith(b"data") else "application/json"
    return MemoryTransport(lambda _: ScriptedResponse(sent, content_type=kind))


async def chatted(driver: Driver, sent: bytes, *, streamed: bool) -> Any:
    async with driver.client(transport=answering(sent), **AT) as client:
        return await (
            client.chat_completion.stream(MESSAGES).result() if streamed else client.chat_completion(MESSAGES)
        )


def said(answer: Any) -> dict[str, Any]:
    """The answer's first choice as plain data, without what says nothing."""
    found: dict[str, Any] = without_nulls(answer.to_dict())["choices"][0]
    return {**found["message"], **{name: found[name] for name in found if name not in ("index", "message", "role")}}


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_nulls(each) for name, each in value.items() if each is not None and name != "role"}
    return [without_nulls(each) for each in value] if isinstance(value, list) else value


LEGACY = {"text_offset": [0], "tokens": ["a"], "token_logprobs": [-0.5], "top_logprobs": [{"a": -0.5}]}
TOKEN = {"token": "a", "logprob": -0.5, "token_id": 5, "top_logprobs": [{"token": "a", "logprob": -0.5, "rank": 1}]}
SOURCES = {"sources": [{"source": {"id": "1"}, "document": ["d"], "metadata": [{"name": "n"}]}]}
METRICS = {"amazon-bedrock-invocationMetrics": {"inputTokenCount": 3}}
PARTS = [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": PICTURE}}]

# where it was reported; what is sent; what the first choice comes to
REPORTED: dict[str, tuple[list[Any] | dict[str, Any], dict[str, Any]]] = {
    # https://github.com/PowerShell/AIShell/issues/350, https://github.com/Ai00-X/ai00_server/issues/90
    "null as a word": ([text("a", "null"), text("b", "null"), chunk(finish="stop")],
                       {"content": "ab", "finish_reason": "stop"}),
    "null as a word, whole": (whole({"content": "a"}, "null"), {"content": "a"}),
    # https://github.com/sgl-project/sglang/issues/3912, https://github.com/farion1231/cc-switch/pull/5093
    "an empty reason": ([text("a", ""), text("b", " "), chunk(finish="stop")],
                        {"content": "ab", "finish_reason": "stop"}),
    "an empty reason, whole": (whole({"content": "a"}, ""), {"content": "a"}),
    # https://github.com/vllm-project/vllm/issues/3179
    "log probabilities of completions": (
        [text("a", logprobs=LEGACY), text("a", "stop", logprobs={**LEGACY, "text_offset": [1]})],
        {"content": "aa", "finish_reason": "stop", "logprobs": {
            "text_offset": [0, 1], "tokens": ["a", "a"], "token_logprobs": [-0.5, -0.5],
            "top_logprobs": [{"a": -0.5}, {"a": -0.5}],
        }},
    ),
    "log probabilities of completions, whole": (
        whole({"content": "a"}, logprobs=LEGACY), {"content": "a", "finish_reason": "stop", "logprobs": LEGACY},
    ),
    # https://github.com/vllm-project/vllm/issues/4795
    "more of a token": (
        [text("a", logprobs={"content": [TOKEN]}), text("a", "stop", logprobs={"content": [TOKEN]})],
        {"content": "aa", "finish_reason": "stop", "logprobs": {"content": [TOKEN, TOKEN]}},
    ),
    "more of a token, whole": (
        whole({"content": "a"}, logprobs={"content": [TOKEN]}),
        {"content": "a", "finish_reason": "stop", "logprobs": {"content": [TOKEN]}},
    ),
    # https://github.com/Oaklight/llm-rosetta/issues/356
    "empty thoughts": (
        [chunk({"role": "assistant", "content": None, "reasoning_content": ""}), chunk({"tool_calls": [CALLED]}),
         chunk(finish="tool_calls")],
        {"reasoning_content": "", "finish_reason": "tool_calls",
         "tool_calls": [{name: CALLED[name] for name in ("id", "type", "function")}]},
    ),
    # https://github.com/vllm-project/vllm/issues/42167, where the last piece has the arguments with other blanks
    "the whole arguments behind their pieces": (
        [chunk({"tool_calls": [{**CALLED, "function": {"name": "f", "arguments": '{"date":"2025","amount":300'}}]}),
         called(',"kind":"x"'), called('{"date": "2025", "amount": 300, "kind": "x"}', id=None, type=None),
         chunk(finish="tool_calls")],
        {"finish_reason": "tool_calls", "tool_calls": [{
            "id": "c", "type": "function",
            "function": {"name": "f", "arguments": '{"date": "2025", "amount": 300, "kind": "x"}'},
        }]},
    ),
    # https://github.com/vllm-project/vllm/issues/51697
    "the arguments twice": (
        [chunk({"tool_calls": [{**CALLED, "function": {"name": "f", "arguments": '{"city":"S"}'}}]}),
         called('{"city": "S"}'), chunk(finish="tool_calls")],
        {"finish_reason": "tool_calls", "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"city":"S"}'}},
        ]},
    ),
    # https://github.com/vllm-project/vllm/issues/44098
    "id, type and name once more": (
        [chunk({"tool_calls": [{**CALLED, "function": {"name": "f", "arguments": '{"a":'}}]}),
         chunk({"tool_calls": [{**CALLED, "function": {"name": "f", "arguments": "1}"}}]}, "tool_calls")],
        {"finish_reason": "tool_calls", "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
        ]},
    ),
    # https://github.com/agentscope-ai/agentscope-java/pull/1223
    "a name beside the last piece": (
        [chunk({"tool_calls": [{**CALLED, "function": {"name": "f", "arguments": '{"a":1'}}]}),
         chunk({"tool_calls": [{"index": 0, "id": None, "function": {"name": "f", "arguments": "}"}}]}, "tool_calls")],
        {"finish_reason": "tool_calls", "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
        ]},
    ),
    # https://github.com/BerriAI/litellm/issues/4440
    "no arguments beside the name": (
        [chunk({"tool_calls": [{**CALLED, "function": {"name": "f", "arguments": None}}]}), called("{}"),
         chunk(finish="tool_calls")],
        {"finish_reason": "tool_calls", "tool_calls": [{name: CALLED[name] for name in ("id", "type", "function")}]},
    ),
    # https://developers.cloudflare.com/workers-ai/features/function-calling/traditional/
    "a call without a function": (
        whole({"content": None, "tool_calls": [{"name": "f", "arguments": {"a": 1}}]}, "tool_calls"),
        {"finish_reason": "tool_calls", "tool_calls": [{
            "id": "", "type": "function", "function": {"name": "f", "arguments": {"a": 1}},
            "name": "f", "arguments": {"a": 1},
        }]},
    ),
    "a call without a function, in pieces": (
        [chunk({"tool_calls": [{"index": 0, "id": "c", "name": "f", "arguments": '{"a"'}]}),
         chunk({"tool_calls": [{"index": 0, "arguments": ":1}"}]}, "tool_calls")],
        {"finish_reason": "tool_calls", "tool_calls": [{
            "id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'},
            "name": "f", "arguments": '{"a":1}',
        }]},
    ),
    # https://github.com/FlowiseAI/Flowise/issues/5931, https://github.com/OpenRouterTeam/ai-sdk-provider/issues/167
    "images of a message": (
        [chunk({"content": "a", "images": PARTS[1:]}), chunk(finish="stop")],
        {"content": "a", "images": PARTS[1:], "finish_reason": "stop"},
    ),
    # https://github.com/ollama/ollama/issues/7881
    "calls without an index": (
        [chunk({"role": "assistant", "content": "", "tool_calls": [{**CALLED, "index": None}]}), chunk(finish="stop")],
        {"finish_reason": "stop", "tool_calls": [{name: CALLED[name] for name in ("id", "type", "function")}]},
    ),
    "a name that grows": (
        [chunk({"tool_calls": [{**CALLED, "function": {"name": "get"}}]}),
         chunk({"tool_calls": [{**CALLED, "function": {"name": "get_f"}}]}), called("{}"), chunk(finish="tool_calls")],
        {"finish_reason": "tool_calls", "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "get_f", "arguments": "{}"}},
        ]},
    ),
    "thoughts in parts": (
        [chunk({"reasoning_content": [{"type": "text", "text": "h"}]}), chunk({"reasoning_content": {"text": "m"}}),
         text("a", "stop")],
        {"content": "a", "reasoning": "hm", "reasoning_content": "hm", "finish_reason": "stop"},
    ),
    "thoughts in parts, whole": (
        whole({"content": "a", "reasoning": {"text": "h"}}),
        {"content": "a", "reasoning": "h", "finish_reason": "stop"},
    ),
    # https://github.com/pydantic/pydantic-ai/issues/3994
    "an answer inside": (
        {"id": None, "choices": None, "provider": whole({"content": "a"})}, {"content": "a", "finish_reason": "stop"},
    ),
    "an answer inside, that all is well": (
        [{"code": 0, "message": "ok", "data": text("a")}, {"code": 0, "data": chunk(finish="stop")}],
        {"content": "a", "finish_reason": "stop"},
    ),
    "objects as PHP writes them": (
        [{**chunk(), "choices": [{"index": 0, "delta": [], "logprobs": []}], "usage": []}, text("a", "stop")],
        {"content": "a", "finish_reason": "stop"},
    ),
    "JSON in texts": (
        [chunk({"content": None, "tool_calls": json.dumps([CALLED])}), chunk(finish="tool_calls")],
        {"finish_reason": "tool_calls", "tool_calls": [{name: CALLED[name] for name in ("id", "type", "function")}]},
    ),
    "data twice": (
        [Word("data: " + json.dumps(text("a", "stop")))], {"content": "a", "finish_reason": "stop"},
    ),
    "words that keep it alive": ([Word("ping"), Word('""'), text("a", "stop"), Word("<|END|>")],
                                 {"content": "a", "finish_reason": "stop"}),
    # https://github.com/su-kaka/gcli2api/issues/403
    "a reason with every chunk": (
        [chunk({"reasoning_content": "h"}, "stop"), chunk({"tool_calls": [CALLED]}, "stop"), text("a", "stop")],
        {"content": "a", "reasoning": "h", "reasoning_content": "h", "finish_reason": "stop",
         "tool_calls": [{name: CALLED[name] for name in ("id", "type", "function")}]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("report", REPORTED)
@pytest.mark.parametrize("streamed", [False, True])
async def test_what_comes_of_it(driver: Driver, report: str, streamed: bool) -> None:
    sent, expected = REPORTED[report]
    assert said(await chatted(driver, body(sent), streamed=streamed)) == without_nulls(expected)


@pytest.mark.parametrize("report", [name for name, (sent, _) in REPORTED.items() if isinstance(sent, list)])
def test_wherever_it_is_cut(report: str) -> None:
    sent, expected = REPORTED[report]
    data = body(sent)
    for at in range(len(data)):
        framing, fold = SSEFraming(), ChatFold()
        for frame in [*framing.feed(data[:at]), *framing.feed(data[at:]), *framing.finish()]:
            event = decode_chunk(frame)
            if isinstance(event, ChatCompletionStreamOutput):
                fold.add(event)
        assert fold.complete(marked=True) and said(fold.result()) == without_nulls(expected)


@pytest.mark.parametrize("reason", ["null", "None", "", " ", "NULL"])
async def test_a_reason_that_is_none_ends_no_answer(driver: Driver, reason: str) -> None:
    for done in (False, True):
        sent = body([text("a", reason), text("b", reason)], done=done)
        with pytest.raises(IncompleteStreamError) as caught:
            await chatted(driver, sent, streamed=True)
        assert said(caught.value.partial) == {"content": "ab"}
        piece = {"id": "x", "choices": [{"index": 0, "text": "a", "finish_reason": reason}]}
        async with driver.client(transport=answering(body([piece, piece], done=done)), **AT) as client:
            with pytest.raises(IncompleteStreamError) as caught:
                await client.text_generation.stream("hi").result()
            assert caught.value.partial == "aa"
    whole_text = {"id": "x", "choices": [{"index": 0, "text": "a", "finish_reason": reason}]}
    async with driver.client(transport=answering(body(whole_text)), **AT) as client:
        assert (await client.text_generation("hi", details=True)).details.finish_reason is None


async def test_empty_thoughts_go_back(driver: Driver) -> None:
    """DeepSeek refuses the next request without them."""
    answer = await chatted(driver, body(REPORTED["empty thoughts"][0]), streamed=True)
    (back,) = wire_messages([answer.choices[0].message])
    assert back["reasoning_content"] == "" and back["tool_calls"][0]["id"] == "c"


@pytest.mark.parametrize("fact", [SOURCES, METRICS, {"selected_model_id": "m"}])
async def test_events_of_a_servers_own(driver: Driver, fact: dict[str, Any]) -> None:
    """Open WebUI's sources come first (https://github.com/openai-php/client/issues/545), Bedrock's metrics last."""
    name, value = next(iter(fact.items()))
    for events in ([fact, text("a"), chunk(finish="stop")], [text("a"), chunk(finish="stop"), fact]):
        for streamed in (False, True):
            answer = await chatted(driver, body(events), streamed=streamed)
            assert (said(answer)["content"], answer[name]) == ("a", value)
        client = driver.client(transport=answering(body(events)), **AT)
        async with client, client.chat_completion.stream(MESSAGES) as run:
            assert [event.raw for event in [event async for event in run] if not event.choices] == [fact]


NO_ANSWERS: list[tuple[Any, type[HeadwaterError]]] = [
    ({"model": "m", "message": {"content": "a"}, "done": False}, MalformedEventError),  # Ollama's own dialect
    ({"candidates": [{"content": {"parts": [{"text": "a"}]}}]}, MalformedEventError),  # Gemini's
    ({"response": "a"}, MalformedEventError),  # Cloudflare's
    ({"detail": "the dog ate it"}, UnknownError),
    ({"status": "error", "reason": "x"}, UnknownError),
    ({"choices": [{"message": 7, "finish_reason": "stop"}]}, MalformedEventError),
]


@pytest.mark.parametrize(("event", "kind"), NO_ANSWERS)
async def test_what_is_no_fact(driver: Driver, event: Any, kind: type[HeadwaterError]) -> None:
    for events in ([event], [text("a"), event, chunk(finish="stop")]):
        with pytest.raises(kind):
            await chatted(driver, body(events), streamed=True)


@pytest.mark.parametrize(
    "sent",
    [
        b"null",  # https://github.com/open-webui/open-webui/issues/28938
        b'{"id": null, "choices": null}',  # https://github.com/decolua/9router/issues/2727
        b"\n\n\n\n",  # https://github.com/deepseek-ai/DeepSeek-R1/issues/314
        b'{"model": "m", "message": {"role": "assistant", "content": "a"}, "done": true}',
        b'{"name": "my api", "version": "1"}',
        b'{"choices": [{"message": 7, "finish_reason": "stop"}]}',
    ],
)
async def test_what_is_no_answer(driver: Driver, sent: bytes) -> None:
    for streamed in (False, True):
        with pytest.raises((DecodeError, UnexpectedContentError, IncompleteStreamError)):
            await chatted(driver, sent, streamed=streamed)


async def test_counts_do_not_become_nothing(driver: Driver) -> None:
    """https://github.com/router-for-me/CLIProxyAPI/pull/3077, and the other way round."""
    counts = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    nothing = dict.fromkeys(counts, 0)
    for first, last in ((nothing, counts), (counts, nothing), (counts, None), (None, counts)):
        events = [{**text("a"), "usage": first}, {**chunk(finish="stop"), "usage": last}]
        usage = (await chatted(driver, body(events), streamed=True)).usage
        assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (3, 2, 5)


async def test_parts_that_are_no_text_stay_in_what_was_sent(driver: Driver) -> None:
    """https://github.com/Laisky/one-api/issues/44"""
    plain = await chatted(driver, body(whole({"content": PARTS})), streamed=False)
    pieces = await chatted(driver, body([chunk({"content": PARTS}), chunk(finish="stop")]), streamed=True)
    for answer in (plain, pieces):
        assert answer.choices[0].message.content == "a"
        assert answer.raw["choices"][0]["message"]["content"] == PARTS
        assert wire_messages([answer.choices[0].message])[0]["content"] == PARTS


ODD: list[tuple[dict[str, Any], tuple[Any, ...]]] = [
    ({**text("a"), "created": "2026-01-01"}, ("created",)),
    ({**text("a"), "system_fingerprint": {"a": 1}}, ("system_fingerprint",)),
    ({**text("a"), "model": {"name": "m"}}, ("model",)),
    ({**text("a"), "usage": [{"n": 1}, 2]}, ("usage",)),
    ({**text("a"), "usage": {"prompt_tokens": {"a": 1}, "total_tokens": 5}}, ("usage", "prompt_tokens")),
    (text("a", logprobs="x"), ("choices", 0, "logprobs")),
    (text("a", logprobs={"content": [{"token": "a", "logprob": "x"}]}),
     ("choices", 0, "logprobs", "content", 0, "logprob")),
    (chunk({"content": "a", "refusal": {"why": 1}}), ("choices", 0, "delta", "refusal")),
    (chunk({"content": "a", "reasoning": {"effort": "low"}}), ("choices", 0, "delta", "reasoning")),
    (chunk({"content": "a", "tool_calls": "none at all"}), ("choices", 0, "delta", "tool_calls")),
    (chunk({"tool_calls": [{**CALLED, "function": 7}]}), ("choices", 0, "delta", "tool_calls", 0, "function")),
    (chunk({"tool_calls": [{**CALLED, "id": {"n": 1}}]}), ("choices", 0, "delta", "tool_calls", 0, "id")),
]  # fmt: skip


def at(value: Any, way: tuple[Any, ...]) -> Any:
    for step in way:
        value = value[step]
    return value


@pytest.mark.parametrize(("event", "way"), ODD)
async def test_what_no_field_takes_is_in_what_was_sent(driver: Driver, event: Any, way: tuple[Any, ...]) -> None:
    """Of a stream too, where only its chunks came; the answer is the same without it."""
    told = await chatted(driver, body([event, chunk(finish="stop")]), streamed=True)
    whole_way = tuple("message" if step == "delta" else step for step in way)
    assert at(told.raw, whole_way) == at(event, way)
    plain = json.loads(json.dumps(event).replace('"delta"', '"message"'))
    plain["choices"][0]["finish_reason"] = "stop"
    answer = await chatted(driver, body(plain), streamed=False)
    assert at(answer.raw, whole_way) == at(event, way)
    for each in (told, answer):
        held = at(each.to_dict(), whole_way[:-1]).get(way[-1])
        assert not held or held == {"name": "", "arguments": "", "description": None}


# Responses


def responded(*events: dict[str, Any]) -> bytes:
    return b"".join(b"event: %b\ndata: %b\n\n" % (e["type"].encode(), json.dumps(e).encode()) for e in events)


RESPONSE: dict[str, Any] = {"id": "r", "object": "response", "status": "completed", "output": []}
END = {"type": "response.completed", "response": RESPONSE}
DELTA = "response.output_text.delta"
ITEM = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello"}]}

RESPONDED: dict[str, bytes] = {
    # https://github.com/Sophomoresty/gemini-web2api/pull/57
    "the whole text alone": responded({"type": "response.output_text.done", "text": "Hello"}, END),
    # https://github.com/BerriAI/litellm/pull/20943, https://github.com/Oaklight/llm-rosetta/issues/56
    "no places, no items, no output": responded(
        {"type": "response.created", "response": {}}, {"type": DELTA, "delta": "Hel"}, {"type": DELTA, "delta": "lo"},
        {"type": "response.completed", "response": {"usage": {"input_tokens": 1}}},
    ),
    "an item alone": responded({"type": "response.output_item.done", "item": ITEM}, END),
    # https://github.com/diegosouzapw/OmniRoute/issues/13964
    "events that keep it alive": responded({"type": "keepalive"}, {"type": DELTA, "delta": "Hello"}, END),
    "texts in place of parts": json.dumps(
        {**RESPONSE, "output": [{"type": "message", "content": ["Hel", {"type": "output_text", "text": "lo"}]}]}
    ).encode(),
    "a part in place of a list": json.dumps(
        {**RESPONSE, "output": [{**ITEM, "content": ITEM["content"][0]}]}
    ).encode(),
    "a message without a type": json.dumps({**RESPONSE, "output": [{**ITEM, "type": None}]}).encode(),
    "in another object": json.dumps({"code": 0, "data": {**RESPONSE, "output": [ITEM]}}).encode(),
    "a whole response that does not say so": json.dumps({"id": "r", "status": [], "output": [ITEM]}).encode(),
    "a type that is a list": json.dumps({**RESPONSE, "output": [{"type": ["x"], "content": 5}, ITEM]}).encode(),
    # https://github.com/agentgateway/agentgateway/pull/2281
    "all of it again, without a word": responded(
        {"type": DELTA, "item_id": "i", "output_index": 0, "content_index": 0, "delta": "Hello"},
        {"type": "response.content_part.done", "item_id": "i", "output_index": 0, "content_index": 0,
         "part": {"type": "output_text", "text": ""}},
        {"type": "response.output_item.done", "output_index": 0, "item": {"id": "i", "type": "message", "content": []}},
        END,
    ),
    "a text that is done and empty": responded(
        {"type": DELTA, "delta": "Hello"}, {"type": "response.output_text.done", "text": ""}, END,
    ),
    "a last output without a word": responded(
        {"type": DELTA, "item_id": "i", "output_index": 0, "content_index": 0, "delta": "Hello"},
        {"type": "response.completed", "response": {**RESPONSE, "output": [{**ITEM, "id": "i", "content": []}]}},
    ),
    # https://github.com/diegosouzapw/OmniRoute/issues/13693
    "done, and not over": responded(
        {"type": DELTA, "item_id": "i", "delta": "Hel"}, {"type": "response.output_text.done", "text": "Hel"},
        {"type": "response.output_item.done", "item": {**ITEM, "id": "i", "content": [
            {"type": "output_text", "text": "Hel"}]}},
        {"type": DELTA, "item_id": "i", "delta": "lo"}, END,
    ),
    # https://github.com/decolua/9router/issues/705
    "the end without the response": responded(
        {"type": DELTA, "delta": None}, {"type": DELTA, "delta": "Hello"}, {"type": "response.completed"},
    ),
    "the end with a response that is null": responded(
        {"type": DELTA, "delta": "Hello"}, {"type": "response.completed", "response": None, "status": "completed"},
    ),
    "the end under its realtime name": responded(
        {"type": DELTA, "delta": "Hello"}, {"type": "response.done", "response": RESPONSE},
    ),
    "an output that is a text": json.dumps({**RESPONSE, "output": "Hello"}).encode(),
    "an output that is an item": json.dumps({**RESPONSE, "output": ITEM}).encode(),
    "the text alone": b'{"id": "r", "object": "response", "status": "completed", "output_text": "Hello"}',
}  # fmt: skip


@pytest.mark.parametrize("report", RESPONDED)
@pytest.mark.parametrize("streamed", [False, True])
async def test_what_comes_of_a_response(driver: Driver, report: str, streamed: bool) -> None:
    async with driver.client(transport=answering_with(RESPONDED[report]), **AT) as client:
        ask = client.create_response
        response = await (ask.stream("hi").result() if streamed else ask("hi"))
        assert response.output_text == "Hello" and isinstance(response.raw, dict)


def answering_with(sent: bytes) -> MemoryTransport:
    kind = EVENT_STREAM if sent.startswith(b"event") else "application/json"
    return MemoryTransport(lambda _: ScriptedResponse(sent, content_type=kind))


async def test_thoughts_stay_before_the_text_whatever_is_numbered(driver: Driver) -> None:
    thought = {"type": "response.reasoning_text.delta", "delta": "hm"}
    sent = responded(thought, {"type": DELTA, "output_index": 1, "delta": "a"}, END)
    async with driver.client(transport=answering_with(sent), **AT) as client:
        response = await client.create_response.stream("hi").result()
    assert [item.type for item in response.output] == ["reasoning", "message"]


@pytest.mark.parametrize("summary", ["hm", ["hm"], {"type": "summary_text", "text": "hm"}, None, 5])
async def test_a_summary_however_it_is_written(driver: Driver, summary: Any) -> None:
    item = {"type": "reasoning", "id": "rs", "encrypted_content": "e", "summary": summary}
    sent = json.dumps({**RESPONSE, "output": [item, ITEM]}).encode()
    async with driver.client(transport=answering_with(sent), **AT) as client:
        thought = (await client.create_response("hi")).output[0]
    assert (thought.type, thought.encrypted_content) == ("reasoning", "e")
    assert [part.text for part in thought.summary] == ([] if summary in (None, 5) else ["hm"])


async def test_a_number_as_a_piece_of_a_response(driver: Driver) -> None:
    sent = responded({"type": DELTA, "delta": 4}, {"type": DELTA, "delta": 2}, END)
    async with driver.client(transport=answering_with(sent), **AT) as client:
        assert (await client.create_response.stream("hi").result()).output_text == "42"


@pytest.mark.parametrize("begun", ["x", 5, [], {"content": "", "id": "m"}, {"content": 0}, None])
async def test_how_a_message_begins_decides_nothing(driver: Driver, begun: Any) -> None:
    """Of Anthropic's dialect."""
    sent = responded(
        {"type": "message_start", "message": begun},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
        {"type": "message_stop"},
    )
    async with driver.client(transport=answering_with(sent), **AT) as client:
        assert (await client.messages.stream(MESSAGES, max_tokens=9).result()).text == "a"


STARTED: dict[str, Any] = {"type": "message_start", "message": {"id": "m", "content": []}}
ENDED: dict[str, Any] = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
STOPPED = [ENDED, {"type": "message_stop"}]
TEXT: dict[str, Any] = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}


def grown(delta: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": 0, "delta": delta}


SAID = grown({"type": "text_delta", "text": "a"})
USED = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
MESSAGED: dict[str, tuple[bytes, list[dict[str, Any]]]] = {
    "two blocks at one index": (
        responded(STARTED, TEXT, SAID, {**TEXT, "content_block": USED},
                  grown({"type": "input_json_delta", "partial_json": '{"x": 1}'}), *STOPPED),
        [{"type": "text", "text": "a"}, {**USED, "input": {"x": 1}}],
    ),
    "arguments that are an object": (
        responded(STARTED, {**TEXT, "content_block": USED},
                  grown({"type": "input_json_delta", "partial_json": {"x": 1}}), *STOPPED),
        [{**USED, "input": {"x": 1}}],
    ),
    # https://github.com/BerriAI/litellm/issues/29286
    "pieces that say nothing": (
        responded(STARTED, TEXT, grown({"type": "input_json_delta", "partial_json": ""}), grown([]), grown(None),
                  SAID, *STOPPED),
        [{"type": "text", "text": "a"}],
    ),
    "a block without a type": (
        responded(STARTED, {**TEXT, "content_block": None}, SAID, *STOPPED), [{"type": "text", "text": "a"}],
    ),
    "a text to begin with": (
        responded({**STARTED, "message": {"content": "b"}}, {**TEXT, "index": 1}, {**SAID, "index": 1}, *STOPPED),
        [{"type": "text", "text": "b"}, {"type": "text", "text": "a"}],
    ),
    "an end marker behind the reason": (
        responded(STARTED, TEXT, SAID, ENDED) + b"data: [DONE]\n\n", [{"type": "text", "text": "a"}],
    ),
    "a text": (b'{"type": "message", "content": "a"}', [{"type": "text", "text": "a"}]),
    "a block": (b'{"content": {"type": "text", "text": "a"}}', [{"type": "text", "text": "a"}]),
    "texts": (b'{"content": ["a", {"text": "b"}]}', [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]),
}  # fmt: skip


@pytest.mark.parametrize("report", MESSAGED)
async def test_what_comes_of_a_message(driver: Driver, report: str) -> None:
    sent, expected = MESSAGED[report]
    async with driver.client(transport=answering_with(sent), **AT) as client:
        ask, is_events = client.create_message, sent.startswith(b"event")
        message = await (ask.stream(MESSAGES, max_tokens=9).result() if is_events else ask(MESSAGES, max_tokens=9))
    assert message.to_dict()["content"] == expected


async def test_what_no_field_of_a_message_takes(driver: Driver) -> None:
    started = {**STARTED, "message": {"model": {"a": 1}, "usage": {"input_tokens": {"b": 1}, "output_tokens": 1}}}
    sent = responded(started, {**TEXT, "content_block": {"type": "text", "text": "", "citations": "x"}}, SAID, *STOPPED)
    async with driver.client(transport=answering_with(sent), **AT) as client:
        raw = (await client.create_message.stream(MESSAGES, max_tokens=9).result()).raw
    assert (raw["model"], raw["usage"], raw["content"]) == (
        {"a": 1},
        {"input_tokens": {"b": 1}, "output_tokens": 1},
        [{"type": "text", "text": "a", "citations": "x"}],
    )


async def test_kinds_of_input_in_an_odd_form(driver: Driver) -> None:
    """Of a moderation: the others stay."""
    kinds = {"hate": "text", "violence": ["text", "image"]}
    sent = {"results": [{"flagged": True, "categories": {}, "category_applied_input_types": kinds}]}
    async with driver.client(transport=answering(body(sent)), **AT) as client:
        (found,) = (await client.create_moderation("a")).results
    assert found.category_applied_input_types == {"violence": ["text", "image"]}
