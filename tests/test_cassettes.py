"""What a cassette records of exchanges, and that a replay is the same: events, results, facts, and the file itself.

What is recorded here comes of scripts and of the emulator; a replay has no network, which is barred.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, NoReturn
from urllib.parse import quote

import anyio
import pytest
import trio
from support.drivers import Driver
from support.job_providers import VENDORS
from support.job_providers import everywhere as everywhere
from support.job_providers import running as running
from trio.testing import MockClock

from headwater import (
    AsyncInferenceClient,
    ConnectError,
    ConnectionLostError,
    HeadwaterError,
    IncompleteStreamError,
    InferenceClient,
    InferenceTimeoutError,
    InputPolicy,
    Route,
    Timeout,
    emulator,
)
from headwater.auth.secret import Secret, guard_proxy
from headwater.emulator import faults
from headwater.emulator.__main__ import serving
from headwater.emulator.server import Emulator
from headwater.protocol.events import Started, Transferred
from headwater.protocol.transport import TransportRequest
from headwater.protocol.url import parse_url
from headwater.testing import FOREVER, Cassette, CassetteError, MemoryTransport, ScriptedResponse, SentRequest, cassette
from headwater.testing.fixtures import headwater_cassette as headwater_cassette
from headwater.testing.fixtures import headwater_cassette_path as headwater_cassette_path
from headwater.testing.scrubber import Scrubber

pytestmark = pytest.mark.anyio

URL = "https://model.test/v1"
KEY = "key-0123456789abcdef"
MESSAGES = [{"role": "user", "content": "hi"}]
SOON = 0.01


def chunk(text: str, finish_reason: str | None = None) -> dict[str, Any]:
    return {"id": "c", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish_reason}]}


def event(text: str, finish_reason: str | None = None) -> bytes:
    return f"data: {json.dumps(chunk(text, finish_reason))}\n\n".encode()


def answer(text: str) -> dict[str, Any]:
    return {
        "id": "a",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
    }


def streamed(*steps: Any, **more: Any) -> ScriptedResponse:
    return ScriptedResponse(*steps, content_type="text/event-stream", **more)


WHOLE = (event("Hé")[:50], event("Hé")[50:], event("llo") + event("", "stop"), b"data: [DONE]\n\n")


@pytest.fixture
def barred(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let nothing reach a network from now on."""

    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise AssertionError("the network was asked")

    def bar() -> None:
        monkeypatch.setattr(socket, "getaddrinfo", refuse)
        monkeypatch.setattr(socket.socket, "connect", refuse)
        monkeypatch.setattr(socket.socket, "connect_ex", refuse)

    return bar


# what a call shows of itself


class Seen(NamedTuple):
    """What a caller sees of a call, but for the seconds that it took."""

    events: list[str]
    result: str
    facts: tuple[Any, ...]


def shown(error: BaseException | None) -> str:
    return "" if error is None else f"{type(error).__name__}: {error}"


def facts_of(facts: Any) -> tuple[Any, ...]:
    attempts = [(a.provider, a.number, a.status, a.cancelled, shown(a.error)) for a in facts.attempts]
    return facts.provider, facts.model, facts.request_id, facts.hedged, facts.headers, attempts


async def seen(run: Any) -> Seen:
    events, result = [], ""
    async with run:
        try:
            async for each in run:
                events.append(repr(each))
            result = repr(await run.result())
        except HeadwaterError as error:
            result = f"{shown(error)} {error.partial!r} {run.outcome}"
    return Seen(events, result, facts_of(run.facts))


def timeless(path: Path) -> list[str]:
    """A cassette's lines, their times apart."""
    return [re.sub(r'"at": [0-9.]+', '"at": 0', line) for line in path.read_text(encoding="utf-8").splitlines()]


Scenario = Callable[[Driver, dict[str, Any]], Awaitable[Any]]


async def same_thrice(
    driver: Driver, folder: Path, scenario: Scenario, options: dict[str, Any], bar: Callable[[], None]
) -> tuple[Any, Path]:
    """Record a scenario, replay it, and record the replay: what was seen, and the file."""
    first, second = folder / "first.jsonl", folder / "second.jsonl"
    async with cassette(first, "record"):
        recorded = await scenario(driver, options)
    bar()
    replaying = {name: value for name, value in options.items() if name != "transport"}
    async with cassette(first, "replay") as tape:
        assert await scenario(driver, replaying) == recorded
        tape.assert_all_played()
    async with cassette(first, "replay"), cassette(second, "record"):
        assert await scenario(driver, replaying) == recorded
    assert second.read_bytes() == first.read_bytes()
    return recorded, first


# streams and their ends


async def read_stream(driver: Driver, options: dict[str, Any]) -> Seen:
    async with driver.client(**options) as client:
        return await seen(client.chat_completion.stream(MESSAGES, model="m"))


STREAMS: dict[str, tuple[Callable[[], list[ScriptedResponse | BaseException]], str]] = {
    "whole": (lambda: [streamed(*WHOLE)], "whole"),
    "reset": (lambda: [streamed(event("Hel"), ConnectionLostError("cut"))], "reset"),
    "stall": (lambda: [streamed(event("Hel"), FOREVER)], "stall"),
    "cut between two events": (lambda: [streamed(event("Hel"))], "whole"),
    "a letter in two pieces": (lambda: [streamed(event("é")[:-40], event("é")[-40:], *WHOLE[2:])], "whole"),
    "bytes that are no text": (lambda: [streamed(event("a"), b'data: {"x": "\xff"}\n\n', *WHOLE[2:])], "whole"),
    "refused": (lambda: [ScriptedResponse.json({"error": {"message": "no"}}, status=422)], "whole"),
    "no connection, then an answer": (lambda: [ConnectError("refused"), streamed(*WHOLE)], "error whole"),
}


