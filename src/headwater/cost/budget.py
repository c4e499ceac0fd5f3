"""What may be spent: a limit that many calls share, in dollars, tokens and calls.

The rule is plain: a call is refused once as much is spent as may be, and let in before; what it costs is known when it
has ended. So the calls that are under way when the limit is reached are finished, their retries included, and what they
cost comes on top: of one call after the other at most one, of 64 at once at most 64. No estimate is made of what a call
will cost: it would refuse calls that there is money for.
"""

from __future__ import annotations

import threading
from math import inf
from typing import Any, Final, Literal, NoReturn, TypeAlias

from ..errors import BudgetExceededError, InvalidParameterError
from .price import Cost
from .usage import CountedTokens

PICO: Final = 10**12
UnknownPrice: TypeAlias = Literal["refuse", "free"]


class Budget:
    """How much calls may cost together. Give the same one to several clients, maps and batches, and they share it.

    `usd`: US dollars; `tokens`: in and out together; `calls`: how many may be begun; at least one of them. `unknown`:
    what becomes of a call whose price is not known, where `usd` is given: "refuse" (nothing is sent, and it raises
    `UnknownPriceError`), or "free" (it is made, and counted in `unpriced`).

    A call counts when it has ended. What failed because the provider refused it counts nothing; what was cut, left or
    ran out of time counts what it came to, estimated where the server did not say. Safe from several threads.
    """

    def __init__(
        self,
        usd: float | None = None,
        *,
        tokens: int | None = None,
        calls: int | None = None,
        unknown: UnknownPrice = "refuse",
    ) -> None:
        for name, value in (("usd", usd), ("tokens", tokens), ("calls", calls)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
                raise InvalidParameterError(f"Budget: {name} must be a number")
            if value is not None and not 0 <= value < inf:
                raise InvalidParameterError(f"Budget: {name} must be 0 or more")
        if usd is None and tokens is None and calls is None:
            raise InvalidParameterError("a Budget wants a limit: usd=, tokens= or calls=")
        if unknown not in ("refuse", "free"):
            raise InvalidParameterError('Budget: unknown must be "refuse" or "free"')
        self.usd, self.tokens, self.calls, self.unknown = usd, tokens, calls, unknown
        self._lock = threading.Lock()
        self._pico = self._tokens = self._begun = self._unpriced = self._estimated = 0

    # -- what is known of it

    @property
    def spent(self) -> float:
        """US dollars so far."""
        return self._pico / PICO

    @property
    def spent_tokens(self) -> int:
        """Tokens so far, in and out."""
        return self._tokens

    @property
    def begun(self) -> int:
        """Calls that were let in."""
        return self._begun

    @property
    def unpriced(self) -> int:
        """Calls that have ended whose price nobody knew; what they cost is not in `spent`."""
        return self._unpriced

    @property
    def estimated(self) -> int:
        """Calls that have ended whose tokens were estimated."""
        return self._estimated

    @property
    def left(self) -> float | None:
        """US dollars that are left, never below 0; None where there is no limit of them."""
        return None if self.usd is None else max(0, _pico(self.usd) - self._pico) / PICO

    @property
    def is_spent(self) -> bool:
        """Whether the next call would be refused."""
        return self._exhausted() is not None

    @property
    def needs_prices(self) -> bool:
        """Whether a call whose price is not known is refused."""
        return self.usd is not None and self.unknown == "refuse"

    def __repr__(self) -> str:
        limits = [
            f"{name}={value}" for name in ("usd", "tokens", "calls") if (value := getattr(self, name)) is not None
        ]
        return f"Budget({', '.join(limits)}; spent ${self.spent:.6f}, {self._tokens} tokens, {self._begun} calls)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Budget counts in one process, and cannot be pickled; make one in each")

    def __copy__(self) -> Budget:
        """The same: a copy would let as much be spent again."""
        return self

    def __deepcopy__(self, memo: Any) -> Budget:
        return self

    # -- how calls use it

    def check(self, *, begun: bool = False) -> None:
        """Raise `BudgetExceededError` where nothing is left; `begun`: for a call that was let in before."""
        if (reached := self._exhausted(begun)) is not None:
            raise self._exceeded(reached)

    def enter(self) -> None:
        """Let a call in. Raises `BudgetExceededError` where nothing is left."""
        with self._lock:
            reached = self._exhausted()
            if reached is None:
                self._begun += 1
        if reached is not None:
            raise self._exceeded(reached)

    def add(self, cost: Cost | None, tokens: CountedTokens) -> None:
        """Take what a call came to; no cost: nobody knows its price."""
        with self._lock:
            self._tokens += tokens.total
            if cost is None:
                self._unpriced += 1
                return
            self._pico += _pico(cost.usd)
            self._estimated += cost.estimated

    def _exhausted(self, begun: bool = False) -> tuple[str, float, str] | None:
        """Which limit is reached, how much it allows, and that in words; None where there is something left."""
        if self.usd is not None and self._pico >= _pico(self.usd):
            return "usd", self.usd, f"${self.usd:g} may be spent, and ${self.spent:.6g} are"
        if self.tokens is not None and self._tokens >= self.tokens:
            return "tokens", self.tokens, f"{self.tokens} tokens may be used, and {self._tokens} are"
        if self.calls is not None and self._begun >= self.calls and not begun:
            return "calls", self.calls, f"{self.calls} calls may be made, and {self._begun} are"
        return None

    def _exceeded(self, reached: tuple[str, float, str]) -> BudgetExceededError:
        error = BudgetExceededError(f"the budget is spent: {reached[2]}; nothing was sent")
        error.limit, error.allowed = reached[:2]
        error.spent, error.spent_tokens = self.spent, self._tokens
        return error


def _pico(usd: float) -> int:
    return round(usd * PICO)


def budget_of(given: Any) -> Budget:
    """A budget, or the tokens that may be used. Raises `InvalidParameterError`."""
    if isinstance(given, Budget):
        return given
    if isinstance(given, int) and not isinstance(given, bool) and given >= 1:
        return Budget(tokens=given)
    raise InvalidParameterError("budget must be a Budget, such as Budget(usd=5), or a number of tokens above 0")


def budgets_of(given: Any) -> tuple[Budget, ...]:
    """A budget, or several that all hold; none for None."""
    if given is None:
        return ()
    return tuple(budget_of(each) for each in given) if isinstance(given, list | tuple) else (budget_of(given),)
