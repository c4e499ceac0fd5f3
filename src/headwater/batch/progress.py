"""How far a batch is: what is told while it runs (events) and at its end (the summary), and what it has cost.

Counts are of records whose lines are on the disk. Nothing is shown here.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from typing import Final, Literal, TypeAlias

import msgspec

from ..cost.meter import Account
from ..cost.price import Price
from ..cost.usage import CountedTokens
from ..errors import InvalidParameterError
from .record import RecordMeta

RATE_WINDOW_SECONDS: Final = 30.0
"""Seconds that the rate is taken over."""
Stopped: TypeAlias = Literal["drained", "stopped", "gave_up", "budget"]


class BatchStarted(msgspec.Struct, tag_field="event", tag="started", frozen=True):
    """The input was counted and the output read. `torn`: bytes of an unfinished record that were cut from it."""

    input: str
    output: str
    total: int
    done: int
    failed: int
    left: int
    torn: int


class BatchProgress(msgspec.Struct, tag_field="event", tag="progress", frozen=True):
    """Where it is. `done` (without `failed`), `left`: records; `rate`, `token_rate`: records and tokens out a second,
    of the last 30 s; `errors`: failures of this run by class, those too that are not in the output yet; `spend`: what
    all records in the output cost, None without prices; `eta`: seconds; `waiting`: seconds for which nothing is sent,
    because the server wants it or gave nothing but refusals, None where it goes on."""

    total: int
    done: int
    failed: int
    left: int
    seconds: float
    rate: float
    token_rate: float
    in_flight: int
    limit: int
    input_tokens: int
    output_tokens: int
    errors: dict[str, int]
    spend: float | None
    eta: float | None
    waiting: float | None = None


class RecordFailed(msgspec.Struct, tag_field="event", tag="error", frozen=True):
    """A record failed for good; `line` counts from 1."""

    line: int
    custom_id: str
    error: str
    message: str


class Draining(msgspec.Struct, tag_field="event", tag="draining", frozen=True):
    """No more records are begun, those under way are waited for."""

    in_flight: int


class GaveUp(msgspec.Struct, tag_field="event", tag="gave_up", frozen=True):
    """The batch ends early: so many records in a row (`failures`) failed alike that the others would, too.

    No more are begun, and these are not in the output. `error`, `message`: of the last one; `in_flight`: records that
    are waited for.
    """

    error: str
    message: str
    failures: int
    in_flight: int


class BatchSummary(msgspec.Struct, tag_field="event", tag="finished", frozen=True):
    """What a run leaves. `done`, `failed`, `left`: records in all, those of earlier runs included; `stopped`: whether
    it was told to stop, and how, or gave up, and then `reason` is the error that was everybody's, or had spent its
    budget ("budget"), and then it is what that allows; `torn`: bytes of an unfinished record that were cut at its
    start; tokens, `spend`: of all records; `errors`: of this run, by class."""

    input: str
    output: str
    total: int
    done: int
    failed: int
    left: int
    torn: int
    seconds: float
    rate: float
    input_tokens: int
    output_tokens: int
    errors: dict[str, int]
    spend: float | None
    stopped: Stopped | None
    reason: str | None = None


Event: TypeAlias = BatchStarted | BatchProgress | RecordFailed | Draining | GaveUp | BatchSummary


class Count:
    """Counts records, tokens and money. The records of this run say themselves what they cost; `account`: where the
    prices of those of earlier runs are looked for, who may have been told others, or none."""

    def __init__(self, account: Account | None) -> None:
        self._account = account if account is not None and account.has_prices else None
        self.total = self.done = self.failed = 0
        self.input_tokens = self.output_tokens = 0
        self.spend = 0.0
        self.errors: Counter[str] = Counter()
        self.began = time.monotonic()
        self._started = round(time.time(), 3)
        self._first = 0
        self._moments: deque[tuple[float, int, int]] = deque()

    @property
    def left(self) -> int:
        """Records that are not in the output."""
        return self.total - self.done - self.failed

    @property
    def spent(self) -> float | None:
        """What all has cost; None without prices."""
        return None if self._account is None else round(self.spend, 12)

    def add(self, meta: RecordMeta) -> None:
        """Take a record that is in the output."""
        if meta.error is None:
            self.done += 1
        else:
            self.failed += 1
        self.input_tokens += meta.input_tokens or 0
        self.output_tokens += meta.output_tokens or 0
        spend = meta.spend
        if self._account is not None and meta.run != self._started:
            used = CountedTokens(meta.input_tokens, meta.output_tokens)
            spend = self._account.earlier_cost(meta.provider, meta.model, used, spend)
        self.spend += spend or 0.0

    def stamp(self, meta: RecordMeta) -> None:
        """Note which run a record is of."""
        meta.run = self._started

    def drop_failed(self) -> None:
        """Forget those that failed: they are asked again. What they cost stays spent."""
        self.failed = 0

    def start(self) -> None:
        """What came before this is an earlier run's."""
        self._first = self.done + self.failed
        self._moments.append((time.monotonic(), self._first, self.output_tokens))

    def now(self, in_flight: int, limit: int, waiting: float | None = None) -> BatchProgress:
        """Where it is now; what the map alone knows is given."""
        moment = time.monotonic()
        self._moments.append((moment, self.done + self.failed, self.output_tokens))
        while len(self._moments) > 2 and moment - self._moments[0][0] > RATE_WINDOW_SECONDS:
            self._moments.popleft()
        then, records, tokens = self._moments[0]
        seconds = max(moment - then, 1e-6)
        rate = (self.done + self.failed - records) / seconds
        return BatchProgress(
            total=self.total,
            done=self.done,
            failed=self.failed,
            left=self.left,
            seconds=moment - self.began,
            rate=rate,
            token_rate=(self.output_tokens - tokens) / seconds,
            in_flight=in_flight,
            limit=limit,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            errors=dict(self.errors),
            spend=self.spent,
            eta=self.left / rate if rate else None,
            waiting=waiting,
        )

    def summary(
        self, paths: tuple[str, str], torn: int, stopped: Stopped | None, reason: str | None = None
    ) -> BatchSummary:
        """What the run leaves."""
        seconds = time.monotonic() - self.began
        return BatchSummary(
            input=paths[0],
            output=paths[1],
            total=self.total,
            done=self.done,
            failed=self.failed,
            left=self.left,
            torn=torn,
            seconds=seconds,
            rate=(self.done + self.failed - self._first) / max(seconds, 1e-6),
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            errors=dict(self.errors),
            spend=self.spent,
            stopped=stopped,
            reason=reason,
        )


def read_prices(given: list[str]) -> dict[str, Price | tuple[float, float]]:
    """Prices as a command line has them: "IN,OUT" for all, or "NAME=IN,OUT" for a model, a provider, or both.

    Raises `InvalidParameterError`.
    """
    prices: dict[str, Price | tuple[float, float]] = {}
    for text in given:
        name, _, pair = text.rpartition("=")
        try:
            into, out = (float(part) for part in pair.split(","))
        except ValueError:
            into = out = -1.0
        if not (0 <= into < float("inf") and 0 <= out < float("inf")):
            raise InvalidParameterError(
                f"prices are IN,OUT or NAME=IN,OUT, in money for a million tokens, not {text[:80]!r}"
            )
        prices[name.strip()] = (into, out)
    return prices
