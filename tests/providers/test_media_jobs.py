"""Queued jobs: what is told while they go, what they end with, how they are asked for, cancelled and resumed."""

from __future__ import annotations

from typing import Any

import pytest
from support.flow_player import Played, call, play, reply
from support.job_cases import JOBS, JobCase
from support.media_cases import CDN, IMAGE, JPEG, MP4, PNG

from headwater import errors as e
from headwater.auth.hosts import ROUTER_URL
from headwater.media.media import Media
from headwater.protocol.events import Job, Progress, Submitted
from headwater.protocol.flow import Call, Request
from headwater.providers import flow_for, provider

IDS = [f"{case.provider}-{case.task}" for case in JOBS]


def ask(case: JobCase, *, routed: bool = False) -> Call:
    base = f"{ROUTER_URL}/{case.provider}" if routed else provider(case.provider).base
    parameters: dict[str, Any] = {"prompt": "a cat"}
    if case.task.startswith("image"):
        parameters["image"] = JPEG
    return call(case.task, case.provider, base=base, model="m", hub_id="org/m", routed=routed, parameters=parameters)


def start(case: JobCase, *replies: Any, routed: bool = False) -> Played:
    loads = [IMAGE] if case.task.startswith("image") else []
    flow = flow_for(case.provider, case.task)(ask(case, routed=routed))
    return play(flow, *loads, reply(case.submitted), *replies)


def result_of(case: JobCase) -> Media:
    return Media(MP4, "video/mp4") if case.task.endswith("video") else Media(PNG, "image/png")


def job(case: JobCase, *, routed: bool = False) -> Job:
    return Job(provider=case.provider, task=case.task, id=case.name, model="org/m", routed=routed, state=case.state)


def named(event: Any) -> str:
    return f"Progress {event.fraction}" if isinstance(event, Progress) else type(event).__name__


def check_end(case: JobCase, played: Played, base: str) -> None:
    """What every job that is done has led to, also one that was picked up again."""
    poll = case.poll if "://" in case.poll else base + case.poll
    asked = [request for request in played.requests if request.method == "GET"]
    assert [(r.url, r.auth, r.headers) for r in asked[:-1]] == (
        [(poll, case.auth, {"accept": "application/json"})] * (len(case.states) + 1)
    )
    assert asked[-1].url == CDN
    assert [named(event) for event in played.events[1:]] == [told for _, told in case.states if told]
    assert played.waits == case.waits
    cancel = [Request(method="DELETE", url=base + case.cancel)] if case.cancel else []
    assert played.cancels == [*cancel, None]
    result = played.result
    assert bytes(result) == MP4 if case.task.endswith("video") else result.size == (4, 3)


@pytest.mark.parametrize("routed", [False, True])
@pytest.mark.parametrize("case", JOBS, ids=IDS)
def test_a_job_from_its_submission_to_its_result(case: JobCase, routed: bool) -> None:
    states = [reply(state) for state, _ in case.states]
    played = start(case, *states, reply(case.done), result_of(case), routed=routed)
    assert played.events[0] == Submitted(job(case, routed=routed))
    assert not played.requests[0].resend
    check_end(case, played, ask(case, routed=routed).base)


@pytest.mark.parametrize("case", JOBS, ids=IDS)
def test_a_job_is_picked_up_again(case: JobCase) -> None:
    again = Job.from_json(job(case).to_json())
    flow = provider(case.provider).resume[case.task](ask(case), again)
    states = [reply(state) for state, _ in case.states]
    played = play(flow, *states, reply(case.done), result_of(case))
    assert played.events[0] == Submitted(again)
    check_end(case, played, ask(case).base)


@pytest.mark.parametrize(
    ("case", "state", "kind", "words"),
    [(case, *failure) for case in JOBS for failure in case.failures],
    ids=[f"{case.provider}-{case.task}-{i}" for case in JOBS for i in range(len(case.failures))],
)
def test_a_job_that_fails_says_why(case: JobCase, state: dict[str, Any], kind: str, words: str) -> None:
    with pytest.raises(e.ProviderError) as caught:
        start(case, reply(state, x_request_id="r-1"))
    error = caught.value
    assert type(error).__name__ == kind and words in error.message and not error.retryable
    assert "j-1" in error.message and error.text and error.request_id == "r-1"
    assert (words == error.server_message) or (words in (error.server_message or error.message))
    played: Played = error.__dict__["played"]
    assert played.cancels[-1] is None, "a job that has ended needs no cancelling"


@pytest.mark.parametrize("case", JOBS, ids=IDS)
def test_a_job_that_is_done_with_nothing(case: JobCase) -> None:
    with pytest.raises(e.DecodeError):
        start(case, reply(case.hollow))


