"""The pipeline dialect beside its table: images and sounds in all their forms, whom to ask, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from support.flow_player import play, reply
from support.pipeline_cases import (
    B64,
    FLAC,
    IMAGES,
    JPEG,
    MODEL,
    MP4,
    PNG,
    SOUNDS,
    answer,
    ask,
    check_request,
    check_result,
    loaded_for,
    some_answer,
    some_call,
    url_of,
)

from headwater import errors as e
from headwater.media.images import data_url
from headwater.media.media import Media
from headwater.protocol.flow import Loaded
from headwater.protocol.framing import BodyFraming, Frame
from headwater.providers import flow_for
from headwater.providers.pipeline import AT_MODEL, AT_URL

LOOKUP = "https://huggingface.co/api/models/org/m?expand=inferenceProviderMapping"


# Images


@pytest.mark.parametrize("task", IMAGES)
@pytest.mark.parametrize("sent", [{"data": [{"b64_json": B64[PNG]}]}, {"output": [data_url(PNG, "image/png")]}])
def test_images_inside_json(task: str, sent: Any) -> None:
    image = play(ask(task, {"prompt": "p", **image_for(task)}, at="url"), *loads_for(task), reply(sent)).result
    assert (image.size, image.format) == ((4, 3), "PNG")


@pytest.mark.parametrize("sent", [{"output": ["https://c.example/i"]}, {"output": "https://c.example/i"}])
@pytest.mark.parametrize("task", IMAGES)
def test_images_that_are_elsewhere(task: str, sent: Any) -> None:
    flow = ask(task, {"prompt": "p", **image_for(task)}, at="url")
    played = play(flow, *loads_for(task), reply(sent), Media(JPEG))
    assert (played.request.method, played.request.url, played.request.body) == ("GET", "https://c.example/i", b"")
    assert played.result.format == "JPEG"


def image_for(task: str) -> dict[str, Any]:
    return {"image": PNG} if task == "image-to-image" else {}


def loads_for(task: str) -> list[Loaded]:
    return [loaded_for(task)] if task == "image-to-image" else []


@pytest.mark.parametrize(
    ("sent", "kind", "said"),
    [
        ({"data": []}, e.DecodeError, "JSON with no image"),
        ({"images": []}, e.DecodeError, "JSON with no image"),
        ({"data": [{"b64_json": "!"}]}, e.DecodeError, "base64"),
        ({"output": ["data:image/png;base64,AAAA"]}, e.DecodeError, "not an image"),
        ({"output": [7]}, e.DecodeError, "output"),
        ({"error": "CUDA out of memory", "status_code": 500}, e.ServerError, "CUDA"),
        (b"<html></html>", e.UnexpectedContentError, "a page for people"),
    ],
)
def test_json_without_an_image(sent: Any, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        play(ask("text-to-image", {"prompt": "p"}), reply(sent))


@pytest.mark.parametrize(
    ("task", "given"),
    [
        ("sentence-similarity", {"sentence": "a", "other_sentences": ["b", "c"]}),
        ("tabular-regression", {"table": {"x": [1, 2], "y": [3, 4]}}),
        ("tabular-classification", {"table": {"x": ["1", "2"]}}),
    ],
)
def test_answers_that_nobody_could_tell_apart(task: str, given: dict[str, Any]) -> None:
    assert play(ask(task, given), reply([0.5, 1.5])).result == [0.5, 1.5]
    for sent in ([0.5], [0.5, 1.5, 2.5], []):
        with pytest.raises(e.DecodeError, match="2 answers were wanted"):
            play(ask(task, given), reply(sent))


# Sounds as they arrive


@pytest.mark.parametrize("task", SOUNDS)
@pytest.mark.parametrize(
    ("body", "content_type", "kind"),
    [
        (FLAC, "audio/wav", "audio/flac"),
        (b"\x00\x01" * 20, "audio/pcm; rate=24000", "audio/pcm"),
        (FLAC, "", "audio/flac"),
        (bytes(10) + b"fLaC" * 20, "audio/L16", "audio/l16"),
    ],
)
def test_a_sound_arrives_in_pieces(task: str, body: bytes, content_type: str, kind: str) -> None:
    played = play(ask(task, {"text": "t"}, stream=True), reply(body, content_type=content_type))
    check_request(played, task, "model")
    assert [bytes(piece) for piece in played.events] == [body[:20], body[20:]]
    assert {piece.mime_type for piece in [*played.events, played.result]} == {kind}
    assert isinstance(played.result, Media) and played.result == body


@pytest.mark.parametrize(
    ("body", "content_type"), [(PNG, "audio/flac"), (b"<html></html>", ""), (b"abc", "text/plain")]
)
def test_a_stream_that_is_no_sound(body: bytes, content_type: str) -> None:
    with pytest.raises(e.UnexpectedContentError):
        play(ask("text-to-speech", {"text": "t"}, stream=True), reply(body, content_type=content_type))


@pytest.mark.parametrize("sent", [{"audio": B64[FLAC], "sampling_rate": 16000}, [{"audio": B64[FLAC]}]])
def test_a_sound_inside_json_is_one_piece(sent: Any) -> None:
    """Servers that follow the schema answer so; they do not stream."""
    whole, streamed = (
        play(ask("text-to-speech", {"text": "t"}, stream=stream), reply(sent)) for stream in (False, True)
    )
    assert streamed.events == [whole.result] == [FLAC] and streamed.result == FLAC
    assert streamed.result.mime_type == whole.result.mime_type == "audio/flac"


def test_an_error_in_place_of_a_sound() -> None:
    for stream in (False, True):
        with pytest.raises(e.OverloadedError):
            failed = reply({"error": "Model is overloaded", "error_type": "overloaded"})
            play(ask("text-to-speech", {"text": "t"}, stream=stream), failed)


def test_a_body_says_its_type_with_every_piece() -> None:
    assert BodyFraming("audio/flac").feed(b"x") == [Frame(b"x", "audio/flac")]


@pytest.mark.parametrize("task", sorted(set(AT_MODEL) - set(SOUNDS)))
def test_other_tasks_answer_a_stream_at_once(task: str) -> None:
    """There is nothing to hand over before the result: the same request, and no event."""
    given, loads = some_call(task)
    back = some_answer(task)
    whole, streamed = (play(ask(task, given, stream=stream), *loads, answer(back)) for stream in (False, True))
    assert whole.request == streamed.request and streamed.events == []
    check_result(streamed.result, task, back)


# Whom to ask


@pytest.mark.parametrize("task", sorted(AT_MODEL))
def test_a_model_is_recommended(task: str) -> None:
    given, loads = some_call(task) if task not in SOUNDS else ({"text": "t"}, [])
    tasks = reply({task: {"widgetModels": ["org/first", "org/second"]}, "other": {}})
    back = FLAC if task in SOUNDS else some_answer(task)
    played = play(ask(task, given, model=None), tasks, *loads, answer(back))
    assert played.requests[0].url == "https://huggingface.co/api/tasks" and played.keys == [("tasks",)]
    assert played.request.url == url_of(task, "model").replace(MODEL, "org/first")


def test_no_model_is_recommended() -> None:
    with pytest.raises(e.MissingModelError, match="recommends no model for video-classification"):
        play(ask("video-classification", {"video": MP4}, model=None), reply({"other": {}}))


def test_who_serves_a_model_that_hf_inference_does_not() -> None:
    entry = {"provider": "fal-ai", "providerId": "x", "status": "live", "task": "text-to-image"}
    refused = reply({"error": "Model org/m is not supported by provider hf-inference"}, 400)
    flow = ask("text-to-image", {"prompt": "p"})
    with pytest.raises(
        e.UnsupportedModelError, match=r"hf-inference does not serve org/m .*these do: fal-ai"
    ) as raised:
        play(flow, refused, reply({"inferenceProviderMapping": [entry]}))
    assert raised.value.__dict__["played"].request.url == LOOKUP


def test_a_missing_model_after_its_file_was_read() -> None:
    flow = ask("image-classification", {"image": PNG})
    with pytest.raises(e.UnsupportedModelError, match="no provider does"):
        play(flow, loaded_for("image-classification"), reply({}, 404), reply({"inferenceProviderMapping": []}))


@pytest.mark.parametrize("task", sorted(set(AT_URL) - set(AT_MODEL)))
def test_what_hf_inference_does_not_do(task: str) -> None:
    with pytest.raises(e.UnsupportedTaskError, match=f"hf-inference does not do {task}"):
        flow_for("hf-inference", task)


@pytest.mark.parametrize("model", ["../m", "https://h.example/m", "org/m?x=1"])
def test_no_model_points_elsewhere(model: str) -> None:
    with pytest.raises(e.InvalidParameterError):
        play(ask("text-classification", {"text": "t"}, model=model))


def test_a_refusal_at_a_url_is_the_servers_own() -> None:
    refused = reply({"error": ["Error in `inputs`: Invalid image: {}"]}, 400)
    with pytest.raises(e.InvalidRequestError, match="Invalid image"):
        play(ask("image-classification", {"image": PNG}, at="url"), loaded_for("image-classification"), refused)
