"""OpenAI's Responses API, under every path that ends in ``/responses``: whole, as events, in the background.

A stored response is its request: what it answers is made anew from that whenever it is asked for, so that a stream can
be taken up behind any of its events. One in the background is a job (``jobs``): queued, then in progress, then done,
by being asked after; when its stream has been sent whole it is done.

Refuses what OpenAI refuses: parameters and types of items that it does not know, calls of tools without their answers
and answers without their calls, nulls where a value belongs, a background response that is not to be stored.
https://platform.openai.com/docs/api-reference/responses
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from ..wire import (
    CREATED,
    Dialect,
    DialectAnswer,
    DialectRequest,
    StreamAnswer,
    WholeAnswer,
    event,
    get,
    post,
    raw,
)
from . import checks, response_input, response_output, words
from .jobs import EmulatedJob
from .openai import refuse

STORE = "responses"
"""Whose jobs they are in the store of jobs."""
STATUSES = {"queued": "queued", "running": "in_progress", "cancelled": "cancelled"}


def create(call: DialectRequest) -> DialectAnswer:
    given = checks.known(call, response_input.FIELDS)
    response_input.refuse_strangers(call, given)
    earlier = history(call, given)
    items = response_input.checked(call, given, earlier)
    if given.get("background") and given.get("store") is False:
        raise checks.wrong(call, "Background mode requires 'store' to be true.", "background", "invalid_value")
    if strange := set(given.get("include") or ()) - response_input.INCLUDABLE:
        raise checks.wrong(call, f"Invalid value: {min(strange)!r}.", "include")
    make = call.jobs.submit if given.get("background") else call.jobs.keep
    job = make(STORE, call.model, call.digest(), {**given, "items": items, "earlier": earlier})
    if given.get("store") is False:
        call.jobs.known.pop((STORE, job.id), None)
    made = events(call, job)
    if given.get("stream"):
        return StreamAnswer(sent(call, job, made))
    if given.get("background"):
        return WholeAnswer(state(call, job))
    return WholeAnswer(whole(call, job))


def whole(call: DialectRequest, job: EmulatedJob) -> dict[str, Any]:
    """The response at its end."""
    found: dict[str, Any] = events(call, job)[-1]["response"]
    return found


def history(call: DialectRequest, given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The items of the response that this one goes on from, and of those before it."""
    name = given.get("previous_response_id")
    if name is None:
        return []
    before = call.jobs.find(STORE, bare(name)) if isinstance(name, str) else None
    if before is None:
        why = f"Previous response with id '{name}' not found."
        raise checks.wrong(call, why, "previous_response_id", "previous_response_not_found")
    answered = whole(call, before)["output"]
    return [*before.sent["earlier"], *before.sent["items"], *answered]


def events(call: DialectRequest, job: EmulatedJob) -> list[dict[str, Any]]:
    """All events of a response, numbered; the last one has the whole of it."""
    call = replace(call, model=job.model)
    head = envelope(job)
    made = response_output.output(call, job.sent, job.id)
    first = "queued" if job.sent.get("background") else "in_progress"
    told: list[dict[str, Any]] = [
        {"type": f"response.{step}", "response": head | {"status": first if step == "created" else step}}
        for step in begun(job)
    ]
    for index, item in enumerate(made.items):
        told += response_output.item_events(item, index)
    usage = spending(job, made.spent)
    if "errored" in job.model:
        told.append({"type": "error", "code": "server_error", "message": "The model failed.", "param": None})
    end = head | made.end() | {"output": made.items, "usage": usage}
    told.append({"type": f"response.{end['status']}", "response": end})
    numbered = [{**each, "sequence_number": number} for number, each in enumerate(told)]
    return [response_output.unnumbered(each) for each in numbered] if "unnumbered" in job.model else numbered


def begun(job: EmulatedJob) -> tuple[str, ...]:
    return ("created", "queued", "in_progress") if job.sent.get("background") else ("created", "in_progress")


def sent(call: DialectRequest, job: EmulatedJob, made: Sequence[Mapping[str, Any]], after: int = -1) -> Iterator[bytes]:
    """The events behind number ``after``, as long as nobody cancels the response; ``cut-N`` in the model's name ends
    the first stream behind N events."""
    most = words.asked(job.model, "cut", len(made), len(made)) if after < 0 and not job.polls else len(made)
    for number, each in enumerate(made):
        if job.cancelled or number >= most:
            return
        if number > after and (each["type"] != "error" or call.method == "POST"):
            yield event(each, prefix=f"event: {each['type']}\ndata: ".encode())
    while not job.over and not job.wishes & {"forever", "unknown-state"}:
        call.jobs.poll(job)


