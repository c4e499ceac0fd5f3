"""OpenAI's own client against the emulator's Responses API, and ours beside it: what it reads, and that both read it.

The emulator's oracle: a stream that this client cannot put together is none of OpenAI's. Skipped where it is not
installed: `nox -s parity` installs it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.response_events import ASKED

from headwater import InferenceClient, emulator
from headwater.emulator.server import Emulator

openai = pytest.importorskip("openai", reason="openai is not installed; nox -s parity installs it")

REQUESTS: list[dict[str, Any]] = [
    {"input": "Say it"},
    {"input": [{"role": "user", "content": [{"type": "input_text", "text": "Say it"}]}], "temperature": 0},
    {**ASKED},
    {"input": "Say it", "reasoning": {"effort": "low"}, "include": ["reasoning.encrypted_content"]},
    {"input": "Say it over and over", "max_output_tokens": 16, "reasoning": {"effort": "high"}},
    {"input": "Say it", "model": "m-refuse"},
    {"input": "Say it", "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}}},
    {"input": "Say it", "include": ["message.output_text.logprobs"], "top_logprobs": 2},
]


@pytest.fixture(scope="module")
def url() -> Iterator[Emulator]:
    with emulator.running() as found:
        yield found


@pytest.fixture
def theirs(url: Emulator) -> Any:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="key", max_retries=0) as client:
        yield client


@pytest.fixture
def ours(url: Emulator) -> Iterator[InferenceClient]:
    with InferenceClient(base_url=f"{url}/v1", api_key="key", retries=0) as client:
        yield client


def plain(response: Any) -> Any:
    return response.to_dict() if hasattr(response, "to_dict") else response


@pytest.mark.parametrize("asked", REQUESTS)
def test_both_read_the_same(asked: dict[str, Any], theirs: Any, ours: InferenceClient, url: Emulator) -> None:
    asked = {"model": "m", **asked}
    url.forget()
    their_answer, our_answer = theirs.responses.create(**asked), ours.responses.create(**asked)
    assert url.requests[0].json == url.requests[1].json
    assert their_answer.output_text == our_answer.output_text
    assert our_answer.raw == their_answer.model_dump(mode="json", exclude_unset=True, by_alias=True)
    with theirs.responses.stream(**asked) as stream:
        kinds = [event.type for event in stream]
        # it has no answer for one that is incomplete
        final = their_answer if their_answer.status == "incomplete" else stream.get_final_response()
    with ours.responses.stream(**asked) as run:
        events = list(run)
        result = run.result()
    known = [kind for kind in kinds if kind != "response.output_text.delta"]
    assert [one.type for one in events if one.type != "response.output_text.delta"] == known
    assert final.output_text == result.output_text == our_answer.output_text
    assert final.status == result.status


def test_what_is_kept(theirs: Any, ours: InferenceClient) -> None:
    made = theirs.responses.create(model="m", input="Say it")
    assert plain(ours.responses.retrieve(made.id))["id"] == theirs.responses.retrieve(made.id).id
    assert [one.id for one in theirs.responses.input_items.list(made.id).data] == [
        one.id for one in ours.responses.input_items.list(made.id).data
    ]
    again = [*made.output, {"role": "user", "content": "And again"}]
    asked = [one if isinstance(one, dict) else one.model_dump(exclude_unset=True) for one in again]
    assert theirs.responses.create(model="m", input=asked).status == "completed"
    theirs.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        theirs.responses.retrieve(made.id)


def test_in_the_background(theirs: Any, ours: InferenceClient) -> None:
    made = theirs.responses.create(model="m", input="a b c", background=True)
    assert made.status == "queued"
    assert ours.responses.wait(made.id).result().output_text == theirs.responses.retrieve(made.id).output_text
    stream = theirs.responses.create(model="m-cut-6", input="a b c", background=True, stream=True)
    events = list(stream)
    rest = list(
        theirs.responses.retrieve(events[0].response.id, stream=True, starting_after=events[-1].sequence_number)
    )
    assert [one.sequence_number for one in [*events, *rest]] == list(range(len(events) + len(rest)))
    assert rest[-1].type == "response.completed"
    other = theirs.responses.create(model="m", input="forever", background=True)
    assert theirs.responses.cancel(other.id).status == "cancelled"


@pytest.mark.parametrize(
    "asked",
    [
        {"input": [{"type": "function_call_output", "call_id": "c", "output": "1"}]},
        {"input": [{"type": "hologram"}]},
        {"model": "", "input": "x"},
        {"input": "x", "previous_response_id": "resp_none"},
        {"input": "x", "background": True, "store": False},
    ],
)
def test_both_are_refused(asked: dict[str, Any], theirs: Any, ours: InferenceClient) -> None:
    from headwater import BadRequestError

    asked = {"model": "m", **asked}
    with pytest.raises(openai.BadRequestError) as their_refusal:
        theirs.responses.create(**asked)
    with pytest.raises(BadRequestError) as our_refusal:
        ours.responses.create(**{**asked, "extra_body": {"model": asked["model"]}})
    assert (our_refusal.value.code, our_refusal.value.param) == (their_refusal.value.code, their_refusal.value.param)
