"""`EventStream` at an ASGI server made of two functions: what it sends, when it waits, and how it ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anyio
import anyio.to_thread
import pytest
from starlette.background import BackgroundTask
from support.web_servers import PATIENCE, datas

from headwater import AsyncInferenceClient, InvalidParameterError
from headwater.emulator import faults
from headwater.integrations.sse import EventStream, format_event
from headwater.integrations.starlette import EventStreamResponse

pytestmark = pytest.mark.anyio


@pytest.fixture
def upstream() -> Iterator[faults.FaultServer]:
    with faults.running() as running:
        yield running


class Server:
    """Calls an application, and keeps what it sends. `gone` is set when the browser leaves."""

    def __init__(self) -> None:
        self.gone = anyio.Event()
        self.sent: list[Any] = []
        self.waits: anyio.Event | None = None

    @property
    def text(self) -> str:
        return b"".join(message.get("body", b"") for message in self.sent).decode()

    async def receive(self) -> Any:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)
        if self.waits is not None:
            await self.waits.wait()

    async def run(self, application: Any) -> str:
        with anyio.fail_after(PATIENCE):
            await application({"type": "http"}, self.receive, self.send)
        return self.text


def run_of(client: AsyncInferenceClient) -> Any:
    return client.chat_completion.stream([{"role": "user", "content": "hi"}], model="m")


async def closed(upstream: faults.FaultServer) -> None:
    assert await anyio.to_thread.run_sync(upstream.wait_closed, 1, PATIENCE)
    assert upstream.connections[0].closed_by == "client"


@pytest.mark.parametrize(
    ("data", "event", "expected"),
    [
        ("x", "", b"data: x\n\n"),
        ("é", "error", b"event: error\ndata: \xc3\xa9\n\n"),
        ("a\nb\r\nc\rd", "", b"data: a\ndata: b\ndata: c\ndata: d\n\n"),
        ("a\u2028b", "", "data: a\u2028b\n\n".encode()),
        (b"", "", b"data: \n\n"),
    ],
)
def test_an_event_is_framed(data: str, event: str, expected: bytes) -> None:
    assert format_event(data, event) == expected


async def test_events_as_json_in_order(upstream: faults.FaultServer) -> None:
    server = Server()
    async with AsyncInferenceClient(base_url=upstream.at("ok")) as client:
        text = await server.run(EventStream(run_of(client)))
    *events, last = datas(text)
    assert last == "[DONE]"
    assert all(event.startswith('{"choices":[') for event in events)
    assert [message.get("more_body") for message in server.sent][-1] is False


async def test_what_has_no_encoding_is_left_out(upstream: faults.FaultServer) -> None:
    server = Server()
    async with AsyncInferenceClient(base_url=upstream.at("ok")) as client:
        assert await server.run(EventStream(run_of(client), encode=lambda event: None)) == "data: [DONE]\n\n"


@pytest.mark.parametrize("fault", ["hang_before_headers", "sse_stall"])
async def test_silence_is_broken_by_comments(upstream: faults.FaultServer, fault: str) -> None:
    server = Server()

    async def leave_after_three(message: Any) -> None:
        server.sent.append(message)
        if server.text.count(":\n\n") == 3:
            server.gone.set()

    async with AsyncInferenceClient(base_url=upstream.at(fault)) as client:
        with anyio.fail_after(PATIENCE):
            await EventStream(run_of(client), heartbeat=0.02)({"type": "http"}, server.receive, leave_after_three)
        await closed(upstream)
    assert server.sent[0]["status"] == 200


async def test_a_browser_that_does_not_read_is_not_read_for(upstream: faults.FaultServer) -> None:
    """An endless flood, and a browser that takes nothing: what is held does not grow."""
    server = Server()
    server.waits = anyio.Event()
    async with AsyncInferenceClient(base_url=upstream.at("sse_flood")) as client, anyio.create_task_group() as group:
        run = run_of(client)
        group.start_soon(server.run, EventStream(run, heartbeat=0.02))
        assert await anyio.to_thread.run_sync(upstream.wait_requests, 1, PATIENCE)
        while not server.sent:
            await anyio.sleep(0.01)
        await anyio.sleep(0.1)  # heartbeats are due, and wait for their turn
        assert len(server.sent) == 1
        assert run.bytes < 1 << 20
        server.gone.set()
    await closed(upstream)


async def test_a_server_whose_send_fails(upstream: faults.FaultServer) -> None:
    """ASGI 2.4: a browser that went away is an OSError."""
    server = Server()

    async def failing(message: Any) -> None:
        if message["type"] == "http.response.body":
            raise OSError("gone")

    async with AsyncInferenceClient(base_url=upstream.at("sse_forever", pause=0.01)) as client:
        with anyio.fail_after(PATIENCE):
            await EventStream(run_of(client))({"type": "http"}, server.receive, failing)
        await closed(upstream)


async def test_a_mistake_of_the_program_s_own_is_raised(upstream: faults.FaultServer) -> None:
    def broken(event: Any) -> str:
        raise ZeroDivisionError

    async with AsyncInferenceClient(base_url=upstream.at("sse_forever", pause=0.01)) as client:
        with pytest.raises(ExceptionGroup) as caught:
            await Server().run(EventStream(run_of(client), encode=broken))
        await closed(upstream)
    assert caught.group_contains(ZeroDivisionError, depth=1)


async def test_cancelling_the_request_closes_the_run(upstream: faults.FaultServer) -> None:
    server = Server()
    async with AsyncInferenceClient(base_url=upstream.at("sse_forever", pause=0.01)) as client:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(server.run, EventStream(run_of(client)))
                while "data: " not in server.text:
                    await anyio.sleep(0.01)
                scope.cancel()
        await closed(upstream)


async def test_the_response_keeps_its_headers_and_background(upstream: faults.FaultServer) -> None:
    after: list[str] = []
    server = Server()
    async with AsyncInferenceClient(base_url=upstream.at("ok")) as client:
        response = EventStreamResponse(
            run_of(client), headers={"x-own": "1"}, background=BackgroundTask(after.append, "done")
        )
        response.set_cookie("seen", "1")
        await server.run(response)
    names = dict(server.sent[0]["headers"])
    assert names[b"content-type"] == b"text/event-stream"
    assert names[b"x-own"] == b"1"
    assert b"set-cookie" in names
    assert b"content-length" not in names
    assert after == ["done"]


@pytest.mark.parametrize("heartbeat", [0, -1, float("nan")])
async def test_a_heartbeat_is_positive(heartbeat: float) -> None:
    with pytest.raises(InvalidParameterError, match="heartbeat"):
        EventStream(run_of(AsyncInferenceClient(base_url="http://127.0.0.1:9")), heartbeat=heartbeat)
