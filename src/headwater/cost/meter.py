"""What one client's calls cost: where their prices are looked for, and whose budgets they spend.

A client that has prices or a budget has an `Account`, and each of its calls a `CallMeter`, which is asked before the
call goes to a provider, and told how it ended. The clients without have neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from ..errors import AnswerTry, UnknownPriceError
from .budget import Budget, budgets_of
from .price import NOTHING_SPENT, Cost, Price, PriceSource, found_in, price_names, prices_in
from .usage import NOT_COUNTED, Charge, CountedTokens, charge_of, tokens_of, usages_of

CHOSEN: Final = "x-inference-provider"
"""The header in which Hugging Face's router says whom it chose."""
BYTES_PER_TOKEN: Final = 4
"""By which tokens are estimated that the server did not count."""
_SAID: Final = frozenset({"content", "reasoning", "arguments", "generated_text", "text", "input", "refusal"})
"""Members of an answer that hold what the model wrote."""


class KnownPrice(NamedTuple):
    """A price, who told it, and whether it is but the dearest of those that it may be."""

    price: Price
    source: PriceSource = "table"
    estimated: bool = False


class Account:
    """Where a client's prices are looked for, in turn, and the budgets that its calls spend.

    `prices`: a table; "router", for what Hugging Face's router lists; "provider", for what the provider says in its
    answer that it charges; or several of them, of which the first that knows a price counts. None: "provider" and
    "router", where a budget of dollars is to be held. Raises `InvalidParameterError`.
    """

    def __init__(self, prices: Any = None, budget: Any = None) -> None:
        self.budgets: tuple[Budget, ...] = budgets_of(budget)
        self._trusts = prices is not None
        if prices is None:
            prices = ("provider", "router") if any(each.usd is not None for each in self.budgets) else ()
        listed = prices if isinstance(prices, list | tuple) else (prices,)
        self._places = tuple(each if each in ("provider", "router") else prices_in(each) for each in listed)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is asked of it."""
        return not self._places and not self.budgets

    @property
    def has_prices(self) -> bool:
        """Whether there is a place where prices are looked for."""
        return bool(self._places)

    @property
    def asks_router(self) -> bool:
        """Whether the router's list is one of the places."""
        return "router" in self._places

    @property
    def awaits_charge(self) -> bool:
        """Whether the caller has said that the provider tells what it charges."""
        return self._trusts and "provider" in self._places

    def price(
        self,
        names: tuple[str | None, ...],
        offers: Mapping[str, Price],
        chosen: str | None,
        charge: Charge | None = None,
    ) -> KnownPrice | None:
        """The price of what has these names in a table, and these offers at the router, which `chosen` won; `charge`:
        what the provider has said."""
        for place in self._places:
            if isinstance(place, dict):
                if (price := found_in(place, names)) is not None:
                    return KnownPrice(price)
            elif place == "provider":
                if charge is not None:
                    return KnownPrice(Price(call=charge.usd), "provider", charge.estimated)
            elif chosen is not None and chosen in offers:
                return KnownPrice(offers[chosen], "router")
            elif offers and chosen is None:
                dearest = max(offers.values(), key=lambda price: price.input + price.output)
                return KnownPrice(dearest, "router", estimated=len(offers) > 1)
        return None

    def earlier_cost(
        self, provider: str | None, model: str | None, tokens: CountedTokens, noted: float | None
    ) -> float | None:
        """What a call of an earlier run cost, of which is known whom it asked, what it used, and what was `noted` then:
        which is what the provider or the router told, unless a table comes first that has a price."""
        for place in self._places:
            if not isinstance(place, dict):
                if noted is not None:
                    return noted
            elif (price := found_in(place, price_names(provider, model))) is not None:
                return price.of(tokens)
        return noted


class Place(NamedTuple):
    """Where a call goes: the names of its provider and of its model, the narrowest first. `chooses`: it is the router,
    which chooses the provider."""

    providers: tuple[str, ...]
    models: tuple[str | None, ...]
    chooses: bool = False


class CallEnd(NamedTuple):
    """How a call ended. `answer`: its result, or what came of it; `usage`: where the failure knows more of the tokens,
    and `tries`, of which that is the sum. `headers` are the answer's. `bought`: whether something may have to be paid
    for. `kept`: the answer was one that a cache had kept."""

    answer: Any
    headers: Mapping[str, str]
    usage: Any = None
    tries: tuple[AnswerTry, ...] = ()
    bought: bool = True
    kept: bool = False


class _Told(msgspec.Struct):
    """What of an answer's bytes says what it took, where its result is a picture, or vectors alone."""

    usage: Any = None


