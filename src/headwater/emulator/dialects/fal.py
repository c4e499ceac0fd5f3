"""fal's dialect: ``POST https://fal.run/{id}`` at once, ``https://queue.fal.run/{id}`` as a job.

The queue is told by the host that the call was meant for (``x-emulator-host``) or by ``?_subdomain=queue``,
which the router wants on every call of a job. Refuses, in FastAPI's shape, what a model's schema refuses; data
URLs of audio in other types than MP3, WAV and WebM (400); results of jobs that are not there yet (400).
https://docs.fal.ai/model-apis/model-endpoints/queue
"""

from __future__ import annotations

from typing import Any

from ..wire import Dialect, DialectAnswer, DialectRequest, RefusedError, WholeAnswer, get, post, raw
from . import cdn, fields, media, words
from .jobs import EmulatedJob, asked_for, wishes_of
from .offers import task_of

REQUIRED = {
    "automatic-speech-recognition": ("audio_url",),
    "audio-to-audio": ("audio_url",),
    "image-segmentation": ("image_url",),
    "image-to-image": ("image_url",),
    "image-to-video": ("image_url",),
    "text-to-audio": ("prompt",),
    "text-to-speech": ("text",),
}
"""What each task's schema requires; the others require a prompt."""

AUDIO = ("audio/mpeg", "audio/x-wav", "video/webm")
STATES = {"queued": "IN_QUEUE", "running": "IN_PROGRESS", "unknown": "PAUSED"}
LOG = {"message": "step 1 of 2", "level": "INFO", "source": "USER", "timestamp": "2026-01-01T00:00:00Z"}


def submit(call: DialectRequest) -> DialectAnswer:
    """A result at once, or a job, whichever host the call was meant for."""
    check(call)
    if queued(call):
        return WholeAnswer(receipt(call, call.jobs.submit("fal-ai", call.model, call.digest(), call.json)))
    wishes = wishes_of(asked_for(call.model, call.json))
    if "moderated" in wishes:
        raise moderated()
    if "fail" in wishes:
        raise refuse(call, 500, "The model failed")
    return WholeAnswer(result(call, call.model, call.json), headers={"x-fal-request-id": call.digest("fal")})


def queued(call: DialectRequest) -> bool:
    host = call.headers.get("x-emulator-host", "")
    return host == "queue.fal.run" if host.endswith("fal.run") else call.query.get("_subdomain") == "queue"


def check(call: DialectRequest) -> None:
    """Refuses a body that the schema of the model's task refuses."""
    required = REQUIRED.get(kind(call.model, call.json), ("prompt",))
    if found := fields.problem(call.json, required):
        raise invalid(found)
    if not fields.is_file(call.json.get("audio_url", "https://a"), AUDIO):
        raise refuse(call, 400, "Unsupported data URL")
    if found := fields.file_problem(call.json, "image_url", ("image/",)):
        raise invalid(found)
    for at, image in enumerate(call.json.get("image_urls") or ()):
        if not fields.is_file(image, ("image/",)):
            raise invalid(fields.Problem(("image_urls", at), "value", "Unsupported data URL"))
    for at, lora in enumerate(call.json.get("loras") or ()):
        if not isinstance(lora, dict) or not isinstance(lora.get("path"), str):
            raise invalid(fields.Problem(("loras", at, "path"), "type", "str type expected"))


def kind(model: str, body: Any) -> str:
    """The task of a model by its name, or by what the body has, if the name says nothing."""
    task = task_of(model)
    if task != "conversational":
        return task
    if "audio_url" in body:
        return "automatic-speech-recognition"
    return "text-to-speech" if "text" in body else "text-to-image"


def receipt(call: DialectRequest, job: EmulatedJob) -> dict[str, Any]:
    here = f"{call.place.home}/{application(job.model)}/requests/{job.id}"
    links = {"response_url": here, "status_url": f"{here}/status", "cancel_url": f"{here}/cancel"}
    head = {"status": "IN_QUEUE", "request_id": job.id, "queue_position": 1, "logs": None, "metrics": {}}
    return head | links


def application(model: str) -> str:
    """The part of a model's id that the paths of its jobs have: fal-ai/flux/dev is run by fal-ai/flux."""
    return "/".join(model.split("/")[:2])


def status(call: DialectRequest) -> DialectAnswer:
    job = found(call)
    if not call.jobs.poll(job):
        raise refuse(call, 500, "Internal Server Error")
    body = receipt(call, job) | {"status": STATES.get(job.state, "COMPLETED")}
    if job.state != "queued":
        del body["queue_position"]
    body["logs"] = [LOG] if call.query.get("logs") == "1" and job.state != "queued" else None
    if job.over:
        body["metrics"] = {"inference_time": 0.5}
    if error := {"failed": "The model failed", "cancelled": "Request was cancelled"}.get(job.state):
        body |= {"error": error, "error_type": "internal_error" if job.state == "failed" else "cancelled"}
    return WholeAnswer(body, 200 if job.over else 202)


