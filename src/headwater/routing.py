"""Where a call goes and what it may carry: from a client's settings and a call's model to a route.

The order of what decides: the call's model, the client's URL, the client's provider, HEADWATER_PROVIDER,
"hf-inference". Nothing is sent here; the saved token's file is read in a worker thread.
"""

from __future__ import annotations

import os
from typing import Any, Final

import msgspec

from .auth import is_hugging_face
from .engine.outgoing import Credentials
from .errors import (
    InvalidCredentialError,
    InvalidParameterError,
    UnsupportedTaskError,
)
from .events import Job
from .flow import Call
from .keys import Keys, Settings, hub_url, is_url
from .providers import Flows, Provider, flow_for, provider
from .wire import parse_url

ROUTER: Final = "https://router.huggingface.co"
HUB: Final = "https://huggingface.co"
REMEMBERED: Final = 4096
"""Routes kept per client; a client that sees more models than this makes them anew."""


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """Where one task with one model goes; `named` is the model as the caller named it."""

    provider: str
    named: str | None
    flow: Flows
    credentials: Credentials
    base: str
    hub: str
    model: str | None = None
    url: str | None = None
    routed: bool = False
    keys: tuple[str, ...] = ()

    def call(
        self, task: str, given: dict[str, Any], extra: dict[str, Any], *, stream: bool, seconds: float | None
    ) -> Call:
        """The call for a flow; `seconds`: its time limit."""
        return Call(
            task=task,
            parameters=given,
            provider=self.provider,
            base=self.base,
            model=self.model,
            hub_id=self.named,
            routed=self.routed,
            url=self.url,
            extra=extra,
            stream=stream,
            hub=self.hub,
            seconds=seconds,
        )


class Router:
    """The routes of one client, each made once."""

    __slots__ = ("_keys", "_routes", "_settings")

    def __init__(self, settings: Settings) -> None:
        _check(settings)
        self._settings = settings
        self._keys = Keys(settings)
        self._routes: dict[tuple[str, str | None, int], Route] = {}

    async def route(self, task: str, model: str | None, turn: int = 0) -> Route:
        """The route of this task with the call's own model (None: the client's), at provider number `turn`.

        Raises `CallError`s: an unknown provider, a task or model that it does not do, a missing key.
        """
        key = (task, model, turn)
        route = self._routes.get(key)
        if route is None:
            route = await self._make(task, model, turn=turn)
            if len(self._routes) >= REMEMBERED:
                self._routes.clear()
            self._routes[key] = route
        return route

    async def for_flow(self, task: str, model: str | None, flow: Flows, *, at_hub: bool = False) -> Route:
        """The route of something that is no declared task, and has a flow of its own; `at_hub`: that asks the Hub."""
        if at_hub:
            return await self._to_provider(task, provider("hf-inference"), model or self._settings.model, flow)
        return await self._make(task, model, flow)

    async def for_job(self, job: Job) -> Route:
        """The route of a job that was submitted before, by whoever has the same kind of key.

        Raises `UnsupportedTaskError` for a job that cannot be taken up again.
        """
        row = provider(job.provider)
        take_up = row.resume.get(job.task)
        if take_up is None:
            raise UnsupportedTaskError(f"{row.name} has no jobs of {job.task} that could be taken up again")
        route = await self._to_provider(job.task, row, job.model, lambda call: take_up(call, job))
        if route.routed != job.routed:
            wanted = "a Hugging Face token" if job.routed else f"{row.name}'s own key"
            raise InvalidCredentialError(f"this job was submitted with {wanted}, and only that finds it again")
        return route

    async def _make(self, task: str, model: str | None, flow: Flows | None = None, *, turn: int = 0) -> Route:
        s = self._settings
        url = model if is_url(model) else s.base_url or (s.model if is_url(s.model) else None)
        if url is not None:
            if s.providers:
                raise InvalidParameterError(_URL_AND_PROVIDER)
            return await self._to_url(task, url, None if is_url(model) else model, flow)
        name = s.providers[turn] if s.providers else os.environ.get("HEADWATER_PROVIDER") or "hf-inference"
        return await self._to_provider(task, provider(name), model or s.model, flow)

    # -- a server's own URL

    async def _to_url(self, task: str, url: str, named: str | None, flow: Flows | None) -> Route:
        parsed = parse_url(url)
        key = self._keys.for_url(parsed)
        if key is None and is_hugging_face(parsed.host) and parsed.scheme == "https":
            key = await self._keys.ambient_hub_token()
        return Route(
            provider="url",
            named=named,
            flow=flow or flow_for("url", task),
            credentials=self._keys.credentials({parsed.origin}, key, None, billed=is_hugging_face(parsed.host)),
            base=url.rstrip("/"),
            hub=hub_url(),
            url=url,
        )

    # -- a provider

    async def _to_provider(self, task: str, row: Provider, model: str | None, flow: Flows | None) -> Route:
        flow = flow or flow_for(row.name, task)
        key, routed = await self._keys.for_provider(row)
        base = row.base if not routed or row.name == "auto" else f"{ROUTER}/{row.name}"
        scheme, header = ("Bearer", "authorization") if routed else (row.scheme, row.header)
        return Route(
            provider=row.name,
            named=model,
            flow=flow,
            credentials=self._keys.credentials(
                {parse_url(base).origin, *(() if routed else row.origins)},
                key,
                await self._keys.for_hub(),
                billed=routed,
                scheme=scheme,
                header=header,
                static=row.headers,
            ),
            base=base,
            hub=hub_url(),
            model=self._settings.model_mapping.get(model) if model else None,
            routed=routed,
            keys=row.keys,
        )


def _check(s: Settings) -> None:
    url = s.base_url or (s.model if is_url(s.model) else None)
    if s.base_url is not None and not is_url(s.base_url):
        raise InvalidParameterError(f"base_url must be an http or https URL, not {s.base_url[:80]!r}")
    if url is not None:
        parse_url(url)
        if s.providers:
            raise InvalidParameterError(_URL_AND_PROVIDER)
    for name in s.providers:
        provider(name)
    if len(s.providers) > 1 and s.key is not None and not s.key.routed:
        raise InvalidParameterError(
            "several providers cannot share one key: put each one's into its environment variable, or give a Hugging"
            " Face token, by which all of them are routed"
        )


_URL_AND_PROVIDER = "a URL and a provider exclude each other: the URL says already who answers; give one of them"
