"""What a client is made of, and how each of its calls is prepared.

Both clients have a `ClientCore`, which knows nothing of them: their arguments, checked; where calls go (`router`);
what carries them (`transports`); what the calls share (`engine`). Whatever makes a call on a client's behalf, a task
that is bound to it, a map or a batch, has the core, and no client.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from ..auth.secret import Opaque, Secret, TextSecret, mask
from ..engine.driver import CallDriver
from ..engine.engine import Engine
from ..engine.facts import CallRequest, Destination
from ..engine.failover import Order, in_their_order
from ..engine.input_policy import InputPolicy
from ..engine.logger import LOGGER
from ..engine.retry import Retries
from ..engine.run import AsyncRun
from ..errors import InvalidParameterError
from ..protocol.flow import Flow, TaskFlow
from ..protocol.timeout import Timeout
from ..tasks.declaration import SIMILAR_NAME, Declaration, is_not_given
from ..transport.transports import Transports
from .answer_type import OF_TYPED_ANSWERS, typed_flow_of
from .call_options import OwnOptions, taken
from .keys import is_url
from .route import settings_by_route, wants_no_key
from .router import Router
from .settings import (
    ALIASES,
    HIDDEN,
    NO_HTTP_CLIENT,
    REPLACING,
    Settings,
    bytes_of,
    cookie_of,
    headers_of,
    observers_of,
    opened,
    plain_query,
    query_of,
    retry_count,
    seconds_of,
    secret_of,
)

if TYPE_CHECKING:
    from ..cache.store import Cache
    from ..cost.budget import Budget
    from ..cost.meter import Account, CallMeter
    from ..engine.observer import ObservedConversation, Observer
    from ..engine.throttle import Throttle
    from ..engine.watch import Watch
    from ..protocol.events import Job
    from ..tasks.text import TextGenerationStreamOutput
    from .around import Around

    Repeated: TypeAlias = Callable[[Any, Throttle], AsyncRun[Any, Any] | CallDriver | None]

_KEEPS_ENGINE: Final = frozenset(
    {"budget", "cache", "done_ends_stream", "hedge_after", "observer", "prices", "retries", "timeout"}
)
"""Options after whose change all that is known of providers still holds."""
_ADDED: Final = frozenset({"default_headers", "default_query"})
"""Changes that are added to what there is."""
_OWN_TO_EACH: Final = OF_TYPED_ANSWERS | {"tools", "response_format"}
"""Parameters by which something is done around each call."""
_OF_TRANSPORTS: Final = frozenset({"proxies", "trust_env", "http2", "transport", "verify", "ssl_context"})
"""Options after whose change connections cannot be shared."""


def masked(changes: dict[str, Any]) -> dict[str, Any]:
    """The arguments, in which a traceback that shows locals shows no secret."""
    return {
        name: value
        if name not in HIDDEN or is_not_given(value)
        else mask(plain_query(value) if "query" in name else value)
        for name, value in changes.items()
    }


class ClientCore:
    """The settings of one client, what its calls share, and how they are started.

    `given`: all of the constructor's arguments; secrets among them are hidden. Of another core's `transports` and
    `engine` what is given is shared; `real_waits` False lets waiting take no time (default: unless the environment has
    `HEADWATER_TEST_MODE`, or answers are replayed at once). Raises as the clients' constructors do.
    """

    def __init__(
        self,
        given: Mapping[str, Any],
        transports: Transports | None = None,
        engine: Engine | None = None,
        *,
        real_waits: bool | None = None,
    ) -> None:
        if given["base_url"] is not None and is_url(given["model"]):
            raise InvalidParameterError("model is a URL, and so is base_url: give one of them, or model as a name")
        policy, retries = given["input_policy"], retry_count(given["retries"])
        if not isinstance(policy, InputPolicy):
            raise InvalidParameterError("input_policy must be an InputPolicy")
        self.settings = Settings(
            model=given["model"],
            base_url=given["base_url"],
            key=secret_of(given["token"], free=wants_no_key(given["provider"], given["base_url"], given["model"])),
            headers=headers_of(given["headers"], given["organization"], given["project"]) + cookie_of(given["cookies"]),
            bill_to=given["bill_to"],
            model_mapping=dict(given["model_mapping"] or {}),
            allow_insecure=given["allow_insecure"],
            model_urls=policy.model_urls,
            done_ends_stream=bool(given["done_ends_stream"]),
        )
        self.query = query_of(given["query"])
        bytes_of(given["max_response_bytes"])
        self.timeout = Timeout.of(given["timeout"])
        self.is_closed = False
        self.retries = Retries(most=retries)
        self.hedge_after = seconds_of(given["hedge_after"])
        self.observers = _observers(given["observer"])
        self.cache: Cache | None = _cache_of(given["cache"])
        self.account = _account_of(given["prices"], given["budget"])
        self.transports = transports or Transports(
            proxies=given["proxies"],
            trust_env=given["trust_env"],
            verify=given["verify"],
            ssl_context=given["ssl_context"],
            http2=given["http2"],
            given=given["transport"],
        )
        self.router = Router(settings_by_route(self.settings, given["provider"], self.transports))
        kept = {name: Opaque(given[name]) for name in ("headers", "query", "cookies", "proxies")}
        self.arguments: dict[str, Any] = {**given, **kept, "token": self.settings.key, "retries": retries}
        self.engine = engine or self._engine(policy, given["max_response_bytes"], real_waits)

    def _engine(self, policy: InputPolicy, largest: int | None, real_waits: bool | None) -> Engine:
        return Engine(
            self.transports.for_url,
            policy=policy,
            largest=largest,
            real_waits=self._waits() if real_waits is None else real_waits,
            counts_waits=self.transports.instant and not os.environ.get("HEADWATER_TEST_MODE"),
            spreads=not self.transports.is_taped,
        )

    def _waits(self) -> bool:
        """Whether backoff and polling take their time."""
        return not (os.environ.get("HEADWATER_TEST_MODE") or self.transports.instant)

    @property
    def providers(self) -> tuple[str, ...]:
        """The names of the providers that may be asked, where there are several."""
        names = tuple(dict.fromkeys(self.router.names))
        return names if len(names) > 1 else ()

    def __copy__(self) -> ClientCore:
        core = object.__new__(ClientCore)
        vars(core).update(vars(self))
        return core

    def __deepcopy__(self, memo: dict[int, Any]) -> ClientCore:
        """The same: connections, keys and what is known of servers are shared."""
        return self.__copy__()

    def __reduce__(self) -> Any:
        """Its arguments, for pickle. Raises `TypeError` where one holds a secret that no variable has."""
        from .stored_arguments import stored_arguments

        return _restored, (stored_arguments(self.arguments),)

    async def aclose(self) -> None:
        """Give back the idle connections of the running event loop."""
        self.is_closed = True
        await self.transports.aclose()

    # -- its options

    def with_options(self, **changes: Any) -> ClientCore:
        """A core with some of the arguments changed, which shares this one's connections where it can."""
        changes = masked(changes)
        changed = self._changed(changes)
        given = {name: opened(value) for name, value in self.arguments.items()} | changed
        if changed.keys() & _OF_TRANSPORTS:
            return ClientCore(given)
        engine = self.engine if changed.keys() <= _KEEPS_ENGINE else None
        core = ClientCore(given, self.transports, engine, real_waits=self.engine.real_waits)
        is_same = self.settings.is_endpoint and core.settings.base_url == self.settings.base_url
        return core._of_endpoint() if is_same else core

    def with_budget(self, budget: Budget | int | None) -> ClientCore:
        """The same, whose calls spend this budget besides its own."""
        if budget is None:
            return self
        own = () if self.account is None else self.account.budgets
        return self.with_options(budget=(*own, budget))

    def set_options(self, **changes: Any) -> None:
        """Change some of the arguments in place; calls that are under way go on as they were begun."""
        vars(self).update(vars(self.with_options(**changes)))

    def _changed(self, changes: dict[str, Any]) -> dict[str, Any]:
        """Changes by the arguments' own names, with what they clear."""
        changes = {name: value for name, value in changes.items() if not is_not_given(value)}
        for alias, name in ALIASES.items():
            if alias not in changes:
                continue
            if name in changes:
                raise InvalidParameterError(f"give {name} or {alias}, not both: they are two names for one thing")
            value = changes.pop(alias)
            changes[name] = {**(self.arguments[name].value or {}), **(value or {})} if alias in _ADDED else value
        changes |= {name: changes.pop(alias) for alias, name in REPLACING.items() if alias in changes}
        if "http_client" in changes:
            raise InvalidParameterError(NO_HTTP_CLIENT)
        unknown = changes.keys() - self.arguments.keys()
        if unknown:
            from difflib import get_close_matches

            near = get_close_matches(min(unknown), [*self.arguments, *ALIASES], 1, SIMILAR_NAME)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise InvalidParameterError(f"with_options takes the constructor's arguments, not {sorted(unknown)}{hint}")
        if "base_url" in changes and "model" not in changes and is_url(self.arguments["model"]):
            changes["model"] = None
        if is_url(changes.get("model")) and "base_url" not in changes:
            changes["base_url"] = None
        return changes

    # -- its calls

    async def call(self, declaration: Declaration[Any, Any, Any], args: tuple[Any, ...], kwargs: Any) -> Any:
        """Make the plain call of a task; with `stream=True` it is a run that has begun."""
        given = declaration.bind(args, kwargs)
        if given.get("stream"):
            show = _text_of if declaration.name == "text-generation" and not given.get("details") else None
            return await self.start(declaration, given, stream=True, show=show).start()
        return await self._unseen(self._task_request(declaration, given)).result()

    def _unseen(self, request: CallRequest) -> AsyncRun[Any, Any] | CallDriver:
        """What makes a call of which nobody sees more than the result: its driver alone, where one is enough."""
        watch = self._watch(request)
        if request.hedge_after is not None:
            return AsyncRun(self.engine, request, watch)
        return CallDriver(self.engine, request, watch=watch)

    def stream(self, declaration: Declaration[Any, Any, Any], args: tuple[Any, ...], kwargs: Any) -> AsyncRun[Any, Any]:
        """The call of a task as a run."""
        return self.start(declaration, declaration.bind(args, kwargs), stream=True)

    def start(
        self,
        declaration: Declaration[Any, Any, Any],
        given: dict[str, Any],
        *,
        stream: bool,
        show: Callable[[Any], Any] | None = None,
        throttle: Throttle | None = None,
        order: Order | None = None,
        parent: ObservedConversation | None = None,
    ) -> AsyncRun[Any, Any]:
        """The run of a task with these arguments, which `declaration.bind` gave.

        `show` makes what is handed over of an event. `throttle` is asked before each attempt. `order` is the one in
        which the providers are asked, in place of the engine's. `parent`: the conversation that makes the call, where
        somebody observes it.
        """
        request = self._task_request(declaration, given, stream, order)
        request.show, request.throttle = show, throttle
        return AsyncRun(self.engine, request, self._watch(request, parent))

    def item(
        self,
        declaration: Declaration[Any, Any, Any],
        given: dict[str, Any],
        *,
        stream: bool,
        throttle: Throttle,
        order: Order | None = None,
    ) -> AsyncRun[Any, Any] | CallDriver:
        """What makes the call of a task, one of many: it is asked for the result and for what is known of the call."""
        request = self._task_request(declaration, given, stream, order)
        request.throttle = throttle
        return self._unseen(request)

    def repeated(
        self, declaration: Declaration[Any, Any, Any], given: Mapping[str, Any], *, stream: bool
    ) -> Repeated | None:
        """What makes the calls of further items that differ from one with these arguments in the first of them alone,
        as `item` does: it is given that argument, and checks it. What they have in common, their options and where they
        go, is found out once. It makes none any more once the client's options were changed.

        None where more of each is its own: the order of providers, what it costs, what is kept, the type of an answer.
        """
        if len(self.router.names) > 1 or self.account is not None or self.cache is not None:
            return None
        if not _OWN_TO_EACH.isdisjoint(given):
            return None
        settings, request = self.settings, self._task_request(declaration, dict(given), stream)
        first, others = declaration.positional[0], request.parameters

        def repeat(value: Any, throttle: Throttle) -> AsyncRun[Any, Any] | CallDriver | None:
            if self.settings is not settings:
                return None
            parameters = declaration.checked_again({**others, first: value})
            return self._unseen(msgspec.structs.replace(request, parameters=parameters, throttle=throttle))

        return repeat

    def _task_request(
        self,
        declaration: Declaration[Any, Any, Any],
        given: dict[str, Any],
        stream: bool = False,
        order: Order | None = None,
    ) -> CallRequest:
        given.pop("stream", None)
        names = self.router.names
        options = taken(given, len(names))
        typed = None if OF_TYPED_ANSWERS.isdisjoint(given) else typed_flow_of(given)
        task, model = declaration.name, given.pop("model", None)
        around, meter = None, None
        if self.account is not None or self.cache is not None or "tools" in given or "response_format" in given:
            around, meter = self._around(task, given, options, stream=stream)
            if around is not None and around.needs:
                order = order or in_their_order  # who was passed over is no reason to stay with another
        request = CallRequest(  # of more than 15 named arguments Python makes a dict first
            task=task,
            destination=partial(self.router.to, task, model),
            model=model,
            extra=given.pop("extra_body", {}),
            wanted=given.pop("wanted", None),
            typed=typed,
            parameters=given,
            stream=stream,
            headers=options.headers,
            query=self._query_with(options.query),
            timeout=self.timeout if options.timeout is None else options.timeout,
            retries=self.retries,
            failover=self.engine.failover_plan(names, (task, model), order) if len(names) > 1 else None,
            hedge_after=self.hedge_after,
        )
        if around is not None or meter is not None:
            request.around, request.meter = around, meter
        if stream:
            request.elements = declaration.elements
            request.tells_of_loading = self.hedge_after is None and "JobEvent" in declaration.events
        return request

    def _query_with(self, own: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        """The client's query with a call's own over it."""
        if not self.query:
            return own
        named = {name for name, _ in own}
        return tuple(pair for pair in self.query if pair[0] not in named) + own

    def _around(
        self, task: str, given: dict[str, Any], options: OwnOptions, *, stream: bool
    ) -> tuple[Around | None, CallMeter | None]:
        """What is done around the flows of a call with these arguments, and who counts its cost."""
        from .around import Around, needs_of

        may_choose = len(self.router.names) > 1 or self.arguments["provider"] in (None, "auto")
        needs = needs_of(task, given) if may_choose else ()
        meter, cache = None, self.cache
        if self.account is not None and task != "count-tokens":  # which costs nothing
            from ..cost.meter import CallMeter

            if stream and task == "chat-completion":
                given.setdefault("stream_options", {"include_usage": True})
            meter = CallMeter(self.account, given)
        if cache is not None and not cache.repeats(task, {**given, **(given.get("extra_body") or {})}):
            cache = None
        if meter is None and cache is None and not needs:
            return None, None
        return Around(
            needs=needs, meter=meter, cache=cache, headers=options.headers, query=self._query_with(options.query)
        ), meter

    def custom(
        self,
        task: str,
        model: str | None,
        flow: TaskFlow,
        given: Mapping[str, Any] = {},
        *,
        at_hub: bool = False,
        throttle: Throttle | None = None,
    ) -> AsyncRun[Any, Any]:
        """The run of something that is no declared task; `given` are the call's own options.

        `at_hub`: it asks the Hub alone, whoever the provider is.
        """
        request = self._request(
            task,
            lambda _: self.router.for_flow(task, model, flow, at_hub=at_hub),
            taken(dict(given)),
            model=model,
            throttle=throttle,
        )
        return AsyncRun(self.engine, request, self._watch(request))

    def on_endpoints(
        self,
        task: str,
        flow: TaskFlow,
        finish: Callable[[Any, Secret | None], Any],
        given: Mapping[str, Any] = {},
        secrets: Sequence[str] = (),
    ) -> AsyncRun[Any, Any]:
        """The run of a call of the API of Inference Endpoints; `given` are the call's own options.

        `finish` makes the result of what the flow returns, and of the token. `secrets` are texts that nobody may see.
        """
        guarded = tuple(map(TextSecret, secrets))

        async def destination(_: int) -> Destination:
            there = await self.router.for_endpoints(flow)
            key = there.credentials.key
            return msgspec.structs.replace(
                there,
                flow=lambda call: finished(flow(call), lambda result: finish(result, key)),
                credentials=there.credentials.guarding(guarded),
            )

        request = self._request(task, destination, taken(dict(given)))
        return AsyncRun(self.engine, request, self._watch(request))

    def at_endpoint(self, url: str, model: str, token: Secret | None) -> ClientCore:
        """A core for an Inference Endpoint, with this one's options and connections."""
        changes = {"provider": None, "model_mapping": None, "bill_to": None}
        return self.with_options(base_url=url, model=model, token=token, **changes)._of_endpoint()

    def _of_endpoint(self) -> ClientCore:
        """The same, which knows that the server at its URL may scale to zero."""
        self.settings = msgspec.structs.replace(self.settings, is_endpoint=True)
        self.router = Router((self.settings,))
        return self

    def resume(
        self, job: Job | str | bytes, timeout: float | Timeout | None, elements: Callable[[str], Any]
    ) -> AsyncRun[Any, Any]:
        """The run of a job that was submitted before; `elements`: how a task's result is handed over, by its name."""
        job = _job_of(job)
        request = self._request(
            job.task,
            lambda _: self.router.for_job(job),
            taken({"timeout": timeout}),
            model=job.model,
            elements=elements(job.task),
        )
        return AsyncRun(self.engine, request, self._watch(request))

    # -- who is told of them

    @property
    def listeners(self) -> tuple[Observer, ...]:
        """Who is told of calls: the client's observers, and the log where its level is on."""
        return (*self.observers, self._log) if LOGGER.isEnabledFor(logging.INFO) else self.observers

    @cached_property
    def _log(self) -> Observer:
        from ..telemetry.log import log_event

        return log_event

    def _watch(self, request: CallRequest, parent: ObservedConversation | None = None) -> Watch | None:
        """What tells those who observe of the call; None where nobody does."""
        if not self.observers and not LOGGER.isEnabledFor(logging.INFO):
            return None
        names = self.router.named if request.failover is None else tuple(request.failover.names)
        return self._watched(request, request.model or self.router.model, names, parent, self.listeners)

    @cached_property
    def _watched(self) -> Callable[..., Watch]:
        """What makes the watch of a call; loaded where somebody observes."""
        from ..engine.watch import watched

        return watched

    def _request(
        self, task: str, there: Callable[[int], Awaitable[Destination]], options: OwnOptions, **more: Any
    ) -> CallRequest:
        """The request of a call that is no declared task's: it has no parameters, and one place to go to."""
        return CallRequest(
            task=task,
            destination=there,
            headers=options.headers,
            query=self._query_with(options.query),
            timeout=options.limits(self.timeout),
            retries=self.retries,
            **more,
        )


def _cache_of(given: Any) -> Cache | None:
    """A client's cache. Raises `InvalidParameterError` for what is none."""
    if given is None:
        return None
    from ..cache.store import Cache

    if not isinstance(given, Cache):
        raise InvalidParameterError("cache must be a Cache, such as Cache('answers.sqlite')")
    return given


def _account_of(prices: Any, budget: Any) -> Account | None:
    """The account of a client with these arguments; what counts is loaded by the first that has one."""
    if prices is None and budget is None:
        return None
    from ..cost.meter import account_of

    return account_of(prices, budget)


def finished(flow: Flow[Any], finish: Callable[[Any], Any]) -> Flow[Any]:
    """The flow, whose result is what `finish` makes of it."""
    return finish((yield from flow))


def _restored(state: Mapping[str, Any]) -> ClientCore:
    from .stored_arguments import restored_arguments

    return ClientCore(restored_arguments(state))


def core_of(client: Any) -> ClientCore:
    """The core of a client, for the package's own use."""
    core: ClientCore = client._core
    return core


def _observers(given: object) -> tuple[Observer, ...]:
    """Who is told of a client's calls; the log is set up as the environment says."""
    if "HEADWATER_LOG" in os.environ:
        from ..telemetry.log import set_up_log

        set_up_log()
    return observers_of(given)


def _text_of(event: TextGenerationStreamOutput) -> str:
    return event.token.text


def _job_of(given: Job | str | bytes) -> Job:
    from ..protocol import events

    if isinstance(given, events.Job):
        return given
    try:
        return events.Job.from_json(given)
    except (msgspec.MsgspecError, TypeError, UnicodeDecodeError):
        raise InvalidParameterError("resume takes a Job, or the JSON that job.to_json() gave") from None
