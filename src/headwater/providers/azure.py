"""Azure's OpenAI: the same dialect, at the URL of a resource, where a model is a deployment's name.

The newer API has OpenAI's routes under `/openai/v1`; the older one has them under each deployment, and wants its
version in the query. Answers have `content_filter_results` beside OpenAI's members, which `raw` keeps.

https://learn.microsoft.com/azure/foundry/openai/api-version-lifecycle and
https://learn.microsoft.com/azure/ai-foundry/openai/reference
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlsplit

from ..protocol.flow import Call, Flow, TaskFlow, TaskFlowAtURL
from .bodies import model_of
from .urls import beneath


def at_deployment(route: str, flow: TaskFlowAtURL) -> TaskFlow:
    """The flow at this route of the call's resource, or of its deployment."""

    def at_base(call: Call) -> Flow[Any]:
        path = urlsplit(call.base).path
        is_settled = path.endswith("/v1") or "/deployments/" in path
        place = route if is_settled else f"deployments/{quote(model_of(call), safe='')}{route}"
        return (yield from flow(call, beneath(call.base, place)))

    return at_base
