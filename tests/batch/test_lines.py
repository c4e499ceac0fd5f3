"""Lines in both directions: what a line asks for, and what its result's line is."""

from __future__ import annotations

import gzip
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from headwater.batch.input_file import DONE, RECORD, REPEATED, Blocks, InputIndex, Item
from headwater.batch.record import RecordMeta, decode_record, encode_record
from headwater.batch.report.data import RunData
from headwater.batch.request_line import ParsedRequest, chosen, custom_id_of, parse_line, tasks_by_name
from headwater.batch.result_line import MediaFolder, failure, result_body, success
from headwater.cli.results import as_file
from headwater.client.post import Response
from headwater.cost.usage import counted_tokens
from headwater.errors import (
    CallError,
    DecodeError,
    InferenceTimeoutError,
    InputError,
    InvalidParameterError,
    InvalidRequestError,
)
from headwater.media.media import Media
from headwater.protocol.flow import Reply
from headwater.responses.decode import decode
from headwater.tasks.chat import chat_completion
from headwater.tasks.chat_types import ChatCompletionOutput
from headwater.tasks.vision import DepthEstimationOutput

MESSAGES = [{"role": "user", "content": "hi"}]


def asked(**line: Any) -> ParsedRequest:
    return parse_line(Item(0, json.dumps(line).encode(), is_repeated=False))


def test_a_chat_of_openais_batch() -> None:
    body = {"model": "m", "messages": MESSAGES, "max_completion_tokens": 5, "n": 2, "stop": None}
    found = asked(custom_id="a", method="POST", url="/v1/chat/completions", body=body)
    assert found.declaration is chat_completion
    bound = chat_completion.bind((), found.arguments)
    sent = {name: value for name, value in bound.items() if name != "extra_body"} | bound.get("extra_body", {})
    assert sent == {"model": "m", "messages": MESSAGES, "max_completion_tokens": 5, "n": 2}
    assert (found.model, found.streams) == ("m", False)


def test_an_extra_body_and_unknown_fields_go_together() -> None:
    body = {"messages": MESSAGES, "guided_choice": ["a"], "extra_body": {"min_p": 0.1}, "stream": True}
    found = asked(url="/v1/chat/completions", body=body)
    assert found.arguments["extra_body"] == {"guided_choice": ["a"], "min_p": 0.1}
    assert found.streams


@pytest.mark.parametrize(
    ("url", "body", "task", "arguments"),
    [
        ("/v1/embeddings", {"input": ["a"]}, "create_embedding", {"input": ["a"]}),
        (
            "/v1/messages",
            {"messages": [{"role": "user", "content": "a"}], "max_tokens": 9, "top_a": 1},
            "create_message",
            {"messages": [{"role": "user", "content": "a"}], "max_tokens": 9, "extra_body": {"top_a": 1}},
        ),
        (
            "/v1/images/edits",
            {"image": ["a.png", "b.png"], "prompt": "p", "size": "auto"},
            "edit_image",
            {"image": ["a.png", "b.png"], "prompt": "p", "size": "auto", "model": None},
        ),
        (
            "/v1/audio/translations",
            {"file": "a.wav", "prompt": "p"},
            "audio_translation",
            {"audio": "a.wav", "prompt": "p", "model": None},
        ),
        ("/v1/moderations", {"input": "a", "x": 1}, "create_moderation", {"input": "a", "extra_body": {"x": 1}}),
        ("/v1/rerank", {"query": "a", "documents": ["b"]}, "rerank", {"query": "a", "documents": ["b"]}),
        (
            "/v1/images/generations",
            {"prompt": "p", "size": "64x32"},
            "text_to_image",
            {"prompt": "p", "width": 64, "height": 32, "model": None},
        ),
        ("/v1/audio/speech", {"input": "t"}, "text_to_speech", {"text": "t", "model": None}),
        (
            "/v1/audio/transcriptions",
            {"file_url": "https://x/y.wav"},
            "automatic_speech_recognition",
            {"audio": "https://x/y.wav", "model": None},
        ),
    ],
)
def test_other_urls_are_tasks(url: str, body: dict[str, Any], task: str, arguments: dict[str, Any]) -> None:
    found = asked(url=url, body=body)
    assert found.declaration is not None
    assert found.declaration.method == task
    assert found.arguments == arguments


