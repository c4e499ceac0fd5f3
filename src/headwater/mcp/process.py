"""An MCP server that is a process: messages over its standard streams, one a line.

https://modelcontextprotocol.io/specification/draft/basic/transports#stdio

A line has a limit, and what the process writes to its standard error is kept, as much as an error can show. It runs in
a process group of its own; at the end its standard input is closed, and after a while the group is ended, then killed,
whatever the caller's state is: nothing of it is left.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import anyio
from anyio import CancelScope, create_memory_object_stream, create_task_group
from anyio.abc import ByteReceiveStream, Process
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from .servers import McpServer

MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024
TAIL_BYTES: Final = 2000
EXIT_SECONDS: Final = 1.0
"""Seconds that a process has to end by itself, and then, after SIGTERM, before SIGKILL."""
_POLL_SECONDS: Final = 0.01
_GONE: Final = (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError, OSError)


class ProcessLog:
    """What is known of a process that has gone: its last words on standard error, and why it was given up."""

    def __init__(self) -> None:
        self.tail = b""
        self.reason = ""

    def text(self) -> str:
        """The reason and the last words, in one line."""
        words = " ".join(self.tail.decode(errors="replace").split())[-500:]
        return "; ".join(filter(None, (self.reason, f"it wrote: {words}" if words else "")))


@asynccontextmanager
async def process_streams(server: McpServer, log: ProcessLog) -> AsyncIterator[Any]:
    """Start the process; its messages as the two streams that the package `mcp` reads and writes.

    Raises `OSError` where it cannot be started.
    """
    process = await anyio.open_process(
        list(server.command),
        env=server.environment(),
        cwd=server.cwd,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=os.name == "posix",
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    # Nothing is awaited before the group is entered: a cancellation there would leave the process behind.
    came, received = create_memory_object_stream[Any](0)
    sent, to_send = create_memory_object_stream[SessionMessage](0)
    with came, received, sent, to_send:
        async with create_task_group() as group:
            group.start_soon(_read_messages, process.stdout, came, log)
            group.start_soon(_write_messages, process, to_send, came)
            group.start_soon(_read_errors, process.stderr, log)
            try:
                yield received, sent
            finally:
                with CancelScope(shield=True):
                    await _stop(process)
                group.cancel_scope.cancel()


async def _read_messages(stdout: ByteReceiveStream, came: Any, log: ProcessLog) -> None:
    buffer = bytearray()
    with suppress(*_GONE):
        async with came:
            while True:
                try:
                    piece = await stdout.receive()
                except anyio.EndOfStream:
                    log.reason = log.reason or "its process has ended"
                    return
                first = len(buffer)
                buffer += piece
                if b"\n" in piece:
                    *lines, rest = bytes(buffer).split(b"\n")
                    buffer = bytearray(rest)
                    for line in filter(None, map(bytes.strip, lines)):
                        await came.send(_message(line))
                elif first > MAX_MESSAGE_BYTES:
                    log.reason = f"it sent a message of more than {MAX_MESSAGE_BYTES} bytes"
                    return


def _message(line: bytes) -> SessionMessage | Exception:
    """A line as a message; one that is none, as a program's own output is, is passed on as an error."""
    try:
        return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValueError as error:
        return error


async def _write_messages(process: Process, to_send: Any, came: Any) -> None:
    assert process.stdin is not None
    try:
        async with to_send:
            async for message in to_send:
                line = message.message.model_dump_json(by_alias=True, exclude_unset=True).encode()
                await process.stdin.send(line + b"\n")
    except _GONE:
        await came.aclose()  # whoever waits for an answer is told


async def _read_errors(stderr: ByteReceiveStream, log: ProcessLog) -> None:
    with suppress(*_GONE):
        while True:
            log.tail = (log.tail + await stderr.receive())[-TAIL_BYTES:]


async def _stop(process: Process) -> None:
    assert process.stdin is not None
    with suppress(*_GONE):
        await process.stdin.aclose()
    if not await _has_ended(process):
        _signal(process, "SIGTERM")
        if not await _has_ended(process):
            _signal(process, "SIGKILL")
            await _has_ended(process)
    else:
        _signal(process, "SIGKILL")  # what it has left behind of its group
    with suppress(*_GONE):
        await process.aclose()


async def _has_ended(process: Process) -> bool:
    """Whether it ends soon. Its pipes may be held by a child of its own: `wait` would wait for those, too."""
    deadline = anyio.current_time() + EXIT_SECONDS
    while process.returncode is None:
        if anyio.current_time() >= deadline:
            return False
        await anyio.sleep(_POLL_SECONDS)
    return True


def _signal(process: Process, name: str) -> None:
    with suppress(ProcessLookupError, PermissionError):
        if os.name == "posix":
            os.killpg(process.pid, getattr(signal, name))
        else:
            process.kill()
