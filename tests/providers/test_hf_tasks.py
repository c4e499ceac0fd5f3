"""The pipeline dialect: what each task sends to hf-inference and to a server's own URL, and the result of it."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.flow_player import play, reply
from support.pipeline_cases import (
    ANSWER,
    ASKED,
    B64,
    DECLARED,
    FILE_CASES,
    FILES,
    FLAC,
    JSON_CASES,
    LABELLED,
    MEDIA_CASES,
    MP4,
    PNG,
    TWO,
    answer,
    ask,
    check_request,
    check_result,
    file_of,
    loaded_for,
    places,
)

from headwater import errors as e
from headwater.protocol.flow import Loaded
from headwater.providers.pipeline import AT_MODEL, AT_URL
from headwater.providers.pipeline_results import DECODERS

# The tables


def test_the_tables_are_whole() -> None:
    tested = [row[0] for table in (JSON_CASES, FILE_CASES, MEDIA_CASES) for row in table] + ASKED
    assert sorted(tested) == sorted(AT_URL) and set(AT_URL) == set(DECODERS) and set(AT_URL) <= set(DECLARED)
    assert set(AT_URL) - set(AT_MODEL) == {
        "image-text-to-image",
        "image-text-to-video",
        "image-to-video",
        "text-to-video",
    }


# What is sent, and what comes


@pytest.mark.parametrize(("task", "given", "inputs", "sent", "back"), JSON_CASES, ids=[c[0] for c in JSON_CASES])
@pytest.mark.parametrize("at", ["model", "url"])
def test_texts_and_tables(task: str, given: Any, inputs: Any, sent: Any, back: Any, at: str) -> None:
    played = play(ask(task, given, at=at), reply(back))
    check_request(played, task, at)
    assert played.body == {"inputs": inputs, "parameters": sent}
    check_result(played.result, task, back)


FILES_AT = [(task, at) for task, *_ in FILE_CASES for at in places(task)]


@pytest.mark.parametrize(("task", "at"), [pair for pair in FILES_AT if pair[0] not in LABELLED])
def test_a_file_alone_goes_as_it_is(task: str, at: str) -> None:
    back = next(case[3] for case in FILE_CASES if case[0] == task)
    data, kind = FILES[file_of(task)]
    played = play(ask(task, {file_of(task): data}, at=at), loaded_for(task), answer(back))
    (load,) = played.loads
    assert load.source is data and load.streamed and not load.keep_url
    check_request(played, task, at, kind)
    assert played.request.body == data
    check_result(played.result, task, back)


@pytest.mark.parametrize("at", ["model", "url"])
def test_a_large_file_is_sent_from_disk(at: str) -> None:
    on_disk = Loaded(mime_type="audio/wav", path="/a/long/talk.wav", size=300_000_000)
    task = "automatic-speech-recognition"
    played = play(ask(task, {"audio": "talk.wav"}, at=at), on_disk, reply({"text": "Hi"}))
    assert played.request.body is on_disk and played.request.headers["content-type"] == "audio/wav"


@pytest.mark.parametrize(("task", "at"), FILES_AT)
def test_a_file_with_parameters_is_base64(task: str, at: str) -> None:
    _, given, sent, back = next(case for case in FILE_CASES if case[0] == task)
    data, _ = FILES[file_of(task)]
    given, more = ({**given}, {}) if given else ({}, {"more": 1})
    played = play(ask(task, {file_of(task): data, **given}, at=at, extra=more), loaded_for(task), answer(back))
    (load,) = played.loads
    assert load.source is data and not load.streamed
    check_request(played, task, at)
    assert played.body == {"inputs": B64[data], "parameters": {**sent, **more}}
    check_result(played.result, task, back)


@pytest.mark.parametrize("at", ["model", "url"])
@pytest.mark.parametrize("task", ASKED)
def test_questions_stand_beside_the_image(task: str, at: str) -> None:
    played = play(ask(task, {"image": PNG, "question": "q", "top_k": 2}, at=at), loaded_for(task), reply(ANSWER))
    assert not played.loads[0].streamed
    check_request(played, task, at)
    assert played.body == {"inputs": {"image": B64[PNG], "question": "q"}, "parameters": {"top_k": 2}}
    check_result(played.result, task, ANSWER)
    bare = play(ask(task, {"image": PNG, "question": "q"}, at=at), loaded_for(task), reply(ANSWER))
    assert bare.body["parameters"] == {}


MEDIA_AT = [(*case, at) for case in MEDIA_CASES for at in places(case[0])]


@pytest.mark.parametrize(("task", "given", "sent", "back", "at"), MEDIA_AT)
def test_media_of_a_text(task: str, given: Any, sent: Any, back: bytes, at: str) -> None:
    text = DECLARED[task].positional[0]
    played = play(ask(task, {text: "t", **given}, at=at), answer(back))
    check_request(played, task, at)
    assert played.body == {"inputs": "t", "parameters": sent}
    check_result(played.result, task, back)
    assert play(ask(task, {text: "t"}, at=at), answer(back)).body == {"inputs": "t", "parameters": {}}


@pytest.mark.parametrize(("task", "back"), [("image-text-to-image", PNG), ("image-text-to-video", MP4)])
def test_a_prompt_needs_no_image(task: str, back: bytes) -> None:
    played = play(ask(task, {"prompt": "p"}, at="url"), answer(back))
    assert not played.loads and played.body == {"parameters": {"prompt": "p"}}


def test_extra_body_goes_over_the_parameters() -> None:
    given = {"text": "t", "top_k": 1}
    played = play(ask("text-classification", given, extra={"top_k": 2, "x": {"y": None}}), reply([TWO]))
    assert played.body["parameters"] == {"top_k": 2, "x": {"y": None}}
    assert given == {"text": "t", "top_k": 1}
    spoken = play(ask("text-to-speech", {"text": "t", "top_k": 1}, extra={"voice": "v"}), answer(FLAC))
    assert spoken.body["parameters"] == {"generation_parameters": {"top_k": 1}, "voice": "v"}
    both = {"text": "t", "truncation": "only_first", "generate_parameters": {"truncation": "x"}}
    assert play(ask("summarization", both), reply([{"summary_text": "s"}])).body["parameters"] == {
        "truncation": "only_first"
    }


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        ("audio/mp4", "audio/m4a"),
        ("video/mp4", "audio/m4a"),
        ("video/webm", "audio/webm"),
        ("video/ogg", "audio/ogg"),
        ("audio/mpeg", "audio/mpeg"),
        ("application/octet-stream", "application/octet-stream"),
    ],
)
def test_a_sound_goes_under_a_name_that_servers_know(kind: str, named: str) -> None:
    sound = Loaded(mime_type=kind, data=b"x")
    played = play(ask("audio-classification", {"audio": b"x"}), sound, reply(TWO))
    assert played.request.headers["content-type"] == named


def test_a_video_keeps_its_own() -> None:
    played = play(ask("video-classification", {"video": MP4}), loaded_for("video-classification"), reply(TWO))
    assert played.request.headers["content-type"] == "video/mp4"


def test_what_json_cannot_say_is_not_sent() -> None:
    with pytest.raises(e.InvalidParameterError, match="cannot be sent as JSON") as raised:
        play(ask("text-classification", {"text": "t"}, extra={"x": object()}))
    assert not raised.value.__dict__["played"].requests


def test_bytes_in_a_body_are_base64_that_others_read() -> None:
    data = bytes(range(256))
    body = play(
        ask("image-to-image", {"image": PNG, "prompt": "p"}), Loaded(mime_type="image/png", data=data), answer(PNG)
    ).request.body
    assert isinstance(body, bytes) and base64.b64decode(json.loads(body)["inputs"], validate=True) == data


# The schemas

SCHEMAS = os.environ.get("HEADWATER_TASK_SCHEMAS")
WITHOUT_SCHEMA = {"audio-to-audio", "tabular-classification", "tabular-regression"}
DEPARTURES = {
    ("table-question-answering", "inputs", "question"): "recorded to be refused; `query` is taken",
    ("table-question-answering", "inputs", "query"): "recorded to be taken",
    ("summarization", "parameters", "max_length"): "recorded to be taken flat",
    ("translation", "parameters", "num_beams"): "as of summarization",
}
"""Names that our bodies lack or have beyond the schemas."""


def schema_at(task: str, place: str) -> dict[str, Any]:
    """The schema of the body's `inputs` or `parameters`."""
    assert SCHEMAS is not None
    schema = json.loads((Path(SCHEMAS) / task / "input.json").read_text(encoding="utf-8"))
    found = schema["properties"].get(place, {})
    named: dict[str, Any] = schema["$defs"][found["$ref"].rpartition("/")[2]] if "$ref" in found else found
    return named


