"""The tools of MCP servers as tools of a conversation, for as long as a `with` block lasts.

    entered    each server has a task of its own, which connects, lists its tools, and waits
    calls      go to the server's connection; one that has gone is an error of each call, and spares the others
    left       the tasks end: a process is ended, a session closed, each within seconds

The block holds the tasks in one group; no error of a server's leaves its task.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, overload

import anyio
import anyio.to_thread
from anyio import Event, create_task_group, current_time, fail_after
from anyio.abc import TaskGroup, TaskStatus

from ..blocking.portal import call, spawn
from ..conversation.tool import Tool
from ..conversation.tool_answer import ToolContent
from ..engine.event_loop import is_cancellation
from ..errors import CallError, HeadwaterError, InvalidParameterError, ToolError
from ..transport.transports import Transports
from .results import content_of_result
from .servers import McpServer, servers_of
from .tool_names import unique_names

if TYPE_CHECKING:
    from .connection import McpConnection

LEAVE_SECONDS: Final = 8.0
"""Seconds that leaving all servers may take."""


class McpTools(Sequence[Tool[..., Any]]):
    """The tools of one MCP server or several; a list of them while the block lasts. `mcp_tools` makes one."""

    def __init__(
        self,
        servers: Sequence[McpServer],
        *,
        allow: Sequence[str] | None,
        timeout: float | None,
        connect_timeout: float,
        transports: Transports,
    ) -> None:
        self._servers = servers
        self._allow = allow
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._transports = transports
        self._tools: list[Tool[..., Any]] = []
        self._connections: list[McpConnection] = []
        self._group: TaskGroup | None = None
        self._stop: Event
        self._left: Event
        self._hosted: Any = None

    @overload
    def __getitem__(self, index: int) -> Tool[..., Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[Tool[..., Any]]: ...
    def __getitem__(self, index: Any) -> Any:
        return self._tools[index]

    def __len__(self) -> int:
        return len(self._tools)

    def __iter__(self) -> Iterator[Tool[..., Any]]:
        return iter(self._tools)

    @property
    def versions(self) -> dict[str, str]:
        """The version of the protocol that each server speaks, by the server's name."""
        return {connection.server.name: connection.version for connection in self._connections}

    # -- as `async with`

    async def __aenter__(self) -> Self:
        if self._group is not None:
            raise CallError("mcp_tools(...) is entered once; make another one")
        await anyio.to_thread.run_sync(_import_mcp)
        self._stop = Event()
        self._group = create_task_group()
        await self._group.__aenter__()
        try:
            for server in self._servers:
                self._connections.append(await self._connect(server))
            self._tools = self._allowed()
        except BaseException as error:
            await self._leave(error)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._leave(error)

    async def _leave(self, error: BaseException | None) -> None:
        assert self._group is not None
        self._stop.set()
        self._group.cancel_scope.deadline = current_time() + LEAVE_SECONDS
        if error is not None and is_cancellation(error):
            await self._group.__aexit__(type(error), error, error.__traceback__)
        else:  # an exception of the caller's comes out as it is, in no group
            await self._group.__aexit__(None, None, None)
        await self._transports.aclose()

    async def _connect(self, server: McpServer) -> McpConnection:
        assert self._group is not None
        try:
            with fail_after(self._connect_timeout):
                found = await self._group.start(self._host, server)
        except TimeoutError:
            raise ToolError(
                f"the MCP server {server.label} did not answer within {self._connect_timeout:g} s"
            ) from None
        if isinstance(found, HeadwaterError):
            raise found
        connection: McpConnection = found
        return connection

    async def _host(self, server: McpServer, *, task_status: TaskStatus[Any]) -> None:
        """Hold the connection to one server, until the block is left."""
        from .connection import connected, server_error
        from .process import ProcessLog

        log, started = ProcessLog(), False
        try:
            async with connected(server, self._transports, log, self._connect_timeout) as connection:
                started = True
                task_status.started(connection)
                await self._stop.wait()
        except Exception as error:  # noqa: BLE001 - a server's error is its calls', and no task's
            if not started:
                task_status.started(server_error(server, error, log))

    # -- as `with`

    def __enter__(self) -> Self:
        """The same for blocking code: the tools live on the event loop of the sync clients."""
        if self._hosted is not None:
            raise CallError("mcp_tools(...) is entered once; make another one")
        self._hosted = _Hosted(self)
        call(self._hosted.start, left=self._hosted.stop_soon)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        call(self._hosted.stop)

    # -- its tools

    def _allowed(self) -> list[Tool[..., Any]]:
        """The tools that are allowed, under names that none has twice."""
        all_tools = [(connection, told) for connection in self._connections for told in connection.allowed()]
        names = unique_names([(connection.server.name, told.name) for connection, told in all_tools])
        if self._allow is None:
            return [self._tool(*pair, name) for pair, name in zip(all_tools, names, strict=True)]
        wanted = set(self._allow)
        unknown = wanted - set(names) - {told.name for _, told in all_tools}
        if unknown:
            known = ", ".join(names) or "none"
            raise InvalidParameterError(f"allow: there is no tool {', '.join(sorted(unknown))}; there are: {known}")
        chosen = [
            (connection, told, name)
            for (connection, told), name in zip(all_tools, names, strict=True)
            if name in wanted or told.name in wanted
        ]
        return [self._tool(*one) for one in chosen]

    def _tool(self, connection: McpConnection, told: Any, name: str) -> Tool[..., Any]:
        hints = told.annotations
        schema = {"type": "object", **told.input_schema}
        schema.setdefault("properties", {})
        return Tool(
            _caller(connection, told.name, self._timeout),
            name=name,
            description=told.description or told.title or "",
            parameters=schema,
            repeatable=bool(hints and (hints.read_only_hint or hints.idempotent_hint)),
        )


