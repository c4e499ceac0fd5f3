"""What both clients are to their callers: the constructor, its arguments as attributes, and one row per task.

Making a client does no I/O, starts no thread and loads no TLS. A client may be used from several event loops, and need
not be closed: `async with`, `with` and `close()` give its idle connections back at once, and it can be used again
after. A secret is never pickled: nothing that holds one leaves the process.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from ..auth.secret import Secret
from ..engine.input_policy import DEFAULT_POLICY, InputPolicy
from ..errors import InvalidParameterError
from ..tasks.declaration import SIMILAR_NAME, is_not_given
from ..tasks.type_hints import hinted
from .attributes import Option
from .bound_task import BOUND, RawResponses, Task
from .core import ClientCore, masked
from .route import Route
from .server_info import ServerInfo
from .settings import NO_HTTP_CLIENT, concealed, concealed_url, either, plain_query
from .task_table import Tasks

if TYPE_CHECKING:
    import ssl

    import httpx

    from ..cache.store import Cache
    from ..cost.budget import Budget
    from ..cost.price import Prices
    from ..engine.observer import Observer
    from ..protocol.timeout import Timeout
    from ..protocol.transport import Transport
    from ..transport.transports import Http2


_ELSEWHERE = {
    **dict.fromkeys(
        (
            "files",
            "fine_tuning",
            "vector_stores",
            "uploads",
            "evals",
            "containers",
            "conversations",
            "realtime",
            "videos",
        ),
        "client.post(json=..., model='/a/path') asks a path of the server",
    ),
    "batches": "headwater.batch runs a file of requests",
    "get": "client.models, client.responses.retrieve, or an HTTP client of your own",
    "with_config": "client.with_options(...)",
}
"""What other clients have, and what does the same here."""
_OF_OTHERS = frozenset({"http_client", "session"})
"""Options of openai's and of huggingface_hub's clients that there are none of here."""


@hinted("__init__")
class BaseClient(Tasks, ServerInfo, RawResponses):
    """What both clients are. All of their state is a `ClientCore`, which is read through `core_of`."""

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
        query: Mapping[str, object] | None = None,
        default_query: Mapping[str, object] | None = None,
        organization: str | None = None,
        project: str | None = None,
        http_client: None = None,
        proxies: str | Mapping[str, str] | None = None,
        proxy: str | None = None,
        trust_env: bool = True,
        verify: str | os.PathLike[str] | bool | None = None,
        ssl_context: ssl.SSLContext | None = None,
        http2: Http2 = False,
        transport: httpx.AsyncBaseTransport | Transport | None = None,
        model_mapping: Mapping[str, str] | None = None,
        retries: int | None = None,
        hedge_after: float | None = None,
        allow_insecure: bool = False,
        input_policy: InputPolicy = DEFAULT_POLICY,
        max_response_bytes: int | None = None,
        done_ends_stream: bool = False,
        observer: Observer | Sequence[Observer] | None = None,
        prices: Prices | Sequence[Prices] | None = None,
        budget: Budget | int | Sequence[Budget | int] | None = None,
        cache: Cache | None = None,
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
            query: Sent in the URL of every inference request, such as {"api-version": "2026-01-01"}.
            default_query: OpenAI's name of `query`.
            organization: The organisation at OpenAI that is billed, in a header of every inference request.
            project: The project at OpenAI, as well.
            http_client: Refused: what OpenAI's client takes so goes into `transport`, `proxies`, `verify`, ...
            proxies: A proxy's URL (http, https, socks5, socks5h), or one by scheme ("http", "https", "all").
            proxy: httpx's name of `proxies`.
            trust_env: Also take proxies from the environment.
            verify: A file or folder of certificates that are trusted besides the system's; False is refused.
            ssl_context: In place of the system's certificates and `verify`: a context of your own, with a client's
                certificate for instance.
            http2: Whether servers may choose HTTP/2, over https; "prior-knowledge" speaks it over plain http as well,
                without asking. Needs the extra `http2`.
            transport: Any asynchronous transport of httpx or httpx2 to send with, or one of headwater's own kind.
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
            done_ends_stream: Take `[DONE]` for the end of a whole text that no finish reason came with, for servers
                that send none; everywhere else such a stream counts as cut.
            observer: Who is told what calls do: a callable that takes an `ObserverEvent`, or a list of them.
            prices: What models cost, for `facts.cost` and for budgets: a table such as `{"model": Price(0.1, 0.4)}`,
                "router" for what Hugging Face's router lists, "provider" for what the provider says in its answer that
                it charges, or several of them, of which the first that knows counts. Where it is not given, "provider"
                and "router" if a budget is in dollars, else nothing.
            budget: A `Budget`, a number of tokens, or several, which the calls of this client spend together: once one
                is spent, a call raises `BudgetExceededError` and sends nothing.
            cache: A `Cache`, which keeps the answers to requests that repeat.

        Raises:
            InvalidParameterError: Two arguments say two things: `token` and `api_key`, a URL and `provider`.
            InvalidCredentialError: A key or header cannot be sent.
            ImportError: HTTP/2 is wanted, and its extra is not installed.
        """
        # What a traceback that shows locals would show is hidden before anything here can fail.
        token, api_key = concealed(token), concealed(api_key)
        headers, default_headers = concealed(headers), concealed(default_headers)
        query, default_query = concealed(plain_query(query)), concealed(plain_query(default_query))
        proxies, proxy = concealed(proxies), concealed(proxy)
        cookies, base_url = concealed(cookies), concealed_url(base_url)
        if http_client is not None and not is_not_given(http_client):
            raise InvalidParameterError(NO_HTTP_CLIENT)
        given = {
            "model": model,
            "provider": provider,
            "token": either("token", token, "api_key", api_key),
            "timeout": timeout,
            "headers": either("headers", headers, "default_headers", default_headers),
            "query": either("query", query, "default_query", default_query),
            "organization": organization,
            "project": project,
            "cookies": cookies,
            "bill_to": bill_to,
            "base_url": base_url,
            "proxies": either("proxies", proxies, "proxy", proxy),
            "trust_env": trust_env,
            "verify": verify,
            "ssl_context": ssl_context,
            "http2": http2,
            "transport": transport,
            "model_mapping": model_mapping,
            "retries": either("retries", retries, "max_retries", max_retries),
            "hedge_after": hedge_after,
            "allow_insecure": allow_insecure,
            "input_policy": input_policy,
            "max_response_bytes": max_response_bytes,
            "done_ends_stream": done_ends_stream,
            "observer": observer,
            "prices": prices,
            "budget": budget,
            "cache": cache,
        }
        self._core = ClientCore({name: None if is_not_given(value) else value for name, value in given.items()})

    model = Option["str | None"]("model", "The model that calls without one of their own go to.")
    provider = Option["str | Route | Sequence[str | Route] | None"]("provider", "Who serves the model.")
    token = Option["Secret | None"]("token", "The key, which does not print itself: `token.reveal()` gives it.")
    api_key = Option["Secret | None"]("token", "The key, in OpenAI's word.")
    timeout = Option["float | Timeout | None"]("timeout", "The limits of each call, as they were given.")
    headers = Option["Mapping[str, str]"]("headers", "Sent with every inference request.")
    default_headers = Option["Mapping[str, str]"]("headers", "The headers, in OpenAI's word.")
    query = Option["Mapping[str, str]"]("query", "Sent in the URL of every inference request.")
    default_query = Option["Mapping[str, str]"]("query", "The query, in OpenAI's word.")
    organization = Option["str | None"]("organization", "The organisation at OpenAI that is billed.")
    project = Option["str | None"]("project", "The project at OpenAI that is billed.")
    cookies = Option["Mapping[str, str]"]("cookies", "Sent with every inference request.")
    bill_to = Option["str | None"]("bill_to", "The Hugging Face organisation that pays.")
    base_url = Option["str | None"]("base_url", "The URL of the server that every call goes to.")
    proxies = Option["str | Mapping[str, str] | None"]("proxies", "A proxy URL, or one by scheme.")
    proxy = Option["str | Mapping[str, str] | None"]("proxies", "The proxies, in httpx's word.")
    trust_env = Option["bool"]("trust_env", "Whether proxies are also taken from the environment.")
    verify = Option["str | os.PathLike[str] | bool | None"]("verify", "What is trusted besides the system's.")
    ssl_context = Option["ssl.SSLContext | None"]("ssl_context", "The TLS context, if one was given.")
    http2 = Option["Http2"]("http2", "Whether servers may choose HTTP/2.")
    transport = Option["httpx.AsyncBaseTransport | Transport | None"]("transport", "What was given to send with.")
    model_mapping = Option["Mapping[str, str]"]("model_mapping", "Provider's model ids by Hub id.")
    retries = Option["int"]("retries", "Further tries after a failure that may pass.")
    max_retries = Option["int"]("retries", "The retries, in OpenAI's word.")
    hedge_after = Option["float | None"]("hedge_after", "Seconds after which a call is made a second time.")
    allow_insecure = Option["bool"]("allow_insecure", "Whether a key may go over plain http to another machine.")
    max_response_bytes = Option["int | None"]("max_response_bytes", "The most bytes of an answer, and of an event.")
    done_ends_stream = Option["bool"]("done_ends_stream", "Whether `[DONE]` alone ends a whole stream.")
    observer = Option["Observer | Sequence[Observer] | None"]("observer", "Who is told what calls do.")
    prices = Option["Any"]("prices", "What models cost, as it was given.")
    budget = Option["Budget | int | Sequence[Budget | int] | None"]("budget", "What the calls spend together.")
    cache = Option["Cache | None"]("cache", "What keeps answers.")
    input_policy = Option["InputPolicy"]("input_policy", "What inputs may be.")

    def __repr__(self) -> str:
        if "_core" not in vars(self):  # its making failed, and a traceback shows locals
            return f"{type(self).__name__}()"
        s = self._core.settings
        place = (s.model or s.base_url or "").partition("?")[0] or None
        return f"{type(self).__name__}(model={place!r}, provider={self._core.arguments['provider']!r})"

    def with_options(self, **changes: Any) -> Self:
        """A client with some of the constructor's arguments changed; it shares this one's connections where it can.

        `default_headers` and `default_query` are added to those that there are, `headers` and `query` replace them, as
        `set_default_headers` and `set_default_query` do in OpenAI's words. A URL as `model` takes the place of
        `base_url`, and the other way round. Also called `copy`, as OpenAI's is.
        """
        changes = masked(changes)  # before anything here can fail
        core = self._core.with_options(**changes)
        client = copy.copy(self)
        client._core = core
        return client

    copy = with_options

    def is_closed(self) -> bool:
        """Whether `close` was called. A client that was closed can be used all the same."""
        return self._core.is_closed

    def __setattr__(self, name: str, value: Any) -> None:
        """A program's own attributes may be set; a misspelled option, or another client's, would be without effect."""
        if name in _OF_OTHERS:
            raise AttributeError(f"a client has no option {name!r}")
        if not name.startswith("_") and not hasattr(type(self), name):
            options = [option for option, row in vars(BaseClient).items() if isinstance(row, Option)]
            from difflib import get_close_matches

            if near := get_close_matches(name, options, 1, SIMILAR_NAME):
                raise AttributeError(f"a client has no option {name!r}; did you mean {near[0]!r}?")
        super().__setattr__(name, value)
        self._task_changed(name)

    if not TYPE_CHECKING:  # a checker is to find a misspelled name

        def __getattr__(self, name: str) -> Any:
            here = f"; here: {_ELSEWHERE[name]}" if name in _ELSEWHERE else ""
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{here}", name=name, obj=self)

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        self._task_changed(name)

    def _task_changed(self, name: str) -> None:
        """Let go of what has the task of this name in it: `client.chat` is made of `client.chat_completion`."""
        if isinstance(vars(Tasks).get(name), Task):
            vars(self).pop(BOUND, None)

    def __copy__(self) -> Self:
        """A client that shares this one's connections."""
        client = type(self).__new__(type(self))
        vars(client).update(vars(self), _core=copy.copy(self._core))
        vars(client).pop(BOUND, None)
        return client

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """The same: connections, keys and what is known of servers are shared, a subclass's own attributes copied."""
        client = copy.copy(self)
        memo[id(self)] = client
        vars(client).update({name: copy.deepcopy(value, memo) for name, value in self._others().items()})
        return client

    def __getstate__(self) -> dict[str, Any]:
        """The arguments, for pickle. A key that is in the environment goes as its variable's name.

        Raises `TypeError` where an argument holds another secret.
        """
        return {"_core": self._core, **self._others()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)

    def _others(self) -> dict[str, Any]:
        """What a subclass, or a program, has put into the client."""
        return {name: value for name, value in vars(self).items() if name not in {"_core", BOUND}}
