"""The picture of a trace in the documentation is what a call makes: a retry, a failover and a hedge."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import anyio
import pytest
import trio
import trio.testing
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from support.observed_calls import QUESTION, Seen, answer
from support.trace_picture import Mark, Row, picture

from headwater import AsyncInferenceClient, Route
from headwater.protocol.transport import FOREVER
from headwater.telemetry import FailedOver, Hedged, OpenTelemetryObserver, WaitBegun
from headwater.testing import MemoryTransport, ScriptedResponse, SentRequest

PICTURE = Path(__file__).parents[2] / "docs" / "trace.svg"
TITLE = "A call that is tried again, turns to another server, and is hedged"


class Clock(SpanProcessor):
    """When spans begin and end, on the loop's own clock, where time passes only while everybody sleeps."""

    def __init__(self) -> None:
        self.began: dict[int, float] = {}
        self.ended: dict[int, float] = {}

    def on_start(self, span: Span, parent_context: Any = None) -> None:
        assert span.context is not None
        self.began[span.context.span_id] = trio.current_time()

    def on_end(self, span: ReadableSpan) -> None:
        assert span.context is not None
        self.ended[span.context.span_id] = trio.current_time()


def respond(request: SentRequest, asked: list[str]) -> ScriptedResponse:
    """The first is overloaded and then wants another key, the second does not answer, the third does."""
    host = request.url.split("/")[2].partition(".")[0]
    asked.append(host)
    if host == "first":
        status = 503 if asked.count("first") == 1 else 401
        return ScriptedResponse(b'{"error": {"message": "no"}}', status=status, head=[0.12])
    if host == "second":
        return ScriptedResponse(head=[FOREVER])
    found = answer()
    found.head = [0.35]
    return found


def traced() -> tuple[list[ReadableSpan], Clock, Seen]:
    exporter, clock, seen, asked = InMemorySpanExporter(), Clock(), Seen(), list[str]()
    tracers = TracerProvider()
    tracers.add_span_processor(clock)
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    observer = OpenTelemetryObserver(tracer_provider=tracers, meter_provider=MeterProvider())
    places = [Route(base_url=f"https://{name}.example") for name in ("first", "second", "third")]
    transport = MemoryTransport(lambda request: respond(request, asked))

    async def call() -> None:
        async with AsyncInferenceClient(
            provider=places, observer=[observer, seen], transport=transport, hedge_after=1.0, retries=1
        ) as client:
            await client.chat_completion(QUESTION, model="org/model")

    jumping = trio.testing.MockClock(autojump_threshold=0)
    anyio.run(call, backend="trio", backend_options={"clock": jumping})
    tracers.shutdown()
    return list(exporter.get_finished_spans()), clock, seen


def rows(spans: list[ReadableSpan], clock: Clock) -> list[Row]:
    call = next(span for span in spans if span.parent is None)
    assert call.context is not None
    start = clock.began[call.context.span_id]
    made = []
    for span in spans:
        assert span.context is not None
        found = dict(span.attributes or {})
        times = clock.began[span.context.span_id] - start, clock.ended[span.context.span_id] - start
        if span is call:
            made.append(Row(0, span.name, *times, "call", str(found["headwater.outcome"])))
            continue
        assert span.parent is not None
        assert span.parent.span_id == call.context.span_id
        kind = "error" if "error.type" in found else "cancelled" if "headwater.cancelled" in found else "ok"
        end = "given up" if kind == "cancelled" else str(found["http.response.status_code"])
        words = f"{span.name} {found['server.address']}" + (" (hedge)" if "headwater.hedged" in found else "")
        made.append(Row(1, words, *times, kind, end))
    return sorted(made, key=lambda row: (row.began, row.depth))


def marks(seen: Seen) -> list[Mark]:
    made = []
    for event in seen.events:
        if isinstance(event, WaitBegun):
            made.append(Mark(event.seconds, f"waits {event.wait:.2f} s, then tries again"))
        elif isinstance(event, FailedOver):
            made.append(Mark(event.seconds, f"turns to {event.following.rpartition('/')[2]}"))
        elif isinstance(event, Hedged):
            made.append(Mark(event.seconds, f"asks {event.provider.rpartition('/')[2]} as well"))
    return made


def test_the_picture_is_what_a_call_makes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(random, "random", lambda: 0.8)  # of the wait before the retry
    spans, clock, seen = traced()
    drawn = rows(spans, clock)
    assert [(row.depth, row.kind, row.end) for row in drawn] == [
        (0, "call", "success"),
        (1, "error", "503"),
        (1, "error", "401"),
        (1, "cancelled", "given up"),
        (1, "ok", "200"),
    ]
    assert [mark.words.split()[0] for mark in marks(seen)] == ["waits", "turns", "asks"]
    made = tmp_path / "trace.svg"
    made.write_text(picture(TITLE, drawn, marks(seen)), encoding="utf-8")
    assert made.read_text(encoding="utf-8") == PICTURE.read_text(encoding="utf-8"), f"{made} is to be {PICTURE.name}"
