"""Replicate's flows: what each task submits, how a prediction is watched and picked up again, and what it puts out."""

from __future__ import annotations

import math
from typing import Any

import pytest
from support.fal_cases import PICTURE, SIZE, URL, data, sent_in
from support.flow_player import Answer, Played, call, play, reply
from support.pipeline_cases import FLAC, MP4, PNG

from headwater import errors as e
from headwater.media.media import Media
from headwater.protocol.events import Job, Progress, Queued, Started, Submitted
from headwater.protocol.flow import Loaded
from headwater.providers import flow_for, provider

ROUTER = "https://router.huggingface.co/replicate"
DIRECT = "https://api.replicate.com"
PATH = "/v1/predictions/p1"
FILE = "https://replicate.delivery/x/out-0.webp"
SPOKEN = Loaded(mime_type="audio/wav", data=FLAC)
HEAR = "automatic-speech-recognition"
NAMES = ("image", "images", "input_image", "input_images")
FOUR = {name: [URL] if name.endswith("s") else URL for name in NAMES}
LORA = {"adapter": "w.safetensors", "hub_id": "org/lora:replicate"}
WEIGHTS = {"lora_weights": "https://huggingface.co/org/lora"}

# task, parameters, what Load gives, facts of the call, the input
INPUTS: list[tuple[str, dict[str, Any], Loaded | None, dict[str, Any], dict[str, Any]]] = [
    (
        "text-to-image",
        {"prompt": "p", "seed": 3},
        None,
        {"extra": {"go_fast": True}},
        {"prompt": "p", "seed": 3, "go_fast": True},
    ),
    ("text-to-image", {"prompt": "p"}, None, LORA, {"prompt": "p", **WEIGHTS}),
    (
        "text-to-video",
        {"prompt": "p", "negative_prompt": ["a", "b"]},
        None,
        LORA,
        {"prompt": "p", "negative_prompt": "a, b"},
    ),
    ("text-to-speech", {"text": "Hi"}, None, {}, {"text": "Hi"}),
    (
        "image-to-image",
        {"image": b"x", "prompt": "p", "target_size": SIZE},
        PICTURE,
        LORA,
        {**FOUR, "prompt": "p", **SIZE, **WEIGHTS},
    ),
    (
        HEAR,
        {"audio": b"x", "return_timestamps": True},
        SPOKEN,
        {},
        {"audio": data("audio/wav", FLAC), "return_timestamps": True},
    ),
]
PUT_OUT: dict[str, tuple[Any, Media | None]] = {
    "text-to-image": ([FILE], Media(PNG, "image/png")),
    "text-to-video": (FILE, Media(MP4, "video/mp4")),
    "text-to-speech": ({"audio_out": FILE}, Media(FLAC, "audio/flac")),
    "image-to-image": ([FILE, FILE], Media(PNG, "image/png")),
    HEAR: ("said", None),
}


def prediction(status: str, output: Any = None, code: int = 200, **more: Any) -> Answer:
    urls = {"get": f"{DIRECT}{PATH}", "cancel": f"{DIRECT}{PATH}/cancel"}
    return reply(
        {"id": "p1", "status": status, "output": output, "error": None, "logs": "", "urls": urls, **more}, code
    )


def run(*answers: Answer, task: str = "text-to-image", routed: bool = False, **facts: Any) -> Played:
    facts = {"model": "org/m", "base": ROUTER if routed else DIRECT, "routed": routed, **facts}
    facts.setdefault("parameters", {"prompt": "p"})
    return play(flow_for("replicate", task)(call(task, "replicate", **facts)), *answers)


def failure(kind: type[e.HeadwaterError], *answers: Answer, **facts: Any) -> tuple[Any, Played]:
    with pytest.raises(kind) as caught:
        run(*answers, **facts)
    assert type(caught.value) is kind
    return caught.value, caught.value.__dict__["played"]


def test_every_task_is_here() -> None:
    row = provider("replicate")
    assert {case[0] for case in INPUTS} == set(PUT_OUT) == set(row.tasks) == set(row.resume)


