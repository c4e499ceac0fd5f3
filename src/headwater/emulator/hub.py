"""The Hub's lookups that a client makes before it calls: ``GET /api/models/{id}`` and ``GET /api/tasks``.

Every model exists, unless its name says "missing"; its task is read off its name, and every provider of that
task serves it, under an id of its own: ``{provider}/{id in small letters}``. hf-inference has the Hub's id.
https://huggingface.co/docs/inference-providers/hub-api
"""

from __future__ import annotations

import re
from typing import Any

from .vendors import ROUTED
from .wire import Answer, Call, Dialect, RefusedError, Whole, get

EMBEDDING = re.compile(r"embed|\be5\b|bge|minilm|sentence", re.IGNORECASE)
PLAIN = re.compile(r"\bbase\b|gpt2", re.IGNORECASE)

PROVIDERS = {
    "conversational": sorted(ROUTED - {"hyperbolic", "nebius", "nvidia", "openai", "sambanova"}),
    "feature-extraction": ["hf-inference", "deepinfra", "scaleway", "together"],
    "text-generation": ["hf-inference", "deepinfra", "featherless-ai", "novita", "together"],
}
MODELS = {
    "conversational": "emulator/chat",
    "feature-extraction": "emulator/embed",
    "text-generation": "emulator/base",
}


def task_of(model: str) -> str:
    """The task of a model, by its name."""
    if EMBEDDING.search(model):
        return "feature-extraction"
    return "text-generation" if PLAIN.search(model) else "conversational"


def model(call: Call) -> Answer:
    """A model's card, or with ``expand=inferenceProviderMapping`` who serves it and under which id."""
    head = {"_id": call.digest(), "id": call.model}
    task = task_of(call.model)
    if call.query.get("expand") == "inferenceProviderMapping":
        return Whole(
            head | {"inferenceProviderMapping": {name: entry(name, call.model, task) for name in PROVIDERS[task]}}
        )
    chat = task == "conversational"
    tags = ["conversational"] if chat else ["sentence-similarity"] if task == "feature-extraction" else []
    return Whole(head | {"modelId": call.model, "pipeline_tag": "text-generation" if chat else task, "tags": tags})


def entry(provider: str, model: str, task: str) -> dict[str, Any]:
    own = model if provider == "hf-inference" else f"{provider}/{model.lower()}"
    return {"status": "live", "providerId": own, "task": task}


def tasks(call: Call) -> Answer:
    """Each task with the models that its widget would take."""
    return Whole({task: {"id": task, "widgetModels": [model]} for task, model in MODELS.items()})


def refuse(call: Call, status: int, message: str) -> RefusedError:
    """The Hub says what went wrong in headers as well."""
    code = {"x-error-code": "RepoNotFound", "x-error-message": "Repository not found"} if status == 404 else {}
    return RefusedError(Whole({"error": "Repository not found" if code else message}, status, code))


DIALECT = Dialect(
    "hub",
    (get(r"^/api/models/(?P<model>.+)$", model), get(r"^/api/tasks$", tasks)),
    refuse,
    public=True,
)
