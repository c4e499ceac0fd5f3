"""fal's queue: what each task submits, how its job is watched and picked up again, and what comes of it."""

from __future__ import annotations

from typing import Any

import pytest
from support.fal_cases import (
    BODIES,
    IMAGE,
    PATH,
    PICTURE,
    RESULTS,
    ROUTER,
    SIZE,
    STORED,
    accepted,
    logs,
    run,
    sent_in,
    status,
)
from support.flow_player import Answer, Played, call, play, reply
from support.pipeline_cases import FLAC, PNG

from headwater import errors as e
from headwater.media.media import Media
from headwater.protocol.events import Job, Progress, Queued, Started, Submitted
from headwater.protocol.flow import Loaded
from headwater.providers import provider
from headwater.providers.fal import QUEUED


def failure(kind: type[e.HeadwaterError], *answers: Answer) -> tuple[Any, Played]:
    with pytest.raises(kind) as caught:
        run(accepted(), *answers)
    assert type(caught.value) is kind
    return caught.value, caught.value.__dict__["played"]


def check_result(task: str, result: Any, media: Media) -> None:
    if task.endswith("to-image"):
        assert result.size == (4, 3)
    elif task == "image-segmentation":
        assert [(item.label, item.score, item.mask.size) for item in result] == [("mask", None, (4, 3))]
    elif task == "audio-to-audio":
        assert [(item.label, item.blob, item.content_type) for item in result] == [("hello", FLAC, "audio/flac")]
    else:
        assert result == media and result.mime_type == media.mime_type


def test_every_queued_task_is_here() -> None:
    assert {row[0] for row in BODIES} == set(RESULTS) == set(QUEUED) == set(provider("fal-ai").resume)
    assert set(provider("fal-ai").tasks) == {*QUEUED, "automatic-speech-recognition", "text-to-speech"}


@pytest.mark.parametrize("routed", [False, True])
@pytest.mark.parametrize(("task", "parameters", "loaded", "facts", "body"), BODIES)
def test_a_job_from_its_submission_to_its_result(
    task: str, parameters: Any, loaded: Loaded | None, facts: Any, body: Any, routed: bool
) -> None:
    sent, media = RESULTS[task]
    answers = [*([loaded] if loaded else []), accepted(), status("COMPLETED"), reply(sent), media]
    played = run(*answers, task=task, routed=routed, parameters=parameters, **facts)
    host, query, logged = (
        (ROUTER, "?_subdomain=queue", "&logs=1") if routed else ("https://queue.fal.run", "", "?logs=1")
    )
    submit, asked, result, fetched = played.requests
    model = facts.get("model", "fal-ai/flux/dev")
    assert (submit.method, submit.url, submit.resend) == ("POST", f"{host}/{model}{query}", False)
    assert submit.headers == {"content-type": "application/json", "accept": "application/json"}
    assert sent_in(submit) == body
    assert (asked.method, asked.url, asked.resend) == ("GET", f"{host}{PATH}/status{query}{logged}", True)
    assert (result.method, result.url) == ("GET", f"{host}{PATH}{query}")
    assert {request.auth for request in played.requests} == {"provider"}  # which the engine keeps from other origins
    assert (fetched.method, fetched.url) == ("GET", STORED["url"])
    cancel, none = played.cancels
    assert cancel is not None and none is None
    assert (cancel.method, cancel.url, cancel.auth) == ("PUT", f"{host}{PATH}/cancel{query}", "provider")
    assert [type(event) for event in played.events] == [Submitted]
    check_result(task, played.result, media)


@pytest.mark.parametrize(
    ("routed", "model", "sent_to"),
    [
        (False, "fal-ai/flux-2/edit", "https://queue.fal.run/fal-ai/flux-2"),
        (False, "fal-ai/flux-2", "https://queue.fal.run/fal-ai/flux-2"),
        (True, "fal-ai/flux-2/edit", f"{ROUTER}/fal-ai/flux-2/edit?_subdomain=queue"),
    ],
)
def test_without_an_image_the_id_is_that_without_editing(routed: bool, model: str, sent_to: str) -> None:
    answers = (accepted(), status("COMPLETED"), reply(IMAGE), Media(PNG))
    played = run(*answers, task="image-text-to-image", routed=routed, model=model)
    assert played.requests[0].url == sent_to


