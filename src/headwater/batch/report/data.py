"""The lines of a batch's results as figures: counts, spreads, and what happened when.

Lines are read one at a time, and what is kept of them (`histogram`) does not grow with their number. It refuses no
line: what cannot be read is counted, and lines without the "headwater" object, as OpenAI's and vLLM's, give what they
have.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final, TypeAlias

import msgspec

from ...cost.meter import Account
from ...cost.price import PriceTable
from ...cost.usage import NOT_COUNTED, CountedTokens, counted_tokens
from ...protocol.json_text import UNREADABLE
from .histogram import BoundedNames, Spread, Timeline, shorten

_LONGEST_EXAMPLE: Final = 200
_LARGEST: Final = 1e11
"""A time in Unix seconds, or any other number, above this is taken for nonsense."""

Number: TypeAlias = int | float | None


class LenientMeta(msgspec.Struct):
    """What the runner notes about a record, beside OpenAI's fields."""

    input_tokens: Any = None
    output_tokens: Any = None
    started: Number = None
    seconds: Number = None
    first_event: Number = None
    attempts: Any = None
    provider: str | None = None
    model: str | None = None
    in_flight: Number = None
    limit: Number = None
    run: Number = None
    spend: Number = None


class ResultResponse(msgspec.Struct):
    """OpenAI's `response`; the body is read only for its usage and its error."""

    status_code: Number = None
    body: msgspec.Raw = msgspec.Raw(b"null")


class ResultLine(msgspec.Struct):
    """A result line. https://platform.openai.com/docs/api-reference/batch/request-output"""

    response: ResultResponse | None = None
    error: Any = None
    headwater: LenientMeta | None = None


class AnswerBody(msgspec.Struct):
    """What of an answer is looked at."""

    usage: Any = None
    error: Any = None
    model: Any = None
    tries: Any = None


_LINES: Final = msgspec.json.Decoder(ResultLine)
_BODIES: Final = msgspec.json.Decoder(AnswerBody)
_NOTHING: Final = AnswerBody()
_NO_META: Final = LenientMeta()
NO_RESPONSE: Final = "no response"
"""The class of a line that has neither a response nor an error."""


MOST_RUNS: Final = 1000
"""Runs that are told from each other."""


