"""The servers of this machine: their usual ports are asked at once, on loopback and nowhere else.

Nothing is asked unless somebody calls this: no client looks for servers by itself.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

import msgspec
from anyio import create_task_group

from ..blocking.portal import call
from ..errors import InvalidParameterError
from ..protocol.timeout import Timeout
from ..protocol.url import parse_url
from ..providers import PROVIDERS
from ..providers.local_signs import LOCAL_PORTS, TEI_SERVER, LocalServer, recognised
from .async_client import AsyncInferenceClient
from .core import core_of

_AT_MOST: Final = 64
"""Ports of one search."""


async def async_local_servers(ports: Sequence[int] = LOCAL_PORTS, *, timeout: float = 1.0) -> list[LocalServer]:
    """The servers on this machine at these ports, in their order; `timeout`: the seconds of each request.

    Each port is asked for OpenAI's list of models, on 127.0.0.1, without a key and through no proxy; what answers is
    asked what it is. The usual ports are those of Ollama (11434), LM Studio (1234), llama.cpp and
    text-generation-inference (8080, 3000), vLLM (8000) and SGLang (30000). What answers and is not understood is in the
    list with a `note`. Raises `InvalidParameterError` for what is no port, and for more than 64 of them.
    """
    if len(ports) > _AT_MOST or not all(type(port) is int and 0 < port < 65536 for port in ports):
        raise InvalidParameterError(f"ports must be up to {_AT_MOST} whole numbers from 1 to 65535")
    found: dict[int, LocalServer] = {}
    async with AsyncInferenceClient(retries=0, trust_env=False, timeout=Timeout(connect=timeout)) as client:

        async def look(port: int) -> None:
            url = f"http://127.0.0.1:{port}"
            server = await core_of(client).custom("local-servers", url, recognised(timeout)).result()
            if server is not None:
                found[port] = msgspec.structs.replace(server, use=_line(server))

        async with create_task_group() as group:
            for port in dict.fromkeys(ports):
                group.start_soon(look, port)
    return [found[port] for port in dict.fromkeys(ports) if port in found]


def local_servers(ports: Sequence[int] = LOCAL_PORTS, *, timeout: float = 1.0) -> list[LocalServer]:
    """`async_local_servers`, from blocking code."""
    return call(lambda: async_local_servers(ports, timeout=timeout))


def _line(server: LocalServer) -> str | None:
    """How a client for this server is made; None for what no client can use."""
    if server.name is None and not server.models:
        return None
    place = f'base_url="{server.url}"' if server.name == TEI_SERVER else f'base_url="{server.url}/v1"'
    row = PROVIDERS.get(server.name or "")
    if row is not None and parse_url(row.base).origin == parse_url(server.url).origin:
        place = f'provider="{row.name}"'
    arguments = [place]
    if server.models and server.name != TEI_SERVER:
        arguments.insert(0, f"model={json.dumps(server.models[0], ensure_ascii=False)}")
    if server.note and "key" in server.note:
        arguments.append("api_key=...")
    return f"InferenceClient({', '.join(arguments)})"