def test_vllms_urls_are_posted_as_they_are() -> None:
    found = asked(url="/v1/score", body={"model": "m", "text_1": "a", "text_2": "b"})
    assert (found.form, found.path, found.arguments["text_1"]) == ("posted", "/v1/score", "a")


@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        ({"task": "text-to-image", "inputs": "a", "parameters": {"width": 8}}, {"prompt": "a", "width": 8}),
        ({"task": "chat-completion", "inputs": "hi"}, {"messages": MESSAGES}),
        ({"task": "chat_completion", "inputs": MESSAGES, "model": "m"}, {"messages": MESSAGES, "model": "m"}),
        (
            {"task": "question-answering", "inputs": {"question": "q", "context": "c"}},
            {"question": "q", "context": "c"},
        ),
        ({"task": "summarization", "parameters": {"text": "t"}}, {"text": "t"}),
    ],
)
def test_the_short_form(line: dict[str, Any], arguments: dict[str, Any]) -> None:
    found = asked(**line)
    assert found.arguments == arguments
    assert found.declaration is not None
    found.declaration.bind((), found.arguments)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"{", "no JSON object"),
        (b"[1]", "no JSON object: it is an array"),
        (b'"{}"', "it is a text"),
        (b"3", "it is a number"),
        (b"null", "it is null"),
        (b"{'task': 'summarization'}", "a name in double quotes is missing, at character 2"),
        (b'{"task": "summarization" "inputs": "t"}', "there is no , where one should be, at character 26"),
        (b'{"task": "summarization", "inputs": "t"', "it ends where } should be"),
        (b'{"task": "summarization", "inputs": "t"} {"a": 1}', "each object needs a line of its own"),
        (b'{"task": "summarization", "inputs": "caf\xe9"}', "not UTF-8 at byte 41"),
        (b'{"task": 3}', "task"),
        (b'{"custom_id": "a"}', 'neither a "url"'),
        (b'{"url": "/v1/chat/completions"}', 'needs a "body"'),
        (b'{"url": "/v1/../x", "body": {}}', "none that a batch knows"),
        (b'{"url": "/v1/embeddings", "body": {}, "method": "GET"}', "POST alone"),
        (b'{"task": "no-such-task", "inputs": 1}', "no task is called 'no-such-task'"),
        (b'{"url": "/v1/images/generations", "body": {"prompt": "a", "n": 3}}', "n must be 1"),
        (b'{"body":{"a":' + b"[" * 100_000, "no JSON object"),
        (b"\xff", "no JSON object"),
        (b'{"task": "text-to-image", "input": "a"}', "a field 'input'; did you mean 'inputs'"),
        (b'{"task": "text-to-image", "inputs": "a", "params": {"width": 8}}', "did you mean 'parameters'"),
    ],
)
def test_a_wrong_line_is_refused_by_a_word_on_what_is_wrong(line: bytes, words: str) -> None:
    with pytest.raises(CallError, match=words.replace("`", ".")):
        parse_line(Item(4, line, is_repeated=False))


def test_beside_a_body_a_line_may_have_fields_of_its_own() -> None:
    assert asked(url="/v1/embeddings", body={"input": "t"}, label="x", metadata={"a": 1}).arguments == {"input": "t"}
    assert asked(url="/v1/embeddings", body={"input": "t"}, input="t").arguments == {"input": "t"}
    assert asked(url="/v1/embeddings", body={"input": "t"}, model="m").arguments == {"input": "t", "model": "m"}


@pytest.mark.parametrize("name", sorted(set(tasks_by_name())))
def test_every_task_takes_its_parameters_in_the_line_itself(name: str) -> None:
    declaration = tasks_by_name()[name]
    first, *others = [field for field in declaration.parameters.__struct_fields__ if field not in ("model", "stream")]
    line = {"task": name, first: "x", **dict.fromkeys(others, 1), "model": "m", "provider": None, "method": "POST"}
    assert asked(**line).arguments == {first: "x", **dict.fromkeys(others, 1), "model": "m"}
    with pytest.raises(InvalidParameterError, match=r"a field .zzzz., and .* has no such parameter"):
        asked(**line, zzzz=1)
    assert asked(**line, zzzz=None).arguments["model"] == "m"  # it says nothing


