"""Azure's OpenAI: the same dialect, at the URL of a resource, where a model is a deployment's name.

The newer API has OpenAI's routes under `/openai/v1`; the older one has them under each deployment, but for the
Responses, which are the resource's, and wants its version in the query. Answers have `content_filter_results` beside
OpenAI's members, which `raw` keeps.

https://learn.microsoft.com/azure/foundry/openai/api-version-lifecycle and
https://learn.microsoft.com/azure/ai-foundry/openai/reference
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from ..protocol.flow import Call, Flow, TaskFlow, TaskFlowAtURL
from .bodies import model_of
from .urls import RESPONSES, beneath


def at_deployment(route: str, flow: TaskFlowAtURL) -> TaskFlow:
    """The flow at this route of the call's resource, or of its deployment."""

    def at_base(call: Call) -> Flow[Any]:
        parts = urlsplit(call.base)
        if route.endswith(RESPONSES):
            resource = urlunsplit(parts._replace(path=parts.path.partition("/deployments/")[0]))
            return (yield from flow(call, beneath(resource, route)))
        is_settled = parts.path.endswith("/v1") or "/deployments/" in parts.path
        place = route if is_settled else f"deployments/{quote(model_of(call), safe='')}{route}"
        return (yield from flow(call, beneath(call.base, place)))

    return at_base
