"""Where calls may go, as the caller says it: a provider's name, or a `Route` with a model and a key of its own.

Every place gets its own settings and so its own keys: what was given for one never goes to another's origin. Nothing
is looked up or sent here.
"""

from __future__ import annotations

import os
import ssl
from collections import Counter
from functools import cache
from typing import Final

import msgspec

from ..auth.hosts import is_hugging_face_url
from ..auth.secret import Secret, mask
from ..errors import InvalidParameterError, UnknownProviderError
from ..protocol.timeout import Timeout
from ..protocol.url import parse_url
from ..providers import PROVIDERS, provider
from ..transport.tls import Trust
from ..transport.transports import Transports
from .keys import is_url
from .settings import Settings, secret_of


@cache
def key_headers() -> frozenset[str]:
    """The headers by which some provider takes its key."""
    return frozenset({"authorization", "cookie", *(row.key_header.name for row in PROVIDERS.values())})


class Route(msgspec.Struct, frozen=True):
    """One of the places that a client may turn to, for its argument `provider`.

        provider=["together", Route("groq", model="llama-3.1-8b-instant", api_key=...)]

    `provider`: its name; or `base_url`: the URL of a server of your own (with the providers azure, cloudflare and
    databricks, where that is for your account); or `endpoint`: an Inference Endpoint, by
    "name" or "namespace/name", which is looked up, and asked for the model that it has. `model`: the model's id there,
    in place of the client's, for calls that name none of their own; or `model_mapping`: ids there by what the call
    names. `token` or `api_key`: the key for this place alone; a provider without one has the client's, or its
    environment variable.
    `timeout`: a `Timeout`, or seconds in total, for the time that it is this one's turn, in place of the client's; when
    it is over the next one is asked, and the client's total counts all the same. `proxy`: the URL of the proxy on the
    way there, in place of the client's. `verify`: a file or folder of certificates that are trusted there besides the
    system's; or `ssl_context`. `done_ends_stream`: as the client's, which it has where this is None.

    Raises `InvalidParameterError` for a combination that says nothing or two things, `UnknownProviderError`, and
    `InvalidCredentialError` for a key that cannot be sent.
    """

    provider: str | None = None
    model: str | None = None
    token: str | Secret | None = None
    api_key: str | Secret | None = None
    base_url: str | None = None
    model_mapping: dict[str, str] | None = None
    timeout: float | Timeout | None = None
    proxy: str | None = None
    verify: str | os.PathLike[str] | bool | None = None
    ssl_context: ssl.SSLContext | None = None
    done_ends_stream: bool | None = None
    endpoint: str | None = None

    def __post_init__(self) -> None:
        for name in ("token", "api_key", "proxy"):  # before anything here can fail: a traceback shows locals
            msgspec.structs.force_setattr(self, name, mask(getattr(self, name)))
        if isinstance(self.base_url, str) and ("@" in self.base_url or "?" in self.base_url):
            msgspec.structs.force_setattr(self, "base_url", mask(self.base_url))
        for name in ("token", "api_key"):
            free = wants_no_key(self.provider, self.base_url)
            msgspec.structs.force_setattr(self, name, secret_of(getattr(self, name), free=free))
        places = [self.provider, self.base_url, self.endpoint]
        if places.count(None) != (1 if is_placed(self.provider) and self.base_url is not None else 2):
            raise InvalidParameterError("a Route has a provider, a base_url or an endpoint, one of them")
        if self.token is not None and self.api_key is not None:
            raise InvalidParameterError("Route: give token or api_key, not both: they are two names for one thing")
        if self.model is not None and self.model_mapping is not None:
            raise InvalidParameterError("Route: give model or model_mapping, not both")
        if is_url(self.model):
            raise InvalidParameterError("Route: model is the model's id there; a server's URL is given as base_url=")
        if self.endpoint is not None:
            from ..endpoints.addresses import split

            split(self.endpoint)
        elif self.base_url is None:
            provider(_name(self.provider))
        else:
            check_url(self.base_url)
        Timeout.of(self.timeout)
        if not self.proxy:
            msgspec.structs.force_setattr(self, "proxy", None)
        elif not isinstance(self.proxy, str):
            raise InvalidParameterError("Route: proxy must be a proxy's URL")
        else:
            from ..transport.proxies import proxies_by_scheme

            proxies_by_scheme(self.proxy)
        Trust(self.verify, self.ssl_context)

    @property
    def key(self) -> Secret | None:
        """The key, under either of its names."""
        key = self.token or self.api_key
        assert not isinstance(key, str)
        return key