@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        ({"inputs": "hi", "max_tokens": 3, "parameters": {"seed": 1}}, {"max_tokens": 3, "seed": 1}),
        ({"inputs": "hi", "max_tokens": 3, "parameters": {"max_tokens": 3}}, {"max_tokens": 3}),
        ({"messages": MESSAGES, "temperature": 0}, {"temperature": 0}),
        ({"inputs": "hi", "parameters": None, "model": None}, {}),
        ({"inputs": {"messages": MESSAGES, "seed": 4}, "model": "m"}, {"seed": 4, "model": "m"}),
    ],
)
def test_parameters_may_stand_anywhere_in_the_short_form(line: dict[str, Any], arguments: dict[str, Any]) -> None:
    found = asked(task="chat-completion", **line)
    assert found.arguments == {"messages": MESSAGES, **arguments}
    assert chat_completion.bind((), found.arguments) == found.arguments


def test_a_stream_that_a_line_wants() -> None:
    assert asked(task="chat-completion", inputs="hi", stream=True).streams
    assert asked(task="text-generation", inputs="hi", parameters={"stream": True}).streams
    with pytest.raises(InvalidParameterError, match="'stream'"):
        asked(task="summarization", inputs="hi", stream=True)


CHAT = {"url": "/v1/chat/completions", "body": {"messages": MESSAGES, "model": "m", "max_tokens": 3}}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ({"task": "chat-completion", "inputs": "x", "max_token": 3}, "'max_token'; did you mean 'max_tokens'"),
        ({"task": "chat-completion", "inputs": "x", "label": "y"}, "'label', and chat-completion has no such"),
        (
            {"task": "chat-completion", "inputs": "x", "max_tokens": 3, "parameters": {"max_tokens": 4}},
            "'max_tokens' twice",
        ),
        ({"task": "chat-completion", "inputs": "x", "messages": MESSAGES}, "'messages' twice"),
        ({"task": "chat-completion", "inputs": "x", "model": "a", "parameters": {"model": "b"}}, "'model' twice"),
        ({"task": "chat-completion", "inputs": "x", "body": {"max_tokens": 3}}, 'has no "body"'),
        ({"task": "chat-completions", "inputs": "x"}, "did you mean 'chat-completion'"),
        ({**CHAT, "task": "chat-completion"}, 'a "url" and a "task"'),
        ({**CHAT, "max_tokens": 4}, "'max_tokens' twice"),
        ({**CHAT, "seed": 4}, "'seed' beside its \"body\""),
        ({**CHAT, "parameters": {"seed": 4}}, "'parameters' beside its \"body\""),
        ({**CHAT, "stream": True}, "'stream' beside its \"body\""),
        ({**CHAT, "model": "other"}, "'model' twice"),
        ({**CHAT, "metod": "POST"}, "did you mean 'method'"),
        ({**CHAT, "body": []}, "body"),
    ],
)
def test_nothing_that_a_line_says_is_left_out(line: dict[str, Any], words: str) -> None:
    with pytest.raises(CallError, match=words):
        asked(**line)


# -- where a request goes is not a line's to say

ELSEWHERE = "http://127.0.0.1:9/v1"


@pytest.mark.parametrize("model", [ELSEWHERE, "https://x.y", "HTTP://x.y", " https://x.y"])
@pytest.mark.parametrize(
    "line",
    [
        {"url": "/v1/chat/completions", "body": {"messages": MESSAGES, "model": "$"}},
        {"url": "/v1/chat/completions", "body": {"messages": MESSAGES}, "model": "$"},
        {"url": "/v1/chat/completions", "body": {"messages": MESSAGES, "extra_body": {"model": "$"}}},
        {"url": "/v1/embeddings", "body": {"input": "t", "model": "$"}},
        {"url": "/v1/images/generations", "body": {"prompt": "t", "model": "$"}},
        {"url": "/v1/audio/speech", "body": {"input": "t", "model": "$"}},
        {"url": "/v1/audio/transcriptions", "body": {"file": "a.wav", "model": "$"}},
        {"url": "/v1/completions", "body": {"prompt": "t", "model": "$"}},
        {"task": "summarization", "inputs": "t", "model": "$"},
        {"task": "summarization", "inputs": "t", "parameters": {"model": "$"}},
        {"task": "summarization", "inputs": "t", "extra_body": {"model": "$"}},
        {"task": "question-answering", "inputs": {"question": "q", "context": "c", "model": "$"}},
    ],
)
def test_a_model_is_a_name_and_no_url(model: str, line: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameterError, match="a name, and this is a URL"):
        parse_line(Item(0, json.dumps(line).replace("$", model).encode()))


