"""The two clients: settings, and one row per task.

Making one does no I/O, starts no thread and loads no TLS. A client may be used from several event loops, and need not
be closed: `async with`, `with` and `close()` give its idle connections back at once, and it can be used again after.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from ..auth.secret import Kept, Secret, check_headers, hidden
from ..engine.deadlines import Timeout
from ..engine.engine import Engine
from ..engine.facts import CallRequest, Plan
from ..engine.input_policy import DEFAULT as ANYTHING
from ..engine.input_policy import InputPolicy
from ..engine.retry import Retries
from ..engine.run import AsyncRun
from ..engine.throttle import Throttle
from ..errors import InvalidParameterError
from ..protocol.events import Job
from ..tasks import text
from ..tasks.declaration import NEAR, is_not_given
from ..transport.transports import Transports
from .attributes import Options
from .call_options import OwnOptions, taken
from .keys import is_url
from .route import Route, places
from .router import Destination, Router
from .settings import (
    ALIASES,
    HIDDEN,
    Settings,
    bytes_of,
    concealed,
    concealed_url,
    cookie_of,
    count_of,
    either,
    opened,
    seconds_of,
    secret_of,
)
from .task_table import Tasks, elements_of

if TYPE_CHECKING:
    import httpx

    from ..protocol.flow import TaskFlow
    from ..protocol.transport import Transport
    from ..tasks.declaration import Declaration


_OURS = frozenset({"wanted", "model", "extra_body"})
"""Arguments of every task that are not the task's own parameters."""
_LEAVES_ENGINE = frozenset({"timeout", "retries", "hedge_after"})
"""Options after whose change all that is known of providers still holds."""


