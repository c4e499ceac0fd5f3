"""Which MCP server is meant, and what it alone is given. Nothing here connects to anything."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, Final, Literal, TypeAlias

from ..auth.hosts import is_loopback
from ..auth.secret import check_headers
from ..errors import InsecureCredentialError, InvalidParameterError
from ..protocol.url import Url, parse_url

ServerKind: TypeAlias = Literal["http", "sse", "stdio"]

_WINDOWS: Final = (
    "APPDATA HOMEDRIVE HOMEPATH LOCALAPPDATA PATH PATHEXT PROCESSOR_ARCHITECTURE SYSTEMDRIVE SYSTEMROOT TEMP USERNAME "
    "USERPROFILE"
)
_POSIX: Final = "HOME LANG LOGNAME PATH SHELL TERM TMPDIR USER"
INHERITED: Final = (_WINDOWS if sys.platform == "win32" else _POSIX).split()
"""The variables of this process that a server's process sees: none that holds a secret."""
_LEAST_SECRET: Final = 6
"""Characters of a value that is worth masking: shorter ones are words such as "true"."""


class McpServer:
    """An MCP server: a URL (streamable HTTP), or a command whose process speaks over its standard streams.

    `headers` go to that URL's origin and nowhere else, `env` to that process, which sees besides only what a program
    needs to run (`PATH`, `HOME`, ...), and no key of this process's. `auth` is an `httpx2.Auth` of the URL, such as the
    OAuth providers of the package `mcp`: what it asks of an authorization server goes there without the headers, over
    https, or on this machine where the server is on it as well. `name` is what its tools are prefixed with where
    they collide, `allow` its tools that may be called. `kind` "sse" is the HTTP transport of 2024.
    """

    def __init__(
        self,
        target: str | Sequence[str],
        *,
        name: str | None = None,
        headers: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
        auth: Any = None,
        cwd: str | os.PathLike[str] | None = None,
        kind: ServerKind | None = None,
        allow: Sequence[str] | None = None,
        allow_insecure: bool = False,
    ) -> None:
        """Raises `InvalidParameterError` for what is neither a URL nor a command, and for headers or `auth` of a
        command; `InsecureCredentialError` for these over plain http to another machine."""
        is_url = isinstance(target, str)
        if not is_url and (not target or not all(isinstance(part, str) for part in target)):
            raise InvalidParameterError('an MCP server is a URL, or a command as a list: ["command", "argument"]')
        self.url: Url | None = parse_url(target) if isinstance(target, str) else None
        self.command: tuple[str, ...] = () if is_url else tuple(target)
        self.kind: ServerKind = kind or ("http" if is_url else "stdio")
        if (self.kind == "stdio") is is_url:
            raise InvalidParameterError(f"a server of kind {self.kind!r} is not {'a URL' if is_url else 'a command'}")
        if (is_url and env) or (not is_url and (headers or auth)):
            raise InvalidParameterError("headers and auth are a URL's, env is a command's")
        if auth is not None and not callable(getattr(auth, "async_auth_flow", None)):
            raise InvalidParameterError(f"auth is an httpx2.Auth, not {type(auth).__name__}; a key is a header")
        self.auth = auth
        self.headers = check_headers(headers)
        self.env = dict(env or {})
        self.cwd = cwd
        self.allow = allow
        self.name = name or self._own_name()
        is_secret = bool(self.headers) or auth is not None
        if is_secret and self.url is not None and not allow_insecure and not is_safe(self.url):
            raise InsecureCredentialError(
                f"{'headers' if self.headers else 'a token'} would go in plain http to {self.url.host}; use https, or"
                " allow_insecure=True"
            )

    def __repr__(self) -> str:
        return f"McpServer({self.label!r})"

    @property
    def label(self) -> str:
        """The server in messages: its origin and path, or its command, without what may be secret."""
        if self.url is not None:
            return self.url.origin + self.url.target.partition("?")[0]
        return shlex.join(self.command[:2])

    def environment(self) -> dict[str, str]:
        """What its process sees."""
        return {name: os.environ[name] for name in INHERITED if name in os.environ} | self.env

    def redact(self, text: str) -> str:
        """The text without the values that this server alone is given."""
        given = [value for _, value in self.headers] + list(self.env.values())
        given += [value.partition(" ")[2] for value in given]  # "Bearer ..."
        for value in sorted(filter(None, given), key=len, reverse=True):
            if len(value) >= _LEAST_SECRET:
                text = text.replace(value, "***")
        return text

    def _own_name(self) -> str:
        if self.url is not None:
            return prefix_of(self.url.host)
        program = next((part for part in self.command[1:] if not part.startswith("-")), self.command[0])
        return prefix_of(PurePath(program).stem)


def prefix_of(name: str) -> str:
    """A name as a part of a tool's name."""
    return re.sub(r"[^a-zA-Z0-9_-]+", "_", name).strip("_")[:24] or "mcp"


def is_safe(url: Url) -> bool:
    """Whether what is secret may go there: over https, or within this machine."""
    return url.scheme == "https" or is_here(url)


def is_here(url: Url) -> bool:
    """Whether the URL is this machine's own."""
    return is_loopback(url.host)


def servers_of(given: Sequence[Any], own: Mapping[str, Any]) -> list[McpServer]:
    """The servers that were given, each a `McpServer`, a URL or a command; `own` is what the only one is given.

    Raises `InvalidParameterError` where there is none, or where several would be given the same.
    """
    own = {name: value for name, value in own.items() if value is not None}
    if not given:
        raise InvalidParameterError("mcp_tools wants a server: a URL, or a command as a list")
    if own and (len(given) > 1 or isinstance(given[0], McpServer)):
        raise InvalidParameterError(f"give each server its own {' and '.join(own)}: McpServer(..., headers=...)")
    return [server if isinstance(server, McpServer) else McpServer(server, **own) for server in given]
