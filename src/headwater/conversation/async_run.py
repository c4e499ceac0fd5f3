"""A conversation under way: its model's turns, and the tools between them, pulled by whoever reads it.

                  ┌──────────────────────────── next turn ◀─────────────────────────────┐
                  ▼                                                                     │
    messages ──▶ the model's call ──▶ an answer ──▶ its calls: allowed? ──▶ performed ──┘
                  chunks               │  ToolCalled      │                 ToolReturned, TurnEnded
                                       ▼ no calls         ▼ undecided
                                     answered           paused: the state can be taken up later

As in any run nothing goes on between two reads: the model's stream waits to be read, and the tools of a turn begin and
end inside one read, in one task group. So their `ToolReturned`s come together, when the last of them has ended. A read
that is cancelled while tools run gives them up, and the conversation with them; otherwise what holds for the read of a
stream holds here.

At every moment `transcript` and `state` are whole: a turn that is not over is no part of them, and a call that has no
answer is told as one that was given up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, Protocol, Self, TypeAlias, TypeVar

import msgspec
from anyio import Event, current_time
from msgspec.structs import replace

from ..cost.budget import Budget
from ..engine.driver import another_reader, was_left
from ..engine.observer import ObservedConversation, Observer
from ..engine.run import AsyncRun
from ..errors import (
    ConversationBudgetError,
    ConversationLimitError,
    HeadwaterError,
    InferenceTimeoutError,
    UnexpectedContentError,
    no_end,
)
from ..protocol.flow import END
from ..protocol.timeout import Timeout
from ..protocol.transport import FOREVER
from ..protocol.under_way import not_copied
from ..tasks.chat import chat_completion, wire_messages
from ..tasks.chat_types import (
    ChatCompletionOutput,
    ChatCompletionOutputMessage,
    ChatCompletionOutputUsage,
    ChatCompletionStreamOutput,
    added,
)
from ..tasks.declaration import Declaration, given_of
from ..tasks.parsed_types import ParsedChatCompletion
from . import prompted
from .events import (
    ConversationEvent,
    ConversationResult,
    ParsedConversationResult,
    ToolCalled,
    ToolReturned,
    TurnEnded,
)
from .parameters import ConversationSettings
from .state import ConversationState, revived
from .tool import tools_by_name
from .tool_call import ToolCallState, answers, calls_of
from .tool_group import ToolGroup, called
from .turn_schema import answer_of_text, turn_form
from .watch import ConversationWatch

T = TypeVar("T")

ConversationOutcome: TypeAlias = Literal["answered", "paused", "error", "cancelled"]

CHARACTERS_OF_A_TOKEN: Final = 4
"""By which tokens are counted that the server did not count."""


class ChatCaller(Protocol):
    """Makes the model's calls: the core of a client."""

    timeout: Timeout

    @property
    def listeners(self) -> tuple[Observer, ...]:
        """Who is told of calls."""
        ...

    def start(
        self,
        declaration: Declaration[Any, Any, Any],
        given: dict[str, Any],
        *,
        stream: bool,
        parent: ObservedConversation | None = None,
    ) -> AsyncRun[Any, Any]:
        """The run of a task; `parent`: the conversation that makes the call, where it is observed."""
        ...

    def with_budget(self, budget: Budget | int | None) -> Self:
        """The caller whose calls spend this budget besides its own."""
        ...


