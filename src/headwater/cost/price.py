"""Prices, and what a call cost at them, in US dollars.

Dollars are floats, as prices are in JSON and the spend of a batch is: a call's cost is known to some per cent, where a
float has sixteen digits, and numbers of users' own can be added to it. Where many costs are summed, and a limit is held
against the sum, that is done in whole picodollars (`Budget`): there ten times 0.1 is 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf
from typing import Any, Final, Literal, TypeAlias

import msgspec

from ..errors import InvalidParameterError
from .usage import NOT_COUNTED, CountedTokens

PER: Final = 1_000_000
"""Tokens that a price is for."""
PriceSource: TypeAlias = Literal["table", "router", "provider"]


class Price(msgspec.Struct, frozen=True):
    """What a model costs at a provider, in US dollars for a million tokens.

    `input` and `output`: tokens in and out. `cached`: tokens in that the provider had cached, `cache_write`: those that
    it put into its cache; None: as `input`. `reasoning`: tokens out that the model thought with; None: as `output`.
    `call`: dollars for each call besides, as an image has that is priced by the piece.
    """

    input: float = 0.0
    output: float = 0.0
    cached: float | None = None
    cache_write: float | None = None
    reasoning: float | None = None
    call: float = 0.0

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
                raise InvalidParameterError(f"Price: {name} must be a number of dollars")
            if value is not None and not 0 <= value < inf:
                raise InvalidParameterError(f"Price: {name} must be 0 or more")

    @property
    def counts_tokens(self) -> bool:
        """Whether the number of tokens matters."""
        return any((self.input, self.output, self.cached, self.cache_write, self.reasoning))

    def of(self, tokens: CountedTokens) -> float:
        """What a call costs that used these tokens; what was not told counts as none."""
        into, out = tokens.input or 0, tokens.output or 0
        cached, written, thought = tokens.cached or 0, tokens.cache_write or 0, tokens.reasoning or 0
        dear = (
            max(0, into - cached - written) * self.input
            + cached * (self.input if self.cached is None else self.cached)
            + written * (self.input if self.cache_write is None else self.cache_write)
            + (out - thought) * self.output
            + thought * (self.output if self.reasoning is None else self.reasoning)
        )
        return self.call + dear / PER


FREE: Final = Price()
PriceTable: TypeAlias = Mapping[str, Price | tuple[float, float]]
"""Prices by "provider/model", by model, by provider, or by "" for all; a pair is what goes in and out."""
Prices: TypeAlias = PriceTable | Literal["router", "provider"]
"""A place where prices are looked for: a table, the router's list, or what the provider says that it charges."""


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What a call cost: `usd`, by `price`, whose `source` is the user's table, the router's list, or the provider,
    which said with its answer what it charges.

    `tokens`: those that were paid for. `estimated`: the server did not count them, or did not say which provider it
    chose: then a token stands for every 4 bytes of JSON that went in or came out, and the dearest provider is assumed.
    """

    usd: float
    price: Price
    tokens: CountedTokens = NOT_COUNTED
    estimated: bool = False
    source: PriceSource = "table"


NOTHING_SPENT: Final = Cost(usd=0.0, price=FREE)
"""The cost of what was there already."""


def prices_in(table: Any) -> dict[str, Price]:
    """A user's table, checked. Raises `InvalidParameterError`."""
    if not isinstance(table, Mapping):
        raise InvalidParameterError(
            'prices must be a table {"model": Price(...)}, "router", "provider", or a list of such'
        )
    return {_name(name): _price(name, value) for name, value in table.items()}


def _name(name: Any) -> str:
    if not isinstance(name, str):
        raise InvalidParameterError("prices are by names: a model's, a provider's, or provider/model")
    return name


def _price(name: str, value: Any) -> Price:
    if isinstance(value, Price):
        return value
    if isinstance(value, list | tuple) and len(value) == 2:
        return Price(*value)
    raise InvalidParameterError(f"the price of {name!r} must be a Price, or a pair of dollars in and out")


def found_in(table: Mapping[str, Price], names: Iterable[str | None]) -> Price | None:
    """The first of these names' price."""
    return next((table[name] for name in names if name is not None and name in table), None)


def price_names(provider: str | None, model: str | None) -> tuple[str | None, ...]:
    """What a price may be under, the narrowest first."""
    return f"{provider}/{model}", model, provider, ""
