"""Where a call goes and what it may carry: from a client's settings and a call's model to a destination.

The order of what decides: the call's model, the client's URL, the client's provider, HEADWATER_PROVIDER, a provider
that the model names ("org/model:together", for the router), "hf-inference". Nothing is sent here; the saved token's
file is read in a worker thread.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ..auth.credentials import BEARER, Credentials
from ..auth.hosts import ROUTER_URL, is_endpoint, is_hugging_face, is_hugging_face_url
from ..engine.facts import NOBODY, Destination
from ..errors import InvalidCredentialError, InvalidParameterError, MissingCredentialError, UnsupportedTaskError
from ..protocol.flow import Call, Flow, ResumeFlow, TaskFlow
from ..protocol.lazy import lazy_pattern
from ..protocol.url import parse_url
from ..providers import Provider, flow_for, provider
from ..providers.custom_server import key_header_at
from ..providers.registry import HF_INFERENCE, SERVER
from .keys import Keys, hub_url, inference_url, is_url
from .route import URL_AND_PROVIDER
from .settings import Settings

if TYPE_CHECKING:
    from ..protocol.events import Job

_SUFFIXED: Final = lazy_pattern(r":(?!hf-inference\Z)")
REMEMBERED: Final = 4096
"""Destinations kept per client; a client that sees more models than this makes them anew."""


class Router:
    """The destinations of one client, each made once. `names`: the places of its list, where there are several;
    `named`: the providers that it was given."""

    __slots__ = ("_made", "_targets", "named", "names")

    def __init__(self, settings: tuple[Settings, ...]) -> None:
        self._targets = tuple(RouteTarget(each) for each in settings)
        self._made: dict[tuple[str, str | None, int], Destination] = {}
        self.names = tuple(each.name for each in settings)
        self.named = tuple(each.provider for each in settings if each.provider is not None)

    @property
    def model(self) -> str | None:
        """The model of calls that name none, as far as that is known before anybody is asked."""
        named = {target.settings.model or target.settings.provider_model for target in self._targets}
        found = named.pop() if len(named) == 1 else None
        return None if is_url(found) else found

    def to(self, task: str, model: str | None, index: int = 0) -> Destination | Awaitable[Destination]:
        """Where this task goes with the call's own model (None: the client's), at that place of the list; at once where
        that was settled before.

        Raises `CallError`s: an unknown provider, a task or model that it does not do, a missing key.
        """
        made = self._made.get((task, model, index))
        return self._settled(task, model, index) if made is None else made

    async def _settled(self, task: str, model: str | None, index: int) -> Destination:
        made = await self._targets[index].destination(task, model)
        if len(self._made) >= REMEMBERED:
            self._made.clear()
        self._made[task, model, index] = made
        return made

    async def for_flow(self, task: str, model: str | None, flow: TaskFlow, *, at_hub: bool = False) -> Destination:
        """Where something goes that is no declared task, and has a flow of its own; `at_hub`: that asks the Hub."""
        target = self._targets[0]
        if at_hub:
            return await target.to_provider(task, provider(HF_INFERENCE), model or target.settings.model, flow)
        return await target.destination(task, model, flow)

    async def for_endpoints(self, flow: TaskFlow) -> Destination:
        """Where the API of Inference Endpoints is."""
        return await self._targets[0].to_endpoints(flow)

    async def for_job(self, job: Job) -> Destination:
        """Where a job is that was submitted before, by whoever has the same kind of key.

        Raises `UnsupportedTaskError` for a job that cannot be taken up again.
        """
        row = SERVER if job.provider == SERVER.name else provider(job.provider)
        take_up = row.resume.get(job.task)
        if take_up is None:
            raise UnsupportedTaskError(f"{row.name} has no jobs of {job.task} that could be taken up again")
        if row is SERVER:
            return await self._for_job_at_url(job, partial(_resumed, take_up, job))
        target = next((each for each in self._targets if each.settings.provider == row.name), None)
        target = target or RouteTarget(_of_no_list(self._targets[0].settings))
        found = await target.to_provider(job.task, row, job.model, partial(_resumed, take_up, job))
        if found.routed != job.routed:
            wanted = "a Hugging Face token" if job.routed else f"{row.name}'s own key"
            raise InvalidCredentialError(f"this job was submitted with {wanted}, and only that finds it again")
        return found

    async def _for_job_at_url(self, job: Job, flow: TaskFlow) -> Destination:
        """Where a job of a server's own URL is: the job does not say where, for its URL may hold a secret."""
        found = await self._targets[0].destination(job.task, None, flow)
        if found.url is None:
            raise InvalidParameterError(
                "this job is of a server at a URL: resume it with a client that has the same base_url"
            )
        return found


