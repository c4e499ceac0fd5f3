"""What every call takes beside its task's own parameters: `timeout`, `extra_headers`, `extra_query`.

They hold for this call alone, over the client's. What they carry goes where the call's credentials go, and nowhere
else. OpenAI's client has them on every method: https://github.com/openai/openai-python#advanced
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypedDict
from urllib.parse import urlencode

import msgspec

from ..auth.secret import check_headers, mask
from ..errors import InvalidParameterError
from ..protocol.json_value import UnsayableError, json_value
from ..protocol.timeout import Timeout
from ..tasks.declaration import CALL_OPTIONS, given_of
from .route import key_headers

RequestOptions = TypedDict(  # noqa: UP013 - as `CallOptions` is written
    "RequestOptions",
    {
        "timeout": float | Timeout | None,
        "extra_headers": Mapping[str, str] | None,
        "extra_query": Mapping[str, Any] | None,
    },
    total=False,
)
"""Of a call that has no body: its limits, and what its requests carry besides."""


class OwnOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What one call has of its own; `query` is encoded."""

    timeout: Timeout | None = None
    headers: tuple[tuple[str, str], ...] = ()
    query: tuple[tuple[str, str], ...] = ()

    def limits(self, usual: Timeout) -> Timeout:
        """The call's limits, or the client's."""
        return usual if self.timeout is None else self.timeout


NONE = OwnOptions()
ALL = tuple(sorted(CALL_OPTIONS))


def taken(given: dict[str, Any], places: int = 1) -> OwnOptions:
    """Take the call's options out of its arguments; `places`: how many providers they may go to.

    Raises `InvalidParameterError` and `InvalidCredentialError` for what cannot be sent.
    """
    if CALL_OPTIONS.isdisjoint(given):
        return NONE
    timeout, query = given.pop("timeout", None), given.pop("extra_query", None)
    headers = _headers(given, places)
    return OwnOptions(timeout=None if timeout is None else Timeout.of(timeout), headers=headers, query=_query(query))


def options_of(given: Mapping[str, Any], allowed: Iterable[str] = ALL) -> dict[str, Any]:
    """The options of a method that is no task; all else is refused."""
    options = given_of(given)
    for name in options:
        if name not in allowed:
            raise InvalidParameterError(f"no parameter {name!r}; besides its own, it takes {', '.join(allowed)}")
    return options


def moved(more: dict[str, Any]) -> dict[str, Any]:
    """Take a call's options out of what else it was given."""
    return {name: more.pop(name) for name in ALL if name in more}


def _headers(given: dict[str, Any], places: int) -> tuple[tuple[str, str], ...]:
    more = mask(given.pop("extra_headers", None))
    if isinstance(more, Mapping):
        more = {name: value for name, value in more.items() if value is not None}
    headers = check_headers(more)
    shared = sorted({name for name, _ in headers} & key_headers()) if headers and places > 1 else []
    if shared:
        raise InvalidParameterError(
            f"the header {shared[0]!r} would go to every provider of the list: give each Route(...) its own api_key="
        )
    return headers


def _query(query: Any) -> tuple[tuple[str, str], ...]:
    if query is None:
        return ()
    if not isinstance(query, Mapping) or not all(isinstance(name, str) for name in query):
        raise InvalidParameterError("extra_query must be a dict of names and values")
    return tuple((name, urlencode([(name, text) for text in _texts(name, value)])) for name, value in query.items())


def _texts(name: str, value: Any) -> Iterable[str]:
    try:
        plain = json_value(value)
    except UnsayableError as error:
        raise InvalidParameterError(f"extra_query: {name}: {error.reason}") from None
    for each in plain if isinstance(plain, list | tuple) else [plain]:
        if isinstance(each, bool):
            yield str(each).lower()
        elif isinstance(each, str | int | float):
            yield str(each)
        elif each is not None:
            raise InvalidParameterError(f"extra_query: {name} must be a text, a number or a list of them")