def test_a_server_of_ones_own_is_told_the_queue_by_the_query() -> None:
    played = run(accepted(), status("COMPLETED"), reply(IMAGE), Media(PNG), base="http://127.0.0.1:1")
    assert played.requests[0].url == "http://127.0.0.1:1/fal-ai/flux/dev?_subdomain=queue"


def test_images_are_labelled_as_the_card_says() -> None:
    for task, kind in (("image-to-image", "image/jpeg"), ("image-segmentation", "image/png")):
        sent, media = RESULTS[task]
        played = run(
            PICTURE, accepted(), status("COMPLETED"), reply(sent), media, task=task, parameters={"image": b"x"}
        )
        assert [(load.mime_type, load.keep_url) for load in played.loads] == [(kind, True)]


def test_a_size_given_in_both_ways_is_the_vendors() -> None:
    facts: dict[str, Any] = {"parameters": {"prompt": "p", **SIZE}, "extra": {"image_size": "square"}}
    with pytest.warns(UserWarning, match="takes no width, height"):
        played = run(accepted(), status("COMPLETED"), reply(IMAGE), Media(PNG), **facts)
    assert sent_in(played.requests[0]) == {"prompt": "p", "image_size": "square"}


# The job


def test_every_answer_is_told_once() -> None:
    played = run(
        accepted(),
        status("IN_QUEUE", queue_position=3),
        status("IN_QUEUE", queue_position=3),
        status("IN_QUEUE", queue_position=0),
        status("IN_PROGRESS"),
        status("IN_PROGRESS", logs=logs("a", "b")),
        status("IN_PROGRESS", logs=logs("a", "b")),
        status("IN_QUEUE", queue_position=0),  # its runner failed
        status("IN_PROGRESS", logs=logs("c")),
        status("COMPLETED", logs=logs("c", "d"), metrics={"inference_time": 1}),
        reply(IMAGE),
        Media(PNG),
    )
    job = Job(provider="fal-ai", task="text-to-image", id="r-1", model="fal-ai/flux/dev", state={"path": PATH})
    assert played.events == [
        Submitted(job),
        Queued(3),
        Queued(0),
        Started(),
        Progress(logs=("a", "b")),
        Queued(0),
        Started(),
        Progress(logs=("c",)),
        Progress(logs=("d",)),
    ]
    assert played.waits == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])


def test_pauses_grow_to_a_second() -> None:
    played = run(accepted(), *[status("IN_PROGRESS")] * 15, status("COMPLETED"), reply(IMAGE), Media(PNG))
    assert played.waits[-5:] == [1.0] * 5


@pytest.mark.parametrize("routed", [False, True])
def test_a_job_is_picked_up_again_by_its_json(routed: bool) -> None:
    first = run(accepted(), status("COMPLETED"), reply(IMAGE), Media(PNG), routed=routed, hub_id="org/m")
    job = Job.from_json(first.events[0].job.to_json())
    assert (job.model, job.routed) == ("org/m", routed)
    base = ROUTER if routed else provider("fal-ai").base
    again = call(job.task, "fal-ai", base=base, hub_id=job.model, routed=routed)
    played = play(provider("fal-ai").resume[job.task](again, job), status("COMPLETED"), reply(IMAGE), Media(PNG))
    assert played.requests == first.requests[1:]
    assert played.cancels == first.cancels and played.result.size == (4, 3)


def test_a_job_without_its_place_is_refused() -> None:
    job = Job(provider="fal-ai", task="text-to-image", id="r-1")
    with pytest.raises(e.InvalidParameterError, match="its state has no path"):
        play(provider("fal-ai").resume["text-to-image"](call("text-to-image", "fal-ai"), job))


@pytest.mark.parametrize("path", ["", "/../admin", "/a?x", "//evil.example/x/"])
def test_a_place_that_is_none_is_the_applications(path: str) -> None:
    answer = reply({"request_id": "r-1", "response_url": path})
    played = run(answer, status("COMPLETED"), reply(IMAGE), Media(PNG))
    assert played.requests[1].url.startswith("https://queue.fal.run/")
    if path in ("", "/../admin", "//evil.example/x/"):
        assert played.requests[2].url == f"https://queue.fal.run{PATH}"


def test_a_poll_that_fails_leaves_the_job_to_be_cancelled() -> None:
    _, played = failure(e.ServerError, reply({"detail": "x"}, 500))
    assert len(played.requests) == 2 and played.cancels[-1] is not None


