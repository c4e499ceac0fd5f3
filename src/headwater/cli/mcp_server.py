"""`headwater mcp`: the tasks as tools of an MCP server."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import anyio

from ..client.async_client import AsyncInferenceClient
from ..client.core import core_of
from ..errors import InvalidParameterError
from . import connection
from .options import MODEL_HELP, option
from .terminal import say

STOPPED_BY_CTRL_C: Final = 130
_OPTIONS: Final = (
    option("allow", list[str], "A task that may be called, such as text-to-image; all if not given.", metavar="TASK"),
    option("model", str, MODEL_HELP + " For calls that name none.", metavar="MODEL"),
    option("port", int, "Serve HTTP at this port, under /mcp; else the standard streams are served."),
    option("host", str, "The address to serve at; 127.0.0.1 if not given. Others need a key.", metavar="ADDRESS"),
    option(
        "access_key_env",
        str,
        "The environment variable with the key that callers over HTTP must send.",
        metavar="VARIABLE",
    ),
)


def mcp_command() -> Callable[..., int]:
    """What the parser calls."""
    signature = inspect.Signature([*_OPTIONS, *connection.options()])

    def mcp(*args: Any, **kwargs: Any) -> int:
        return run_mcp_server(**signature.bind(*args, **kwargs).arguments)

    mcp.__doc__ = run_mcp_server.__doc__
    mcp.__signature__ = signature  # type: ignore[attr-defined]
    return mcp


def run_mcp_server(**given: Any) -> int:
    """Serve the tasks as tools of an MCP server (extra `mcp`), on the standard streams, or over HTTP with --port.

    Callers are not trusted: they name no file of this machine and no server, and call only what --allow names.
    """
    try:
        from ..mcp.server import serve_http, serve_stdio, task_server
    except ModuleNotFoundError as error:
        raise InvalidParameterError('headwater mcp needs mcp: pip install "headwater[mcp]"') from error

    arguments = core_of(connection.client_for(given)).arguments
    client = AsyncInferenceClient(**{**arguments, "model": given.get("model")})
    server = task_server(client, given.get("allow"))
    variable = given.get("access_key_env")
    key = os.environ.get(variable, "").strip() if variable else None
    if variable and not key:
        raise InvalidParameterError("--access-key-env takes the name of an environment variable, and it is not set")
    try:
        if given.get("port") is None:
            anyio.run(partial(serve_stdio, server))
        else:
            host = given.get("host") or "127.0.0.1"
            say(f"serving http://{host}:{given['port']}/mcp")
            serve_http(server, host, given["port"], key)
    except KeyboardInterrupt:
        return STOPPED_BY_CTRL_C
    return 0
