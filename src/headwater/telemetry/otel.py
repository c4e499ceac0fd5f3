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
from collections.abc import Iterable, Mapping, Sequence
from contextvars import Token
from itertools import count as numbers
from threading import Lock
from time import monotonic, time_ns
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
from ..cost.usage import CountedTokens
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
"""Those of tokens."""
_CALLS: Final = tuple(2**power for power in range(8))
"""Those of the calls of a conversation."""
_CONVERSATIONS: Final = tuple(0.1 * 2**power for power in range(13))
"""Those of a conversation's seconds."""


_PLAIN: Final = context.set_value("headwater", True, Context())
"""A context without a span, for points of metrics that want no exemplar."""


class _Whole:
    """The span of a conversation or a tool."""

    __slots__ = ("began", "span")

    def __init__(self, span: Span) -> None:
        self.span = span
        self.began = monotonic()

    def end(self, failure: str | None, message: str | None) -> float:
        """End it; the seconds that it took. `failure`: its `error.type`."""
        if failure is not None:
            self.span.set_attribute("error.type", failure)
            self.span.set_status(Status(StatusCode.ERROR, message))
        self.span.end()
        return monotonic() - self.began


class _Story:
    """One call. Its span begins with its first request, whose server a sampler may ask for, as of the call's beginning.

    `around`: the context in which the call was made; `context` has its span. `server`: where the last request went, and
    `is_moved`, whether that is elsewhere than the span began with. `attempts`: the spans of the requests that have not
    ended, by their numbers. `asked`: what the call asks for, where that has to be read at once.
    """

    __slots__ = (
        "around",
        "asked",
        "attempts",
        "began",
        "call",
        "context",
        "is_begun",
        "is_moved",
        "is_told",
        "operation",
        "provider",
        "server",
        "span",
    )
    span: Span
    context: Context

    def __init__(self, call: ObservedCall, around: Context) -> None:
        self.call, self.around = call, around
        self.began = time_ns()
        self.operation = genai.operation_of(call.task)
        self.provider = genai.provider_name(call.providers[0]) if call.providers else ""
        self.server: genai.Attributes = {}
        self.asked: genai.Attributes = {}
        self.attempts: dict[int, Span] = {}
        self.is_begun = self.is_moved = self.is_told = False

    def move(self, begun: AttemptBegun) -> None:
        """Note whom a request is sent to."""
        server = genai.server_attributes(begun.origin)
        if server != self.server:
            self.server, self.is_moved = server, self.is_begun
        self.provider = genai.provider_name(begun.provider)


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
        self._around: dict[ObservedConversation | ObservedTool, _Whole] = {}
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
        around = self._context_of(event.call.parent) or context.get_current()
        if context.get_value(SUPPRESSED, around):
            return
        story = self._calls[event.call] = _Story(event.call, around)
        if self._captures:
            asked, tools = messages.input_messages(event.call), messages.tool_definitions(event.call)
            story.asked = _said(input=asked, definitions=tools, system=messages.instructions(event.call))

    def _begin(self, story: _Story) -> None:
        """Begin the call's span."""
        first = genai.first_attributes(story.call, story.operation, story.provider, story.server)
        name = genai.span_name(story.operation, story.call.model)
        first = self._in_words(first)
        story.span = self._tracer.start_span(name, story.around, SpanKind.CLIENT, first, start_time=story.began)
        story.context = trace.set_span_in_context(story.span, story.around)
        story.is_told, story.is_begun = story.span.is_recording(), True

    def _attempt_begun(self, event: AttemptBegun) -> None:
        story = self._calls.get(event.call)
        if story is None:
            return
        is_request = event.kind == "request"
        if is_request:
            story.move(event)
        if not story.is_begun:
            self._begin(story)
        there = story.context
        if story.is_told:
            span = self._tracer.start_span(event.method, there, SpanKind.CLIENT, genai.attempt_attributes(event))
            story.attempts[event.number] = span
            there = trace.set_span_in_context(span, there)
        if is_request and event.origin in self._origins:
            propagate.inject(event.headers, there)

    def _attempt_ended(self, event: AttemptEnded) -> None:
        story = self._calls.get(event.call)
        span = None if story is None else story.attempts.get(event.number)
        if story is None or span is None:
            return
        if found := genai.answer_attributes(event):
            span.set_attributes(found)
        if event.attempt.error is not None:
            span.set_status(Status(StatusCode.ERROR, str(event.attempt.error)))
        if not event.reads_on:  # a stream's lasts until the call has ended
            span.end()
            del story.attempts[event.number]

    def _noted(self, event: WaitBegun | FailedOver | Hedged | BreakerMoved | FirstEvent) -> None:
        story = self._calls.get(event.call)
        if story is not None:
            if not story.is_begun:
                self._begin(story)
            if story.is_told:
                story.span.add_event(*_note(event))
        if isinstance(event, BreakerMoved):
            self._instruments.move_breaker(event)
        elif isinstance(event, Hedged):
            self._instruments.hedge(event)

    def _call_ended(self, event: CallEnded) -> None:
        story = self._calls.pop(event.call, None)
        if story is None:
            return
        if event.facts.provider:
            story.provider = genai.provider_name(event.facts.provider)
        if not story.is_begun:
            self._begin(story)
        is_counted = self._instruments.are_read
        usage = event.usage if is_counted or story.is_told else None
        if story.is_told:
            self._tell_of_end(story, event, usage)
        story.span.end()
        if is_counted:
            self._instruments.record(event, story.operation, story.provider, story.server, usage, story.context)

    def _tell_of_end(self, story: _Story, event: CallEnded, usage: CountedTokens | None) -> None:
        """Have all that is known on the call's span, and end what is below it."""
        found = genai.request_attributes(event.call) | genai.response_attributes(event) | story.asked
        found |= genai.usage_attributes(usage, story.operation)
        if story.is_moved:
            found |= {"gen_ai.provider.name": story.provider, **story.server}
        if self._captures:
            found |= _said(output=messages.output_messages(genai.came_of(event)))
        story.span.set_attributes(self._in_words(found))
        if event.outcome == "error":
            story.span.set_status(Status(StatusCode.ERROR, str(event.error)))
        for span in story.attempts.values():
            if event.error is not None:  # its answer began, and did not end
                span.set_attribute("error.type", genai.error_type(event.error))
                span.set_status(Status(StatusCode.ERROR, str(event.error)))
            span.end()

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
        self._around[of] = _Whole(span)

    def _conversation_ended(self, event: ConversationEnded) -> None:
        whole = self._around.pop(event.conversation, None)
        if whole is None:
            return
        found = genai.usage_attributes(event.usage, "invoke_agent")
        whole.span.set_attributes({**found, "headwater.outcome": event.outcome, "headwater.turns": event.turns})
        failure = None if event.error is None else genai.error_type(event.error)
        seconds = whole.end(failure, str(event.error))
        self._instruments.record_conversation(event, seconds, failure)

    def _tool_begun(self, event: ToolBegun) -> None:
        tool = event.tool
        attributes = genai.tool_attributes(tool)
        attributes["gen_ai.tool.call.id"] = tool.id
        if tool.description:
            attributes["gen_ai.tool.description"] = tool.description
        if self._captures:
            attributes["gen_ai.tool.call.arguments"] = messages.argument_text(tool.arguments)
        name = genai.span_name("execute_tool", tool.name)
        span = self._tracer.start_span(name, self._context_of(tool.parent), SpanKind.INTERNAL, attributes)
        self._around[tool] = _Whole(span)
        self._tokens[tool] = context.attach(trace.set_span_in_context(span))

    def _tool_ended(self, event: ToolEnded) -> None:
        whole = self._around.pop(event.tool, None)
        if whole is None:
            return
        context.detach(self._tokens.pop(event.tool))
        whole.span.set_attribute("headwater.outcome", event.outcome)
        if self._captures:
            whole.span.set_attribute("gen_ai.tool.call.result", event.content)
        failure = None
        if event.outcome != "returned":
            failure = event.outcome if event.error is None else genai.error_type(event.error)
        seconds = whole.end(failure, None)
        self._instruments.record_tool(event.tool, seconds, failure)

    def _context_of(self, parent: ObservedConversation | ObservedTool | None) -> Context | None:
        """The context below this; None for the current one, which below a tool is the tool's."""
        if not isinstance(parent, ObservedConversation):
            return None
        whole = self._around.get(parent)
        return None if whole is None else trace.set_span_in_context(whole.span)

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
_NUMBERS: Final = numbers()
"""Of the instruments that hand sums over: of two of one name the SDK would ask the first alone."""
_RECORDED: Final[Mapping[str, tuple[str, str, tuple[float, ...]]]] = {
    "seconds": ("s", "How long it took.", SECONDS),
    "tokens": ("{token}", "Tokens of each call.", TOKENS),
    "conversation": ("s", "How long it took.", _CONVERSATIONS),
    "turns": ("{inference_call}", "Calls of a model in a conversation.", _CALLS),
    "tools": ("{tool_call}", "Calls of tools in a conversation.", _CALLS),
}


