"""The lines of a batch's results as figures: counts, spreads, and what happened when.

Lines are read one at a time, and what is kept of them (`report_bins`) does not grow with their number. It refuses no
line: what cannot be read is counted, and lines without the "headwater" object, as OpenAI's and vLLM's, give what they
have.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final, TypeAlias, TypeGuard

import msgspec

from .report_bins import Names, Spread, Timeline, shown

_LONGEST_EXAMPLE: Final = 200
_LARGEST: Final = 1e11
"""A time in Unix seconds, or any other number, above this is taken for nonsense."""

Number: TypeAlias = int | float | None


class Usage(msgspec.Struct):
    """Tokens, in the words of chat completions or of responses."""

    prompt_tokens: Number = None
    completion_tokens: Number = None
    input_tokens: Number = None
    output_tokens: Number = None


class Facts(Usage):
    """What the runner notes about a record, beside OpenAI's fields."""

    started: Number = None
    seconds: Number = None
    first_event: Number = None
    attempts: Any = None
    provider: str | None = None
    in_flight: Number = None
    limit: Number = None


class Response(msgspec.Struct):
    """OpenAI's `response`; the body is read only for its usage and its error."""

    status_code: Number = None
    body: msgspec.Raw = msgspec.Raw(b"null")


class Line(msgspec.Struct):
    """A result line. https://platform.openai.com/docs/api-reference/batch/request-output"""

    response: Response | None = None
    error: Any = None
    headwater: Facts | None = None


class Body(msgspec.Struct):
    """What of an answer is looked at."""

    usage: Usage | None = None
    error: Any = None


UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_LINES: Final = msgspec.json.Decoder(Line)
_BODIES: Final = msgspec.json.Decoder(Body)
_NOTHING: Final = Body()
_NO_USAGE: Final = Usage()


class RunData:
    """Everything that a report shows."""

    def __init__(self) -> None:
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
        self._error_names, self._provider_names = Names(), Names()

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

    def _add(self, line: Line) -> None:
        body = _body(line.response)
        kind = self._failure_of(line, body)
        if kind is None:
            self.good += 1
        else:
            self.failed += 1
            self.errors[kind] += 1
        tokens = self._add_tokens(body.usage or line.headwater or _NO_USAGE)
        if line.headwater is not None:
            self._add_facts(line.headwater, kind, tokens)

    def _failure_of(self, line: Line, body: Body) -> str | None:
        """The class of a record's failure; None where it worked."""
        status = line.response.status_code if line.response else None
        error = line.error if line.error is not None else body.error
        if error is None and status is not None and 200 <= status < 300:
            return None
        facts = error if isinstance(error, dict) else {"message": error}
        named = (
            facts.get("class")
            or facts.get("type")
            or facts.get("code")
            or (f"HTTP {status}" if status is not None else "no response")
        )
        name = self._error_names.of(named)
        if facts.get("message") and name not in self.examples:
            self.examples[name] = shown(str(facts["message"]), _LONGEST_EXAMPLE)
        return name

    def _add_tokens(self, usage: Usage) -> float:
        prompt = usage.prompt_tokens if usage.prompt_tokens is not None else usage.input_tokens
        completion = usage.completion_tokens if usage.completion_tokens is not None else usage.output_tokens
        if _is_size(prompt):
            self.prompt.add(prompt)
        if _is_size(completion):
            self.completion.add(completion)
            return completion
        return 0.0

    def _add_facts(self, facts: Facts, kind: str | None, tokens: float) -> None:
        if _is_size(facts.seconds):
            (self.latency if kind is None else self.failure).add(facts.seconds)
        if _is_size(facts.first_event):
            self.first_event.add(facts.first_event)
        if isinstance(facts.attempts, int | list):
            self.attempts.add(facts.attempts if isinstance(facts.attempts, int) else len(facts.attempts))
        if _is_size(facts.in_flight):
            self.most_in_flight = max(self.most_in_flight, int(facts.in_flight))
        if facts.provider and kind is None and _is_size(facts.seconds):
            self.providers.setdefault(self._provider_names.of(facts.provider), Spread()).add(facts.seconds)
        if _is_size(facts.started):
            self._add_times(facts.started, facts.seconds if _is_size(facts.seconds) else 0.0, facts, kind, tokens)

    def _add_times(self, started: float, seconds: float, facts: Facts, kind: str | None, tokens: float) -> None:
        ended = started + seconds
        self.first = started if self.first is None else min(self.first, started)
        self.last = ended if self.last is None else max(self.last, ended)
        moment = self.timeline.at(started)
        moment.started += 1
        moment.started_at += started - self.timeline.origin
        if _is_size(facts.limit):
            moment.limit += facts.limit
            moment.limits += 1
        moment = self.timeline.at(ended)
        moment.ended += 1
        moment.ended_at += ended - self.timeline.origin
        moment.tokens += tokens
        if kind is None:
            moment.good += 1
        else:
            moment.errors[kind] += 1
        pace = seconds - (facts.first_event or 0.0)
        if tokens > 1 and _is_size(facts.first_event) and pace > 0:
            self.pace.add(tokens / pace)


def _body(response: Response | None) -> Body:
    try:
        return _BODIES.decode(response.body) if response else _NOTHING
    except UNREADABLE:
        return _NOTHING


def _is_size(number: Number) -> TypeGuard[float]:
    return number is not None and 0 <= number <= _LARGEST