def response(call: DialectRequest) -> DialectAnswer:
    job = found(call)
    if job.state == "moderated":
        raise moderated()
    if job.state == "cancelled":
        raise refuse(call, 499, "Request was cancelled")
    if job.state == "failed":
        raise RefusedError(WholeAnswer({"detail": "The model failed"}, 500, {"x-fal-error-type": "internal_error"}))
    if not job.over:
        raise refuse(call, 400, "Request is still in progress")
    return WholeAnswer(result(call, job.model, job.sent))


def cancel(call: DialectRequest) -> DialectAnswer:
    if call.jobs.cancel(found(call)):
        return WholeAnswer({"status": "CANCELLATION_REQUESTED"}, 202)
    return WholeAnswer({"status": "ALREADY_COMPLETED"}, 400)


def found(call: DialectRequest) -> EmulatedJob:
    """The job that the path names, by the application that runs it."""
    model, _, rest = call.path.removeprefix("/fal-ai/").partition("/requests/")
    job = call.jobs.find("fal-ai", rest.partition("/")[0])
    if job is None or not queued(call) or application(job.model) != model:
        raise RefusedError(WholeAnswer("Not Found", 404, media_type="text/plain"))
    return job


def result(call: DialectRequest, model: str, sent: Any) -> dict[str, Any]:
    task = kind(model, sent)
    made = MADE.get(task, "image")
    if task == "automatic-speech-recognition":
        text = media_text(sent["audio_url"])
        said = {"timestamp": [0.0, 1.0], "text": text, "speaker": None}
        return {"text": text, "chunks": [said], "inferred_languages": ["en"], "diarization_segments": []}
    url = cdn.link(call, made, model=model, sent=sent)
    if task == "image-segmentation":
        return {"image": {"url": media.data_url(media.mask(seed=model), "image/png") if sent.get("sync_mode") else url}}
    if made == "image":
        width, height = cdn.asked_size(sent)
        picture = {"url": url, "width": width, "height": height, "content_type": "image/png"}
        return {"images": [picture], "seed": sent.get("seed") or 42, "has_nsfw_concepts": [False]}
    field = "audio_file" if task == "text-to-audio" else made
    return {field: {"url": url, "content_type": "application/octet-stream", "file_name": url.rpartition("/")[2]}}


MADE = {
    "audio-to-audio": "audio",
    "text-to-audio": "audio",
    "text-to-speech": "audio",
    "image-text-to-video": "video",
    "image-to-video": "video",
    "text-to-video": "video",
}


def media_text(source: str) -> str:
    """What is heard in a sound: eight words that its address, or its bytes in it, choose."""
    numbers = words.vector(source, 8, unit=False)
    return " ".join(HEARD[int((number + 1) * len(HEARD) / 2) % len(HEARD)] for number in numbers)


HEARD = ("the", "river", "carries", "what", "rain", "gives", "it", "down", "to", "a", "sea", "that", "asks", "more")


def invalid(problem: fields.Problem) -> RefusedError:
    kinds = {"missing": "missing", "type": "type_error", "value": "value_error"}
    item = {"loc": ["body", *problem.at], "msg": problem.message, "type": kinds[problem.kind]}
    return RefusedError(WholeAnswer({"detail": [item]}, 422))


def moderated() -> RefusedError:
    message = "The content could not be processed because it contained material flagged by a content checker."
    item = {"loc": ["body", "prompt"], "msg": message, "type": "content_policy_violation"}
    return RefusedError(WholeAnswer({"detail": [item]}, 422, {"x-fal-error-type": "content_policy_violation"}))


def refuse(call: DialectRequest, status: int, message: str) -> RefusedError:
    """A missing model is plain text, and so is the one word for it."""
    if status == 404:
        return RefusedError(WholeAnswer("Not Found", 404, media_type="text/plain"))
    if status == 401:
        message = "Invalid Key Authorization header format. Expected '<key_id>:<key_secret>'."
    return RefusedError(WholeAnswer({"detail": message}, status))


JOB = r"^/fal-ai/.+/requests/[^/]+"
DIALECT = Dialect(
    "fal-ai",
    (
        get(JOB + "/status$", status),
        get(JOB + "$", response),
        raw("PUT", JOB + "/cancel$", cancel),
        post(r"^/fal-ai/(?P<model>(?!.*/requests/).+)$", submit),
    ),
    refuse,
)
