"""Calls in the words of OpenTelemetry's conventions for generative AI, as values: no OpenTelemetry is needed here.

https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/client-inference.md
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias

from ..cost.usage import CountedTokens, token_count
from ..engine.observer import AttemptBegun, CallEnded, ObservedCall, ObservedTool
from ..errors import HeadwaterError, IncompleteStreamError, InferenceTimeoutError
from ..protocol.url import parse_url
from ..tasks.output import OpenOutput

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
FETCH: Final = "fetch_response"
"""What takes up a response by its id is called, whole or streamed: no model is asked, and no tokens are counted."""
INFERENCES: Final = frozenset({"chat", "text_completion"})
"""Operations whose tokens are counted, also where nobody said how many there were."""
TOLD_AROUND: Final = {
    "inference": "opentelemetry.genai.client.inference.context",
    "embeddings": "opentelemetry.genai.client.embedding.context",
}
"""What a context has, by the family of operations, in which a framework's instrumentation tells of the same call.
https://pypi.org/project/opentelemetry-util-genai/"""
VENDORS_NAMES: Final = {
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "google": "gcp.gemini",
    "mistral": "mistral_ai",
    "moonshot": "moonshot_ai",
    "xai": "x_ai",
}
"""The conventions' names of providers; any other is called what it is called here."""
Way: TypeAlias = Literal["input", "output"]
MODALITIES: Final = ("text", "image", "audio")
"""Of what tokens may be, by the conventions; any others are of no known modality."""
_CHAT_DETAILS: Final[tuple[tuple[Way, str], ...]] = (
    ("input", "prompt_tokens_details"),
    ("output", "completion_tokens_details"),
)
_DETAILS: Final[tuple[tuple[Way, str], ...]] = (("input", "input_tokens_details"), ("output", "output_tokens_details"))
_OPENAI_APIS: Final = {
    "chat-completion": "chat_completions",
    "responses": "responses",
    "fetch-response": "responses",
}
_NUMBERED: Final = re.compile(r" \(\d+\)\Z")
_OUTPUTS: Final = {
    "text-to-image": "image",
    "image-to-image": "image",
    "image-text-to-image": "image",
    "edit-image": "image",
    "text-to-speech": "speech",
}


def _whole(value: Any) -> int | None:
    return value if type(value) is int else None


def _double(value: Any) -> float | None:
    return float(value) if type(value) in (int, float) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _texts(value: Any) -> tuple[str, ...] | None:
    if isinstance(value, str):
        return (value,)
    return tuple(map(str, value)) if isinstance(value, list | tuple) and value else None


def _several(value: Any) -> int | None:
    return value if type(value) is int and value != 1 else None


def _form(value: Any) -> str | None:
    """`gen_ai.output.type`; the form of a sound or a transcript is a text, and none of the conventions'."""
    if value is None or isinstance(value, str):
        return None
    return "text" if _member(value, "type") in ("text", "regex") else "json"


def _within(owner: Any, name: str) -> Any:
    return owner.get(name) if isinstance(owner, Mapping) else None


def _modality(value: Any) -> str | None:
    named = value if isinstance(value, list | tuple) else ()
    return "speech" if "audio" in named else "image" if "image" in named else None


def _member(owner: Any, name: str) -> Any:
    return owner.get(name) if isinstance(owner, dict) else getattr(owner, name, None)


