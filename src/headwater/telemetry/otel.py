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
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import Token
from functools import partial
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

from .. import __version__
from ..cost.usage import NOT_COUNTED
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
    outline_of,
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

    `around`: the context in which the call was made; `context` has its span. `operation` is what is asked of whoever
    was asked last, `first` what the span began with, `others` what was asked of whom, by their names. `attempts`: the
    spans of the requests that have not ended, by their numbers. `asked`: what the call asks for, where that has to be
    read at once.
    """

    __slots__ = (
        "around",
        "asked",
        "attempts",
        "began",
        "call",
        "context",
        "first",
        "is_told",
        "operation",
        "others",
        "span",
    )
    span: Span
    context: Context
    operation: genai.Operation

    def __init__(self, call: ObservedCall, around: Context) -> None:
        self.call, self.around = call, around
        self.began = time_ns()
        self.first: genai.Operation | None = None
        self.others: dict[str, genai.Operation] = {}
        self.asked: genai.Attributes = {}
        self.attempts: dict[int, Span] = {}
        self.is_told = False

    def ask(self, provider: str, origin: str) -> genai.Operation:
        """Note whom a request is sent to."""
        self.operation = self.others[provider] = genai.operation_of(self.call, provider, origin)
        return self.operation


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
        token_histograms: bool = True,
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
            token_histograms: Whether it is told how many tokens each call took (`gen_ai.client.inference.operation.*`)
                beside their sums, which cost next to nothing.

        Raises:
            InvalidParameterError: A URL is none, or `names` is.
        """
        if names not in ("current", "old", "both"):
            raise InvalidParameterError("names must be 'current', 'old' or 'both'")
        if isinstance(propagate_to, str):
            raise InvalidParameterError("propagate_to must be a list of URLs")
        self._origins = frozenset(parse_url(url).origin for url in propagate_to)
        asked = os.environ.get(CAPTURE, "").strip().lower() in CAPTURES
        self._captures = asked if capture_content is None else capture_content
        self._is_old = names != "current"
        self._tracer = trace.get_tracer("headwater", __version__, tracer_provider)
        self._instruments = Instruments(
            metrics.get_meter("headwater", __version__, meter_provider),
            meter_provider,
            names,
            token_histograms=token_histograms,
        )
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
        told = genai.TOLD_AROUND.get(genai.operation_of(event.call, "", "").family)
        if context.get_value(SUPPRESSED, around) or (told is not None and context.get_value(told, around) is not None):
            return
        story = self._calls[event.call] = _Story(event.call, around)
        if self._captures and genai.OPERATIONS.get(event.call.task) != "embeddings":
            asked, tools = messages.input_messages(event.call), messages.tool_definitions(event.call)
            story.asked = _said(input=asked, definitions=tools, system=messages.instructions(event.call))

    def _begin(self, story: _Story, provider: str | None = None) -> None:
        """Begin the call's span; `provider`: who has answered, where nobody was asked."""
        if not story.others:
            of = provider or next(iter(story.call.providers), "")
            story.operation = genai.operation_of(story.call, of, "")
        story.first = operation = story.operation
        first = self._in_words(dict(operation.first))
        story.span = self._tracer.start_span(
            operation.span_name, story.around, SpanKind.CLIENT, first, start_time=story.began
        )
        story.context = trace.set_span_in_context(story.span, story.around)
        story.is_told = story.span.is_recording()

    def _attempt_begun(self, event: AttemptBegun) -> None:
        story, is_request = self._calls.get(event.call), event.kind == "request"
        if story is None:  # another tells of it, and its trace goes on at the server
            if is_request and event.origin in self._origins and not context.get_value(SUPPRESSED):
                propagate.inject(event.headers)
            return
        server = story.ask(event.provider, event.origin).server if is_request else genai.server_attributes(event.origin)
        if story.first is None:
            self._begin(story)
        there = story.context
        if story.is_told:
            told = genai.attempt_attributes(event, server)
            span = story.attempts[event.number] = self._tracer.start_span(event.method, there, SpanKind.CLIENT, told)
            if is_request and event.origin in self._origins:
                propagate.inject(event.headers, trace.set_span_in_context(span, there))
        elif is_request and event.origin in self._origins:
            propagate.inject(event.headers, there)

    def _attempt_ended(self, event: AttemptEnded) -> None:
        story = self._calls.get(event.call)
        span = None if story is None else story.attempts.get(event.number)
        if story is None or span is None:
            return
        if event.status is not None:
            span.set_attribute("http.response.status_code", event.status)
        if (error := event.attempt.error) is not None:
            span.set_attribute("error.type", genai.error_type(error))
            span.set_status(Status(StatusCode.ERROR, outline_of(error)))
        elif event.attempt.cancelled:
            span.set_attribute("headwater.cancelled", True)
        if not event.reads_on:  # a stream's lasts until the call has ended
            span.end()
            del story.attempts[event.number]

    def _noted(self, event: WaitBegun | FailedOver | Hedged | BreakerMoved | FirstEvent) -> None:
        story = self._calls.get(event.call)
        if story is not None:
            if story.first is None:
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
        if story.first is None:
            self._begin(story, event.facts.provider)
        operation = story.others.get(event.facts.provider, story.operation)
        is_counted = self._instruments.are_read
        answered = genai.Answered(event) if is_counted or story.is_told else None
        if story.is_told and answered is not None:
            self._tell_of_end(story, event, operation, answered)
        story.span.end()
        if is_counted and answered is not None:
            self._instruments.record(event, operation, answered, story.context)

    def _tell_of_end(
        self, story: _Story, event: CallEnded, operation: genai.Operation, answered: genai.Answered
    ) -> None:
        """Have all that is known on the call's span, and end what is below it."""
        found = genai.request_attributes(event.call)
        found |= genai.response_attributes(event, operation, answered)
        found |= genai.usage_attributes(answered.usage, operation.name)
        if operation is not story.first:  # elsewhere than the span began with
            found |= {"gen_ai.provider.name": operation.provider, **operation.server}
        if self._captures:
            found |= story.asked
            found |= _said(output=messages.output_messages(answered.came, is_old=self._is_old))
        story.span.set_attributes(self._in_words(found))
        if event.outcome == "error":
            story.span.set_status(Status(StatusCode.ERROR, outline_of(event.error)))
        for span in story.attempts.values():
            if event.error is not None:  # its answer began, and did not end
                span.set_attribute("error.type", genai.error_type(event.error))
                span.set_status(Status(StatusCode.ERROR, outline_of(event.error)))
            span.end()

    # -- conversations and their tools

    def _conversation_begun(self, event: ConversationBegun) -> None:
        of = event.conversation
        asked = ObservedCall(task="chat-completion", parameters={**of.parameters, "messages": of.messages})
        given = genai.given_attributes(asked)
        attributes = {name: value for name, value in given.items() if name not in genai.OF_CALLS_ALONE}
        attributes["gen_ai.operation.name"] = "invoke_agent"
        if of.model:
            attributes["gen_ai.request.model"] = of.model
        if self._captures:
            attributes |= _said(input=messages.input_messages(asked), definitions=messages.tool_names(of.tools))
        span = self._tracer.start_span("invoke_agent", self._context_of(of.parent), SpanKind.INTERNAL, attributes)
        self._around[of] = _Whole(span)

    def _conversation_ended(self, event: ConversationEnded) -> None:
        whole = self._around.pop(event.conversation, None)
        if whole is None:
            return
        found = genai.usage_attributes(event.usage, "invoke_agent")
        found |= {"headwater.outcome": event.outcome, "headwater.turns": event.turns}
        if (reason := genai.last_reason(event.result)) is not None:
            found["gen_ai.response.finish_reasons"] = (reason,)
        if self._captures:
            found |= _said(output=messages.last_message(getattr(event.result, "message", None)))
        whole.span.set_attributes(self._in_words(found))
        failure = None if event.error is None else genai.error_type(event.error)
        seconds = whole.end(failure, outline_of(event.error))
        self._instruments.record_conversation(event, seconds, failure)

    def _tool_begun(self, event: ToolBegun) -> None:
        tool = event.tool
        attributes = {"gen_ai.operation.name": "execute_tool", **genai.tool_attributes(tool)}
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
        if self._captures and event.outcome == "returned":
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
_COUNTED: Final = (
    "input_tokens",
    "output_tokens",
    "cache_read.input_tokens",
    "cache_write.input_tokens",
    "reasoning.output_tokens",
)
"""Kinds of tokens, each with its counter."""
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
    """The metrics, by the names that the user wants.

    A point costs with the SDK a good part of what a call itself does. Counters want sums, and those of tokens are made
    here until metrics are collected: an instrument that never has anything to say is asked first.
    """

    def __init__(
        self, meter: metrics.Meter, provider: MeterProvider | None, names: Names, *, token_histograms: bool
    ) -> None:
        self._tells_each = token_histograms
        self._is_current, self._is_old = names != "old", names != "current"
        self._meter = meter
        self._made: dict[str, Any] = {}
        self._sums: dict[tuple[genai.Operation, str | None, str], list[int]] = {}
        self._lock = Lock()
        self._is_read = not isinstance(meter, metrics.NoOpMeter)
        self._proxy = metrics.get_meter_provider() if provider is None and self._is_read else None
        if not type(self._proxy).__module__.startswith("opentelemetry.metrics"):
            self._proxy = None  # an implementation is there
        meter.create_observable_gauge(f"headwater.sums.{next(_NUMBERS)}", [self._hand_over])

    @property
    def are_read(self) -> bool:
        """Whether anybody takes them. Without an SDK the API's own provider is there, until one is set."""
        if self._proxy is not None and metrics.get_meter_provider() is not self._proxy:
            self._proxy = None
        return self._is_read and self._proxy is None

    def _hand_over(self, options: metrics.CallbackOptions) -> Iterable[metrics.Observation]:
        """Have the SDK know of all that was counted."""
        with self._lock:
            sums, self._sums = self._sums, {}
        for (operation, model, modality), counts in sums.items():
            attributes = {**genai.point_attributes(operation, model), "gen_ai.token.modality": modality}
            for name, count in zip(_COUNTED, counts, strict=True):
                if count > 0 or modality == "unknown":
                    self._count(f"gen_ai.client.inference.usage.{name}", "{token}", max(0, count), attributes)
        return ()

    def record(self, event: CallEnded, operation: genai.Operation, answered: genai.Answered, there: Context) -> None:
        """Count a call that has ended; its seconds are an example from the trace that is `there`."""
        shared, usage = genai.point_attributes(operation, answered.model), answered.usage
        failed = shared if answered.failure is None else {**shared, "error.type": answered.failure}
        family = operation.family
        if self._is_current:
            self._record("seconds", f"gen_ai.client.{family}.duration", event.seconds, failed, there)
            self._count_tokens(operation, answered, failed)
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

    def _count_tokens(self, operation: genai.Operation, answered: genai.Answered, failed: genai.Attributes) -> None:
        """A chat or a completion counts what goes in and out also where nobody said: as none."""
        usage, model = answered.usage, answered.model
        if operation.family == "embeddings" and usage is not None and usage.input is not None:
            self._record("tokens", "gen_ai.client.embeddings.operation.input_tokens", usage.input, failed)
        if operation.family != "inference" or (usage is None and operation.name not in genai.INFERENCES):
            return
        usage = usage or NOT_COUNTED
        into, out = usage.input or 0, usage.output or 0
        with self._lock:
            counts = self._counts((operation, model, "unknown"))
            counts[0] += into
            counts[1] += out
            counts[2] += usage.cached or 0
            counts[3] += usage.cache_write or 0
            counts[4] += usage.reasoning or 0
            for (way, modality), count in answered.modal.items():
                place = _COUNTED.index(f"{way}_tokens")
                counts[place] -= count
                self._counts((operation, model, modality))[place] += count
        if self._tells_each:
            self._record("tokens", "gen_ai.client.inference.operation.input_tokens", into, failed)
            self._record("tokens", "gen_ai.client.inference.operation.output_tokens", out, failed)

    def _counts(self, of: tuple[genai.Operation, str | None, str]) -> list[int]:
        """The sums of tokens of one modality, while the lock is held."""
        counts = self._sums.get(of)
        if counts is None:
            counts = self._sums[of] = [0] * len(_COUNTED)
        return counts

    def record_conversation(self, event: ConversationEnded, seconds: float, failure: str | None) -> None:
        """Count a conversation that has ended."""
        if self.are_read:
            model = event.conversation.model
            found: genai.Attributes = {} if model is None else {"gen_ai.request.model": model}
            if failure is not None:
                found["error.type"] = failure
            self._record("conversation", "gen_ai.invoke_agent.duration", seconds, found)
            tools = sum(len(turn.returned) for turn in getattr(event.result, "turns", ()))
            self._record("turns", "gen_ai.invoke_agent.inference_calls", event.turns, {})
            self._record("tools", "gen_ai.invoke_agent.tool_calls", tools, {})

    def record_tool(self, tool: ObservedTool, seconds: float, failure: str | None) -> None:
        """Count a tool that has ended."""
        if self.are_read:
            found = genai.tool_attributes(tool)
            if failure is not None:
                found["error.type"] = failure
            self._record("seconds", "gen_ai.execute_tool.duration", seconds, found)

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
        made = self._made.get(name) or self._make(name, partial(self._histogram, name, *_RECORDED[what]))
        made.record(amount, attributes, there)

    def _count(self, name: str, unit: str, count: int, attributes: genai.Attributes) -> None:
        made = self._made.get(name) or self._make(name, partial(self._meter.create_counter, name, unit))
        made.add(count, attributes, _PLAIN)

    def _histogram(self, name: str, unit: str, text: str, bounds: tuple[float, ...]) -> metrics.Histogram:
        return self._meter.create_histogram(name, unit, text, explicit_bucket_boundaries_advisory=bounds)

    def _make(self, name: str, make: Callable[[], Any]) -> Any:
        """The instrument of this name, made once: with a second one an SDK counts in two places."""
        with self._lock:
            if name not in self._made:
                self._made[name] = make()
            return self._made[name]


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
