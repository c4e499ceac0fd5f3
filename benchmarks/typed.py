"""What a typed answer costs: of 4 kB, whole and in a stream, next to openai's and instructor's; and as it grows.

    python -m benchmarks.typed [--rounds N] [--kilobytes N]

Every client is answered from memory by a transport of its own, in this process, with the same bytes, and must come to
equal values; the figure is CPU time, the median of the rounds. The plain call of the same client, without a type, is
taken off: what stays is the type's cost. In a stream, of chunks of 16 characters, the value so far is asked for at
every chunk: headwater's `run.partial.parsed`, openai's `event.parsed` (which is no value of the type, but a dict),
instructor's partial model. Last, the same per kB for answers of growing length: what is linear stays as it is.

A peer that is not installed is left out: `nox -s bench -- typed` installs them.
"""

import argparse
import asyncio
import dataclasses
import importlib
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

import msgspec
import pydantic

from headwater import AsyncInferenceClient
from headwater.testing import MemoryTransport, ScriptedResponse

PIECE = 16
"""Characters of a chunk."""
MESSAGES: list[Any] = [{"role": "user", "content": "The invoice, please."}]
LENGTHS = (1, 4, 16, 64)
SLOW = frozenset({"openai", "instructor"})
LONGEST_OF_THE_SLOW = 16
"""kB of an answer beyond which the peers are not waited for."""


class Line(pydantic.BaseModel):
    what: str
    amount: float
    tags: list[str]


class Invoice(pydantic.BaseModel):
    number: str
    lines: list[Line]


class LineStruct(msgspec.Struct):
    what: str
    amount: float
    tags: list[str]


class InvoiceStruct(msgspec.Struct):
    number: str
    lines: list[LineStruct]


@dataclasses.dataclass
class LineClass:
    what: str
    amount: float
    tags: list[str]


@dataclasses.dataclass
class InvoiceClass:
    number: str
    lines: list[LineClass]


def answer_text(kilobytes: int) -> str:
    """An invoice's JSON of about this size."""
    line = {"what": 'a cup of tea, "green"', "amount": 2.5, "tags": ["hot", "naïve"]}
    count = kilobytes * 1024 // len(json.dumps(line, ensure_ascii=False))
    return json.dumps({"number": "A-1", "lines": [line] * max(1, count)}, ensure_ascii=False)


def whole_body(text: str) -> bytes:
    """The answer to a chat."""
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    usage = {"prompt_tokens": 9, "completion_tokens": 900, "total_tokens": 909}
    named = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
    return json.dumps({**named, "choices": [choice], "usage": usage}).encode()


def events(text: str) -> list[bytes]:
    """The same in a stream."""
    named = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    pieces = [text[at : at + PIECE] for at in range(0, len(text), PIECE)]
    choices: list[dict[str, Any]] = [{"index": 0, "delta": {"content": each}} for each in pieces]
    choices.append({"index": 0, "delta": {}, "finish_reason": "stop"})
    sent = [b"data: " + json.dumps({**named, "choices": [each]}).encode() + b"\n\n" for each in choices]
    return [*sent, b"data: [DONE]\n\n"]


class Measured(NamedTuple):
    """One client's calls on one answer. `typed` and `streamed` return the value as plain JSON; `asked` counts how often
    the value so far was asked for."""

    name: str
    plain: Callable[[], Awaitable[Any]]
    typed: Callable[[], Awaitable[Any]]
    plain_stream: Callable[[], Awaitable[Any]]
    streamed: Callable[[], Awaitable[Any]]


def client_of_headwater(steps: list[bytes]) -> Any:
    """headwater's client, answered from memory; a stream as one piece, as openai's is."""
    kind = "text/event-stream" if len(steps) > 1 else "application/json"
    body = b"".join(steps)
    transport = MemoryTransport(lambda _: ScriptedResponse(body, content_type=kind))
    return AsyncInferenceClient(base_url="http://bench.test/v1", transport=transport)


