"""Lines whose answers are values of types: which they may name, what is in a result, and what a wrong answer is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pydantic
import pytest

from headwater import AsyncInferenceClient, InferenceClient
from headwater.batch import BatchSummary, run_batch, run_batch_sync
from headwater.errors import InvalidParameterError
from headwater.testing import MemoryTransport, ScriptedResponse

pytestmark = [pytest.mark.anyio, pytest.mark.dealt]


class Line(msgspec.Struct):
    what: str
    amount: float = 0.0


class Pair(NamedTuple):
    left: int
    right: str


class Person(pydantic.BaseModel):
    name: str = pydantic.Field(alias="called")


TYPES: dict[str, Any] = {"shop:Line": Line, "shop:Pair": Pair, "shop:Person": Person, "lines": list[Line]}


def says(text: str) -> ScriptedResponse:
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop", "own": True}
    return ScriptedResponse.json({"id": "c", "choices": [choice], "usage": usage})


def chat(answer_type: Any, **more: Any) -> dict[str, Any]:
    body = {"model": "m", "messages": [{"role": "user", "content": "?"}], **more}
    if answer_type is not None:
        body["response_format"] = answer_type
    return {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": body}


async def run(folder: Path, lines: list[Any], answers: list[str], **options: Any) -> tuple[list[Any], Any]:
    """The result lines in the input's order, and the transport that was asked."""
    folder.mkdir(exist_ok=True)
    source, output = folder / "in.jsonl", folder / "out.jsonl"
    named = [{**line, "custom_id": str(number)} for number, line in enumerate(lines)]
    source.write_text("".join(f"{json.dumps(line)}\n" for line in named))
    transport = MemoryTransport.in_turn(*map(says, answers))
    async with AsyncInferenceClient(base_url="https://model.test/v1", transport=transport, retries=0) as client:
        await run_batch(client, source, output, ordered=True, concurrency=1, **options)
    return [json.loads(line) for line in output.read_text().splitlines()], transport


@pytest.mark.parametrize(
    ("named", "text", "parsed"),
    [
        ("shop:Line", '{"what":"tea"}', {"what": "tea", "amount": 0.0}),
        ("shop:Pair", '{"left":1,"right":"b"}', {"left": 1, "right": "b"}),
        ("shop:Person", '{"called":"N"}', {"called": "N"}),
        ("lines", '{"value":[{"what":"a","amount":1}]}', [{"what": "a", "amount": 1.0}]),
    ],
)
@pytest.mark.parametrize("is_short", [False, True])
async def test_the_value_is_in_the_result(tmp_path: Path, named: str, text: str, parsed: Any, is_short: bool) -> None:
    line = {"task": "chat-completion", "inputs": "?", "model": "m", "response_format": named}
    (found,), transport = await run(tmp_path, [line if is_short else chat(named)], [text], types=TYPES)
    assert found["error"] is None
    (choice,) = found["response"]["body"]["choices"]
    assert choice["message"] == {"role": "assistant", "content": text, "parsed": parsed}
    assert choice["own"] is True, "the server's own JSON is kept"
    assert transport.requests[0].json()["response_format"]["json_schema"]["schema"]["type"] == "object"


async def test_a_line_names_what_the_program_has_given_and_no_code(tmp_path: Path) -> None:
    (tmp_path / "planted.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass T: pass\n")
    lines = [chat(named) for named in ("planted:T", "os:PathLike", "shop:Nothing", "Line")]
    found, transport = await run(tmp_path, lines, [], types=TYPES)
    without, _ = await run(tmp_path / "without", [chat("shop:Line")], [])
    for line in (*found, *without):
        assert line["error"]["class"] == "InvalidParameterError"
        assert "imports nothing" in line["error"]["message"]
    assert "'shop:Line'" in found[0]["error"]["message"]
    assert "was given none" in without[0]["error"]["message"]
    assert not transport.requests
    assert not (tmp_path / "ran").exists()


async def test_an_answer_that_is_none_is_a_failed_record(tmp_path: Path) -> None:
    text = '{"what":"tea","amount":"two"}'
    found, _ = await run(tmp_path, [chat(None)] * 2, [text, '{"what":"tea"}'], answer_type=Line)
    assert found[0]["response"] is None
    error = found[0]["error"]
    assert (error["class"], error["code"]) == ("InvalidAnswerError", "invalid_answer")
    assert (error["path"], error["text"], error["tries"][0]["text"]) == ("$.amount", text, text)
    assert (found[0]["headwater"]["input_tokens"], found[0]["headwater"]["output_tokens"]) == (3, 4)
    assert found[1]["response"]["body"]["choices"][0]["message"]["parsed"] == {"what": "tea", "amount": 0.0}


async def test_a_line_may_be_asked_again_and_says_what_it_cost(tmp_path: Path) -> None:
    again = chat("shop:Line", on_invalid="ask again")
    (found,), _ = await run(tmp_path, [again], ["no", '{"what":"tea"}'], types=TYPES)
    body = found["response"]["body"]
    assert body["choices"][0]["message"]["parsed"]["what"] == "tea"
    assert [each["text"] for each in body["tries"]] == ["no"]
    assert found["headwater"]["input_tokens"] == 6


async def test_a_lines_own_form_of_answer_goes_before_the_batchs_type(tmp_path: Path) -> None:
    found, transport = await run(tmp_path, [chat({"type": "json_object"})], ["{}"], answer_type=Line)
    assert transport.requests[0].json()["response_format"] == {"type": "json_object"}
    assert "parsed" not in found[0]["response"]["body"]["choices"][0]["message"]


async def test_a_type_without_a_schema_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError, match="complex"):
        await run(tmp_path, [chat(None)], [], answer_type=complex)


def test_a_texts_type_is_its_grammar(tmp_path: Path) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text('{"task":"text-generation","inputs":"go on","grammar":"shop:Line"}\n')
    transport = MemoryTransport.in_turn(
        ScriptedResponse.json({"generated_text": '{"what":"tea"}', "details": {"finish_reason": "stop"}})
    )
    with InferenceClient(model="https://model.test", transport=transport) as client:
        summary: BatchSummary = run_batch_sync(client, source, output, types=TYPES)
    assert summary.done == 1
    body = json.loads(output.read_text())["response"]["body"]
    assert body == {"generated_text": '{"what":"tea"}', "parsed": {"what": "tea", "amount": 0.0}}
