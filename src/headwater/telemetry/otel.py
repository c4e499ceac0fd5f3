"""Calls as OpenTelemetry's spans and metrics: an observer that needs the API alone (the extra `otel`).

    invoke_agent                      a conversation
      chat model                      a call, with all of its retries, until its answer is read
        POST                          each request
        POST
      execute_tool name               a tool; what it calls is below it

By the conventions for generative AI: https://github.com/open-telemetry/semantic-conventions-genai
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextvars import Token
from typing import Any, Final, Literal, TypeAlias

try:
    from opentelemetry import context, metrics, propagate, trace
    from opentelemetry.context import Context
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "opentelemetry":
        raise
    raise ImportError('OpenTelemetryObserver needs opentelemetry-api: pip install "headwater[otel]"') from error

from .._version import __version__
from ..engine.observer import (
    AttemptBegun,
    AttemptEnded,
    BreakerMoved,
    CallBegun,
    CallEnded,
    ConversationBegun,
    ConversationEnded,
    FailedOver,
    FirstEvent,
    Hedged,
    ObservedCall,
    ObservedConversation,
    ObservedTool,
    ObserverEvent,
    ToolBegun,
    ToolEnded,
    WaitBegun,
)
from ..engine.used_tokens import UsedTokens
from ..errors import InvalidParameterError
from ..protocol.url import parse_url
from . import genai, messages

Names: TypeAlias = Literal["current", "old", "both"]

CAPTURE: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
"""https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/#capturing-instructions-inputs-and-outputs"""
CAPTURES: Final = frozenset({"true", "1", "span_only", "span_and_event"})
SUPPRESSED: Final = "suppress_instrumentation"
"""What OpenTelemetry's own instrumentations set in a context in which nothing is to be told."""
SECONDS: Final = tuple(0.01 * 2**power for power in range(14))
"""Boundaries of the histograms of seconds, by the conventions."""
TOKENS: Final = tuple(4**power for power in range(14))


class _Story:
    """The spans of one call. `attempts`: those of the requests that have not ended, by their numbers."""

    __slots__ = ("attempts", "attributes", "context", "span")

    def __init__(self, span: Span, attributes: genai.Attributes) -> None:
        self.span = span
        self.attributes = attributes
        self.context = trace.set_span_in_context(span)
        self.attempts: dict[int, Span] = {}

    def tell(self, attributes: genai.Attributes) -> None:
        """Have these on the call's span; those that it has already cost nothing more."""
        known = self.attributes
        news = {name: value for name, value in attributes.items() if known.get(name) != value}
        if news:
            known.update(news)
            self.span.set_attributes(news)