@pytest.mark.parametrize("routed", [False, True])
@pytest.mark.parametrize("model", ["org/m", "org/m:5599ed"])
@pytest.mark.parametrize(("task", "parameters", "loaded", "facts", "given"), INPUTS)
def test_a_prediction_whose_output_comes_at_once(
    task: str, parameters: Any, loaded: Loaded | None, facts: Any, given: Any, model: str, routed: bool
) -> None:
    output, media = PUT_OUT[task]
    answers = [*([loaded] if loaded else []), prediction("processing", output, 201), *([media] if media else [])]
    played = run(*answers, task=task, routed=routed, model=model, parameters=parameters, **facts)
    host, sent = ROUTER if routed else DIRECT, played.requests[0]
    version = {"version": "5599ed"} if ":" in model else {}
    assert sent.url == f"{host}/v1/{'' if version else 'models/org/m/'}predictions"
    assert sent_in(sent) == {"input": given, **version}
    assert (sent.method, sent.auth, sent.resend) == ("POST", "provider", False)
    assert sent.headers == {"content-type": "application/json", "accept": "application/json", "prefer": "wait"}
    cancel, none = played.cancels
    assert cancel is not None and none is None
    assert (cancel.method, cancel.url, cancel.auth) == ("POST", f"{host}{PATH}/cancel", "provider")
    assert [type(event) for event in played.events] == [Submitted, Started]
    if media is None:
        assert played.result.text == "said"
        return
    assert (played.request.method, played.request.url) == ("GET", FILE)
    assert played.result.size == (4, 3) if task.endswith("to-image") else played.result == media


def test_every_answer_is_told_once() -> None:
    played = run(
        prediction("starting", code=202),
        prediction("starting"),
        prediction("processing", logs=""),
        prediction("processing", logs="Using seed: 3\n 10%|# "),
        prediction("processing", logs="Using seed: 3\n 10%|# | 1/10\n 50%|##"),
        prediction("processing", logs="Using seed: 3\n 10%|# | 1/10\n 50%|##"),
        prediction("succeeded", [FILE], logs="Using seed: 3\n 10%|# | 1/10\n100%|####| 10/10"),
        Media(PNG),
    )
    job = Job(provider="replicate", task="text-to-image", id="p1", model="org/m", state={"path": PATH})
    assert played.events == [
        Submitted(job),
        Queued(),
        Started(),
        Progress(fraction=0.1, logs=("Using seed: 3",)),
        Progress(fraction=0.5, logs=(" 10%|# | 1/10",)),
        Progress(fraction=1.0, logs=("100%|####| 10/10",)),
    ]
    asked = played.requests[1:-1]
    assert {(r.method, r.url, r.auth, r.resend) for r in asked} == {("GET", f"{DIRECT}{PATH}", "provider", True)}
    assert played.waits == [0.5] * 6 and len(asked) == 6


@pytest.mark.parametrize(("line", "fraction"), [("3% of 80%", 0.8), ("0.5%", 0.0), ("250%", None), ("done", None)])
def test_how_far_a_log_says_it_is(line: str, fraction: float | None) -> None:
    played = run(prediction("processing", logs=f"9%\n{line}\n"), prediction("succeeded", [FILE]), Media(PNG))
    assert played.events[-1] == Progress(fraction=fraction, logs=("9%", line))


@pytest.mark.parametrize(
    ("seconds", "sent"), [(None, None), (math.inf, None), (0.1, "5s"), (59.2, "60s"), (600.0, "600s")]
)
def test_the_deadline_is_told(seconds: float | None, sent: str | None) -> None:
    played = run(prediction("succeeded", [FILE]), Media(PNG), seconds=seconds)
    assert played.requests[0].headers.get("cancel-after") == sent


def test_a_stream_is_not_kept_waiting_for_its_events() -> None:
    played = run(prediction("succeeded", [FILE]), Media(PNG), stream=True)
    assert played.requests[0].headers["prefer"] == "wait=1"


@pytest.mark.parametrize("routed", [False, True])
def test_a_prediction_is_picked_up_again_by_its_json(routed: bool) -> None:
    first = run(prediction("starting"), prediction("succeeded", [FILE]), Media(PNG), routed=routed, hub_id="org/hub")
    job = Job.from_json(first.events[0].job.to_json())
    again = call(job.task, "replicate", base=ROUTER if routed else DIRECT, hub_id=job.model, routed=routed)
    resume = provider("replicate").resume[job.task]
    played = play(resume(again, job), prediction("processing"), prediction("succeeded", [FILE]), Media(PNG))
    assert played.requests == [first.requests[1], *first.requests[1:]]
    assert played.cancels == first.cancels and played.events == [Submitted(job), Started()]