def headwater_calls(name: str, kind: Any, text: str) -> Measured:
    """headwater's, with a type of this kind."""
    asked = {"model": "m"}
    wholes, streams = client_of_headwater([whole_body(text)]), client_of_headwater(events(text))

    async def plain() -> Any:
        answer = await wholes.chat_completion(MESSAGES, **asked)
        return answer.choices[0].message.content

    async def typed() -> Any:
        answer = await wholes.chat_completion(MESSAGES, response_format=kind, **asked)
        return plain_of(answer.parsed)

    async def plain_stream() -> Any:
        async with streams.chat_completion.stream(MESSAGES, **asked) as run:
            async for _ in run:
                pass
            return (await run.result()).choices[0].message.content

    async def streamed() -> Any:
        async with streams.chat_completion.stream(MESSAGES, response_format=kind, **asked) as run:
            async for _ in run:
                run.partial.parsed  # noqa: B018 - what is measured
            return plain_of((await run.result()).parsed)

    return Measured(name, plain, typed, plain_stream, streamed)


def items_of_headwater(text: str) -> Callable[[], Awaitable[int]]:
    """headwater's elements of the list in an answer."""
    rows = json.dumps(json.loads(text)["lines"], ensure_ascii=False)
    client = client_of_headwater(events(rows))

    async def read() -> int:
        count = 0
        async with client.chat_completion.items(MESSAGES, of=LineStruct, model="m") as items:
            async for _ in items:
                count += 1
        return count

    return read


def openai_client(text: str) -> Any:
    """openai's client, answered from memory."""
    openai, http = importlib.import_module("openai"), http_of_openai()

    def answer(request: Any) -> Any:
        if json.loads(request.content).get("stream"):
            headers = {"content-type": "text/event-stream"}
            return http.Response(200, headers=headers, content=b"".join(events(text)))
        return http.Response(200, headers={"content-type": "application/json"}, content=whole_body(text))

    transport = http.AsyncClient(transport=http.MockTransport(answer))
    return openai.AsyncOpenAI(base_url="http://bench.test/v1", api_key="k", http_client=transport, max_retries=0)


def http_of_openai() -> Any:
    """The HTTP package that this version of openai stands on."""
    base = importlib.import_module("openai._base_client")
    return getattr(base, "httpx2", None) or getattr(base, "httpx")  # noqa: B009 - of another version


def openai_calls(text: str) -> Measured:
    """openai's, with a pydantic model."""
    client = openai_client(text)

    async def plain() -> Any:
        answer = await client.chat.completions.create(model="m", messages=MESSAGES)
        return answer.choices[0].message.content

    async def typed() -> Any:
        answer = await client.chat.completions.parse(model="m", messages=MESSAGES, response_format=Invoice)
        return plain_of(answer.choices[0].message.parsed)

    async def plain_stream() -> Any:
        async with client.chat.completions.stream(model="m", messages=MESSAGES) as stream:
            async for _ in stream:
                pass
            return (await stream.get_final_completion()).choices[0].message.content

    async def streamed() -> Any:
        async with client.chat.completions.stream(model="m", messages=MESSAGES, response_format=Invoice) as stream:
            async for event in stream:
                if event.type == "content.delta":
                    event.parsed  # noqa: B018 - what is measured
            return plain_of((await stream.get_final_completion()).choices[0].message.parsed)

    return Measured("openai", plain, typed, plain_stream, streamed)


def instructor_calls(text: str) -> Measured:
    """instructor's, on openai's client."""
    instructor = importlib.import_module("instructor")
    plain = openai_calls(text)
    client = instructor.from_openai(openai_client(text), mode=instructor.Mode.JSON_SCHEMA)

    async def typed() -> Any:
        return plain_of(await client.create(model="m", messages=MESSAGES, response_model=Invoice))

    async def streamed() -> Any:
        last = None
        async for each in client.create_partial(model="m", messages=MESSAGES, response_model=Invoice):
            last = each
        return plain_of(last)

    async def plain_stream() -> Any:
        chunks = await openai_client(text).chat.completions.create(model="m", messages=MESSAGES, stream=True)
        async for _ in chunks:
            pass

    return Measured("instructor", plain.plain, typed, plain_stream, streamed)


