"""Turns a flow's request into what goes out: the client's headers, and credentials on their own origins only."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Final

from .._version import __version__
from ..auth import PROXY_SECRETS, Masked, Secret, secrets_in
from ..flow import Request
from ..wire import Outgoing, parse_url
from .multipart import Pieces, body_of

AGENT: Final = f"headwater/{__version__} python/{platform.python_version()}"


class Credentials:
    """What may be added to a call's requests, and where.

    `headers` (the caller's own, and cookies) and the provider's key go to `origins`; the Hub's token to `hub_origin`.
    Nothing goes anywhere else.
    """

    __slots__ = ("_provider", "hub_header", "hub_origin", "origins", "secrets")

    def __init__(
        self,
        *,
        origins: frozenset[str] = frozenset(),
        key: Secret | None = None,
        scheme: str = "Bearer",
        header: str = "authorization",
        headers: tuple[tuple[str, str], ...] = (),
        hub_origin: str = "",
        hub_token: Secret | None = None,
    ) -> None:
        self.origins = origins
        self.hub_origin = hub_origin
        self.hub_header = {"authorization": Masked(f"Bearer {hub_token.reveal()}")} if hub_token else {}
        self.secrets = (*(s for s in (key, hub_token) if s is not None), *secrets_in(headers))
        self._provider: dict[str, str] = {}
        if key is not None:
            self._provider[header] = Masked(f"{scheme} {key.reveal()}".strip())
        self._provider.update((name, Masked(value)) for name, value in headers)

    def for_request(self, request: Request, origin: str) -> Mapping[str, str]:
        """The headers to add to this request."""
        if request.auth == "provider" and origin in self.origins:
            return self._provider
        if request.auth == "hub" and origin == self.hub_origin:
            return self.hub_header
        return {}

    def clean(self, headers: dict[str, str]) -> dict[str, str]:
        """An answer's headers without any secret of this call, for people to look at."""
        together = "\n".join(headers.values())
        if self.redact(together) == together:
            return headers
        return {name: self.redact(value) for name, value in headers.items()}

    def redact(self, text: str) -> str:
        """The text without any secret of this call."""
        for secret in self.secrets:
            text = secret.redact(text)
        for of_proxy in PROXY_SECRETS.values():
            for secret in of_proxy:
                text = secret.redact(text)
        return text


def outgoing(request: Request, credentials: Credentials, connect_timeout: float | None) -> Outgoing:
    """The request as the transport takes it. Raises `InvalidParameterError` for a URL that is none."""
    url = parse_url(request.url)
    body, content_type = body_of(request.body)
    headers = {
        "user-agent": AGENT,
        "accept": "*/*",
        "accept-encoding": "identity" if request.headers.get("accept") == "text/event-stream" else "gzip, deflate",
        **({"content-type": content_type} if content_type else {}),
        **request.headers,
        **credentials.for_request(request, url.origin),
    }
    return Outgoing(
        method=request.method,
        url=url,
        headers=list(headers.items()),
        body=body,
        length=body.length if isinstance(body, Pieces) else None,
        connect_timeout=connect_timeout,
        resend=request.resend,
    )
