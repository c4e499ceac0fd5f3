"""Where the header is attached: what a call may add to its requests, on its own origins and nowhere else."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Final
from urllib.parse import unquote_plus

import msgspec

from ..errors import InsecureCredentialError
from ..protocol.flow import Request
from ..protocol.transport import RequestHead
from ..protocol.url import Url, parse_url
from .hosts import is_loopback
from .secret import PROXY_SECRETS, Masked, Secret, may_hold, redact_together, secrets_in


class KeyHeader(msgspec.Struct, frozen=True):
    """How a key is sent: in the header of this name, after its scheme (none where that is ""). `is_bearer`: as a Bearer
    beside, for servers of which nobody knows which of the two they read."""

    name: str = "authorization"
    scheme: str = "Bearer"
    is_bearer: bool = False

    def headers(self, key: Secret) -> dict[str, str]:
        """The headers with a key."""
        sent: dict[str, str] = {self.name: Masked(f"{self.scheme} {key.reveal()}".strip())}
        return sent | BEARER.headers(key) if self.is_bearer else sent


BEARER: Final = KeyHeader()


class Credentials:
    """What may be added to a call's requests, and where.

    `headers` (the caller's own, and cookies) and the provider's key go to `origins`; the Hub's token to `hub_origin`.
    Nothing goes anywhere else. `others`: secrets that are sent in another way, and masked as well. `usual`: headers
    that a provider wants on every request; a request's own stand over them.
    """

    __slots__ = ("_provider", "heads", "hub_header", "hub_origin", "key", "origins", "query", "secrets", "usual")

    def __init__(
        self,
        *,
        origins: frozenset[str] = frozenset(),
        key: Secret | None = None,
        key_header: KeyHeader = BEARER,
        headers: tuple[tuple[str, str], ...] = (),
        usual: Mapping[str, str] = {},
        hub_origin: str = "",
        hub_token: Secret | None = None,
        others: tuple[Secret, ...] = (),
    ) -> None:
        self.origins = origins
        self.key = key
        self.hub_origin = hub_origin
        self.usual = usual
        self.hub_header = BEARER.headers(hub_token) if hub_token else {}
        self.secrets = (*(s for s in (key, hub_token) if s is not None), *secrets_in(headers), *others)
        self.query: tuple[tuple[str, str], ...] = ()
        self.heads: dict[tuple[str, ...], RequestHead] = {}  # of requests that were built, by what tells them apart
        self._provider: dict[str, str] = {}
        if key is not None:
            self._provider.update(key_header.headers(key))
        self._provider.update((name, Masked(value)) for name, value in headers)

    def for_request(self, request: Request, origin: str) -> Mapping[str, str]:
        """The headers to add to this request."""
        if request.auth == "provider" and origin in self.origins:
            return self._provider
        if request.auth == "hub" and origin == self.hub_origin:
            return self.hub_header
        return {}

    def usual_for(self, request: Request, origin: str) -> Mapping[str, str]:
        """What this request has where neither it nor the caller says otherwise."""
        return self.usual if request.auth == "provider" and origin in self.origins else {}

    def with_more(self, headers: tuple[tuple[str, str], ...], query: tuple[tuple[str, str], ...]) -> Credentials:
        """Credentials with one call's own headers and query (names, and their encoded pairs), which go where keys go.

        They stand over those that are there.
        """
        more = copy.copy(self)
        more._provider = self._provider | {name: Masked(value) for name, value in headers}
        more.query, more.heads = query, {}
        more.secrets = (*self.secrets, *secrets_in(headers), *secrets_in((name, text) for name, text in query))
        return more

    def at(self, url: Url) -> Credentials:
        """The same, where the provider's key goes to the origin of this URL as well.

        Raises `InsecureCredentialError` for plain http to another machine.
        """
        if url.scheme == "http" and not is_loopback(url.host):
            raise InsecureCredentialError(f"the token would go to {url.host} over plain http, where others can read it")
        more = copy.copy(self)
        more.origins, more.heads = self.origins | {url.origin}, {}
        return more

    def guarding(self, secrets: Iterable[Secret]) -> Credentials:
        """The same, with more that is masked."""
        more = copy.copy(self)
        more.secrets = (*self.secrets, *secrets)
        return more

    def url(self, request: Request) -> Url:
        """Where the request goes. Raises `InvalidParameterError` for a URL that is none."""
        url = parse_url(request.url)
        if not self.query or request.auth != "provider" or url.origin not in self.origins:
            return url
        path, _, there = url.target.partition("?")
        ours = {name for name, _ in self.query}
        kept = [pair for pair in there.split("&") if pair and unquote_plus(pair.partition("=")[0]) not in ours]
        query = "&".join([*kept, *(text for _, text in self.query if text)])
        return url.at(f"{path}?{query}" if query else path)

    def identity(self, *, without_secrets: bool) -> tuple[tuple[str, str], ...]:
        """What these add to a request to the provider, for telling callers apart; `without_secrets`: each is masked."""
        found = [*self._provider.items(), *self.query]
        return tuple(sorted((name, self.redact(str(text)) if without_secrets else str(text)) for name, text in found))

    def clean(self, headers: dict[str, str]) -> dict[str, str]:
        """An answer's headers without any secret of this call, for people to look at."""
        secrets = (*self.secrets, *chain.from_iterable(PROXY_SECRETS.values())) if PROXY_SECRETS else self.secrets
        if not may_hold(secrets, "\n".join(headers.values())):  # as nearly all do not
            return headers
        return {name: self.redact(value) for name, value in headers.items()}

    def redact(self, text: str) -> str:
        """The text without any secret of this call."""
        return redact_together([*self.secrets, *chain.from_iterable(PROXY_SECRETS.values())], text)
