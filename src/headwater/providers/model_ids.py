"""Which providers serve a model, and under which id: the Hub's mapping, asked for through the engine.

A look-up is a step of the flow, so that it can be cancelled, is under the call's deadline, and is remembered
per client. It is skipped where the call already has the provider's own id.

https://huggingface.co/docs/inference-providers/hub-api
"""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import msgspec

from ..errors import (
    HeadwaterError,
    InvalidParameterError,
    MissingModelError,
    NotFoundError,
    RedirectError,
    UnsupportedModelError,
    UnsupportedTaskError,
)
from ..protocol.flow import Cached, Call, Flow, Reply, Send, TaskFlow
from ..protocol.transport import quoted_url
from ..responses.decode import decode
from ..tasks.lenient_types import Needed
from .bodies import get
from .urls import at_model

HUB_TASKS: Final = {
    "audio-translation": "automatic-speech-recognition",
    "chat-completion": "conversational",
    "embeddings": "feature-extraction",
    "rerank": "text-ranking",
    "responses": "conversational",
}
"""Tasks that the Hub's mapping knows under another name."""

POLICIES: Final = frozenset({"fastest", "cheapest", "preferred"})
"""Suffixes by which the router chooses a provider; for one provider they say nothing."""


class Entry(msgspec.Struct, frozen=True, rename={"provider_id": "providerId", "adapter": "adapterWeightsPath"}):
    """One provider's offer of a model. `status`: live, staging or error. `adapter`: the path of the weights within
    the Hub's model, where that is a LoRA for a model of the provider's."""

    provider_id: str
    task: str = ""
    status: str = "live"
    provider: str = ""
    adapter: str | None = None


class _Model(msgspec.Struct, frozen=True, rename={"mapping": "inferenceProviderMapping"}):
    mapping: Needed[dict[str, Entry] | list[Entry] | None] = None


def mapped(flow: TaskFlow) -> TaskFlow:
    """The flow with the model's id looked up for its provider first."""
    return partial(_mapped, flow=flow)


def _mapped(call: Call, flow: TaskFlow) -> Flow[Any]:
    if call.model is None:
        if call.hub_id is None:
            raise MissingModelError(f"{call.provider} needs a model for {call.task}: pass model=...")
        entry = yield from _resolve(call, call.hub_id)
        call.model, call.adapter = entry.provider_id, entry.adapter
    return (yield from flow(call))


def mapped_if_routed(flow: TaskFlow) -> TaskFlow:
    """The flow with the model's id looked up where Hugging Face's router takes the call: by its own key a provider is
    asked in its own words, for tasks that the Hub's mapping has no models of."""

    def asked(call: Call) -> Flow[Any]:
        return (yield from (_mapped(call, flow) if call.routed else flow(call)))

    return asked


def without_suffix(call: Call, named: str) -> str:
    """The model's id without what names its provider. Raises `InvalidParameterError` where that is another one."""
    hub_id, _, suffix = named.partition(":")
    if suffix and suffix not in POLICIES and suffix != call.provider:
        raise InvalidParameterError(
            f"the model {named!r} names the provider {suffix!r}, and the call {call.provider!r}; use one"
        )
    return hub_id


def _resolve(call: Call, named: str) -> Flow[Entry]:
    hub_id = without_suffix(call, named)
    entries = yield from entries_of(call, hub_id)
    entry = next((e for e in entries if e.provider == call.provider), None)
    if entry is None:
        raise not_served(call, hub_id, entries)
    check_task(call, hub_id, entry)
    if entry.status != "live":
        warnings.warn(
            f"{call.provider} serves {hub_id} with status {entry.status!r}, says the Hub; it may not answer",
            stacklevel=2,
        )
    return entry


def check_task(call: Call, hub_id: str, entry: Entry) -> None:
    """Raise `UnsupportedTaskError` where the provider serves this model for something else."""
    wanted = HUB_TASKS.get(call.task, call.task)
    if entry.task and entry.task != wanted:
        raise UnsupportedTaskError(
            f"{entry.provider} serves {hub_id} for {entry.task!r}, not for {wanted!r}; if the Hub is wrong,"
            f" pass model_mapping={{{hub_id!r}: {entry.provider_id!r}}}"
        )


def not_served(call: Call, hub_id: str, entries: tuple[Entry, ...]) -> UnsupportedModelError:
    """The error for a model that this provider does not serve; it names those that do."""
    wanted = HUB_TASKS.get(call.task, call.task)
    serving = sorted({e.provider for e in entries if e.task in ("", wanted)})
    others = f"these do: {', '.join(serving)}" if serving else "no provider does"
    return UnsupportedModelError(
        f"{call.provider} does not serve {hub_id} as far as the Hub knows; {others}. If it does under an id"
        f" of its own, pass model_mapping={{{hub_id!r}: 'the id there'}}"
    )


def entries_of(call: Call, hub_id: str) -> Flow[tuple[Entry, ...]]:
    """The model's entries in the order of the user's preference, remembered for ten minutes.

    Raises `UnsupportedModelError` where the Hub does not know the model.
    """
    url = at_model(call.hub, "/api/models/", hub_id, "?expand=inferenceProviderMapping")
    try:
        found: tuple[Entry, ...] = yield Cached(("mapping", hub_id), partial(_ask, call.hub, url))
    except NotFoundError:
        raise UnsupportedModelError(
            f"the Hub knows no model {hub_id!r} (or this token may not see it); if it is {call.provider}'s"
            f" own name for a model, pass model_mapping={{{hub_id!r}: {hub_id!r}}}"
        ) from None
    return found


def _ask(hub: str, url: str) -> Flow[tuple[Entry, ...]]:
    mapping = decode((yield from card_of(hub, url)), _Model).mapping or {}
    if isinstance(mapping, dict):
        return tuple(msgspec.structs.replace(entry, provider=name) for name, entry in mapping.items())
    return tuple(mapping)


def card_of(hub: str, url: str) -> Flow[Reply]:
    """What the Hub says of a model, also of one that was renamed."""
    try:
        reply: Reply = yield Send(get(url, auth="hub"))
    except RedirectError as moved:
        reply = yield Send(get(_within(hub, moved), auth="hub"))
    return reply


def _within(hub: str, moved: RedirectError) -> str:
    """Where a look-up goes next: on the same Hub, for a model still; else the redirect stays an error."""
    there = urljoin(f"{hub}/", quoted_url(moved.headers.get("location", ""), "latin-1"))
    if not there.startswith(f"{hub}/api/models/") or ".." in there or urlsplit(there).fragment:
        raise moved
    return there


def serving(call: Call, hub_id: str) -> Flow[tuple[Entry, ...] | None]:
    """The model's entries, or None where they cannot be had: for a message, which must not fail."""
    try:
        return (yield from entries_of(call, hub_id))
    except HeadwaterError:
        return None