class RunData:
    """Everything that a report shows. `prices`: what tokens cost, of records that do not say what they cost."""

    def __init__(self, prices: PriceTable | None = None) -> None:
        self._account = Account(prices)
        self.spend: float | None = None
        self.models: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        """Records by provider."""
        self.runs: dict[float, float] = {}
        """When each run began its first record, by when it began itself."""
        self.good = self.failed = self.unreadable = 0
        self.latency, self.failure, self.first_event = Spread(), Spread(), Spread()
        self.pace = Spread()
        self.prompt, self.completion, self.attempts = Spread(whole=True), Spread(whole=True), Spread(whole=True)
        self.errors: Counter[str] = Counter()
        self.examples: dict[str, str] = {}
        self.providers: dict[str, Spread] = {}
        self.most_in_flight = 0
        self.first: float | None = None
        self.last: float | None = None
        self.timeline = Timeline()
        self._error_names, self._provider_names, self._model_names = BoundedNames(), BoundedNames(), BoundedNames()

    @property
    def records(self) -> int:
        """How many lines could be read."""
        return self.good + self.failed

    def read(self, lines: Iterable[bytes]) -> RunData:
        """Take every line in, and return this."""
        for line in lines:
            if not line.strip():
                continue
            try:
                record = _LINES.decode(line)
            except UNREADABLE:
                self.unreadable += 1
            else:
                self._add(record)
        return self

    def _add(self, line: ResultLine) -> None:
        body = _body(line.response)
        kind = self._failure_of(line, body)
        if kind is None:
            self.good += 1
        else:
            self.failed += 1
            self.errors[kind] += 1
        used = _tokens(body, line.headwater or _NO_META)
        if used.input is not None:
            self.prompt.add(used.input)
        if used.output is not None:
            self.completion.add(used.output)
        self._add_origin(body, line.headwater or _NO_META, used)
        if line.headwater is not None:
            self._add_meta(line.headwater, kind, used.output or 0)

    def _add_origin(self, body: AnswerBody, meta: LenientMeta, used: CountedTokens) -> None:
        """Whom it was asked of, in which run, and what it cost."""
        model = meta.model or (body.model if isinstance(body.model, str) else None)
        if model:
            self.models[self._model_names.of(model)] += 1
        if meta.provider:
            self.asked[self._provider_names.of(meta.provider)] += 1
        spend = _size(meta.spend)
        if spend is None:
            spend = self._account.earlier_cost(meta.provider, model, used, None)
        if spend is not None:
            self.spend = (self.spend or 0.0) + spend
        run, started = _size(meta.run), _size(meta.started)
        if run and started and (run in self.runs or len(self.runs) < MOST_RUNS):
            self.runs[run] = min(started, self.runs.get(run, started))

    def _failure_of(self, line: ResultLine, body: AnswerBody) -> str | None:
        """The class of a record's failure; None where it worked."""
        status = line.response.status_code if line.response else None
        error = line.error if line.error is not None else body.error
        if error is None and status is not None and 200 <= status < 300:
            return None
        found = error if isinstance(error, dict) else {"message": error}
        named = (
            found.get("class")
            or found.get("type")
            or found.get("code")
            or (f"HTTP {status}" if status is not None else NO_RESPONSE)
        )
        name = self._error_names.of(named)
        if found.get("message") and name not in self.examples:
            self.examples[name] = shorten(str(found["message"]), _LONGEST_EXAMPLE)
        return name

    def _add_meta(self, meta: LenientMeta, kind: str | None, tokens: int) -> None:
        seconds = _size(meta.seconds)
        first_event = _size(meta.first_event)
        if seconds is not None:
            (self.latency if kind is None else self.failure).add(seconds)
        if first_event is not None:
            self.first_event.add(first_event)
        if isinstance(meta.attempts, int | list):
            self.attempts.add(meta.attempts if isinstance(meta.attempts, int) else len(meta.attempts))
        in_flight = _size(meta.in_flight)
        if in_flight is not None and in_flight > self.most_in_flight:
            self.most_in_flight = int(in_flight)
        if meta.provider and kind is None and seconds is not None:
            name = self._provider_names.of(meta.provider)
            if (spread := self.providers.get(name)) is None:
                spread = self.providers[name] = Spread()
            spread.add(seconds)
        started = _size(meta.started)
        if started is not None:
            self._add_times(started, seconds or 0.0, meta, kind, tokens)
        if tokens > 1 and first_event is not None and seconds is not None and seconds > first_event:
            self.pace.add(tokens / (seconds - first_event))

    def _add_times(self, started: float, seconds: float, meta: LenientMeta, kind: str | None, tokens: int) -> None:
        ended = started + seconds
        if self.first is None or started < self.first:
            self.first = started
        if self.last is None or ended > self.last:
            self.last = ended
        moment = self.timeline.at(started)
        moment.started += 1
        moment.started_at += started - self.timeline.origin
        limit = _size(meta.limit)
        if limit is not None:
            moment.limit += limit
            moment.limits += 1
        moment = self.timeline.at(ended)
        moment.ended += 1
        moment.ended_at += ended - self.timeline.origin
        moment.tokens += tokens
        if kind is None:
            moment.good += 1
        else:
            moment.errors[kind] += 1


def _body(response: ResultResponse | None) -> AnswerBody:
    try:
        return _BODIES.decode(response.body) if response else _NOTHING
    except UNREADABLE:
        return _NOTHING


def _tokens(body: AnswerBody, meta: LenientMeta) -> CountedTokens:
    """Those of the answer; the runner knows those of the answers before it, too, where there were any."""
    used = NOT_COUNTED if body.tries else counted_tokens(body.usage)
    return used if used != NOT_COUNTED else counted_tokens(meta)


def _size(number: Number) -> Number:
    """The number, where it is one that can be."""
    return number if number is not None and 0 <= number <= _LARGEST else None
