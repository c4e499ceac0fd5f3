"""The two clients: settings, and one row per task.

Making one does no I/O, starts no thread and loads no TLS. A client may be used from several event loops, and need not
be closed: `async with`, `with` and `close()` give its idle connections back at once, and it can be used again after.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from .auth import Kept, Secret, check_headers, hidden
from .batch.faces import AsyncMaps, SyncMaps
from .calling import AsyncTask, SyncTask
from .engine.deadlines import Timeout
from .engine.facts import Plan
from .engine.inputs import DEFAULT as ANYTHING
from .engine.inputs import InputPolicy
from .engine.pacing import Pace
from .engine.retry import Retries
from .engine.run import AsyncRun
from .engine.sharing import Engine
from .errors import InvalidParameterError
from .events import Job, JobEvent
from .extras import AsyncExtras, SyncExtras
from .keys import Settings
from .options import cookie_of, count_of, seconds_of, secret_of
from .portal import call
from .routes import Route, places
from .routing import Destination, Router
from .spellings import AsyncChat, Chat, Named, SyncChat
from .task_rows import Tasks
from .tasks import embeddings, text
from .transport.choose import Transports

if TYPE_CHECKING:
    import httpx

    from .providers import Flows
    from .tasks.declare import Declaration
    from .wire import Transport


_HIDDEN = frozenset({"token", "api_key", "headers", "cookies", "proxies"})
_OURS = frozenset({"model", "extra_body"})
"""Arguments of every task that are not the task's own parameters."""
_LEAVES_ENGINE = frozenset({"timeout", "retries", "hedge_after"})
"""Options after whose change all that is known of providers still holds."""


