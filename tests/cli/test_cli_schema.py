"""`--schema` and `--types`: answers of types in the command, from a file and from a module."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHAT = ("chat", "--base-url")
SHOP = """
import dataclasses, subprocess
from pathlib import Path
@dataclasses.dataclass
class Tea:
    leaf: str
    grams: int = 2
Teas = list[Tea]
"""
SCHEMA = {
    "title": "Tea",
    "type": "object",
    "properties": {"leaf": {"$ref": "#/definitions/leaf"}, "cups": {"type": "array", "items": {"type": "integer"}}},
    "required": ["leaf"],
    "definitions": {"leaf": {"type": "string", "minLength": 2}},
}


@pytest.fixture(autouse=True)
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    Path("shop.py").write_text(SHOP)
    Path("tea.json").write_text(json.dumps(SCHEMA))
    yield
    sys.modules.pop("shop", None)


@pytest.mark.parametrize(
    ("schema", "text", "printed"),
    [
        ("shop:Tea", '{"leaf": "oolong"}', '{"leaf":"oolong","grams":2}'),
        ("shop:Teas", '{"value": [{"leaf": "a", "grams": 1}]}', '[{"leaf":"a","grams":1}]'),
        ("tea.json", '{"leaf": "oolong", "cups": [1]}', '{"leaf":"oolong","cups":[1]}'),
    ],
)
def test_the_value_is_printed(headwater_command: Any, server: Any, schema: str, text: str, printed: str) -> None:
    server.forget()
    server.script("m", text)
    done = headwater_command(*CHAT, server, "--model", "m", "--schema", schema, "Which?")
    assert done == (0, f"{printed}\n", "")
    sent = server.requests[-1].json["response_format"]["json_schema"]
    assert sent["schema"]["additionalProperties"] is False


def test_the_whole_answer_has_it_too(headwater_command: Any, server: Any) -> None:
    server.script("m", '{"leaf": "oolong"}')
    done = headwater_command(*CHAT, server, "--model", "m", "--schema", "tea.json", "--json", "Which?")
    assert json.loads(done.out)["choices"][0]["message"]["parsed"] == {"leaf": "oolong"}


@pytest.mark.parametrize(
    ("text", "path"),
    [('{"leaf": "x"}', "$.leaf"), ('{"leaf": "xx", "cups": [1, "2"]}', "$.cups[1]"), ("{}", "at $"), ("tea", "at $")],
)
def test_an_answer_that_is_none_is_an_error_with_its_place(
    headwater_command: Any, server: Any, text: str, path: str
) -> None:
    server.script("m", text)
    done = headwater_command(*CHAT, server, "--model", "m", "--schema", "tea.json", "Which?")
    assert (done.code, done.out) == (1, "")
    assert path in done.err


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ("shop:Coffee", "no type 'Coffee'"),
        ("shop:subprocess", "no type 'subprocess'"),
        ("shop:Path", "Path"),
        ("none:Tea", "cannot be imported"),
        ("broken:Tea", "SyntaxError"),
        ("a b:Tea", "no module"),
        ("nothing.json", "nothing.json: "),
        ("list.json", "is an object"),
        ("odd.json", "no JSON schema"),
        ("text.json", "no JSON"),
        ("Tea", "shop:Invoice"),
    ],
)
def test_what_is_no_schema_is_said_before_anything_is_sent(
    headwater_command: Any, server: Any, schema: str, said: str
) -> None:
    Path("broken.py").write_text("class")
    Path("list.json").write_text("[]")
    Path("odd.json").write_text('{"type": 3}')
    Path("text.json").write_text("Tea")
    server.forget()
    done = headwater_command(*CHAT, server, "--model", "m", "--schema", schema, "Which?")
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert not server.requests


def test_lines_of_a_batch_name_types_of_the_modules_that_the_command_names(headwater_command: Any, server: Any) -> None:
    def line(named: str) -> str:
        body = {"model": "tea", "messages": [{"role": "user", "content": "?"}], "response_format": named}
        return json.dumps({"custom_id": named, "url": "/v1/chat/completions", "body": body})

    server.script("tea", *['{"leaf": "oolong"}'] * 3)
    Path("in.jsonl").write_text("\n".join(map(line, ("shop:Tea", "shop:Path", "json:JSONDecoder"))))
    done = headwater_command("batch", "in.jsonl", "-o", "out.jsonl", "--base-url", server, "--types", "shop")
    assert done.code == 3, done.err
    found = {each["custom_id"]: each for each in map(json.loads, Path("out.jsonl").read_text().splitlines())}
    message = found["shop:Tea"]["response"]["body"]["choices"][0]["message"]
    assert message["parsed"] == {"leaf": "oolong", "grams": 2}
    assert "'shop:Teas'" in found["shop:Path"]["error"]["message"]
    assert found["json:JSONDecoder"]["error"]["class"] == "InvalidParameterError"
    Path("in2.jsonl").write_text(line("shop:Tea").replace(', "response_format": "shop:Tea"', ""))
    done = headwater_command("batch", "in2.jsonl", "-o", "out2.jsonl", "--base-url", server, "--schema", "shop:Tea")
    assert done.code == 0, done.err
    assert json.loads(Path("out2.jsonl").read_text())["response"]["body"]["choices"][0]["message"]["parsed"]
