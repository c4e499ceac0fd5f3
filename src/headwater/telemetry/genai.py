"""Calls in the words of OpenTelemetry's conventions for generative AI, as values: no OpenTelemetry is needed here.

https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/client-inference.md
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from ..cost.usage import CountedTokens
from ..engine.observer import AttemptBegun, AttemptEnded, CallEnded, ObservedCall, ObservedTool
from ..errors import HeadwaterError, IncompleteStreamError, InferenceTimeoutError
from ..protocol.url import parse_url

AttributeValue: TypeAlias = str | bool | int | float | tuple[str, ...]
Attributes: TypeAlias = dict[str, AttributeValue]

OPERATIONS: Final = {
    "chat-completion": "chat",
    "responses": "chat",
    "messages": "chat",
    "text-generation": "text_completion",
    "embeddings": "embeddings",
    "feature-extraction": "embeddings",
}
"""The conventions' names of tasks; any other task is called what it is called here."""
INFERENCES: Final = frozenset({"chat", "text_completion"})
"""Operations whose tokens are counted, also where nobody said how many there were."""
VENDORS_NAMES: Final = {
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "google": "gcp.gemini",
    "mistral": "mistral_ai",
    "moonshot": "moonshot_ai",
    "xai": "x_ai",
}
"""The conventions' names of providers; any other is called what it is called here."""
_NUMBERED: Final = re.compile(r" \(\d+\)\Z")
_OUTPUTS: Final = {
    "text-to-image": "image",
    "image-to-image": "image",
    "image-text-to-image": "image",
    "edit-image": "image",
    "text-to-speech": "speech",
}
_NUMBER: Final = int | float
_PARAMETERS: Final[Mapping[str, tuple[str, Any]]] = {
    **dict.fromkeys(
        ("max_tokens", "max_completion_tokens", "max_new_tokens", "max_output_tokens"),
        ("gen_ai.request.max_tokens", int),
    ),
    **{name: (f"gen_ai.request.{name}", int) for name in ("seed", "top_k")},
    **{
        name: (f"gen_ai.request.{name}", _NUMBER)
        for name in ("temperature", "top_p", "frequency_penalty", "presence_penalty")
    },
    "dimensions": ("gen_ai.embeddings.dimension.count", int),
    "previous_response_id": ("gen_ai.request.previous_response.id", str),
    "reasoning_effort": ("gen_ai.request.reasoning.level", str),
}
"""Parameters that have an attribute, and the type of its value."""


def operation_of(task: str) -> str:
    """`gen_ai.operation.name`."""
    return OPERATIONS.get(task, task.replace("-", "_"))


def provider_name(name: str) -> str:
    """`gen_ai.provider.name`; a server of one's own is "url"."""
    plain = _NUMBERED.sub("", name)
    return "url" if "://" in plain else VENDORS_NAMES.get(plain, plain)


def family_of(call: ObservedCall, operation: str) -> str:
    """Which family of metrics a call is counted in: "embeddings", "inference", or "operation", where no model is asked
    anything: what has no parameters of a task asks after models, endpoints or answers."""
    if operation == "embeddings":
        return "embeddings"
    return "operation" if not call.parameters or call.task == "count-tokens" else "inference"


def span_name(operation: str, of: str | None) -> str:
    """The operation and what it is done with."""
    return f"{operation} {of}" if of else operation


def first_attributes(call: ObservedCall, operation: str, provider: str, server: Attributes) -> Attributes:
    """What a span begins with: what a sampler may ask for."""
    found: Attributes = {"gen_ai.operation.name": operation, "gen_ai.provider.name": provider, **server}
    if call.model:
        found["gen_ai.request.model"] = call.model
    return found


def request_attributes(call: ObservedCall) -> Attributes:
    """What the call asks for."""
    found: Attributes = {"headwater.task": call.task}
    if call.streams:
        found["gen_ai.request.stream"] = True
    given = call.parameters
    for name in _PARAMETERS.keys() & given.keys():
        value, (attribute, kind) = given[name], _PARAMETERS[name]
        if isinstance(value, kind) and not isinstance(value, bool):
            found[attribute] = float(value) if kind is _NUMBER else value
    stop, n, effort = given.get("stop") or given.get("stop_sequences"), given.get("n"), given.get("reasoning")
    if isinstance(stop, str | list | tuple):
        found["gen_ai.request.stop_sequences"] = (stop,) if isinstance(stop, str) else tuple(map(str, stop))
    if isinstance(n, int) and n != 1:
        found["gen_ai.request.choice.count"] = n
    if isinstance(effort, Mapping) and isinstance(effort.get("effort"), str):
        found["gen_ai.request.reasoning.level"] = effort["effort"]
    if isinstance(encoding := given.get("encoding_format"), str):
        found["gen_ai.request.encoding_formats"] = (encoding,)
    thread = _member(given.get("conversation"), "id") or given.get("conversation")
    if isinstance(thread, str):
        found["gen_ai.conversation.id"] = thread
    if (output := _output_type(call.task, given)) is not None:
        found["gen_ai.output.type"] = output
    return found


