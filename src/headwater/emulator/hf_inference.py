"""hf-inference's bare model URL, ``POST /models/{id}``, answered by the model's task; and an endpoint's root.

Refuses a body that is no JSON object (400), and what the dialect of the task refuses. Its chat and its
pipelines are in the files of those dialects.
https://huggingface.co/docs/inference-providers/providers/hf-inference
"""

from __future__ import annotations

from collections.abc import Callable

from . import tei, tgi
from .hub import task_of
from .wire import Answer, Call, Dialect, RefusedError, Whole, post

TASKS: dict[str, Callable[[Call], Answer]] = {
    "conversational": tgi.compatible,
    "feature-extraction": tei.embed,
    "text-generation": tgi.compatible,
}


def infer(call: Call) -> Answer:
    return TASKS[task_of(call.model)](call)


def endpoint(call: Call) -> Answer:
    """The root of an Inference Endpoint, which runs TGI or TEI: what only TEI reads is answered as by TEI."""
    embeds = isinstance(call.json.get("inputs"), list) or any(name in call.json for name in tei.TYPES)
    return tei.embed(call) if embeds else tgi.compatible(call)


def refuse(call: Call, status: int, message: str) -> RefusedError:
    """A 400 comes with its message in a list, as recorded for fields that are missing."""
    return RefusedError(Whole({"error": [message] if status == 400 else message}, status))


DIALECT = Dialect(
    "hf-inference",
    (post(r"^/$", endpoint), post(r"(?:^|/)models/(?P<model>[^/]+(?:/[^/]+)?)$", infer)),
    refuse,
)
