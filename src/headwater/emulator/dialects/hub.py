"""The Hub's lookups that a client makes before it calls: ``GET /api/models/{id}`` and ``GET /api/tasks``.

Every model exists, unless its name says "missing"; its task is read off its name, and every provider of that
task serves it, under an id of its own: ``{provider}/{id in small letters}``. hf-inference has the Hub's id.
https://huggingface.co/docs/inference-providers/hub-api
"""

from __future__ import annotations

from typing import Any

from ..wire import Dialect, DialectAnswer, DialectRequest, RefusedError, WholeAnswer, get
from . import offers
from .offers import task_of

TAGS = {"conversational": ["conversational"], "feature-extraction": ["sentence-similarity"]}
MODELS = {"conversational": "emulator/chat", "feature-extraction": "emulator/embed", "text-generation": "emulator/base"}
VERSION = "0123456789abcdef" * 4


def model(call: DialectRequest) -> DialectAnswer:
    """A model's card, or with ``expand=inferenceProviderMapping`` who serves it and under which id."""
    head = {"_id": call.digest(), "id": call.model}
    task = task_of(call.model)
    if call.query.get("expand") == "inferenceProviderMapping":
        mapping = {name: entry(name, call.model, task) for name in offers.providers(task)}
        return WholeAnswer(head | {"inferenceProviderMapping": mapping})
    pipeline = "text-generation" if task == "conversational" else task
    return WholeAnswer(head | {"modelId": call.model, "pipeline_tag": pipeline, "tags": TAGS.get(task, [])})


def entry(provider: str, model: str, task: str) -> dict[str, Any]:
    """An offer. In the name of the model "staging" is its status, "lora" makes it one, "versioned" adds a version
    where it is replicate's."""
    status = "staging" if "staging" in model else "live"
    found = {"status": status, "providerId": provided(provider, model), "task": task}
    if "lora" in model.lower().split("/")[-1]:
        found |= {"adapter": "lora", "adapterWeightsPath": "lora.safetensors"}
    return found


def provided(provider: str, model: str) -> str:
    """A provider's own id; replicate's has an owner and a name alone."""
    if provider == "hf-inference":
        return model
    if provider == "replicate":
        return model.lower() + (f":{VERSION}" if "versioned" in model else "")
    return f"{provider}/{model.lower()}"


def tasks(call: DialectRequest) -> DialectAnswer:
    """Each task with the models that its widget would take."""
    return WholeAnswer({task: {"id": task, "widgetModels": [model]} for task, model in widgets().items()})


def widgets() -> dict[str, str]:
    return {task: f"emulator/{task}" for task in offers.OFFERS} | MODELS


def refuse(call: DialectRequest, status: int, message: str) -> RefusedError:
    """The Hub says what went wrong in headers as well."""
    code = {"x-error-code": "RepoNotFound", "x-error-message": "Repository not found"} if status == 404 else {}
    return RefusedError(WholeAnswer({"error": "Repository not found" if code else message}, status, code))


DIALECT = Dialect(
    "hub",
    (get(r"^/api/models/(?P<model>.+)$", model), get(r"^/api/tasks$", tasks)),
    refuse,
    public=True,
)
