"""The Responses dialect as the rows have it: what speaks it, `openai_responses`, is loaded by the first call."""

from __future__ import annotations

from typing import Any

from ..protocol.flow import Call, Flow


def respond(call: Call, url: str) -> Flow[Any]:
    """A response, whole or streamed, at this URL."""
    from . import openai_responses

    return (yield from openai_responses.response_flow(call, url))
