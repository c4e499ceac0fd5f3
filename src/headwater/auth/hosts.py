"""Which hosts are this machine, and which are Hugging Face: keys go to the latter, and over http to the former."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ..protocol.url import Url

HUB_URL: Final = "https://huggingface.co"
ROUTER_URL: Final = "https://router.huggingface.co"
"""Where Hugging Face takes calls for other providers, https://huggingface.co/docs/inference-providers/index."""

ENDPOINT: Final = ".endpoints.huggingface.cloud"
"""What the host of every Inference Endpoint ends with, unless it has a domain of its own."""


def is_hugging_face(host: str) -> bool:
    """Whether the host is Hugging Face's own."""
    return host in {"huggingface.co", "hf.co"} or host.endswith((".huggingface.co", ENDPOINT, ".hf.space"))


def is_endpoint(host: str) -> bool:
    """Whether the host is an Inference Endpoint's own."""
    return host.endswith(ENDPOINT) and host != f"api{ENDPOINT}"


def is_hugging_face_url(url: Url) -> bool:
    """Whether an ambient Hugging Face token may go there: to its own hosts over https, at the usual port."""
    return url.scheme == "https" and url.port == 443 and is_hugging_face(url.host)


def is_loopback(host: str) -> bool:
    """Whether the host is this machine by its name alone: also by the address that servers listen at, 0.0.0.0 or ::, to
    which a connection is one to this machine."""
    name = host.removesuffix(".")
    if name in {"localhost", "0.0.0.0", "::1"} or (name.endswith(".localhost") and name != ".localhost"):  # noqa: S104
        return True
    if ":" in name:
        return _is_here(name)
    first, *others = name.split(".")
    return first == "127" and len(others) == 3 and all(part.isdecimal() and len(part) <= 3 for part in others)


def _is_here(address: str) -> bool:
    import ipaddress  # IPv6 has many spellings, and IPv4 within it; seldom needed

    try:
        ip = ipaddress.IPv6Address(address)
    except ValueError:
        return False
    own = ip.ipv4_mapped or ip
    return own.is_loopback or own.is_unspecified