def envelope(job: EmulatedJob) -> dict[str, Any]:
    """The response's members that its request tells."""
    given = job.sent
    text = given.get("text") or {}
    return {
        "id": f"resp_{job.id.replace('-', '')}",
        "object": "response",
        "created_at": CREATED,
        "status": "in_progress",
        "background": bool(given.get("background")),
        "error": None,
        "incomplete_details": None,
        "instructions": given.get("instructions"),
        "max_output_tokens": given.get("max_output_tokens"),
        "model": job.model,
        "output": [],
        "parallel_tool_calls": given.get("parallel_tool_calls", True),
        "previous_response_id": given.get("previous_response_id"),
        "reasoning": given.get("reasoning") or {"effort": None, "summary": None},
        "store": given.get("store", True),
        "temperature": given.get("temperature", 1.0),
        "text": {"format": {"type": "text"}, **text},
        "tool_choice": given.get("tool_choice", "auto"),
        "tools": given.get("tools", []),
        "top_p": given.get("top_p", 1.0),
        "truncation": given.get("truncation", "disabled"),
        "usage": None,
        **({"user": given["user"]} if "user" in given else {}),
        "metadata": given.get("metadata", {}),
    }


def spending(job: EmulatedJob, made: tuple[int, int]) -> dict[str, Any]:
    asked = sum(words.count(response_input.text_of(item)) for item in (*job.sent["earlier"], *job.sent["items"]))
    said, thought = made
    return {
        "input_tokens": asked,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": said + thought,
        "output_tokens_details": {"reasoning_tokens": thought},
        "total_tokens": asked + said + thought,
    }


def bare(name: str) -> str:
    """A job's id, of a response's: the hyphens that its name does not have."""
    digits = name.removeprefix("resp_")
    return "-".join(digits[start:end] for start, end in pairwise((0, 8, 12, 16, 20, 32)))


def kept(call: DialectRequest) -> EmulatedJob:
    """The response that a path names."""
    name = call.path.rpartition("/responses/")[2].partition("/")[0]
    job = call.jobs.find(STORE, bare(name))
    if job is None:
        raise refuse(call, 404, f"Response with id '{name}' not found.")
    return job


def state(call: DialectRequest, job: EmulatedJob) -> dict[str, Any]:
    """The response as it is now."""
    if job.sent.get("background") and job.state in ("failed", "moderated"):
        code = "server_error" if job.state == "failed" else "bio_policy"
        return envelope(job) | {"status": "failed", "error": {"code": code, "message": "The model failed."}}
    if not job.sent.get("background") or job.state == "done":
        return whole(call, job)
    return envelope(job) | {"status": STATUSES.get(job.state, "in_progress")}


def retrieve(call: DialectRequest) -> DialectAnswer:
    job = kept(call)
    if call.query.get("stream") == "true":
        after = call.query.get("starting_after", "-1")
        if not after.lstrip("-").isdigit():
            raise checks.wrong(call, "Invalid 'starting_after': expected an integer.", "starting_after")
        if not (job.sent.get("stream") and job.sent.get("background")):
            why = "This response can't be streamed: it was not created with 'background' and 'stream' set to true."
            raise checks.wrong(call, why, "stream")
        return StreamAnswer(sent(call, job, events(call, job), int(after)))
    if job.sent.get("background") and not call.jobs.poll(job):
        raise refuse(call, 500, "The server had an error while processing your request.")
    return WholeAnswer(state(call, job))


def cancel(call: DialectRequest) -> DialectAnswer:
    job = kept(call)
    if not job.sent.get("background"):
        raise checks.wrong(call, "Only responses with background=true can be cancelled.", "response_id")
    call.jobs.cancel(job)
    return WholeAnswer(state(call, job))


def delete(call: DialectRequest) -> DialectAnswer:
    job = kept(call)
    call.jobs.known.pop((STORE, job.id), None)
    return WholeAnswer({"id": envelope(job)["id"], "object": "response", "deleted": True})


def input_items(call: DialectRequest) -> DialectAnswer:
    """The items of the input, newest first, a page of them."""
    found = [response_input.listed(call, item, n) for n, item in enumerate(kept(call).sent["items"])]
    if call.query.get("order", "desc") == "desc":
        found.reverse()
    ids = [item["id"] for item in found]
    start = ids.index(call.query["after"]) + 1 if call.query.get("after") in ids else 0
    most = int(call.query.get("limit", "20"))
    page = found[start : start + most]
    return WholeAnswer(
        {
            "object": "list",
            "data": page,
            "first_id": page[0]["id"] if page else None,
            "last_id": page[-1]["id"] if page else None,
            "has_more": len(found) > start + most,
        }
    )


DIALECT = Dialect(
    "responses",
    (
        post(r"/responses$", create),
        get(r"/responses/[^/]+$", retrieve),
        raw("DELETE", r"/responses/[^/]+$", delete),
        raw("POST", r"/responses/[^/]+/cancel$", cancel),
        get(r"/responses/[^/]+/input_items$", input_items),
    ),
    refuse,
)
