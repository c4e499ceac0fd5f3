"""What is done around a provider's flow where a client has prices, a budget or a cache, or a call needs what not every
provider has: a call without any of it has none of this.

    call ──▶ passes over who lacks what it needs ──▶ kept answer? ──▶ budget left? ──▶ the provider's flow ──▶ is kept
                                                        └──────────────── replayed ──────────────────────▶
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from math import inf
from typing import Any, Final

import msgspec

from ..cache.store import Cache
from ..cost.meter import CallMeter, Place
from ..cost.price import Price
from ..engine.facts import Destination
from ..errors import HeadwaterError
from ..protocol.flow import Call, Flow, TaskFlow
from ..providers.model_ids import POLICIES
from ..providers.model_offers import ModelOffer, Need, chooses, fit, is_at_router, offers_of, price_of_both
from ..schema.rules import NamedSchema

_CHAT: Final = "chat-completion"


class Around(msgspec.Struct, frozen=True, kw_only=True):
    """What one call has around its flows. `needs`: what its provider must have, where another one could be asked.
    `cache`: where its answer is kept; `headers` and `query`: its own, which tell it from others."""

    meter: CallMeter | None = None
    needs: tuple[Need, ...] = ()
    cache: Cache | None = None
    headers: tuple[tuple[str, str], ...] = ()
    query: tuple[tuple[str, str], ...] = ()

    def __call__(self, flow: TaskFlow, there: Destination) -> TaskFlow:
        """The flow with it."""
        return partial(self._flow, flow, there)

    def _flow(self, flow: TaskFlow, there: Destination, call: Call) -> Flow[Any]:
        if self.needs and is_at_router(there.base):
            call = yield from fit(call, self.needs)
        if self.cache is None:
            yield from self._enter(there, call)
            return (yield from flow(call))
        from ..cache.tape import TapeRecorder

        identity = self.cache.identity(there.credentials.with_more(self.headers, self.query))
        return (yield from TapeRecorder(self.cache, identity, partial(self._enter, there, call)).flow(flow(call)))

    def _enter(self, there: Destination, call: Call) -> Flow[None]:
        """Have the budgets let the call in, with the router's prices where those count."""
        meter = self.meter
        if meter is None:
            return
        place, offers = place_of(there, call), _NO_OFFERS
        if meter.account.asks_router and is_at_router(there.base) and not meter.knows_price(place):
            try:
                offers = _priced((yield from offers_of(call)), place)
            except HeadwaterError:  # the price is not known then, which is for the budget to judge
                offers = _NO_OFFERS
        meter.enter(there.name, place, offers)


def place_of(there: Destination, call: Call) -> Place:
    """The names by which prices are looked for."""
    named = there.requested_model
    model, _, suffix = (call.model or named or "").partition(":")
    models = dict.fromkeys(name for name in (named, model, call.model) if name)
    if is_at_router(there.base) and chooses(call.provider):
        own = (suffix,) if suffix and suffix not in POLICIES else ()
        return Place((*own, there.provider), tuple(models) or (None,), chooses=not own)
    return Place(tuple(dict.fromkeys((there.provider, there.name))), tuple(models) or (None,))


_NO_OFFERS: Final[Mapping[str, Price]] = {}


def _priced(offers: tuple[ModelOffer, ...], place: Place) -> Mapping[str, Price]:
    """The prices of those who may answer, by their names."""
    known = {}
    for offer in offers:
        pricing = offer.pricing
        may = offer.is_live if place.chooses else offer.provider in place.providers
        if may and pricing is not None and price_of_both(offer) < inf:
            known[offer.provider] = Price(pricing.input or 0.0, pricing.output or 0.0)
    return known


def needs_of(task: str, given: Mapping[str, Any]) -> tuple[Need, ...]:
    """What a chat with these arguments wants that not every provider has."""
    if task != _CHAT:
        return ()
    needs: list[Need] = ["tools"] if given.get("tools") else []
    form = given.get("response_format")
    kind = form.get("type") if isinstance(form, Mapping) else getattr(form, "type", None)
    if isinstance(form, NamedSchema) or kind == "json_schema":
        needs.append("structured output")
    return tuple(needs)