_GIVEN: Final[Mapping[str, tuple[str, Callable[[Any], AttributeValue | None]]]] = {
    **dict.fromkeys(
        ("max_tokens", "max_completion_tokens", "max_new_tokens", "max_output_tokens"),
        ("gen_ai.request.max_tokens", _whole),
    ),
    "seed": ("gen_ai.request.seed", _whole),
    **{
        name: (f"gen_ai.request.{name}", _double)
        for name in ("temperature", "top_p", "frequency_penalty", "presence_penalty")
    },
    **dict.fromkeys(("stop", "stop_sequences"), ("gen_ai.request.stop_sequences", _texts)),
    **dict.fromkeys(("response_format", "grammar", "text_format"), ("gen_ai.output.type", _form)),
    **dict.fromkeys(("text", "output_config"), ("gen_ai.output.type", lambda it: _form(_within(it, "format")))),
    "modalities": ("gen_ai.output.type", _modality),
    "n": ("gen_ai.request.choice.count", _several),
    "dimensions": ("gen_ai.embeddings.dimension.count", _whole),
    "encoding_format": ("gen_ai.request.encoding_formats", _texts),
    "previous_response_id": ("gen_ai.request.previous_response.id", _text),
    "conversation": ("gen_ai.conversation.id", lambda it: _text(it) or _text(_within(it, "id"))),
    "reasoning_effort": ("gen_ai.request.reasoning.level", _text),
    "reasoning": ("gen_ai.request.reasoning.level", lambda it: _text(_within(it, "effort"))),
    "prompt": ("gen_ai.prompt.name", lambda it: _text(_within(it, "id"))),
}
"""Parameters that have an attribute, and how its value is read; None where it is no such value."""
OF_CALLS_ALONE: Final = frozenset(
    {
        "gen_ai.prompt.name",
        "gen_ai.prompt.version",
        "gen_ai.request.previous_response.id",
        "gen_ai.request.reasoning.level",
        "gen_ai.request.top_k",
    }
)
"""What the conventions have for a call, and not for the conversation around it."""
_BESIDE: Final = (
    ("effort", "output_config", "gen_ai.request.reasoning.level"),
    ("version", "prompt", "gen_ai.prompt.version"),
)
"""Members of those that have a second one."""


class Operation:
    """What is asked of one model at one server, in the conventions' words. Calls alike share one, and nobody changes
    what it holds.

    `name` is `gen_ai.operation.name`, `server` what is known of the server, `first` what a span begins with: what a
    sampler may ask for. `family` is the family of metrics in which it is counted: "embeddings", "inference", or
    "operation", where no model is asked anything.
    """

    __slots__ = ("family", "first", "name", "provider", "server", "span_name")

    def __init__(self, task: str, model: str | None, provider: str, origin: str, *, asks: bool) -> None:
        self.name = OPERATIONS.get(task, task.replace("-", "_")) if asks or task != "responses" else FETCH
        model = None if self.name == FETCH else model
        self.span_name = span_name(self.name, model)
        self.provider = provider_name(provider) if provider else ""
        self.server = server_attributes(origin)
        self.first: Attributes = {"gen_ai.operation.name": self.name, "gen_ai.provider.name": self.provider}
        self.first |= self.server
        if model:
            self.first["gen_ai.request.model"] = model
        asks = asks and task != "count-tokens"
        self.family = "embeddings" if self.name == "embeddings" else "inference" if asks else "operation"


@lru_cache(maxsize=1000)
def _operation(task: str, model: str | None, provider: str, origin: str, asks: bool) -> Operation:
    return Operation(task, model, provider, origin, asks=asks)


def operation_of(call: ObservedCall, provider: str, origin: str) -> Operation:
    """The call's operation at a provider; `origin`: "" where it is not known. What has no parameters of a task asks
    after models, endpoints or answers."""
    return _operation(call.task, call.model, provider, origin, bool(call.parameters))


@lru_cache(maxsize=1000)
def point_attributes(operation: Operation, model: str | None) -> Attributes:
    """What a metric's point has, of an operation that this model has answered. Shared, as the operation is."""
    return operation.first if model is None else {**operation.first, "gen_ai.response.model": model}


def provider_name(name: str) -> str:
    """`gen_ai.provider.name`; a server of one's own is "url"."""
    plain = _NUMBERED.sub("", name)
    return "url" if "://" in plain else VENDORS_NAMES.get(plain, plain)