class Instruments:
    """The metrics, by the names that the user wants. `are_read`: whether anybody takes them.

    A point costs with the SDK about a fifth of what a call itself does. Counters want sums, and those of tokens are
    made here until metrics are collected: an instrument that never has anything to say is asked first.
    """

    def __init__(self, meter: metrics.Meter, names: Names) -> None:
        self._is_current, self._is_old = names != "old", names != "current"
        self._meter = meter
        self._made: dict[str, Any] = {}
        self._sums: dict[tuple[str, tuple[tuple[str, genai.AttributeValue], ...]], int] = {}
        self._lock = Lock()
        self.are_read = not isinstance(meter, metrics.NoOpMeter)
        meter.create_observable_gauge(f"headwater.sums.{next(_NUMBERS)}", [self._hand_over])

    def _hand_over(self, options: metrics.CallbackOptions) -> Iterable[metrics.Observation]:
        """Have the SDK know of all that was counted."""
        with self._lock:
            sums, self._sums = self._sums, {}
        for (name, attributes), count in sums.items():
            self._count(name, "{token}", count, dict(attributes))
        return ()

    def _sum(self, name: str, count: int, attributes: genai.Attributes) -> None:
        key = name, tuple(attributes.items())
        with self._lock:
            self._sums[key] = self._sums.get(key, 0) + count

    def record(
        self,
        event: CallEnded,
        operation: str,
        provider: str,
        server: genai.Attributes,
        usage: CountedTokens | None,
        there: Context,
    ) -> None:
        """Count a call that has ended; its seconds are an example from the trace that is `there`."""
        shared = genai.first_attributes(event.call, operation, provider, server)
        if (model := genai.answering_model(event)) is not None:
            shared["gen_ai.response.model"] = model
        failure = genai.ended_error_type(event)
        failed = shared if failure is None else {**shared, "error.type": failure}
        family = genai.family_of(event.call, operation)
        if self._is_current:
            self._record("seconds", f"gen_ai.client.{family}.duration", event.seconds, failed, there)
            self._count_tokens(operation, usage, shared, failed)
        if self._is_old:
            if family != "operation" or not self._is_current:
                self._record("seconds", "gen_ai.client.operation.duration", event.seconds, failed, there)
            for what, count in () if usage is None else (("input", usage.input), ("output", usage.output)):
                if count is not None:
                    of_kind = {**shared, "gen_ai.token.type": what}
                    self._record("tokens", "gen_ai.client.token.usage", count, of_kind)
        if event.call.streams and event.facts.timings.first_event is not None:
            self._record_chunks(event, event.facts.timings.first_event, shared)

    def _record_chunks(self, event: CallEnded, first: float, shared: genai.Attributes) -> None:
        places = ["gen_ai.client.inference"] * self._is_current + ["gen_ai.client.operation"] * self._is_old
        for place in places:
            self._record("seconds", f"{place}.time_to_first_chunk", first, shared)
            if event.events > 1:  # their mean: nobody looks at the clock for each
                mean = (event.seconds - first) / (event.events - 1)
                self._record("seconds", f"{place}.time_per_output_chunk", mean, shared)

    def _count_tokens(
        self, operation: str, usage: CountedTokens | None, shared: genai.Attributes, failed: genai.Attributes
    ) -> None:
        """A chat or a completion counts what goes in and out also where nobody said: as none."""
        if operation == "embeddings":
            if usage is not None and usage.input is not None:
                self._record("tokens", "gen_ai.client.embeddings.operation.input_tokens", usage.input, failed)
            return
        into, out = (None, None) if usage is None else (usage.input, usage.output)
        if operation in genai.INFERENCES:
            into, out = into or 0, out or 0
        elif usage is None or operation == "fetch_response":
            return
        shared = {**shared, "gen_ai.token.modality": "unknown"}
        for name, count in (("input_tokens", into), ("output_tokens", out)):
            if count is not None:
                self._sum(f"gen_ai.client.inference.usage.{name}", count, shared)
                self._record("tokens", f"gen_ai.client.inference.operation.{name}", count, failed)
        if usage is not None:
            parts = {
                "cache_read.input_tokens": usage.cached,
                "cache_write.input_tokens": usage.cache_write,
                "reasoning.output_tokens": usage.reasoning,
            }
            for name, part in parts.items():
                if part is not None:
                    self._sum(f"gen_ai.client.inference.usage.{name}", part, shared)

    def record_conversation(self, event: ConversationEnded, seconds: float, failure: str | None) -> None:
        """Count a conversation that has ended."""
        if self.are_read:
            shared: genai.Attributes = {"gen_ai.operation.name": "invoke_agent"}
            if event.conversation.model:
                shared["gen_ai.request.model"] = event.conversation.model
            failed = shared if failure is None else {**shared, "error.type": failure}
            self._record("conversation", "gen_ai.invoke_agent.duration", seconds, failed)
            tools = sum(len(turn.returned) for turn in getattr(event.result, "turns", ()))
            self._record("turns", "gen_ai.invoke_agent.inference_calls", event.turns, failed)
            self._record("tools", "gen_ai.invoke_agent.tool_calls", tools, failed)

    def record_tool(self, tool: ObservedTool, seconds: float, failure: str | None) -> None:
        """Count a tool that has ended."""
        if self.are_read:
            shared = genai.tool_attributes(tool)
            failed = shared if failure is None else {**shared, "error.type": failure}
            self._record("seconds", "gen_ai.execute_tool.duration", seconds, failed)

    def hedge(self, event: Hedged) -> None:
        """Count a second attempt."""
        self._count("headwater.hedges", "{hedge}", 1, {"headwater.provider": event.provider})

    def move_breaker(self, event: BreakerMoved) -> None:
        """Count a breaker that has moved."""
        where: genai.Attributes = {"headwater.provider": event.provider, "headwater.state": event.state}
        self._count("headwater.breaker.moves", "{move}", 1, where)

    def _record(
        self, what: str, name: str, amount: float, attributes: genai.Attributes, there: Context = _PLAIN
    ) -> None:
        made = self._made.get(name)
        if made is None:
            unit, text, bounds = _RECORDED[what]
            made = self._meter.create_histogram(name, unit, text, explicit_bucket_boundaries_advisory=bounds)
            self._made[name] = made
        made.record(amount, attributes, there)

    def _count(self, name: str, unit: str, count: int, attributes: genai.Attributes) -> None:
        made = self._made.get(name)
        if made is None:
            made = self._made[name] = self._meter.create_counter(name, unit)
        made.add(count, attributes, _PLAIN)


def _said(**texts: str | None) -> genai.Attributes:
    """Content, as attributes."""
    names = {
        "input": "gen_ai.input.messages",
        "output": "gen_ai.output.messages",
        "definitions": "gen_ai.tool.definitions",
        "system": "gen_ai.system_instructions",
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
