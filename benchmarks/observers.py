"""What it costs a call to be observed: by nobody, the log, one that does nothing, OpenTelemetry in parts and whole.

    python -m benchmarks.observers [--calls 20] [--rounds 100]

Plain chat completions, one at a time, over a connection to a server on loopback in another process; the figure is the
CPU time of this process for a call, the lower quartile of the rounds, which other programs of a busy machine change
least. In each of many short rounds all take their turn, so that a machine whose speed changes is the same for all of
them. The last column holds what is added against a call whose model takes 10 ms, which is less than any takes.
"sampled" is a sampler that keeps one trace in a hundred. What the exporters are given they throw away, but for the one
in memory: what they would send elsewhere is a thread's work.

"by hand" are rows in which nobody observes, and the program around the call makes the same spans, attributes and points
with the SDK as the observer does: what they are less is what the observer takes, and the rest is the SDK's own.

At the end, what the SDK takes by itself, with none of our code: a span that has no attributes, and one point of a
histogram with the attributes that the conventions want.
"""

import argparse
import asyncio
import gc
import logging
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from opentelemetry import metrics, trace
from opentelemetry.context import Context, set_value
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler, TraceIdRatioBased
from opentelemetry.trace import SpanKind

from headwater import AsyncInferenceClient
from headwater.telemetry import Observer, ObserverEvent, OpenTelemetryObserver

MESSAGES: list[Any] = [{"role": "user", "content": "Say hello in one word."}]
LOG = logging.getLogger("headwater")
NOBODY = "nobody, logging off"
NO_SPAN = set_value("benchmark", True, Context())
Call = Callable[[], Awaitable[None]]
SERVER = """
import asyncio, json
answer = {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [{"index": 0, "message":
    {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10}}
body = json.dumps(answer).encode()
whole = b"HTTP/1.1 200 OK\\r\\ncontent-type: application/json\\r\\ncontent-length: %d\\r\\n\\r\\n" % len(body) + body
class Answer(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.kept = transport, b""
    def data_received(self, data):
        self.kept += data
        head, end, rest = self.kept.partition(b"\\r\\n\\r\\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\\r\\n")[0]) if end else 0
        if end and len(rest) >= length:
            self.kept = rest[length:]
            self.transport.write(whole)
async def main():
    server = await asyncio.get_running_loop().create_server(Answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


class Nowhere(SpanExporter):
    """Throws spans away."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS


def nothing(event: ObserverEvent) -> None:
    """Do nothing."""


def sdk(
    *, traces: Sampler | None = None, metered: bool = False, in_memory: bool = False
) -> tuple[trace.TracerProvider, metrics.MeterProvider]:
    """The SDK for these; it is asked for nothing else."""
    tracers: trace.TracerProvider = trace.NoOpTracerProvider()
    if traces is not None:
        made = TracerProvider(sampler=traces)
        made.add_span_processor(
            SimpleSpanProcessor(InMemorySpanExporter()) if in_memory else BatchSpanProcessor(Nowhere())
        )
        tracers = made
    return tracers, MeterProvider(metric_readers=[InMemoryMetricReader()]) if metered else metrics.NoOpMeterProvider()


def observer(*, token_histograms: bool = True, **wanted: Any) -> OpenTelemetryObserver:
    """One with such an SDK."""
    tracers, meters = sdk(**wanted)
    return OpenTelemetryObserver(tracer_provider=tracers, meter_provider=meters, token_histograms=token_histograms)


def by_hand(client: AsyncInferenceClient, url: str, **wanted: Any) -> Call:
    """A call, with what the observer makes of one written out around it."""
    tracers, meters = sdk(**wanted)
    tracer, meter = tracers.get_tracer("by hand"), meters.get_meter("by hand")
    seconds = meter.create_histogram("seconds", "s")
    into, out = meter.create_histogram("into", "{token}"), meter.create_histogram("out", "{token}")
    host, _, port = url.rpartition("/")[2].partition(":")
    server: dict[str, Any] = {"server.address": host, "server.port": int(port)}
    model = {"gen_ai.request.model": "m"}
    first = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "url", **server, **model}
    point = {**first, "gen_ai.response.model": "m"}
    request = {"http.request.method": "POST", "url.full": f"{url}/v1/chat/completions", "headwater.provider": "url"}
    told = {
        "headwater.task": "chat-completion",
        "headwater.outcome": "success",
        "headwater.provider": "url",
        "gen_ai.response.id": "x",
        "gen_ai.response.model": "m",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 9,
        "gen_ai.usage.output_tokens": 1,
    }

    async def call() -> None:
        began = time.monotonic()
        span = tracer.start_span("chat m", None, SpanKind.CLIENT, first)
        there = trace.set_span_in_context(span)
        below = tracer.start_span("POST", there, SpanKind.CLIENT, {**request, **server})
        await client.chat_completion(MESSAGES, model="m")
        below.set_attribute("http.response.status_code", 200)
        below.end()
        span.set_attributes(told)
        span.end()
        seconds.record(time.monotonic() - began, point, there)
        into.record(9, point, NO_SPAN)
        out.record(1, point, NO_SPAN)

    return call


