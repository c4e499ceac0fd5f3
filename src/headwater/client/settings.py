"""What a client's arguments must be: each is checked when the client is made, and refused in plain words.

Secrets come here hidden (`auth.mask`), so that no traceback shows them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import msgspec

from ..auth.secret import Opaque, Secret, check_headers, mask
from ..errors import InvalidParameterError
from ..protocol.timeout import Timeout
from ..protocol.transport import Transport
from ..protocol.url import Url
from ..tasks.declaration import is_not_given

if TYPE_CHECKING:
    from ..engine.observer import Observer

ALIASES: Final = {
    "api_key": "token",
    "max_retries": "retries",
    "default_headers": "headers",
    "default_query": "query",
    "proxy": "proxies",
}
"""OpenAI's names of the client's arguments, and the arguments."""
REPLACING: Final = {"set_default_headers": "headers", "set_default_query": "query"}
"""OpenAI's names of what replaces arguments where a client is changed, and the arguments."""
HIDDEN: Final = frozenset(
    {*("token", "api_key", "headers", "default_headers", "set_default_headers", "cookies", "proxies", "proxy")}
    | {"query", "default_query", "set_default_query"}
)
"""Arguments that may hold a secret."""
NO_HTTP_CLIENT: Final = (
    "a client takes no http_client: give what it was made of as transport= (an asynchronous one of httpx or httpx2),"
    " proxy=, verify=, ssl_context=, http2= or timeout="
)
RETRIES: Final = 2


def concealed(given: Any) -> Any:
    """What `mask` makes of an argument; None where it was not given."""
    return None if is_not_given(given) else mask(given)


def concealed_url(url: Any) -> Any:
    """A URL, which is hidden where it may hold a secret."""
    return concealed(url) if is_not_given(url) or (isinstance(url, str) and ("@" in url or "?" in url)) else url


def plain_query(query: Any) -> Any:
    """A query's numbers and truth values as texts, as they are sent."""
    if not isinstance(query, Mapping):
        return query
    return {
        name: str(value).lower() if isinstance(value, bool | int | float) else value
        for name, value in query.items()
        if value is not None
    }


def opened(kept: Any) -> Any:
    """What was kept."""
    return kept.value if isinstance(kept, Opaque) else kept


def either(name: str, value: Any, alias: str, other: Any) -> Any:
    """The one of two names for one thing that was given. Raises `InvalidParameterError` where both were."""
    if value is None or other is None:
        return other if value is None else value
    raise InvalidParameterError(f"give {name} or {alias}, not both: they are two names for one thing")


def secret_of(key: Any, *, free: bool = False) -> Secret | None:
    """A token or API key. Raises `InvalidCredentialError` for one that cannot be sent.

    `free`: the place wants no key that its caller does not know of, as a server's URL: an empty one is none there.
    """
    if key is None or isinstance(key, Secret) or (free and isinstance(key, str) and not key.strip()):
        return key if isinstance(key, Secret) else None
    if not isinstance(key, str):
        raise InvalidParameterError(f"token must be a str, not {key.__name__}")  # all that `mask` left of it
    return Secret(key)


def headers_of(headers: Any, organization: Any, project: Any) -> tuple[tuple[str, str], ...]:
    """A client's headers, with OpenAI's own that say who is billed where they are not among them."""
    billed = {"OpenAI-Organization": organization, "OpenAI-Project": project}
    own = check_headers(headers)
    named = {name for name, _ in own}
    more = check_headers({name: value for name, value in billed.items() if value is not None})
    return own + tuple(pair for pair in more if pair[0] not in named)


def query_of(query: Any) -> tuple[tuple[str, str], ...]:
    """A client's query, encoded."""
    if query is None:
        return ()
    if not isinstance(query, Mapping) or not all(
        isinstance(name, str) and isinstance(value, str) for name, value in query.items()
    ):
        raise InvalidParameterError("query must be a dict of names and values, which are texts or numbers")
    return tuple((name, urlencode({name: value})) for name, value in query.items())


def cookie_of(cookies: Mapping[str, str] | None) -> tuple[tuple[str, str], ...]:
    """Cookies as a header; none where there are none."""
    if not cookies:
        return ()
    if not isinstance(cookies, Mapping):
        raise InvalidParameterError("cookies must be a dict of names and values")
    return check_headers({"cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())})


def retry_count(retries: object) -> int:
    """How many retries."""
    if retries is None:
        return RETRIES
    if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
        raise InvalidParameterError("retries must be a whole number, 0 or more")
    return retries


def bytes_of(largest: object) -> None:
    """Refuse what is no number of bytes, and not None, which leaves an answer's bound at the default."""
    if largest is None:
        return
    if isinstance(largest, bool) or not isinstance(largest, int) or largest < 1:
        raise InvalidParameterError("max_response_bytes must be a whole number above 0, or None")


def seconds_of(hedge_after: object) -> float | None:
    """After how many seconds a call is hedged; None for never."""
    if hedge_after is None:
        return None
    if isinstance(hedge_after, bool) or not isinstance(hedge_after, int | float) or not 0 < hedge_after < inf:
        raise InvalidParameterError("hedge_after must be a number of seconds above 0, or None")
    return float(hedge_after)


def observers_of(given: object) -> tuple[Observer, ...]:
    """Who is told of a client's calls: a callable, or several in a list. A list that can be called is one observer,
    which keeps what it is told."""
    several = isinstance(given, list | tuple) and not callable(given)
    listed: tuple[Any, ...] = () if given is None else tuple(given) if several else (given,)  # type: ignore[arg-type]
    if listed:
        from ..protocol.callback import check_callback  # for who observes

        for each in listed:
            check_callback("observer", each, "an event")
    return listed


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a client was told about one place where its calls go. `headers` are checked.

    `provider_model`: the model's id there, for calls that name none. `hub_key`: the client's own key, for look-ups at
    the Hub. `name`: what the place is called where there are several, `timeout` its own limits, and `transport`
    what carries its requests. `model_urls`: whether a call's own model may be a URL. `done_ends_stream`: whether
    `[DONE]` alone ends a whole stream there. `is_endpoint`: the URL is an Inference Endpoint's, which may scale to
    zero; `endpoint`: the name of one that is to be looked up.
    """

    model: str | None
    base_url: str | None
    key: Secret | None
    headers: tuple[tuple[str, str], ...]
    bill_to: str | None
    model_mapping: dict[str, str]
    allow_insecure: bool
    model_urls: bool = True
    done_ends_stream: bool = False
    name: str = ""
    provider: str | None = None
    provider_model: str | None = None
    hub_key: Secret | None = None
    timeout: Timeout | None = None
    transport: Callable[[Url], Transport] | None = None
    is_endpoint: bool = False
    endpoint: str | None = None
