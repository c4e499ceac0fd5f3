"""Calls in the words of OpenTelemetry's conventions for generative AI, as values: no OpenTelemetry is needed here.

https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/client-inference.md
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from ..engine.observer import AttemptBegun, AttemptEnded, CallEnded, ObservedCall
from ..engine.used_tokens import UsedTokens
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
_COUNTS: Final = {
    "max_tokens": ("max_tokens", "max_completion_tokens", "max_new_tokens", "max_output_tokens"),
    "seed": ("seed",),
    "top_k": ("top_k",),
}
_FRACTIONS: Final = ("temperature", "top_p", "frequency_penalty", "presence_penalty")


def operation_of(task: str) -> str:
    """`gen_ai.operation.name`."""
    return OPERATIONS.get(task, task.replace("-", "_"))


def provider_name(name: str) -> str:
    """`gen_ai.provider.name`; a server of one's own is "url"."""
    plain = _NUMBERED.sub("", name)
    return "url" if "://" in plain else VENDORS_NAMES.get(plain, plain)


def span_name(operation: str, of: str | None) -> str:
    """The operation and what it is done with."""
    return f"{operation} {of}" if of else operation


def request_attributes(call: ObservedCall) -> Attributes:
    """What is known when a call begins."""
    given = call.parameters
    found: Attributes = {"gen_ai.operation.name": operation_of(call.task), "headwater.task": call.task}
    if len(call.providers) == 1:
        found["gen_ai.provider.name"] = provider_name(call.providers[0])
    if call.model:
        found["gen_ai.request.model"] = call.model
    if call.streams:
        found["gen_ai.request.stream"] = True
    for name, spellings in _COUNTS.items():
        value = next((given[spelling] for spelling in spellings if given.get(spelling) is not None), None)
        if isinstance(value, int) and not isinstance(value, bool):
            found[f"gen_ai.request.{name}"] = value
    for name in _FRACTIONS:
        value = given.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            found[f"gen_ai.request.{name}"] = float(value)
    return found | _further_attributes(call.task, given)


def _further_attributes(task: str, given: Mapping[str, Any]) -> Attributes:
    found: Attributes = {}
    stop, n, effort = given.get("stop"), given.get("n"), given.get("reasoning_effort")
    if isinstance(stop, str | list | tuple) and stop:
        found["gen_ai.request.stop_sequences"] = (stop,) if isinstance(stop, str) else tuple(map(str, stop))
    if isinstance(n, int) and n != 1:
        found["gen_ai.request.choice.count"] = n
    if isinstance(effort, str):
        found["gen_ai.request.reasoning.level"] = effort
    if isinstance(given.get("dimensions"), int):
        found["gen_ai.embeddings.dimension.count"] = given["dimensions"]
    if isinstance(given.get("encoding_format"), str):
        found["gen_ai.request.encoding_formats"] = (given["encoding_format"],)
    output = _OUTPUTS.get(task)
    if output is None and task in OPERATIONS and OPERATIONS[task] != "embeddings":
        form = given.get("response_format") or given.get("grammar") or given.get("text_format")
        output = None if form is None else "text" if _kind(form) == "text" else "json"
    if output is not None:
        found["gen_ai.output.type"] = output
    return found


def _kind(form: Any) -> Any:
    return form.get("type") if isinstance(form, Mapping) else getattr(form, "type", None)


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
        "gen_ai.provider.name": provider_name(begun.provider),
        "headwater.provider": begun.provider,
        "headwater.request.kind": begun.kind,
        **server_attributes(begun.origin),
    }
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


def error_type(error: BaseException) -> str:
    """`error.type`: an HTTP status, "timeout", or the name of the error's class."""
    if isinstance(error, InferenceTimeoutError):
        return "timeout"
    status = getattr(error, "status", None)
    return str(status) if isinstance(status, int) and status >= 400 else type(error).__qualname__


def response_attributes(ended: CallEnded) -> Attributes:
    """What is known when a call has ended."""
    found: Attributes = {"headwater.outcome": ended.outcome, "headwater.provider": ended.facts.provider}
    if ended.facts.provider:
        found["gen_ai.provider.name"] = provider_name(ended.facts.provider)
    if ended.facts.model:
        found["gen_ai.request.model"] = ended.facts.model
    if ended.error is not None:
        found["error.type"] = error_type(ended.error)
    elif ended.outcome == "cancelled":
        found["error.type"] = "cancelled"
    result = ended.result if ended.error is None else getattr(ended.error, "partial", None)
    for name in ("id", "model"):
        value = _member(result, name)
        if isinstance(value, str) and value:
            found[f"gen_ai.response.{name}"] = value
    if reasons := finish_reasons(result, is_cut=isinstance(ended.error, IncompleteStreamError)):
        found["gen_ai.response.finish_reasons"] = reasons
    first = ended.facts.timings.first_event
    if ended.call.streams and first is not None:
        found["gen_ai.response.time_to_first_chunk"] = first
    return found | usage_attributes(ended.usage)


def finish_reasons(result: Any, *, is_cut: bool) -> tuple[str, ...]:
    """Why each choice ended; `is_cut`: those without a reason ended by an error."""
    choices = _member(result, "choices")
    if isinstance(choices, list):
        reasons = [_member(choice, "finish_reason") for choice in choices]
    else:
        reasons = [_member(_member(result, "details"), "finish_reason") or _member(result, "stop_reason")]
    found = tuple(str(reason) if reason else "error" for reason in reasons if reason or is_cut)
    return found or (("error",) if is_cut else ())


def usage_attributes(usage: UsedTokens | None) -> Attributes:
    """The tokens that were used, as far as the server said."""
    if usage is None:
        return {}
    counts = {
        "gen_ai.usage.input_tokens": usage.input,
        "gen_ai.usage.output_tokens": usage.output,
        "gen_ai.usage.cache_read.input_tokens": usage.cached,
        "gen_ai.usage.cache_write.input_tokens": usage.cache_written,
        "gen_ai.usage.reasoning.output_tokens": usage.reasoning,
    }
    return {name: count for name, count in counts.items() if count is not None}


def _member(owner: Any, name: str) -> Any:
    return owner.get(name) if isinstance(owner, dict) else getattr(owner, name, None)
