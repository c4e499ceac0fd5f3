"""Where a call goes and what it may carry: from a client's settings and a call's model to a route.

The order of what decides: the call's model, the client's URL, the client's provider, HEADWATER_PROVIDER,
"hf-inference". Nothing is sent here; the saved token's file is read in a worker thread.
"""

from __future__ import annotations

import os
import warnings
from typing import Any, Final

import anyio.to_thread
import msgspec

from .auth import Secret, ambient, hugging_face_token, is_hugging_face, is_loopback
from .engine.outgoing import Credentials
from .errors import (
    InsecureCredentialError,
    InvalidCredentialError,
    InvalidParameterError,
    MissingCredentialError,
    UnknownProviderError,
    UnsupportedTaskError,
)
from .events import Job
from .flow import Call
from .providers import Flows, Provider, flow_for, provider
from .wire import Url, parse_url

ROUTER: Final = "https://router.huggingface.co"
HUB: Final = "https://huggingface.co"
REMEMBERED: Final = 4096
"""Routes kept per client; a client that sees more models than this makes them anew."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a client was told about where its calls go. `headers` are checked."""

    model: str | None
    base_url: str | None
    provider: str | None
    key: Secret | None
    headers: tuple[tuple[str, str], ...]
    bill_to: str | None
    model_mapping: dict[str, str]
    allow_insecure: bool


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


def is_url(model: str | None) -> bool:
    """Whether a model was given as a server's URL."""
    return model is not None and model.startswith(("http://", "https://"))