@pytest.mark.parametrize("model", ["hf.co/org/model:Q4", "accounts/x/models/y", "s3://bucket/model", "org/model"])
def test_names_of_every_shape_stay(model: str) -> None:
    assert asked(url="/v1/chat/completions", body={"messages": MESSAGES, "model": model}).model == model


@pytest.mark.parametrize("name", ["api_key", "token", "base_url", "headers", "extra_headers", "extra_query", "timeout"])
def test_what_is_the_programs_to_say(name: str) -> None:
    value = {"host": "elsewhere"} if "e" in name[:1] or name == "headers" else "x"
    lines: tuple[dict[str, Any], ...] = (
        {"task": "summarization", "inputs": "t", name: value},
        {"task": "summarization", "inputs": "t", "parameters": {name: value}},
        {**CHAT, name: value},
        *([{**CHAT, "body": {"messages": MESSAGES, name: value}}] if name.startswith("extra_") else []),
    )
    for line in lines:
        with pytest.raises(InvalidParameterError, match=f"{name}.*the program's to say"):
            asked(**line)


def test_a_provider_is_one_of_the_clients_own() -> None:
    assert chosen("groq", {"groq": 1, "together": 2}) == 1
    with pytest.raises(InvalidParameterError, match="the provider 'nscale', and the batch goes to 'groq'"):
        chosen("nscale", {"groq": 1})
    with pytest.raises(InvalidParameterError, match="a server's URL"):
        chosen("groq", {})


# -- what programs write that is no JSON


@pytest.mark.parametrize(
    ("line", "name", "text"),
    [
        (b'{"custom_id":"a","task":"summarization","inputs":"cut \\ud83d"}', "a", "cut \ufffd"),
        (b'{"task":"summarization","inputs":"\\ude00 cut","custom_id":"a"}', "a", "\ufffd cut"),
        (b'{"custom_id":"a","task":"summarization","inputs":"\\ud83d\\ude00 \\ud83d"}', "a", "\U0001f600 \ufffd"),
        (b'{"custom_id":"a\\ud83d","task":"summarization","inputs":"t"}', "a\ufffd", "t"),
        (b'{"custom_id":"a","task":"summarization","inputs":"\xed\xa0\xbd\xed\xb8\x80"}', "a", "\U0001f600"),
        (b'{"custom_id":"a","task":"summarization","inputs":"\x01\t"}', "a", "\x01\t"),
        (b'\xef\xbb\xbf{"custom_id":"a","task":"summarization","inputs":"t"}', "a", "t"),
        (b'{"custom_id":NaN,"task":"summarization","inputs":"t"}', "NaN", "t"),
        (b'{"custom_id":1.5,"task":"summarization","inputs":"t"}', "1.5", "t"),
        (b'{"custom_id":true,"task":"summarization","inputs":"t"}', "true", "t"),
        (b'{"custom_id":["\xc3\xa9"],"task":"summarization","inputs":"t"}', '["\xe9"]', "t"),
    ],
)
def test_a_line_is_read_as_far_as_it_can_be(line: bytes, name: str, text: str) -> None:
    item = Item(6, line)
    assert custom_id_of(item) == name
    assert parse_line(item).arguments == {"text": text}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'{"custom_id":"a","task":"summarization","inputs":"t","parameters":{"x":[1,NaN]}}', "x.1. is NaN"),
        (b'{"custom_id":"a","task":"chat","inputs":NaN}', "no task"),
        (b'{"custom_id":"a","url":"/v1/chat/completions","body":{"temperature":Infinity}}', "temperature is NaN or"),
        (b'{"custom_id":"a","url":"/v1/completions","body":{"logit_bias":{"5":-Infinity}}}', "logit_bias.5 is NaN or"),
        (b'{"custom_id":"a","url":"/v1/completions","body":{"seed":1e999}}', "seed is NaN or infinite"),
        (b'{"custom_id":"a","url":"/v1/completions","body":[]}', "body"),
        (b'{"custom_id":"a","url":"/v1/completions","body":{"prompt":"caf\xe9"}}', "not UTF-8 at byte 63"),
        (b'{"custom_id":"a","url":"/v1/completions","body":{"prom', "no JSON object"),
        (b'{"custom_id":"a","url":"/v1/completions"}{"custom_id":"b"}', "a line of its own"),
        (b'{"custom_id":"a","method":"PO', "no JSON object"),
        (b'{"custom_id":"a","x":' + b"[" * 100_000, "too deeply"),
        (b'{"custom_id":"a","x":' + b"9" * 5000 + b"}", "too long"),
        (b'{"custom_id":"a",\'x\':1}', "double quotes"),
    ],
)
def test_a_line_that_cannot_be_sent_keeps_its_name(line: bytes, words: str) -> None:
    item = Item(6, line)
    assert custom_id_of(item) == "a"
    with pytest.raises(CallError, match=words):
        parse_line(item)


