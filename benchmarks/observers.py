"""What it costs a call to be observed: nobody, the log, an observer that does nothing, OpenTelemetry with its SDK.

    python -m benchmarks.observers [--calls 300] [--rounds 15]

Plain chat completions, one at a time, over a connection to a server on loopback in another process; the figure is the
CPU time of this process for a call, the median of the rounds. In each round all take their turn, so that a machine
whose speed changes is the same for all of them. OpenTelemetry has the SDK's batch processor and a reader of metrics,
whose exporters throw away what they are given; what they would send elsewhere is a thread's work.
"""

import argparse
import asyncio
import gc
import logging
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from headwater import AsyncInferenceClient
from headwater.telemetry import ObserverEvent, OpenTelemetryObserver

MESSAGES: list[Any] = [{"role": "user", "content": "Say hello in one word."}]
LOG = logging.getLogger("headwater")
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


async def cost(client: AsyncInferenceClient, calls: int) -> float:
    """Seconds of CPU for a call."""
    began = time.process_time()
    for _ in range(calls):
        await client.chat_completion(MESSAGES, model="m")
    return (time.process_time() - began) / calls


async def measured(url: str, calls: int, rounds: int) -> dict[str, float]:
    """Microseconds of CPU a call, by who observes."""
    tracers = TracerProvider()
    tracers.add_span_processor(BatchSpanProcessor(Nowhere()))
    meters = MeterProvider(metric_readers=[InMemoryMetricReader()])
    otel = OpenTelemetryObserver(tracer_provider=tracers, meter_provider=meters)
    LOG.addHandler(logging.NullHandler())
    LOG.propagate = False
    client = AsyncInferenceClient(base_url=f"{url}/v1")
    ways: dict[str, tuple[AsyncInferenceClient, int]] = {
        "nobody, logging off": (client, logging.WARNING),
        "the log at INFO": (client, logging.INFO),
        "the log at DEBUG": (client, logging.DEBUG),
        "an observer that does nothing": (client.with_options(observer=nothing), logging.WARNING),
        "OpenTelemetry with its SDK": (client.with_options(observer=otel), logging.WARNING),
    }
    found: dict[str, list[float]] = {name: [] for name in ways}
    async with client:
        for number in range(rounds + 1):
            for name, (observed, level) in ways.items():
                LOG.setLevel(level)
                gc.collect()
                seconds = await cost(observed, calls)
                if number:  # the first is for warming up
                    found[name].append(seconds)
    tracers.shutdown()
    meters.shutdown()
    return {name: statistics.median(times) * 1e6 for name, times in found.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline())
            found = asyncio.run(measured(f"http://127.0.0.1:{port}", given.calls, given.rounds))
        finally:
            server.terminate()
    least = found["nobody, logging off"]
    print(f"{'who observes':32} {'CPU a call':>12} {'more':>8}")
    for name, microseconds in found.items():
        print(f"{name:32} {microseconds:9.1f} us {microseconds / least - 1:8.1%}")


if __name__ == "__main__":
    main()
