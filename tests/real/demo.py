"""Streams a model's answer through every client of headwater, and says what it measured.

    python tests/real/demo.py --packages FOLDER    llama.cpp's server, from the packages in FOLDER
    python tests/real/demo.py --emulator           headwater's own emulator, which is no model

It starts the server, asks one question through the async client on asyncio, on trio, and through the sync
client, and ends the server. A llama.cpp server that does not come up is said, and replaced by the emulator.
"""

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import anyio

sys.path.insert(0, str(Path(__file__).parent.parent))

from real.servers import NotReadyError, running

from headwater import AsyncInferenceClient, InferenceClient

MESSAGES = [{"role": "user", "content": "How does a river begin? Answer in three sentences."}]
PARAMETERS: dict[str, Any] = {
    "max_tokens": 96,
    "temperature": 0.0,
    "stream_options": {"include_usage": True},
    "extra_body": {"cache_prompt": False},  # llama.cpp's: every client then waits for the same work
}


class Meter:
    """Prints a stream's text as it comes, and times it."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.times: list[float] = []

    def saw(self, chunk: Any) -> None:
        text = "".join(choice.delta.content or "" for choice in chunk.choices)
        if text:
            self.times.append(time.perf_counter())
            print(text, end="", flush=True)

    def report(self, answer: Any) -> None:
        """One line: time to first token, tokens a second after it, and why the answer ended."""
        if not self.times:
            raise SystemExit("the stream carried no text")
        tokens = answer.usage.completion_tokens if answer.usage else len(self.times)
        seconds = self.times[-1] - self.times[0]
        rate = f"{(tokens - 1) / seconds:.1f} tokens/s" if seconds else "all tokens at once"
        first = f"first token after {(self.times[0] - self.began) * 1000:.0f} ms"
        reason = f"finish reason: {answer.choices[0].finish_reason}"
        print(f"\n[{first}, {tokens} tokens, {rate}, {reason}]", flush=True)


async def stream_async(url: str) -> None:
    async with AsyncInferenceClient(base_url=url) as client:
        meter = Meter()
        async with client.chat_completion.stream(MESSAGES, **PARAMETERS) as run:
            async for chunk in run:
                meter.saw(chunk)
            meter.report(await run.result())


def stream_sync(url: str) -> None:
    with InferenceClient(base_url=url) as client:
        meter = Meter()
        with client.chat_completion.stream(MESSAGES, **PARAMETERS) as run:
            for chunk in run:
                meter.saw(chunk)
            meter.report(run.result())


CLIENTS: dict[str, Callable[[str], None]] = {
    "the async client on asyncio": lambda url: anyio.run(stream_async, url, backend="asyncio"),
    "the async client on trio": lambda url: anyio.run(stream_async, url, backend="trio"),
    "the sync client": stream_sync,
}


def ask_all(server: AbstractContextManager[str], what: str) -> None:
    """Start the server, ask through every client, end the server."""
    began = time.perf_counter()
    with server as url:
        print(f"{what} is ready on {url} after {time.perf_counter() - began:.1f} s.")
        print(f"The question: {MESSAGES[0]['content']}", flush=True)
        for name, stream in CLIENTS.items():
            print(f"\n== {name}", flush=True)
            stream(url)
    print(f"\nThe server has ended. {len(CLIENTS)} answers were streamed from {what}.", flush=True)


def ask_emulator() -> None:
    from headwater import emulator

    print("Falling back to headwater's emulator: its answer is made up, no model runs.", flush=True)
    ask_all(emulator.running(), "headwater's emulator (no model)")


def main() -> None:
    parser = argparse.ArgumentParser(description="Stream one answer through every client.")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--packages", type=Path, metavar="FOLDER", help="the installed packages of the server")
    source.add_argument("--emulator", action="store_true", help="ask headwater's emulator instead of a model")
    arguments = parser.parse_args()
    if arguments.emulator:
        return ask_emulator()
    model = "llama.cpp with SmolLM2-135M-Instruct on one thread"
    try:
        return ask_all(running("llama", arguments.packages), model)
    except NotReadyError as error:
        print(f"{model} did not start: {error}", file=sys.stderr, flush=True)
    return ask_emulator()


if __name__ == "__main__":
    main()
