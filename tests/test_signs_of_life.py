"""Comments, pings and fragments are silence to `idle`, signs of life to `alive`; one bound for answers and events."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from support.drivers import Driver

from headwater import InferenceTimeoutError, InvalidParameterError, ResponseTooLargeError, Timeout
from headwater.emulator import faults
from headwater.testing import EVENT_STREAM, MemoryTransport, ScriptedResponse

pytestmark = pytest.mark.anyio

MESSAGES = [{"role": "user", "content": "hi"}]
WORD = b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"w"}}]}\n\n'
END = b'data: {"id":"1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
SIGNS = {"comments": b": OPENROUTER PROCESSING\n\n", "pings": b"event: ping\ndata: {}\n\n", "fragments": b"data: {"}


async def phase_of(driver: Driver, *steps: Any, **limits: Any) -> str | None:
    """The phase of the timeout that ends a stream of these steps; None where it is whole."""
    transport = MemoryTransport(lambda _: ScriptedResponse(*steps, content_type=EVENT_STREAM))
    timeout = Timeout(**limits)
    async with driver.client(base_url="http://127.0.0.1:9/v1", transport=transport, timeout=timeout) as client:
        try:
            answer = await client.chat_completion.stream(MESSAGES).result()
        except InferenceTimeoutError as error:
            return error.phase
    assert answer.choices[0].message.content == "w"
    return None


@pytest.mark.parametrize("first", [True, False], ids=["before the first event", "after it"])
@pytest.mark.parametrize("sign", ["comments", "pings"])
async def test_signs_of_life_are_heard(driver: Driver, sign: str, first: bool) -> None:
    signs = [step for _ in range(20) for step in (0.03, SIGNS[sign])]
    steps = [*signs, WORD, END] if first else [WORD, *signs, END]
    assert await phase_of(driver, *steps, idle=None, alive=5) is None
    if not first:
        assert await phase_of(driver, *steps, idle=0.2) == "idle"
        assert await phase_of(driver, *steps, idle=0.2, alive=5) == "idle"


@pytest.mark.parametrize("begun", [[], [WORD], [SIGNS["comments"]], [WORD, SIGNS["pings"]], [WORD, SIGNS["fragments"]]])
async def test_none_is_death(driver: Driver, begun: list[bytes]) -> None:
    assert await phase_of(driver, *begun, 60.0, WORD, END, idle=None, alive=0.2) == "alive"
    assert await phase_of(driver, *begun, 60.0, WORD, END, idle=30, alive=0.2) == "alive"


async def test_the_other_limits_hold(driver: Driver) -> None:
    signs = [step for _ in range(40) for step in (0.02, SIGNS["comments"])]
    assert await phase_of(driver, *signs, WORD, END, first_event=0.2, alive=5) == "first_event"
    assert await phase_of(driver, WORD, *signs, END, total=0.2, idle=None, alive=5) == "total"


async def test_a_plain_answer_gives_signs_of_life_with_every_piece(driver: Driver) -> None:
    body = json.dumps({"id": "1", "choices": [{"index": 0, "message": {"content": "w"}, "finish_reason": "stop"}]})
    for steps, wanted in (([b"\n", 0.05, b"\n", 0.05, body.encode()], None), ([b"\n", 60.0, body.encode()], "alive")):
        transport = MemoryTransport(lambda _, steps=steps: ScriptedResponse(*steps))  # type: ignore[misc]
        timeout = Timeout(alive=0.4)
        async with driver.client(base_url="http://127.0.0.1:9/v1", transport=transport, timeout=timeout) as client:
            if wanted is None:
                assert (await client.chat_completion(MESSAGES)).choices[0].message.content == "w"
                continue
            with pytest.raises(InferenceTimeoutError) as caught:
                await client.chat_completion(MESSAGES)
            assert caught.value.phase == wanted


@pytest.fixture(scope="module")
def server() -> Any:
    with faults.running() as found:
        yield found


async def test_on_sockets(driver: Driver, server: faults.FaultServer) -> None:
    async def phase(url: str, **limits: Any) -> str:
        async with driver.client(base_url=f"{url}/v1", timeout=Timeout(**limits)) as client:
            with pytest.raises(InferenceTimeoutError) as caught:
                await client.chat_completion.stream(MESSAGES).result()
        return caught.value.phase or ""

    assert await phase(server.at("sse_stall"), idle=None, alive=0.3) == "alive"
    assert await phase(server.at("sse_keepalives", pause=0.02), idle=0.4, alive=10) == "idle"
    assert await phase(server.at("sse_keepalives", pause=0.02), total=0.6, idle=None, alive=10) == "total"


@pytest.mark.parametrize("wrong", [0, -1, True, "5"])
def test_what_alive_cannot_be(wrong: Any) -> None:
    with pytest.raises(InvalidParameterError, match="alive"):
        Timeout(alive=wrong)


# the bound


def of(size: int, *, stream: bool) -> bytes:
    text = "x" * size
    if stream:
        choice = {"index": 0, "delta": {"content": text}, "finish_reason": "stop"}
        return b"data: " + json.dumps({"id": "1", "choices": [choice]}).encode() + b"\n\n"
    return json.dumps({"id": "1", "choices": [{"index": 0, "message": {"content": text}}]}).encode()


@pytest.mark.parametrize("label", [EVENT_STREAM, "application/json"])
@pytest.mark.parametrize("stream", [True, False], ids=["event", "answer"])
async def test_one_bound_for_answers_and_events(driver: Driver, stream: bool, label: str) -> None:
    async def ask(size: int, **options: Any) -> int:
        body = of(size, stream=stream)
        pieces = [body[i : i + 65536] for i in range(0, len(body), 65536)]
        transport = MemoryTransport(lambda _: ScriptedResponse(*pieces, content_type=label))
        async with driver.client(base_url="http://127.0.0.1:9/v1", transport=transport, **options) as client:
            if stream:
                answer = await client.chat_completion.stream(MESSAGES).result()
            else:
                answer = await client.chat_completion(MESSAGES)
        return len(answer.choices[0].message.content)

    assert await ask(17 * 1024 * 1024) == 17 * 1024 * 1024
    assert await ask(5000, max_response_bytes=6000) == 5000
    with pytest.raises(ResponseTooLargeError) as caught:
        await ask(7000, max_response_bytes=6000)
    assert caught.value.limit == 6000


async def test_the_bound_of_media_and_through_httpx(driver: Driver) -> None:
    sound = b"RIFF\x24\0\0\0WAVEfmt " + bytes(5000)

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": "audio/wav"}, content=sound)

    transport = httpx.MockTransport(answer)
    async with driver.client(base_url="http://127.0.0.1:9/v1", transport=transport) as client:
        assert await client.text_to_speech("hi") == sound
        with pytest.raises(ResponseTooLargeError):
            await client.with_options(max_response_bytes=5000).text_to_speech("hi")


@pytest.mark.parametrize("wrong", [0, -1, True, 1.5, "5"])
def test_what_the_bound_cannot_be(wrong: Any) -> None:
    with pytest.raises(InvalidParameterError, match="max_response_bytes"):
        Driver("asyncio").client(max_response_bytes=wrong)
