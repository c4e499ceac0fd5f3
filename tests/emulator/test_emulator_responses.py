"""The emulator's Responses API refuses what OpenAI refuses."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from headwater import emulator

CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
ANSWER = {"type": "function_call_output", "call_id": "c", "output": "1"}
REFUSED: list[tuple[dict[str, Any], str | None, str]] = [
    ({"model": None}, "model", "must provide a model"),
    ({"input": None}, "input", "must be provided"),
    ({"messages": []}, "messages", "moved to 'input'"),
    ({"max_tokens": 5}, "max_tokens", "moved to 'max_output_tokens'"),
    ({"hologram": 1}, "hologram", "Unknown parameter"),
    ({"max_output_tokens": 1}, "max_output_tokens", ">= 16"),
    ({"temperature": 3}, "temperature", "<= 2"),
    ({"stream_options": {}}, "stream_options", "only allowed when 'stream'"),
    ({"input": [ANSWER]}, "input", "No tool call found for function call output with call_id c"),
    ({"input": [CALL]}, "input", "No tool output found for function call c"),
    ({"input": [CALL, ANSWER, ANSWER]}, "input", "No tool call found"),
    ({"input": [{"type": "beam"}]}, "input[0].type", "Invalid value: 'beam'"),
    ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role", "Invalid value: 'tool'"),
    ({"input": [{"role": "user"}]}, "input[0].content", "Missing"),
    ({"input": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}, "input[0].content[0]", "'input_text'"),
    ({"input": [{**CALL, "arguments": {}}, ANSWER]}, "input[0].arguments", "expected a string"),
    ({"input": [{**CALL, "id": "x_1"}, ANSWER]}, "input[0].id", "begins with 'fc'"),
    ({"input": [{**CALL, "status": None}, ANSWER]}, "input[0].status", "Invalid value"),
    ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools[0].name", "Missing"),
    ({"tools": [{"type": "beam"}]}, "tools[0].type", "Invalid value"),
    ({"tool_choice": "required"}, "tool_choice", "only allowed when"),
    ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format.name", "Missing"),
    ({"include": ["everything"]}, "include", "Invalid value"),
    ({"previous_response_id": "resp_1"}, "previous_response_id", "not found"),
    ({"background": True, "store": False}, "background", "requires 'store'"),
]


@pytest.fixture(scope="module")
def url() -> Any:
    with emulator.running() as found:
        yield found


@pytest.mark.parametrize(("members", "param", "said"), REFUSED)
def test_what_openai_refuses(
    url: str, http: httpx.Client, members: dict[str, Any], param: str | None, said: str
) -> None:
    answer = http.post(f"{url}/v1/responses", json={"model": "m", "input": "Hi", **members})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, param) and said in error["message"]


@pytest.mark.parametrize("way", ["", "/cancel", "/input_items"])
def test_a_response_that_is_not_there(url: str, http: httpx.Client, way: str) -> None:
    answer = http.request("POST" if way == "/cancel" else "GET", f"{url}/v1/responses/resp_none{way}")
    assert answer.status_code == 404 and "resp_none" in answer.json()["error"]["message"]


def test_what_is_no_job_is_neither_cancelled_nor_streamed(url: str, http: httpx.Client) -> None:
    made = http.post(f"{url}/v1/responses", json={"model": "m", "input": "Hi"}).json()
    for method, way in (("POST", "/cancel"), ("GET", "?stream=true")):
        assert http.request(method, f"{url}/v1/responses/{made['id']}{way}").status_code == 400