def test_a_field_of_the_users_own_may_be_no_number() -> None:
    line = b'{"custom_id":"a","url":"/v1/embeddings","body":{"input":"t"},"score":NaN}'
    assert parse_line(Item(0, line)).arguments == {"input": "t"}


def test_names() -> None:
    assert custom_id_of(Item(6, b'{"custom_id": "x"}', is_repeated=False)) == "x"
    assert custom_id_of(Item(6, b'{"custom_id": 3}', is_repeated=False)) == "3"
    assert custom_id_of(Item(6, b"{}", is_repeated=False)) == "7"
    assert custom_id_of(Item(6, b"nonsense", is_repeated=False)) == "7"
    with pytest.raises(CallError, match="'x', too"):
        parse_line(Item(6, b'{"custom_id": "x", "task": "summarization", "inputs": "t"}', is_repeated=True))


# -- the input file


def indexed(path: Path, text: bytes) -> InputIndex:
    path.write_bytes(text)
    index = InputIndex(path)
    index.read(lambda: False)
    return index


def test_records_blank_lines_and_repeated_names_are_counted(tmp_path: Path) -> None:
    text = b'\xef\xbb\xbf{"custom_id":"a"}\r\n\n{"custom_id":"3"}\nno json\n{}\n{"custom_id":"a"}\n{"custom_id":5}'
    index = indexed(tmp_path / "in.jsonl", text)
    again = RECORD | REPEATED
    assert list(index.states) == [RECORD, 0, RECORD, RECORD, RECORD, again, again]  # {} is called 5 by its line
    assert index.records == 6
    index.states[2] |= DONE
    left = Blocks(index).read()
    assert [item.number for item in left] == [0, 3, 4, 5, 6]
    assert left[0].line == b'{"custom_id":"a"}'


def test_each_line_is_looked_at_by_itself(tmp_path: Path) -> None:
    lines = [
        b'{"custom_id":"a"}{"custom_id":"b"}',
        b'{"custom_id":',
        b'"c"}',
        b'{"custom_id":"b"}',
        b'{"custom_id":"a"}',
    ]
    assert list(indexed(tmp_path / "in.jsonl", b"\n".join(lines)).states) == [RECORD] * 5
    many = b"".join(b'{"custom_id":"%d"}\r\n' % (number % 70_000) for number in range(150_000))
    index = indexed(tmp_path / "in.jsonl", many)
    assert index.states.find(RECORD | REPEATED) == 70_000
    assert index.states.count(RECORD | REPEATED) == 80_000
    read = Blocks(index)
    numbers = [item.number for items in iter(read.read, []) for item in items]
    assert numbers == list(range(150_000))


def test_a_file_without_any_json_object_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"in\.csv: line 2 is no JSON object"):
        indexed(tmp_path / "in.csv", b"\nid,text\n1,hello\n")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (gzip.compress(mtime=0, data=b'{"a":1}\n'), "compressed with gzip"),
        ('{"a":1}\n'.encode("utf-16"), "UTF-16"),
        (b'[{"a":1},\n {"a":2}]\n', "a JSON array"),
    ],
)
def test_a_file_of_another_kind_is_called_by_its_name(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words):
        indexed(tmp_path / "in.jsonl", content)


def test_a_line_that_changes_under_the_runner_is_noticed(tmp_path: Path) -> None:
    index = indexed(tmp_path / "in.jsonl", b'{"a":1}\n{"a":2}\n')
    (tmp_path / "in.jsonl").write_bytes(b'{"a":1}\n{"a":3}\n')
    with pytest.raises(InputError, match="line 2 was changed"):
        Blocks(index).read()


# -- results


def whole(members: bytes) -> dict[str, Any]:
    line = encode_record(members, RecordMeta(index=0, input="00000000"))
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert decode_record(line) is not None
    found: dict[str, Any] = json.loads(line)
    return found


