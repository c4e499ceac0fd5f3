"""Who offers a model through Hugging Face's router, at which price, and with what: the router's list of models.

The list is asked for where a call needs it (its price is to be known, or a provider may lack what the call needs), once
in ten minutes for each client.

https://huggingface.co/docs/inference-providers/hub-api
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import Any, Final, Literal, TypeAlias

import msgspec

from ..auth.hosts import ROUTER_URL
from ..errors import HeadwaterError, UnsupportedModelError
from ..protocol.flow import Cached, Call, Flow, PassOver, Send
from ..responses.decode import decode
from ..responses.json_decoder import convert
from ..tasks.lenient_types import Unneeded
from ..tasks.output import OpenOutput
from .bodies import get
from .model_ids import POLICIES

Need: TypeAlias = Literal["tools", "structured output"]
LIST_SECONDS: Final = 10.0
"""How long the list may take, where a call could be made without it."""


class OfferPricing(OpenOutput):
    """US dollars for a million tokens in and out."""

    input: Unneeded[float | None] = None
    output: Unneeded[float | None] = None


class ModelOffer(OpenOutput):
    """One provider's offer of a model, as the router tells of it; None is what it did not say.

    `status`: "live", "staging" or "error". `context_length`: in tokens. `pricing`: dollars for a million tokens.
    `first_token_latency_ms`: milliseconds to the first token; `throughput`: tokens a second.
    """

    provider: Unneeded[str] = ""
    status: Unneeded[str | None] = None
    context_length: Unneeded[int | None] = None
    pricing: Unneeded[OfferPricing | None] = None
    supports_tools: Unneeded[bool | None] = None
    supports_structured_output: Unneeded[bool | None] = None
    first_token_latency_ms: Unneeded[float | None] = None
    throughput: Unneeded[float | None] = None
    is_model_author: Unneeded[bool | None] = None

    @property
    def is_live(self) -> bool:
        """Whether the provider serves it now, as far as is said."""
        return self.status in (None, "live")

    def lacks(self, needs: Sequence[Need]) -> Need | None:
        """The first of these that the provider is said to lack."""
        said = {"tools": self.supports_tools, "structured output": self.supports_structured_output}
        return next((need for need in needs if said[need] is False), None)


def offers_in(sent: Any) -> list[ModelOffer] | None:
    """The offers in a `providers` member, each with all that is said of it; one that is no object is none. None where
    the member is no list."""
    if not isinstance(sent, list):
        return None
    found = []
    for each in sent:
        if isinstance(each, dict):
            offer = convert(each, ModelOffer)
            offer.hold({name: value for name, value in each.items() if name not in offer.__struct_fields__})
            found.append(offer)
        elif isinstance(each, ModelOffer):
            found.append(each)
    return found


class _List(msgspec.Struct):
    data: list[Any]


def offers_of(call: Call) -> Flow[tuple[ModelOffer, ...]]:
    """The offers of the call's model; none where the router does not have it.

    Raises what the look-up fails with, which is not remembered.
    """
    listed: Mapping[str, tuple[ModelOffer, ...]] = yield Cached(("offers",), _ask)
    return listed.get((call.hub_id or call.model or "").partition(":")[0], ())


def chooses(provider: str) -> bool:
    """Whether the router chooses who answers a call of this provider, or at the router's own URL."""
    return provider in ("auto", "url")


def is_at_router(base: str) -> bool:
    """Whether calls with this base go to Hugging Face's router."""
    return base == ROUTER_URL or base.startswith(f"{ROUTER_URL}/")


def _ask() -> Flow[Mapping[str, tuple[ModelOffer, ...]]]:
    reply = yield Send(get(f"{ROUTER_URL}/v1/models", auth="provider"), within=LIST_SECONDS)
    models = [model for model in decode(reply, _List).data if isinstance(model, dict)]
    return {str(model.get("id")): tuple(offers_in(model.get("providers")) or ()) for model in models}


def fit(call: Call, needs: Sequence[Need]) -> Flow[Call]:
    """The call as it is made by a provider that has what it needs, as far as the router says.

    Where the router would choose the provider and some of those are said to lack it, it is told whom to choose: of the
    others the one that the call's policy wants ("fastest" where it names none), and those that lack it are among the
    call's attempts. What cannot be looked up is nobody's lack.

    Raises `UnsupportedModelError` where the call's own provider lacks it, or all do.
    """
    named, _, suffix = (call.hub_id or call.model or "").partition(":")
    if "/" not in named:  # it is no model of the Hub's
        return call
    try:
        offers: tuple[ModelOffer, ...] = yield from offers_of(call)
    except HeadwaterError:
        return call
    own = ("" if suffix in ("", *POLICIES) else suffix) if chooses(call.provider) else call.provider
    if own:
        lacking = next((offer for offer in offers if offer.provider == own and offer.lacks(needs)), None)
        if lacking is not None:
            raise _unfit(named, lacking, needs)
        return call
    live = [offer for offer in offers if offer.is_live and offer.provider]
    errors = {offer.provider: _unfit(named, offer, needs) for offer in live if offer.lacks(needs)}
    if not errors:
        return call
    for name, error in errors.items():
        yield PassOver(name, error)
    chosen = best([offer for offer in live if offer.provider not in errors], suffix)
    if chosen is None:
        raise UnsupportedModelError(
            f"no provider of {named} has {' and '.join(needs)}, says the router: {_who(errors)}"
        )
    return msgspec.structs.replace(call, model=f"{named}:{chosen.provider}")


def _unfit(model: str, offer: ModelOffer, needs: Sequence[Need]) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"{offer.provider} serves {model} without {offer.lacks(needs)}, says Hugging Face's router; it was not asked"
    )


def _who(errors: Mapping[str, Any]) -> str:
    return ", ".join(sorted(errors))


def best(offers: Sequence[ModelOffer], policy: str) -> ModelOffer | None:
    """The offer that a policy wants; "" is the router's own, "fastest". None where there is none.

    https://huggingface.co/docs/inference-providers/index#provider-selection
    """
    if not offers:
        return None
    if policy == "cheapest":
        return min(offers, key=price_of_both)
    if policy == "preferred":
        return offers[0]
    return max(offers, key=lambda offer: offer.throughput or 0.0)


def price_of_both(offer: ModelOffer) -> float:
    """What a million tokens in and a million out cost; infinite where it is not said, or is no price."""
    into = None if offer.pricing is None else offer.pricing.input
    out = None if offer.pricing is None else offer.pricing.output
    return into + out if into is not None and out is not None and into >= 0 and out >= 0 else inf