@pytest.mark.parametrize("state", ["PAUSED", "FAILED", "", "completed"])
def test_an_unknown_state_ends_it_and_may_still_be_cancelled(state: str) -> None:
    error, played = failure(e.JobFailedError, status(state, error="why"))
    assert error.code == state and "why" in str(error) and played.cancels[-1] is not None


def test_completed_can_mean_failed() -> None:
    done = status("COMPLETED", error="Runner died", error_type="runner_disconnected", logs=logs("bye"))
    error, played = failure(e.JobFailedError, done, reply({"detail": "CUDA out of memory"}, 500))
    assert (error.code, error.status, error.server_message) == ("runner_disconnected", 500, "CUDA out of memory")
    assert played.events[1:] == [Progress(logs=("bye",))]
    assert played.cancels[-1] is None and played.requests[-1].resend is False


@pytest.mark.parametrize("second", [e.ConnectError("no"), reply({}), reply(b"", 502)])
def test_a_failed_job_is_one_whatever_its_result_says(second: Answer) -> None:
    error, _ = failure(e.JobFailedError, status("COMPLETED", error="Runner died"), second)
    assert error.server_message == "Runner died"


VIOLATION = {"loc": ["body", "prompt"], "msg": "flagged by a content checker", "type": "content_policy_violation"}


@pytest.mark.parametrize("done", [status("COMPLETED"), status("COMPLETED", error="Invalid status code: 422")])
def test_content_that_is_refused(done: Answer) -> None:
    error, _ = failure(e.ContentRefusedError, done, reply({"detail": [VIOLATION]}, 422))
    assert (error.status, error.code, error.retryable) == (422, "content_policy_violation", False)
    assert "flagged by a content checker" in str(error)


def test_content_that_is_refused_at_once_and_a_request_that_is_wrong() -> None:
    with pytest.raises(e.ContentRefusedError):
        run(reply({"detail": [VIOLATION]}, 422))
    wrong = {"loc": ["body", "loras", 0, "path"], "msg": "str type expected", "type": "type_error.str"}  # recorded
    error, _ = failure(e.InvalidRequestError, status("COMPLETED"), reply({"detail": [wrong]}, 422))
    assert "body.loras.0.path: str type expected" in str(error)


def test_a_blackened_image_is_refused_unless_the_checker_is_off() -> None:
    unsafe = reply({**IMAGE, "has_nsfw_concepts": [True]})
    error, _ = failure(e.ContentRefusedError, status("COMPLETED"), unsafe)
    assert error.code == "has_nsfw_concepts" and "enable_safety_checker" in str(error)
    off: dict[str, Any] = {"extra": {"enable_safety_checker": False}}
    played = run(accepted(), status("COMPLETED"), unsafe, Media(PNG), **off)
    assert played.result.size == (4, 3) and played.events[0].job.state == {"path": PATH, "unchecked": "1"}


@pytest.mark.parametrize("task", sorted(QUEUED))
def test_a_result_with_nothing_in_it(task: str) -> None:
    loaded = [Loaded(mime_type="x/y", data=b"x")] if task.split("-")[0] in {"image", "audio"} else []
    given = dict.fromkeys(("image", "audio", "text", "prompt"), "x")
    with pytest.raises(e.DecodeError):
        run(*loaded, accepted(), status("COMPLETED"), reply({"timings": {}}), task=task, parameters=given)


def test_weights_come_from_the_hubs_mapping() -> None:
    offer = {"provider": "fal-ai", "providerId": "fal-ai/flux-lora", "status": "live", "task": "text-to-image"}
    found = reply({"inferenceProviderMapping": [{**offer, "adapter": "lora", "adapterWeightsPath": "w.safetensors"}]})
    answers = (found, accepted(), status("COMPLETED"), reply(IMAGE), Media(PNG))
    sent = run(*answers, model=None, hub_id="org/lora").requests[1]
    assert sent.url == "https://queue.fal.run/fal-ai/flux-lora"
    weights = "https://huggingface.co/org/lora/resolve/main/w.safetensors"
    assert sent_in(sent)["loras"] == [{"path": weights, "scale": 1}]


def test_its_key_goes_to_both_of_its_hosts() -> None:
    assert (provider("fal-ai").base, provider("fal-ai").origins) == ("https://fal.run", ("https://queue.fal.run",))