@pytest.mark.parametrize("name", STREAMS)
async def test_a_stream_ends_as_it_ended(
    name: str, driver: Driver, tmp_path: Path, barred: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADWATER_TEST_MODE", "1")
    script, ends = STREAMS[name]
    transport = MemoryTransport.in_turn(*script())
    options = {"base_url": URL, "api_key": KEY, "timeout": Timeout(idle=0.05), "transport": transport}
    _, path = await same_thrice(driver, tmp_path, read_stream, options, barred)
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [line["end"] for line in lines if "end" in line] == ends.split()
    assert [line["error"] for line in lines if line.get("end") == "reset"] == ["ConnectionLostError"] * (
        "reset" in ends
    )


async def test_pieces_come_as_they_came(tmp_path: Path) -> None:
    """The borders of chunks are what breaks parsers."""
    path = tmp_path / "pieces.jsonl"
    sent = MemoryTransport.in_turn(streamed(*WHOLE))
    async with cassette(path, "record"), AsyncInferenceClient(base_url=URL, transport=sent) as client:
        await client.chat_completion.stream(MESSAGES).result()
    got: list[bytes] = []
    async with cassette(path, "replay") as tape:
        transport = tape.around(lambda: sent)
        body = json.dumps(sent.requests[0].json()).encode()
        request = TransportRequest(
            method="POST",
            url=parse_url(sent.requests[0].url),
            headers=[("content-type", "application/json")],
            body=body,
        )
        replayed = await transport.send(request)
        while data := await replayed.receive():
            got.append(data)
    assert got == list(WHOLE)


async def test_a_stream_that_was_left_is_left_again(driver: Driver, tmp_path: Path, barred: Callable[[], None]) -> None:
    async def leave(driver: Driver, options: dict[str, Any]) -> tuple[list[str], Any]:
        texts = []
        async with driver.client(**options) as client, client.chat_completion.stream(MESSAGES) as run:
            async for each in run:
                texts.append(each.choices[0].delta.content)
                if len(texts) == 2:
                    break
        return texts, run.outcome

    script = streamed(*map(event, "abcdef"))
    options = {"base_url": URL, "transport": MemoryTransport.in_turn(script)}
    (texts, outcome), path = await same_thrice(driver, tmp_path, leave, options, barred)
    assert (texts, outcome) == (["a", "b"], "cancelled")
    assert '"end": "left"' in path.read_text(encoding="utf-8")
    assert event("c").decode() not in path.read_text(encoding="utf-8")


async def test_a_read_that_is_cancelled_goes_on(tmp_path: Path) -> None:
    """As with the pool, whose answers were recorded: a replay loses nothing that it would not lose."""
    path = tmp_path / "cancelled.jsonl"
    script = streamed(event("a"), 0.1, event("b", "stop"), b"data: [DONE]\n\n")
    sent = MemoryTransport.in_turn(script)
    async with cassette(path, "record"), AsyncInferenceClient(base_url=URL, transport=sent) as client:
        recorded = await client.chat_completion.stream(MESSAGES).result()
    async with cassette(path, "replay", times=1), AsyncInferenceClient(base_url=URL) as client:
        run = client.chat_completion.stream(MESSAGES)
        await anext(run)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run.__anext__)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        assert repr(await run.result()) == repr(recorded)


# several requests


async def failing_over(driver: Driver, options: dict[str, Any]) -> list[Seen]:
    routes = [Route(base_url="https://one.test", model="m"), Route(base_url="https://two.test", model="n")]
    async with driver.client(provider=routes, retries=0, **options) as client:
        return [await seen(client.chat_completion.stream(MESSAGES)) for _ in range(2)]


async def test_a_failover(driver: Driver, tmp_path: Path, barred: Callable[[], None]) -> None:
    def respond(request: SentRequest) -> ScriptedResponse | BaseException:
        if "one.test" in request.url:
            return ScriptedResponse.json({"error": "overloaded"}, status=503, headers={"x-request-id": "one"})
        return streamed(*WHOLE, headers={"x-request-id": "two"})

    options = {"transport": MemoryTransport(respond)}
    (first, second), _ = await same_thrice(driver, tmp_path, failing_over, options, barred)
    assert [attempt[0] for attempt in first.facts[-1]] == ["https://one.test", "https://two.test"]
    assert first.events == second.events


class Racing:
    """Two servers that wait for each other: which of them is first to answer is no matter of time."""

    def __init__(self, winner: str) -> None:
        self.winner = winner
        self.both = anyio.Event()

    async def send(self, request: TransportRequest) -> ScriptedResponse:
        if request.url.host.startswith("two"):
            self.both.set()
        await self.both.wait()
        if not request.url.host.startswith(self.winner):
            await anyio.sleep_forever()
        return streamed(*WHOLE)

    async def aclose(self) -> None:
        pass


async def hedged(driver: Driver, options: dict[str, Any]) -> Seen:
    routes = [Route(base_url="https://one.test", model="m"), Route(base_url="https://two.test", model="n")]
    async with driver.client(provider=routes, retries=0, hedge_after=SOON, **options) as client:
        return await seen(client.chat_completion.stream(MESSAGES))


@pytest.mark.parametrize("winner", ["one", "two"])
async def test_a_hedge(winner: str, driver: Driver, tmp_path: Path, barred: Callable[[], None]) -> None:
    """Also where the first wins: without times it would have answered before the second was asked."""
    recorded, path = await same_thrice(driver, tmp_path, hedged, {"transport": Racing(winner)}, barred)
    assert recorded.facts[0] == f"https://{winner}.test"
    assert recorded.facts[3] is True
    assert [attempt[3] for attempt in recorded.facts[-1]] == [winner == "two", winner == "one"]
    assert ('"after"' in path.read_text(encoding="utf-8")) is (winner == "one")


async def test_a_hedged_recording_is_played_by_who_does_not_hedge(driver: Driver, tmp_path: Path) -> None:
    path = tmp_path / "hedge.jsonl"
    async with cassette(path, "record"):
        await hedged(driver, {"transport": Racing("one")})
    async with cassette(path, "replay") as tape, driver.client(base_url="https://one.test") as client:
        assert (await client.chat_completion.stream(MESSAGES, model="m").result()).choices[0].message.content == "Héllo"
        assert tape.unplayed == ["POST https://two.test/v1/chat/completions"]
        with pytest.raises(CassetteError, match=r"(?s)1 requests.*two\.test"):
            tape.assert_all_played()


async def test_a_job_with_media(
    driver: Driver, tmp_path: Path, barred: Callable[[], None], everywhere: Emulator
) -> None:
    async def film(driver: Driver, options: dict[str, Any]) -> list[Any]:
        found = []
        for vendor in VENDORS[:2]:
            own = {"transport": emulator.rewriting(everywhere)} if options else {}
            async with driver.client(f"org/{vendor.task}", provider=vendor.provider, api_key=KEY, **own) as client:
                run = vendor.of(client).stream("waves")
                async with run:
                    events = [e async for e in run]
                told = [repr(e) for e in events[:-1] if not isinstance(e, Transferred)]
                found += [told, bytes(events[-1]), events[-1].mime_type, facts_of(run.facts)]
        return found

    recorded, path = await same_thrice(driver, tmp_path, film, {"transport": everywhere}, barred)
    media = {file.read_bytes(): file.suffix for file in (path.parent / "first.media").iterdir()}
    assert media == {recorded[1]: ".mp4", recorded[5]: ".mp4"}
    assert path.stat().st_size < 40_000