def ways(client: AsyncInferenceClient, url: str) -> dict[str, tuple[Call, int]]:
    """Calls by who observes them, and the level of the log."""
    all_of_them, few = ALWAYS_ON, TraceIdRatioBased(0.01)
    plain = calls_of(client)
    found: dict[str, tuple[Call, int]] = {
        NOBODY: (plain, logging.WARNING),
        "the log at INFO": (plain, logging.INFO),
        "the log at DEBUG": (plain, logging.DEBUG),
    }
    observers: dict[str, Observer] = {
        "an observer that does nothing": nothing,
        "OpenTelemetry's API, no SDK": OpenTelemetryObserver(),
        "the SDK: spans, sampled": observer(traces=few),
        "the SDK: spans": observer(traces=all_of_them),
        "the SDK: metrics": observer(metered=True),
        "the SDK: sampled spans, metrics": observer(traces=few, metered=True),
        "the same, no token histograms": observer(traces=few, metered=True, token_histograms=False),
        "the SDK: spans, metrics": observer(traces=all_of_them, metered=True),
        "the same, exported in memory": observer(traces=all_of_them, metered=True, in_memory=True),
    }
    found |= {name: (calls_of(client.with_options(observer=each)), logging.WARNING) for name, each in observers.items()}
    hands = {
        "by hand: spans": by_hand(client, url, traces=all_of_them),
        "by hand: metrics": by_hand(client, url, metered=True),
        "by hand: spans, metrics": by_hand(client, url, traces=all_of_them, metered=True),
    }
    return found | {name: (call, logging.WARNING) for name, call in hands.items()}


def calls_of(client: AsyncInferenceClient) -> Call:
    """A plain chat of this client's."""

    async def call() -> None:
        await client.chat_completion(MESSAGES, model="m")

    return call


async def cost(call: Call, calls: int) -> float:
    """Seconds of CPU for a call."""
    began = time.process_time()
    for _ in range(calls):
        await call()
    return (time.process_time() - began) / calls


def quartile(times: list[float]) -> float:
    """The lower one."""
    return statistics.quantiles(times, n=4)[0]


async def measured(url: str, calls: int, rounds: int) -> dict[str, float]:
    """Microseconds of CPU a call, by who observes."""
    LOG.addHandler(logging.NullHandler())
    LOG.propagate = False
    client = AsyncInferenceClient(base_url=f"{url}/v1")
    who = ways(client, url)
    found: dict[str, list[float]] = {name: [] for name in who}
    async with client:
        for number in range(rounds + 1):
            gc.collect()
            for name, (call, level) in who.items():
                LOG.setLevel(level)
                seconds = await cost(call, calls)
                if number:  # the first is for warming up
                    found[name].append(seconds)
    return {name: quartile(times) * 1e6 for name, times in found.items()}


def bare(times: int, rounds: int) -> dict[str, float]:
    """Microseconds of CPU that the SDK takes by itself."""
    tracers = TracerProvider()
    tracers.add_span_processor(BatchSpanProcessor(Nowhere()))
    tracer = tracers.get_tracer("bare")
    histogram = MeterProvider(metric_readers=[InMemoryMetricReader()]).get_meter("bare").create_histogram("bare")
    shared = dict.fromkeys(("operation", "provider", "model", "response", "address"), "x") | {"port": 1}
    works: dict[str, Callable[[], object]] = {
        "an empty span": lambda: tracer.start_span("bare").end(),
        "a point of a histogram": lambda: histogram.record(1.0, shared),
    }
    found: dict[str, float] = {}
    for name, work in works.items():
        taken = []
        for _ in range(rounds + 1):
            began = time.process_time()
            for _ in range(times):
                work()
            taken.append((time.process_time() - began) / times)
        found[name] = quartile(taken[1:]) * 1e6
    tracers.shutdown()
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=100)
    given = parser.parse_args()
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline())
            found = asyncio.run(measured(f"http://127.0.0.1:{port}", given.calls, given.rounds))
        finally:
            server.terminate()
    least = found[NOBODY]
    print(f"{'who observes':32} {'CPU a call':>12} {'more':>12} {'':>8} {'of 10 ms':>9}")
    for name, microseconds in found.items():
        more = microseconds - least
        print(f"{name:32} {microseconds:9.1f} us {more:9.1f} us {more / least:8.1%} {more / 10_000:9.1%}")
    print("\nwhat the SDK takes by itself")
    for name, microseconds in bare(given.calls, given.rounds).items():
        print(f"{name:32} {microseconds:9.1f} us {'':12} {microseconds / least:8.1%} {microseconds / 10_000:9.1%}")


if __name__ == "__main__":
    main()
