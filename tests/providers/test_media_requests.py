"""Images, sound and video at every provider: the exact request, direct and routed, and what is made of the answer."""

from __future__ import annotations

import json
import warnings
from typing import Any

import pytest
from support.flow_player import Played, call, play, reply
from support.media_cases import (
    ANIMATE,
    B64,
    CDN,
    DRAW,
    FLAC,
    IMAGE,
    JPEG,
    JPEG_URL,
    MP4,
    PNG,
    PNG_URL,
    REDRAW,
    REQUESTS,
    SPEAK,
    Case,
)

from headwater import errors as e
from headwater.auth.hosts import ROUTER_URL
from headwater.media.media import Media
from headwater.protocol.flow import Call, Reply
from headwater.providers import black_forest_labs, flow_for, novita, provider, together, wavespeed, zai

JOBS = {
    ("together", "text-to-video"),
    ("together", ANIMATE),
    ("novita", "text-to-video"),
    ("zai-org", DRAW),
    ("black-forest-labs", DRAW),
    *(("wavespeed", task) for task in wavespeed.TASKS),
}


def ask(case: Case, base: str, **facts: Any) -> Call:
    facts.setdefault("model", case.model)
    parameters, extra = dict(case.given), dict(case.extra)
    return call(case.task, case.provider, base=base, parameters=parameters, extra=extra, **facts)


def run(case: Case, asked: Call, answer: Reply) -> Played:
    """Play the flow to its answer, or to what follows a job's submission."""
    loads = [case.loaded] if case.loaded else []
    flow = flow_for(case.provider, case.task)(asked)
    if (case.provider, case.task) not in JOBS:
        return play(flow, *loads, answer)
    with pytest.raises(e.PaymentRequiredError) as caught:
        play(flow, *loads, reply({"detail": "no credit"}, 402))
    played: Played = caught.value.__dict__["played"]
    return played


def answer_of(case: Case) -> Reply:
    if case.task == SPEAK:
        return reply(FLAC, content_type="audio/flac")
    if case.task == "image-to-text":
        return reply({"md_results": "# Hi"})
    return reply({"images": [{"index": 0, "image": B64}], "data": [{"b64_json": B64}]})


@pytest.mark.parametrize("routed", [False, True])
@pytest.mark.parametrize("case", REQUESTS, ids=str)
def test_the_exact_request(case: Case, routed: bool) -> None:
    base = f"{ROUTER_URL}/{case.provider}" if routed else provider(case.provider).base
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        played = run(case, ask(case, base, routed=routed), answer_of(case))
    request = played.request
    accept = "*/*" if case.task == SPEAK else "application/json"
    assert (request.method, request.url, request.auth) == ("POST", base + case.path, "provider")
    assert request.headers == {"content-type": "application/json", "accept": accept}
    assert request.resend == ((case.provider, case.task) not in JOBS)
    assert played.body == case.body
    said = [str(warning.message) for warning in caught]
    assert said == ([f"{case.provider} takes no {case.warned} for {case.task}: left out"] if case.warned else [])


def test_every_task_in_a_vendors_own_dialect_has_its_request() -> None:
    vendors = {
        "black-forest-labs": black_forest_labs,
        "novita": novita,
        "together": together,
        "wavespeed": wavespeed,
        "zai-org": zai,
    }
    there = {(name, task) for name, vendor in vendors.items() for task in vendor.TASKS}
    assert there <= {(case.provider, case.task) for case in REQUESTS}


@pytest.mark.parametrize("case", REQUESTS, ids=str)
def test_the_callers_arguments_stay_as_they_were(case: Case) -> None:
    before = json.dumps([case.given, case.extra], default=str)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run(case, ask(case, "https://b.example"), answer_of(case))
    assert json.dumps([case.given, case.extra], default=str) == before


# images

NAMED = {"together": {"b64_json": B64}, "nscale": {"url": CDN}, "openai": {"url": PNG_URL}, "nebius": {"b64_json": B64}}


@pytest.mark.parametrize("name", NAMED)
def test_an_image_as_it_comes(name: str) -> None:
    item = NAMED[name]
    media = [Media(PNG, "image/png")] if item.get("url") == CDN else []
    played = play(
        flow_for(name, DRAW)(call(DRAW, name, model="m", parameters={"prompt": "x"})), reply({"data": [item]}), *media
    )
    assert (played.result.size, played.result.format) == ((4, 3), "PNG")
    if media:
        assert (played.request.method, played.request.url) == ("GET", CDN)


@pytest.mark.parametrize("name", ["together", "hyperbolic"])
@pytest.mark.parametrize(
    "body", [{}, {"data": [], "images": []}, {"data": [{}], "images": [{}]}, {"images": 1, "data": 1}]
)
def test_an_answer_without_an_image(name: str, body: Any) -> None:
    with pytest.raises(e.DecodeError):
        play(flow_for(name, DRAW)(call(DRAW, name, model="m", parameters={"prompt": "x"})), reply(body))


def test_an_image_that_is_none() -> None:
    with pytest.raises(e.DecodeError):
        play(
            flow_for("together", DRAW)(call(DRAW, model="m", parameters={"prompt": "x"})),
            reply({"data": [{"b64_json": "Zm9v"}]}),
        )


def test_an_image_is_kept_as_the_url_that_the_caller_gave() -> None:
    played = play(
        flow_for("together", REDRAW)(call(REDRAW, model="m", parameters={"image": JPEG})),
        IMAGE,
        reply({"data": [{"b64_json": B64}]}),
    )
    (load,) = played.loads
    assert load.keep_url and load.source == JPEG and played.body["reference_images"] == [JPEG_URL]


@pytest.mark.parametrize("task", ["image-text-to-image", "image-text-to-video"])
def test_wavespeed_gets_one_clear_pixel_where_there_is_no_image(task: str) -> None:
    with pytest.raises(e.PaymentRequiredError) as caught:
        play(
            flow_for("wavespeed", task)(call(task, "wavespeed", model="m", parameters={"prompt": "x"})), reply({}, 402)
        )
    body = caught.value.__dict__["played"].body
    assert body["images"] == [body["image"]] and body["image"].startswith("data:image/png;base64,iVBOR")


def test_wavespeed_gets_the_loras_of_a_mapping() -> None:
    asked = call(DRAW, "wavespeed", model="m", hub_id="org/lora", adapter="w.safetensors", parameters={"prompt": "x"})
    with pytest.raises(e.PaymentRequiredError) as caught:
        play(flow_for("wavespeed", DRAW)(asked), reply({}, 402))
    assert caught.value.__dict__["played"].body["loras"] == [{"path": "org/lora", "scale": 1}]


def test_what_is_written_in_an_image() -> None:
    asked = call("image-to-text", "zai-org", model="glm-ocr", parameters={"image": JPEG})
    played = play(flow_for("zai-org", "image-to-text")(asked), IMAGE, reply({"md_results": "# Hi", "id": "x"}))
    assert (played.result.generated_text, played.result.raw["id"]) == ("# Hi", "x")


def test_novita_may_answer_with_the_video_at_once() -> None:
    asked = call("text-to-video", "novita", model="wan-t2v", parameters={"prompt": "x"})
    video = Media(MP4, "video/mp4")
    answer = {"video": {"video_url": CDN, "video_url_ttl": "0", "video_type": "mp4", "nsfw_detection_result": None}}
    played = play(flow_for("novita", "text-to-video")(asked), reply(answer), video)
    assert played.result is video and played.events == []
    with pytest.raises(e.DecodeError):
        play(flow_for("novita", "text-to-video")(asked), reply({}))
