"""A conversation with a server that wants its own words back: whole and streamed, on every driver."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from support.drivers import Driver

pytestmark = pytest.mark.anyio

ASKED = {"role": "user", "content": "What's the weather?"}
SIGNATURE = {"google": {"thought_signature": "c2ln"}}
DETAIL = {"type": "reasoning.text", "text": "Hm...", "signature": "s", "index": 0}
CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}, "extra_content": SIGNATURE}
MESSAGE = {"role": "assistant", "reasoning_content": "Hm...", "reasoning_details": [DETAIL], "tool_calls": [CALL]}
FACTS = {"id": "c1", "created": 7, "model": "m", "citations": ["https://a.example"]}
FUNCTION = {"name": "f", "arguments": ""}
DELTAS = [
    {
        "role": "assistant",
        "reasoning_content": "Hm",
        "reasoning_details": [{**DETAIL, "text": "Hm", "signature": None}],
    },
    {"reasoning_content": "...", "reasoning_details": [{"type": "reasoning.text", "text": "...", "index": 0}]},
    {"reasoning_details": [{"type": "reasoning.text", "signature": "s", "index": 0}]},
    {"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": FUNCTION, "extra_content": SIGNATURE}]},
    {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]},
]


def answer(request: httpx.Request) -> httpx.Response:
    """What was asked for, until the call has come back as it was given."""
    sent = json.loads(request.content)
    if not sent["stream"]:
        choice = {"index": 0, "message": MESSAGE, "finish_reason": "tool_calls"}
        return httpx.Response(200, json={**FACTS, "choices": [choice]})
    ends = [None] * (len(DELTAS) - 1) + ["tool_calls"]
    chunks = [
        {**FACTS, "choices": [{"index": 0, "delta": delta, "finish_reason": end}]}
        for delta, end in zip(DELTAS, ends, strict=True)
    ]
    text = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)
    return httpx.Response(200, headers={"content-type": "text/event-stream"}, text=f"{text}data: [DONE]\n\n")


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("as_dict", [False, True])
async def test_an_answer_is_sent_back_as_it_came(driver: Driver, streamed: bool, as_dict: bool) -> None:
    asked: list[dict[str, Any]] = []

    def keep(request: httpx.Request) -> httpx.Response:
        asked.append(json.loads(request.content))
        return answer(request)

    made = driver.client("https://own.example/v1", transport=httpx.MockTransport(keep), token="x", retries=0)
    async with made as client:
        if streamed:
            async with client.chat_completion.stream([ASKED]) as run:
                first = await run.result()
        else:
            first = await client.chat_completion([ASKED])
        message = first.choices[0].message
        assert first.raw["citations"] == first["citations"] == FACTS["citations"]
        given = json.loads(json.dumps(first.to_dict()["choices"][0]["message"])) if as_dict else message
        await client.chat_completion([ASKED, given, {"role": "tool", "tool_call_id": "a", "content": "rain"}])
    # a dict goes as it is, without the fields of the Struct that are not set
    assert asked[1]["messages"][1] == MESSAGE | ({"content": None, "reasoning": "Hm..."} if as_dict else {})
