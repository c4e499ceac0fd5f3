"""Hugging Face's own inference service, behind its router: its routes, and the models that it recommends.

It has a URL for each model. A model that it refuses is said with the names of the providers that serve it.

https://huggingface.co/docs/inference-providers/providers/hf-inference
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ..errors import InvalidRequestError, MissingModelError, NotFoundError, ProviderError
from ..protocol.flow import Cached, Call, Flow, Send, TaskFlow
from ..protocol.lazy import lazy_modules
from ..responses.decode import decode
from ..schema.rules import TGI
from . import openai_chat, pipeline
from .bodies import get
from .model_ids import not_served, serving, without_suffix
from .openai_chat import ChatDialect
from .response_format import json_object_value
from .urls import at_model

if TYPE_CHECKING:
    from . import openai_embeddings, tgi  # noqa: TC004 - loaded when it is used, below
else:
    globals().update(lazy_modules(__package__, "openai_embeddings tgi"))

CHAT_DIALECT: Final[ChatDialect] = ChatDialect(response_format=json_object_value, schema=TGI)
_RECOMMENDED_FOR: Final = {"chat-completion": "text-generation", "embeddings": "feature-extraction"}
"""Tasks without recommendations of their own on the Hub."""
_DAY: Final = 86400.0


class _Task(msgspec.Struct, frozen=True, rename={"models": "widgetModels"}):
    models: list[str] = []


def served(flow: TaskFlow) -> TaskFlow:
    """The flow with a recommended model where none is named, and refusals that say who serves one."""
    return partial(_served, flow=flow)


def _served(call: Call, flow: TaskFlow) -> Flow[Any]:
    if call.model is None:
        call.model = without_suffix(call, call.hub_id or (yield from recommended(call)))
    try:
        return (yield from flow(call))
    except (NotFoundError, InvalidRequestError) as refused:
        if not _is_unserved(refused):
            raise
        entries = yield from serving(call, call.model)
        if entries is None or any(entry.provider == call.provider for entry in entries):
            raise
        raise not_served(call, call.model, entries) from refused


def _is_unserved(refused: ProviderError) -> bool:
    said = (refused.server_message or "").lower()
    return isinstance(refused, NotFoundError) or "not supported" in said


def recommended(call: Call) -> Flow[str]:
    """The model that the Hub recommends for the call's task, asked for once a day."""
    wanted = _RECOMMENDED_FOR.get(call.task, call.task)
    tasks: dict[str, _Task] = yield Cached(("tasks",), partial(_tasks, call.hub), seconds=_DAY)
    models = tasks[wanted].models if wanted in tasks else []
    if not models:
        raise MissingModelError(f"the Hub recommends no model for {call.task}; pass model=...")
    return models[0]


def _tasks(hub: str) -> Flow[dict[str, _Task]]:
    return decode((yield Send(get(f"{hub}/api/tasks", auth="none"))), dict[str, _Task])


def chat_completion(call: Call) -> Flow[Any]:
    """A chat at the model's own route."""
    url = at_model(call.base, "/models/", call.model or "", "/v1/chat/completions")
    return (yield from openai_chat.chat(call, url, CHAT_DIALECT))


def text_generation(call: Call) -> Flow[Any]:
    """Text generation in TGI's dialect."""
    return (yield from tgi.generate(call, at_model(call.base, "/models/", call.model or "")))


def feature_extraction(call: Call) -> Flow[Any]:
    """Embeddings in TEI's dialect."""
    url = at_model(call.base, "/models/", call.model or "", "/pipeline/feature-extraction")
    return (yield from openai_embeddings.tei(call, url))


TASKS: Final[Mapping[str, TaskFlow]] = {
    "chat-completion": chat_completion,
    "feature-extraction": feature_extraction,
    "text-generation": text_generation,
    **pipeline.AT_MODEL,
}