def test_an_answer_is_openais_result_line() -> None:
    found = whole(success("a", "req-1", b'{"id":"x","choices":[]}', str))
    assert set(found) == {"id", "custom_id", "response", "error", "headwater", "crc"}
    assert found["response"] == {"status_code": 200, "request_id": "req-1", "body": {"id": "x", "choices": []}}
    assert (found["custom_id"], found["error"]) == ("a", None)
    assert found["id"].startswith("batch_req_")


def test_a_refusal_has_what_the_server_said() -> None:
    error = InvalidRequestError("url answered 400: no")
    error.status, error.code, error.text, error.request_id = 400, "bad", '{"error":{"message":"no"}}', "r"
    found = whole(failure("a", error, str))
    assert found["response"] == {"status_code": 400, "request_id": "r", "body": {"error": {"message": "no"}}}
    assert found["error"] == {"code": "bad", "message": "url answered 400: no", "class": "InvalidRequestError"}


def test_a_failure_without_an_answer_has_none() -> None:
    found = whole(failure("a", InferenceTimeoutError("too late"), str))
    assert found["response"] is None
    assert found["error"] == {"code": "inference_timeout", "message": "too late", "class": "InferenceTimeoutError"}


def test_a_secret_that_a_server_says_is_not_written() -> None:
    found = whole(success("a", None, b'{"text":"hf_canary"}', lambda text: text.replace("hf_canary", "***")))
    assert found["response"]["body"] == {"text": "***"}


def body(result: Any, folder: MediaFolder, *, form: Any = "task") -> Any:
    return json.loads(result_body(ParsedRequest(form, {}, chat_completion), result, 4, folder))


def test_media_are_files_of_their_own(tmp_path: Path) -> None:
    folder = MediaFolder(tmp_path / "media", tmp_path / "out.jsonl")
    first = body(Image.new("RGB", (4, 3)), folder)
    second = body(Image.new("RGB", (4, 3)), folder)
    sound = body(Media(b"RIFF\0\0\0\0WAVEfmt ", "audio/wav"), folder)
    assert first["path"] != second["path"]
    assert first["mime_type"] == "image/png"
    assert sound["path"].startswith("media/00000005-")
    assert sound["path"].endswith(".wav")
    with Image.open(tmp_path / first["path"]) as image:
        assert image.size == (4, 3)
    assert (tmp_path / sound["path"]).read_bytes() == b"RIFF\0\0\0\0WAVEfmt "
    assert stat.S_IMODE((tmp_path / first["path"]).stat().st_mode) == 0o600
    assert len(os.listdir(tmp_path / "media")) == 3  # noqa: PTH208


def test_media_inside_a_result_are_files_too(tmp_path: Path) -> None:
    folder = MediaFolder(tmp_path / "out.media", tmp_path / "out.jsonl")
    depth = DepthEstimationOutput(depth=Image.new("L", (2, 2)), predicted_depth=None)
    assert body(depth, folder)["depth"]["path"].startswith("out.media/")


def test_images_in_openais_two_forms(tmp_path: Path) -> None:
    folder = MediaFolder(tmp_path / "out.media", tmp_path / "out.jsonl")
    image = Image.new("RGB", (4, 3))
    assert list(body(image, folder, form="images")["data"][0]) == ["path", "mime_type", "bytes"]
    assert body(image, folder, form="base64 images")["data"][0]["b64_json"].startswith("iVBOR")


def test_a_posted_answer_is_kept_as_it_is_but_for_its_line_ends(tmp_path: Path) -> None:
    folder = MediaFolder(tmp_path, tmp_path / "out.jsonl")

    def posted(content: bytes) -> bytes:
        return result_body(ParsedRequest("posted", {}), Response(status=200, headers={}, content=content), 0, folder)

    assert posted(b'{"a": 1.0}') == b'{"a": 1.0}'
    assert posted(b'{\n"a": 1}') == b'{"a":1}'
    assert posted(b'{"a": [NaN, -Infinity, "NaN"]}') == b'{"a":[null,null,"NaN"]}'
    assert posted(b'\xef\xbb\xbf{"a": 1}') == b'{"a":1}'
    for wrong in (b"<html>", b"", b'{"a": "\xff"}', b'{"a"'):
        with pytest.raises(DecodeError):
            posted(wrong)


