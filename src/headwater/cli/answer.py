"""An answer while it comes: the text to stdout piece by piece, what the model thought to stderr.

One answer is streamed; where several were asked for, the others follow it. Calls of tools are JSON, one a line.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple, Protocol

from .terminal import Aside, TextWriter, is_terminal, say


class AnswerPiece(NamedTuple):
    """What one event adds."""

    text: str = ""
    thought: str = ""


class AnswerWriter(Protocol):
    """What an answer is written on: `terminal.TextWriter`, `markdown.MarkdownWriter`."""

    def write(self, text: str, /) -> None:
        """Show this piece."""

    def end(self) -> None:
        """There is no more."""


def chat_piece(chunk: Any) -> AnswerPiece:
    """What a chunk adds to the first answer; a refusal is text too."""
    for choice in chunk.choices:
        if choice.index == 0:
            delta = choice.delta
            return AnswerPiece((delta.content or "") + (delta.refusal or ""), delta.reasoning or "")
    return AnswerPiece()


def text_piece(event: Any) -> AnswerPiece:
    """The text of a token that belongs to the text."""
    return AnswerPiece("" if event.token.special else event.token.text)


PIECES: Final[dict[str, Callable[[Any], AnswerPiece]]] = {
    "chat-completion": chat_piece,
    "text-generation": text_piece,
}
"""The tasks whose answers are text that comes piece by piece."""


@contextmanager
def answer(*, markdown: bool = False, raw: bool = False) -> Iterator[tuple[AnswerWriter, Aside]]:
    """Where text and thoughts go; left in any way, the screen is as it was."""
    aside = Aside(raw=raw)
    writer = _writer(markdown=markdown, raw=raw)
    try:
        yield writer, aside
    finally:
        aside.end()
        writer.end()


def _writer(*, markdown: bool, raw: bool) -> AnswerWriter:
    if markdown and is_terminal(sys.stdout):
        from .markdown import MarkdownWriter

        return MarkdownWriter(raw=raw)
    return TextWriter(sys.stdout, raw=raw)


def write_pieces(pieces: Iterable[AnswerPiece], writer: AnswerWriter, aside: Aside) -> None:
    """Write them as they come."""
    for text, thought in pieces:
        if thought:
            aside.write(thought)
        if text:
            aside.end()
            writer.write(text)


def write_message(message: Any, writer: AnswerWriter, aside: Aside) -> None:
    """An answer that came in one."""
    write_pieces(
        [AnswerPiece(thought=message.reasoning or ""), AnswerPiece((message.content or "") + (message.refusal or ""))],
        writer,
        aside,
    )


def write_rest(result: Any, writer: AnswerWriter, aside: Aside) -> None:
    """What a chat's answer has beside the first text: calls of tools, further answers; and a word on a cut one."""
    for number, choice in enumerate(sorted(result.choices, key=lambda choice: choice.index)):
        if number:
            writer.end()
            writer.write("\n")
            write_message(choice.message, writer, aside)
        for call in choice.message.tool_calls or ():
            writer.end()
            TextWriter(sys.stdout).write(f"{call.to_json()}\n")


def note_cut(result: Any) -> None:
    """Say that an answer is not whole, where the server said so."""
    if any(choice.finish_reason == "length" for choice in result.choices):
        say("the answer was cut at the most tokens that it may have (--max-tokens)")