class OpenTelemetryObserver:
    """Tells OpenTelemetry of a client's calls: `AsyncInferenceClient(observer=OpenTelemetryObserver())`.

    A call is a span over all of its attempts, each of which is a span below it; a conversation, and each tool that it
    runs, is one around them. What is the current span where a call is made is its parent, also through the threads of
    a blocking client, in hedges and in maps. One observer may serve many clients.
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        capture_content: bool | None = None,
        propagate_to: Sequence[str] = (),
        names: Names = "current",
    ) -> None:
        """Make an observer.

        Args:
            tracer_provider: Whose spans; the process's own, where it is not given.
            meter_provider: Whose metrics; the process's own, where it is not given.
            capture_content: Whether messages, answers and a tool's arguments are told as well. Where it is not given,
                the environment's `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT` decides, and else nothing is.
            propagate_to: URLs of the servers, of the caller's own, that are sent the trace's context (`traceparent`);
                none else is.
            names: The names of metrics and attributes: "current" is what the conventions have now, "old" what they had
                before they moved to a repository of their own (`gen_ai.client.operation.duration`, `gen_ai.system`).

        Raises:
            InvalidParameterError: A URL is none, or `names` is.
        """
        if names not in ("current", "old", "both"):
            raise InvalidParameterError("names must be 'current', 'old' or 'both'")
        if isinstance(propagate_to, str):
            raise InvalidParameterError("propagate_to must be a list of URLs")
        self._origins = frozenset(parse_url(url).origin for url in propagate_to)
        self._captures = os.environ.get(CAPTURE, "").lower() in CAPTURES if capture_content is None else capture_content
        self._is_old = names != "current"
        self._tracer = trace.get_tracer("headwater", __version__, tracer_provider)
        self._instruments = Instruments(metrics.get_meter("headwater", __version__, meter_provider), names)
        self._calls: dict[ObservedCall, _Story] = {}
        self._around: dict[ObservedConversation | ObservedTool, Span] = {}
        self._tokens: dict[ObservedTool, Token[Context]] = {}
        self._acts: Final[dict[type[Any], Any]] = {
            CallBegun: self._call_begun,
            AttemptBegun: self._attempt_begun,
            AttemptEnded: self._attempt_ended,
            CallEnded: self._call_ended,
            ConversationBegun: self._conversation_begun,
            ConversationEnded: self._conversation_ended,
            ToolBegun: self._tool_begun,
            ToolEnded: self._tool_ended,
            WaitBegun: self._noted,
            FailedOver: self._noted,
            Hedged: self._noted,
            BreakerMoved: self._noted,
            FirstEvent: self._noted,
        }

    def __call__(self, event: ObserverEvent) -> None:
        """Take an event."""
        act = self._acts.get(type(event))
        if act is not None:
            act(event)

    # -- calls

    def _call_begun(self, event: CallBegun) -> None:
        if context.get_value(SUPPRESSED):
            return
        call = event.call
        attributes = genai.request_attributes(call)
        if self._captures:
            attributes |= _said(input=messages.input_messages(call), definitions=messages.tool_definitions(call))
        name = genai.span_name(str(attributes["gen_ai.operation.name"]), call.model)
        span = self._tracer.start_span(name, self._context_of(call.parent), SpanKind.CLIENT, self._in_words(attributes))
        self._calls[call] = _Story(span, dict(attributes))

    def _attempt_begun(self, event: AttemptBegun) -> None:
        story = self._calls.get(event.call)
        if story is None:
            return
        attributes = genai.attempt_attributes(event)
        span = self._tracer.start_span(event.method, story.context, SpanKind.CLIENT, attributes)
        story.attempts[event.number] = span
        if event.kind == "request":
            story.tell({name: attributes[name] for name in _SERVER if name in attributes})
        if event.origin in self._origins and event.kind == "request":
            propagate.inject(event.headers, trace.set_span_in_context(span))

    def _attempt_ended(self, event: AttemptEnded) -> None:
        story = self._calls.get(event.call)
        span = None if story is None else story.attempts.get(event.number)
        if story is None or span is None:
            return
        span.set_attributes(genai.answer_attributes(event))
        if event.attempt.error is not None:
            span.set_status(Status(StatusCode.ERROR, str(event.attempt.error)))
        if not event.reads_on:  # a stream's lasts until the call has ended
            span.end()
            del story.attempts[event.number]

    def _noted(self, event: WaitBegun | FailedOver | Hedged | BreakerMoved | FirstEvent) -> None:
        story = self._calls.get(event.call)
        if story is not None:
            name, attributes = _note(event)
            story.span.add_event(name, attributes)
        if isinstance(event, BreakerMoved):
            self._instruments.breakers.add(1, {"headwater.provider": event.provider, "headwater.state": event.state})
        elif isinstance(event, Hedged):
            self._instruments.hedges.add(1, {"headwater.provider": event.provider})

    def _call_ended(self, event: CallEnded) -> None:
        story = self._calls.pop(event.call, None)
        if story is None:
            return
        attributes = genai.response_attributes(event)
        is_read = story.attempts and event.error is not None
        for span in story.attempts.values():
            if is_read and event.error is not None:  # its answer began, and did not end
                span.set_attribute("error.type", genai.error_type(event.error))
                span.set_status(Status(StatusCode.ERROR, str(event.error)))
            span.end()
        if self._captures:
            attributes |= _said(output=messages.output_messages(event.result or getattr(event.error, "partial", None)))
        story.tell(self._in_words(attributes))
        if event.outcome == "error":
            story.span.set_status(Status(StatusCode.ERROR, str(event.error)))
        story.span.end()
        self._instruments.record(event, story.attributes)

    # -- conversations and their tools

    def _conversation_begun(self, event: ConversationBegun) -> None:
        of = event.conversation
        attributes: genai.Attributes = {"gen_ai.operation.name": "invoke_agent"}
        if of.model:
            attributes["gen_ai.request.model"] = of.model
        if self._captures:
            asked = ObservedCall(task="chat-completion", parameters={"messages": of.messages})
            attributes |= _said(input=messages.input_messages(asked))
        span = self._tracer.start_span("invoke_agent", self._context_of(of.parent), SpanKind.INTERNAL, attributes)
        self._around[of] = span

    def _conversation_ended(self, event: ConversationEnded) -> None:
        span = self._around.pop(event.conversation, None)
        if span is None:
            return
        span.set_attributes(genai.usage_attributes(event.usage))
        span.set_attributes({"headwater.outcome": event.outcome, "headwater.turns": event.turns})
        if event.error is not None:
            span.set_attribute("error.type", genai.error_type(event.error))
            span.set_status(Status(StatusCode.ERROR, str(event.error)))
        span.end()

    def _tool_begun(self, event: ToolBegun) -> None:
        tool = event.tool
        attributes: genai.Attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": tool.name,
            "gen_ai.tool.call.id": tool.id,
            "gen_ai.tool.type": "function",
        }
        if tool.description:
            attributes["gen_ai.tool.description"] = tool.description
        if self._captures:
            attributes["gen_ai.tool.call.arguments"] = messages.argument_text(tool.arguments)
        name = genai.span_name("execute_tool", tool.name)
        span = self._tracer.start_span(name, self._context_of(tool.parent), SpanKind.INTERNAL, attributes)
        self._around[tool] = span
        self._tokens[tool] = context.attach(trace.set_span_in_context(span))

    def _tool_ended(self, event: ToolEnded) -> None:
        span = self._around.pop(event.tool, None)
        if span is None:
            return
        context.detach(self._tokens.pop(event.tool))
        span.set_attribute("headwater.outcome", event.outcome)
        if self._captures:
            span.set_attribute("gen_ai.tool.call.result", event.content)
        if event.outcome != "returned":
            kind = event.outcome if event.error is None else genai.error_type(event.error)
            span.set_attribute("error.type", kind)
            span.set_status(Status(StatusCode.ERROR))
        span.end()

    def _context_of(self, parent: ObservedConversation | ObservedTool | None) -> Context | None:
        """The context below this; None for the current one, which below a tool is the tool's."""
        if not isinstance(parent, ObservedConversation):
            return None
        span = self._around.get(parent)
        return None if span is None else trace.set_span_in_context(span)

    def _in_words(self, attributes: genai.Attributes) -> genai.Attributes:
        """The attributes by the names that the user wants."""
        if not self._is_old:
            return attributes
        found = dict(attributes)
        for old, name in OLD_ATTRIBUTES.items():
            if name in found:
                found[old] = found[name]
        return found


