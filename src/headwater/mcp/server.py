"""The tasks as tools of an MCP server, on the standard streams or over HTTP.

A caller is nobody that this machine trusts: no path is read, no model may be a server's URL, only the tasks that are
allowed can be called, and over HTTP only with the key, where there is one; beyond this machine there must be.
"""

from __future__ import annotations

import binascii
import hmac
import ipaddress
from collections.abc import Sequence
from typing import Any, Final

import anyio.to_thread
import mcp_types as types
from mcp.server import Server
from mcp.server.stdio import stdio_server

from .. import __version__
from ..client.async_client import AsyncInferenceClient
from ..client.core import core_of
from ..engine.input_policy import InputPolicy
from ..errors import HeadwaterError, InvalidParameterError
from ..media.images import encode_image
from ..media.media import Media
from ..media.source import kind_of
from ..tasks.chat_types import ChatCompletionOutput
from ..tasks.output import Output, to_json
from .task_schema import allowed_tasks, arguments_of_call, input_schema

PATH: Final = "/mcp"
LONGEST_DESCRIPTION: Final = 1000


def task_server(client: AsyncInferenceClient, allow: Sequence[str] | None = None) -> Server[Any]:
    """An MCP server whose tools are the client's tasks, by the names of their methods; all of them, or those allowed.

    Raises `InvalidParameterError` where `allow` names no task.
    """
    tasks = allowed_tasks(allow)
    policy = core_of(client).engine.policy
    careful = InputPolicy(
        paths=False, model_urls=False, urls=policy.urls, allow_private=policy.allow_private, limit=policy.limit
    )
    caller = client.with_options(input_policy=careful)
    tools = [
        types.Tool(name=name, description=_words(task.doc), input_schema=input_schema(task))
        for name, task in tasks.items()
    ]

    async def list_tools(context: Any, params: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=tools)

    async def call_tool(context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        task = tasks.get(params.name)
        try:
            if task is None:
                raise InvalidParameterError(f"there is no tool {params.name[:60]!r}")
            given = arguments_of_call(task, params.arguments or {})
            # In a thread: an image is encoded, which takes a while.
            return await anyio.to_thread.run_sync(call_result, await getattr(caller, task.method)(**given))
        except HeadwaterError as error:
            return types.CallToolResult(content=[_text(f"{type(error).__name__}: {error}")], is_error=True)

    return Server("headwater", version=__version__, on_list_tools=list_tools, on_call_tool=call_tool)


def _words(doc: str | None) -> str:
    """What a task does: its docstring up to the parameters."""
    return " ".join((doc or "").partition("Args:")[0].split())[:LONGEST_DESCRIPTION]


def _text(said: str) -> types.TextContent:
    return types.TextContent(type="text", text=said)


def call_result(result: Any) -> types.CallToolResult:
    """A task's result: images, sounds and videos as what they are, all else as text, and objects as such besides."""
    if isinstance(result, str):
        return types.CallToolResult(content=[_text(result)])
    if (media := _media(result)) is not None:
        return types.CallToolResult(content=[media])
    plain = to_json(result).decode()
    if isinstance(result, ChatCompletionOutput) and result.choices:
        message = result.choices[0].message
        said = message.content if message.content and not message.tool_calls else plain
        return types.CallToolResult(content=[_text(said)], structured_content=result.to_dict())
    structured = result.to_dict() if isinstance(result, Output) else None
    return types.CallToolResult(content=[_text(plain)], structured_content=structured)


def _media(result: Any) -> types.ImageContent | types.AudioContent | types.EmbeddedResource | None:
    if isinstance(result, Media):
        data, mime = bytes(result), result.mime_type
    elif kind_of(result) == "image":
        data, mime = encode_image(result)
    else:
        return None
    text = binascii.b2a_base64(data, newline=False).decode()
    if mime.startswith("image/"):
        return types.ImageContent(type="image", data=text, mime_type=mime)
    if mime.startswith("audio/"):
        return types.AudioContent(type="audio", data=text, mime_type=mime)
    held = types.BlobResourceContents(uri="headwater:result", mime_type=mime, blob=text)
    return types.EmbeddedResource(type="resource", resource=held)


async def serve_stdio(server: Server[Any]) -> None:
    """Serve the standard streams until standard input ends."""
    async with stdio_server() as (received, sent):
        await server.run(received, sent, server.create_initialization_options())


class HttpServer:
    """The server as an ASGI application at `/mcp`, for callers who have the key: `Authorization: Bearer KEY`."""

    def __init__(self, server: Server[Any], host: str, key: str | None) -> None:
        """Raises `InvalidParameterError` where others could reach it without a key."""
        if key is None and not _is_loopback(host):
            raise InvalidParameterError(f"a server at {host} can be reached by others: it needs a key")
        self._key = key.encode() if key else None
        self._app = server.streamable_http_app(streamable_http_path=PATH, host=host)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and not self._may(scope):
            headers = [(b"content-type", b"application/json"), (b"www-authenticate", b"Bearer")]
            await send({"type": "http.response.start", "status": 401, "headers": headers})
            await send({"type": "http.response.body", "body": b'{"error": "the key is missing or wrong"}'})
            return
        await self._app(scope, receive, send)

    def _may(self, scope: Any) -> bool:
        if self._key is None:
            return True
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        scheme, _, key = given.partition(b" ")
        return scheme.lower() == b"bearer" and hmac.compare_digest(key.strip(), self._key)


def serve_http(server: Server[Any], host: str, port: int, key: str | None) -> None:
    """Serve HTTP until Ctrl-C. Raises `InvalidParameterError` where others could reach it without a key."""
    import uvicorn

    app = HttpServer(server, host, key)
    uvicorn.run(app, host=host, port=port, timeout_graceful_shutdown=1, log_level="warning", ws="none")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