class Client(Tasks, Options):
    """What both clients are: their settings, and how a call of theirs is prepared."""

    def __init__(
        self,
        model: str | None = None,
        *,
        provider: str | Route | Sequence[str | Route] | None = None,
        token: str | Secret | None = None,
        timeout: float | Timeout | None = None,
        headers: Mapping[str, str] | None = None,
        cookies: Mapping[str, str] | None = None,
        bill_to: str | None = None,
        base_url: str | None = None,
        api_key: str | Secret | None = None,
        max_retries: int | None = None,
        default_headers: Mapping[str, str] | None = None,
        proxies: str | Mapping[str, str] | None = None,
        trust_env: bool = True,
        http2: bool = False,
        transport: httpx.AsyncBaseTransport | Transport | None = None,
        model_mapping: Mapping[str, str] | None = None,
        retries: int | None = None,
        hedge_after: float | None = None,
        allow_insecure: bool = False,
        input_policy: InputPolicy = ANYTHING,
        max_response_bytes: int | None = None,
    ) -> None:
        """Make a client; nothing is sent, started or loaded.

        Args:
            model: A model id of the Hub, or the URL of a server; calls that name no model of their own go there.
            provider: Who serves the model (default: `HEADWATER_PROVIDER`, else "hf-inference"; "auto" lets Hugging
                Face's router choose), or a list of them, the next being asked where one fails before its first event; a
                `Route` in that list has a URL, a model or a key of its own. Not together with a URL.
            token: A Hugging Face token (calls of other providers are then routed and billed through Hugging Face), or
                the provider's own key (calls go to the provider directly); default: the provider's environment
                variable, `HF_TOKEN`, the token that a login saved.
            timeout: A `Timeout`, or seconds in total.
            headers: Sent with every inference request.
            cookies: As well.
            bill_to: The Hugging Face organisation that pays.
            base_url: The URL of a server that every call goes to; `model` is then a model's name there.
            api_key: OpenAI's name of `token`.
            max_retries: OpenAI's name of `retries`.
            default_headers: OpenAI's name of `headers`.
            proxies: A proxy URL, or one by scheme.
            trust_env: Also take proxies from the environment.
            http2: Use HTTP/2 (extra `http2`).
            transport: Any `httpx.AsyncBaseTransport` to send with.
            model_mapping: Provider's model ids by Hub id, in place of a look-up.
            retries: Further tries after a failure that may pass; 2 where it is not given.
            hedge_after: Seconds after which a call that has not delivered anything yet is made a second time, at the
                next provider of the list or at the same; the first to deliver is taken, the other cancelled. Under one
                call in ten is, never a queued job, nor a result that is saved to a file.
            allow_insecure: Let a key go over plain http to another machine.
            input_policy: What inputs may be, such as `InputPolicy.untrusted`.
            max_response_bytes: The most decoded bytes of a whole answer, and of one event of a stream. Where it is not
                given, 64 MiB for both, and 256 MiB for an answer that is an image, a sound or a video. What is
                downloaded by URL has `InputPolicy.limit`.

        Raises:
            InvalidParameterError: Two arguments say two things: `token` and `api_key`, a URL and `provider`.
            InvalidCredentialError: A key or header cannot be sent.
        """
        # What a traceback that shows locals would show is hidden before anything here can fail.
        token, api_key = concealed(token), concealed(api_key)
        headers, default_headers = concealed(headers), concealed(default_headers)
        cookies, proxies, base_url = concealed(cookies), concealed(proxies), concealed_url(base_url)
        given = {
            "model": model,
            "provider": provider,
            "token": either("token", token, "api_key", api_key),
            "timeout": timeout,
            "headers": either("headers", headers, "default_headers", default_headers),
            "cookies": cookies,
            "bill_to": bill_to,
            "base_url": base_url,
            "proxies": proxies,
            "trust_env": trust_env,
            "http2": http2,
            "transport": transport,
            "model_mapping": model_mapping,
            "retries": either("retries", retries, "max_retries", max_retries),
            "hedge_after": hedge_after,
            "allow_insecure": allow_insecure,
            "input_policy": input_policy,
            "max_response_bytes": max_response_bytes,
        }
        self._configure({name: None if is_not_given(value) else value for name, value in given.items()})

    def _configure(self, given: dict[str, Any]) -> None:
        """Take these arguments of the constructor; where one is wrong, none."""
        if given["base_url"] is not None and is_url(given["model"]):
            raise InvalidParameterError("model is a URL, and so is base_url: give one of them, or model as a name")
        retries, policy = given["retries"], given["input_policy"]
        if not isinstance(policy, InputPolicy):
            raise InvalidParameterError("input_policy must be an InputPolicy")
        settings = Settings(
            model=given["model"],
            base_url=given["base_url"],
            key=secret_of(given["token"]),
            headers=check_headers(given["headers"]) + cookie_of(given["cookies"]),
            bill_to=given["bill_to"],
            model_mapping=dict(given["model_mapping"] or {}),
            allow_insecure=given["allow_insecure"],
            model_urls=policy.model_urls,
        )
        bytes_of(given["max_response_bytes"])
        router = Router(places(settings, given["provider"]))
        limits, most, after = Timeout.of(given["timeout"]), count_of(retries), seconds_of(given["hedge_after"])
        transports = Transports(
            proxies=given["proxies"], trust_env=given["trust_env"], http2=given["http2"], given=given["transport"]
        )
        self._settings, self._router, self._transports = settings, router, transports
        self._timeout, self._retries, self._hedge_after = limits, Retries(most=most), after
        kept = {name: Kept(given[name]) for name in ("headers", "cookies", "proxies")}
        self._arguments: dict[str, Any] = {**given, **kept, "token": settings.key, "retries": most}
        self._engine = self._make_engine(policy, real_waits=not os.environ.get("HEADWATER_TEST_MODE"))

    def __repr__(self) -> str:
        if "_arguments" not in vars(self):  # its making failed, and a traceback shows locals
            return f"{type(self).__name__}()"
        s = self._settings
        place = (s.model or s.base_url or "").partition("?")[0] or None
        return f"{type(self).__name__}(model={place!r}, provider={self._arguments['provider']!r})"

    def with_options(self, **changes: Any) -> Self:
        """A client with some of the constructor's arguments changed; it shares this one's connections where it can.

        `default_headers` are added to those that there are, `headers` replace them. A URL as `model` takes the place of
        `base_url`, and the other way round. Also called `copy`, as OpenAI's is.
        """
        changed = self._changed(changes)
        client = copy.copy(self)
        client._configure({**{name: opened(value) for name, value in self._arguments.items()}, **changed})
        if not changed.keys() & {"proxies", "trust_env", "http2", "transport"}:
            client._transports = self._transports
            client._engine = client._make_engine(client._engine.policy, real_waits=self._engine.real_waits)
            client._engine.throttle = self._engine.throttle
        if changed.keys() <= _LEAVES_ENGINE:
            client._engine = self._engine
        return client

    copy = with_options

    def _changed(self, changes: dict[str, Any]) -> dict[str, Any]:
        """Changes by the arguments' own names, with what they clear."""
        changes = {name: value for name, value in changes.items() if not is_not_given(value)}
        changes = {name: hidden(value) if name in HIDDEN else value for name, value in changes.items()}
        for alias, name in ALIASES.items():
            if alias not in changes:
                continue
            if name in changes:
                raise InvalidParameterError(f"give {name} or {alias}, not both: they are two names for one thing")
            value = changes.pop(alias)
            changes[name] = (
                {**(self._arguments["headers"].value or {}), **value} if alias == "default_headers" else value
            )
        unknown = changes.keys() - self._arguments.keys()
        if unknown:
            near = get_close_matches(min(unknown), [*self._arguments, *ALIASES], 1, NEAR)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise InvalidParameterError(f"with_options takes the constructor's arguments, not {sorted(unknown)}{hint}")
        if "base_url" in changes and "model" not in changes and is_url(self._arguments["model"]):
            changes["model"] = None
        if is_url(changes.get("model")) and "base_url" not in changes:
            changes["base_url"] = None
        return changes

    def _make_engine(self, policy: InputPolicy, *, real_waits: bool) -> Engine:
        transports, largest = self._transports, self._arguments["max_response_bytes"]
        return Engine(
            transports.for_url, assets=transports.for_asset, policy=policy, largest=largest, real_waits=real_waits
        )

    def _run(self, declaration: Declaration[Any, Any, Any], args: tuple[Any, ...], kwargs: Any) -> AsyncRun[Any, Any]:
        return self._start(declaration, declaration.bind(args, kwargs), stream=True)

    async def _call(self, declaration: Declaration[Any, Any, Any], args: tuple[Any, ...], kwargs: Any) -> Any:
        given = declaration.bind(args, kwargs)
        if given.get("stream"):
            show = _text if declaration is text.text_generation and not given.get("details") else None
            return await self._start(declaration, given, stream=True, show=show).start()
        return await self._start(declaration, given, stream=False).result()

    def _start(
        self,
        declaration: Declaration[Any, Any, Any],
        given: dict[str, Any],
        *,
        stream: bool,
        show: Callable[[Any], Any] | None = None,
        throttle: Throttle | None = None,
    ) -> AsyncRun[Any, Any]:
        given.pop("stream", None)
        options = taken(given, len(self._router.names))
        task = declaration.name
        request = CallRequest(
            task=declaration.method,
            prepare=partial(self._prepare, task, given, stream, options),
            timeout=options.limits(self._timeout),
            failover=self._engine.failover_plan(self._router.names, (task, given.get("model"))),
            hedge_after=self._hedge_after,
            throttle=throttle,
            show=show,
            elements=declaration.elements if stream else None,
        )
        return AsyncRun(self._engine, request)

    async def _prepare(self, task: str, given: dict[str, Any], stream: bool, options: OwnOptions, index: int) -> Plan:
        there = await self._router.to(task, given.get("model"), index)
        return self._plan(task, there, given, stream, options)

    def _custom(
        self, task: str, model: str | None, flow: TaskFlow, given: Mapping[str, Any] = {}, *, at_hub: bool = False
    ) -> AsyncRun[Any, Any]:
        """A run of something that is no declared task, with the call's own options.

        `at_hub`: it asks the Hub alone, whoever the provider is.
        """
        options = taken(dict(given))

        async def prepare(_: int) -> Plan:
            there = await self._router.for_flow(task, model, flow, at_hub=at_hub)
            return self._plan(task, there, {}, False, options)

        return AsyncRun(self._engine, CallRequest(task=task, prepare=prepare, timeout=options.limits(self._timeout)))

    def _resume(self, job: Job, given: Mapping[str, Any]) -> AsyncRun[Any, Any]:
        options = taken(dict(given))

        async def prepare(_: int) -> Plan:
            return self._plan(job.task, await self._router.for_job(job), {}, False, options)

        limits, elements = options.limits(self._timeout), elements_of(job.task)
        return AsyncRun(self._engine, CallRequest(task=job.task, prepare=prepare, timeout=limits, elements=elements))

    def _plan(self, task: str, there: Destination, given: dict[str, Any], stream: bool, options: OwnOptions) -> Plan:
        limits = options.limits(self._timeout)
        parameters = {name: value for name, value in given.items() if name not in _OURS}
        extra = given.get("extra_body", {})
        call = there.call(task, parameters, extra, stream=stream, seconds=limits.total)
        call.wanted = given.get("wanted")
        return Plan(
            task=task,
            provider=there.name,
            model=there.named,
            flow=there.flow(call),
            credentials=options.credentials(there.credentials),
            keys=there.keys,
            timeout=limits,
            own=there.timeout,
            retries=self._retries,
        )


def _text(event: text.TextGenerationStreamOutput) -> str:
    return event.token.text
