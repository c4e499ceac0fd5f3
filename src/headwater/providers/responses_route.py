"""The Responses dialect as the rows have it: what speaks it, `openai_responses`, is loaded by the first call."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..protocol.flow import Call, Flow, ResumeFlow, TaskFlow, TaskFlowAtURL
from ..schema.rules import STRICT, SchemaRules

if TYPE_CHECKING:
    from ..protocol.events import Job


def respond(call: Call, url: str, rules: SchemaRules = STRICT) -> Flow[Any]:
    """A response, whole or streamed, at this URL. `rules`: what its typed answers may have of JSON Schema."""
    from . import openai_responses

    return (yield from openai_responses.response_flow(call, url, rules))


def follow_response(call: Call, url: str, job: Job) -> Flow[Any]:
    """A response in the background that was begun before, watched to its end."""
    from . import openai_responses

    return (yield from openai_responses.resumed_response(call, url, job))


def resumed_by(placed: Callable[[TaskFlowAtURL], TaskFlow]) -> ResumeFlow:
    """How a response in the background is watched by a provider; `placed`: a flow at the URL of its responses."""

    def resumed(call: Call, job: Job) -> Flow[Any]:
        return placed(lambda call, url: follow_response(call, url, job))(call)

    return resumed