def _import_mcp() -> None:
    """Import the package, which takes a second or two, in a thread. Raises `ImportError` where it is not installed."""
    try:
        importlib.import_module(f"{__package__}.connection")
        importlib.import_module("jsonschema.validators")  # mcp does when it reads the first result, on the event loop
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("mcp", "mcp_types", "httpx2"):
            raise
        raise ImportError('mcp_tools needs mcp: pip install "headwater[mcp]"', name=error.name) from error


def _caller(connection: McpConnection, name: str, seconds: float | None) -> Callable[..., Any]:
    async def call_tool(**arguments: Any) -> ToolContent:
        return content_of_result(await connection.call(name, arguments, seconds))

    return call_tool


class _Hosted:
    """The tools for blocking code: one task of the shared loop enters and leaves them."""

    def __init__(self, tools: McpTools) -> None:
        self._tools = tools
        self._ready, self._stop, self._over = Event(), Event(), Event()
        self._failure: BaseException | None = None

    async def start(self) -> None:
        """Enter them. Raises what that raises."""
        spawn(self._live)
        await self._ready.wait()
        if self._failure is not None:
            raise self._failure

    async def _live(self) -> None:
        try:
            async with self._tools:
                self._ready.set()
                await self._stop.wait()
        except Exception as error:  # noqa: BLE001 - raised where it is waited for
            self._failure = error
        finally:
            self._ready.set()
            self._over.set()

    async def stop(self) -> None:
        """Leave them, and wait until they are left."""
        self._stop.set()
        await self._over.wait()

    def stop_soon(self) -> None:
        """Leave them, whoever has been interrupted."""
        spawn(self.stop)


def mcp_tools(
    *servers: str | Sequence[str] | McpServer,
    allow: Sequence[str] | None = None,
    headers: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    auth: Any = None,
    timeout: float | None = 60.0,
    connect_timeout: float = 30.0,
    proxies: str | Mapping[str, str] | None = None,
    trust_env: bool = True,
) -> McpTools:
    """Connect to MCP servers: `async with mcp_tools("https://host/mcp") as tools`, or `with` for blocking code.

    `tools` are tools for `client.converse(..., tools=[*tools])`. Versions of the protocol from 2024-11-05 on are
    spoken, over streamable HTTP and over the standard streams of a process. Needs the extra `mcp`.

    Args:
        servers: A URL, a command as a list, or an `McpServer`, which may have headers, an environment and a name.
        allow: The tools that may be called, by name; all where it is not given.
        headers: Of the only server, a URL: sent to its origin, and nowhere else.
        env: Of the only server, a command: variables of its process, which sees no key of this one's.
        auth: Of the only server, a URL: an `httpx2.Auth`, such as the OAuth providers of `mcp.client.auth`. What it
            asks of an authorization server is part of the time to connect.
        timeout: Seconds that one call may take.
        connect_timeout: Seconds that starting, connecting to and asking a server for its tools may take.
        proxies: A proxy URL, or one by scheme, for servers that are URLs.
        trust_env: Whether proxies are also taken from the environment.

    Raises:
        InvalidParameterError: An argument is wrong. Entered: `allow` names a tool that there is not.
        InsecureCredentialError: Headers or a token would go over plain http to another machine.
        ToolError: Entered: a server cannot be started or reached, or gives no list of tools.
        ImportError: Entered: the extra is not installed.
    """
    found = servers_of(servers, {"headers": headers, "env": env, "auth": auth})
    if isinstance(allow, str):
        raise InvalidParameterError("allow must be a list of names")
    transports = Transports(proxies=proxies, trust_env=trust_env)
    return McpTools(found, allow=allow, timeout=timeout, connect_timeout=connect_timeout, transports=transports)
