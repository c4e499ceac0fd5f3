"""Which error a refusal is: by its status, the codes in its body, a text-generation server's `error_type`.

Tables and pure functions of them; the words of the error are written in `refusals`.
"""

from __future__ import annotations

import re
from typing import Any, Final

from . import server_words
from .errors import (
    AuthenticationError,
    ConflictError,
    ContentRefusedError,
    GenerationError,
    IncompleteGenerationError,
    InvalidRequestError,
    ModelLoadingError,
    NotFoundError,
    OverloadedError,
    PaymentRequiredError,
    PermissionDeniedError,
    ProviderError,
    RateLimitError,
    RedirectError,
    ServerError,
    UnknownError,
    ValidationError,
)

_BY_STATUS: Final[dict[int, type[ProviderError]]] = {
    401: AuthenticationError,
    402: PaymentRequiredError,
    403: PermissionDeniedError,
    404: NotFoundError,
    408: ServerError,
    409: ConflictError,
    410: NotFoundError,
    425: ServerError,
    429: RateLimitError,
    529: OverloadedError,
}
_BY_ERROR_TYPE: Final[dict[str, type[ProviderError]]] = {
    "validation": ValidationError,
    "generation": GenerationError,
    "overloaded": OverloadedError,
    "incomplete_generation": IncompleteGenerationError,
}
_RETRYABLE_4XX: Final = frozenset({408, 409, 425, 429})
_FINAL_5XX: Final = frozenset({501, 505})
_LONGEST_WORD: Final = 64
_MODERATED: Final = re.compile(r"content_?(filter|policy|violation)|moderat|safety")
_WORDS: Final = tuple(
    (re.compile(words), status)
    for words, status in (
        ("insufficient_quota|rate_?limit|too_many_requests|resource_exhausted|throttl", 429),
        ("overloaded", 529),
        ("unavailable|loading", 503),
        ("timeout|deadline", 504),
        ("authentication|unauthori[sz]ed|unauthenticated|invalid_api_key", 401),
        ("permission|forbidden", 403),
        ("not_?found", 404),
        ("billing|payment", 402),
        ("invalid|validation|bad_?request", 400),
        ("server_?error|api_error|internal", 500),
        (_MODERATED.pattern, 400),
    )
)


def words_of(value: Any) -> list[str]:
    """The codes and types in a decoded error body, the most telling first; sentences are not among them."""
    if not isinstance(value, dict):
        return []
    error = value.get("error")
    inner = error if isinstance(error, dict) else {}
    found = [inner.get("code"), inner.get("type"), inner.get("status"), value.get("code")]
    found += [value.get("error_type"), value.get("type"), value.get("reason"), error]
    words = [str(w) for w in found if isinstance(w, (str, int)) and not isinstance(w, bool)]
    return [w for w in words if w and len(w) <= _LONGEST_WORD and " " not in w]


def status_of(value: Any, words: list[str]) -> int | None:
    """The HTTP status that an error inside a 200 answer would have had; None where nothing tells."""
    error = value.get("error") if isinstance(value, dict) else None
    for place in (error, value):
        for key in ("code", "status", "status_code"):
            number = str(place.get(key)) if isinstance(place, dict) else ""
            if re.fullmatch(r"[45][0-9]{2}", number):
                return int(number)
    for word in map(_plain, words):
        for pattern, status in _WORDS:
            if pattern.search(word):
                return status
    return None


def _plain(word: str) -> str:
    return word.lower().replace("-", "_")


def kind_of_type(value: Any) -> type[ProviderError] | None:
    """The class for `error_type` (https://github.com/huggingface/text-generation-inference, router)."""
    name = value.get("error_type") if isinstance(value, dict) else None
    if not isinstance(name, str) or not isinstance(value.get("error"), str):
        return None
    return _BY_ERROR_TYPE.get(name, UnknownError)


def kind_of(status: int, value: Any, words: list[str]) -> type[ProviderError]:
    """The class of a refusal with this status and decoded body."""
    if 300 <= status < 400:
        return RedirectError
    by_type = kind_of_type(value)
    if by_type is not None:
        return by_type
    if status in (400, 403, 422) and any(_MODERATED.search(_plain(word)) for word in words):
        return ContentRefusedError
    if status == 503 and _loading(value):
        return ModelLoadingError
    return _BY_STATUS.get(status, ServerError if status >= 500 else InvalidRequestError)


def _loading(value: Any) -> bool:
    said = server_words.said(value) or ""
    return isinstance(value, dict) and ("estimated_time" in value or "loading" in said.lower())


def is_retryable(error: ProviderError, status: int, words: list[str]) -> bool:
    """Whether the same call may work later. A quota that is used up does not come back by waiting."""
    if isinstance(error, (ValidationError, UnknownError, RedirectError, ContentRefusedError)):
        return False
    if status in _FINAL_5XX or "insufficient_quota" in words:
        return False
    return error.retryable or status in _RETRYABLE_4XX