class AsyncConversation:
    """A conversation under way: a context manager, and an iterator of its events.

    `async for event in run` hands over the chunks of the model's answers, `ToolCalled`, `ToolReturned` and `TurnEnded`;
    `await run.result()` reads to the end. Leaving the `async with` gives up what is under way.
    """

    __reduce_ex__ = not_copied

    def __init__(
        self, caller: ChatCaller, messages: list[Any], state: ConversationState, settings: ConversationSettings
    ) -> None:
        """`state` is what there is beside the messages; the list and the state become the conversation's own."""
        self._caller = caller
        self._settings = settings
        self._messages = messages
        self._calls = state.calls
        self._turns_before, self._usage_before = state.turns, state.totals()
        self._usage = ChatCompletionOutputUsage()
        self._spent = 0
        self._turns: list[TurnEnded] = []
        self._turn: TurnEnded | None = None
        self._waiting: list[ConversationEvent] = []
        self._call: AsyncRun[Any, ChatCompletionOutput] | None = None
        self._group: ToolGroup | None = None
        self._idle: Event | None = None
        self._is_read = False
        self._failure: HeadwaterError | None = None
        self._redact: Callable[[str], str] = str
        self._deadline: float | None = None
        self._timeout = Timeout.of(settings.parameters.get("timeout") or caller.timeout)
        self.outcome: ConversationOutcome | None = None
        self._watch = ConversationWatch(caller.listeners, settings.parameters, messages) if caller.listeners else None

    # -- what is known about it

    @property
    def transcript(self) -> list[dict[str, Any]]:
        """All messages so far as plain dicts, in which every call has an answer: it can be sent again at any time."""
        return [*wire_messages(self._messages), *answers(self._calls)]

    @property
    def state(self) -> ConversationState:
        """Where it stands, as plain JSON; `client.converse(state, tools=...)` goes on from there."""
        return ConversationState(
            messages=wire_messages(self._messages),
            calls=[replace(call) for call in self._calls],
            turns=self._turns_before + len(self._turns),
            usage={name: value for name, value in self._total().to_dict().items() if value is not None},
        )

    @property
    def usage(self) -> ChatCompletionOutputUsage:
        """The sum of what all turns of this run cost, in tokens; None where no server said."""
        return self._usage

    @property
    def turns(self) -> tuple[TurnEnded, ...]:
        """The turns of this run that are over, each with the facts of its call."""
        return tuple(self._turns)

    @property
    def pending(self) -> tuple[ToolCalled, ...]:
        """The calls that wait for somebody to allow them."""
        if self.outcome != "paused":
            return ()
        number = self._turns_before + len(self._turns) + 1
        return tuple(called(call, number) for call in self._calls if call.decision is None and not call.is_answered)

    @property
    def partial(self) -> ConversationResult:
        """What it has come to so far; of an answer that is not whole yet, what has come of it."""
        answer = None if self._call is None else self._call.partial
        message = answer.choices[0].message if answer is not None and answer.choices else self._last_message()
        ended: Any = self.outcome if self.outcome in ("answered", "paused") else "left"
        kind: Any = ParsedConversationResult if self._settings.is_typed else ConversationResult
        found: ConversationResult = kind(
            message=message,
            transcript=self.transcript,
            usage=self._usage,
            turns=self.turns,
            ended=ended,
            pending=self.pending,
            state=self.state,
        )
        return found

    def _last_message(self) -> ChatCompletionOutputMessage | None:
        last = [message for message in self._messages if isinstance(message, ChatCompletionOutputMessage)]
        return last[-1] if last else None

    def _total(self) -> ChatCompletionOutputUsage:
        return added(self._usage_before, self._usage)

    # -- reading it

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ConversationEvent:
        event = await self._next_event()
        if event is END:
            raise StopAsyncIteration
        found: ConversationEvent = event
        return found

    async def result(self) -> ConversationResult:
        """Read to the end and return what it has come to. Cancelled, it leaves the conversation."""
        while await self._next_or_leave() is not END:
            pass
        return self.partial

    async def drain(self) -> list[ConversationEvent]:
        """At least one event, and all others that are there already; [] at the end."""
        event = await self._next_event()
        if event is END:
            return []
        read = [event, *self._waiting]
        self._waiting.clear()
        return read

    async def start(self) -> Self:
        """Wait until there is an event to hand over, or the end; an early failure is raised here."""
        event = await self._next_or_leave()
        if event is not END:
            self._waiting.insert(0, event)
        return self

    async def _next_or_leave(self) -> Any:
        try:
            return await self._next_event()
        except HeadwaterError:
            raise
        except BaseException:
            await self.close()
            raise

    async def _next_event(self) -> Any:
        if self._waiting:
            return self._waiting.pop(0)
        if self._is_read:
            raise another_reader()
        self._is_read = True
        try:
            while not self._waiting:
                if self._failure is not None:
                    raise self._failure
                if self.outcome == "cancelled":
                    raise was_left()
                if self.outcome is not None:
                    return END
                await self._advance()
            return self._waiting.pop(0)
        except HeadwaterError as error:
            self._fail(error)
            raise
        except StopAsyncIteration as error:
            raise no_end(error) from error
        finally:
            self._is_read = False
            self._tell_end()

    async def _advance(self) -> None:
        """Read on in the model's answer, or perform what it called."""
        if self._deadline is None:
            total = self._timeout.total
            self._deadline = FOREVER if total is None else current_time() + total
            if self._watch is not None:
                self._watch.begin(tuple(self._settings.tools))
        if self._calls:
            await self._perform()
        elif self._settings.stream:
            await self._read_stream()
        else:
            self._call = self._call or self._begin_turn()
            self._end_answer(await self._call.result())

    # -- the model's turn

    async def _read_stream(self) -> None:
        if self._call is None:
            self._call = self._begin_turn()
        try:
            chunk: ChatCompletionStreamOutput = await self._call.__anext__()
        except StopAsyncIteration:
            self._end_answer(await self._call.result())
        else:
            self._waiting.append(chunk)

    def _begin_turn(self) -> AsyncRun[Any, ChatCompletionOutput]:
        settings, left = self._settings, self._time_left()
        if len(self._turns) >= settings.max_turns:
            raise self._limit("max_turns", f"the model has not answered within {settings.max_turns} turns")
        if settings.budget is not None and self._spent >= settings.budget:
            raise self._limit("budget", f"the budget of {settings.budget} tokens is spent: {self._spent}")
        given = {**settings.parameters, **self._request()}
        given["timeout"] = replace(self._timeout, total=None if left == FOREVER else left)
        if settings.stream:
            given.setdefault("stream_options", {"include_usage": True})
        bound, parent = chat_completion.bind((), given), self._watch.conversation if self._watch is not None else None
        return self._caller.start(chat_completion, bound, stream=settings.stream, parent=parent)

    def _request(self) -> dict[str, Any]:
        """The messages and the tools of the next call of the model."""
        settings = self._settings
        if settings.is_native:
            own = settings.parameters.get("tool_choice")
            is_forced = own is not None and own not in ("auto", "none")
            chosen = {"tool_choice": "auto"} if is_forced and self._turns and settings.tools else {}
            tools = [tool.definition for tool in settings.tools.values()]
            return {"messages": self._messages, **chosen, **({"tools": tools} if tools else {})}
        choice, several = (settings.parameters.get(name) for name in ("tool_choice", "parallel_tool_calls"))
        wishes = prompted.wishes_of(choice, several, is_first=not self._turns)
        form, told = turn_form(settings.tools, settings.parameters.get("response_format"), wishes, settings.tool_mode)
        messages = prompted.messages_in_words(self.transcript, settings.tools, wishes, told)
        return {"messages": messages, "response_format": form, "tool_choice": None, "parallel_tool_calls": None}

    def _time_left(self) -> float:
        assert self._deadline is not None
        left = self._deadline - current_time()
        if left <= 0:
            raise self._too_late()
        return left

    def _too_late(self) -> InferenceTimeoutError:
        return InferenceTimeoutError(
            f"the conversation did not end within {self._timeout.total:g} s (timeout phase: total)"
        )

    def _limit(self, name: str, why: str) -> ConversationLimitError:
        kind = ConversationBudgetError if name == "budget" else ConversationLimitError
        error = kind(f"{why}; its state goes on with client.converse(error.partial.state, ...)")
        error.limit = name
        return error

    def _end_answer(self, answer: ChatCompletionOutput) -> None:
        """The model's answer is whole: its calls are next, or it is the conversation's end."""
        assert self._call is not None
        if not answer.choices:
            raise UnexpectedContentError("the model answered without a single choice")
        choice, number = answer.choices[0], self._turns_before + len(self._turns) + 1
        tools = self._settings.tools
        message = choice.message if self._settings.is_native else answer_of_text(choice.message, tools)
        self._redact, facts, self._call = self._call.redact, self._call.facts, None
        self._count(answer)
        self._calls = calls_of(message, tools, number)
        if choice.finish_reason == "length":
            _explain_cut(self._calls)
        self._messages.append(message)
        self._turn = TurnEnded(
            number=number, message=message, facts=facts, finish_reason=choice.finish_reason, usage=answer.usage
        )
        self._waiting += [called(call, number) for call in self._calls]
        if not self._calls:
            self._end_turn(())
            self.outcome = "answered"

    def _count(self, answer: ChatCompletionOutput) -> None:
        usage = answer.total_usage if isinstance(answer, ParsedChatCompletion) else answer.usage
        self._usage = added(self._usage, usage)
        if usage is not None and usage.total_tokens is not None:
            self._spent += usage.total_tokens
        elif usage is not None and usage.prompt_tokens is not None:
            self._spent += usage.prompt_tokens + (usage.completion_tokens or 0)
        elif self._settings.budget is not None:
            size = len(msgspec.json.encode([*wire_messages(self._messages), answer.choices[0].message.to_dict()]))
            self._spent += math.ceil(size / CHARACTERS_OF_A_TOKEN)

    # -- its tools

    async def _perform(self) -> None:
        """Have the calls allowed and performed. Cancelled before they are begun, the next read goes on."""
        settings, deadline = self._settings, self._deadline
        assert deadline is not None
        self._group = group = ToolGroup(
            self._calls,
            settings.tools,
            self._turns_before + len(self._turns) + 1,
            at_once=settings.tools_at_once,
            timeout=settings.tool_timeout,
            redact=self._redact,
            watch=self._watch,
        )
        self._idle = Event()
        try:
            in_time = await self._approved(group, deadline) and await self._run(group)
        finally:
            self._idle.set()
            self._group = self._idle = None
        if self.outcome is not None:
            return
        self._end_turn(group.returned)
        if not in_time:
            self._failure = self._too_late()

    async def _approved(self, group: ToolGroup, deadline: float) -> bool:
        """Whether all calls are decided; else the conversation pauses. Somebody's time is not the conversation's."""
        asked = current_time()
        try:
            allowed = await group.approve(self._settings.approve, self._settings.approval_timeout)
        finally:
            self._deadline = deadline + current_time() - asked
        if not allowed and not group.left:
            self.outcome = "paused"
        return allowed and not group.left

    async def _run(self, group: ToolGroup) -> bool:
        assert self._deadline is not None
        try:
            return await group.run(self._deadline)
        except BaseException:
            self._leave()
            raise

    def _end_turn(self, returned: tuple[ToolReturned, ...]) -> None:
        """The turn is over: the answers of its calls are messages."""
        self._messages += answers(self._calls)
        self._calls = []
        if self._turn is None:  # it began in another process
            self._turns_before += 1
            self._waiting += returned
            return
        turn = replace(self._turn, returned=returned)
        self._turn = None
        self._turns.append(turn)
        self._waiting += [*returned, turn]

    # -- its end

    def _fail(self, error: HeadwaterError) -> None:
        if self.outcome is None:
            self.outcome = "error"
        self._failure = error
        if error.partial is None or not isinstance(error.partial, ConversationResult):
            error.partial = self.partial
        self._give_up_calls()

    def _leave(self) -> None:
        if self.outcome is None:
            self.outcome = "cancelled"
            self._give_up_calls()
        self._waiting.clear()

    def _tell_end(self) -> None:
        if self._watch is not None and self.outcome is not None:
            self._watch.end(self.outcome, self.partial, self._failure)

    def _give_up_calls(self) -> None:
        for call in self._calls:
            call.given_up()

    async def close(self) -> None:
        """Leave the conversation: the model's stream is closed, and tools that run are cancelled. Idempotent."""
        reader = self._idle
        if self._group is not None:
            self._group.leave()
        self._leave()
        if self._call is not None:
            await self._call.close()
        if reader is not None:
            await reader.wait()
        self._tell_end()

    aclose = close

    def __del__(self) -> None:
        watch = getattr(self, "_watch", None)
        if watch is not None:  # else a conversation that nobody ended would have no end
            watch.end("cancelled", self.partial, None)

    def drop(self) -> None:
        """Let go of the model's stream, from any thread or finalizer: nobody holds the conversation any more."""
        call = self._call
        if call is not None:
            call.drop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class AsyncParsedConversation(AsyncConversation, Generic[T]):
    """A conversation whose answer is a value of a type: `parsed` of its result, and of its `partial` so far."""

    if TYPE_CHECKING:

        @property
        def partial(self) -> ParsedConversationResult[T]: ...

        async def result(self) -> ParsedConversationResult[T]: ...


