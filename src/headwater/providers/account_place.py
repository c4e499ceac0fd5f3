"""Where a provider is for one account: in a URL that the caller or the environment names.

Pure: the environment is read by whoever asks, and what it holds is given here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final
from urllib.parse import quote, urlsplit, urlunsplit

import msgspec

from ..errors import InvalidParameterError
from ..protocol.lazy import lazy_pattern

_NAME: Final = lazy_pattern(r"[A-Za-z0-9_-]{1,128}")


class AccountPlace(msgspec.Struct, frozen=True, kw_only=True):
    """`variables`: those of the environment that name it, the usual one first. `versions`: those that name the version
    of its API. `base_of`: the provider's base, given what names it and the version."""

    variables: tuple[str, ...]
    base_of: Callable[[str, str | None], str]
    versions: tuple[str, ...] = ()


def at_host(prefix: str) -> Callable[[str, str | None], str]:
    """A host, or its URL with this path behind it or without."""

    def base_of(named: str, _: str | None) -> str:
        return _with_scheme(named).rstrip("/").removesuffix(prefix).rstrip("/")

    return base_of


def in_template(template: str, prefix: str) -> Callable[[str, str | None], str]:
    """An account's name in this URL, or the whole URL with this path behind it or without."""

    def base_of(named: str, _: str | None) -> str:
        if "://" in named:
            return named.rstrip("/").removesuffix(prefix)
        if not _NAME.fullmatch(named):
            raise InvalidParameterError("an account is named by letters, digits, - and _, or by a URL")
        return template.format(named)

    return base_of


def azure_base(named: str, version: str | None) -> str:
    """Azure's resource: of its newer API, `/openai/v1`, or with a version of the older one, `/openai`, with the
    deployment where the URL names it.

    A version in the URL (`?api-version=`) goes over the environment's; a URL of the newer API has none of those.
    https://learn.microsoft.com/azure/foundry/openai/api-version-lifecycle
    """
    parts = urlsplit(_with_scheme(named))
    path = parts.path.rstrip("/")
    deployment = re.search(r"/openai/deployments/([^/]+)", path)
    is_new = path.endswith("/openai/v1") or not (parts.query or version)
    if is_new and not deployment:
        return urlunsplit(parts._replace(path="/openai/v1"))
    query = parts.query or (f"api-version={quote(version, safe='')}" if version else "")
    if not query:
        raise InvalidParameterError("Azure's URL of a deployment wants a version: ...?api-version=2024-10-21")
    return urlunsplit(
        parts._replace(path=f"/openai{f'/deployments/{deployment[1]}' if deployment else ''}", query=query)
    )


def _with_scheme(named: str) -> str:
    return named if "://" in named else f"https://{named}"
