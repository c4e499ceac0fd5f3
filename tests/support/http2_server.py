"""HTTP/2 servers on loopback, in a thread, made of `h2`: what a test wants an answer to be, and how streams are cut.

`Http2Server` runs `answer(stream)` for each request; a `ServedStream` says what it wants, in frames. It keeps count of
what it has seen: connections, streams that were reset by the client, and bytes that it could not send yet.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import Context
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.exceptions
from h2.settings import SettingCodes

HEAD = [(":status", "200"), ("content-type", "text/event-stream")]


class ServedStream:
    """One request, and what is said to it. `left`: once the client has reset it, with which code."""

    def __init__(self, connection: ServedConnection, stream_id: int, headers: Any) -> None:
        self.connection = connection
        self.id = stream_id
        self.headers = {name.decode(): value.decode("latin-1") for name, value in headers}
        self.body = bytearray()
        self.whole = asyncio.Event()
        self.left: int | None = None
        self.moved = asyncio.Event()

    async def request(self) -> bytes:
        """The request's body, once it is whole."""
        await self.whole.wait()
        return bytes(self.body)

    def head(self, *fields: tuple[str, str], status: int = 200, ended: bool = False) -> None:
        self._say(lambda h2: h2.send_headers(self.id, [(":status", str(status)), *fields], end_stream=ended))

    async def data(self, data: bytes, *, ended: bool = False, padding: int | None = None) -> None:
        """Send this as the windows allow; an error once the client has left."""
        view = memoryview(data)
        while True:
            h2 = self.connection.h2
            if self.left is not None or self.connection.lost:
                raise ConnectionResetError
            size = min(len(view), h2.local_flow_control_window(self.id) - (padding or 0), h2.max_outbound_frame_size)
            if size > 0 or not view:
                last = size == len(view)
                h2.send_data(self.id, view[:size].tobytes(), end_stream=ended and last, pad_length=padding)
                self.connection.flush()
                view = view[max(size, 0) :]
                await self.connection.drained()
                if last:
                    return
            else:
                self.moved.clear()
                await self.moved.wait()

    def trailers(self, *fields: tuple[str, str]) -> None:
        self._say(lambda h2: h2.send_headers(self.id, list(fields), end_stream=True))

    def reset(self, code: int) -> None:
        self._say(lambda h2: h2.reset_stream(self.id, code))

    async def gone(self) -> None:
        """Until the client has left."""
        while self.left is None and not self.connection.lost:
            self.moved.clear()
            await self.moved.wait()

    def _say(self, what: Callable[[h2.connection.H2Connection], None]) -> None:
        if self.left is None and not self.connection.lost:
            what(self.connection.h2)
            self.connection.flush()


class ServedConnection(asyncio.Protocol):
    """One accepted connection."""

    transport: asyncio.Transport

    def __init__(self, server: Http2Server) -> None:
        self.server = server
        self.streams: dict[int, ServedStream] = {}
        self.lost = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._writable = asyncio.Event()
        self._writable.set()
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, validate_outbound_headers=False)
        )

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.server.connections.append(self)
        self.h2.initiate_connection()
        self.h2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: self.server.most, **self.server.settings})
        self.flush()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    async def drained(self) -> None:
        await self._writable.wait()

    def flush(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(self.h2.data_to_send())

    def raw(self, data: bytes) -> None:
        """Bytes that `h2` would not send."""
        self.flush()
        self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        try:
            happened = self.h2.receive_data(data)
        except h2.exceptions.ProtocolError as error:
            self.server.failures.append(error)
            self.flush()
            self.transport.close()
            return
        for event in happened:
            self._take(event)
        self.flush()

    def _take(self, event: Any) -> None:
        stream = self.streams.get(getattr(event, "stream_id", None) or 0)
        if isinstance(event, h2.events.RequestReceived):
            stream = self.streams[event.stream_id] = ServedStream(self, event.stream_id, event.headers)
            task = asyncio.ensure_future(self._answer(stream))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            self.server.requests += 1
        elif isinstance(event, h2.events.DataReceived) and stream is not None:
            stream.body += event.data or b""
            if self.server.reads:
                self.h2.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded) and stream is not None:
            stream.whole.set()
        elif isinstance(event, h2.events.StreamReset):
            self.server.resets.append(int(event.error_code))
            if stream is not None:
                stream.left = int(event.error_code)
                stream.whole.set()
                stream.moved.set()
        elif isinstance(event, h2.events.WindowUpdated | h2.events.RemoteSettingsChanged):
            for each in [stream] if stream is not None else list(self.streams.values()):
                each.moved.set()

    async def _answer(self, stream: ServedStream) -> None:
        try:
            with contextlib.suppress(ConnectionResetError, h2.exceptions.StreamClosedError):
                await self.server.answer(stream)
        except (asyncio.CancelledError, GeneratorExit):
            raise
        except BaseException as error:  # noqa: BLE001 - raised again when the test ends
            self.server.failures.append(error)
        finally:
            self.streams.pop(stream.id, None)

    def connection_lost(self, _: Exception | None) -> None:
        self.lost = True
        self._writable.set()
        for stream in list(self.streams.values()):
            stream.whole.set()
            stream.moved.set()
        for task in list(self._tasks):
            task.cancel()


class Http2Server:
    """`most`: streams on a connection; `settings`: further ones; `reads`: whether bodies' windows are given back."""

    def __init__(
        self,
        answer: Callable[[ServedStream], Awaitable[None]],
        context: ssl.SSLContext | None = None,
        *,
        most: int = 100,
        settings: dict[Any, int] | None = None,
        reads: bool = True,
    ) -> None:
        self.answer = answer
        self.most, self.reads = most, reads
        self.settings = settings or {}
        self.connections: list[ServedConnection] = []
        self.resets: list[int] = []
        self.failures: list[BaseException] = []
        self.requests = 0
        self._context = context
        self.loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        # In a context of its own: free-threaded Python would give it the test's, which may be of another event loop.
        self._thread = threading.Thread(target=Context().run, args=(self._run,), daemon=True)
        self._thread.start()
        assert self._ready.wait(20)
        self.url = f"{'https://localhost' if context else 'http://127.0.0.1'}:{self.port}"

    @property
    def open(self) -> int:
        return sum(not each.lost for each in self.connections)

    def call(self, what: Callable[[], Any]) -> Any:
        """Do this in the server's thread, and wait."""

        async def do() -> Any:
            return what()

        return asyncio.run_coroutine_threadsafe(do(), self.loop).result(20)

    def stop(self) -> None:
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(20)
        for failure in self.failures:
            raise failure

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._serve())
        self.loop.close()

    async def _serve(self) -> None:
        self._stopping = asyncio.Event()
        server = await self.loop.create_server(
            lambda: ServedConnection(self), "127.0.0.1", 0, ssl=self._context, backlog=1024
        )
        self.port: int = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stopping.wait()
        for sock in server.sockets:
            self.loop.remove_reader(sock.fileno())
        await asyncio.sleep(0)
        server.close()
        for each in self.connections:
            each.transport.abort()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for _ in range(5):
            await asyncio.sleep(0)


@contextmanager
def serving_http2(
    answer: Callable[[ServedStream], Awaitable[None]], context: ssl.SSLContext | None = None, **more: Any
) -> Iterator[Http2Server]:
    server = Http2Server(answer, context, **more)
    try:
        yield server
    finally:
        server.stop()


async def pieces(*data: bytes) -> AsyncIterator[bytes]:
    for piece in data:
        yield piece