def test_bytes_that_are_no_unicode_cost_no_answer_that_was_read_without_them(tmp_path: Path) -> None:
    folder = MediaFolder(tmp_path, tmp_path / "out.jsonl")
    request = asked(custom_id="a", url="/v1/chat/completions", body={"model": "m", "messages": MESSAGES})
    sent = b'{"choices": [{"message": {"content": "hi"}}], "x\xff": "\x80"}'
    result = decode(Reply(status=200, headers={}, body=sent), ChatCompletionOutput)
    assert result_body(request, result, 0, folder) == sent.decode(errors="replace").replace(" ", "").encode()


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}, (3, 4)),
        ({"prompt_tokens": 3, "total_tokens": 3}, (3, 0)),
        ({"input_tokens": 3, "output_tokens": 9}, (3, 9)),
        ({"prompt_tokens": "many"}, (None, None)),
        ({"prompt_tokens": "many", "completion_tokens": 4}, (None, 4)),
        ({"prompt_tokens": 3.0, "completion_tokens": -1, "output_tokens": 5}, (3, 5)),
        ({"prompt_tokens": True, "completion_tokens": 1e300}, (None, None)),
        ("many", (None, None)),
        (None, (None, None)),
    ],
)
def test_tokens_are_the_same_to_the_runner_and_to_the_report(usage: Any, tokens: tuple[int | None, int | None]) -> None:
    answer = json.dumps({"usage": usage}).encode()
    used = counted_tokens(usage)
    assert (used.input, used.output) == tokens
    line = b'{"response":{"status_code":200,"body":%b},"error":null}' % answer
    data = RunData().read([line])
    assert [spread.sum if spread.count else None for spread in (data.prompt, data.completion)] == list(tokens)


def test_an_answer_that_is_no_object_has_no_tokens() -> None:
    for body, tokens in (
        (b'{"x": null, "usage": {"prompt_tokens": 3, "completion_tokens": 1e99}}', 3),
        (b"[]", None),
        (b'{"tries": [{}], "usage": {"prompt_tokens": 3}}', None),
    ):
        data = RunData().read([b'{"response":{"status_code":200,"body":%b},"error":null}' % body])
        assert (data.prompt.sum if data.prompt.count else None) == tokens


def test_an_odd_usage_hides_no_error() -> None:
    line = b'{"response":{"status_code":500,"body":{"usage":3,"error":{"type":"overloaded"}}},"error":null}'
    assert RunData().read([line]).errors == {"overloaded": 1}


@pytest.mark.parametrize(
    ("mime_type", "suffix"),
    [
        ("audio/wav", ".wav"),
        ("audio/x-wav", ".wav"),
        ("audio/wave", ".wav"),
        ("audio/vnd.wave", ".wav"),
        ("audio/x-flac", ".flac"),
        ("audio/mp3", ".mp3"),
        ("audio/opus", ".opus"),
        ("audio/aac", ".aac"),
        ("audio/x-m4a", ".m4a"),
        ("audio/pcm", ".pcm"),
        ("audio/aiff", ".aiff"),
        ("audio/x-caf", ".caf"),
        ("audio/caf", ".caf"),
        ("audio/webm", ".weba"),
        ("image/jpeg", ".jpg"),
        ("image/jpg", ".jpg"),
        ("image/avif", ".avif"),
        ("video/mp4", ".mp4"),
        ("video/quicktime", ".mov"),
        ("audio/ogg", ".ogg"),
        ("audio/mpeg", ".mp3"),
        ("audio/wav; codecs=1", ".wav"),
        ("image/webp", ".webp"),
        ("image/PNG", ".png"),
        ("x/none", ".bin"),
    ],
)
def test_a_medium_has_one_suffix_for_a_batch_and_for_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mime_type: str, suffix: str
) -> None:
    monkeypatch.setattr("mimetypes.guess_extension", lambda kind: None)  # a Python and a machine that know nothing
    assert as_file(Media(b"0123", mime_type), None) == (b"0123", suffix)
    assert MediaFolder(tmp_path / "media", tmp_path / "out.jsonl").add(b"0123", mime_type, 0).endswith(suffix)


def test_what_a_medium_is_beats_what_it_is_called(tmp_path: Path) -> None:
    wav = b"RIFF\0\0\0\0WAVEfmt "
    for called in ("application/octet-stream", "audio/mpeg", "x/none"):
        assert as_file(Media(wav, called), None) == (wav, ".wav")