def span_name(operation: str, of: str | None) -> str:
    """The operation and what it is done with."""
    return f"{operation} {of}" if of else operation


def request_attributes(call: ObservedCall) -> Attributes:
    """What the call asks for."""
    found = given_attributes(call)
    found["headwater.task"] = call.task
    if call.streams:
        found["gen_ai.request.stream"] = True
    return found


def given_attributes(call: ObservedCall) -> Attributes:
    """What its parameters say."""
    found: Attributes = {}
    if (output := _OUTPUTS.get(call.task)) is not None:
        found["gen_ai.output.type"] = output
    given = call.parameters
    for name, value in given.items():
        if (known := _GIVEN.get(name)) is not None and (said := known[1](value)) is not None:
            found.setdefault(known[0], said)
    if OPERATIONS.get(call.task) in INFERENCES:
        for name, owner, attribute in _BESIDE:
            if owner in given and (said := _text(_within(given[owner], name))) is not None:
                found[attribute] = said
        if (top := _whole(given.get("top_k"))) is not None:  # of other tasks it says how much is answered
            found["gen_ai.request.top_k"] = top
    return found


def server_attributes(origin: str) -> Attributes:
    """Where a request goes."""
    try:
        url = parse_url(origin)
    except HeadwaterError:
        return {}
    return {"server.address": url.host, "server.port": url.port}


def attempt_attributes(begun: AttemptBegun, server: Attributes) -> Attributes:
    """What is known when a request is sent to this server, in the words for HTTP clients.

    https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-client-span
    """
    found: Attributes = {
        "http.request.method": begun.method,
        "url.full": begun.url,
        "headwater.provider": begun.provider,
        **server,
    }
    if begun.kind != "request":
        found["headwater.request.kind"] = begun.kind
    if begun.number > 1:
        found["http.request.resend_count"] = begun.number - 1
    if begun.hedged:
        found["headwater.hedged"] = True
    return found


def tool_attributes(tool: ObservedTool) -> Attributes:
    """What a tool is, in its span and in metrics."""
    return {"gen_ai.tool.name": tool.name, "gen_ai.tool.type": "function"}


def error_type(error: BaseException) -> str:
    """`error.type`: an HTTP status, "timeout", or the name of the error's class."""
    if isinstance(error, InferenceTimeoutError):
        return "timeout"
    status = getattr(error, "status", None)
    return str(status) if isinstance(status, int) and status >= 400 else type(error).__qualname__


class Answered:
    """What came of a call, read once.

    `came` is the result, or what there is of it, `model` the one that has answered, as the server said, `failure` the
    `error.type`, None where the call did not fail, and `modal` how many of the tokens were of a text, an image or a
    sound, where the server said it.
    """

    __slots__ = ("came", "failure", "modal", "model", "usage")

    def __init__(self, ended: CallEnded) -> None:
        error = ended.error
        self.came: Any = ended.result if error is None else getattr(error, "partial", None)
        self.failure: str | None = "cancelled" if ended.outcome == "cancelled" else None
        if error is not None:
            self.failure = error_type(error)
        self.model = _text(_member(self.came, "model")) or None
        self.usage = ended.usage
        self.modal = {} if self.usage is None else _by_modality(_member(self.came, "usage"))


def _by_modality(usage: Any) -> dict[tuple[Way, str], int]:
    is_chat = _member(usage, "prompt_tokens") is not None
    found: dict[tuple[Way, str], int] = {}
    for way, name in _CHAT_DETAILS if is_chat else _DETAILS:
        if isinstance(details := _member(usage, name), dict):
            for modality in MODALITIES:
                if count := token_count(details.get(f"{modality}_tokens")):
                    found[way, modality] = count
    return found