def _explain_cut(calls: Sequence[ToolCallState]) -> None:
    for call in calls:
        if call.problem is not None:
            call.problem += "; the answer was cut at its limit of tokens"


def conversation(caller: ChatCaller, given: Any, tools: Any, options: Mapping[str, Any]) -> AsyncConversation:
    """A conversation that begins with these messages, or goes on from a state or its JSON.

    Raises `InvalidParameterError` for what is wrong, before anything is sent.
    """
    given = ConversationState.from_json(given) if isinstance(given, str | bytes) else given
    named = {name: value for name, value in given_of(options).items() if name in ConversationSettings.__struct_fields__}
    parameters = {name: value for name, value in given_of(options).items() if name not in named}
    if isinstance(budget := named.get("budget"), Budget):
        del named["budget"]
        caller = caller.with_budget(budget)
    settings = ConversationSettings(tools=tools_by_name(tools), parameters=parameters, **named)
    kind: type[AsyncConversation] = AsyncParsedConversation if settings.is_typed else AsyncConversation
    if not isinstance(given, ConversationState):
        chat_completion.bind((), {"messages": given, **parameters})
        return kind(caller, list(given), ConversationState(messages=[]), settings)
    chat_completion.bind((), {"messages": given.transcript, **parameters})
    state = ConversationState.from_json(given.to_json())  # the run changes it
    return kind(caller, revived(state.messages), state, settings)