@pytest.mark.skipif(SCHEMAS is None, reason="HEADWATER_TASK_SCHEMAS names no folder of task schemas")
def test_bodies_are_as_the_schemas_name_them_but_for_departures() -> None:
    found, checked = set(), 0
    for task, body in bodies():
        for place in ("inputs", "parameters"):
            schema, sent = schema_at(task, place), body.get(place)
            known = schema.get("properties", {})
            if isinstance(sent, dict) and (known or place == "parameters"):
                found |= {(task, place, name) for name in sent.keys() - known.keys()}
                found |= {(task, place, name) for name in set(schema.get("required", ())) - sent.keys()}
            checked += 1
    assert found == set(DEPARTURES) and checked == 2 * (len(AT_URL) - len(WITHOUT_SCHEMA))


def bodies() -> Iterator[tuple[str, dict[str, Any]]]:
    """The JSON body of every task that has a schema, with all the arguments of its row."""
    rows = [(task, given, back) for task, given, _, _, back in JSON_CASES]
    rows += [(task, {DECLARED[task].positional[0]: "t", **given}, back) for task, given, _, back in MEDIA_CASES]
    rows += [(task, {file_of(task): FILES[file_of(task)][0], **given}, back) for task, given, _, back in FILE_CASES]
    rows += [(task, {"image": PNG, "question": "q", "top_k": 2}, ANSWER) for task in ASKED]
    for task, given, back in rows:
        if task not in WITHOUT_SCHEMA:
            loads = [loaded_for(task)] if "image" in given or "audio" in given or "video" in given else []
            bare = task == "depth-estimation"  # it has no parameters
            more = {"more": 1} if bare else {}
            body = play(ask(task, given, at="url", extra=more), *loads, answer(back)).body
            yield task, {**body, "parameters": {}} if bare else body
