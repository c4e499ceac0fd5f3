"""A map's own settings, checked: how many at once, how often, and what an input may cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Literal

from ..errors import InvalidParameterError
from .limiter import ProviderLimiter

MOST_CONCURRENCY: Final = 4096
"""In flight at most, where the number is to be found; fewer where the process may not open as many files."""
_FILES_PER_CONNECTION: Final = 2
CHARACTERS_PER_TOKEN: Final = 4
"""In a token, as a rule of thumb; what was really used corrects it."""
UNKNOWN_ANSWER_TOKENS: Final = 256.0
"""Tokens of an answer whose most is not said."""


def _affordable() -> int:
    """Connections that the process may have at once, leaving it as many files for others."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return MOST_CONCURRENCY
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (
        MOST_CONCURRENCY
        if soft == resource.RLIM_INFINITY
        else max(1, min(MOST_CONCURRENCY, soft // _FILES_PER_CONNECTION))
    )


def _positive(name: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise InvalidParameterError(f"{name} must be a number above 0, or None")
    return float(value)


class ThrottleSettings:
    """How fast a map may go. Each provider has limits of its own.

    `tokens_of`: the tokens that an input may use, roughly (default: by its texts, and what it allows the answer).
    """

    def __init__(
        self,
        concurrency: int | Literal["auto"],
        requests_per_minute: float | None,
        tokens_per_minute: float | None,
        parameters: Mapping[str, Any],
        tokens_of: Callable[[Any], float] | None = None,
    ) -> None:
        number = isinstance(concurrency, int) and not isinstance(concurrency, bool)
        if concurrency != "auto" and not (number and concurrency > 0):
            raise InvalidParameterError('concurrency must be "auto" or a whole number above 0')
        self._most = _affordable() if concurrency == "auto" else concurrency
        self._adapts = concurrency == "auto"
        self._requests = _positive("requests_per_minute", requests_per_minute)
        self._tokens = _positive("tokens_per_minute", tokens_per_minute)
        self._answer = _answer_in(parameters)
        self._tokens_of = tokens_of or self._tokens_in

    def limiter(self, now: float) -> ProviderLimiter:
        """The limits of one provider."""
        requests = None if self._requests is None else self._requests / 60
        tokens = None if self._tokens is None else self._tokens / 60
        return ProviderLimiter(now, most=self._most, adapts=self._adapts, requests=requests, tokens=tokens)

    @property
    def counts(self) -> bool:
        """Whether anybody counts tokens."""
        return self._tokens is not None

    def cost(self, item: Any) -> float:
        """The tokens that an input may use, roughly; 0 where nobody counts them."""
        return 0.0 if self._tokens is None else self._tokens_of(item)

    def _tokens_in(self, item: Any) -> float:
        answer = (_answer_in(item) if isinstance(item, Mapping) else None) or self._answer or UNKNOWN_ANSWER_TOKENS
        return sum(_characters(item)) / CHARACTERS_PER_TOKEN + answer


def _answer_in(parameters: Mapping[str, Any]) -> float | None:
    for name in ("max_tokens", "max_completion_tokens", "max_new_tokens"):
        value = parameters.get(name)
        if isinstance(value, int):
            return float(value)
    return None


def _characters(item: Any) -> Iterator[int]:
    if isinstance(item, str):
        yield len(item)
    elif isinstance(item, Mapping):
        for value in item.values():
            yield from _characters(value)
    elif isinstance(item, list | tuple):
        for value in item:
            yield from _characters(value)


def fails_fast(on_error: object) -> bool:
    """Whether the first error ends the map."""
    if on_error not in ("collect", "raise"):
        raise InvalidParameterError('on_error must be "collect" or "raise"')
    return on_error == "raise"