OLD_ATTRIBUTES: Final = {
    "gen_ai.system": "gen_ai.provider.name",
    "gen_ai.usage.prompt_tokens": "gen_ai.usage.input_tokens",
    "gen_ai.usage.completion_tokens": "gen_ai.usage.output_tokens",
    "gen_ai.usage.cache_creation.input_tokens": "gen_ai.usage.cache_write.input_tokens",
}
"""Names that the conventions had, and those that they have."""
_SERVER: Final = ("server.address", "server.port")
_SHARED: Final = (
    "gen_ai.operation.name",
    "gen_ai.provider.name",
    "gen_ai.request.model",
    "gen_ai.response.model",
    *_SERVER,
)


class Instruments:
    """The metrics, by the names that the user wants. `hedges` and `breakers` are headwater's own."""

    def __init__(self, meter: metrics.Meter, names: Names) -> None:
        self._is_current, self._is_old = names != "old", names != "current"
        self._meter = meter
        self._made: dict[str, Any] = {}
        self.hedges = meter.create_counter("headwater.hedges", "{hedge}", "Second attempts beside slow first ones.")
        self.breakers = meter.create_counter("headwater.breaker.moves", "{move}", "Breakers that opened or closed.")

    def record(self, event: CallEnded, attributes: Mapping[str, Any]) -> None:
        """Count a call that has ended."""
        shared = {name: attributes[name] for name in _SHARED if name in attributes}
        failed = shared | ({"error.type": attributes["error.type"]} if "error.type" in attributes else {})
        operation = attributes["gen_ai.operation.name"]
        kind = "embeddings" if operation == "embeddings" else "inference"
        if self._is_current:
            self._seconds(f"gen_ai.client.{kind}.duration", event.seconds, failed)
            self._tokens(kind, event, shared, failed)
        if self._is_old:
            self._seconds("gen_ai.client.operation.duration", event.seconds, failed)
            used = event.usage or UsedTokens()
            for what, count in (("input", used.input), ("output", used.output)):
                if count is not None:
                    self._histogram("gen_ai.client.token.usage", count, {**shared, "gen_ai.token.type": what})
        self._chunks(event, shared)

    def _chunks(self, event: CallEnded, shared: dict[str, Any]) -> None:
        first = event.facts.timings.first_event
        if not event.call.streams or first is None:
            return
        places = ["gen_ai.client.inference"] * self._is_current + ["gen_ai.client.operation"] * self._is_old
        for place in places:
            self._seconds(f"{place}.time_to_first_chunk", first, shared)
            if event.events > 1:  # their mean: nobody looks at the clock for each
                self._seconds(f"{place}.time_per_output_chunk", (event.seconds - first) / (event.events - 1), shared)

    def _tokens(self, kind: str, event: CallEnded, shared: dict[str, Any], failed: dict[str, Any]) -> None:
        usage = event.usage
        if usage is None:
            return
        if usage.input is not None:
            self._histogram(f"gen_ai.client.{kind}.operation.input_tokens", usage.input, failed)
        if kind == "embeddings":
            return
        if usage.output is not None:
            self._histogram("gen_ai.client.inference.operation.output_tokens", usage.output, failed)
        counts = {
            "input_tokens": usage.input,
            "output_tokens": usage.output,
            "cache_read.input_tokens": usage.cached,
            "cache_write.input_tokens": usage.cache_written,
            "reasoning.output_tokens": usage.reasoning,
        }
        for name, count in counts.items():
            if count is not None:
                self._count(f"gen_ai.client.inference.usage.{name}", count, shared)

    def _seconds(self, name: str, seconds: float, attributes: Mapping[str, Any]) -> None:
        if name not in self._made:
            self._made[name] = self._meter.create_histogram(name, "s", explicit_bucket_boundaries_advisory=SECONDS)
        self._made[name].record(seconds, attributes)

    def _histogram(self, name: str, count: int, attributes: Mapping[str, Any]) -> None:
        if name not in self._made:
            self._made[name] = self._meter.create_histogram(name, "{token}", explicit_bucket_boundaries_advisory=TOKENS)
        self._made[name].record(count, attributes)

    def _count(self, name: str, count: int, shared: Mapping[str, Any]) -> None:
        if name not in self._made:
            self._made[name] = self._meter.create_counter(name, "{token}")
        self._made[name].add(count, {**shared, "gen_ai.token.modality": "unknown"})