class Router:
    """The routes of one client, each made once."""

    __slots__ = ("_routes", "_saved", "_settings")

    def __init__(self, settings: Settings) -> None:
        _check(settings)
        self._settings = settings
        self._routes: dict[tuple[str, str | None], Route] = {}
        self._saved: list[Secret | None] = []

    async def route(self, task: str, model: str | None) -> Route:
        """The route of this task with the call's own model (None: the client's).

        Raises `CallError`s: an unknown provider, a task or model that it does not do, a missing key.
        """
        key = (task, model)
        route = self._routes.get(key)
        if route is None:
            route = await self._make(task, model)
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

    async def _make(self, task: str, model: str | None, flow: Flows | None = None) -> Route:
        s = self._settings
        url = model if is_url(model) else s.base_url or (s.model if is_url(s.model) else None)
        if url is not None:
            if s.provider is not None:
                raise InvalidParameterError(_URL_AND_PROVIDER)
            return await self._to_url(task, url, None if is_url(model) else model, flow)
        name = s.provider or os.environ.get("HEADWATER_PROVIDER") or "hf-inference"
        return await self._to_provider(task, provider(name), model or s.model, flow)

    # -- a server's own URL

    async def _to_url(self, task: str, url: str, named: str | None, flow: Flows | None) -> Route:
        parsed = parse_url(url)
        key = self._key_for(parsed)
        if key is None and is_hugging_face(parsed.host) and parsed.scheme == "https":
            key = await self._ambient_hub_token()
        return Route(
            provider="url",
            named=named,
            flow=flow or flow_for("url", task),
            credentials=self._credentials({parsed.origin}, key, None, billed=is_hugging_face(parsed.host)),
            base=url.rstrip("/"),
            hub=_hub(),
            url=url,
        )

    def _key_for(self, url: Url) -> Secret | None:
        """The explicit key, if it was given for this URL: with it, or to a client that names no other place."""
        s = self._settings
        if s.key is None:
            return None
        home = s.base_url or (s.model if is_url(s.model) else None)
        if home is not None and parse_url(home).origin != url.origin:
            return None
        if home is None and s.key.routed and not is_hugging_face(url.host):
            return None  # a Hugging Face token, and some other server's URL as the call's model
        if url.scheme == "http" and not is_loopback(url.host) and not s.allow_insecure:
            raise InsecureCredentialError(
                f"the token would go to {url.host} over plain http, where others can read it;"
                " use https, or allow_insecure=True"
            )
        return s.key

    # -- a provider

    async def _to_provider(self, task: str, row: Provider, model: str | None, flow: Flows | None) -> Route:
        flow = flow or flow_for(row.name, task)
        key, routed = await self._key_of(row)
        base = row.base if not routed or row.name == "auto" else f"{ROUTER}/{row.name}"
        scheme, header = ("Bearer", "authorization") if routed else (row.scheme, row.header)
        return Route(
            provider=row.name,
            named=model,
            flow=flow,
            credentials=self._credentials(
                {parse_url(base).origin, *(() if routed else row.origins)},
                key,
                await self._hub_token(),
                billed=routed,
                scheme=scheme,
                header=header,
                static=row.headers,
            ),
            base=base,
            hub=_hub(),
            model=self._settings.model_mapping.get(model) if model else None,
            routed=routed,
            keys=row.keys,
        )

    async def _key_of(self, row: Provider) -> tuple[Secret | None, bool]:
        """The key of a call to this provider, and whether it goes through Hugging Face's router."""
        key = self._settings.key
        if row.name in {"auto", "hf-inference"}:
            key = key or await self._ambient_hub_token()
            if row.name == "auto" and (key is None or not key.routed):
                raise _missing(row) if key is None else InvalidCredentialError(_AUTO_WANTS_HF)
            return key, True
        key = key or ambient(row.keys)
        if key is not None and not key.routed:
            return key, False
        if not row.routed:
            if key is None:
                raise _missing(row)
            raise InvalidCredentialError(
                f"{row.name} cannot be called with a Hugging Face token; it wants its own key ({row.keys[0]})"
            )
        key = key or await self._ambient_hub_token()
        if key is None:
            raise _missing(row)
        return key, True

    # -- what goes along

    async def _hub_token(self) -> Secret | None:
        key = self._settings.key
        if key is not None and key.routed:
            return key
        return await self._ambient_hub_token() if is_hugging_face(parse_url(_hub()).host) else None

    async def _ambient_hub_token(self) -> Secret | None:
        if found := ambient(("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")):
            return found
        if not self._saved:
            self._saved.append(await anyio.to_thread.run_sync(hugging_face_token))
        return self._saved[0]

    def _credentials(
        self,
        origins: set[str],
        key: Secret | None,
        hub_token: Secret | None,
        *,
        billed: bool,
        scheme: str = "Bearer",
        header: str = "authorization",
        static: dict[str, str] | None = None,
    ) -> Credentials:
        headers = dict(static or {}) | dict(self._settings.headers)
        bill_to = self._settings.bill_to
        if bill_to is not None and billed:
            if headers.get("x-hf-bill-to", bill_to) != bill_to:
                warnings.warn("bill_to replaces the header X-HF-Bill-To", UserWarning, stacklevel=2)
            headers["x-hf-bill-to"] = bill_to
        return Credentials(
            origins=frozenset(origins),
            key=key,
            scheme=scheme,
            header=header,
            headers=tuple(headers.items()),
            hub_origin=parse_url(_hub()).origin,
            hub_token=hub_token,
        )


def _hub() -> str:
    return (os.environ.get("HF_ENDPOINT") or HUB).rstrip("/")


def _check(s: Settings) -> None:
    url = s.base_url or (s.model if is_url(s.model) else None)
    if s.base_url is not None and not is_url(s.base_url):
        raise InvalidParameterError(f"base_url must be an http or https URL, not {s.base_url[:80]!r}")
    if url is not None:
        parse_url(url)
        if s.provider is not None:
            raise InvalidParameterError(_URL_AND_PROVIDER)
    if s.provider is not None and not isinstance(s.provider, str):
        raise UnknownProviderError("provider must be a provider's name")
    if s.provider is not None:
        provider(s.provider)


def _missing(row: Provider) -> MissingCredentialError:
    own = f" its own key in {row.keys[0]} or as api_key=," if row.keys else ""
    return MissingCredentialError(
        f"{row.name} wants a key and none was found: give{own} or a Hugging Face token in HF_TOKEN or as token="
        if row.routed
        else f"{row.name} wants a key and none was found: give{own.rstrip(',')}"
    )


_URL_AND_PROVIDER = "a URL and a provider exclude each other: the URL says already who answers; give one of them"
_AUTO_WANTS_HF = "provider 'auto' is Hugging Face's router: it takes a Hugging Face token (hf_...) only"