class CallMeter:
    """Counts one call, whichever providers it turns to. `given`: the task's arguments, for estimates. `body`: the bytes
    of the newest answer that was read whole."""

    def __init__(self, account: Account, given: Mapping[str, Any]) -> None:
        self.account = account
        self.body = b""
        self._given = given
        self._places: dict[str, tuple[Place, Mapping[str, Price]]] = {}
        self._begun = False

    def knows_price(self, place: Place, offers: Mapping[str, Price] = {}) -> bool:
        """Whether the price there is known before the call is made."""
        return self._price(place, offers, None) is not None

    def enter(self, name: str, place: Place, offers: Mapping[str, Price] = {}) -> None:
        """Let the call be made at this place, which facts call by `name`.

        Raises `BudgetExceededError` where a budget is spent, `UnknownPriceError` where one has to know what it costs.
        """
        budgets = self.account.budgets
        is_known = self.account.awaits_charge or self.knows_price(place, offers)
        if not is_known and any(each.needs_prices for each in budgets):
            what = place.models[0] if place.models and place.models[0] else "the model"
            raise UnknownPriceError(
                f"nobody knows the price of {what} at {place.providers[0]}, and the budget is in dollars: give prices="
                f'{{"{what}": Price(input=..., output=...)}}, or prices="provider" where its answers say what it '
                'charges, or Budget(..., unknown="free"); nothing was sent'
            )
        for each in budgets:
            each.check(begun=self._begun)
        if not self._begun:
            for each in budgets:
                each.enter()
        self._begun, self.body = True, b""
        self._places[name] = place, offers

    def settle(self, name: str, end: CallEnd) -> Cost | None:
        """What the call came to, which is taken from the budgets; None where nobody knows, or it was not made."""
        body, self.body = self.body, b""
        if end.kept:
            return NOTHING_SPENT
        found = self._places.get(name)
        if found is None or not end.bought:
            return None
        place, offers = found
        told = end.answer
        if end.usage is not None:
            told = {"usage": msgspec.to_builtins(end.usage)}
        elif getattr(told, "usage", None) is None and (usage := _usage_in(body)) is not None:
            told = {"usage": usage}
        usages = [each.usage for each in end.tries] or usages_of(told)
        tokens, charge = tokens_of(told), charge_of(usages, end.headers)
        known = self._price(place, offers, end.headers.get(CHOSEN), charge)
        if known is not None and known.price.counts_tokens and tokens == NOT_COUNTED and _is_media(end.answer):
            known = None  # what is in a picture cannot be guessed
        whole = self._filled(tokens, end.answer) if known is None or known.price.counts_tokens else tokens
        cost = None
        if known is not None:
            guessed = known.estimated or whole != tokens
            cost = Cost(
                usd=known.price.of(whole), price=known.price, tokens=whole, estimated=guessed, source=known.source
            )
        for each in self.account.budgets:
            each.add(cost, whole)
        return cost

    def _price(
        self, place: Place, offers: Mapping[str, Price], chosen: str | None, charge: Charge | None = None
    ) -> KnownPrice | None:
        is_unlisted = False
        if place.chooses:
            providers = place.providers if chosen is None else (chosen, *place.providers)
            is_unlisted = chosen is not None and chosen not in offers
        else:
            providers, chosen = place.providers, place.providers[0]
        names = (name for provider in providers for model in place.models for name in price_names(provider, model)[:1])
        others = (*(model for model in place.models if model), *providers, "")
        known = self.account.price((*names, *others), offers, None if is_unlisted else chosen, charge)
        if is_unlisted and known is not None and known.source == "router":
            known = known._replace(estimated=True)
        return known

    def _filled(self, tokens: CountedTokens, answer: Any) -> CountedTokens:
        """The tokens, estimated where they were not told: as none where there is a text is not told either."""
        if tokens.input is not None and tokens.output is not None:
            if tokens.total or not _tokens_in(list(_said(_plain(answer)))):
                return tokens
            tokens = NOT_COUNTED
        into = tokens.input if tokens.input is not None else _tokens_in(self._given)
        out = tokens.output if tokens.output is not None else _tokens_in(list(_said(_plain(answer))))
        return msgspec.structs.replace(tokens, input=into, output=out)


def _usage_in(body: bytes) -> Any:
    """The usage that an answer told and its result has no place for."""
    try:
        return msgspec.json.decode(body, type=_Told).usage if b'"usage"' in body else None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _is_media(answer: Any) -> bool:
    """Whether an answer is a picture or a sound, in which there is no text."""
    return not isinstance(answer, msgspec.Struct | str | list | dict | None)


def _plain(answer: Any) -> Any:
    if answer is None or isinstance(answer, str):
        return {"text": answer or ""}
    try:
        return msgspec.to_builtins(answer, enc_hook=lambda value: None)
    except (TypeError, ValueError):
        return None


def _said(value: Any) -> Iterator[str]:
    """The texts of an answer that a model wrote."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if isinstance(inner, str):
                if name in _SAID:
                    yield inner
            else:
                yield from _said(inner)
    elif isinstance(value, list):
        for each in value:
            yield from _said(each)


def _tokens_in(value: Any) -> int:
    """A token for every few bytes of the texts in a value; data URLs are no text."""
    return -(-_bytes_in(value) // BYTES_PER_TOKEN)


def _bytes_in(value: Any) -> int:
    if isinstance(value, str):
        return 0 if value.startswith("data:") else len(value.encode(errors="replace"))
    if isinstance(value, Mapping):
        return sum(_bytes_in(each) for each in value.values())
    if isinstance(value, msgspec.Struct):
        return _bytes_in(msgspec.structs.asdict(value))
    return sum(_bytes_in(each) for each in value) if isinstance(value, list | tuple) else 0


def account_of(prices: Any, budget: Any) -> Account | None:
    """The account of a client with these arguments; None where it has none. Raises `InvalidParameterError`."""
    account = Account(prices, budget)
    return None if account.is_idle else account