def _said(**texts: str | None) -> genai.Attributes:
    """Content, as attributes."""
    names = {
        "input": "gen_ai.input.messages",
        "output": "gen_ai.output.messages",
        "definitions": "gen_ai.tool.definitions",
    }
    return {names[name]: text for name, text in texts.items() if text is not None}


def _note(event: Any) -> tuple[str, genai.Attributes]:
    """An event of a call's span."""
    match event:
        case WaitBegun(reason=reason, wait=wait, provider=provider, error=error):
            found: genai.Attributes = {"headwater.reason": reason, "headwater.provider": provider}
            found |= {} if wait is None else {"headwater.seconds": wait}
            found |= {} if error is None else {"error.type": genai.error_type(error)}
            return "headwater.wait", found
        case FailedOver(provider=provider, following=following, error=error):
            there = {"headwater.provider": provider, "headwater.following": following}
            return "headwater.failover", {**there, "error.type": genai.error_type(error)}
        case Hedged(provider=provider):
            return "headwater.hedge", {"headwater.provider": provider}
        case BreakerMoved(provider=provider, state=state, open_for=seconds):
            moved = {"headwater.provider": provider, "headwater.state": state}
            return "headwater.breaker", {**moved, "headwater.seconds": seconds}
        case _:
            return "headwater.first_event", {"headwater.provider": event.provider}
