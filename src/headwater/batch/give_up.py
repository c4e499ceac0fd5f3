"""The "give up" rule of a batch: when failures in a row say that the run is wrong, and not its records.

A wrong key, address, model or file fails every record alike: a hundred thousand such results are of no use to anybody.
Results that may be such are held back, until a record succeeds (they are written) or the rule gives up (they are
dropped, so that their records are done again). How long failures may go on hangs on whose fault they are:

    the key or the account: not at all; where there is no key that could be sent, the first is enough (`give_up`)
    the network or the server: for `OUTAGE_SECONDS` since the last success; not at all where nothing ever answered
    the record: for ever, once any record has succeeded; before that, not at all

Lines that are wrong by themselves fail at once, while good ones beside them wait for their answers: of those it takes
`MALFORMED_FACTOR` times as many.

Pure: it is told the time.
"""

from __future__ import annotations

from typing import Final, Generic, TypeVar

from ..errors import (
    AuthenticationError,
    ConnectError,
    HeadwaterError,
    InputError,
    InsecureCredentialError,
    InvalidCredentialError,
    InvalidParameterError,
    MissingCredentialError,
    PaymentRequiredError,
    PermissionDeniedError,
    ProviderError,
)

T = TypeVar("T")

FAILURES_IN_A_ROW: Final = 20
"""Failures of one kind, without a success between them, by which a run is given up."""
OUTAGE_SECONDS: Final = 60.0
"""Seconds without a success, after which a server that is away or fails is given up. It is less than the map itself
waits for a server to come back, so that what the map lets fail in the end is not written a hundred thousand times."""
MALFORMED_FACTOR: Final = 50
MOST_HELD_RESULTS: Final = 4096
"""Results that are held back; of more, the oldest are written."""
NO_KEY_ERRORS: Final = (InsecureCredentialError, InvalidCredentialError, MissingCredentialError)
"""With which nothing can be sent."""
_ACCOUNT: Final = (*NO_KEY_ERRORS, AuthenticationError, PaymentRequiredError, PermissionDeniedError)


class GiveUpRule(Generic[T]):
    """Takes results as they come, and gives those that may be written.

    `in_a_row`: failures after which it gives up; None for never. `has_succeeded`: whether earlier runs had a success.
    `now`, here and in `add`: the time in seconds, from anywhere.
    """

    def __init__(self, in_a_row: int | None, *, has_succeeded: bool, now: float) -> None:
        self._in_a_row = in_a_row
        self._has_succeeded = has_succeeded
        self._has_answered = False
        self._kind = ""
        self._since = now
        self._held: list[T] = []
        self.count = 0
        """Failures of one kind in a row, so far."""
        self.cause: Exception | None = None
        """The failure for which it gave up."""

    def add(self, result: T, error: Exception | None, now: float) -> list[T]:
        """Take a result; returns those to write now, the oldest first."""
        if self._in_a_row is None:
            return [result]
        kind = _kind_of(error)
        if self.cause is not None:  # of what was under way when it gave up
            return [] if kind == self._kind else [result]
        if error is None:
            self._has_succeeded, self._since = True, now
        self._has_answered = self._has_answered or error is None or isinstance(error, ProviderError)
        patience = self._patience(error)
        if error is None or patience is None:
            self._kind, self.count = "", 0
            return [*self.release(), result]
        due: list[T] = []
        if kind != self._kind:
            due, self._kind, self.count = self.release(), kind, 0
        self.count += 1
        self._held.append(result)
        needed = self._in_a_row * (MALFORMED_FACTOR if isinstance(error, InvalidParameterError | InputError) else 1)
        if self.count >= needed and now - self._since >= patience:
            self._held.clear()
            self.cause = error
        elif len(self._held) > MOST_HELD_RESULTS:
            due.append(self._held.pop(0))
        return due

    def give_up(self, error: Exception) -> None:
        """Let this failure, which is nobody's but the run's, be enough; it is not written, nor are those held back."""
        if self._in_a_row is not None and self.cause is None and not self._has_succeeded:
            self._held.clear()
            self.cause = error

    def release(self) -> list[T]:
        """What is held back, to be written after all."""
        held, self._held = self._held, []
        return held

    def _patience(self, error: Exception | None) -> float | None:
        """Seconds that such failures may go on; None for ever."""
        if isinstance(error, _ACCOUNT) or (isinstance(error, ConnectError) and not self._has_answered):
            return 0.0
        if isinstance(error, HeadwaterError) and error.retryable:
            return OUTAGE_SECONDS
        return None if self._has_succeeded else 0.0


def _kind_of(error: Exception | None) -> str:
    """What failures have in common: failures that may pass have one name."""
    if isinstance(error, HeadwaterError) and error.retryable:
        return "outage"
    return "" if error is None else type(error).__name__
