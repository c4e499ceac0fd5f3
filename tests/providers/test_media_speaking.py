"""Sounds as they arrive, and the tasks that two dialects know at a server's own URL."""

from __future__ import annotations

import io
from typing import Any

import pytest
from providers.test_media_hearing import fields
from support.flow_player import call, play, reply
from support.media_cases import B64, DRAW, FLAC, HEAR, SOUND, SPEAK

from headwater import errors as e
from headwater.protocol.flow import Call
from headwater.providers import flow_for

# sounds


@pytest.mark.parametrize("name", ["deepinfra", "groq", "openai", "together"])
def test_a_sound_as_it_arrives(name: str) -> None:
    asked = call(SPEAK, name, stream=True, model="m", parameters={"text": "Hi"})
    played = play(flow_for(name, SPEAK)(asked), reply(FLAC, content_type="audio/flac"))
    assert [len(piece) for piece in played.events] == [20, len(FLAC) - 20]
    assert (bytes(played.result), played.result.mime_type) == (FLAC, "audio/flac")


def test_a_sound_that_is_none() -> None:
    asked = call(SPEAK, "openai", model="m", parameters={"text": "Hi"})
    with pytest.raises(e.DecodeError):
        play(flow_for("openai", SPEAK)(asked), reply({"text": "no"}))


# servers' own URLs

FILES = {HEAR: [SOUND], SPEAK: [], DRAW: []}
GIVEN = {HEAR: {"audio": FLAC}, SPEAK: {"text": "Hi"}, DRAW: {"prompt": "Hi", "width": 64, "height": 32}}
ANSWERS = {
    HEAR: reply({"text": "Hi"}),
    SPEAK: reply(FLAC, content_type="audio/flac"),
    DRAW: reply({"data": [{"b64_json": B64}]}),
}
ROUTES = {HEAR: "audio/transcriptions", SPEAK: "audio/speech", DRAW: "images/generations"}


def at(url: str, task: str, **facts: Any) -> Call:
    return call(task, "url", base=url, url=url, parameters=GIVEN[task], **facts)


@pytest.mark.parametrize("task", ROUTES)
@pytest.mark.parametrize("url", ["http://h:1/v1", "http://h:1/v1/audio/speech", "http://h:1/v1/chat/completions/"])
@pytest.mark.parametrize("named", ["whisper-1", None])
def test_a_url_of_openais_dialect(task: str, url: str, named: str | None) -> None:
    played = play(flow_for("url", task)(at(url, task, hub_id=named)), *FILES[task], ANSWERS[task])
    assert played.request.url == f"http://h:1/v1/{ROUTES[task]}"
    body = dict(fields(played)) if task == HEAR else played.body
    assert body.pop("model", None) == named, "a server of one model may not know a placeholder"
    assert (
        body
        == {
            HEAR: {},
            SPEAK: {"input": "Hi"},
            DRAW: {"prompt": "Hi", "size": "64x32"},
        }[task]
    )


@pytest.mark.parametrize("task", ROUTES)
def test_a_url_with_another_path_is_used_as_it_is(task: str) -> None:
    url = "http://h:1/some/model"
    played = play(flow_for("url", task)(at(url, task)), *FILES[task], ANSWERS[task])
    assert [request.url for request in played.requests] == [url]


@pytest.mark.parametrize("task", ROUTES)
def test_a_bare_host_may_speak_either(task: str) -> None:
    url = "http://h:1"
    flow = flow_for("url", task)
    assert play(flow(at(url, task)), *FILES[task], ANSWERS[task]).request.url == url
    played = play(flow(at(url, task)), *FILES[task], reply({}, 405), *FILES[task], ANSWERS[task])
    assert [request.url for request in played.requests] == [url, f"{url}/v1/{ROUTES[task]}"]
    with pytest.raises(e.InvalidRequestError):
        play(flow(at(url, task)), *FILES[task], reply({"error": "no"}, 400))


def test_an_open_file_is_loaded_for_each_dialect() -> None:
    file = io.BytesIO(FLAC)
    asked = call(HEAR, "url", base="http://h:1", url="http://h:1", parameters={"audio": file})
    played = play(flow_for("url", HEAR)(asked), SOUND, reply({}, 404), SOUND, ANSWERS[HEAR])
    assert [(load.source, load.streamed) for load in played.loads] == [(file, True)] * 2, "the engine reads it anew"
