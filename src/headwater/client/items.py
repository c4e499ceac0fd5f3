"""The elements of a list that a model writes, each as soon as it is whole."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from ..auth.redaction import redacted
from ..errors import AnswerTry, DecodeError, InvalidAnswerError, InvalidParameterError, no_end
from ..schema.codec import codec_of
from ..schema.elements import ElementReader

if TYPE_CHECKING:
    from ..blocking.run import Run
    from ..engine.facts import Facts
    from ..engine.run import AsyncRun
    from ..tasks.chat_types import ChatCompletionStreamOutput
    from ..tasks.parsed_types import ParsedChatCompletion

T = TypeVar("T")


class WholeElements(Generic[T]):
    """The elements that chunks of a chat have completed. Those of its first choice alone are."""

    def __init__(self, of: type[T]) -> None:
        self._reader = ElementReader(codec_of(of))
        self.ready: deque[T] = deque()
        self.failure: DecodeError | None = None
        """What is wrong with the element after those that are ready."""

    def add(self, chunk: ChatCompletionStreamOutput) -> None:
        """Take the next chunk."""
        if self.failure is not None:
            return
        for choice in chunk.choices:
            if choice.index == 0 and isinstance(choice.delta.content, str):
                try:
                    self.ready.extend(self._reader.feed(choice.delta.content))
                except DecodeError as error:
                    self.ready.extend(self._reader.whole)
                    self.failure = error
                except (StopIteration, StopAsyncIteration) as error:  # the type's own code has raised it
                    raise no_end(error) from error


def check_items(parameters: Mapping[str, Any]) -> None:
    """Raise `InvalidParameterError` where items are to be mended or asked for again: they were handed over."""
    if parameters.get("on_invalid") not in (None, "raise") or parameters.get("n") not in (None, 1):
        raise InvalidParameterError('items are those of one answer, handed over as they come: on_invalid is "raise"')


def _invalid(wrong: DecodeError, facts: Facts, redact: Callable[[str], str]) -> InvalidAnswerError:
    """The error for an element that is none of its type."""
    error = InvalidAnswerError(wrong.message)
    error.path, error.body, error.text = wrong.path, wrong.body, wrong.body.decode(errors="replace")
    error.tries = (AnswerTry(error.text, error.message, error.path),)
    error.provider, error.model, error.task = facts.provider, facts.model, "chat_completion"
    error.request_id, error.attempts = facts.request_id, facts.attempts
    redacted(error, redact)
    return error


class AsyncItems(Generic[T]):
    """The elements of a list as they become whole: a context manager, and an iterator.

    Leaving the `async with` before the end cancels the call at the far side. `run` is the chat itself.
    """

    def __init__(self, run: AsyncRun[ChatCompletionStreamOutput, ParsedChatCompletion[list[T]]], of: type[T]) -> None:
        self.run = run
        self._elements: WholeElements[T] = WholeElements(of)

    @property
    def facts(self) -> Facts:
        """What is known of the call."""
        return self.run.facts

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        elements = self._elements
        while not elements.ready:
            if elements.failure is not None:
                await self.run.close()
                raise _invalid(elements.failure, self.run.facts, self.run.redact)
            elements.add(await self.run.__anext__())
        return elements.ready.popleft()

    async def result(self) -> list[T]:
        """Read to the end and return the whole list; elements that were not handed over are not any more."""
        return (await self.run.result()).parsed

    async def close(self) -> None:
        """Leave the call. Idempotent."""
        await self.run.close()

    aclose = close

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class SyncItems(Generic[T]):
    """The elements of a list as they become whole, for blocking code: a context manager, and an iterator.

    Leaving the `with` before the end cancels the call at the far side. `run` is the chat itself.
    """

    def __init__(self, run: Run[ChatCompletionStreamOutput, ParsedChatCompletion[list[T]]], of: type[T]) -> None:
        self.run = run
        self._elements: WholeElements[T] = WholeElements(of)

    @property
    def facts(self) -> Facts:
        """What is known of the call."""
        facts: Facts = self.run.facts
        return facts

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        elements = self._elements
        while not elements.ready:
            if elements.failure is not None:
                self.run.close()
                raise _invalid(elements.failure, self.facts, self.run.redact)
            elements.add(next(self.run))
        return elements.ready.popleft()

    def result(self) -> list[T]:
        """Read to the end and return the whole list; elements that were not handed over are not any more."""
        return self.run.result().parsed

    def close(self) -> None:
        """Leave the call. Idempotent."""
        self.run.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
