"""Which key a call may carry, and where: what was passed, then the environment, then what a login saved.

A key goes to the place that it was given for and nowhere else. Nothing is sent here; the saved token's file is read
in a worker thread.
"""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING

import anyio.to_thread

from ..auth.credentials import BEARER, Credentials, KeyHeader
from ..auth.hosts import HUB_URL, is_hugging_face_url, is_loopback
from ..auth.secret import Secret, secrets_in_query
from ..errors import (
    InsecureCredentialError,
    InvalidCredentialError,
    InvalidParameterError,
    MissingCredentialError,
)
from ..protocol.lazy import lazy_modules
from ..protocol.url import Url, parse_url
from ..providers import Provider
from .settings import Settings

if TYPE_CHECKING:
    from ..auth import environment  # noqa: TC004 - loaded when it is used, below
    from ..providers.account_place import AccountPlace
else:
    globals().update(lazy_modules("headwater.auth", "environment"))


def is_url(model: str | None) -> bool:
    """Whether a model was given as a server's URL."""
    return model is not None and model.startswith(("http://", "https://"))


def hub_url() -> str:
    """Where the Hub is: its own URL, or that of HF_ENDPOINT. Raises `InvalidParameterError` for what is none."""
    url = os.environ.get("HF_ENDPOINT", "").strip().rstrip("/") or HUB_URL
    if not is_url(url):
        raise InvalidParameterError("HF_ENDPOINT must be an http or https URL, such as https://huggingface.co")
    return url


def inference_url() -> str | None:
    """Where hf-inference is, if HF_INFERENCE_ENDPOINT names another place than the router.

    Raises `InvalidParameterError` for what is no URL.
    https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables
    """
    url = os.environ.get("HF_INFERENCE_ENDPOINT", "").strip().rstrip("/") or None
    if url is not None and not is_url(url):
        raise InvalidParameterError("HF_INFERENCE_ENDPOINT must be an http or https URL")
    return url


class Keys:
    """The keys of one client."""

    __slots__ = ("_saved", "_settings")

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._saved: list[Secret | None] = []

    def for_url(self, url: Url) -> Secret | None:
        """The explicit key, if it was given for this URL: with it, or to a client that names no other place."""
        s = self._settings
        if s.key is None:
            return None
        home = s.base_url or (s.model if is_url(s.model) else None)
        if home is not None and parse_url(home).origin != url.origin:
            return None
        if home is None and s.key.routed and not is_hugging_face_url(url):
            return None  # a Hugging Face token, and some other server's URL as the call's model
        self._check_secure(url)
        return s.key

    def _check_secure(self, url: Url) -> None:
        if url.scheme == "http" and not is_loopback(url.host) and not self._settings.allow_insecure:
            raise InsecureCredentialError(
                f"the token would go to {url.host} over plain http, where others can read it;"
                " use https, or allow_insecure=True"
            )

    async def for_provider(self, row: Provider, there: Url | None = None) -> tuple[Secret | None, bool]:
        """The key of a call to this provider, and whether it goes through Hugging Face's router.

        `there`: where hf-inference is, other than at the router. What nobody passed goes to Hugging Face's own alone.
        """
        key = self._settings.key
        if there is not None:
            if key is not None:
                self._check_secure(there)
            elif is_hugging_face_url(there):
                key = await self.ambient_hub_token()
            return key, True
        if row.name in {"auto", "hf-inference"}:
            key = key or await self.ambient_hub_token()
            if row.name == "auto" and (key is None or not key.routed):
                raise _missing(row) if key is None else InvalidCredentialError(_AUTO_WANTS_HF)
            return key, True
        key = key or environment.ambient(row.keys)
        if key is not None and not key.routed:
            return key, False
        if not row.routed:
            if key is None and row.keyless:
                return None, False
            if key is None:
                raise _missing(row)
            raise InvalidCredentialError(
                f"{row.name} cannot be called with a Hugging Face token; it wants its own key"
                f"{f' ({row.keys[0]})' if row.keys else ', if any'}"
            )
        key = key or await self.ambient_hub_token()
        if key is None:
            raise _missing(row)
        return key, True

    def place_of(self, row: Provider, place: AccountPlace) -> str:
        """Where this provider is for the caller's account. Raises `InvalidParameterError` where nobody says it."""
        named = self._settings.base_url or _first_set(place.variables)
        if named is None:
            raise InvalidParameterError(
                f"{row.name} is at a URL of each account's own: set {' or '.join(place.variables)}, or give base_url="
            )
        base = place.base_of(named, _first_set(place.versions))
        self._check_secure(parse_url(base))
        return base

    # -- what goes along

    async def for_hub(self) -> Secret | None:
        """The token for look-ups at the Hub."""
        return await self.for_hugging_face(parse_url(hub_url()))

    async def for_hugging_face(self, there: Url) -> Secret | None:
        """The Hugging Face token for a service of Hugging Face's, wherever the environment says that it is."""
        is_safe = there.scheme == "https" or is_loopback(there.host) or self._settings.allow_insecure
        for key in (self._settings.key, self._settings.hub_key):
            if key is not None and key.routed:
                return key if is_safe else None
        return await self.ambient_hub_token() if is_hugging_face_url(there) else None

    async def ambient_hub_token(self) -> Secret | None:
        """The Hugging Face token that nobody passed."""
        if found := environment.ambient(("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")):
            return found
        if not self._saved:
            self._saved.append(await anyio.to_thread.run_sync(environment.hugging_face_token, abandon_on_cancel=True))
        return self._saved[0]

    def credentials(
        self,
        origins: set[str],
        key: Secret | None,
        hub_token: Secret | None,
        *,
        billed: bool,
        key_header: KeyHeader = BEARER,
        static: dict[str, str] | None = None,
        url: str = "",
    ) -> Credentials:
        """What a call may add to its requests, on these origins and at the Hub; a key in the `url` is masked too."""
        headers = dict(self._settings.headers)
        bill_to = self._settings.bill_to
        if bill_to is not None and not billed:
            warnings.warn(
                "bill_to is of no effect: this call does not go through Hugging Face, and the key's owner pays",
                UserWarning,
                stacklevel=2,
            )
        if bill_to is not None and billed:
            if headers.get("x-hf-bill-to", bill_to) != bill_to:
                warnings.warn("bill_to replaces the header X-HF-Bill-To", UserWarning, stacklevel=2)
            headers["x-hf-bill-to"] = bill_to
        return Credentials(
            origins=frozenset(origins),
            key=key,
            key_header=key_header,
            headers=tuple(headers.items()),
            usual=static or {},
            hub_origin=parse_url(hub_url()).origin,
            hub_token=hub_token,
            others=tuple(secrets_in_query(url)),
        )


def _first_set(variables: tuple[str, ...]) -> str | None:
    """What the first of these variables holds that is set. They name places, and hold no secret."""
    return next((value for name in variables if (value := os.environ.get(name, "").strip())), None)


def _missing(row: Provider) -> MissingCredentialError:
    own = f" its own key in {row.keys[0]} or as api_key=," if row.keys else ""
    return MissingCredentialError(
        f"{row.name} wants a key and none was found: give{own} or a Hugging Face token in HF_TOKEN or as token="
        if row.routed
        else f"{row.name} wants a key and none was found: give{own.rstrip(',')}"
    )


_AUTO_WANTS_HF = "provider 'auto' is Hugging Face's router: it takes a Hugging Face token (hf_...) only"
