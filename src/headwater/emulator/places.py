"""Where a call came in: straight to a provider or by the router, under which key, and what its links begin with.

A provider's own calls arrive at ``/direct/{provider}{path}``, those that Hugging Face's router passes on at
``/routed/{provider}{path}``; the dialects see ``/{provider}{path}`` for both. Such calls need a credential as
the vendor wants it; calls under any other path need one only when the emulator was given keys.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from . import secrets
from .wire import DialectRequest, ProviderPlace, RefusedError, WholeAnswer

HOSTS = {
    "fal.run": "fal-ai",
    "queue.fal.run": "fal-ai",
    "api.replicate.com": "replicate",
    "stream.replicate.com": "replicate",
    "api.together.xyz": "together",
    "api.together.ai": "together",
    "api.deepinfra.com": "deepinfra",
    "api.novita.ai": "novita",
    "inference.api.nscale.com": "nscale",
    "api.wavespeed.ai": "wavespeed",
    "api.z.ai": "zai-org",
    "api.us1.bfl.ai": "black-forest-labs",
    "api.eu1.bfl.ai": "black-forest-labs",
    "api.bfl.ai": "black-forest-labs",
    "api.hyperbolic.xyz": "hyperbolic",
    "api.studio.nebius.ai": "nebius",
    "api.groq.com": "groq",
    "api.anthropic.com": "anthropic",
    "api.openai.com": "openai",
    "inference.baseten.co": "baseten",
    "api.cerebras.ai": "cerebras",
    "api.clarifai.com": "clarifai",
    "api.cohere.com": "cohere",
    "api.featherless.ai": "featherless-ai",
    "api.fireworks.ai": "fireworks-ai",
    "integrate.api.nvidia.com": "nvidia",
    "oai.endpoints.kepler.ai.cloud.ovh.net": "ovhcloud",
    "api.publicai.co": "publicai",
    "api.sambanova.ai": "sambanova",
    "api.scaleway.ai": "scaleway",
    "api.mistral.ai": "mistral",
    "api.jina.ai": "jina",
}
"""The providers' own hosts."""

PROVIDERS = frozenset(HOSTS.values()) | {"hf-inference"}
ROUTER = "router.huggingface.co"
HUB = "huggingface.co"
ENDPOINTS = frozenset({"api.endpoints.huggingface.cloud", "endpoints.huggingface.co"})
"""The API and the catalog of Inference Endpoints."""
ENDPOINT = ".endpoints.huggingface.cloud"
"""What the host of every endpoint ends with."""
LINKS = {"fal-ai": "https://queue.fal.run"} | {
    name: f"https://{host}" for host, name in reversed(HOSTS.items()) if name != "fal-ai"
}
"""What links of a provider to itself begin with."""

CDNS = {
    "fal-ai": "fal.media",
    "replicate": "replicate.delivery",
    "black-forest-labs": "delivery-us1.bfl.ai",
    "together": "files.together.ai",
    "novita": "media.novita.ai",
    "wavespeed": "media.wavespeed.ai",
    "zai-org": "mfile.z.ai",
}
"""The host that each provider's results are fetched from; made up, but for the first three."""

SCHEMES = {"fal-ai": ("key",), "clarifai": ("key", "bearer")}
KEYLESS = re.compile(r"^/hf-inference/|^/black-forest-labs/v1/get_result$|^/replicate/v1/streams/")
"""What is served without a credential."""

MESSAGES = re.compile(r"/messages(/count_tokens)?$")
"""What reads a key in Anthropic's own header, and as a Bearer."""
PREFIX = re.compile(r"^/(direct|routed)/([a-z0-9-]+)(/.*)$")


def placed(call: DialectRequest, cdn: str) -> DialectRequest:
    """The call with its place, and its path in the form that dialects know."""
    found = PREFIX.match(call.path)
    provider = found[2] if found else call.path.split("/", 2)[1] if call.path.startswith("/") else ""
    if provider not in PROVIDERS:
        return call
    if call.headers.get("x-emulator-host"):
        home, files = LINKS.get(provider, ""), f"https://{CDNS.get(provider, 'cdn.invalid')}"
    else:
        front = f"/{found[1]}" if found else ""
        home, files = f"http://{call.headers.get('host', '')}{front}/{provider}", cdn
    mode = found[1] if found else ""
    path = f"/{provider}{found[3]}" if found else call.path
    return replace(call, path=path, place=ProviderPlace(provider, mode, home, files))


def authorized(call: DialectRequest, keys: Iterable[str] | None) -> str | None:
    """Why a call may not pass, None if it may. ``keys``: digests of those that are accepted, None for all."""
    if KEYLESS.search(call.path) and call.place.mode and not call.headers.get("authorization"):
        return None
    if not call.place.mode and keys is None:
        return None
    key = credential(call)
    if key is None:
        return "You didn't provide an API key."
    if keys is not None and not secrets.among(key, keys):
        return "Incorrect API key provided."
    if call.place.mode and key.startswith("hf_") != (call.place.mode == "routed" or keyless_provider(call)):
        return "Incorrect API key provided."
    return None


def keyless_provider(call: DialectRequest) -> bool:
    return call.place.provider == "hf-inference"


def credential(call: DialectRequest) -> str | None:
    """The key in the header and under the scheme that the vendor reads; the router reads Bearer alone."""
    direct = call.place.mode == "direct"
    anthropic = MESSAGES.search(call.path) or call.place.provider == "anthropic"
    if anthropic and call.headers.get("x-api-key"):
        return call.headers["x-api-key"]
    if direct and call.place.provider == "black-forest-labs":
        return call.headers.get("x-key") or None
    schemes = SCHEMES.get(call.place.provider, ("bearer",)) if direct else ("bearer",)
    scheme, _, key = call.headers.get("authorization", "").partition(" ")
    return key.strip() or None if scheme.lower() in schemes else None


def router_refusal() -> RefusedError:
    """https://router.huggingface.co's own answer to a token that is missing or unknown."""
    return RefusedError(WholeAnswer({"error": "Invalid username or password."}, 401))
