"""The provider "auto": for a chat Hugging Face's router chooses, else the first provider of the mapping.

The mapping is in the order of the user's preference, and a suffix (`org/model:provider`) names one. The call
goes on as that provider's, through the router. It refuses providers that the router does not reach.

https://huggingface.co/docs/inference-providers/index
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property, partial
from typing import Any

import msgspec

from ..auth.hosts import ROUTER_URL
from ..errors import MissingModelError
from ..protocol.flow import Call, Flow, TaskFlow
from . import openai_chat
from .model_ids import HUB_TASKS, POLICIES, Entry, entries_of, not_served
from .registry import HF_INFERENCE, Provider
from .urls import CHAT, RESPONSES


def auto(rows: Mapping[str, Provider]) -> Provider:
    """The row of "auto" over these providers."""
    return Provider(
        name="auto",
        base=ROUTER_URL,
        tasks=_Tasks(rows),
        keys=rows[HF_INFERENCE].keys,
        responses=f"/v1/{RESPONSES}",
    )


class _Tasks(Mapping[str, TaskFlow]):
    """The tasks of all that the router reaches; who that is is asked by the first that is no chat."""

    def __init__(self, rows: Mapping[str, Provider]) -> None:
        self._rows = rows
        self._own: dict[str, TaskFlow] = {"chat-completion": partial(_chat, rows), "responses": _responses}

    @cached_property
    def _all(self) -> dict[str, TaskFlow]:
        names = {task for provider in self._rows.values() if provider.routed for task in provider.tasks}
        return {**{task: _Chosen(self._rows) for task in sorted(names)}, **self._own}

    def __getitem__(self, task: str) -> TaskFlow:
        return self._own.get(task) or self._all[task]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)


def _chat(rows: Mapping[str, Provider], call: Call) -> Flow[Any]:
    """The router looks at the model's name and its suffix itself."""
    if call.model is None and call.hub_id is None:
        return (yield from _as(call, rows[HF_INFERENCE], None))
    return (yield from openai_chat.chat(call, f"{call.base}/v1/{CHAT}"))


def _responses(call: Call) -> Flow[Any]:
    """As with a chat. https://huggingface.co/docs/inference-providers/guides/responses-api"""
    from . import openai_responses

    return (yield from openai_responses.response_flow(call, f"{call.base}/v1/{RESPONSES}"))


def _as(call: Call, provider: Provider, model: str | None, adapter: str | None = None) -> Flow[Any]:
    """The call as this provider's, through the router."""
    base = f"{ROUTER_URL}/{provider.name}"
    routed = msgspec.structs.replace(call, provider=provider.name, base=base, model=model, routed=True, adapter=adapter)
    return (yield from provider.tasks[call.task](routed))


class _Chosen:
    """The flow of any other task: the first provider that serves the model and that we know for the task."""

    def __init__(self, rows: Mapping[str, Provider]) -> None:
        self._rows = rows

    def __call__(self, call: Call) -> Flow[Any]:
        named = call.model or call.hub_id
        if named is None:
            if call.task not in self._rows[HF_INFERENCE].tasks:
                raise MissingModelError(f"{call.task} has no recommended model; pass model=...")
            return (yield from _as(call, self._rows[HF_INFERENCE], None))
        hub_id, _, suffix = named.partition(":")
        entries: tuple[Entry, ...] = yield from entries_of(call, hub_id)
        wanted = HUB_TASKS.get(call.task, call.task)
        for entry in entries:
            row = self._rows.get(entry.provider)
            if row is None or not row.routed or call.task not in row.tasks:
                continue
            if entry.task in ("", wanted) and suffix in ("", *POLICIES, entry.provider):
                model = hub_id if row.name == HF_INFERENCE else entry.provider_id
                return (yield from _as(call, row, model, entry.adapter))
        asked = call if suffix in ("", *POLICIES) else msgspec.structs.replace(call, provider=suffix)
        raise not_served(asked, hub_id, entries)