@pytest.mark.parametrize("case", JOBS, ids=IDS)
@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{"])
def test_a_poll_that_is_no_answer(case: JobCase, body: bytes) -> None:
    with pytest.raises(e.DecodeError):
        start(case, reply(body))


@pytest.mark.parametrize("case", JOBS, ids=IDS)
def test_a_submission_without_a_name(case: JobCase) -> None:
    loads = [IMAGE] if case.task.startswith("image") else []
    with pytest.raises((e.DecodeError, e.JobFailedError)):
        play(flow_for(case.provider, case.task)(ask(case)), *loads, reply({}))


@pytest.mark.parametrize("case", JOBS, ids=IDS)
def test_a_result_of_another_kind(case: JobCase) -> None:
    with pytest.raises(e.DecodeError):
        start(case, reply(case.done), Media(b'{"a": 1}', "application/json"))


@pytest.mark.parametrize("name", ["..", ".", ""])
@pytest.mark.parametrize("case", [case for case in JOBS if case.provider != "black-forest-labs"], ids=str)
def test_a_jobs_name_cannot_leave_its_place(case: JobCase, name: str) -> None:
    with pytest.raises(e.DecodeError):
        play(provider(case.provider).resume[case.task](ask(case), Job(provider=case.provider, task=case.task, id=name)))


WAVESPEED = next(case for case in JOBS if case.provider == "wavespeed")
BFL = next(case for case in JOBS if case.provider == "black-forest-labs")


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://evil.example/api/v3/predictions/x/result", "/api/v3/predictions/x/result"),
        ("https://evil.example/../../other", "/api/v3/predictions/j-1/result"),
        ("https://evil.example//other", "/api/v3/predictions/j-1/result"),
        ("nowhere", "/api/v3/predictions/j-1/result"),
        (None, "/api/v3/predictions/j-1/result"),
    ],
)
def test_a_poll_keeps_our_origin(url: str | None, path: str) -> None:
    submitted = {"code": 200, "data": {"id": "j-1", "urls": {"get": url}}}
    flow = flow_for("wavespeed", WAVESPEED.task)(ask(WAVESPEED))
    played = play(flow, reply(submitted), reply(WAVESPEED.done), result_of(WAVESPEED))
    assert played.requests[1].url == f"https://api.wavespeed.ai{path}"


def test_a_submission_that_is_refused_inside_its_answer() -> None:
    flow = flow_for("wavespeed", WAVESPEED.task)(ask(WAVESPEED))
    with pytest.raises(e.InvalidRequestError, match="no such model"):
        play(flow, reply({"code": 400, "message": "no such model"}))
    flow = flow_for("zai-org", "text-to-image")(call("text-to-image", "zai-org", model="m", parameters={"prompt": "x"}))
    with pytest.raises(e.JobFailedError, match="'FAIL'"):
        play(flow, reply({"id": "j-1", "task_status": "FAIL"}))


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/v1/get_result?id=j-1",
        "https://bfl.ai.evil.example/x",
        "https://evilbfl.ai/x",
        "https://api.bfl.ai@evil.example/x",
        "http://api.us1.bfl.ai/v1/get_result?id=j-1",
        "/v1/get_result",
        "",
    ],
)
def test_bfl_is_asked_on_its_own_hosts_alone(url: str) -> None:
    with pytest.raises(e.DecodeError, match="wants its job asked for at") as caught:
        play(flow_for(BFL.provider, BFL.task)(ask(BFL)), reply({"id": "j-1", "polling_url": url}))
    assert len(caught.value.__dict__["played"].requests) == 1


@pytest.mark.parametrize("url", ["https://api.eu4.bfl.ai/v1/get_result?id=1", "http://127.0.0.1:1234/poll?id=1"])
def test_bfl_is_asked_where_it_says(url: str) -> None:
    asked = call(BFL.task, BFL.provider, base="http://127.0.0.1:1234", model="m", parameters={"prompt": "x"})
    submitted = reply({"id": "j-1", "polling_url": url})
    played = play(flow_for(BFL.provider, BFL.task)(asked), submitted, reply(BFL.done), result_of(BFL))
    assert (played.requests[1].url, played.requests[1].auth) == (url, "none")


@pytest.mark.parametrize(("header", "pause"), [("3", 3.0), ("0", 0.1), ("900", 30.0), ("soon", 1.0)])
def test_bfl_is_asked_as_often_as_it_wants(header: str, pause: float) -> None:
    pending = reply({"status": "Pending"}, retry_after=header)
    assert start(BFL, pending, reply(BFL.done), result_of(BFL)).waits == [1.0, pause]


def test_novitas_longer_jobs_are_asked_for_less_often() -> None:
    case = next(case for case in JOBS if case.provider == "novita")
    queued = reply({"task": {"status": "TASK_STATUS_QUEUED"}})
    played = start(case, *[queued] * 12, reply(case.done), result_of(case))
    assert played.waits == [0.5] * 11 + [1.0] * 2 and len(played.events) == 2


@pytest.mark.parametrize("output", ["data:video/mp4;base64,AAAAGGZ0eXBpc29t", "AAAAGGZ0eXBpc29t"])
def test_a_result_inside_the_answer(output: str) -> None:
    case = next(case for case in JOBS if (case.provider, case.task) == ("wavespeed", "text-to-video"))
    played = start(case, reply({"data": {"status": "completed", "outputs": [output]}}))
    assert played.result.mime_type == "video/mp4" and bytes(played.result) == MP4[:12]