def _output_type(task: str, given: Mapping[str, Any]) -> str | None:
    if task in _OUTPUTS or OPERATIONS.get(task) not in INFERENCES:
        return _OUTPUTS.get(task)
    form = given.get("response_format") or given.get("grammar") or given.get("text_format")
    form = _member(given.get("text"), "format") if form is None else form
    return None if form is None else "text" if _member(form, "type") == "text" else "json"


def server_attributes(origin: str) -> Attributes:
    """Where a request goes."""
    try:
        url = parse_url(origin)
    except HeadwaterError:
        return {}
    return {"server.address": url.host, "server.port": url.port}


def attempt_attributes(begun: AttemptBegun) -> Attributes:
    """What is known when a request is sent, in the words for HTTP clients.

    https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-client-span
    """
    found: Attributes = {
        "http.request.method": begun.method,
        "url.full": begun.url,
        "headwater.provider": begun.provider,
        **server_attributes(begun.origin),
    }
    if begun.kind != "request":
        found["headwater.request.kind"] = begun.kind
    if begun.number > 1:
        found["http.request.resend_count"] = begun.number - 1
    if begun.hedged:
        found["headwater.hedged"] = True
    return found


def answer_attributes(ended: AttemptEnded) -> Attributes:
    """What is known when a request has ended."""
    found: Attributes = {}
    if ended.status is not None:
        found["http.response.status_code"] = ended.status
    if ended.attempt.error is not None:
        found["error.type"] = error_type(ended.attempt.error)
    elif ended.attempt.cancelled:
        found["headwater.cancelled"] = True
    return found


def tool_attributes(tool: ObservedTool) -> Attributes:
    """What a tool is, in its span and in metrics."""
    return {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": tool.name,
        "gen_ai.tool.type": "function",
    }


def error_type(error: BaseException) -> str:
    """`error.type`: an HTTP status, "timeout", or the name of the error's class."""
    if isinstance(error, InferenceTimeoutError):
        return "timeout"
    status = getattr(error, "status", None)
    return str(status) if isinstance(status, int) and status >= 400 else type(error).__qualname__


def response_attributes(ended: CallEnded) -> Attributes:
    """What is known when a call has ended."""
    found: Attributes = {"headwater.outcome": ended.outcome, "headwater.provider": ended.facts.provider}
    if (failure := ended_error_type(ended)) is not None:
        found["error.type"] = failure
    if ended.facts.cached:
        found["headwater.cached"] = True
    if ended.facts.cost is not None:
        found["headwater.cost"] = ended.facts.cost.usd
    result = came_of(ended)
    id_ = _member(result, "id")
    if isinstance(id_, str) and id_:
        found["gen_ai.response.id"] = id_
    if (model := answering_model(ended)) is not None:
        found["gen_ai.response.model"] = model
    if reasons := finish_reasons(result, is_cut=isinstance(ended.error, IncompleteStreamError)):
        found["gen_ai.response.finish_reasons"] = reasons
    first = ended.facts.timings.first_event
    if ended.call.streams and first is not None:
        found["gen_ai.response.time_to_first_chunk"] = first
    return found


def ended_error_type(ended: CallEnded) -> str | None:
    """`error.type` of a call; None where it did not fail."""
    if ended.error is not None:
        return error_type(ended.error)
    return "cancelled" if ended.outcome == "cancelled" else None


def came_of(ended: CallEnded) -> Any:
    """The result, or what came of it."""
    return ended.result if ended.error is None else getattr(ended.error, "partial", None)


def answering_model(ended: CallEnded) -> str | None:
    """The model that the server said has answered."""
    model = _member(came_of(ended), "model")
    return model if isinstance(model, str) and model else None


def finish_reasons(result: Any, *, is_cut: bool) -> tuple[str, ...]:
    """Why each choice ended; `is_cut`: those without a reason ended by an error."""
    choices = _member(result, "choices")
    if isinstance(choices, list):
        reasons = [_member(choice, "finish_reason") for choice in choices]
    else:
        reason = _member(_member(result, "details"), "finish_reason") or _member(result, "stop_reason")
        if reason is None and isinstance(_member(result, "output"), list):  # a response
            reason = _member(_member(result, "incomplete_details"), "reason") or _member(result, "status")
        reasons = [reason]
    found = tuple(str(reason) if reason else "error" for reason in reasons if reason or is_cut)
    return found or (("error",) if is_cut else ())


def usage_attributes(usage: CountedTokens | None, operation: str) -> Attributes:
    """The tokens that were used, as far as the server said; of embeddings and conversations fewer kinds are told."""
    if usage is None or operation == "fetch_response":
        return {}
    found: Attributes = {} if usage.input is None else {"gen_ai.usage.input_tokens": usage.input}
    if operation == "embeddings":
        return found
    if usage.output is not None:
        found["gen_ai.usage.output_tokens"] = usage.output
    if operation == "invoke_agent":
        return found
    if usage.cached is not None:
        found["gen_ai.usage.cache_read.input_tokens"] = usage.cached
    if usage.cache_write is not None:
        found["gen_ai.usage.cache_write.input_tokens"] = usage.cache_write
    if usage.reasoning is not None:
        found["gen_ai.usage.reasoning.output_tokens"] = usage.reasoning
    return found


def _member(owner: Any, name: str) -> Any:
    return owner.get(name) if isinstance(owner, dict) else getattr(owner, name, None)
