"""hf-inference's bare model URL, ``POST /models/{id}``, answered by the model's task; and endpoints' roots.

Files go as they are, or in base64 in a JSON object. ``/tasks/{task}`` is the root of an endpoint of that task,
``/`` that of one with a language model. Refuses (400) what is no JSON object and no file, and what the task
refuses. Its chat and its embeddings are in the files of those dialects, the other tasks in ``hf_tasks``.
https://huggingface.co/docs/inference-providers/providers/hf-inference
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ..wire import Dialect, DialectAnswer, DialectRequest, RefusedError, WholeAnswer, post, raw
from . import hf_media, hf_tasks, hf_text, tei, tgi
from .jobs import asked_for, wishes_of
from .offers import task_of

ANSWERS = hf_media.ANSWERS | hf_text.ANSWERS
LANGUAGE: dict[str, Callable[[DialectRequest], DialectAnswer]] = {
    "conversational": tgi.compatible,
    "feature-extraction": tei.embed,
    "sentence-similarity": tei.similarity,
    "text-generation": tgi.compatible,
}
PIPELINE = re.compile(r"/pipeline/([a-z-]+)")


def infer(call: DialectRequest) -> DialectAnswer:
    """The answer to the task that the path names, or else the model."""
    named = PIPELINE.search(call.path)
    task = named[1] if named else task_of(call.model)
    if task in LANGUAGE:
        if not isinstance(call.json, dict):
            raise refuse(call, 400, "We could not parse the JSON body of your request.")
        return LANGUAGE[task](call)
    if task not in ANSWERS:
        raise refuse(call, 404, f"Not Found: no pipeline {task}")
    asked = hf_tasks.asked(call, task)
    if "fail" in wishes_of(asked_for(call.model, call.json)):
        raise RefusedError(
            WholeAnswer({"error": "unknown error", "warnings": ["There was an inference error: CUDA"]}, 500)
        )
    return ANSWERS[task](asked)


def endpoint(call: DialectRequest) -> DialectAnswer:
    """The root of an Inference Endpoint, which runs TGI or TEI: what only TEI reads is answered as by TEI."""
    embeds = isinstance(call.json.get("inputs"), list) or any(name in call.json for name in tei.TYPES)
    return tei.embed(call) if embeds else tgi.compatible(call)


def refuse(call: DialectRequest, status: int, message: str) -> RefusedError:
    """A 400 comes with its message in a list, as recorded for fields that are missing."""
    return RefusedError(WholeAnswer({"error": [message] if status == 400 else message}, status))


DIALECT = Dialect(
    "hf-inference",
    (
        post(r"^/$", endpoint),
        raw("POST", r"^/tasks/(?P<model>[a-z-]+)$", infer),
        raw("POST", r"(?:^|/)pipeline/[a-z-]+/(?P<model>[^/]+(?:/[^/]+)?)$", infer),
        raw("POST", r"(?:^|/)models/(?P<model>[^/]+(?:/[^/]+)?)(?:/pipeline/[a-z-]+)?$", infer),
    ),
    refuse,
)
