"""What a client's arguments must be: each is checked when the client is made, and refused in plain words.

Secrets come here hidden (`auth.hidden`), so that no traceback shows them.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any

from .auth import Secret, check_headers
from .errors import InvalidParameterError


def secret_of(key: Any) -> Secret | None:
    """A token or API key. Raises `InvalidCredentialError` for one that cannot be sent."""
    if key is None or isinstance(key, Secret):
        return key
    if not isinstance(key, str):
        raise InvalidParameterError(f"token must be a str, not {key.__name__}")  # all that `hidden` left of it
    return Secret(key)


def cookie_of(cookies: Mapping[str, str] | None) -> tuple[tuple[str, str], ...]:
    """Cookies as a header; none where there are none."""
    if not cookies:
        return ()
    if not isinstance(cookies, Mapping):
        raise InvalidParameterError("cookies must be a dict of names and values")
    return check_headers({"cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())})


def count_of(retries: object) -> int:
    """How many retries."""
    if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
        raise InvalidParameterError("retries must be a whole number, 0 or more")
    return retries


def seconds_of(hedge_after: object) -> float | None:
    """After how many seconds a call is hedged; None for never."""
    if hedge_after is None:
        return None
    if isinstance(hedge_after, bool) or not isinstance(hedge_after, int | float) or not 0 < hedge_after < inf:
        raise InvalidParameterError("hedge_after must be a number of seconds above 0, or None")
    return float(hedge_after)
