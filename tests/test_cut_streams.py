"""A stream cut anywhere is either whole or says so: nothing is lost in silence, repeated, or made up.

Every byte of streams, recorded ones among them, in each way in which a body can end there, through the pool and its
parser but without sockets; a sample of the same over real ones. HEADWATER_RECORDED names the folder of recordings.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.drivers import Driver
from support.recordings.exchange import exchanges
from support.scripted_stream import END, RESET, FarSide, Step, chunks, head

from headwater import AsyncInferenceClient, HeadwaterError, IncompleteStreamError
from headwater.emulator import faults
from headwater.errors import ConnectionLostError
from headwater.testing import EVENT_STREAM, MemoryTransport, ScriptedResponse
from headwater.transport.pool import Pool

pytestmark = pytest.mark.anyio

MESSAGES = [{"role": "user", "content": "hi"}]
EVERY = {"uvloop": 1, "trio": 11, "asyncio": 23, "sync": 23}
"""Which bytes: trio takes twice as long as uvloop, a loop that checks and a hop to another thread far longer."""
RECORDED = os.environ.get("HEADWATER_RECORDED")


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "m", "choices": [choice], **more}


def call(index: int, arguments: str, **first: Any) -> dict[str, Any]:
    function = {"arguments": arguments, **({"name": first.pop("name")} if "name" in first else {})}
    return {"tool_calls": [{"index": index, "function": function, **first}]}


def stream(*payloads: Any, done: bool = True) -> bytes:
    events = [f"data: {json.dumps(payload, ensure_ascii=False)}\n\n".encode() for payload in payloads]
    return b"".join([*events, b"data: [DONE]\n\n" if done else b""])


USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
CHAT = stream(
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "Grüße"}),
    chunk({"content": ", \n\n"}),
    chunk({"content": 'data: "😀"'}),
    chunk({}, "stop"),
    {**chunk({}), "choices": [], "usage": USAGE},
)
TOOLS = stream(
    chunk({"role": "assistant", "content": None, **call(0, "", id="a", type="function", name="weather")}),
    chunk(call(0, '{"city": ')),
    chunk(call(0, '"Köln"}')),
    chunk(call(1, "", id="b", type="function", name="time")),
    chunk(call(1, "{}")),
    chunk({}, "tool_calls"),
)
DETAILS = {"finish_reason": "eos_token", "generated_tokens": 3, "seed": None}
TGI = stream(
    *({"index": i, "token": {"id": i, "text": t, "logprob": -0.1, "special": False}} for i, t in enumerate("aé😀")),
    {
        "index": 3,
        "token": {"id": 3, "text": "</s>", "logprob": -0.1, "special": True},
        "generated_text": "aé😀",
        "details": DETAILS,
    },
    done=False,
)
STREAMS: dict[str, Callable[[], bytes]] = {
    "chat": lambda: CHAT,
    "tools": lambda: TOOLS,
    "tgi": lambda: TGI,
    "recorded chat": lambda: recorded("/chat/completions", b'"delta"'),
    "recorded tgi": lambda: recorded("", b'"generated_text":"'),
}


def recorded(route: str, words: bytes) -> bytes:
    """The shortest recorded stream of at least five events with these words."""
    if RECORDED is None:
        pytest.skip("HEADWATER_RECORDED names no folder of recorded exchanges")
    bodies = [
        exchange.reply.body
        for exchange in exchanges(Path(RECORDED))
        if exchange.reply.content_type == EVENT_STREAM and exchange.url.endswith(route)
    ]
    return min((b for b in bodies if words in b and b.count(b"data:") >= 5 and b"[DONE]" not in b[:-20]), key=len)


def cut(body: bytes, at: int, framing: str, size: int = 0) -> ScriptedResponse:
    """The answer whose body is lost, ends, or seems to end, after `at` bytes; in pieces of `size`."""
    pieces: list[Any] = [body[i : min(i + size, at)] for i in range(0, at, size)] if size else [body[:at]]
    pieces = [piece for piece in pieces if piece]
    if framing == "eof":
        return ScriptedResponse(*pieces, content_type=EVENT_STREAM)
    if framing == "chunked with a last chunk":
        return ScriptedResponse(*pieces, content_type=EVENT_STREAM)
    lost = [] if framing == "length" and at == len(body) else [ConnectionLostError("the connection was lost")]
    return ScriptedResponse(*pieces, *lost, content_type=EVENT_STREAM)


def ask(client: Any, kind: str) -> Any:
    if "tgi" in kind:
        return client.text_generation.stream("hi", details=True)
    return client.chat_completion.stream(MESSAGES)


def parts(result: Any) -> list[str]:
    """What must not be lost, as texts that a cut may only shorten."""
    if result is None:
        return []
    if hasattr(result, "generated_text"):
        return [result.generated_text]
    found: list[str] = []
    for choice in result.choices:
        message = choice.message
        found.append(message.content or "")
        for tool in message.tool_calls or []:
            found += [tool.function.name or "", tool.function.arguments or ""]
    return found


def is_prefix(some: list[str], whole: list[str]) -> bool:
    return len(some) <= len(whole) and all(w.startswith(s) for s, w in zip(some, whole, strict=False))


async def outcome(client: Any, kind: str) -> tuple[list[str], HeadwaterError | None, Any]:
    """What the events said, the error, the result or what is left of it."""
    said: list[str] = []
    run = ask(client, kind)
    async with run:
        try:
            async for event in run:
                if "tgi" in kind:
                    said.append("" if event.token.special else event.token.text)
                else:
                    said += [choice.delta.content or "" for choice in event.choices]
            return said, None, await run.result()
        except HeadwaterError as error:
            return said, error, error.partial


async def judge(client: Any, kind: str, whole: list[str], where: str) -> bool:
    """Whether it was whole; fails where something was lost in silence."""
    said, error, result = await outcome(client, kind)
    if error is None:
        assert parts(result) == whole, where
        return True
    assert type(error) is IncompleteStreamError, (where, error)
    assert is_prefix(parts(result), whole), where
    if "tools" not in kind:
        assert "".join(said) == "".join(parts(result)), where
    return False


def on_the_wire(body: bytes, framing: str) -> bytes:
    """All that comes from the server after the head, but for the last chunk."""
    return chunks(body, 61) if framing.startswith("chunked") else body


ALIKE = {"length": 3, "reset": 3, "chunked with a last chunk": 3}
"""Of the bytes, every third where the wire says of a cut what another framing says of it, "chunked" that it was one and
"eof" nothing: what is made of the bytes until then is the same, and is looked at for each of them there."""
FRAMINGS = {
    "chunked": "Transfer-Encoding: chunked",
    "chunked with a last chunk": "Transfer-Encoding: chunked",
    "length": "Content-Length: {}",
    "eof": "Connection: close",
    "reset": "Transfer-Encoding: chunked",
}
CLEAN = frozenset({"chunked with a last chunk", "eof"})
"""Where a cut body looks like a whole one."""


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("kind", STREAMS)
async def test_cut_at_every_byte(
    driver: Driver, kind: str, framing: str, monkeypatch: pytest.MonkeyPatch, cuts: list[int]
) -> None:
    body = STREAMS[kind]()
    wire = body if framing in CLEAN else on_the_wire(body, framing)
    at, size = len(wire), len(wire)

    def script(_: bytes) -> Iterator[Step]:
        yield head(EVENT_STREAM, FRAMINGS[framing].format(len(body)))
        sent = wire[:at] if framing != "chunked with a last chunk" else chunks(wire[:at], 61) + b"0\r\n\r\n"
        for start in range(0, len(sent), size):
            yield sent[start : start + size]
        yield RESET if framing == "reset" else END

    far = FarSide(script)
    monkeypatch.setattr("headwater.transport.pool.dial", far.dial)
    async with driver.client(base_url=base(kind), transport=Pool(), retries=0) as client:
        _, error, result = await outcome(client, kind)
        assert isinstance(error, IncompleteStreamError) == (framing in {"chunked", "reset"})  # the last chunk lacks
        whole = parts(result)
        assert all(whole[1:])
        ends = []
        for at in range(1, len(wire), EVERY[driver.name] * ALIKE.get(framing, 1)):
            size = 1 + at * 7 % 499
            if await judge(client, kind, whole, f"cut at {at}: {wire[max(0, at - 40) : at]!r}"):
                ends.append(at)
            cuts.append(at)
        assert far.open() == (framing == "chunked with a last chunk")  # that one may serve again
    if framing in CLEAN:
        assert all(at >= len(body) - 400 for at in ends)
    else:
        assert ends == []  # where the wire says that it was cut, it was


@pytest.fixture(scope="module")
def cuts(request: pytest.FixtureRequest) -> Iterator[list[int]]:
    """Every cut that was judged; their number is said at the end."""
    made: list[int] = []
    yield made
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print(f"\n{len(made)} cuts: nothing lost in silence, nothing raw")


def base(kind: str) -> str:
    return "http://127.0.0.1:9" if "tgi" in kind else "http://127.0.0.1:9/v1"


async def test_a_cut_before_the_first_event_is_tried_again(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_TEST_MODE", "1")
    answers = [cut(CHAT, 20, "chunked"), cut(CHAT, 0, "length"), cut(CHAT, len(CHAT), "eof")]
    transport = MemoryTransport(lambda _: answers.pop(0))
    async with driver.client(base_url=base("chat"), transport=transport) as client:
        said, error, _ = await outcome(client, "chat")
    assert error is None
    assert "".join(said) == 'Grüße, \n\ndata: "😀"'
    assert len(transport.requests) == 3


async def test_a_cut_after_the_first_event_is_not(driver: Driver) -> None:
    transport = MemoryTransport(lambda _: cut(CHAT, 300, "chunked"))
    async with driver.client(base_url=base("chat"), transport=transport) as client:
        _, error, _ = await outcome(client, "chat")
    assert isinstance(error, IncompleteStreamError)
    assert isinstance(error.__cause__, ConnectionLostError)
    assert error.events_received
    assert len(transport.requests) == 1


async def test_resets_neither_repeat_nor_skip(
    loop_name: str, anyio_backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1,000 streams (fewer in debug mode) that break at random places, each retried while nothing has come."""
    monkeypatch.setenv("HEADWATER_TEST_MODE", "1")
    rand = random.Random(7)
    body = stream(*(chunk({"content": f"w{i} "}) for i in range(20)), chunk({}, "stop"))
    text = "".join(f"w{i} " for i in range(20))
    transport = MemoryTransport(
        lambda _: cut(body, rand.randrange(len(body)), "chunked", size=rand.choice([0, 50, 300]))
    )
    async with AsyncInferenceClient(base_url=base("chat"), transport=transport, retries=5) as client:
        for _ in range(1000 // EVERY[loop_name]):
            said, error, partial = await outcome(client, "chat")
            assert isinstance(error, (IncompleteStreamError, ConnectionLostError))
            assert text.startswith("".join(said))
            assert "".join(parts(partial)) == "".join(said)


@pytest.fixture(scope="module")
def server() -> Iterator[faults.FaultServer]:
    with faults.running() as found:
        yield found


@pytest.mark.parametrize("framing", ["chunked", "chunked_end", "length", "eof"])
async def test_cut_on_a_socket(driver: Driver, server: faults.FaultServer, framing: str) -> None:
    """A sample of the same through the pool, its parser and the kernel."""
    async with driver.client(base_url=f"{server.at('ok')}/v1") as client:
        _, _, result = await outcome(client, "chat")
        whole = parts(result)
        for at in range(1, 1900, 61):
            url = server.at("cut", at=at, framing=framing)
            await judge(client.with_options(base_url=f"{url}/v1", retries=0), "chat", whole, f"cut at {at}")