@pytest.mark.parametrize("urls", [None, {}, {"get": "https://evil.example/a/../b"}, {"get": "x"}])
def test_a_place_that_is_none_is_the_predictions_own(urls: Any) -> None:
    played = run(prediction("starting", urls=urls), prediction("succeeded", FILE), Media(PNG))
    assert played.requests[1].url == f"{DIRECT}{PATH}"


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("status", ["failed", "canceled", "aborted"])
def test_a_prediction_that_ends_without_a_result(status: str, at_once: bool) -> None:
    before = [] if at_once else [prediction("processing")]
    error, played = failure(e.JobFailedError, *before, prediction(status, [FILE], error="CUDA out of memory"))
    assert (error.code, error.server_message) == (status, "CUDA out of memory") and played.cancels[-1] is None


@pytest.mark.parametrize("said", ["NSFW content detected. Try again.", "flagged as sensitive (E005)"])
def test_a_prediction_that_is_moderated(said: str) -> None:
    error, _ = failure(e.ContentRefusedError, prediction("failed", error=said))
    assert said in str(error)


@pytest.mark.parametrize("status", ["hibernating", "", "Succeeded"])
def test_an_unknown_state_ends_it_and_may_still_be_cancelled(status: str) -> None:
    error, played = failure(e.JobFailedError, prediction("starting"), prediction(status))
    assert error.code == status and played.cancels[-1] is not None


def test_refusals() -> None:
    bill = {"title": "Billing required", "detail": "You need to set up billing.", "status": 402}  # recorded
    error, played = failure(e.PaymentRequiredError, reply(bill, 402))
    assert error.server_message == "Billing required: You need to set up billing." and played.cancels == []
    failure(e.DecodeError, reply({"status": "starting"}))
    _, played = failure(e.ServerError, prediction("starting"), reply({}, 500))
    assert played.cancels[-1] is not None


@pytest.mark.parametrize("output", [None, [], {}, "", 3, ["no URL"], {"a": "no URL"}, [[]]])
@pytest.mark.parametrize("task", ["text-to-image", "text-to-video", "text-to-speech"])
def test_an_output_without_a_file(output: Any, task: str) -> None:
    failure(e.DecodeError, prediction("succeeded", output), task=task, parameters={"prompt": "p", "text": "t"})


SEGMENTS = [{"start": 0, "end": 2.5, "text": "a"}]
CHUNKS = [{"timestamp": [0, 1], "text": "a"}]
TXT = "https://replicate.delivery/x/a.txt"


@pytest.mark.parametrize(
    ("output", "text", "chunks"),
    [
        ("a b", "a b", None),
        (["a ", "b"], "a b", None),
        ({"transcription": "a", "translation": None, "segments": SEGMENTS}, "a", [("a", [0, 2.5])]),
        ({"transcription": "a", "translation": "b", "txt_file": TXT}, "b", None),
        ({"text": "a", "chunks": CHUNKS}, "a", [("a", [0, 1])]),
    ],
)
def test_transcripts(output: Any, text: str, chunks: Any) -> None:
    said = run(SPOKEN, prediction("succeeded", output), task=HEAR, parameters={"audio": b"x"}).result
    assert said.text == text and said.raw["output"] == output
    assert (said.chunks and [(chunk.text, chunk.timestamp) for chunk in said.chunks]) == chunks


def test_a_transcript_in_a_file_of_its_own() -> None:
    answers = (SPOKEN, prediction("succeeded", {"txt_file": TXT}), Media("à b".encode(), "text/plain"))
    played = run(*answers, task=HEAR, parameters={"audio": b"x"})
    assert played.result.text == "à b" and played.request.url == TXT
    failure(e.DecodeError, SPOKEN, prediction("succeeded", {"srt_file": TXT}), task=HEAR, parameters={"audio": b"x"})


def test_a_list_of_texts_may_grow() -> None:
    answers = (SPOKEN, prediction("processing", ["a "]), prediction("succeeded", ["a ", "b"]))
    assert run(*answers, task=HEAR, parameters={"audio": b"x"}).result.text == "a b"