def settings_by_route(given: Settings, named: object, transports: Transports) -> tuple[Settings, ...]:
    """The settings of each place that `provider=` names; the client's own where it names none.

    Raises `InvalidParameterError` for a URL beside it, and for a key that would go to several of them.
    """
    if given.base_url is not None:
        check_url(given.base_url)
    elif given.model is not None and is_url(given.model):
        check_url(given.model)
    routes = _routes(named)
    if not routes:
        return (given,)
    is_own_place = len(routes) == 1 and is_placed(routes[0].provider) and routes[0].base_url is None
    if (given.base_url is not None and not is_own_place) or is_url(given.model):
        raise InvalidParameterError(URL_AND_PROVIDER)
    if len(routes) == 1:
        there = _settings_of(given, routes[0], transports, routes[0].key or given.key)
        return (msgspec.structs.replace(there, base_url=given.base_url) if given.base_url is not None else there,)
    _check_shared(given, routes)
    names: Counter[str] = Counter()
    return tuple(_settings_of(given, route, transports, _key(given, route), _called(route, names)) for route in routes)


def wants_no_key(name: object, url: object, model: str | None = None) -> bool:
    """Whether an empty key is none there: at a server's URL, also as the model, and at a provider of this machine."""
    known = PROVIDERS.get(name) if isinstance(name, str) else None
    return url is not None or is_url(model) if known is None else known.keyless


def is_placed(name: object) -> bool:
    """Whether a provider of this name is at a place of each account's own, which a URL beside it says."""
    return isinstance(name, str) and name in PROVIDERS and PROVIDERS[name].place is not None


def check_url(url: str) -> None:
    """Raise `InvalidParameterError` for what is no http(s) URL."""
    if not isinstance(url, str) or not is_url(url):
        raise InvalidParameterError(f"base_url must be an http or https URL, not {str(url)[:80]!r}")
    parse_url(url)


def _routes(named: object) -> list[Route]:
    if named is None:
        return []
    listed = named if isinstance(named, list | tuple) else [named]
    if not listed:
        raise UnknownProviderError(_NAMES)
    return [one if isinstance(one, Route) else Route(_name(one)) for one in listed]


def _settings_of(given: Settings, route: Route, transports: Transports, key: Secret | None, name: str = "") -> Settings:
    own = route.proxy is not None or route.verify is not None or route.ssl_context is not None
    return msgspec.structs.replace(
        given,
        name=name,
        provider=route.provider,
        base_url=route.base_url,
        endpoint=route.endpoint,
        provider_model=route.model,
        key=key,
        hub_key=given.key,
        model_mapping=given.model_mapping | (route.model_mapping or {}),
        timeout=None if route.timeout is None else Timeout.of(route.timeout),
        transport=transports.for_route(route.proxy, route.verify, route.ssl_context).for_url if own else None,
        done_ends_stream=given.done_ends_stream if route.done_ends_stream is None else route.done_ends_stream,
    )


def _called(route: Route, names: Counter[str]) -> str:
    """What the place is called in what is known of calls; the second of the same provider has a number."""
    name = route.provider or route.endpoint or parse_url(route.base_url or "").origin
    names[name] += 1
    return name if names[name] == 1 else f"{name} ({names[name]})"


def _check_shared(given: Settings, routes: list[Route]) -> None:
    shared = sorted({name for name, _ in given.headers} & key_headers())
    if shared:
        raise InvalidParameterError(
            f"the header {shared[0]!r} would go to every provider of the list: give each Route(...) its own api_key="
        )
    without = sum(route.key is None for route in routes)
    if given.key is not None and not given.key.routed and without != 1:
        raise InvalidParameterError(
            "several providers cannot share one key: put each one's into its environment variable or its"
            " Route(..., api_key=...), or give a Hugging Face token, by which all of them are routed"
        )


def _key(given: Settings, route: Route) -> Secret | None:
    """The key for one of several places: its own, or the client's, which as a Hugging Face token goes to no server of
    somebody else's."""
    if route.key is not None or given.key is None:
        return route.key
    if route.base_url is not None and given.key.routed and not is_hugging_face_url(parse_url(route.base_url)):
        return None
    return given.key


def _name(name: object) -> str:
    if not isinstance(name, str):
        raise UnknownProviderError(_NAMES)
    return name


URL_AND_PROVIDER: Final = "a URL and a provider exclude each other: the URL says already who answers; give one of them"
_NAMES: Final = "provider must be a provider's name, a Route, or a list of them"
