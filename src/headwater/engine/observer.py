"""What an observer is told of a client's calls: the events, in the order in which they happen.

    CallBegun
      AttemptBegun ─▶ AttemptEnded         each request to a provider; a hedge's two overlap
      WaitBegun                            before the next one: why, and for how long
      FailedOver, Hedged, BreakerMoved     where the call turns to
      FirstEvent
    CallEnded                              how, with facts, usage, result or error

    ConversationBegun                      around the calls of its turns, and of its tools
      ToolBegun ─▶ ToolEnded
    ConversationEnded

An observer is any callable that takes one of them; those that it does not know it lets pass, for there may be more
some day. It is called in the thread of the event loop that makes the call (a blocking client's is its own thread), as
things happen, and must not block it. What it raises is logged, by the logger `headwater`, and harms no call. Of the
events of a stream it is told the first and, at the end, how many there were.

No secret of the call is in what the engine says here: URLs are without query, and errors are masked. `parameters` and
`result` are what the caller sent and got.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, Final, Literal, TypeAlias

import msgspec

from ..cost.usage import NOT_COUNTED, CountedTokens, counted_tokens, tokens_of
from ..errors import Attempt, HeadwaterError
from .facts import Facts

RequestKind: TypeAlias = Literal["request", "download", "input", "cancel"]
"""What a request is for: a step of the task, a result that is fetched by its URL, an input that is, or the word to the
provider that a job is not wanted any more."""
WaitReason: TypeAlias = Literal["retry", "model loading", "job", "throttle"]
"""Why a call waits: before it tries again; for a cold model; between two questions after a job; for its turn, under
the limits of a map or a batch."""
CallOutcome: TypeAlias = Literal["success", "error", "cancelled", "left"]
"""`cancelled`: the task that read it was; `left`: its reader stopped reading it."""
BreakerState: TypeAlias = Literal["open", "half-open", "closed"]


class ObservedCall(msgspec.Struct, eq=False, kw_only=True, weakref=True):
    """A call, the same object in all of its events.

    `task` is its name on the Hub, `model` what the caller named (None: whatever the provider has); `parameters` are the
    task's own, and have what the caller sent. `streams`: whether it is read event by event. `providers`: the names of
    those that may be asked in turn, where there are several. `parent`: the tool or the conversation that made it.
    """

    task: str
    model: str | None = None
    parameters: Mapping[str, Any] = {}
    streams: bool = False
    providers: tuple[str, ...] = ()
    parent: ObservedTool | ObservedConversation | None = None


class ObservedConversation(msgspec.Struct, eq=False, kw_only=True, weakref=True):
    """A conversation, the same object in all of its events. `parameters` go with each of its calls."""

    model: str | None = None
    parameters: Mapping[str, Any] = {}
    messages: list[Any] = []
    tools: tuple[str, ...] = ()
    parent: ObservedTool | None = None


class ObservedTool(msgspec.Struct, eq=False, kw_only=True, weakref=True):
    """A call of a tool in a conversation, the same object in its events; MCP servers' tools are no different."""

    name: str
    id: str
    description: str = ""
    arguments: Any = None
    turn: int = 0
    parent: ObservedConversation | None = None


class CallBegun(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A call begins: somebody has begun to read it."""

    call: ObservedCall


class AttemptBegun(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A request is about to be sent. `number` counts those of the call from 1, both of a hedge's; `url` has no query.

    What is put into `headers` goes with this request, over what it has; the `origin` says where that is. Not with
    downloads and inputs, which may be redirected elsewhere.
    """

    call: ObservedCall
    number: int
    provider: str
    method: str
    url: str
    origin: str
    kind: RequestKind = "request"
    hedged: bool = False
    seconds: float
    headers: dict[str, str] = {}


class AttemptEnded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The attempt with this number was answered, has failed, or was given up: the `attempt` is as in the call's facts.

    A stream's is answered with its first event (`reads_on`): what comes after is the call's affair. `status` is the
    answer's, where there was one; `request_id` the server's name for it.
    """

    call: ObservedCall
    number: int
    attempt: Attempt
    status: int | None = None
    request_id: str | None = None
    reads_on: bool = False
    seconds: float


class WaitBegun(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The call waits, for so long (None: nobody knows). `error` is what it waits after."""

    call: ObservedCall
    reason: WaitReason
    wait: float | None
    provider: str
    error: HeadwaterError | None = None
    seconds: float


class FirstEvent(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The first event of the call has come; `seconds` after its beginning, as in all of these."""

    call: ObservedCall
    provider: str
    seconds: float


class FailedOver(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The call turns from one provider to the next, because of this error."""

    call: ObservedCall
    provider: str
    following: str
    error: HeadwaterError
    seconds: float


class Hedged(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A second attempt begins beside the first, which has been slow; it asks this provider."""

    call: ObservedCall
    provider: str
    seconds: float


class BreakerMoved(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """This call has moved the breaker of a provider. `open_for`: the seconds for which it is left alone."""

    call: ObservedCall
    provider: str
    state: BreakerState
    open_for: float = 0.0
    seconds: float


class CallEnded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The call is over.

    `result`: what the plain call returns, of a success. `error`: what it has failed with; `partial` has what came
    before. `events`: how many events of a stream were taken. `left_job`: of a call that was left or failed, whether its
    job goes on ("detached"), or nobody knows ("unknown").
    """

    call: ObservedCall
    outcome: CallOutcome
    facts: Facts
    result: Any = None
    error: BaseException | None = None
    events: int = 0
    left_job: Literal["detached", "unknown"] | None = None
    seconds: float

    @property
    def usage(self) -> CountedTokens | None:
        """The tokens that the server said were used, also by what failed; None where it did not say. Read when this is
        asked for."""
        error = self.error
        spent = None if error is None else getattr(error, "usage", None)
        answer = self.result if error is None else getattr(error, "partial", None)
        used = counted_tokens(spent) if spent is not None else tokens_of(answer)
        return None if used == NOT_COUNTED else used


class ConversationBegun(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A conversation begins."""

    conversation: ObservedConversation


class ConversationEnded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A conversation is over, or paused until somebody allows what its model has called.

    `usage` is the sum of its `turns`.
    """

    conversation: ObservedConversation
    outcome: Literal["answered", "paused", "error", "cancelled"]
    usage: CountedTokens | None = None
    turns: int = 0
    result: Any = None
    error: BaseException | None = None


class ToolBegun(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A tool is about to run; told in its own task, whose context variables it may set."""

    tool: ObservedTool


class ToolEnded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A tool has ended, in the same task. `outcome` is "returned" where all is well; `content` what the model is told;
    `error` what the function raised."""

    tool: ObservedTool
    outcome: str
    content: str = ""
    error: BaseException | None = None


CallEvent: TypeAlias = (
    CallBegun | AttemptBegun | AttemptEnded | WaitBegun | FirstEvent | FailedOver | Hedged | BreakerMoved | CallEnded
)
"""What is told of one call; each has `call`."""
ObserverEvent: TypeAlias = CallEvent | ConversationBegun | ConversationEnded | ToolBegun | ToolEnded
Observer: TypeAlias = Callable[[ObserverEvent], object]
"""What a client's `observer=` takes."""

CURRENT_TOOL: Final[ContextVar[ObservedTool | None]] = ContextVar("headwater_tool", default=None)
"""The tool that is running, where it is observed: calls that it makes have it for their parent."""


def outline_of(error: BaseException | None) -> str:
    """What an error says, but for what it quotes of an answer, for nobody has asked for content; "" for none."""
    return "" if error is None else getattr(error, "outline", "") or str(error)
