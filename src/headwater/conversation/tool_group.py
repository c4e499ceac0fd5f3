"""Performs the calls of one turn: in one task group, which begins and ends inside the read that waits for it.

    approval   one call after the other is allowed, refused or left undecided, on a clock of its own
    begin      as many as may run at once; the others wait for their turn
    end        each has its answer: its result, its error, that its time was over, or that it was given up

A call that fails spares the others. Whatever ends the group, a deadline, a cancelled reader or `leave`, cancels what
still runs, and every call has an answer afterwards. A coroutine is gone then; a thread cannot be stopped, goes on
without anybody waiting, and is said to (`runs_on`).
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any, TypeAlias

from anyio import (
    CancelScope,
    Semaphore,
    create_task_group,
    current_effective_deadline,
    current_time,
    move_on_after,
)

from ..engine.event_loop import is_cancellation
from ..engine.observer import ObservedTool
from ..errors import DecodeError, InvalidParameterError, ToolError
from ..protocol.callback import is_async
from ..protocol.transport import FOREVER
from .events import ToolCalled, ToolReturned
from .thread import ThreadCall
from .tool import Tool
from .tool_answer import ToolContent, content_of, problem_of
from .tool_call import ToolCallState, value_of
from .watch import ConversationWatch

Approve: TypeAlias = Callable[[ToolCalled], bool | str | Awaitable[bool | str | None] | None]


class ToolGroup:
    """The calls of one turn. `left`: whether they were given up.

    `at_once`: how many run at the same time; `timeout`: the seconds of each whose tool has no limit of its own;
    `redact` takes a call's credentials out of an error's text before the model is told. `watch` tells those who observe
    the conversation.
    """

    def __init__(
        self,
        calls: Sequence[ToolCallState],
        tools: Mapping[str, Tool[..., Any]],
        turn: int,
        *,
        at_once: int,
        timeout: float | None,
        redact: Callable[[str], str],
        watch: ConversationWatch | None = None,
    ) -> None:
        self._watch = watch
        self.calls = calls
        self._returned: dict[str, ToolReturned] = {}
        self._tools = tools
        self._turn = turn
        self._at_once = at_once
        self._timeout = timeout
        self._redact = redact
        self.left = False
        self._asking, self._scope = CancelScope(), CancelScope()
        self._fatal: BaseException | None = None

    @property
    def returned(self) -> tuple[ToolReturned, ...]:
        """What has come of the calls that this group performed, in their order."""
        return tuple(self._returned[call.id] for call in self.calls if call.id in self._returned)

    # -- approval

    async def approve(self, approve: Approve | None, seconds: float | None) -> bool:
        """Have every call decided that somebody must allow; whether none is left undecided.

        Each may take `seconds`; after that it is refused. Cancelled, the call that was asked about is undecided.
        """
        with self._asking:
            for call in self.calls:
                if not self._waits(call):
                    continue
                needed = self._tools[call.name].approval
                if needed is False or (approve is None and not needed):
                    call.decision = True
                elif approve is not None:
                    call.decision = await self._decision(call, approve, seconds)
        return not any(map(self._waits, self.calls))

    def _waits(self, call: ToolCallState) -> bool:
        """Whether a call that could be performed waits to be allowed."""
        is_sound = not call.is_answered and call.problem is None and call.name in self._tools
        return is_sound and call.decision is None

    async def _decision(self, call: ToolCallState, approve: Approve, seconds: float | None) -> bool | str | None:
        decision: bool | str | None = f"nobody allowed it within {seconds} s"
        with move_on_after(seconds):
            asked = partial(approve, called(call, self._turn))
            found: Any = asked() if is_async(approve) else await ThreadCall(asked).result()
            decision = await found if inspect.isawaitable(found) else found
        if decision is None or isinstance(decision, bool | str):
            return decision
        raise InvalidParameterError("approve must return True, False, a text that says why not, or None for later")

    # -- performing

    async def run(self, deadline: float) -> bool:
        """Perform the calls; whether that ended before the deadline, a moment on the event loop's clock."""
        self._scope.deadline = deadline
        free = Semaphore(self._at_once)
        try:
            with self._scope:
                async with create_task_group() as group:
                    for call in self.calls:
                        if not call.is_answered and (work := self._work(call)) is not None:
                            group.start_soon(self._perform, call, work, free)
        finally:
            self._settle_the_rest()
        if self._fatal is not None:
            raise self._fatal
        return not self._scope.cancelled_caught

    def leave(self) -> None:
        """Give up what still runs."""
        self.left = True
        self._asking.cancel()
        self._scope.cancel()

    def _work(self, call: ToolCallState) -> Callable[[], Any] | None:
        """The call of its function; None for one that cannot be performed, which is answered."""
        tool = self._tools.get(call.name)
        if call.problem is not None:
            call.answer("invalid", f"Error: {call.problem}")
        elif tool is None:
            known = ", ".join(self._tools) or "none"
            call.answer("invalid", f"Error: there is no tool {call.name!r}; there are: {known}.")
        elif call.decision is not True:
            why = f": {call.decision}" if isinstance(call.decision, str) and call.decision else ""
            call.answer("refused", f"Error: the call was not allowed{why}.")
        elif call.begun and not tool.repeatable:
            call.given_up()
        else:
            try:
                return partial(tool.perform, tool.converted(_arguments(tool, call)))
            except (DecodeError, ToolError) as error:
                call.answer("invalid", f"Error: {error}")
        self._tell(call)
        return None

    async def _perform(self, call: ToolCallState, work: Callable[[], Any], free: Semaphore) -> None:
        tool = self._tools[call.name]
        seconds = self._timeout if tool.timeout is None else tool.timeout
        thread: ThreadCall | None = None
        value: Any = None
        began = 0.0
        observed: ObservedTool | None = None
        try:
            async with free:
                call.begun, began = True, current_time()
                if self._watch is not None:
                    arguments = called(call, self._turn).arguments
                    observed = self._watch.begin_tool(call.name, call.id, tool.description, arguments, self._turn)
                with move_on_after(seconds) as limit:
                    if tool.is_async:
                        value = await _whole(await work())
                    else:
                        thread = ThreadCall(work)
                        value = await _whole(await thread.result())
                if limit.cancelled_caught:
                    call.answer("timed out", f"Error: it had not ended after {seconds:g} s.")
                    self._tell(call, began, thread)
                else:
                    self._succeed(call, began, value, await content_of(value))
        except BaseException as error:  # noqa: BLE001 - told to the model, or raised where the group is waited for
            self._fail(call, began, thread, error)
        finally:
            if observed is not None and self._watch is not None and call.id in self._returned:
                self._watch.end_tool(observed, self._returned[call.id])

    def _succeed(self, call: ToolCallState, began: float, value: Any, content: ToolContent) -> None:
        text = self._redact(content.text) if content.is_error else content.text
        call.answer("failed" if content.is_error else "returned", text, content.images)
        self._tell(call, began, value=value.value if isinstance(value, ToolContent) else value)

    def _fail(self, call: ToolCallState, began: float, thread: ThreadCall | None, error: BaseException) -> None:
        if is_cancellation(error) and current_effective_deadline() == -FOREVER:
            if call.begun:
                call.given_up()
                self._tell(call, began, thread)
            raise error
        call.answer("failed", self._redact(problem_of(error)))
        self._tell(call, began, error=error)
        if isinstance(error, KeyboardInterrupt | SystemExit):
            self._fatal = error
            self._scope.cancel()

    def _tell(
        self,
        call: ToolCallState,
        began: float | None = None,
        thread: ThreadCall | None = None,
        *,
        value: Any = None,
        error: BaseException | None = None,
    ) -> None:
        assert call.outcome is not None
        assert call.content is not None
        seconds = 0.0 if began is None else current_time() - began
        self._returned[call.id] = ToolReturned(
            id=call.id,
            name=call.name,
            turn=self._turn,
            outcome=call.outcome,
            content=call.content,
            value=value,
            error=error,
            seconds=seconds,
            runs_on=thread is not None and thread.runs_on,
        )

    def _settle_the_rest(self) -> None:
        """Answer the calls that were given up before they began."""
        for call in self.calls:
            if not call.is_answered:
                call.given_up()
                self._tell(call)


def _arguments(tool: Tool[..., Any], call: ToolCallState) -> dict[str, Any]:
    """The call's arguments; a custom call's text is the only one. Raises `ToolError` where there are more."""
    if call.kind != "custom":
        return value_of(call)
    names = list(tool.parameters.get("properties", {}))
    if len(names) != 1:
        raise ToolError("it takes an object, not a text")
    return {names[0]: call.arguments}


def called(call: ToolCallState, turn: int) -> ToolCalled:
    """The call as its reader sees it."""
    arguments = call.arguments if call.problem is not None or call.kind == "custom" else value_of(call)
    return ToolCalled(id=call.id, name=call.name, arguments=arguments, turn=turn)


async def _whole(value: Any) -> Any:
    """What a function has come to: of a coroutine its result, of an asynchronous generator a list of its items."""
    found = await value if inspect.isawaitable(value) else value
    if not inspect.isasyncgen(found):
        return found
    async with aclosing(found) as items:
        return [each async for each in items]