class Client(Tasks):
    """What both clients are: their settings, and how a call of theirs is prepared.

    `model`: a model id of the Hub, or the URL of a server. `base_url`: the same for a URL alone, in OpenAI's word.
    `provider`: who serves the model (default: `HEADWATER_PROVIDER`, else "hf-inference"; "auto" lets Hugging Face's
    router choose), or a list of them, the next being asked where one fails before its first event; a `Route` in that
    list has a URL, a model or a key of its own. Not together with a URL. `token` or `api_key`: a Hugging Face token
    (calls of other providers are then routed and billed through Hugging Face), or the provider's own key (calls go to
    the provider directly); default: the provider's environment variable, `HF_TOKEN`, the token that a login saved.
    `timeout`: a `Timeout`, or seconds in total. `headers`, `cookies`: sent with every inference request. `bill_to`: the
    Hugging Face organisation that pays. `proxies`: a proxy URL, or one by scheme; `trust_env`: also take proxies from
    the environment. `http2`: use HTTP/2 (extra `http2`). `transport`: any `httpx.AsyncBaseTransport` to send with.
    `model_mapping`: provider's model ids by Hub id, in place of a look-up. `retries`: further tries after a failure
    that may pass. `hedge_after`: seconds after which a call that has not delivered anything yet is made a second time,
    at the next provider of the list or at the same; the first to deliver is taken, the other cancelled. Under one call
    in ten is, never a queued job, nor a result that is saved to a file. `allow_insecure`: let a key go over plain http
    to another machine. `input_policy`: what inputs may be, such as `InputPolicy.untrusted`.

    Raises `InvalidParameterError` for `model` with `base_url`, `token` with `api_key`, or a URL with `provider`, and
    `InvalidCredentialError` for a key or header that cannot be sent.
    """

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
        proxies: str | Mapping[str, str] | None = None,
        trust_env: bool = True,
        http2: bool = False,
        transport: httpx.AsyncBaseTransport | Transport | None = None,
        model_mapping: Mapping[str, str] | None = None,
        retries: int = 2,
        hedge_after: float | None = None,
        allow_insecure: bool = False,
        input_policy: InputPolicy = ANYTHING,
    ) -> None:
        # What a traceback that shows locals would show is hidden before anything here can fail.
        token, api_key = hidden(token), hidden(api_key)
        headers, cookies, proxies = hidden(headers), hidden(cookies), hidden(proxies)
        base_url = hidden(base_url) if base_url and ("@" in base_url or "?" in base_url) else base_url
        if model is not None and base_url is not None:
            raise InvalidParameterError("give model or base_url, not both; a model name can be given to each call")
        if token is not None and api_key is not None:
            raise InvalidParameterError("give token or api_key, not both: they are two names for one thing")
        key = token if token is not None else api_key
        secret = secret_of(key)
        self._settings = Settings(
            model=model,
            base_url=base_url,
            key=secret,
            headers=check_headers(headers) + cookie_of(cookies),
            bill_to=bill_to,
            model_mapping=dict(model_mapping or {}),
            allow_insecure=allow_insecure,
        )
        self._timeout = Timeout.of(timeout)
        self._retries = Retries(most=count_of(retries))
        self._hedge_after = seconds_of(hedge_after)
        self._transports = Transports(proxies=proxies, trust_env=trust_env, http2=http2, given=transport)
        if not isinstance(input_policy, InputPolicy):
            raise InvalidParameterError("input_policy must be an InputPolicy")
        self._engine = self._make_engine(input_policy, real_waits=not os.environ.get("HEADWATER_TEST_MODE"))
        self._router = Router(places(self._settings, provider))
        self._arguments: dict[str, Any] = {
            "model": model,
            "provider": provider,
            "token": secret,
            "timeout": self._timeout,
            "headers": Kept(headers),
            "cookies": Kept(cookies),
            "bill_to": bill_to,
            "base_url": base_url,
            "proxies": Kept(proxies),
            "trust_env": trust_env,
            "http2": http2,
            "transport": transport,
            "model_mapping": model_mapping,
            "retries": retries,
            "hedge_after": hedge_after,
            "allow_insecure": allow_insecure,
            "input_policy": input_policy,
        }

    def __repr__(self) -> str:
        if "_arguments" not in vars(self):  # its making failed, and a traceback shows locals
            return f"{type(self).__name__}()"
        s = self._settings
        place = (s.model or s.base_url or "").partition("?")[0] or None
        return f"{type(self).__name__}(model={place!r}, provider={self._arguments['provider']!r})"

    def with_options(self, **changes: Any) -> Self:
        """A client with some of the constructor's arguments changed; it shares this one's connections where it can."""
        changes = {name: hidden(value) if name in _HIDDEN else value for name, value in changes.items()}
        if "api_key" in changes:
            changes["token"] = changes.pop("api_key")
        unknown = changes.keys() - self._arguments.keys()
        if unknown:
            raise InvalidParameterError(f"with_options takes the constructor's arguments, not {sorted(unknown)}")
        replaced = {"model": "base_url", "base_url": "model"}
        cleared = {replaced[name]: None for name in changes if name in replaced}
        client = type(self)(**{**self._arguments, **cleared, **changes})
        if not changes.keys() & {"proxies", "trust_env", "http2", "transport"}:
            client._transports = self._transports
            client._engine = client._make_engine(client._engine.policy, real_waits=self._engine.real_waits)
            client._engine.pace = self._engine.pace
        if changes.keys() <= _LEAVES_ENGINE:
            client._engine = self._engine
        return client

    def _make_engine(self, policy: InputPolicy, *, real_waits: bool) -> Engine:
        transports = self._transports
        return Engine(transports.for_url, assets=transports.for_asset, policy=policy, real_waits=real_waits)

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
        pace: Pace | None = None,
    ) -> AsyncRun[Any, Any]:
        given.pop("stream", None)
        task = declaration.name
        turns = self._engine.turns(self._router.names, (task, given.get("model")))
        prepare, engine = partial(self._prepare, task, given, stream), self._engine
        limits, after = self._timeout, self._hedge_after
        name = declaration.method
        return AsyncRun(engine, name, prepare, show, timeout=limits, turns=turns, hedge_after=after, pace=pace)

    async def _prepare(self, task: str, given: dict[str, Any], stream: bool, index: int) -> Plan:
        there = await self._router.to(task, given.get("model"), index)
        return self._plan(task, there, given, stream)

    def _custom(self, task: str, model: str | None, flow: Flows, *, at_hub: bool = False) -> AsyncRun[Any, Any]:
        """A run of something that is no declared task; `at_hub`: it asks the Hub alone, whoever the provider is."""

        async def prepare(_: int) -> Plan:
            there = await self._router.for_flow(task, model, flow, at_hub=at_hub)
            return self._plan(task, there, {}, stream=False)

        return AsyncRun(self._engine, task, prepare, timeout=self._timeout)

    def _resume(self, job: Job) -> AsyncRun[Any, Any]:
        async def prepare(_: int) -> Plan:
            return self._plan(job.task, await self._router.for_job(job), {}, stream=False)

        return AsyncRun(self._engine, job.task, prepare, timeout=self._timeout)

    def _plan(self, task: str, there: Destination, given: dict[str, Any], stream: bool) -> Plan:
        parameters = {name: value for name, value in given.items() if name not in _OURS}
        extra = given.get("extra_body", {})
        call = there.call(task, parameters, extra, stream=stream, seconds=self._timeout.total)
        return Plan(
            task=task,
            provider=there.name,
            model=there.named,
            flow=there.flow(call),
            credentials=there.credentials,
            keys=there.keys,
            timeout=self._timeout,
            own=there.timeout,
            retries=self._retries,
        )


class AsyncInferenceClient(Client, AsyncExtras, AsyncMaps):
    """Runs inference on servers, from asyncio and trio; every task is a coroutine, and `.stream(...)` a run.

    Its arguments are `Client`'s.
    """

    @property
    def chat(self) -> Chat[AsyncChat]:
        """OpenAI's spelling: `client.chat.completions.create(...)` is `chat_completion`."""
        return Chat(self.chat_completion)

    @property
    def embeddings(self) -> Named[AsyncTask[..., JobEvent, embeddings.CreateEmbeddingResponse]]:
        """OpenAI's spelling: `client.embeddings.create(...)` is `create_embedding`."""
        return Named(self.create_embedding)

    async def close(self) -> None:
        """Give back the idle connections of the running event loop."""
        await self._transports.aclose()

    aclose = close

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class InferenceClient(Client, SyncExtras, SyncMaps):
    """The same client for blocking code, safe from several threads; every call runs on one shared event loop.

    Its arguments are `Client`'s.
    """

    @property
    def chat(self) -> Chat[SyncChat]:
        """OpenAI's spelling: `client.chat.completions.create(...)` is `chat_completion`."""
        return Chat(self.chat_completion)

    @property
    def embeddings(self) -> Named[SyncTask[..., JobEvent, embeddings.CreateEmbeddingResponse]]:
        """OpenAI's spelling: `client.embeddings.create(...)` is `create_embedding`."""
        return Named(self.create_embedding)

    def close(self) -> None:
        """Give back the idle connections."""
        call(self._transports.aclose)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _text(event: text.TextGenerationStreamOutput) -> str:
    return event.token.text