def plain_of(value: Any) -> Any:
    """A value as JSON's own."""
    return value.model_dump() if isinstance(value, pydantic.BaseModel) else msgspec.to_builtins(value)


def installed() -> list[str]:
    """What is measured, with its version; a peer that is not there is said to be left out."""
    found = []
    for name in ("headwater", "openai", "instructor", "pydantic", "msgspec", "jiter"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            print(f"{name} is not installed, and left out")
    print(f"Python {sys.version.split()[0]}; {', '.join(found)}")
    return [each.split()[0] for each in found]


def calls_on(text: str, packages: list[str]) -> Iterator[Measured]:
    """Every client's calls on this answer."""
    yield headwater_calls("headwater, Struct", InvoiceStruct, text)
    yield headwater_calls("headwater, dataclass", InvoiceClass, text)
    yield headwater_calls("headwater, pydantic", Invoice, text)
    if "openai" in packages:
        yield openai_calls(text)
    if "instructor" in packages:
        yield instructor_calls(text)


async def cost(call: Callable[[], Awaitable[Any]], rounds: int, expected: Any = None) -> float:
    """CPU microseconds of one call: the median of the rounds, after a warm-up whose value must be what is expected."""
    found = await call()
    if expected is not None and found != expected:
        raise SystemExit("the value is another than the answer's")
    spent = []
    for _ in range(rounds):
        began = time.process_time_ns()
        await call()
        spent.append((time.process_time_ns() - began) / 1000)
    return statistics.median(spent)


async def compare(kilobytes: int, rounds: int, packages: list[str]) -> None:
    """The table of one length."""
    text = answer_text(kilobytes)
    value = json.loads(text)
    chunks = len(events(text)) - 2
    print(f"\nAn answer of {len(text.encode()):,} bytes; in a stream, asked for at each of {chunks} chunks. CPU us:")
    print(
        f"{'':22}{'plain':>9}{'typed':>9}{'its type':>10}  |{'stream':>9}{'asked':>9}{'its type':>10}{'a question':>12}"
    )
    for calls in calls_on(text, packages):
        plain, typed = await cost(calls.plain, rounds), await cost(calls.typed, rounds, value)
        stream = await cost(calls.plain_stream, rounds)
        asked = await cost(calls.streamed, max(3, rounds // 5), value)
        row = f"{calls.name:22}{plain:>9,.0f}{typed:>9,.0f}{typed - plain:>10,.0f}  |"
        print(
            f"{row}{stream:>9,.0f}{asked:>9,.0f}{asked - stream:>10,.0f}{(asked - stream) / chunks:>12,.1f}", flush=True
        )


async def grow(rounds: int, packages: list[str]) -> None:
    """The cost per kB of answers of growing length."""
    print("\nCPU us per kB of the answer, the value so far being asked for at every chunk:")
    print(f"{'kB':22}" + "".join(f"{length:>10}" for length in LENGTHS))
    rows: dict[str, list[str]] = {}
    for length in LENGTHS:
        text = answer_text(length)
        for calls in calls_on(text, packages):
            if calls.name in SLOW and length > LONGEST_OF_THE_SLOW:
                rows[calls.name].append("-")
                continue
            spent = await cost(calls.streamed, max(3, rounds // 5))
            rows.setdefault(calls.name, []).append(f"{spent / length:,.0f}")
        items = await cost(items_of_headwater(text), max(3, rounds // 5))
        rows.setdefault("headwater, items", []).append(f"{items / length:,.0f}")
    for name, figures in rows.items():
        print(f"{name:22}" + "".join(f"{figure:>10}" for figure in figures))


def main() -> None:
    """Print the versions, the table and the growth."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--kilobytes", type=int, default=4)
    options = parser.parse_args()
    packages = installed()
    asyncio.run(compare(options.kilobytes, options.rounds, packages))
    asyncio.run(grow(options.rounds, packages))


if __name__ == "__main__":
    main()