def _resumed(take_up: ResumeFlow, job: Job, call: Call) -> Flow[Any]:
    return take_up(call, job)


class RouteTarget:
    """One of the places of a client's list, or its only one."""

    __slots__ = ("_keys", "settings")

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._keys = Keys(settings)

    async def destination(self, task: str, model: str | None, flow: TaskFlow | None = None) -> Destination:
        """Where a call with this model of its own goes from here."""
        s = self.settings
        if is_url(model):
            self._check_model_url()
        if s.endpoint is not None:
            return await self._to_endpoint(task, s.endpoint, model or s.model, flow)
        url = model if is_url(model) else s.base_url or (s.model if is_url(s.model) else None)
        if url is not None and s.provider is None:
            own = None if is_url(model) else model
            named = None if is_url(model) else own or (None if is_url(s.model) else s.model) or s.provider_model
            return await self._to_url(task, url, named, flow, own=own)
        named = model or s.model or s.provider_model
        name = s.provider or os.environ.get("HEADWATER_PROVIDER")
        if name is None:  # a model that names its provider (or a policy) goes to the router, which looks at that
            name = "auto" if named is not None and _SUFFIXED.search(named) else "hf-inference"
        return await self.to_provider(task, provider(name), named, flow, own=model)

    def _check_model_url(self) -> None:
        """Refuse a call's model that is a URL, where only the program may say who is asked: a model's name is often
        data, and the prompt would go wherever it points."""
        s = self.settings
        if s.provider is not None or s.name:
            raise InvalidParameterError(URL_AND_PROVIDER)
        if s.base_url is not None:
            raise InvalidParameterError(
                "model is a URL, and this client has a base_url: a call's model is a name there; for another server"
                " make another client, or client.with_options(base_url=...)"
            )
        if not s.model_urls:
            raise InvalidParameterError(
                "model is a URL, which this client's input_policy does not let a call choose (InputPolicy.untrusted):"
                " give the URL to the client, or InputPolicy(model_urls=True)"
            )

    async def _to_url(
        self, task: str, url: str, named: str | None, flow: TaskFlow | None, *, own: str | None
    ) -> Destination:
        url = str.__str__(url)  # of a class of the program's own, it is none that a cache could keep
        parsed = parse_url(url)
        key = self._keys.for_url(parsed)
        if key is None and is_hugging_face_url(parsed):
            key = await self._keys.ambient_hub_token()
        billed = self.settings.bill_to is not None and is_hugging_face(parsed.host)
        return Destination(
            provider="url",
            name=self.settings.name or "url",
            requested_model=named,
            flow=flow or flow_for("url", task),
            credentials=self._keys.credentials(
                {parsed.origin}, key, None, billed=billed, url=url, key_header=key_header_at(url, task)
            ),
            base=url.rstrip("/"),
            hub=hub_url(),
            model=self._there(named, own),
            url=url,
            timeout=self.settings.timeout,
            transport=self.settings.transport,
            done_ends=self.settings.done_ends_stream,
            sleepers=frozenset({parsed.origin}) if self.settings.is_endpoint or is_endpoint(parsed.host) else NOBODY,
        )

    async def to_provider(
        self, task: str, row: Provider, named: str | None, flow: TaskFlow | None, *, own: str | None = None
    ) -> Destination:
        """Where a call for this provider goes; `own`: the model that the call itself names."""
        flow = flow or flow_for(row.name, task)
        base = inference_url() if row.name == HF_INFERENCE else None
        key, routed = await self._keys.for_provider(row, None if base is None else parse_url(base))
        if base is None and row.place is not None:
            base = self._keys.place_of(row, row.place)
        elif base is None:
            base = row.base if not routed or row.name == "auto" else f"{ROUTER_URL}/{row.name}"
        return Destination(
            provider=row.name,
            name=self.settings.name or row.name,
            requested_model=named,
            flow=flow,
            credentials=self._keys.credentials(
                {parse_url(base).origin, *(() if routed else row.origins)},
                key,
                await self._keys.for_hub(),
                billed=routed,
                key_header=BEARER if routed or key is None else row.header_of(key.reveal()),
                static=row.headers,
            ),
            base=base,
            hub=hub_url(),
            model=self._there(named, own),
            routed=routed,
            keys=row.keys,
            timeout=self.settings.timeout,
            transport=self.settings.transport,
            done_ends=self.settings.done_ends_stream,
        )

    async def _to_endpoint(self, task: str, endpoint: str, named: str | None, flow: TaskFlow | None) -> Destination:
        """The Inference Endpoint of this name, which is looked up as a part of the call."""
        from ..endpoints.route import at_endpoint

        task_flow = flow or flow_for("url", task)
        there = await self.to_endpoints(partial(at_endpoint, endpoint=endpoint, task=task_flow), endpoint)
        origins, key, hub_token = there.credentials.origins, there.credentials.key, await self._keys.for_hub()
        return msgspec.structs.replace(
            there,
            name=self.settings.name or endpoint,
            requested_model=named,
            model=self._there(named, None),
            credentials=self._keys.credentials(set(origins), key, hub_token, billed=True),
            done_ends=self.settings.done_ends_stream,
        )

    async def to_endpoints(self, flow: TaskFlow, name: str = "inference-endpoints") -> Destination:
        """Where a call of the API of Inference Endpoints goes. Raises `MissingCredentialError`."""
        from ..endpoints.addresses import api_url, catalog_url

        there = parse_url(api_url())
        key = await self._keys.for_hugging_face(there)
        if key is None:
            how = (
                "give it in HF_TOKEN or as token="
                if is_hugging_face_url(there)
                else f"the environment's goes to Hugging Face alone, and HEADWATER_ENDPOINTS_URL is {there.host}:"
                " give it as token="
            )
            raise MissingCredentialError(f"Inference Endpoints want a Hugging Face token and none was found: {how}")
        hub = parse_url(hub_url())
        return Destination(
            provider=name,
            name=name,
            requested_model=None,
            flow=flow,
            credentials=Credentials(
                origins=frozenset({there.origin, parse_url(catalog_url()).origin}),
                key=key,
                hub_origin=hub.origin,
                hub_token=await self._keys.for_hub(),
            ),
            base=api_url(),
            hub=hub_url(),
            keys=("HF_TOKEN",),
            timeout=self.settings.timeout,
            transport=self.settings.transport,
        )

    def _there(self, named: str | None, own: str | None) -> str | None:
        """The model's id there, where it is known without asking: a route's own, unless the call names a model."""
        if own is None and self.settings.provider_model is not None:
            return self.settings.provider_model
        return self.settings.model_mapping.get(named) if named else None


def _of_no_list(settings: Settings) -> Settings:
    """The settings for a provider that the client did not name: no key that was given for another place."""
    if settings.provider is None and settings.base_url is None and not is_url(settings.model):
        return settings
    key = settings.hub_key
    return msgspec.structs.replace(
        settings,
        name="",
        provider_model=None,
        timeout=None,
        transport=None,
        key=key if key is not None and key.routed else None,
    )
