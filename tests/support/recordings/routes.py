"""Which provider, host and task a recorded exchange belongs to, and which ones tell too little to be played.

It is told by rules and not by a list of the exchanges, so that others like them are recognised too.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from headwater.errors import HeadwaterError
from headwater.media.images import open_image
from headwater.providers import PROVIDERS
from support.recordings.exchange import CHAT, Exchange, Left, Recognised
from support.recordings.tasks import NAMES, model_of, task_of

ROUTER: Final = "https://router.huggingface.co"
LEGACY_HOST: Final = "https://api-inference.huggingface.co"
LEGACY_PROXY: Final = "https://huggingface.co/api/inference-proxy"
HUB_MODELS: Final = "https://huggingface.co/api/models/"


def _places() -> dict[str, str]:
    """The bases of the providers, which are what a URL of theirs begins with."""
    found = {}
    for name, row in PROVIDERS.items():
        for base in (row.base, *row.origins):
            if base and not base.startswith(ROUTER):
                found[base] = name
    return found


PLACES: Final = _places()
_SERVERS: Final = re.compile(r"(https?://[^/?]+(?:/[^?]*)?/v\d+[a-z]*)(?=/|\Z)|(https?://[^/?]+)")
_REGION: Final = re.compile(r"https://api\.[a-z0-9.]*bfl\.ai/")
_DOWNLOADED: Final = re.compile(r"\.(jpe?g|png|webp|gif|wav|mp3|flac|ogg|mp4|webm)\Z|/(files|results)/", re.IGNORECASE)


def recognise(exchange: Exchange, tasks: Mapping[str, str]) -> Recognised | Left:
    """What the exchange is; `tasks` are those of models that other exchanges told."""
    url = exchange.url
    if url.startswith("data:"):
        return Left("a data: URL, which is no exchange with a server")
    if url.startswith(HUB_MODELS):
        return _hub(exchange)
    provider, place, base, route = _place(url)
    if exchange.method == "GET" and provider in {"url", "hf-inference"}:
        return _download(exchange)
    told = task_of(exchange, provider, route, tasks)
    is_poll = exchange.method == "GET" and provider in PROVIDERS and bool(PROVIDERS[provider].resume)
    if is_poll and told not in PROVIDERS[provider].resume:
        told = next(iter(PROVIDERS[provider].resume))  # a state reads the same in every task
    if exchange.method != "POST" and not is_poll:
        return Left(f"a {exchange.method} that is no step of a task")
    if isinstance(told, Left):
        return told
    return Recognised(
        step="poll" if is_poll else "ask",
        task=told,
        provider=provider,
        place=place,
        base=base,
        route=route,
        model=model_of(exchange, provider, route),
        streamed="event-stream" in exchange.reply.content_type
        or (isinstance(exchange.sent, dict) and exchange.sent.get("stream") is True),
    )


def _place(url: str) -> tuple[str, str, str, str]:
    """Provider, place, base and route."""
    if url.startswith((LEGACY_HOST, LEGACY_PROXY)):
        place = "legacy host" if url.startswith(LEGACY_HOST) else "legacy proxy"
        path = url.removeprefix(LEGACY_HOST).removeprefix(LEGACY_PROXY).removeprefix("/hf-inference")
        return "hf-inference", place, f"{ROUTER}/hf-inference", path
    if url.startswith(f"{ROUTER}/v1/"):
        return "auto", "routed", ROUTER, url.removeprefix(ROUTER)
    if url.startswith(f"{ROUTER}/"):
        name = url.removeprefix(f"{ROUTER}/").partition("/")[0]
        if name in PROVIDERS:
            base = f"{ROUTER}/{name}"
            return name, "routed", base, url.removeprefix(base)
    for base, name in PLACES.items():
        if url.startswith((f"{base}/", f"{base}?")) or url == base:
            return name, "direct", base, url.removeprefix(base)
    if _REGION.match(url):
        base = "https://" + url.split("/")[2]
        return "black-forest-labs", "direct", base, url.removeprefix(base)
    found = _SERVERS.match(url)
    base = found[0] if found else url
    return "url", "direct", base, url.removeprefix(base)


def _hub(exchange: Exchange) -> Recognised | Left:
    """A look-up at the Hub: a model's mapping to providers, or its card."""
    task = "mapping" if "expand=inferenceProviderMapping" in exchange.url else "card"
    model = urlsplit(exchange.url).path.partition("/api/models/")[2]
    return Recognised(
        task=task,
        provider="hf-inference",
        place="hub",
        base=f"{ROUTER}/hf-inference",
        route="",
        model=model,
        streamed=False,
    )


def _download(exchange: Exchange) -> Recognised | Left:
    family = exchange.reply.content_type.partition("/")[0]
    is_file = family in {"image", "audio", "video"} or _DOWNLOADED.search(urlsplit(exchange.url).path)
    if not is_file:
        return Left("a GET that is no step of a task")
    if not exchange.stored:
        return Left("a download, and the body was not stored")
    return Recognised(
        task=f"download of {family}",
        provider="url",
        place="direct",
        base=exchange.url,
        route="",
        model=None,
        streamed=False,
    )


def tasks_of_models(all_of_them: list[Exchange]) -> dict[str, str]:
    """The task of each model of hf-inference, as its card or the most telling of its exchanges has it."""
    found: dict[str, str] = {}
    for exchange in all_of_them:
        recognised = recognise(exchange, {}) if exchange.reply.status < 400 else None
        if not isinstance(recognised, Recognised) or recognised.place == "hub" or recognised.task == CHAT:
            continue
        if recognised.provider == "hf-inference" and recognised.model:
            found.setdefault(recognised.model, recognised.task)
    for exchange in all_of_them:
        card = exchange.said
        if exchange.url.startswith(HUB_MODELS) and isinstance(card, dict) and card.get("pipeline_tag") in NAMES:
            found.setdefault(card["id"], NAMES[card["pipeline_tag"]])
    return found


def lost(exchange: Exchange) -> Left | None:
    """A success whose body is not what the server sent: not stored, in a coding of its own, replaced, cut off."""
    reply, body = exchange.reply, exchange.reply.body
    if reply.status >= 300 or exchange.url.startswith("data:") or exchange.method == "GET":
        return None
    if not exchange.stored:
        return Left("the answer's body was not stored")
    if reply.headers.get("content-encoding") == "br" and body[:1] not in b"[{":
        return Left("the answer's body was stored in the coding br")
    length = reply.headers.get("content-length", "")
    if "json" in reply.content_type and exchange.said is None and length.isdigit() and int(length) != len(body):
        return Left("the answer's body is not the one that was sent, by its content-length")
    if any(map(_is_cut, re.findall(rb'"(?:b64_json|image)": ?"([^"]{100,2000})"', body))):
        return Left("the image in the answer was cut off when it was stored")
    return None


def _is_cut(encoded: bytes) -> bool:
    """Whether an image in base64 lacks its end, and so much of its beginning that nothing can open it."""
    data = base64.b64decode(encoded[: len(encoded) // 4 * 4])
    try:
        open_image(data)
    except HeadwaterError:
        return data[:4] in {b"\x89PNG", b"RIFF", b"\xff\xd8\xff\xe0"}
    return False