def response_attributes(ended: CallEnded, operation: Operation, answered: Answered) -> Attributes:
    """What is known when a call has ended."""
    facts, came = ended.facts, answered.came
    found: Attributes = {"headwater.outcome": ended.outcome, "headwater.provider": facts.provider}
    if answered.failure is not None:
        found["error.type"] = answered.failure
    if facts.cached:
        found["headwater.cached"] = True
    if facts.cost is not None:
        found["headwater.cost"] = facts.cost.usd
    if (id_ := _text(_member(came, "id"))) is not None and id_:
        found["gen_ai.response.id"] = id_
    if answered.model is not None:
        found["gen_ai.response.model"] = answered.model
    is_cut = operation.name in INFERENCES and (isinstance(ended.error, IncompleteStreamError) or _is_left(ended))
    if reasons := finish_reasons(came, is_cut=is_cut):
        found["gen_ai.response.finish_reasons"] = reasons
    if operation.name == FETCH and (status := _text(_member(came, "status"))) is not None:
        found["gen_ai.response.status"] = status
    if ended.call.streams and facts.timings.first_event is not None:
        found["gen_ai.response.time_to_first_chunk"] = facts.timings.first_event
    if operation.family == "inference":
        for (way, modality), count in answered.modal.items():
            found[f"gen_ai.usage.{modality}.{way}_tokens"] = count
    if operation.provider == "openai" and (operation.name in INFERENCES or operation.name == FETCH):
        found |= _openai_attributes(ended, came)
    return found


def _beyond(came: Any) -> Mapping[str, Any]:
    """What the server sent that no field of the result holds."""
    return came.undeclared() if isinstance(came, OpenOutput) else {}


def _is_left(ended: CallEnded) -> bool:
    """Whether an answer has begun of which the rest will not come."""
    return ended.outcome != "success" and ended.events > 0


def _openai_attributes(ended: CallEnded, came: Any) -> Attributes:
    """What of OpenAI's own is told of calls to it alone.

    https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/openai.md
    """
    found: Attributes = {}
    if (api := _OPENAI_APIS.get(ended.call.task)) is not None:
        found["openai.api.type"] = api
    if (tier := _text(ended.call.parameters.get("service_tier"))) is not None and tier != "auto":
        found["openai.request.service_tier"] = tier
    for name in ("service_tier", "system_fingerprint"):
        if (said := _text(_member(came, name) or _beyond(came).get(name))) is not None:
            found[f"openai.response.{name}"] = said
    return found


def finish_reasons(came: Any, *, is_cut: bool) -> tuple[str, ...]:
    """Why each choice ended; `is_cut`: those without a reason ended by an error."""
    choices = _member(came, "choices")
    if isinstance(choices, list):
        if len(choices) == 1 and (only := _text(_member(choices[0], "finish_reason"))):
            return (only,)
        reasons = [_member(choice, "finish_reason") for choice in choices]
    elif isinstance(_member(came, "output"), list):
        reasons = [_response_reason(came)]
    else:
        reasons = [_member(_member(came, "details"), "finish_reason") or _member(came, "stop_reason")]
    found = tuple([str(reason) if reason else "error" for reason in reasons if reason or is_cut])
    return found or (("error",) if is_cut else ())


def last_reason(conversation: Any) -> str | None:
    """Why the last turn of a conversation ended."""
    turns = _member(conversation, "turns")
    return _text(_member(turns[-1], "finish_reason")) if turns else None


def _response_reason(response: Any) -> str | None:
    """Why a response of OpenAI's ended, from its status; None where it has not."""
    status = _text(_member(response, "status"))
    if status == "incomplete":
        reason = _text(_member(_member(response, "incomplete_details"), "reason"))
        return "length" if reason == "max_output_tokens" else reason
    return None if status is None else {"completed": "stop", "failed": "error", "cancelled": "error"}.get(status)


def usage_attributes(usage: CountedTokens | None, operation: str) -> Attributes:
    """The tokens that were used, as far as the server said; of embeddings and conversations fewer kinds are told."""
    if usage is None or operation == FETCH:
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
