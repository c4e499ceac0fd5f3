"""Replicate's dialect: predictions of a version or of a model, what became of them, their cancellation, their stream.

Refuses, as problems after RFC 7807, what Replicate refuses: properties beside those that it knows, a missing
version or input, a ``Prefer`` or ``Cancel-After`` that it cannot read. ``Prefer: wait`` brings the output at
once where the request asks for "instant", else it answers 202 with a prediction that has not started.
https://replicate.com/docs/reference/http
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ..wire import (
    Dialect,
    DialectAnswer,
    DialectRequest,
    RefusedError,
    StreamAnswer,
    WholeAnswer,
    dumps,
    get,
    post,
    raw,
)
from . import cdn, fields
from .fal import media_text
from .jobs import EmulatedJob
from .offers import task_of

KNOWN = frozenset({"input", "stream", "version", "webhook", "webhook_events_filter"})
VERSION = re.compile(r"[\w./:-]+")
PREFER = re.compile(r"respond-async|wait(=([1-9]|[1-5]\d|60))?")
AFTER = re.compile(r"(\d+(?:\.\d+)?)(s|m|h)?")
UNITS = {"s": 1, "m": 60, "h": 3600}
STATES = {
    "queued": "starting",
    "running": "processing",
    "done": "succeeded",
    "failed": "failed",
    "moderated": "failed",
    "cancelled": "canceled",
    "unknown": "hibernating",
}
MODERATED = "NSFW content detected. Try running it again, or try a different prompt. (E005)"
FILES = ("audio", "image", "input_image")


def of_version(call: DialectRequest) -> DialectAnswer:
    version = call.json.get("version")
    if not version:
        raise unfit("version is required", "required")
    if not isinstance(version, str) or not VERSION.fullmatch(version):
        raise unfit("Invalid version or not permitted", "invalid")
    return create(call, KNOWN, version)


def of_model(call: DialectRequest) -> DialectAnswer:
    return create(call, KNOWN - {"version"}, call.model)


def create(call: DialectRequest, known: frozenset[str], model: str) -> DialectAnswer:
    check(call, known)
    job = call.jobs.submit("replicate", model, call.digest(), call.json)
    made = prediction(call, job)
    waits = call.headers.get("prefer", "").startswith("wait")
    applied = {"preference-applied": call.headers["prefer"]} if waits else {}
    if waits and not job.over:
        return WholeAnswer(made, 202, applied | {"location": made["urls"]["get"]})
    return WholeAnswer(made, 201, applied)


def check(call: DialectRequest, known: frozenset[str]) -> None:
    for name in call.json:
        if name not in known:
            raise unfit(f"Additional property {name} is not allowed", "additional_property_not_allowed")
    given = call.json.get("input")
    if not isinstance(given, dict):
        raise unfit("input is required", "required")
    for problem in (fields.problem(given), *(fields.file_problem(given, name, ("audio/", "image/")) for name in FILES)):
        if problem is not None:
            raise unfit(f"input.{problem.name}: {problem.message}", "invalid_type", f"input.{problem.name}")
    if (prefer := call.headers.get("prefer")) is not None and not PREFER.fullmatch(prefer):
        raise refuse(call, 400, f"Invalid Prefer header: {prefer}")
    found = AFTER.fullmatch(after := call.headers.get("cancel-after", "1h"))
    if not found or float(found[1]) * UNITS[found[2] or "s"] < 5:
        raise refuse(call, 400, f"Invalid Cancel-After header: {after}. The minimum is 5 seconds.")


def prediction(call: DialectRequest, job: EmulatedJob) -> dict[str, Any]:
    state, here = job.state, f"{call.place.home}/v1/predictions/{job.id}"
    urls = {"get": here, "cancel": f"{here}/cancel"}
    if not job.wishes & {"forever", "fail", "moderated"}:
        urls["stream"] = f"{call.place.home.replace('//api.', '//stream.')}/v1/streams/{job.id}"
    return {
        "id": job.id,
        "model": job.model.partition(":")[0],
        "version": job.sent.get("version") or "hidden",
        "input": job.sent["input"],
        "logs": "step 1 of 2\n" if state not in ("queued", "unknown") else "",
        "output": output(call, job) if state == "done" else None,
        "error": {"failed": "The model failed", "moderated": MODERATED}.get(state),
        "status": STATES[state],
        "created_at": "2026-01-01T00:00:00Z",
        "urls": urls,
    }


def output(call: DialectRequest, job: EmulatedJob) -> Any:
    """A list for pictures; for the rest one URL, or a speech's text."""
    given, task = job.sent["input"], task_of(job.model)
    if task == "automatic-speech-recognition" or "audio" in given:
        return {"transcription": media_text(given.get("audio") or ""), "detected_language": "english"}
    kind = "video" if task.endswith("video") else "audio" if "speech" in task or "text" in given else "image"
    url = cdn.link(call, kind, model=job.model, sent=job.sent)
    return [url] if kind == "image" else url


def state(call: DialectRequest) -> DialectAnswer:
    job = found(call)
    if not call.jobs.poll(job):
        raise refuse(call, 500, "Internal Server Error")
    return WholeAnswer(prediction(call, job))


def cancel(call: DialectRequest) -> DialectAnswer:
    job = found(call)
    call.jobs.cancel(job)
    return WholeAnswer(prediction(call, job))


def stream(call: DialectRequest) -> DialectAnswer:
    """Server-sent events: each output, then the end. It needs no token: its address is the secret."""
    return StreamAnswer(events(call, found(call)))


def events(call: DialectRequest, job: EmulatedJob) -> Iterator[bytes]:
    while not job.over and job.state != "unknown":
        call.jobs.poll(job)
    made = output(call, job)
    for number, one in enumerate(made if isinstance(made, list) else [made]):
        text = one if isinstance(one, str) else one["transcription"]
        yield f"event: output\nid: {number}:0\ndata: {text}\n\n".encode()
    yield b"event: done\nid: done\ndata: {}\n\n"


def found(call: DialectRequest) -> EmulatedJob:
    name = re.sub(r"^/replicate/v1/(predictions|streams)/", "", call.path).partition("/")[0]
    job = call.jobs.find("replicate", name)
    if job is None:
        raise refuse(call, 404, "The requested resource could not be found.")
    return job


def unfit(message: str, kind: str, field: str = "") -> RefusedError:
    fault = {"type": kind, "field": field, "description": message}
    body = {"title": "Input validation failed", "detail": f"- {message}\n", "status": 422, "invalid_fields": [fault]}
    return RefusedError(WholeAnswer(dumps(body), 422, media_type="application/problem+json"))


TITLES = {400: "Bad request", 401: "Unauthenticated", 404: "Not found", 500: "Internal server error"}


def refuse(call: DialectRequest, status: int, message: str) -> RefusedError:
    if status == 401:
        message = "You did not pass a valid authentication token"
    body = {"title": TITLES.get(status, "Error"), "detail": message, "status": status}
    return RefusedError(WholeAnswer(dumps(body), status, media_type="application/problem+json"))


JOB = r"^/replicate/v1/predictions/[^/]+"
DIALECT = Dialect(
    "replicate",
    (
        post(r"^/replicate/v1/predictions$", of_version),
        post(r"^/replicate/v1/models/(?P<model>[^/]+/[^/]+)/predictions$", of_model),
        get(JOB + "$", state),
        raw("POST", JOB + "/cancel$", cancel),
        get(r"^/replicate/v1/streams/[^/]+$", stream),
    ),
    refuse,
)