async def mapped(driver: Driver, options: dict[str, Any]) -> list[str]:
    async with driver.client(**options) as client:
        inputs = [[{"role": "user", "content": str(number // 2)}] for number in range(64)]
        answers = await anyio_gather(lambda messages: client.chat_completion(messages, model="m"), inputs)
    return [each.choices[0].message.content for each in answers]


async def anyio_gather(call: Callable[[Any], Awaitable[Any]], inputs: list[Any]) -> list[Any]:
    """All of them at once; their results in order."""
    results: dict[int, Any] = {}

    async def one(place: int, given: Any) -> None:
        results[place] = await call(given)

    async with anyio.create_task_group() as group:
        for place, given in enumerate(inputs):
            group.start_soon(one, place, given)
    return [results[place] for place in range(len(inputs))]


async def test_many_at_once_make_the_same_file_on_every_loop(
    driver: Driver, tmp_path: Path, barred: Callable[[], None]
) -> None:
    """Whatever order a loop runs them in; each pair of identical requests is answered in order."""

    def echo(request: SentRequest) -> ScriptedResponse:
        return ScriptedResponse.json(answer(request.json()["messages"][-1]["content"]))

    options = {"base_url": URL, "transport": MemoryTransport(echo)}
    texts, path = await same_thrice(driver, tmp_path, mapped, options, barred)
    assert texts == [str(number // 2) for number in range(64)]
    other = tmp_path / "one-by-one.jsonl"
    async with cassette(other, "record"), AsyncInferenceClient(base_url=URL, transport=MemoryTransport(echo)) as client:
        for number in reversed(range(64)):
            await client.chat_completion([{"role": "user", "content": str(number // 2)}], model="m")
    assert timeless(other) == timeless(path)


FAULTS = [
    "ok",
    "fin_before_response",
    "garbage_head",
    "s500_burst",
    "s200_html",
    "redirect_loop",
    "sse_reset",
    "sse_stall",
    "sse_trunc_chunk",
    "sse_clean_end_early",
    "sse_done_left_open",
    "sse_bad_utf8",
    "sse_error_event",
    "length_short_by_one",
    "gzip_corrupt",
    "gzip_truncated",
    "hang_before_headers",
]


@pytest.mark.dealt
@pytest.mark.parametrize("fault", FAULTS)
async def test_what_broke_breaks_again(
    fault: str, driver: Driver, tmp_path: Path, barred: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over real sockets, by the project's own pool."""
    monkeypatch.setenv("HEADWATER_TEST_MODE", "1")
    hangs = fault == "hang_before_headers"  # a deadline close to the next try's would decide by chance
    timeout = Timeout(idle=0.05, first_event=0.05 if hangs else None)

    async def both(driver: Driver, options: dict[str, Any]) -> tuple[Seen, str]:
        url = f"{server.at(fault, id=tmp_path.name)}/v1"
        async with driver.client(base_url=url, api_key=KEY, retries=int(not hangs), timeout=timeout) as client:
            streamed = await seen(client.chat_completion.stream(MESSAGES, model="m"))
            try:
                return streamed, repr(await client.chat_completion(MESSAGES, model="m"))
            except HeadwaterError as error:
                return streamed, shown(error)

    with faults.running() as server:
        await same_thrice(driver, tmp_path, both, {}, barred)


async def test_a_job_that_was_left_is_cancelled_again(
    driver: Driver, tmp_path: Path, barred: Callable[[], None], everywhere: Emulator
) -> None:
    async def leave(driver: Driver, options: dict[str, Any]) -> str:
        own = {"transport": emulator.rewriting(everywhere)} if options else {}
        async with driver.client("org/text-to-video", provider="fal-ai", api_key=KEY, **own) as client:
            run = client.text_to_video.stream("forever waves")
            async with run:
                async for each in run:
                    if isinstance(each, Started):
                        break
            return str(run.outcome)

    outcome, path = await same_thrice(driver, tmp_path, leave, {"transport": everywhere}, barred)
    assert outcome == "cancelled"
    assert '"method": "PUT"' in path.read_text(encoding="utf-8")


# which requests are the same


async def recorded_chats(path: Path, *texts: str, **more: Any) -> None:
    sent = MemoryTransport.in_turn(*(ScriptedResponse.json(answer(text)) for text in texts))
    async with cassette(path, "record"), AsyncInferenceClient(base_url=URL, transport=sent) as client:
        for _ in texts:
            await client.chat_completion(MESSAGES, model="m", **more)


async def test_identical_requests_are_answered_in_order_and_not_once_more(driver: Driver, tmp_path: Path) -> None:
    path = tmp_path / "twice.jsonl"
    await recorded_chats(path, "first", "second")
    async with cassette(path) as tape, driver.client(base_url=URL) as client:
        assert tape.mode == "replay"
        texts = [(await client.chat_completion(MESSAGES, model="m")).choices[0].message.content for _ in range(2)]
        assert texts == ["first", "second"]
        with pytest.raises(CassetteError, match="was recorded 2 times"):
            await client.chat_completion(MESSAGES, model="m")


async def test_a_mismatch_shows_how_the_nearest_differs(driver: Driver, tmp_path: Path) -> None:
    """It is raised at once: no other provider is asked, and nothing is tried again."""
    path = tmp_path / "nearest.jsonl"
    await recorded_chats(path, "a", temperature=0.5)
    routes = [Route(base_url=URL, model="m"), Route(base_url="https://other.test", model="m")]
    async with cassette(path), driver.client(provider=routes, api_key=None) as client:
        with pytest.raises(CassetteError) as caught:
            await client.chat_completion(MESSAGES, temperature=0.7)
    words = str(caught.value).splitlines()
    assert words[0].endswith("has no such request: POST https://model.test/v1/chat/completions")
    assert [line[0] for line in words[3:] if "temperature" in line] == ["-", "+"]
    assert "0.5" in str(caught.value) and "0.7" in str(caught.value) and "other.test" not in str(caught.value)


async def test_members_that_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "seeds.jsonl"
    await recorded_chats(path, "a", seed=1, extra_body={"meta": {"run": 1, "user": "u"}})
    async with cassette(path, ignore=["seed", "meta.run"]), AsyncInferenceClient(base_url=URL) as client:
        await client.chat_completion(MESSAGES, model="m", seed=2, extra_body={"meta": {"run": 2, "user": "u"}})
    async with cassette(path, ignore=["meta.run"]), AsyncInferenceClient(base_url=URL) as client:
        with pytest.raises(CassetteError, match="seed"):
            await client.chat_completion(MESSAGES, model="m", seed=2, extra_body={"meta": {"run": 2, "user": "u"}})


async def test_a_multipart_body_is_compared_without_its_boundary(
    driver: Driver, tmp_path: Path, barred: Callable[[], None]
) -> None:
    sound = b"RIFF" + bytes(range(256)) * 20

    async def transcribe(driver: Driver, options: dict[str, Any]) -> str:
        async with driver.client(provider="openai", api_key=KEY, **options) as client:
            return str((await client.automatic_speech_recognition(sound, model="whisper-1")).text)

    options = {"transport": MemoryTransport.in_turn(ScriptedResponse.json({"text": "heard"}))}
    _, path = await same_thrice(driver, tmp_path, transcribe, options, barred)
    [line] = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if '"multipart"' in line]
    parts = {part["name"]: part for part in line["multipart"]}
    assert parts["model"]["text"] == "whisper-1"
    assert parts["file"]["binary"]["bytes"] == len(sound)
    sound += b"."
    async with cassette(path, "replay"):
        with pytest.raises(CassetteError, match="sha256"):
            await transcribe(driver, {})


async def test_a_body_of_bytes_is_compared_by_its_digest(tmp_path: Path) -> None:
    path, image = tmp_path / "bytes.jsonl", b"\x89PNG\r\n\x1a\n" + bytes(3000)
    sent = MemoryTransport.in_turn(ScriptedResponse.json([{"label": "cat", "score": 1.0}]))
    async with cassette(path, "record"), AsyncInferenceClient(base_url=URL, transport=sent) as client:
        await client.image_classification(image)
    async with cassette(path), AsyncInferenceClient(base_url=URL) as client:
        assert (await client.image_classification(image))[0].label == "cat"
        with pytest.raises(CassetteError):
            await client.image_classification(image + b".")
    assert path.stat().st_size < 2000


async def test_media_inside_json_is_beside_the_file(driver: Driver, tmp_path: Path, barred: Callable[[], None]) -> None:
    picture = png(100)

    async def draw(driver: Driver, options: dict[str, Any]) -> Any:
        async with driver.client(provider="openai", api_key=KEY, **options) as client:
            image = await client.text_to_image("a river", model="m")
        return image.size, image.tobytes()

    body = json.dumps({"created": 1, "data": [{"b64_json": base64.b64encode(picture).decode()}]}).encode()
    pieces = [body[:1500], body[1500:4000], body[4000:]]
    options = {"transport": MemoryTransport.in_turn(ScriptedResponse(*pieces))}
    _, path = await same_thrice(driver, tmp_path, draw, options, barred)
    [file] = (tmp_path / "first.media").iterdir()
    assert (file.read_bytes(), file.suffix) == (picture, ".png")
    assert len(path.read_text(encoding="utf-8")) < 2000


def png(size: int) -> bytes:
    """A picture that cannot be packed."""
    import io
    import random

    from PIL import Image

    image = Image.frombytes("RGB", (size, size), random.Random(1).randbytes(size * size * 3))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


# times


def test_times_are_off_real_or_scaled(tmp_path: Path) -> None:
    path = tmp_path / "times.jsonl"
    steps = [event("a"), 30.0, event("b"), 10.0, event("", "stop"), b"data: [DONE]\n\n"]
    sent = MemoryTransport.in_turn(streamed(*steps, head=[20.0]))
    with cassette(path, "record"):
        assert in_no_time(moments, transport=sent) == [20, 50, 60]
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [line["at"] for line in lines if "at" in line] == [20, 20, 50, 60, 60, 60]
    for times, expected in {1: [20, 50, 60], 0.5: [10, 25, 30], 2: [40, 100, 120], 0: [0, 0, 0]}.items():
        with cassette(path, "replay", times=times):
            assert in_no_time(moments) == expected


def in_no_time(what: Callable[..., Awaitable[Any]], **options: Any) -> Any:
    """Run it on a clock that jumps to whatever is waited for."""

    async def main() -> Any:
        async with AsyncInferenceClient(**{"base_url": URL, **options}) as client:
            return await what(client)

    return trio.run(main, clock=MockClock(autojump_threshold=0))


async def moments(client: AsyncInferenceClient) -> list[float]:
    """When the events of a chat come."""
    began = anyio.current_time()
    run = client.chat_completion.stream(MESSAGES)
    return [round(anyio.current_time() - began, 3) async for each in run if each.choices]


def test_a_silence_as_long_as_the_patience_takes_no_time(tmp_path: Path) -> None:
    """Recorded where a minute passes at once, replayed where it would not."""

    async def wait(client: AsyncInferenceClient) -> str:
        with pytest.raises(InferenceTimeoutError) as caught:
            await client.chat_completion.stream(MESSAGES).result()
        return caught.value.phase

    path, patience = tmp_path / "stall.jsonl", Timeout(idle=60)
    sent = MemoryTransport.in_turn(streamed(event("a"), FOREVER))
    with cassette(path, "record"):
        assert in_no_time(wait, timeout=patience, transport=sent) == "idle"

    async def again() -> str:
        with cassette(path, "replay"):
            async with AsyncInferenceClient(base_url=URL, timeout=patience) as client:
                return await wait(client)

    with_limit = time.monotonic()
    assert trio.run(again) == "idle"
    assert time.monotonic() - with_limit < 30


def test_waits_between_tries_take_no_time_without_times(tmp_path: Path) -> None:
    async def ask(client: AsyncInferenceClient) -> Any:
        return (await client.chat_completion(MESSAGES)).choices[0].message.content

    path = tmp_path / "waits.jsonl"
    refused = ScriptedResponse.json({"error": "later"}, status=429, headers={"retry-after": "50"})
    sent = MemoryTransport.in_turn(refused, ScriptedResponse.json(answer("hello")))
    with cassette(path, "record"):
        assert in_no_time(ask, transport=sent) == "hello"
    began = time.monotonic()
    with cassette(path), InferenceClient(base_url=URL) as client:
        assert client.chat_completion(MESSAGES).choices[0].message.content == "hello"
    assert time.monotonic() - began < 30


RUNS_OUT: dict[str, tuple[Timeout, Callable[[], Any], str, int]] = {
    "before the head": (Timeout(total=600), lambda: streamed(head=[FOREVER]), "total", 1),
    "before the first event": (Timeout(first_event=600), lambda: streamed(b": x\n\n", FOREVER), "first_event", 1),
    "in the middle": (
        Timeout(total=600, idle=None),
        lambda: streamed(event("a"), 500.0, event("b"), FOREVER),
        "total",
        1,
    ),
    "among comments": (Timeout(idle=600), lambda: streamed(event("a"), *[500.0, b": x\n\n"] * 2, FOREVER), "idle", 1),
    "before a retry": (Timeout(total=600), lambda: refused(500, retry_after="59"), "total", 2),
}
"""What ends a call, and after how many requests."""


def refused(seconds: float, retry_after: str) -> ScriptedResponse:
    headers = {"retry-after": retry_after}
    return ScriptedResponse(b'{"error": "later"}', status=429, headers=headers, head=[seconds])


@pytest.mark.parametrize("name", RUNS_OUT)
def test_a_deadline_ends_in_a_replay_what_it_ended_once(name: str, tmp_path: Path) -> None:
    """Recorded where ten minutes pass at once, replayed where they would not."""
    patience, script, phase, requests = RUNS_OUT[name]

    async def ask(client: AsyncInferenceClient) -> tuple[Any, ...]:
        with pytest.raises(HeadwaterError) as caught:
            await client.chat_completion.stream(MESSAGES).result()
        error = caught.value
        return str(error), getattr(error, "phase", ""), repr(error.partial), len(error.attempts)

    path, again = tmp_path / "late.jsonl", tmp_path / "again.jsonl"
    with cassette(path, "record"):
        recorded = in_no_time(ask, timeout=patience, transport=MemoryTransport(lambda _: script()))
    assert recorded[1] == phase and recorded[3] == requests
    began = time.monotonic()
    with cassette(path, "replay") as tape, cassette(again, "record"):

        async def replay() -> Any:
            async with AsyncInferenceClient(base_url=URL, timeout=patience) as client:
                return await ask(client)

        assert anyio.run(replay) == recorded
        tape.assert_all_played()
    assert again.read_bytes() == path.read_bytes()
    assert time.monotonic() - began < 60


def test_a_job_that_took_too_long_takes_as_many_polls(tmp_path: Path) -> None:
    def respond(request: SentRequest) -> ScriptedResponse:
        urls = {"get": "https://api.replicate.com/v1/predictions/j"}
        return ScriptedResponse.json({"id": "j", "status": "starting", "urls": urls}, status=201)

    def film(**options: Any) -> str:
        more = {"provider": "replicate", "api_key": KEY, "model_mapping": {"a/b": "a/b"}, "timeout": 1.3, **options}
        with InferenceClient(**more) as client, pytest.raises(InferenceTimeoutError) as caught:
            client.text_to_video("waves", model="a/b")
        return str(caught.value)

    path = tmp_path / "job.jsonl"
    with cassette(path, "record"):
        recorded = film(transport=MemoryTransport(respond))
    with cassette(path, "replay") as tape:
        assert film() == recorded
        tape.assert_all_played()
    assert '"GET"' in path.read_text(encoding="utf-8")


# no credential


SECRET = "sk-cassette/0123456789+abcdef"
PASSWORD = "pass-of-a-proxy-77"
SIGNATURE = "c2lnbmF0dXJlLW9mLWEtcmVzdWx0LXVybA"
COOKIE = "session-cookie-0123456789"


def every_file(folder: Path) -> bytes:
    """What is in all files below, with the bodies that are cut into pieces put together."""
    whole = []
    for file in folder.rglob("*"):
        if file.is_file():
            raw = file.read_bytes()
            whole.append(raw)
            if file.suffix == ".jsonl":
                pieces = [json.loads(line).get("data", "") for line in raw.decode().splitlines()]
                whole.append(
                    "".join(piece if isinstance(piece, str) else json.dumps(piece) for piece in pieces).encode()
                )
    assert whole
    return b"\n".join(whole)


def spellings(secret: str) -> list[bytes]:
    texts = [secret, quote(secret, safe=""), json.dumps(secret)[1:-1], secret.replace("/", "\\/")]
    return [*(text.encode() for text in texts), base64.b64encode(secret.encode())[:-4], secret[-8:].encode()]


def echoes() -> dict[str, Callable[[], ScriptedResponse | BaseException]]:
    """Servers that repeat the key, each in its own way."""
    said = json.dumps({**answer("hello"), "you_sent": f"Bearer {SECRET}"}).encode()
    half = said.index(SECRET.encode()) + 9
    packed = gzip.compress(said)
    in_base64 = base64.b64encode(f"Bearer {SECRET}".encode()).decode()
    return {
        "in a body": lambda: ScriptedResponse(said),
        "in two pieces of a body": lambda: ScriptedResponse(said[:half], said[half:]),
        "in a packed body": lambda: ScriptedResponse(packed[:30], packed[30:], headers={"content-encoding": "gzip"}),
        "in a header": lambda: ScriptedResponse.json(answer("hello"), headers={"x-debug": f"token={SECRET}"}),
        "in base64": lambda: ScriptedResponse.json({**answer("hello"), "sent": in_base64}),
        "in a URL": lambda: ScriptedResponse.json({**answer("hello"), "next": f"https://h.test/?key={quote(SECRET)}"}),
        "its end alone": lambda: ScriptedResponse.json({**answer("hello"), "key": f"sk-...{SECRET[-8:]}"}),
        "in a refusal": lambda: ScriptedResponse.json({"error": f"no such key: {SECRET}"}, status=401),
        "in an error": lambda: ConnectionLostError(f"lost with {SECRET}"),
        "in bytes": lambda: ScriptedResponse(b"\x89PNG" + SECRET.encode(), content_type="image/png"),
    }


@pytest.mark.dealt
@pytest.mark.parametrize("where", echoes())
async def test_a_key_that_a_server_repeats_is_in_no_file(
    where: str, driver: Driver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADWATER_TEST_MODE", "1")
    transport = MemoryTransport(lambda _: echoes()[where]())
    async with (
        cassette(tmp_path / "echo.jsonl", "record"),
        driver.client(base_url=URL, api_key=SECRET, transport=transport) as client,
    ):
        with suppress(HeadwaterError):
            await client.chat_completion(MESSAGES, model="m")
    found = every_file(tmp_path)
    assert [each for each in spellings(SECRET) if each in found] == []
    assert transport.requests[0].headers["authorization"] == f"Bearer {SECRET}"


@pytest.mark.dealt
@pytest.mark.parametrize(
    "given", [{"api_key": SECRET}, {"tools_of": [{"headers": {"Authorization": f"Bearer {SECRET}"}}]}]
)
async def test_a_key_in_a_body_that_the_answer_repeats_is_in_no_file(
    given: Any, driver: Driver, tmp_path: Path
) -> None:
    sent = MemoryTransport.in_turn(ScriptedResponse.json(answer(f"hello {SECRET}")))
    path = tmp_path / "body.jsonl"
    async with cassette(path, "record"), driver.client(base_url=URL, api_key=KEY, transport=sent) as client:
        await client.chat_completion([{"role": "user", "content": SECRET}], extra_body=given)
    found = every_file(tmp_path)
    assert [each for each in spellings(SECRET) if each in found] == []
    other = json.loads(json.dumps(given).replace(SECRET, "another-key-99"))
    async with cassette(path), driver.client(base_url=URL, api_key=KEY) as client:
        await client.chat_completion([{"role": "user", "content": "another-key-99"}], extra_body=other)


async def test_a_length_is_kept_where_a_key_was(tmp_path: Path) -> None:
    """So that chunks, JSON and the announced length stay what they were."""
    said = json.dumps({**answer(f"your key is {SECRET}")}).encode()
    sent = MemoryTransport.in_turn(ScriptedResponse(said, headers={"content-length": str(len(said))}))
    path = tmp_path / "echo.jsonl"
    async with cassette(path, "record"), AsyncInferenceClient(base_url=URL, api_key=SECRET, transport=sent) as client:
        await client.chat_completion(MESSAGES)
    async with cassette(path), AsyncInferenceClient(base_url=URL, api_key="of-another-length-1") as client:
        out = await client.chat_completion(MESSAGES)
    assert out.choices[0].message.content == "your key is " + "*" * len(SECRET)


async def test_a_key_that_is_a_word_is_no_word_of_an_answer(tmp_path: Path) -> None:
    """Servers of one's own take any key: `unused` in what a model says is what it says."""
    path = tmp_path / "word.jsonl"
    sent = MemoryTransport.in_turn(ScriptedResponse.json(answer("an unused word")))
    async with cassette(path, "record"), AsyncInferenceClient(base_url=URL, api_key="unused", transport=sent) as client:
        await client.chat_completion(MESSAGES)
    assert "an unused word" in path.read_text(encoding="utf-8")


async def test_credentials_of_a_request_are_in_no_file_and_do_not_count(driver: Driver, tmp_path: Path) -> None:
    """Whoever replays has other ones."""

    async def ask(secret: str, **options: Any) -> None:
        headers = {"x-api-key": secret, "proxy-authorization": f"Basic {secret}"}
        async with driver.client(base_url=URL, api_key=secret, headers=headers, cookies={"a": secret}, **options) as c:
            server = {
                "type": "mcp",
                "headers": {"Authorization": f"Bearer of-the-tool-{secret}"},
                "api_key": "k-" + secret,
            }
            body = {"tools_of": [server], "callback": f"https://user:{secret}@h.test/x?sig={secret}"}
            await c.chat_completion(
                [{"role": "user", "content": f"is {secret} a key?"}], extra_query={"key": secret}, extra_body=body
            )

    path = tmp_path / "request.jsonl"
    async with cassette(path, "record"):
        await ask(SECRET, transport=MemoryTransport.in_turn(ScriptedResponse.json(answer("yes"))))
    found = every_file(tmp_path)
    assert [each for each in spellings(SECRET) if each in found] == []
    assert b"is [secret] a key?" in found
    async with cassette(path) as tape:
        await ask("another-key-99")
        tape.assert_all_played()


async def test_a_signed_result_is_found_without_its_signature(
    driver: Driver, tmp_path: Path, barred: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its URL is masked in the answer that names it, and is asked for as it stands there."""
    monkeypatch.setenv("HEADWATER_TEST_MODE", "1")
    links = [f"https://cdn.test/a.mp4?X-Amz-Signature={SIGNATURE}{n}&se=2026&blob={SIGNATURE}{n}" for n in range(2)]

    def respond(request: SentRequest) -> ScriptedResponse:
        if "cdn.test" in request.url:
            n = request.url[-1]
            return ScriptedResponse(b"\0\0\0\x18ftypmp42" + n.encode() * 9, content_type="video/mp4")
        if request.url.endswith("/v1/predictions/j"):
            return ScriptedResponse.json({"id": "j", "status": "succeeded", "output": links[len(asked) % 2]})
        asked.append(request.url)
        where = {"get": "https://api.replicate.com/v1/predictions/j"}
        cookies = {"set-cookie": f"s={COOKIE}; path=/"}
        return ScriptedResponse.json({"id": "j", "status": "starting", "urls": where}, status=201, headers=cookies)

    async def film(driver: Driver, options: dict[str, Any]) -> list[bytes]:
        asked.clear()
        more = {"input_policy": InputPolicy(allow_private=True), "model_mapping": {"org/film": "org/film"}}
        async with driver.client("org/film", provider="replicate", api_key=SECRET, **more, **options) as client:
            return [bytes(await client.text_to_video(text)) for text in ("one", "two")]

    asked: list[str] = []
    options = {"transport": MemoryTransport(respond)}
    first, _ = await same_thrice(driver, tmp_path, film, options, barred)
    assert first[0] != first[1]
    found = every_file(tmp_path)
    assert [each for each in (SIGNATURE, COOKIE, SECRET) if each.encode() in found] == []
    assert b"se=2026" in found


async def test_a_proxys_password_is_in_no_file(driver: Driver, tmp_path: Path) -> None:
    """What a proxy on the way repeats of it: a refusal, with the header that it was sent."""
    basic = base64.b64encode(f"user:{PASSWORD}".encode()).decode()

    def page(_: Any) -> ScriptedResponse:
        return ScriptedResponse.json({"error": f"{basic} and {PASSWORD} are not known"}, status=403)

    guard_proxy(f"http://user:{PASSWORD}@proxy.test:1")
    sent = MemoryTransport(page)
    async with cassette(tmp_path / "proxy.jsonl", "record"), driver.client(base_url=URL, transport=sent) as client:
        with pytest.raises(HeadwaterError):
            await client.chat_completion(MESSAGES)
    found = every_file(tmp_path)
    assert basic.encode() not in found
    assert PASSWORD.encode() not in found


# whose clients, and when


async def test_a_client_made_before_is_left_alone(driver: Driver, tmp_path: Path) -> None:
    sent = MemoryTransport(lambda _: ScriptedResponse.json(answer("live")))
    path = tmp_path / "block.jsonl"
    async with driver.client(base_url=URL, transport=sent) as before:
        async with cassette(path, "record"):
            await before.chat_completion(MESSAGES)
            await before.with_options(timeout=5).chat_completion(MESSAGES)
            inside = driver.client(base_url=URL, transport=sent)
            await inside.chat_completion(MESSAGES)
        await inside.chat_completion(MESSAGES)  # its cassette is closed: it goes on to its transport
        await inside.close()
    assert len(sent.requests) == 4
    assert path.read_text(encoding="utf-8").count('"request"') == 1
    async with cassette(path):
        inside = driver.client(base_url=URL, transport=sent)
        assert (await inside.chat_completion(MESSAGES)).choices[0].message.content == "live"
    with pytest.raises(CassetteError, match="closed"):
        await inside.chat_completion(MESSAGES)
    await inside.close()
    assert len(sent.requests) == 4


async def test_routes_with_proxies_of_their_own_are_recorded_as_well(driver: Driver, tmp_path: Path) -> None:
    path = tmp_path / "routes.jsonl"
    await recorded_chats(path, "a")
    routes = [Route(base_url=URL, proxy="http://127.0.0.1:9", model="m")]
    async with cassette(path), driver.client(provider=routes) as client:
        assert (await client.chat_completion(MESSAGES)).choices[0].message.content == "a"


async def test_two_blocks_at_once_have_each_their_own_clients(tmp_path: Path) -> None:
    await recorded_chats(tmp_path / "a.jsonl", "a")
    await recorded_chats(tmp_path / "b.jsonl", "b")
    texts = []

    async def one(name: str, entered: anyio.Event, other: anyio.Event) -> None:
        async with cassette(tmp_path / f"{name}.jsonl"):
            entered.set()
            await other.wait()
            async with AsyncInferenceClient(base_url=URL) as client:
                texts.append((name, (await client.chat_completion(MESSAGES, model="m")).choices[0].message.content))

    first, second = anyio.Event(), anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(one, "a", first, second)
        group.start_soon(one, "b", second, first)
    assert sorted(texts) == [("a", "a"), ("b", "b")]


@pytest.mark.dealt
async def test_two_recordings_at_once_have_each_their_own_requests(driver: Driver, tmp_path: Path) -> None:
    sent = MemoryTransport(lambda _: ScriptedResponse.json(answer("hello")))

    async def one(name: str, entered: anyio.Event, other: anyio.Event) -> None:
        async with cassette(tmp_path / f"{name}.jsonl", "record"):
            entered.set()
            await other.wait()
            async with driver.client(base_url=URL, transport=sent) as client:
                await client.chat_completion(MESSAGES, model=name)

    first, second = anyio.Event(), anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(one, "a", first, second)
        group.start_soon(one, "b", second, first)
    for name in ("a", "b"):
        text = (tmp_path / f"{name}.jsonl").read_text(encoding="utf-8")
        assert text.count('"request"') == 1 and f'"model": "{name}"' in text


@pytest.mark.dealt
async def test_a_recording_beside_a_replay_has_what_its_own_server_said(driver: Driver, tmp_path: Path) -> None:
    await recorded_chats(tmp_path / "a.jsonl", "replayed")
    sent = MemoryTransport(lambda _: ScriptedResponse.json(answer("recorded")))

    async def one(name: str, entered: anyio.Event, other: anyio.Event) -> None:
        async with cassette(tmp_path / f"{name}.jsonl"):
            entered.set()
            await other.wait()
            async with driver.client(base_url=URL, transport=sent) as client:
                await client.chat_completion(MESSAGES, model="m")

    first, second = anyio.Event(), anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(one, "a", first, second)
        await first.wait()
        group.start_soon(one, "b", second, first)
    assert "recorded" in (tmp_path / "b.jsonl").read_text(encoding="utf-8") and len(sent.requests) == 1


def test_a_thread_of_its_own_is_inside_as_well(tmp_path: Path) -> None:
    found: list[str | None] = []

    def ask() -> None:
        with InferenceClient(base_url=URL, transport=sent) as client:
            found.append(client.chat_completion(MESSAGES).choices[0].message.content)

    sent = MemoryTransport(lambda _: ScriptedResponse.json(answer("hello")))
    path = tmp_path / "thread.jsonl"
    for _ in range(2):
        with cassette(path):
            thread = threading.Thread(target=ask)
            thread.start()
            thread.join()
    assert found == ["hello", "hello"]
    assert len(sent.requests) == 1


# modes and files


def ask_once(path: Path, mode: Any = None, text: str = "hello") -> str:
    sent = MemoryTransport(lambda _: ScriptedResponse.json(answer(text)))
    with cassette(path, mode), InferenceClient(base_url=URL, transport=sent) as client:
        said = client.chat_completion(MESSAGES).choices[0].message.content
    assert said is not None
    return said


def test_modes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "deep" / "modes.jsonl"
    with pytest.raises(CassetteError, match=r"modes\.jsonl.*HEADWATER_CASSETTE=record"):
        ask_once(path, "replay")
    assert ask_once(path, "passthrough", "live") == "live"
    assert not path.exists()
    assert ask_once(path, text="first") == "first"
    assert ask_once(path, text="second") == "first"
    assert ask_once(path, "record", "third") == "third"
    assert ask_once(path, "auto", "fourth") == "third"
    monkeypatch.setenv("HEADWATER_CASSETTE", "record")
    assert ask_once(path, "replay", "fifth") == "third"
    assert ask_once(path, text="sixth") == "sixth"
    monkeypatch.setenv("HEADWATER_CASSETTE", " Replay")
    assert ask_once(path, text="seventh") == "sixth"
    monkeypatch.setenv("HEADWATER_CASSETTE", "tape")
    with pytest.raises(ValueError, match="HEADWATER_CASSETTE must be one of"):
        cassette(path)


@pytest.mark.parametrize("wrong", [{"mode": "rec"}, {"times": -1}, {"times": float("inf")}, {"ignore": "seed"}])
def test_what_is_no_cassettes_option_is_refused(wrong: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must be|takes"):
        cassette(tmp_path / "x.jsonl", **wrong)


def test_a_block_that_fails_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "failed.jsonl"

    def fail() -> None:
        sent = MemoryTransport(lambda _: ScriptedResponse.json(answer("half")))
        with cassette(path, "record"), InferenceClient(base_url=URL, transport=sent) as client:
            client.chat_completion(MESSAGES)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list(tmp_path.iterdir()) == []
    ask_once(path, "record", "whole")
    before = path.read_bytes()
    with pytest.raises(ZeroDivisionError):
        fail()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_written_leaves_no_half(tmp_path: Path) -> None:
    path = tmp_path / "folder.jsonl"
    path.mkdir()
    for place in (path, Path(__file__) / "a" / "c.jsonl"):
        with pytest.raises(CassetteError, match="cannot be written"), cassette(place, "record"):
            raise ZeroDivisionError  # before anything is asked
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_fails_at_the_end_says_so(tmp_path: Path) -> None:
    path = tmp_path / "late.jsonl"
    with pytest.raises(CassetteError, match=r"late\.jsonl cannot be written"), cassette(path, "record"):
        path.mkdir()
    assert list(tmp_path.iterdir()) == [path]


def test_a_cassette_is_entered_once(tmp_path: Path) -> None:
    tape = cassette(tmp_path / "once.jsonl", "record")
    with tape:
        pass
    with pytest.raises(CassetteError, match="once"):
        tape.__enter__()


def test_media_that_is_recorded_anew_replaces_the_old(tmp_path: Path) -> None:
    path = tmp_path / "media.jsonl"
    for body in (b"\x89PNG\r\n\x1a\nold", b"\x89PNG\r\n\x1a\nnew"):
        sent = MemoryTransport.in_turn(ScriptedResponse(body, content_type="image/png"))
        with cassette(path, "record"), InferenceClient(base_url=URL, transport=sent) as client:
            assert client.post(json={"a": 1}).content == body
        [file] = (tmp_path / "media.media").iterdir()
        assert file.read_bytes() == body
    file.write_bytes(b"other")
    with pytest.raises(CassetteError, match="not what was recorded"), cassette(path):
        pass
    ask_once(path, "record")
    assert list(tmp_path.iterdir()) == [path]


def test_half_a_file_is_no_cassette(tmp_path: Path) -> None:
    path = tmp_path / "whole.jsonl"
    ask_once(path)
    lines = path.read_bytes().splitlines(keepends=True)
    half = tmp_path / "half.jsonl"
    for cut in (lines[:-1], lines[:1][:-1], [*lines[:-1], lines[-1][:9]], [b"{}\n", *lines[1:]], [*lines, *lines[1:]]):
        half.write_bytes(b"".join(cut))
        with pytest.raises(CassetteError, match=r"half\.jsonl"), cassette(half):
            pass


EDITS: list[tuple[int, str, str]] = [
    (1, '{"headwater_cassette": 2}', "a newer release"),
    (1, '{"headwater_cassette": "1"}', "no cassette"),
    (2, "7", "none of"),
    (2, '{"request": ["a"], "method": "POST", "url": "u"}', "request"),
    (2, '{"request": "a", "url": "u"}', "method"),
    (3, '{"head": "200", "headers": {}, "at": 0}', "head"),
    (3, '{"head": 200, "headers": {"a": 1}, "at": 0}', "headers"),
    (3, '{"head": 200, "headers": {}}', "at"),
    (3, '{"head": 200, "headers": {}, "at": NaN}', "at"),
    (3, '{"head": 200, "headers": {}, "at": 0, "after": ["of-nothing"]}', "of-nothing"),
    (4, '{"head": 200, "headers": {}, "at": 0}', "two heads"),
    (4, '{"data": 5, "at": 0}', "data"),
    (4, '{"data": {"x": 1}, "at": 0}', "no file"),
    (4, '{"data": {"raw": "!"}, "at": 0}', "base64"),
    (4, '{"data": {"file": "0123456789abcdef.png"}, "at": 0}', r"0123456789abcdef\.png"),
    (5, '{"end": "somehow", "at": 0}', "somehow"),
    (5, '{"end": "error", "at": 0}', "of nothing"),
    (5, "[" * 100_000, "nested too deeply"),
]


@pytest.mark.parametrize(("number", "text", "says"), EDITS, ids=[f"{number} {text[:40]}" for number, text, _ in EDITS])
def test_an_edit_by_hand_that_is_none_names_its_line(number: int, text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "edited.jsonl"
    ask_once(path)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 5
    path.write_text("\n".join([*lines[: number - 1], text, *lines[number:]]), encoding="utf-8")
    with pytest.raises(CassetteError, match=rf"(?s)edited\.jsonl, line \d.*{says}"), cassette(path):
        pass


def test_a_reset_by_hand_is_one(tmp_path: Path) -> None:
    path = tmp_path / "edited.jsonl"
    ask_once(path)
    path.write_text(path.read_text(encoding="utf-8").replace('"whole"', '"reset"'), encoding="utf-8")
    with pytest.raises(ConnectionLostError), cassette(path), InferenceClient(base_url=URL, retries=0) as client:
        client.chat_completion(MESSAGES)


def test_lines_of_a_diff_are_pieces(tmp_path: Path) -> None:
    """Letters that other tools take for the end of a line are none here."""
    path = tmp_path / "lines.jsonl"
    odd = "a\u2028b\x85c\ud83d"
    sent = MemoryTransport.in_turn(streamed(event("\u2028"), event("", "stop"), b"data: [DONE]\n\n"))
    for transport in (sent, None):
        with cassette(path), InferenceClient(base_url=URL, transport=transport) as client:
            client.chat_completion.stream([{"role": "user", "content": "x"}], extra_body={"odd": odd[:5]}).result()
    assert len(path.read_bytes().split(b"\n")) == 8


# pytest


def test_the_fixture_has_a_file_for_each_test(headwater_cassette: Cassette) -> None:
    assert headwater_cassette.mode == "replay"
    folder = Path(__file__).parent / "cassettes" / "test_cassettes"
    assert headwater_cassette.path == folder / "test_the_fixture_has_a_file_for_each_test.jsonl"
    with InferenceClient(base_url=URL) as client:
        assert client.chat_completion(MESSAGES).choices[0].message.content == "from a file"


TESTS = """
import pytest
from headwater import InferenceClient
from headwater.testing import MemoryTransport, ScriptedResponse

def ask(text):
    sent = MemoryTransport(lambda _: ScriptedResponse.json(ANSWER))
    with InferenceClient(base_url="https://model.test/v1", transport=sent) as client:
        client.chat_completion([{"role": "user", "content": text}])


@pytest.mark.parametrize("case", ["a/b", "a b", "plain", "x" * 300, "ä"])
def test_case(headwater_cassette, case):
    ask(case)


class TestOne:
    def test_same(self, headwater_cassette):
        ask("one")


class TestTwo:
    def test_same(self, headwater_cassette):
        ask("two")


def test_skipped(headwater_cassette):
    ask("skipped")
    pytest.skip("half way")


@pytest.mark.xfail
def test_expected(headwater_cassette):
    ask("expected")
    raise ZeroDivisionError
"""


def test_each_test_has_a_file_of_its_own_and_one_that_does_not_pass_has_none(tmp_path: Path) -> None:
    (tmp_path / "test_them.py").write_text(TESTS.replace("ANSWER", json.dumps(answer("x"))), encoding="utf-8")
    options = ["-q", "-p", "headwater.testing.fixtures", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "test_them.py"],
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert "7 passed, 1 skipped, 1 xfailed" in done.stdout, done.stdout
    names = sorted(file.name for file in (tmp_path / "cassettes" / "test_them").iterdir())
    assert len(names) == 7 and max(map(len, names)) < 200
    assert {"TestOne.test_same.jsonl", "TestTwo.test_same.jsonl", "test_case-plain.jsonl"} < set(names)


# served over sockets


def tape_of(path: Path, **script: Any) -> Path:
    sent = MemoryTransport.in_turn(streamed(*WHOLE, **script))
    with cassette(path, "record"), InferenceClient(base_url="https://model.test", transport=sent) as client:
        client.chat_completion.stream(MESSAGES, model="m").result()
    return path


@pytest.mark.parametrize("headers", [{}, {"content-length": str(sum(map(len, WHOLE)))}], ids=["chunked", "length"])
def test_a_recording_is_served_and_cut_at_every_byte(headers: dict[str, str], tmp_path: Path) -> None:
    """None of the cuts is taken for the end: but for the last, behind which is nothing that says more."""
    path = tape_of(tmp_path / "stream.jsonl", headers=headers)
    size = sum(map(len, WHOLE))
    with faults.running(cassette=path) as server:

        def read(at: str) -> str:
            with InferenceClient(base_url=at, api_key=SECRET, retries=0) as client:
                return str(client.chat_completion.stream(MESSAGES, model="m").result().choices[0].message.content)

        assert read(server.at("recorded")) == read(server.at("recorded")) == "Héllo"
        assert read(server.at("recorded", cut=size)) == "Héllo"
        for cut in range(0, size, 5):
            with pytest.raises(HeadwaterError) as caught:
                read(server.at("recorded", cut=cut, how=("reset", "close")[cut % 2]))
            partial = caught.value.partial
            assert "Héllo".startswith("" if partial is None else partial.choices[0].message.content or "")
        with (
            pytest.raises(HeadwaterError, match="no such request"),
            InferenceClient(base_url=server.at("recorded")) as c,
        ):
            c.chat_completion(MESSAGES, model="m")


def test_a_served_recording_ends_as_it_ended_and_leads_to_itself(tmp_path: Path) -> None:
    """Also where a link is cut by two pieces; a job's result is at a host that was recorded."""
    link = json.dumps({"next": "https://cdn.test/a.png?sig=0123456789abcdef", "other": "https://cdn.test.example/b"})
    found, picture = "https://model.test/list", b"\x89PNG\r\n\x1a\n"

    def respond(request: SentRequest) -> ScriptedResponse:
        if "cdn.test" in request.url:
            return ScriptedResponse(picture, content_type="image/png")
        if "cut" in request.url:
            return ScriptedResponse(b'{"half": ', ConnectionLostError("cut"))
        return ScriptedResponse(link[:15].encode(), link[15:].encode(), headers={"location": "https://cdn.test/"})

    path = tmp_path / "job.jsonl"
    with cassette(path, "record"), InferenceClient(transport=MemoryTransport(respond), retries=0) as client:
        assert client.post(json={}, model=found).content == link.encode()
        client.post(json={}, model="https://cdn.test/a.png?sig=0123456789abcdef")
        with pytest.raises(ConnectionLostError):
            client.post(json={}, model="https://model.test/cut")
    with faults.running(cassette=path) as server, InferenceClient(retries=0) as client:
        base = server.at("recorded")
        answered = client.post(json={}, model=f"{base}/list")
        said = json.loads(answered.content)
        assert (said["next"][: len(base) + 1], said["other"]) == (f"{base}/", "https://cdn.test.example/b")
        assert answered.headers["location"] == f"{base}/"
        assert client.post(json={}, model=said["next"]).content == picture
        with pytest.raises(ConnectionLostError):
            client.post(json={}, model=f"{base}/cut")


def test_the_command_serves_a_recording(tmp_path: Path) -> None:
    path = tape_of(tmp_path / "stream.jsonl")
    options = argparse.Namespace(cassette=str(path), cut=99, how="end", port=0)
    with serving(options) as url, InferenceClient(base_url=url, retries=0) as client:
        assert url.endswith("/recorded~cut=99~how=end")
        with pytest.raises(IncompleteStreamError):
            client.chat_completion.stream(MESSAGES, model="m").result()
    for wrong in (b"", b"{}\n", path.read_bytes().rpartition(b'{"end"')[0]):
        path.write_bytes(wrong)
        with pytest.raises(ValueError, match=r"cassette|whole"), serving(options):
            pass


def test_a_keys_end_that_is_a_number_is_left_where_it_is_no_key() -> None:
    scrubber = Scrubber([Secret("hw-cassette-key-17000000"), Secret("hw-cassette-password")])
    said = b'{"created": 1700000000, "content": "Give me a password."}'
    assert scrubber.blank(said) == said
    assert scrubber.blank(b'{"content": "hw-cassette-key-17000000"}') == b'{"content": "' + b"*" * 24 + b'"}'
